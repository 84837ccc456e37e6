"""Gathers freely licensed English prose to train and evaluate a judge: Debian 12 packages and the repository's corpus.

Writes OUT/train.jsonl, OUT/heldout.jsonl (documents of the same sources that no training step reads) and
OUT/unseen.jsonl (whole sources that no training step reads), one {"id", "source", "text"} a line, and OUT/sources.json
(package, version, licence, counts and the SHA-256 of each source's texts, joined by a NUL).

Needs `apt-get` with package lists, `dpkg-deb`, `gzip`, and the Python packages beautifulsoup4 and lxml; not root.
"""

from __future__ import annotations

import argparse
import bisect
import gzip
import hashlib
import json
import os
import re
import shutil
import string
import struct
import subprocess
import sys
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.element import NavigableString, PageElement, PreformattedString, Tag
from lxml import etree

warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)  # XHTML pages

DEFAULT_CORPUS = Path(__file__).resolve().parents[2] / "data" / "corpus"
HELD_OUT_EVERY = 10
"""Of the addresses the 10th, 20th, .. in name order is held out, whole."""
TRAIN, HELD_OUT, UNSEEN = "train", "heldout", "unseen"
HELD_OUT_DOCUMENTS = 12
"""One document in this many is held out."""
MIN_CHARS = 1_500
"""A shorter document is joined with its neighbours or dropped."""
JOINED_CHARS = 6_000
"""Small neighbours are joined up to about this length."""
MAX_CHARS = 40_000
"""A longer document is cut at headings."""
MIN_DUPLICATE_CHARS = 60
LONG_PARAGRAPH_CHARS = 200
MIN_LETTERS = 0.6
MIN_COMMON_WORDS = 0.12

HEADING, TERM, PARAGRAPH, ITEM, GAP = "heading", "term", "paragraph", "item", "gap"
TERM_LEVEL = 9
MAX_HEADING_CHARS = 150
MAX_DEFINITION_CHARS = 300


@dataclass
class Block:
    """One paragraph, list item or heading; a GAP stands where code, a table or a figure was left out."""

    kind: str
    text: str = ""
    level: int = 0


@dataclass
class Document:
    """A piece of a source; documents of one `group` may be joined when they are small."""

    id: str
    blocks: list[Block]
    group: str = ""


@dataclass
class FormatError(Exception):
    """A package holds something else than this script knows."""

    message: str

    def __str__(self) -> str:
        return self.message


# ---- blocks to text ----

SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)]?\s+(?=[\"“‘(A-Z])")
BOILERPLATE = re.compile(
    r"^copyright\b|copyright (©|\(c\)|\d{4}|holder)|©|all rights reserved|permission is (hereby )?granted"
    r"|without (any )?warranty|may be redistributed|this (document|manual|guide) is distributed"
    r"|gnu (general public|free documentation) licen[cs]e|creative commons|licensed under|under the terms of the"
    r"|\bspdx-|same terms as perl|you can redistribute",
    re.IGNORECASE,
)
NAVIGATION = re.compile(
    r"(table|figure|listing) [\dA-Z]+[-.–]\d+[-.:].*|source code: \S+"
    r"|(note|notes|tip|warning|caution|important|prev|next|up|home|contents|table of contents|index|synopsis|see also"
    r"|example|examples|continued|todo|back to top|top|download the ebook)[.:]?",
    re.IGNORECASE,
)
ANNOUNCEMENT = re.compile(
    r"[^.!?…)\"”’']$|\b(following|follows|below|like this|here is|here are|looks like|shown)\b[^.!?]*[.]$"
)
REMNANT = re.compile(r"^(FIXME|TODO|XXX)\b|(, ){3,}|(\|.*){3,}|[-=_~.*]{9,}")
URL = re.compile(r"(?:\[\S*\]\s*)?\b(?:https?|ftp)://\S+")
INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xFFFC, 0xFFFD])
COMMON_WORDS = frozenset(
    "the of to and a in is that it for be as with are this by on or not you from can if an i".split()
)
CONTINUATION = re.compile(r"[a-z]+[,;]? |[,;:.)]")


