"""The prose of reStructuredText files."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator

from prose import GAP, HEADING, ITEM, PARAGRAPH, TERM, TERM_LEVEL, Block

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
