"""Targets: the numbers of a report that can be named, and which of them are as good as they should be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from errors import InputError
from evaluation_report import Json

AT_LEAST = ("pair_accuracy", "chunk_auc")
AT_MOST = ("ece", "brier", "drift", "length_bias")
"""Families of metrics, by what a target means; the sign of those that have one does not matter."""


def metrics(report: Json) -> dict[str, float | None]:
    """The numbers of one file that targets can name. None: there is such a number, but too little to measure it on."""
    result: dict[str, float | None] = {}
    result["pair_accuracy/overall"] = report["pair_accuracy"]["overall"]["accuracy"]
    for kind, cell in report["pair_accuracy"]["kinds"].items():
        result[f"pair_accuracy/{kind}"] = cell["accuracy"]
        for by in ("strength", "temperature"):
            for bucket, inner in cell.get(by, {}).items():
                result[f"pair_accuracy/{kind}/{by}/{bucket}"] = inner["accuracy"]
    result["chunk_auc/overall"] = report["chunk_auc"]["overall"]["auc"]
    for kind, cell in report["chunk_auc"]["kinds"].items():
        result[f"chunk_auc/{kind}"] = cell["auc"]
    if "calibration" in report:
        for score in ("ece", "brier"):
            for weights in ("balanced", "unweighted"):
                found = report["calibration"]
                result[f"{score}/{weights}"] = found and found[weights][score]
    result["drift"] = report["drift"] and report["drift"]["drift"]
    result["length_bias"] = report["length"]["spearman"]
    for source, part in report.get("sources", {}).items():
        result |= {f"source/{source}/{name}": value for name, value in metrics(part).items()}
    return result


@dataclass(frozen=True)
class Target:
    """`group` None: in every file that has such a metric."""

    group: str | None
    metric: str
    value: float

    @property
    def at_least(self) -> bool:
        return _family(self.metric) in AT_LEAST

    def reached(self, found: float | None) -> bool:
        if found is None:
            return False
        return found >= self.value if self.at_least else abs(found) <= self.value


def _family(metric: str) -> str:
    parts = metric.split("/")
    return parts[2] if parts[0] == "source" and len(parts) > 2 else parts[0]


def read_targets(path: Path, groups: Iterable[str]) -> list[Target]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found something else: {error}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{path}: expected an object of metrics and numbers")
    known = list(groups)
    targets = []
    for name, value in fields.items():
        group, colon, rest = name.partition(":")
        # A colon may also be part of a source's name.
        target_group, metric = (group, rest) if colon and group in known else (None, name)
        if _family(metric) not in AT_LEAST + AT_MOST:
            raise InputError(
                f'{path}: "{name}": expected [FILE NAME:][source/NAME/]METRIC, where the metric begins with one of '
                f"{', '.join(AT_LEAST + AT_MOST)} and the file is one of {', '.join(known)}"
            )
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise InputError(f'{path}: "{name}": expected a number, found {json.dumps(value)}')
        targets.append(Target(target_group, metric, float(value)))
    return targets


def check_targets(targets: Sequence[Target], reports: Json) -> list[Json]:
    """One entry per target and file that has it; a target that no file has is missed."""
    values = {group: metrics(report) for group, report in reports.items()}
    checked = []
    for target in targets:
        groups: list[str | None] = [g for g in values if target.group in (None, g) and target.metric in values[g]]
        for group in groups or [target.group]:
            found = values[group].get(target.metric) if group else None
            checked.append(
                {
                    "group": group,
                    "metric": target.metric,
                    "target": target.value,
                    "sense": "at least" if target.at_least else "at most",
                    "found": found,
                    "reached": target.reached(found),
                }
            )
    return checked