def clean(text: str) -> str:
    """One line of NFC text without control or invisible characters."""
    text = unicodedata.normalize("NFC", text.translate(INVISIBLE))
    text = "".join(c if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn") else " " for c in text)
    text = " ".join(text.split())
    text = re.sub(r"(?<=\w) (?=[,;](?:\s|$))", "", text)
    text = re.sub(r"``(?=\S)(.*?\S)''", r'"\1"', text)
    text = re.sub(r"(?<![\w`])`(\w[^`'\n]{0,40})'(?!\w)", r"'\1'", text)
    return re.sub(r"([“‘(]) (?=\w)", r"\1", text)


def letter_share(text: str) -> float:
    return sum(c.isalpha() or c == " " for c in text) / max(1, len(text))


def is_english(text: str) -> bool:
    """Tells English from other languages and from lists of names by its most frequent words."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return sum(w in COMMON_WORDS for w in words) >= MIN_COMMON_WORDS * max(1, len(words))


def is_prose(text: str) -> bool:
    """Whether a paragraph or item is language rather than code, numbers, boilerplate or another script."""
    letters = [c for c in text if c.isalpha()]
    latin = sum(c < "ɐ" or "Ḁ" <= c <= "ỿ" for c in letters)
    return (
        letter_share(text) >= MIN_LETTERS
        and latin >= 0.9 * len(letters)
        and not BOILERPLATE.search(text)
        and not REMNANT.search(text)
        and len(URL.sub("", text)) >= min(len(text), 20)
        and not NAVIGATION.fullmatch(text)
        and (len(text) < 250 or is_english(text))
    )


def _without_announcement(text: str, anything_left_out: bool) -> str:
    """The text without a last sentence that announces what was left out."""
    ends = list(SENTENCE_END.finditer(text))
    last = text[ends[-1].end() :] if ends else text
    if not (ANNOUNCEMENT.search(last) if anything_left_out else last.endswith(":")):
        return text
    return text[: ends[-1].end()].strip() if ends else ""


def _keep_prose(blocks: Iterable[Block], seen: set[str]) -> Iterator[Block]:
    for block in blocks:
        text = clean(block.text)
        if block.kind in (HEADING, TERM):
            text = text.strip(" *¶#")
            if text and not NAVIGATION.fullmatch(text) and len(text) <= MAX_HEADING_CHARS and letter_share(text) > 0.4:
                yield Block(block.kind, text, block.level)
        elif block.kind == GAP or not is_prose(text) or text in seen:
            yield Block(GAP)
        elif text:
            if len(text) > MIN_DUPLICATE_CHARS:
                seen.add(text)
            yield Block(block.kind, text)


def _mend_gaps(blocks: list[Block]) -> Iterator[Block]:
    """Takes out half sentences before and after what was left out."""
    after_gap = False
    for block, following in zip(blocks, [*blocks[1:], Block(HEADING)], strict=False):
        if block.kind == GAP:
            after_gap = True
            continue
        text = block.text
        if block.kind in (PARAGRAPH, ITEM):
            if following.kind in (GAP, HEADING) and (block.kind == PARAGRAPH or text.endswith(":")):
                text = _without_announcement(text, following.kind == GAP)
            if block.kind == PARAGRAPH and after_gap and CONTINUATION.match(text):
                text = ""
        if text:
            after_gap = False
            yield Block(block.kind, text, block.level)


def _drop_empty_sections(blocks: list[Block]) -> list[Block]:
    kept: list[Block] = []
    level_below: int | None = 0  # the level of the heading below with nothing between; None: there is text
    for block in reversed(blocks):
        if block.kind not in (HEADING, TERM):
            level_below = None
        elif level_below is not None and level_below <= block.level:
            continue
        elif kept and kept[-1].text == block.text:
            continue
        else:
            level_below = block.level
        kept.append(block)
    return kept[::-1]


def _join_terms(blocks: list[Block]) -> list[Block]:
    """A term with one short paragraph becomes a list item: "- term: paragraph"."""
    joined: list[Block] = []
    for block, following in zip(blocks, [*blocks[1:], Block(GAP)], strict=False):
        if (
            block.kind == PARAGRAPH
            and following.kind not in (PARAGRAPH, ITEM)
            and len(block.text) <= MAX_DEFINITION_CHARS
            and joined
            and joined[-1].kind == TERM
        ):
            block = Block(ITEM, f"{joined.pop().text.rstrip(':.,; ')}: {block.text}")
        joined.append(block)
    return joined


def tidy(blocks: Iterable[Block], seen: set[str]) -> list[Block]:
    """Prose only: `seen` holds the long paragraphs met before and gets those of these blocks."""
    return _join_terms(_drop_empty_sections(list(_mend_gaps(list(_keep_prose(blocks, seen))))))


def render(blocks: list[Block]) -> str:
    """Paragraphs and headings with a blank line between, list items on lines that follow each other."""
    parts = []
    for previous, block in zip([None, *blocks], blocks, strict=False):
        if previous:
            parts.append("\n" if previous.kind == block.kind == ITEM else "\n\n")
        parts.append(f"- {block.text}" if block.kind == ITEM else block.text)
    return "".join(parts)


def paragraphs_of(lines: Iterable[str]) -> list[str]:
    """Hard-wrapped lines joined, one string a paragraph."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line.strip())
        elif found[-1]:
            found.append([])
    return [" ".join(x) for x in found if x]


# ---- HTML ----

HTML_DROPPED = (
    "head, script, style, pre, table, nav, form, button, img, object, svg, iframe, math, noscript, header, footer,"
    ".navheader, .navfooter, .docnav, .book-navigation, .related, .sphinxsidebar, .toc, .toctree-wrapper, .lot, .index,"
    ".indexterm, .headerlink, .footnote, .footnotes, .footnote-reference, .legalnotice, .copyright, .authorgroup,"
    ".author, .pubdate, .releaseinfo, .edition, .revhistory, .literallayout, .synopsis, .cmdsynopsis, .funcsynopsis,"
    ".refsynopsisdiv, .caption, span.filename, div.table > .title, div.example > .title, .calloutlist, .bibliography,"
    "#banner, #title, sup.footnote"
)
HTML_GAPS = "pre, table, div.highlight, div.figure, div.mediaobject, div.equation, div.informalequation"
HTML_MAIN = ("[role=main]", "main", "div.content", "body")
HTML_BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figure h1 h2 h3 h4 h5 h6 hr html li "
    "main ol p section summary ul x-gap".split()
)
ADMONITIONS = ".note, .tip, .warning, .caution, .important"


