"""Paragraphs, list items and headings of a document; which of them are prose, and the text that they become."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MIN_DUPLICATE_CHARS = 60
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


def mend_gaps(blocks: list[Block]) -> Iterator[Block]:
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
    return _join_terms(_drop_empty_sections(list(mend_gaps(list(_keep_prose(blocks, seen))))))


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


def literature(blocks: Iterable[Block]) -> list[Block]:
    return [Block(b.kind, text, b.level) for b in blocks if (text := clean(b.text))]
