"""Gathering texts, as far as it needs no package."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import fetch_texts
import pytest
from debian_packages import PackageError, Packages
from lxml import etree
from prose import HEADING, PARAGRAPH, Block, clean, is_prose, render, tidy
from prose_books import chapters, r_vectors
from prose_dictionaries import devil_blocks, dict_entries, jargon_blocks
from prose_html import html_blocks
from prose_mallard import MallardReader
from prose_pod import pod_blocks, pod_inline
from prose_rst import rst_blocks, rst_labels
from text_documents import Text, cut, is_held_out, join_small, split_of
from text_sources import HELD_OUT, SOURCES

LONG = "This sentence is here to be so long that a second copy of it counts as a duplicate paragraph."


def prose(blocks: list[Block]) -> str:
    return render(tidy(blocks, set()))


def test_html_keeps_headings_paragraphs_and_items() -> None:
    page = """<html><head><title>t</title><script>var x;</script></head><body>
    <div class="navheader"><a href="a.html">Prev</a></div>
    <h1>2. The <em>Archive</em><a class="headerlink" href="#x">¶</a></h1>
    <p>A first line
       and <code>its second</code> one<a href="#f1">[1]</a>.</p>
    <ul><li><p>one item</p></li><li>another &amp; last</li></ul>
    <p><a href="next.html">Chapter 3 is over there</a></p>
    </body></html>"""
    assert prose(html_blocks(page)) == (
        "2. The Archive\n\nA first line and its second one.\n\n- one item\n- another & last"
    )


def test_html_leaves_out_code_and_what_announces_it() -> None:
    page = """<body><h2>Use</h2><p>It is easy to use. Run it like this:</p><pre>make all</pre>
    <p>and then wait.</p><p>That is all there is.</p><h2>Empty</h2><table><tr><td>1</td></tr></table></body>"""
    assert prose(html_blocks(page)) == "Use\n\nIt is easy to use.\n\nThat is all there is."


def test_html_admonitions_in_tables_are_text() -> None:
    page = """<body><p>Before it.</p><div class="note"><table><tr><td><img alt="x"></td><th>Note</th></tr>
    <tr><td><p>Mind the gap.</p></td></tr></table></div></body>"""
    assert prose(html_blocks(page)) == "Before it.\n\nMind the gap."


def test_short_definitions_become_items() -> None:
    page = "<body><dl><dt>fast</dt><dd>Takes little time.</dd><dt>slow</dt><dd>Takes much time.</dd></dl></body>"
    assert prose(html_blocks(page)) == "- fast: Takes little time.\n- slow: Takes much time."


RST = """
.. _intro:

=====
Title
=====

:Author: Somebody

First line with ``code`` and *stress*,
see :ref:`intro` and :func:`~os.path.join` [1]_. Look here::

    not_prose(1)

.. note::

   A remark in
   two lines.

.. code-block:: python

   x = 1

- one item
  that goes on
- :term:`other <x>` item

Part
----

=====  =====
a      b
=====  =====
1      2
=====  =====

.. function:: abs(x)

   Return the size of *x*.
   It is never negative.

.. [1] A footnote.

The end of it, `a link <http://x.org>`_.
"""


def test_rst() -> None:
    labels = rst_labels([RST])
    assert labels == {"intro": "Title"}
    assert prose(rst_blocks(RST, labels)) == (
        "Title\n\nFirst line with code and stress, see Title and join().\n\nA remark in two lines.\n\n"
        "- one item that goes on\n- other item\n\nPart\n\nabs(x)\n\nReturn the size of x. It is never negative.\n\n"
        "The end of it, a link."
    )


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("B<bold> and I<C<nested>>", "bold and nested"),
        ("C<< $a->b >> works", "$a->b works"),
        ("L<the text|perlop/X>, L<perlop>, L<perlop/Quoting>", "the text, perlop, “Quoting” in perlop"),
        ("aE<lt>bE<gt> E<eacute> E<0x263A>X<index>", "a<b> é ☺"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ],
)
def test_pod_inline(marked: str, plain: str) -> None:
    assert pod_inline(marked) == plain


def test_pod() -> None:
    pod = """=head1 NAME

perlx - a page

=head1 Use

Some text
over lines. For example:

    code();

=over 4

=item *

A point.

=item * Another point.

=back

=begin html

<b>gone</b>

=end html

=cut