class HtmlReader:
    """Walks a page's main part and collects blocks."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._linked = 0
        self._item = False

    def read(self, page: bytes | str) -> list[Block]:
        soup = BeautifulSoup(page, "lxml")
        main = next((x for x in map(soup.select_one, HTML_MAIN) if x), None)
        if main is None:
            return []
        for box in main.select(ADMONITIONS):
            if (table := box.find("table")) and table.find_all("td"):
                cell = table.find_all("td")[-1]
                cell.name = "div"
                table.replace_with(cell)
        for dropped in main.select(HTML_GAPS):
            if not dropped.decomposed:
                dropped.replace_with(soup.new_tag("x-gap"))
        for dropped in main.select(HTML_DROPPED):
            if not dropped.decomposed:
                dropped.decompose()
        for mark in main.find_all(["sup", "a"]):
            if mark.decomposed:
                continue
            number = mark.get_text().strip("[]() ").isdigit()
            if mark.find("a") or number if mark.name == "sup" else number and str(mark.get("href", "")).startswith("#"):
                mark.decompose()
        self._walk(main)
        self._flush()
        return self.blocks

    def _flush(self) -> None:
        text = " ".join("".join(self._text).split())
        if text and self._linked < 0.9 * len(text):
            self.blocks.append(Block(ITEM if self._item else PARAGRAPH, text))
        if text:
            self._item = False
        self._text, self._linked = [], 0

    def _walk(self, node: Tag, linked: bool = False) -> None:
        for child in node.children:
            self._visit(child, linked)

    def _visit(self, node: PageElement, linked: bool) -> None:
        if isinstance(node, NavigableString):
            if not isinstance(node, PreformattedString):
                self._text.append(node)
                self._linked += len(node) if linked else 0
            return
        assert isinstance(node, Tag)
        if node.name not in HTML_BLOCKS:
            if node.name == "br":
                self._text.append(" ")
            self._walk(node, linked or (node.name == "a" and node.has_attr("href")))
            return
        self._flush()
        self._item = self._item and node.name in ("p", "div")
        if node.name == "x-gap":
            self.blocks.append(Block(GAP))
        elif re.fullmatch("h[1-6]", node.name):
            self.blocks.append(Block(HEADING, node.get_text(), int(node.name[1])))
        elif node.name == "dt":
            self.blocks.append(Block(TERM, node.get_text(), TERM_LEVEL))
        else:
            self._item = self._item or node.name == "li"
            self._walk(node, linked)
            self._flush()
            self._item = False


def html_blocks(page: bytes | str) -> list[Block]:
    """The prose of an HTML page."""
    return HtmlReader().read(page)


# ---- reStructuredText ----

RST_INLINE = re.compile(
    r"``(?P<literal>.+?)``"
    r"|:(?P<role>[\w:+.-]+):`(?P<of>[^`]+)`"
    r"|(?P<footnote>\s*\[(?:#?[\w-]*|\*)\]_(?!\w))"
    r"|`(?P<quoted>[^`]+)`(?:__?(?!\w))?"
    r"|\*\*(?P<strong>[^\s*](?:.*?[^\s*])?)\*\*"
    r"|(?<![\w*])\*(?P<emphasis>[^\s*](?:[^*]*[^\s*])?)\*(?!\w)"
    r"|(?<!\w)\|(?P<substitution>[A-Za-z][\w -]*)\|(?!\w)"
    r"|\\(?P<escaped>.)"
    r"|\b(?P<link>[A-Za-z][A-Za-z0-9]*)_(?=[\s.,;:)]|$)"
)
RST_CALLS = ("func", "meth", "c:func", "py:func", "py:meth")
RST_NAMED = {"pep": "PEP ", "rfc": "RFC ", "issue": "bpo-", "cve": "CVE-"}
RST_OBJECTS = frozenset(
    "function method class classmethod staticmethod coroutinefunction coroutinemethod data attribute exception "
    "describe object option cmdoption envvar opcode decorator decoratormethod awaitablefunction awaitablemethod "
    "abstractmethod asyncmethod pdbcommand 2to3fixer function type macro var member struct".split()
)
RST_WRAPPERS = frozenset(
    "note warning tip important caution danger attention hint seealso topic sidebar epigraph container admonition "
    "impl-detail glossary".split()
)
RST_CODE = frozenset(
    "code code-block sourcecode highlight parsed-literal literalinclude productionlist math table csv-table list-table "
    "flat-table figure kernel-figure image kernel-render doctest testcode testoutput testsetup graphviz include "
    "kernel-include kernel-doc raw".split()
)
RST_DIRECTIVE = re.compile(r"\.\. ([\w:+-]+)::(?:\s+(.*))?$")
RST_ITEM = re.compile(r"(?:[-*+•]|\(?(?:\d{1,3}|[A-Za-z]|#|[ivx]+)[.)])\s+(?=\S)")
RST_RULE = re.compile(r"([=\-`:.'\"~^_*+#<>!$%&,/;?@\\|{}()\[\]])\1{2,}\s*$")
RST_TABLE = re.compile(r"\+[-=]{2,}[-=+]*\+?\s*$|={2,}(\s+={2,})+\s*$|-{2,}(\s+-{2,})+\s*$")
RST_LABEL = re.compile(
    r"^\.\. _([^:\n]+):[ ]*\n(?:\s*\n|\.\. .*\n)*(?:([=\-~^\"*#])\2{2,}\n)?[ ]*(\S.*)\n[=\-~^\"*#+.]{3,}$", re.M
)


class RstReader:
    """A reader for what the Python and Linux manuals use of reStructuredText; `labels` names the sections by label."""

    def __init__(self, labels: dict[str, str] | None = None) -> None:
        self._labels = labels or {}
        self._rules: list[str] = []

    def read(self, text: str) -> list[Block]:
        self._rules = []
        lines = [line.rstrip() for line in text.expandtabs().splitlines()]
        return list(self._parse(lines))

    def inline(self, text: str) -> str:
        return RST_INLINE.sub(self._inline, text)

    def _inline(self, match: re.Match[str]) -> str:
        role, of = match["role"], match["of"]
        if role:
            return self._role(role.removeprefix("py:"), re.sub(r"\\(\W)", r"\1", of))
        if match["footnote"]:
            return ""
        if match["quoted"]:
            return re.sub(r"\s*<[^<>]*>$", "", match["quoted"]) or match["quoted"].strip("<> ")
        if match["substitution"]:
            return {"version": "3.11", "release": "3.11"}.get(match["substitution"], match["substitution"])
        if match["escaped"]:
            return match["escaped"].strip() if match["escaped"] in string.punctuation + " " else match[0]
        if match["strong"] or match["emphasis"]:
            return self.inline(match["strong"] or match["emphasis"])
        return match["literal"] or match["link"]

    def _role(self, role: str, of: str) -> str:
        if titled := re.fullmatch(r"(.*?)\s*<[^<>]+>", of, re.DOTALL):
            return titled[1]
        if role in ("ref", "doc", "std:ref"):
            return self._labels.get(
                " ".join(of.split()).lower(), of.rsplit("/", 1)[-1].replace("-", " ").replace("_", " ")
            )
        of = of.split(".")[-1] if of.startswith("~") else of.lstrip("!").removeprefix(".")
        if role in RST_CALLS and not of.endswith(")"):
            return of + "()"
        return RST_NAMED.get(role, "") + of

    @staticmethod
    def _body(lines: list[str], begin: int, indent: int) -> int:
        """Where the lines that are indented by more than `indent` end."""
        end = begin
        for i in range(begin, len(lines)):
            if lines[i]:
                if len(lines[i]) - len(lines[i].lstrip()) <= indent:
                    break
                end = i + 1
        return end

    @staticmethod
    def _dedent(lines: list[str]) -> list[str]:
        margin = min((len(x) - len(x.lstrip()) for x in lines if x), default=0)
        return [x[margin:] for x in lines]

    def _level(self, rule: str) -> int:
        if rule not in self._rules:
            self._rules.append(rule)
        return self._rules.index(rule) + 1

    def _parse(self, lines: list[str]) -> Iterator[Block]:
        i = 0
        while i < len(lines):
            line = lines[i]
            if not line:
                i += 1
            elif line.startswith((".. ", "__ ")) or line == "..":
                end = self._body(lines, i + 1, 0)
                yield from self._directive(line, lines[i + 1 : end])
                i = end
            elif line[0] == " ":
                end = self._body(lines, i, 0)
                yield from self._parse(self._dedent(lines[i:end]))
                i = end
            elif RST_TABLE.match(line):
                yield Block(GAP)
                i = self._after_table(lines, i)
            elif (heading := self._heading(lines, i))[1]:
                yield heading[0]
                i += heading[1]
            elif RST_RULE.match(line):
                i += 1
            elif line.startswith(">>>") or (line.startswith("|") and RST_INLINE.match(line) is None):
                yield Block(GAP)
                i = self._blank_after(lines, i)
            elif re.match(r":[^:`]+:(\s|$)", line):
                i = self._body(lines, i + 1, 0)
            elif item := RST_ITEM.match(line):
                end = self._body(lines, i + 1, 0)
                first = True
                for block in self._parse(self._dedent([" " * item.end() + line[item.end() :], *lines[i + 1 : end]])):
                    yield Block(ITEM, block.text) if first and block.kind == PARAGRAPH else block
                    first = first and block.kind == GAP
                i = end
            else:
                yielded, i = self._paragraph(lines, i)
                yield from yielded

    @staticmethod
    def _blank_after(lines: list[str], i: int) -> int:
        while i < len(lines) and lines[i]:
            i += 1
        return i

    @staticmethod
    def _after_table(lines: list[str], i: int) -> int:
        """A simple table may hold blank lines: it ends with a rule before a blank line."""
        if lines[i].startswith("+"):
            return RstReader._blank_after(lines, i)
        rules = 1
        for j in range(i + 1, len(lines)):
            rules += bool(RST_TABLE.match(lines[j]))
            if rules >= 2 and RST_TABLE.match(lines[j]) and (j + 1 == len(lines) or not lines[j + 1]):
                return j + 1
        return RstReader._blank_after(lines, i)

    def _heading(self, lines: list[str], i: int) -> tuple[Block, int]:
        """The heading that begins at line `i` and how many lines it takes, 0 if none does."""
        rest = lines[i : i + 3]
        if (
            len(rest) == 3
            and RST_RULE.match(rest[0])
            and rest[1]
            and RST_RULE.match(rest[2])
            and rest[0][0] == rest[2][0]
        ):
            return Block(HEADING, self.inline(rest[1].strip()), self._level("over" + rest[0][0])), 3
        if (
            len(rest) >= 2
            and RST_RULE.match(rest[1])
            and not RST_RULE.match(rest[0])
            and len(rest[1]) >= 0.7 * len(rest[0])
        ):
            return Block(HEADING, self.inline(rest[0]), self._level(rest[1][0])), 2
        return Block(GAP), 0

    def _directive(self, line: str, body: list[str]) -> Iterator[Block]:
        match = RST_DIRECTIVE.match(line)
        if not match:
            return
        name, argument = match[1].lower().split(":")[-1], (match[2] or "").strip()
        if name in RST_OBJECTS:
            blank = self._blank_after(body, 0)
            if argument and not argument.endswith("\\"):
                yield Block(TERM, self.inline(argument), TERM_LEVEL)
            yield from self._parse(self._dedent(body[blank:]))
        elif name in RST_WRAPPERS:
            body = [x for x in self._dedent(body) if not re.match(r":[\w-]+:", x)]
            if name in ("topic", "sidebar", "admonition"):
                argument = ""
            yield from self._parse([argument, *body] if argument else body)
        elif name == "rubric":
            yield Block(HEADING, self.inline(argument), TERM_LEVEL)
        elif name in RST_CODE:
            yield Block(GAP)

    def _paragraph(self, lines: list[str], i: int) -> tuple[list[Block], int]:
        end = i + 1
        while end < len(lines) and lines[end] and lines[end][0] != " ":
            end += 1
        if end == i + 1 and end < len(lines) and lines[end]:  # a line with a deeper one under it: a definition
            body_end = self._body(lines, end, 0)
            return [
                Block(TERM, self.inline(lines[i]), TERM_LEVEL),
                *self._parse(self._dedent(lines[end:body_end])),
            ], body_end
        if end < len(lines) and lines[end]:
            end = self._blank_after(lines, end)
        text = " ".join(x.strip() for x in lines[i:end])
        if not text.endswith("::"):
            return [Block(PARAGRAPH, self.inline(text))], end
        blocks = [Block(PARAGRAPH, self.inline(text[:-1]))] if text != "::" else []
        return [*blocks, Block(GAP)], self._body(lines, end, 0)


def rst_labels(texts: Iterable[str]) -> dict[str, str]:
    """The section titles by their labels, for references that name a label only."""
    labels = {}
    for text in texts:
        labels.update({m[1].strip("` ").lower(): RstReader().inline(m[3]) for m in RST_LABEL.finditer(text)})
    return labels


def rst_blocks(text: str, labels: dict[str, str] | None = None) -> list[Block]:
    """The prose of a reStructuredText file."""
    return RstReader(labels).read(text)


# ---- POD ----

POD_CODE = re.compile(r"([A-Z])(<(?!<)|<{2,}\s)|(>+)")
POD_ENTITIES = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/", "lchevron": "«", "rchevron": "»"}


def pod_inline(text: str) -> str:
    """The text of a POD paragraph without its formatting codes."""
    parts: list[tuple[str, int, list[str]]] = [("", 0, [])]
    position = 0
    while match := POD_CODE.search(text, position):
        parts[-1][2].append(text[position : match.start()])
        position = match.end()
        if match[1]:
            parts.append((match[1], len(match[2].strip()), []))
        elif len(parts) > 1 and len(match[3]) >= parts[-1][1]:
            code, width, inner = parts.pop()
            parts[-1][2].append(_pod_code(code, "".join(inner).strip() if width > 1 else "".join(inner)))
            position = match.start() + width
        else:
            parts[-1][2].append(match[3])
    parts[-1][2].append(text[position:])
    return "".join("".join(inner) for _, _, inner in parts)


def _pod_code(code: str, text: str) -> str:
    if code in "XZ":
        return ""
    if code == "E":
        if text.isdigit() or text[:1] == "0":
            return chr(int(text, 0)) if text[:1] != "0" or text[:2] == "0x" else chr(int(text, 8))
        return POD_ENTITIES.get(text) or BeautifulSoup(f"&{text};", "lxml").get_text()
    if code != "L":
        return text
    title, bar, target = text.rpartition("|")
    if bar:
        return title
    page, slash, section = target.partition("/")
    if not slash or "://" in target:
        return target
    section = section.strip('"')
    return f"“{section}” in {page}" if page else f"“{section}”"


def pod_blocks(text: str) -> list[Block]:
    """The prose of a POD file."""
    blocks: list[Block] = []
    in_pod = skipped = item = False
    for part in re.split(r"\n[ \t]*\n", text.expandtabs()):
        part = part.strip("\n")
        command = re.match(r"=(\w+)\s*(.*)", part, re.DOTALL)
        if command:
            name, rest = command[1], command[2]
            in_pod, item = name != "cut", False
            if name in ("begin", "end"):
                skipped = name == "begin"
            elif skipped or name in ("for", "encoding", "pod", "cut"):
                continue
            elif name.startswith("head") and rest.strip() in ("NAME", "DESCRIPTION"):
                continue
            elif name.startswith("head"):
                blocks.append(Block(HEADING, pod_inline(rest), int(name[4:] or 1)))
            elif name == "item":
                bullet = re.match(r"(\*|\d+[.)]?)(\s+|$)", rest)
                label = pod_inline(rest[bullet.end() :] if bullet else rest)
                item = bool(bullet) and not label
                if label:
                    blocks.append(Block(ITEM, label) if bullet else Block(TERM, label, TERM_LEVEL))
        elif skipped or not in_pod or not part.strip():
            continue
        elif part[0] == " ":
            blocks.append(Block(GAP))
        else:
            blocks.append(Block(ITEM if item else PARAGRAPH, pod_inline(part)))
            item = False
    return blocks


# ---- Mallard ----

MALLARD_DROPPED = frozenset("info media screen code table comment links credit desc example synopsis".split())
MALLARD_BLOCKS = frozenset("p title item section page steps list terms note tree td tr cite quote if".split())


class MallardReader:
    """Reads the pages of a Mallard manual; `titles` names the pages, for links without a text."""

    def __init__(self, titles: dict[str, str]) -> None:
        self._titles = titles

    def blocks(self, node: etree._Element, level: int = 1) -> Iterator[Block]:
        item = etree.QName(node).localname == "item"
        for child in node:
            name = etree.QName(child).localname if isinstance(child.tag, str) else "comment"
            if name == "title":
                parent = etree.QName(node).localname
                if parent in ("page", "section"):
                    yield Block(HEADING, self._text(child), level)
                elif parent == "item":
                    yield Block(TERM, self._text(child), TERM_LEVEL)
                item = False
            elif name == "p":
                yield Block(ITEM if item else PARAGRAPH, self._text(child))
                item = False
            elif name in MALLARD_DROPPED:
                if name in ("screen", "code", "table", "example"):
                    yield Block(GAP)
            else:
                yield from self.blocks(child, level + (name == "section"))

    def _text(self, node: etree._Element) -> str:
        parts = [node.text or ""]
        name = etree.QName(node).localname
        for i, child in enumerate(node):
            if isinstance(child.tag, str):
                if i and name in ("guiseq", "keyseq"):
                    parts.append(" ▸ " if name == "guiseq" else "+")
                child_name = etree.QName(child).localname
                if child_name == "link" and not "".join(child.itertext()).strip():
                    page, _, section = (child.get("xref") or child.get("href") or "").partition("#")
                    parts.append(self._titles.get(section or page) or self._titles.get(page, page))
                elif child_name != "media":
                    parts.append(self._text(child))
            if name not in ("guiseq", "keyseq"):
                parts.append(child.tail or "")
        return "".join(parts)


# ---- files of other kinds ----

BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


def _dict_number(text: str) -> int:
    value = 0
    for c in text:
        value = value * 64 + BASE64.index(c)
    return value


def dict_entries(index: str, data: str | bytes) -> list[str]:
    """The entries of a dictd database in the order in which they are stored."""
    raw = data.encode() if isinstance(data, str) else data
    places = set()
    for line in index.splitlines():
        word, offset, length = line.split("\t")[:3]
        if not word.startswith(("00database", "00-database")):
            places.add((_dict_number(offset), _dict_number(length)))
    return [raw[o : o + n].decode("utf-8", "replace") for o, n in sorted(places)]


def jargon_blocks(entry: str) -> list[Block]:
    """A Jargon File entry: its word, then its paragraphs; the line with pronunciation and word class is left out."""
    lines = re.sub(r"\{\s*([^{}]*?[^{}\s])\s*\}", lambda m: " ".join(m[1].split()), entry).splitlines()
    if not lines:
        return []
    body = [x for x in lines[1:] if not x.strip() or x.startswith("    ")]
    blocks = [Block(HEADING, lines[0].strip(), 1)]
    for part in re.split(r"\n\s*\n", "\n".join(body)):
        rows = [x for x in part.splitlines() if x.strip()]
        if any(x.startswith(" " * 8) or re.search(r"\S {3,}\S|[|_\\/]{3}", x) for x in rows):
            blocks.append(Block(GAP))  # a drawing, a table, code or verse
            continue
        text = " ".join(x.strip() for x in rows)
        bullet = re.match(r"(?:[*•-]|o) +", text)
        blocks.append(Block(ITEM, text[bullet.end() :]) if bullet else Block(PARAGRAPH, text))
    return blocks


def devil_blocks(entry: str) -> list[Block]:
    """A Devil's Dictionary entry without its verses; an entry that has nothing else is left out."""
    blocks = []
    for part in re.split(r"\n\s*\n", entry.replace("\t", "        ")):
        rows = [x for x in part.splitlines() if x.strip()]
        if not rows or all(x.startswith("  ") for x in rows) and (len(rows) > 1 or len(rows[0]) < 60):
            blocks.append(Block(GAP))
            continue
        for paragraph in re.split(r"\n {2,}", "\n".join(x for x in rows if not x.startswith(" " * 12))):
            blocks.append(Block(PARAGRAPH, " ".join(paragraph.replace("_", "").split())))
    blocks = list(_mend_gaps([*blocks, Block(HEADING)]))
    return blocks if blocks and not re.fullmatch(r"[A-Z' -]+[.,]( \w+\.)*", blocks[0].text) else []


