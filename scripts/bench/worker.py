"""One rival in a process of its own: JSON lines in, JSON lines out.

    {"call":"prepare", ..}                      -> {"seconds":..}
    {"call":"score","prompts":FILE,"count":N}   -> {"seconds":..,"log_odds":[[..],..]}

An answer may be {"error":"one line"} instead. Reading prompts is not timed, loading the model neither; the memory of
this process, its threads and its crashes are no other rival's.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from bench.prompts import DocumentPrompts, read_prompts
from bench.rivals import KINDS
from bench.rivals.interface import Preparation, Rival

Json = dict[str, Any]


@cache
def prompts_of(path: Path) -> list[DocumentPrompts]:
    return read_prompts(path)


def load_rival(implementation: str) -> Rival:
    module, _, name = implementation.partition(":")
    return getattr(importlib.import_module(f"bench.rivals.{module}"), name)()


def preparation_of(request: Json) -> Preparation:
    return Preparation(
        checkpoint=Path(request["checkpoint"]),
        converted=Path(request["converted"]),
        dtype=request["dtype"],
        device=request["device"],
        threads=request["threads"],
        label_ids=(request["label_ids"][0], request["label_ids"][1]),
        longest_prompt=request["longest_prompt"],
        settings=request["settings"],
    )


class Worker:
    def __init__(self, implementation: str):
        self._implementation = implementation
        self._rival: Rival | None = None

    def answer(self, request: Json) -> Json:
        try:
            return self._prepare(request) if request["call"] == "prepare" else self._score(request)
        except Exception as error:  # whatever it is, it is this rival's answer
            message = " ".join(str(error).split())
            return {"error": f"{type(error).__name__}: {message}"[:500]}

    def _prepare(self, request: Json) -> Json:
        start = time.perf_counter()
        self._rival = load_rival(self._implementation)
        self._rival.prepare(preparation_of(request))
        return {"seconds": time.perf_counter() - start}

    def _score(self, request: Json) -> Json:
        assert self._rival is not None
        documents = prompts_of(Path(request["prompts"]))[: request["count"]]
        start = time.perf_counter()
        log_odds = self._rival.score(documents)
        return {"seconds": time.perf_counter() - start, "log_odds": log_odds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rival", choices=KINDS)
    args = parser.parse_args()
    # Libraries print to standard output, too: answers go out by another descriptor.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        worker = Worker(KINDS[args.rival].implementation)
        for line in sys.stdin:
            answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