not pod
"""
    assert prose(pod_blocks(pod)) == ("perlx - a page\n\nUse\n\nSome text over lines.\n\n- A point.\n- Another point.")


def test_mallard() -> None:
    page = etree.fromstring(
        """<page xmlns="http://projectmallard.org/1.0/" id="a"><info><desc>gone</desc></info><title>Keys</title>
        <p>Press <keyseq><key>Ctrl</key><key>C</key></keyseq> or see <link xref="b"/>.</p>
        <steps><item><p>Open it.</p></item><item><p>Close it.</p></item></steps></page>"""
    )
    blocks = list(MallardReader({"b": "The Other Page"}).blocks(page))
    assert prose(blocks) == "Keys\n\nPress Ctrl+C or see The Other Page.\n\n- Open it.\n- Close it."


def test_duplicates_within_a_source_are_dropped() -> None:
    seen: set[str] = set()
    first = tidy([Block(PARAGRAPH, LONG), Block(PARAGRAPH, "It is short.")], seen)
    second = tidy([Block(PARAGRAPH, LONG), Block(PARAGRAPH, "It is short.")], seen)
    assert render(first) == f"{LONG}\n\nIt is short."
    assert render(second) == "It is short."


@pytest.mark.parametrize(
    "text",
    [
        "0x1F 0x2F 0x3F 17 = 23",
        "Это предложение написано не по-английски.",
        "Copyright (c) 1999 Somebody",
        "Permission is granted to copy this.",
        "Next",
        "FIXME: write this part",
        "https://example.org/a/b",
    ],
)
def test_not_prose(text: str) -> None:
    assert not is_prose(text)


def test_clean() -> None:
    assert clean(" a\u00a0 b\u200b\tc\x07 e\u0301 ") == "a b c é"
    assert clean("``quoted'' and `other', “ so”") == "\"quoted\" and 'other', “so”"
    assert clean("left . . . out") == "left . . . out"


def test_join_small() -> None:
    texts = [
        ("a", "g", "x" * 40),
        ("b", "g", "y" * 40),
        ("c", "g", "z" * 200),
        ("d", "h", "u" * 30),
        ("e", "", "v" * 30),
    ]
    joined = list(join_small(texts, min_chars=80, joined_chars=150))
    assert joined == [("a", "x" * 40 + "\n\n" + "y" * 40), ("c", "z" * 200)]


def test_cut_at_headings() -> None:
    blocks = [Block(PARAGRAPH, "p" * 100) for _ in range(10)]
    blocks.insert(4, Block(HEADING, "Middle", 1))
    parts = cut(blocks, 700)
    assert [part[0].text for part in parts] == ["p" * 100, "Middle"]
    assert [block for part in parts for block in part] == blocks


def test_chapters() -> None:
    lines = [
        "EMMA",
        "by somebody",
        "",
        "CHAPTER I",
        "",
        "",
        "It was",
        "_very_ good.",
        "",
        "So it was.",
        "",
        "CHAPTER II",
        "",
        "End.",
    ]
    assert [render(x) for x in chapters(lines)] == [
        "CHAPTER I\n\nIt was very good.\n\nSo it was.",
        "CHAPTER II\n\nEnd.",
    ]


def test_dictionary_entries() -> None:
    data = "00-database\nalpha\n /a/, n.\n\n    [tech] One {beta\n    gamma}.\n"
    index = "00databaseshort\tA\tM\nalpha\tM\tx\n"
    (entry,) = dict_entries(index, data)
    assert render(jargon_blocks(entry)) == "alpha\n\n[tech] One beta gamma."


def test_devil_entries_lose_their_verse() -> None:
    entry = "ABBESS, n.  A female\nfather.\n\n    A line of verse\n    And one more line\n            G.J.\n"
    assert render(devil_blocks(entry)) == "ABBESS, n. A female father."
    assert devil_blocks("RICHES, n.\n\n    A gift\n    from heaven\n") == []


def test_r_vectors() -> None:
    def vector(strings: list[str]) -> bytes:
        body = b"".join(struct.pack(">ii", 0x40009, len(x)) + x.encode() for x in strings)
        return b"X\n" + struct.pack(">iii", 2, 0x30000, 0x20300) + struct.pack(">ii", 16, len(strings)) + body

    packed = [zlib.compress(vector(x)) for x in (["one", ""], ["two"])]
    database = b"".join(struct.pack(">i", len(x)) + x for x in packed)
    assert r_vectors(database) == [["one", ""], ["two"]]


def test_split_is_stable_and_keeps_parts_together() -> None:
    source = next(x for x in SOURCES if x.name == "perl")
    parts = [Text(f"perl/perlop#{i}", "", "perl/perlop") for i in range(5)]
    assert len({split_of(source, i, part) for i, part in enumerate(parts)}) == 1
    held_out = sum(is_held_out(f"perl/{i}") for i in range(1200))
    assert 70 < held_out < 130


def test_addresses_keep_the_rule_of_the_corpus() -> None:
    source = next(x for x in SOURCES if x.name == "sotu")
    splits = [split_of(source, i, Text(str(i), "", str(i))) for i in range(20)]
    assert [i for i, split in enumerate(splits) if split == HELD_OUT] == [9, 19]


def test_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Packages, package: str) -> tuple[Path, str]:
        raise PackageError(f"package {package}: not there")

    monkeypatch.setattr(Packages, "get", refuse)
    arguments = ["fetch_texts.py", "--out", str(tmp_path / "o"), "--work", str(tmp_path / "w"), "--only", "devil"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert fetch_texts.main() == 1
    assert "dict-devil" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*arguments, "--skip-missing"])
    assert fetch_texts.main() == 0
    assert "dict-devil" in (tmp_path / "o" / "sources.json").read_text()