def r_strings(data: bytes) -> list[str]:
    """The character vector that an R XDR serialisation holds."""
    character_vector, characters = 16, 9
    if data[:2] != b"X\n":
        raise FormatError("not an XDR serialisation of R")
    version, position = struct.unpack_from(">i", data, 2)[0], 14
    if version >= 3:
        position += 4 + struct.unpack_from(">i", data, position)[0]
    flags, count = struct.unpack_from(">ii", data, position)
    if flags & 0xFF != character_vector:
        raise FormatError(f"R object of type {flags & 0xFF}, not a character vector")
    position += 8
    strings = []
    for _ in range(count):
        flags, length = struct.unpack_from(">ii", data, position)
        if flags & 0xFF != characters:
            raise FormatError(f"R object of type {flags & 0xFF} in a character vector")
        strings.append(data[position + 8 : position + 8 + max(0, length)].decode("utf-8", "replace"))
        position += 8 + max(0, length)
    return strings


def r_vectors(database: bytes) -> list[list[str]]:
    """The character vectors of a lazy-load database, in order: length, maybe a type letter, zlib data."""
    vectors, position = [], 0
    while position + 4 < len(database):
        at = position + 4 + (database[position + 4 : position + 5] != b"\x78")
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(database[at:])
        position = len(database) - len(unpacker.unused_data)
        try:
            vectors.append(r_strings(data))
        except FormatError:
            continue
    return vectors


