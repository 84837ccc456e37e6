"""The prose of dictd databases: the Jargon File and the Devil's Dictionary."""

from __future__ import annotations

import re
import string

from prose import GAP, HEADING, ITEM, PARAGRAPH, Block, mend_gaps

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
        if not rows or (all(x.startswith("  ") for x in rows) and (len(rows) > 1 or len(rows[0]) < 60)):
            blocks.append(Block(GAP))
            continue
        for paragraph in re.split(r"\n {2,}", "\n".join(x for x in rows if not x.startswith(" " * 12))):
            blocks.append(Block(PARAGRAPH, " ".join(paragraph.replace("_", "").split())))
    blocks = list(mend_gaps([*blocks, Block(HEADING)]))
    return blocks if blocks and not re.fullmatch(r"[A-Z' -]+[.,]( \w+\.)*", blocks[0].text) else []
