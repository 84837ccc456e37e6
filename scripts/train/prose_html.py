"""The prose of HTML pages."""

from __future__ import annotations

import re
import warnings

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.element import NavigableString, PageElement, PreformattedString, Tag
from prose import GAP, HEADING, ITEM, PARAGRAPH, TERM, TERM_LEVEL, Block

warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)  # XHTML pages


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