def unsqueeze(data: bytes) -> str:
    """The text of `bible.data`: windows packed by compress(1), all but the first one stored without its header."""
    magic, count_at, header = b"EC02", 0x58, b"\x1f\x9d\x90"
    if data[:4] != magic:
        raise FormatError("bible.data: not a compressed data file of the known version")
    count = struct.unpack_from(">I", data, count_at)[0]
    places = struct.unpack_from(f">{count + 1}I", data, count_at + 4)
    text = b""
    for begin, end in zip(places, places[1:], strict=False):
        done = subprocess.run(["gzip", "-dc"], input=header + data[begin:end], capture_output=True, check=False)
        if done.returncode:
            raise FormatError(f"bible.data: {done.stderr.decode().strip()}")
        text += done.stdout
    return text.decode("latin-1")


# ---- sources ----


@dataclass(frozen=True)
class Files:
    """The files of one source."""

    root: Path
    paths: list[Path]

    def name(self, path: Path) -> str:
        """The path below the folder that holds all of them, without the endings that say what it is."""
        folder = os.path.commonpath([x.parent for x in self.paths])
        return re.sub(r"(\.(en|html|rst|txt|gz|pod|page))+$", "", path.relative_to(folder).as_posix())


def read_text(path: Path) -> str:
    """A text file, packed or not."""
    data = gzip.decompress(path.read_bytes()) if path.suffix in (".gz", ".dz") else path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_html(files: Files) -> Iterator[Document]:
    for path in files.paths:
        yield Document(files.name(path), html_blocks(path.read_bytes()), str(path.parent))


def read_rst(files: Files) -> Iterator[Document]:
    texts = {path: read_text(path) for path in files.paths}
    labels = rst_labels(texts.values())
    for path, text in texts.items():
        yield Document(files.name(path), rst_blocks(text, labels))


def read_pod(files: Files) -> Iterator[Document]:
    for path in files.paths:
        yield Document(files.name(path), pod_blocks(read_text(path)))


