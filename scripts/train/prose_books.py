"""Novels and the Bible, and the file formats in which packages hold them."""

from __future__ import annotations

import re
import struct
import subprocess
import zlib
from collections.abc import Iterable
from itertools import pairwise

from errors import InputError
from prose import HEADING, PARAGRAPH, Block, paragraphs_of


def r_strings(data: bytes) -> list[str]:
    """The character vector that an R XDR serialisation holds."""
    character_vector, characters = 16, 9
    if data[:2] != b"X\n":
        raise InputError("not an XDR serialisation of R")
    version, position = struct.unpack_from(">i", data, 2)[0], 14
    if version >= 3:
        position += 4 + struct.unpack_from(">i", data, position)[0]
    flags, count = struct.unpack_from(">ii", data, position)
    if flags & 0xFF != character_vector:
        raise InputError(f"R object of type {flags & 0xFF}, not a character vector")
    position += 8
    strings = []
    for _ in range(count):
        flags, length = struct.unpack_from(">ii", data, position)
        if flags & 0xFF != characters:
            raise InputError(f"R object of type {flags & 0xFF} in a character vector")
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
        except InputError:
            continue
    return vectors


def unsqueeze(data: bytes) -> str:
    """The text of `bible.data`: windows packed by compress(1), all but the first one stored without its header."""
    magic, count_at, header = b"EC02", 0x58, b"\x1f\x9d\x90"
    if data[:4] != magic:
        raise InputError("bible.data: not a compressed data file of the known version")
    count = struct.unpack_from(">I", data, count_at)[0]
    places = struct.unpack_from(f">{count + 1}I", data, count_at + 4)
    text = b""
    for begin, end in pairwise(places):
        done = subprocess.run(["gzip", "-dc"], input=header + data[begin:end], capture_output=True, check=False)
        if done.returncode:
            raise InputError(f"bible.data: {done.stderr.decode().strip()}")
        text += done.stdout
    return text.decode("latin-1")


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


BIBLE_BOOKS = (
    "Genesis,Exodus,Leviticus,Numbers,Deuteronomy,Joshua,Judges,Ruth,1 Samuel,2 Samuel,1 Kings,2 Kings,1 Chronicles,"
    "2 Chronicles,Ezra,Nehemiah,Esther,Job,Psalms,Proverbs,Ecclesiastes,Song of Solomon,Isaiah,Jeremiah,Lamentations,"
    "Ezekiel,Daniel,Hosea,Joel,Amos,Obadiah,Jonah,Micah,Nahum,Habakkuk,Zephaniah,Haggai,Zechariah,Malachi,Matthew,Mark,"
    "Luke,John,Acts,Romans,1 Corinthians,2 Corinthians,Galatians,Ephesians,Philippians,Colossians,1 Thessalonians,"
    "2 Thessalonians,1 Timothy,2 Timothy,Titus,Philemon,Hebrews,James,1 Peter,2 Peter,1 John,2 John,3 John,Jude,"
    "Revelation"
).split(",")
VERSE = re.compile(r"^(\d?[A-Za-z]+)(\d+):(\d+) (.*)$", re.MULTILINE)
