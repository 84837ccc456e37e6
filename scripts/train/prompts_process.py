"""Prompts from `prm-score prompts`, so that training sees exactly what scoring will show."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from documents import InputError
from prompt import TEMPLATE_HEAD, TEMPLATE_TAIL

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ChunkPrompt:
    """Prompt of one chunk. `begin`, `end`: the chunk's code points in the text; a cut character may put them off by one."""

    line: int
    chunk: int
    num_tokens: int
    begin: int
    end: int
    prompt: str
    input_ids: list[int]


class PromptsError(Exception):
    """The program could not be run, or refused what it was given; the message is its own."""


def find_program(path: Path | None) -> Path:
    """The given program, else the one in build/, else the one on the PATH. Throws InputError."""
    if path is None:
        path = REPOSITORY / "build" / "prm-score"
        if not path.is_file() and (found := shutil.which("prm-score")):
            path = Path(found)
    if not path.is_file():
        raise InputError(f"{path}: no such program; build it with scripts/quickstart.sh, or name it with --prm-score")
    return path


def chunk_prompts(program: Path, model: Path, texts: Iterable[str]) -> Iterator[ChunkPrompt]:
    """Prompts of all chunks of all texts, in order; `line` is the text's number, from 0. Throws PromptsError.

    A text without tokens has no prompts. Memory does not grow with the number of texts.
    """
    command = [str(program), "prompts", "--model", str(model), "--errors-ok", "--progress", "none"]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise PromptsError(f"{program}: {error}") from error
    assert process.stdin and process.stdout and process.stderr
    failures: list[BaseException] = []
    messages: list[bytes] = []
    threads = [
        threading.Thread(target=_feed, args=(process.stdin, texts, failures), daemon=True),
        threading.Thread(target=lambda: messages.append(process.stderr.read()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    complete = False
    try:
        yield from _chunks(process.stdout)
        complete = True
    finally:
        if not complete:
            process.kill()
        code = process.wait()
    for thread in threads:
        thread.join()
    if code != 0:
        said = b"".join(messages).decode(errors="replace").strip().splitlines()
        raise PromptsError(f"{' '.join(command)}: exit code {code}: {said[-1] if said else 'no message'}")
    if failures:
        raise failures[0]


def _feed(stdin: IO[bytes], texts: Iterable[str], failures: list[BaseException]) -> None:
    try:
        with stdin:
            for text in texts:
                stdin.write(json.dumps({"text": text}).encode() + b"\n")
    except BrokenPipeError:
        pass  # the program ended early; its exit code says why
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
        failures.append(error)


def _chunks(stdout: IO[bytes]) -> Iterator[ChunkPrompt]:
    line, begin = -1, 0
    for raw in stdout:
        row = json.loads(raw)
        if "error" in row:
            continue
        if row["line"] != line:
            line, begin = row["line"], 0
        prompt = row["prompt"]
        head = _head_place(prompt, begin)
        length = len(prompt) - head - len(TEMPLATE_HEAD) - len(TEMPLATE_TAIL)
        # The context says where the chunk begins, unless its own beginning was cut off to fit the positions.
        begin = head if abs(head - begin) <= _CUT_CHARACTER else begin
        yield ChunkPrompt(
            line=line - 1,
            chunk=row["chunk"],
            num_tokens=row["end"] - row["start"],
            begin=begin,
            end=begin + length,
            prompt=prompt,
            input_ids=row["input_ids"],
        )
        begin += length


_CUT_CHARACTER = 4
"""A character cut by a chunk's border is up to this many replacement characters in the two halves."""


def _head_place(prompt: str, expected: int) -> int:
    """Where the template's head begins: at the expected place or near it, whatever the texts hold, else the last one."""
    for place in sorted(range(max(0, expected - _CUT_CHARACTER), expected + _CUT_CHARACTER + 1), key=lambda x: abs(x - expected)):
        if prompt.startswith(TEMPLATE_HEAD, place):
            return place
    return prompt.rindex(TEMPLATE_HEAD, 0, len(prompt) - len(TEMPLATE_TAIL) + 1)
