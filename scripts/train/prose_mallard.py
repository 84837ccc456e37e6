"""The prose of Mallard pages, GNOME's help format."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree
from prose import GAP, HEADING, ITEM, PARAGRAPH, TERM, TERM_LEVEL, Block

MALLARD_DROPPED = frozenset("info media screen code table comment links credit desc example synopsis".split())


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