def read_mallard(files: Files) -> Iterator[Document]:
    pages = {path: etree.fromstring(path.read_bytes()) for path in files.paths}
    titles = {}
    for page in pages.values():
        for node in page.iter("{*}page", "{*}section"):
            if node.get("id") and (title := node.find("{*}title")) is not None:
                titles[node.get("id")] = " ".join("".join(title.itertext()).split())
    reader = MallardReader(titles)
    for path, page in pages.items():
        yield Document(files.name(path), list(reader.blocks(page)), "pages")


def read_dict(blocks_of: Callable[[str], list[Block]]) -> Callable[[Files], Iterator[Document]]:
    def read(files: Files) -> Iterator[Document]:
        for path in files.paths:
            index = path.with_name(path.name.removesuffix(".dict.dz") + ".index")
            for i, entry in enumerate(dict_entries(read_text(index), gzip.decompress(path.read_bytes()))):
                yield Document(f"{i:05d}", blocks_of(entry), "entries")

    return read


CHAPTER = re.compile(r"(CHAPTER|Chapter|VOLUME|PREFACE|LETTER) ?([IVXLC]+|\d+|THE \w+)?\.?(?:\s.*)?$")


def chapters(lines: Iterable[str]) -> list[list[Block]]:
    """The chapters of a novel; what comes before the first one is left out."""
    found: list[list[Block]] = []
    for paragraph in paragraphs_of(lines):
        paragraph = re.sub(r"(?<!\w)_(.+?)_(?!\w)", r"\1", paragraph)
        if len(paragraph) < 100 and CHAPTER.match(paragraph):
            found.append([Block(HEADING, paragraph, 1)])
        elif found and not re.match(r"(THE END|END OF|FINIS|VOLUME)\b", paragraph):
            found[-1].append(Block(PARAGRAPH, paragraph))
    return found


def read_austen(files: Files) -> Iterator[Document]:
    for path in files.paths:
        for lines in r_vectors(path.read_bytes()):
            title = re.sub(r"\W+", "-", next((x for x in lines if x.strip()), "novel").strip().lower())
            for i, blocks in enumerate(chapters(lines), start=1):
                yield Document(f"{title}/{i:02d}", blocks, title)


def read_novel(files: Files) -> Iterator[Document]:
    for path in files.paths:
        for i, blocks in enumerate(chapters(read_text(path).splitlines()), start=1):
            yield Document(f"{i:03d}", blocks, path.name)


BIBLE_BOOKS = (
    "Genesis,Exodus,Leviticus,Numbers,Deuteronomy,Joshua,Judges,Ruth,1 Samuel,2 Samuel,1 Kings,2 Kings,1 Chronicles,"
    "2 Chronicles,Ezra,Nehemiah,Esther,Job,Psalms,Proverbs,Ecclesiastes,Song of Solomon,Isaiah,Jeremiah,Lamentations,"
    "Ezekiel,Daniel,Hosea,Joel,Amos,Obadiah,Jonah,Micah,Nahum,Habakkuk,Zephaniah,Haggai,Zechariah,Malachi,Matthew,Mark,"
    "Luke,John,Acts,Romans,1 Corinthians,2 Corinthians,Galatians,Ephesians,Philippians,Colossians,1 Thessalonians,"
    "2 Thessalonians,1 Timothy,2 Timothy,Titus,Philemon,Hebrews,James,1 Peter,2 Peter,1 John,2 John,3 John,Jude,"
    "Revelation"
).split(",")
VERSE = re.compile(r"^(\d?[A-Za-z]+)(\d+):(\d+) (.*)$", re.MULTILINE)


def read_bible(files: Files) -> Iterator[Document]:
    books: dict[str, dict[int, list[str]]] = {}
    for path in files.paths:
        for book, chapter, _, verse in VERSE.findall(unsqueeze(path.read_bytes())):
            books.setdefault(book, {}).setdefault(int(chapter), []).append(verse)
    if len(books) != len(BIBLE_BOOKS):
        raise FormatError(f"bible.data: {len(books)} books, not {len(BIBLE_BOOKS)}: {' '.join(books)}")
    for name, book in zip(BIBLE_BOOKS, books.values(), strict=True):
        for chapter, verses in book.items():
            text = " ".join(re.sub(r"[\[\]<>]", "", v) for v in verses)
            blocks = [Block(HEADING, f"{name} {chapter}", 1), Block(PARAGRAPH, text)]
            yield Document(f"{name.lower().replace(' ', '-')}/{chapter:03d}", blocks, name)


def read_plain(files: Files) -> Iterator[Document]:
    for path in files.paths:
        yield Document(path.stem, [Block(PARAGRAPH, x) for x in paragraphs_of(read_text(path).splitlines())])


@dataclass(frozen=True)
class Source:
    """Where a source's text is and how it is read; without a package, in the repository's corpus."""

    name: str
    what: str
    licence: str
    patterns: tuple[str, ...]
    read: Callable[[Files], Iterator[Document]]
    package: str = ""
    split: str = TRAIN
    excluded: str = ""
    """A regular expression for paths below the package's root."""
    max_chars: int = 5_000_000
    filtered: bool = True
    """False: literature, taken without the filters that are for manuals."""

    def licence_path(self) -> str:
        return f"/usr/share/doc/{self.package}/copyright" if self.package else "data/corpus/README.md"


DOC = "usr/share/doc"
PAGES_LEFT_OUT = (
    r"(index|genindex|search|toc|lo[ft]|colophon|license|licence|legal\w*|copyright|biblio\w*|credits?)\b[^/]*$"
)

