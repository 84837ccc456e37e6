"""The prose of POD, Perl's documentation format."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup
from prose import GAP, HEADING, ITEM, PARAGRAPH, TERM, TERM_LEVEL, Block

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
