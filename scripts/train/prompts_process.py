"""Prompts from `prm-score prompts`, so that training sees exactly what scoring will show."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from program import ProgramRun
from prompt import TEMPLATE_HEAD, TEMPLATE_TAIL


@dataclass(frozen=True)
class ChunkPrompt:
    """Prompt of one chunk. `begin`, `end`: its code points in the text; a cut character may put them off by one.

    They are counted in the prompts, whose text is normalised: the text given should be in NFC.
    """

    line: int
    chunk: int
    num_tokens: int
    begin: int
    end: int
    prompt: str
    input_ids: list[int]


def chunk_prompts(program: Path, model: Path, texts: Iterable[str]) -> Iterator[ChunkPrompt]:
    """Prompts of all chunks of all texts, in order; `line` is the text's number, from 0. Throws ProgramError.

    A text without tokens has no prompts. Memory does not grow with the number of texts.
    """
    arguments = ["prompts", "--model", str(model), "--errors-ok", "--progress", "none"]
    failures: list[BaseException] = []
    with ProgramRun(program, arguments, subprocess.PIPE) as run:
        feeder = threading.Thread(target=_feed, args=(run.process.stdin, texts, failures), daemon=True)
        feeder.start()
        yield from _chunks(run.stdout)
        code = run.wait()
        feeder.join()
        if code != 0:
            raise run.failure(f"prompts --model {model}: ")
    if failures:
        raise failures[0]


def _feed(stdin: IO[bytes], texts: Iterable[str], failures: list[BaseException]) -> None:
    try:
        with stdin:
            for text in texts:
                stdin.write(json.dumps({"text": text}).encode() + b"\n")
    except BrokenPipeError:
        pass  # the program ended early; its exit code says why
    except BaseException as error:  # handed to the thread that waits
        failures.append(error)


def _chunks(stdout: IO[bytes]) -> Iterator[ChunkPrompt]:
    line, begin = -1, 0
    for raw in stdout:
        if not raw.endswith(b"\n"):
            return  # the program was stopped in the middle of it; how it ended says why
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
    """Where the template's head begins: the expected place or one near it, whatever the texts hold, else the last."""
    places = range(max(0, expected - _CUT_CHARACTER), expected + _CUT_CHARACTER + 1)
    for place in sorted(places, key=lambda x: abs(x - expected)):
        if prompt.startswith(TEMPLATE_HEAD, place):
            return place
    return prompt.rindex(TEMPLATE_HEAD, 0, len(prompt) - len(TEMPLATE_TAIL) + 1)
