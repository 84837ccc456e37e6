"""Judgement examples: the labelled chunks of versions, with the prompts of the program."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from prompt import CHOSEN, CHUNK_SIZE, REJECTED
from prompts_process import ChunkPrompt, chunk_prompts
from versions import CHUNK, REAL, Label, Version, read_versions
from writing import whole_file


def example_of(version: Version, chunk: ChunkPrompt, label: Label, with_text: bool) -> dict[str, Any]:
    completion = CHOSEN if label is Label.CHOSEN else REJECTED
    example: dict[str, Any] = {
        "document": version.document,
        "version": version.id,
        "kind": version.kind,
        "chunk": chunk.chunk,
        "num_tokens": chunk.num_tokens,
        "label": label,
        "input_ids": chunk.input_ids,
        "completion": completion,
        "provenance": {
            "source": version.source,
            "scope": version.scope,
            "strength": version.strength,
            "temperature": version.temperature,
            **version.provenance,
        },
    }
    if with_text:
        example["prompt"] = chunk.prompt
        example["segments"] = [{"text": chunk.prompt, "label": False}, {"text": completion, "label": True}]
    return example


def write_examples(program: Path, model: Path, versions: Path, examples: Path, with_text: bool) -> Counter[str]:
    """Labels the chunks of all versions; the file appears under its name when it is whole. Counts them by kind."""
    counts: Counter[str] = Counter()
    pending: deque[tuple[int, Version]] = deque()  # filled by the thread that feeds the program

    def texts() -> Iterator[str]:
        for number, version in enumerate(read_versions(versions)):
            pending.append((number, version))
            yield version.text

    with whole_file(examples) as partial, partial.open("w", encoding="utf-8") as out:
        for line, chunks in groupby(chunk_prompts(program, model, texts()), key=lambda chunk: chunk.line):
            _write_version(out, _take(pending, line), list(chunks), counts, with_text)
    return counts


def _take(pending: deque[tuple[int, Version]], line: int) -> Version:
    """The version with this number; those before it had no token, and so no prompt."""
    while True:
        number, version = pending.popleft()
        if number == line:
            return version


def _write_version(
    out: IO[str], version: Version, chunks: Sequence[ChunkPrompt], counts: Counter[str], with_text: bool
) -> None:
    for chunk in chunks:
        if version.scope == CHUNK and chunk.chunk != _first_rejected_chunk(version, chunks):
            continue
        # A last chunk of a few tokens shows too little to learn from.
        if chunk.num_tokens < CHUNK_SIZE // 4 or chunk.begin == chunk.end:
            continue
        label = version.label((chunk.begin, chunk.end))
        if label is not None:
            counts[version.kind if label is Label.REJECTED else REAL] += 1
            out.write(json.dumps(example_of(version, chunk, label, with_text), ensure_ascii=False) + "\n")


def _first_rejected_chunk(version: Version, chunks: Sequence[ChunkPrompt]) -> int:
    return next((c.chunk for c in chunks if version.label((c.begin, c.end)) is Label.REJECTED), -1)