SOURCES = [
    Source(
        "sotu", "State of the Union addresses", "PDDL-1.0 and CC0-1.0 (the texts: public domain)", ("sotu/*.txt",),
        read_plain, filtered=False, max_chars=20_000_000,
    ),
    Source(
        "austen", "the six novels of Jane Austen", "MIT (the package; the novels: public domain)",
        ("usr/lib/R/site-library/janeaustenr/data/Rdata.rdb",), read_austen, "r-cran-janeaustenr", filtered=False,
    ),
    Source(
        "kjv", "the Bible, King James Version", "public domain (copyright expired); the file: free to copy and modify",
        ("usr/lib/bible.data",), read_bible, "bible-kjv-text", filtered=False,
    ),
    Source(
        "anarchism", "An Anarchist FAQ", "GPL-2", (f"{DOC}/anarchism/html/*.html",), read_html, "anarchism",
        max_chars=4_000_000,
        excluded=r"(links|biblio|book|contact|index|pdf|quotes|new|translations|supplementary)[^/]*$",
    ),
    Source(
        "python", "Python 3.11 manuals", "PSF-2.0",
        tuple(
            f"{DOC}/python3.11/html/_sources/{x}"
            for x in ("tutorial/*", "howto/*", "faq/*", "reference/*", "extending/*", "using/*", "library/*", "c-api/*",
                      "distutils/*", "whatsnew/3*", "glossary.rst.txt")
        ),
        read_rst, "python3.11-doc", max_chars=3_200_000, excluded=r"(index|changelog|license|contents)\b[^/]*$",
    ),
    Source(
        "postgresql", "PostgreSQL 15 manual", "PostgreSQL", (f"{DOC}/postgresql-doc-15/html/*.html",), read_html,
        "postgresql-doc-15", max_chars=3_000_000,
        excluded=r"(bookindex|biblio|legalnotice|index|release[^/]*|errcodes-appendix|sql-keywords-appendix"
        r"|contrib|view-|catalog-|infoschema-)[^/]*$",
    ),
    Source(
        "perl", "Perl 5.36 manuals", "GPL-1+ or Artistic", ("usr/share/perl/5.36.0/pod/perl*.pod",), read_pod,
        "perl-doc", max_chars=3_200_000,
        excluded=r"perl(toc|cn|jp|ko|tw|gpl|artistic|uniprops|modlib|hist|delta|boot|bot|toot|tooc|todo|repository"
        r"|cheat|5\d+[1-9]delta|58\ddelta|561delta)\.pod$",
    ),
    Source(
        "jargon", "the Jargon File 4.4.7", "public-domain", ("usr/share/dictd/jargon.dict.dz",),
        read_dict(jargon_blocks), "dict-jargon",
    ),
    Source(
        "developers-reference", "Debian Developer's Reference", "GPL-2", ("usr/share/developers-reference/*.html",),
        read_html, "developers-reference", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "debian-policy", "Debian Policy Manual and sub-policies", "GPL-2+ (debconf specification: BSD-3-clause)",
        (f"{DOC}/debian-policy/policy.html/*.html", f"{DOC}/debian-policy/*policy-1.html",
         f"{DOC}/debian-policy/debconf_specification.html"),
        read_html, "debian-policy", excluded=PAGES_LEFT_OUT + r"|ap-license|ap-flowcharts",
    ),
    Source(
        "debian-reference", "Debian Reference", "GPL-2+", ("usr/share/debian-reference/*.en.html",), read_html,
        "debian-reference-en", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "harden-doc", "Securing Debian Manual", "GPL-2.0 (the notice: version 2 or any later version)",
        (f"{DOC}/harden-doc/html/en-US/*.html",), read_html, "harden-doc", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "aptitude-doc", "aptitude user's manual", "GPL-2+", (f"{DOC}/aptitude/html/en/*.html",), read_html,
        "aptitude-doc-en", excluded=PAGES_LEFT_OUT + r"|/ld-",
    ),
    Source(
        "debian-history", "A Brief History of Debian", "GPL-2+", (f"{DOC}/debian-history/docs/*.en.html",), read_html,
        "debian-history", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "debian-faq", "The Debian FAQ", "verbatim and modified copies under the same terms (the FAQ's own notice)",
        (f"{DOC}/debian/FAQ/*.en.html",), read_html, "debian-faq", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "png-guide", "PNG: The Definitive Guide", "GFDL-1.1+ (no invariant sections, no cover texts)",
        (f"{DOC}/png-definitive-guide/html/*.html",), read_html, "png-definitive-guide",
        excluded=PAGES_LEFT_OUT + r"|fig_|contact|references",
    ),
    Source(
        "linux-doc", "Linux 6.1 documentation", "GPL-2",
        tuple(
            f"{DOC}/linux-doc-6.1/Documentation/{x}/**/*.rst.gz"
            for x in ("process", "admin-guide", "filesystems", "maintainer", "doc-guide", "kernel-hacking", "core-api",
                      "RCU", "mm", "security", "scheduler", "locking", "dev-tools", "timers", "livepatch", "networking",
                      "driver-api", "block", "power", "trace")
        ),
        read_rst, "linux-doc-6.1", max_chars=3_000_000,
        excluded=r"(index|kernel-parameters|devices|license-rules)[^/]*$",
    ),
    Source(
        "gnucash", "GnuCash Tutorial and Concepts Guide", "GFDL-NIV-1.1+",
        (f"{DOC}/gnucash-docs/gnucash-guide-en/*.html",), read_html, "gnucash-docs",
        excluded=PAGES_LEFT_OUT + r"|fdl|appendixe",
    ),
    Source(
        "gnome-help", "GNOME 43 help", "CC-BY-SA-3.0", ("usr/share/help/C/*/*.page",), read_mallard, "gnome-user-docs",
    ),
    Source(
        "moby-dick", "Moby-Dick; or, The Whale", "CC0-1.0", ("moby-dick.txt",), read_novel, split=UNSEEN,
        filtered=False,
    ),
    Source(
        "debian-handbook", "The Debian Administrator's Handbook", "GPL-2.0+ or CC-BY-SA-3.0",
        (f"{DOC}/debian-handbook/html/en-US/*.html",), read_html, "debian-handbook", split=UNSEEN,
        excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "rust-book", "The Rust Programming Language", "MIT or Apache-2.0", (f"{DOC}/rust-doc/html/book/*.html",),
        read_html, "rust-doc", split=UNSEEN, excluded=r"(index|print|toc|404|SUMMARY)[^/]*$",
    ),
    Source(
        "devil", "The Devil's Dictionary", "public domain (copyright expired)", ("usr/share/dictd/devil.dict.dz",),
        read_dict(devil_blocks), "dict-devil", split=UNSEEN, filtered=False,
    ),
]  # fmt: skip


# ---- packages ----


class PackageError(Exception):
    """A package cannot be had."""


class Packages:
    """Debian packages in a work folder: WORK/debs/*.deb, WORK/unpacked/PACKAGE."""

    def __init__(self, work: Path) -> None:
        self._debs = work / "debs"
        self._unpacked = work / "unpacked"

    def get(self, package: str) -> tuple[Path, str]:
        """The folder that holds the package's files, and its version."""
        deb = self._deb(package)
        folder = self._unpacked / package
        if not folder.is_dir():
            self._unpacked.mkdir(parents=True, exist_ok=True)
            partial = self._unpacked / f".{package}.{os.getpid()}"
            try:
                self._run(package, "dpkg-deb", "-x", str(deb), str(partial))
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return folder, self._run(package, "dpkg-deb", "-f", str(deb), "Version").strip()

    def _deb(self, package: str) -> Path:
        if not (debs := self._debs_of(package)):
            self._debs.mkdir(parents=True, exist_ok=True)
            self._run(package, "apt-get", "download", package, cwd=self._debs)
            debs = self._debs_of(package)
        if not debs:
            raise PackageError(f"package {package}: apt-get left no .deb in {self._debs}")
        return debs[-1]

    def _debs_of(self, package: str) -> list[Path]:
        return sorted(self._debs.glob(f"{package}_*.deb"))

    @staticmethod
    def _run(package: str, *command: str, cwd: Path | None = None) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
        except FileNotFoundError as error:
            raise PackageError(f"package {package}: {command[0]} is not installed") from error
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise PackageError(f"package {package}: {' '.join(command[:2])} failed: {reason}")
        return done.stdout


# ---- documents ----


@dataclass
class Text:
    """A finished document; `origin` decides about holding out, so that the parts of one page stay together."""

    id: str
    text: str
    origin: str


