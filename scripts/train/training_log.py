"""The log of a training run: lines of JSON."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from statistics import fmean
from typing import Any

from losses import Answers
from writing import writing


class Log:
    """`path` gets a line for each call of `write`; "seconds" count all parts of an interrupted run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._losses: list[float] = []
        self._right: list[float] = []
        self._began = time.monotonic()

    def add(self, answers: Answers) -> None:
        self._losses += answers.losses.detach().tolist()
        self._right += ((answers.log_odds.detach() > 0) == (answers.labels > 0.5)).float().tolist()

    def write(self, step: int, **values: float) -> dict[str, float]:
        """Mean loss and accuracy of the answers since the last line, if there are any, and `values`. The record."""
        if self._losses:
            values = {"loss": fmean(self._losses), "accuracy": fmean(self._right), **values}
        record: dict[str, float] = {"step": step, "seconds": round(time.monotonic() - self._began, 1)}
        record |= {name: round(value, 4) for name, value in values.items()}
        with writing(self._path), self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")
        self._losses, self._right = [], []
        return record

    def remove(self) -> None:
        """What another run has left."""
        self._path.unlink(missing_ok=True)

    def state(self) -> dict[str, Any]:
        """For `go_on`, with what the next line is to say of the steps so far."""
        num_bytes = self._path.stat().st_size if self._path.exists() else 0
        seconds = time.monotonic() - self._began
        return {"num_bytes": num_bytes, "seconds": seconds, "losses": self._losses, "right": self._right}

    def go_on(self, state: dict[str, Any]) -> None:
        """As if the run had never gone further than to the `state`: lines behind it would be written twice."""
        if self._path.exists() and self._path.stat().st_size > state["num_bytes"]:
            with writing(self._path):
                os.truncate(self._path, state["num_bytes"])
        self._began = time.monotonic() - state["seconds"]
        self._losses, self._right = list(state["losses"]), list(state["right"])
