"""Reading documents, cutting excerpts, labelling chunks."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from documents import Document, ExcerptLengths, pick_excerpts, read_documents
from errors import InputError
from versions import Label, Version, in_nfc, merged, read_versions, read_with_places, version_of

LENGTHS = ExcerptLengths(min_chunks=2, max_chunks=4, long_share=0.0, long_chunks=8)


def test_reads_lines_files_and_folders(tmp_path: Path) -> None:
    lines = tmp_path / "docs.jsonl"
    lines.write_text('{"id":"a","source":"news","text":" one\u2028two "}\n\n{"text":"three"}\n', encoding="utf-8")
    folder = tmp_path / "books" / "inner"
    folder.mkdir(parents=True)
    (folder / "b.txt").write_text("four\n", encoding="utf-8")
    single = tmp_path / "c.txt"
    single.write_text("five", encoding="utf-8")
    assert read_documents([lines, tmp_path / "books", single]) == [
        Document("a", "news", "one\u2028two"),
        Document("docs/3", "docs", "three"),
        Document("books/inner/b", "books", "four"),
        Document("c", "c", "five"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{bad\n", "docs.jsonl:1: not JSON"),
        ('{"text":"x"}\n{"body":"y"}\n', 'docs.jsonl:2: expected an object with a string in "text"'),
        ('{"text":7}\n', "docs.jsonl:1: expected an object"),
        ('{"id":"a","text":"x"}\n{"id":"a","text":"y"}\n', "docs.jsonl:2: id 'a' stands at"),
        ("[" * 100_000 + "\n", "docs.jsonl:1: not JSON"),
        ('{"text":"x"}\n{"text":"ab\\ud800"}\n', "docs.jsonl:2: text: expected Unicode text, found the lone surrogate"),
        ('{"id":"\\udc00","text":"x"}\n', "docs.jsonl:1: id: expected Unicode text"),
        ("\n", "expected at least one document"),
    ],
)
def test_bad_lines_name_the_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="(?s)" + message.replace(".", r"\.")):
        read_documents([path])


def test_texts_come_in_nfc(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("cafe\u0301", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text":"cafe\\u0301"}\n', encoding="utf-8")
    texts = [document.text for document in read_documents([tmp_path / "a.txt", tmp_path / "b.jsonl"])]
    assert texts == ["caf\u00e9"] * 2


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.jsonl"):
        read_documents([tmp_path / "no.jsonl"])
    with pytest.raises(InputError, match=r"expected \*\.txt or \*\.txt\.gz files"):
        read_documents([tmp_path])


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"x\.txt"):
        read_documents([path])


def test_a_packed_text_beside_the_plain_one_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one"))
    assert [document.text for document in read_documents([tmp_path])] == ["one"]


def test_gzip_is_read_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    lines = gzip.compress(b'{"text":"one"}\n{"id":"x","text":"two"}\n')
    (tmp_path / "docs.jsonl.gz").write_bytes(lines)
    (tmp_path / "packed.jsonl").write_bytes(gzip.compress(b'{"text":"three"}\n'))
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"four"))
    (folder / "a.txt.gz").write_bytes(gzip.compress(b"five"))
    (folder / "b.txt").write_bytes(b"six\r\nseven")
    paths = [tmp_path / name for name in ("docs.jsonl.gz", "packed.jsonl", "c.txt.gz", "books")]
    assert read_documents(paths) == [
        Document("docs/1", "docs", "one"),
        Document("x", "docs", "two"),
        Document("packed/1", "packed", "three"),
        Document("c", "c", "four"),
        Document("books/a", "books", "five"),
        Document("books/b", "books", "six\nseven"),
    ]


@pytest.mark.parametrize("name", ["docs.jsonl", "docs.jsonl.zst", "docs.txt"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x28\xb5\x2f\xfd\x24\x00", "expected text, plain or gzip, found zstd; unpack it first"),
        (gzip.compress(b'{"text":"one"}\n' * 99)[:-9], "expected whole gzip data, found other: "),
        (gzip.compress(b'{"text":"one"}\n')[:-8] + bytes(8), "expected whole gzip data, found other: "),
    ],
)
def test_packed_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_documents([path])
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"text":"two"}\n')
    assert [document.text for document in read_documents([tmp_path / "a.txt", tmp_path / "b.jsonl"])] == ["one", "two"]


def test_latin_1_names_the_byte(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.txt").write_bytes(b"a" * 70_000 + "é".encode("latin-1"))
    (tmp_path / "x.jsonl").write_bytes(b'{"text":"a"}\n{"text":"\xe9"}\n')
    for path, place, byte in ((folder, folder / "x.txt", 70_000), (tmp_path / "x.jsonl", f"{tmp_path}/x.jsonl:2", 9)):
        with pytest.raises(InputError) as caught:
            read_documents([path])
        assert str(caught.value) == f"{place}: expected UTF-8, found the byte 0xe9 at {byte}"


def test_excerpts_lie_apart_and_begin_at_sentences() -> None:
    text = " ".join(f"Sentence number {i} is here." for i in range(500))
    excerpts = pick_excerpts([Document("d", "s", text)], 10, LENGTHS, 256.0, seed=1)
    assert len(excerpts) == 10
    assert len({e.id for e in excerpts}) == 10
    assert all(e.text.startswith("Sentence number") for e in excerpts)
    assert all(2 <= e.max_chunks <= 4 for e in excerpts)
    assert excerpts == pick_excerpts([Document("d", "s", text)], 10, LENGTHS, 256.0, seed=1)
    assert excerpts != pick_excerpts([Document("d", "s", text)], 10, LENGTHS, 256.0, seed=2)


def test_excerpts_of_text_without_sentences_have_their_own_ids() -> None:
    """A table between sentences: what begins in it must not move to its end, all to the same place."""
    text = "One sentence. " * 100 + "alpha beta gamma delta " * 700 + "Another sentence. " * 300
    excerpts = pick_excerpts([Document("d", "s", text)], 100, LENGTHS, 256.0, seed=1)
    places = sorted(int(e.id.partition("@")[2] or 0) for e in excerpts)
    assert len(places) == len(set(places)) == 23
    assert sum(1400 < place < 17500 for place in places) > 14


def test_excerpts_that_begin_at_the_same_sentence_are_one() -> None:
    text = "x" * 1000 + "\n" * 24 + "y" * 3000  # the second place is 1024
    excerpts = pick_excerpts([Document("d", "s", text), Document("d@1024", "s", "z" * 99)], 100, LENGTHS, 256.0, seed=1)
    assert len({e.id for e in excerpts}) == len(excerpts)


def test_no_count_means_the_beginning_of_each_document() -> None:
    documents = [Document("a", "s", "First text."), Document("b", "s", "Second text.")]
    assert [(e.id, e.text) for e in pick_excerpts(documents, None, LENGTHS, 256.0, seed=1)] == [
        ("a", "First text."),
        ("b", "Second text."),
    ]


def version(**ranges: tuple[tuple[int, int], ...]) -> Version:
    return Version(id="v", document="d", source="s", kind="splice", scope="document", text="x" * 100, **ranges)


@pytest.mark.parametrize(
    ("chosen", "rejected", "chunk", "label"),
    [
        (((0, 100),), (), (0, 50), 1),
        ((), ((0, 100),), (0, 50), 0),
        (((0, 25),), ((25, 100),), (0, 50), 0),  # exactly half
        (((0, 26),), ((26, 100),), (0, 50), None),  # less than half, but not clean either
        (((0, 47),), (), (0, 50), None),  # three code points that nobody vouches for
        (((0, 49),), (), (0, 50), 1),  # a cut character
        (((0, 49),), ((49, 100),), (0, 50), None),
        ((), ((0, 10), (40, 55)), (0, 40), None),
        ((), ((0, 10), (20, 30)), (0, 40), 0),
        ((), (), (0, 50), None),
        ((), (), (0, 2), None),  # nobody vouches for it, short as it is
        (((0, 100),), (), (50, 50), None),
    ],
)
def test_label(
    chosen: tuple[tuple[int, int], ...],
    rejected: tuple[tuple[int, int], ...],
    chunk: tuple[int, int],
    label: int | None,
) -> None:
    found = version(chosen=chosen, rejected=rejected).label(chunk)
    assert found == label
    assert found is None or isinstance(found, Label)


def test_merged_ranges() -> None:
    assert merged([(5, 10), (0, 5), (12, 12), (20, 30), (22, 25)]) == ((0, 10), (20, 30))


def test_texts_in_nfc_keep_their_ranges() -> None:
    """Accents that were put behind letters become one code point with them."""
    original = version(chosen=((0, 3), (6, 8)), rejected=((3, 6),))
    changed = in_nfc(replace(original, text="e\u0301ax\u0323\u0307e\u0301"))
    assert changed.text == "\u00e9a\u1e8b\u0323\u00e9"
    assert changed.chosen == ((0, 2), (4, 5)) and changed.rejected == ((2, 4),)
    assert in_nfc(original) is original


def test_version_lines_round_trip() -> None:
    original = version(chosen=((0, 3),), rejected=((3, 9), (12, 20)))
    line = original.line()
    assert line.endswith("\n") and "\n" not in line[:-1]
    assert version_of(line.encode(), "x:1") == original
    assert json.loads(line)["rejected"] == [[3, 9], [12, 20]]


def fields(**other: Any) -> dict[str, Any]:
    return json.loads(version(chosen=((0, 100),)).line()) | other


def write_lines(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_versions_are_read_one_by_one(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "x.jsonl", fields(), fields(id="w", provenance={"sampler": "m"}), fields(scope="word")
    )
    versions = read_versions(path)
    assert next(versions).id == "v"
    assert next(versions).provenance == {"sampler": "m"}
    with pytest.raises(InputError, match="scope"):
        next(versions)
    assert next(read_with_places(path))[0] == f"{path}:1"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"{", "expected JSON, found something else"),
        (b'"\xff"', "expected UTF-8, found the byte 0xff"),
        (b"[]", "expected a JSON object, found []"),
        ({"source": None}, 'field "source": expected a string, found null'),
        ({"kind": 1}, 'field "kind": expected a string, found 1'),
        ({"scope": "word"}, 'field "scope": expected "document" or "chunk", found "word"'),
        ({"strength": 2}, 'field "strength": expected a number of 0 to 1 or null, found 2'),
        ({"strength": True}, 'field "strength": expected a number of 0 to 1 or null, found true'),
        ({"text": 3}, 'field "text": expected a string, found 3'),
        ({"chosen": [[0, 101]]}, 'field "chosen": expected a list of [begin, end] with 0 <= begin <= end <= 100'),
        ({"rejected": [[3, 2]]}, 'field "rejected": expected a list'),
        ({"provenance": []}, 'field "provenance": expected an object, found []'),
        ({"id": "v"}, 'field "id": expected one of its own, found "v" of'),
    ],
)
def test_bad_versions(broken: bytes | dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    second = broken if isinstance(broken, bytes) else json.dumps(fields(id="w") | broken).encode()
    path.write_bytes(json.dumps(fields()).encode() + b"\n\n" + second + b"\n")
    with pytest.raises(InputError) as caught:
        list(read_versions(path))
    assert str(caught.value).startswith(f"{path}:3: {message}")


@pytest.mark.parametrize(
    "field", ["id", "document", "source", "kind", "scope", "strength", "temperature", "text", "chosen", "rejected"]
)
def test_missing_fields(field: str, tmp_path: Path) -> None:
    broken = fields()
    del broken[field]
    with pytest.raises(InputError, match=rf'x\.jsonl:1: field "{field}": expected .*, found no such field'):
        list(read_versions(write_lines(tmp_path / "x.jsonl", broken)))