def cut(blocks: list[Block], max_chars: int) -> list[list[Block]]:
    """Parts of about `max_chars` characters at most, cut before the highest heading near the place."""
    total, sizes = 0, []
    for block in blocks:
        total += len(block.text) + 2
        sizes.append(total)
    if total <= max_chars:
        return [blocks]
    parts = -(-total // max_chars)
    first = bisect.bisect(sizes, total * 0.6 / parts)
    last = max(first + 1, bisect.bisect(sizes, total * 1.4 / parts))
    places = [i for i in range(max(1, first), min(last, len(blocks))) if blocks[i].kind in (HEADING, PARAGRAPH, TERM)]
    if not places:
        return [blocks]
    aim = total / parts
    rank = {HEADING: 0, TERM: TERM_LEVEL, PARAGRAPH: 2 * TERM_LEVEL}
    place = min(places, key=lambda i: (rank[blocks[i].kind] + blocks[i].level, abs(sizes[i] - aim)))
    return [blocks[:place], *cut(blocks[place:], max_chars)]


def join_small(texts: Iterable[tuple[str, str, str]], min_chars: int, joined_chars: int) -> Iterator[tuple[str, str]]:
    """(id, group, text) to (id, text): small neighbours of a group are joined, what stays small is left out."""
    waiting: list[tuple[str, str, str]] = []

    def size() -> int:
        return sum(len(x[2]) + 2 for x in waiting)

    def joined() -> Iterator[tuple[str, str]]:
        if size() >= min_chars:
            yield waiting[0][0], "\n\n".join(x[2] for x in waiting)
        waiting.clear()

    for id, group, text in texts:
        if waiting and (waiting[0][1] != group or not group or size() + len(text) > joined_chars):
            yield from joined()
        if len(text) >= min_chars:
            if waiting and size() < min_chars and size() + len(text) <= joined_chars:
                waiting.append((id, group, text))
                yield from joined()
            else:
                yield from joined()
                yield id, text
        else:
            waiting.append((id, group, text))
    yield from joined()


def literature(blocks: Iterable[Block]) -> list[Block]:
    return [Block(b.kind, text, b.level) for b in blocks if (text := clean(b.text))]


def documents_of(source: Source, root: Path) -> list[Text]:
    """The finished documents of a source."""
    paths: list[Path] = []
    for pattern in source.patterns:
        paths += sorted(x for x in root.glob(pattern) if x.is_file() and x not in paths)
    excluded = re.compile(source.excluded or r"(?!)")
    paths = [x for x in paths if not excluded.search("/" + x.relative_to(root).as_posix())]
    if not paths:
        raise FormatError(f"source {source.name}: no file matches {' '.join(source.patterns)}")
    seen: set[str] = set()
    small: list[tuple[str, str, str]] = []
    for document in source.read(Files(root, paths)):
        blocks = tidy(document.blocks, seen) if source.filtered else literature(document.blocks)
        text = render(blocks)
        if len(text) > MAX_CHARS and source.filtered:
            parts = cut(blocks, MAX_CHARS)
            small += [(f"{document.id}#{i}", "", render(part)) for i, part in enumerate(parts, start=1)]
        elif text and (not source.filtered or is_english(text)):
            small.append((document.id, document.group, text))
    found = [
        Text(f"{source.name}/{id}", text, f"{source.name}/{id.partition('#')[0]}")
        for id, text in join_small(small, MIN_CHARS, JOINED_CHARS)
    ]
    chars, chosen = 0, set()
    for candidate in sorted(found, key=lambda x: -running_text_share(x.text)):
        if chars + len(candidate.text) <= source.max_chars:
            chars += len(candidate.text)
            chosen.add(candidate.id)
    return [x for x in found if x.id in chosen]


def running_text_share(text: str) -> float:
    """How much of a text stands in long paragraphs: a source over its limit keeps the documents with most."""
    return sum(len(x) for x in text.split("\n") if len(x) >= LONG_PARAGRAPH_CHARS) / len(text)


def is_held_out(id: str) -> bool:
    """Chooses one document in HELD_OUT_DOCUMENTS, the same ones in every run."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % HELD_OUT_DOCUMENTS == 0


def split_of(source: Source, index: int, text: Text) -> str:
    """Where the source's document number `index` (from 0) goes; the addresses keep the rule of corpus.py."""
    if source.split != TRAIN:
        return source.split
    if source.name == "sotu":
        return TRAIN if (index + 1) % HELD_OUT_EVERY else HELD_OUT
    return HELD_OUT if is_held_out(text.origin) else TRAIN


@dataclass
class Report:
    """What sources.json says of a source."""

    source: Source
    version: str
    texts: list[Text]
    splits: dict[str, list[Text]] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        return {
            "name": self.source.name,
            "package": self.source.package or None,
            "version": self.version or None,
            "licence": self.source.licence,
            "licence_file": self.source.licence_path(),
            "what": self.source.what,
            "documents": len(self.texts),
            "characters": sum(len(x.text) for x in self.texts),
            "sha256": hashlib.sha256("\0".join(x.text for x in self.texts).encode()).hexdigest(),
            "split": {
                name: {"documents": len(texts), "characters": sum(len(x.text) for x in texts)}
                for name, texts in self.splits.items()
            },
        }


def write_atomically(path: Path, lines: Iterable[str]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    partial.replace(path)


def gather(args: argparse.Namespace) -> int:
    packages = Packages(args.work)
    rows: dict[str, list[dict[str, str]]] = {TRAIN: [], HELD_OUT: [], UNSEEN: []}
    reports: list[dict[str, object]] = []
    for source in SOURCES:
        if args.only and source.name not in args.only:
            continue
        try:
            root, version = packages.get(source.package) if source.package else (args.corpus, "")
        except PackageError as error:
            if not args.skip_missing:
                print(f"error: {error} (--skip-missing goes on without it)", file=sys.stderr)
                return 1
            print(f"skipped {source.name}: {error}", file=sys.stderr)
            reports.append({"name": source.name, "package": source.package, "skipped": str(error)})
            continue
        report = Report(source, version, documents_of(source, root))
        for i, text in enumerate(report.texts):
            split = split_of(source, i, text)
            report.splits.setdefault(split, []).append(text)
            rows[split].append({"id": text.id, "source": source.name, "text": text.text})
        row = report.row()
        reports.append(row)
        print(f"{source.name}: {row['documents']} documents, {row['characters']:,} characters", file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    for split, documents in rows.items():
        write_atomically(args.out / f"{split}.jsonl", (json.dumps(x, ensure_ascii=False) for x in documents))
    write_atomically(args.out / "sources.json", [json.dumps(reports, indent=1, ensure_ascii=False)])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, default=argparse.SUPPRESS, help="folder for the four files")
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,
        help="folder for packages: WORK/debs/*.deb, WORK/unpacked/PACKAGE; what is there is used again",
    )
    parser.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="the repository's corpus")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="these sources only (none: all)",
        choices=[x.name for x in SOURCES],
    )
    parser.add_argument("--skip-missing", action="store_true", help="go on without packages that cannot be had")
    try:
        return gather(parser.parse_args())
    except (FormatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
