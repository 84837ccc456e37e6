"""The files of a source as documents, one reader for each kind of file."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import InputError
from lxml import etree
from prose import HEADING, PARAGRAPH, Block, paragraphs_of
from prose_books import BIBLE_BOOKS, VERSE, chapters, r_vectors, unsqueeze
from prose_dictionaries import dict_entries
from prose_html import html_blocks
from prose_mallard import MallardReader
from prose_pod import pod_blocks
from prose_rst import rst_blocks, rst_labels


@dataclass
class RawDocument:
    """A piece of a source; documents of one `group` may be joined when they are small."""

    id: str
    blocks: list[Block]
    group: str = ""


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


def read_html(files: Files) -> Iterator[RawDocument]:
    for path in files.paths:
        yield RawDocument(files.name(path), html_blocks(path.read_bytes()), str(path.parent))


def read_rst(files: Files) -> Iterator[RawDocument]:
    texts = {path: read_text(path) for path in files.paths}
    labels = rst_labels(texts.values())
    for path, text in texts.items():
        yield RawDocument(files.name(path), rst_blocks(text, labels))


def read_pod(files: Files) -> Iterator[RawDocument]:
    for path in files.paths:
        yield RawDocument(files.name(path), pod_blocks(read_text(path)))


def read_mallard(files: Files) -> Iterator[RawDocument]:
    pages = {path: etree.fromstring(path.read_bytes()) for path in files.paths}
    titles = {}
    for page in pages.values():
        for node in page.iter("{*}page", "{*}section"):
            if node.get("id") and (title := node.find("{*}title")) is not None:
                titles[node.get("id")] = " ".join("".join(title.itertext()).split())
    reader = MallardReader(titles)
    for path, page in pages.items():
        yield RawDocument(files.name(path), list(reader.blocks(page)), "pages")


def read_dict(blocks_of: Callable[[str], list[Block]]) -> Callable[[Files], Iterator[RawDocument]]:
    def read(files: Files) -> Iterator[RawDocument]:
        for path in files.paths:
            index = path.with_name(path.name.removesuffix(".dict.dz") + ".index")
            for i, entry in enumerate(dict_entries(read_text(index), gzip.decompress(path.read_bytes()))):
                yield RawDocument(f"{i:05d}", blocks_of(entry), "entries")

    return read


def read_austen(files: Files) -> Iterator[RawDocument]:
    for path in files.paths:
        for lines in r_vectors(path.read_bytes()):
            title = re.sub(r"\W+", "-", next((x for x in lines if x.strip()), "novel").strip().lower())
            for i, blocks in enumerate(chapters(lines), start=1):
                yield RawDocument(f"{title}/{i:02d}", blocks, title)


def read_novel(files: Files) -> Iterator[RawDocument]:
    for path in files.paths:
        for i, blocks in enumerate(chapters(read_text(path).splitlines()), start=1):
            yield RawDocument(f"{i:03d}", blocks, path.name)


def read_bible(files: Files) -> Iterator[RawDocument]:
    books: dict[str, dict[int, list[str]]] = {}
    for path in files.paths:
        for book, chapter, _, verse in VERSE.findall(unsqueeze(path.read_bytes())):
            books.setdefault(book, {}).setdefault(int(chapter), []).append(verse)
    if len(books) != len(BIBLE_BOOKS):
        raise InputError(f"bible.data: {len(books)} books, not {len(BIBLE_BOOKS)}: {' '.join(books)}")
    for name, book in zip(BIBLE_BOOKS, books.values(), strict=True):
        for chapter, verses in book.items():
            text = " ".join(re.sub(r"[\[\]<>]", "", v) for v in verses)
            blocks = [Block(HEADING, f"{name} {chapter}", 1), Block(PARAGRAPH, text)]
            yield RawDocument(f"{name.lower().replace(' ', '-')}/{chapter:03d}", blocks, name)


def read_plain(files: Files) -> Iterator[RawDocument]:
    for path in files.paths:
        yield RawDocument(path.stem, [Block(PARAGRAPH, x) for x in paragraphs_of(read_text(path).splitlines())])
