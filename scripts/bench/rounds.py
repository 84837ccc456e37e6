"""The measurement: all participants take turns, several times, on the same documents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.errors import BenchError
from bench.lanes import Lane, Workload
from bench.participants import Scored
from bench.ratios import largest_difference, ratio_of

TOLERANCE = 1e-3
"""Of log-odds in float32: a rival that is further away computes something else."""
LIMIT_FACTOR = 4
MIN_LIMIT_SECONDS = 120.0
Json = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    rounds: int
    max_seconds: float
    """For each participant and set, over all rounds."""

    @property
    def turn_seconds(self) -> float:
        """A turn that takes longer was predicted wrongly, and is stopped."""
        return max(MIN_LIMIT_SECONDS, LIMIT_FACTOR * self.max_seconds)


@dataclass
class Times:
    """Of one participant: seconds of each round."""

    count: int
    seconds: list[float] = field(default_factory=list)
    log_odds: list[list[float]] = field(default_factory=list)
    moved: float = 0.0
    """Largest difference of a log-odds from that of the round before."""

    def add(self, scored: Scored) -> None:
        if self.log_odds:
            self.moved = max(self.moved, largest_difference(scored.log_odds, self.log_odds))
        self.seconds.append(scored.seconds)
        self.log_odds = scored.log_odds


def affordable_count(lane: Lane, workload: Workload, rounds: int, max_seconds: float) -> int:
    """How many of the documents, from the first on, it can score within the time; 0 if not even one."""
    count = workload.input.count
    while count > 0 and lane.predicted_seconds(workload, count) * rounds > max_seconds:
        count -= 1
    return count


def affordable_rounds(baseline: Lane, workload: Workload, limits: Limits) -> int:
    """prm-score always scores all documents; where that takes long, there are fewer rounds."""
    predicted = baseline.predicted_seconds(workload, workload.input.count)
    return max(1, min(limits.rounds, int(limits.max_seconds / predicted)))


def measure_set(baseline: Lane, rivals: Sequence[Lane], workload: Workload, limits: Limits) -> Json:
    """Throws BenchError if prm-score itself fails."""
    rounds = affordable_rounds(baseline, workload, limits)
    too_slow: dict[str, str] = {}
    times: dict[str, Times] = {}
    for lane in rivals:
        count = affordable_count(lane, workload, rounds, limits.max_seconds)
        if lane.participant is None:
            continue
        if count == 0:
            predicted = lane.predicted_seconds(workload, 1)
            too_slow[lane.name.text] = f"too slow: about {predicted:,.0f} s for one document"
        else:
            times[lane.name.text] = Times(count)
    base_times = _run_rounds(baseline, rivals, times, workload, rounds, limits)
    if baseline.participant is None:
        raise BenchError(f"{baseline.name.text}: {workload.name}: {baseline.reason}")
    return {
        "set": workload.name,
        "num_words": workload.num_words,
        "documents": workload.input.count,
        "rounds": rounds,
        "plan": workload.plan,
        "prm_score_seconds": {str(count): found.seconds for count, found in base_times.items()},
        "prm_score_moved": max(found.moved for found in base_times.values()),
        "prm_score_log_odds": base_times[workload.input.count].log_odds,
        "rivals": {lane.name.text: _result(lane, times, too_slow, base_times) for lane in rivals},
    }


def _run_rounds(
    baseline: Lane,
    rivals: Sequence[Lane],
    times: dict[str, Times],
    workload: Workload,
    rounds: int,
    limits: Limits,
) -> dict[int, Times]:
    """Fills `times`; gives prm-score's times for each number of documents that some participant scored."""
    counts = sorted({workload.input.count} | {found.count for found in times.values()})
    base_times = {count: Times(count) for count in counts}
    turns = [(baseline, base_times[count]) for count in counts]
    turns += [(lane, times[lane.name.text]) for lane in rivals if lane.name.text in times]
    for number in range(rounds):
        first = number % len(turns)  # nobody always follows the same one
        for lane, found in turns[first:] + turns[:first]:
            _take_turn(lane, found, workload, limits)
        shown = base_times[workload.input.count].seconds[-1:]
        print(f"bench: {workload.name}: round {number + 1} of {rounds}: {shown}", file=sys.stderr, flush=True)
    return base_times


def _take_turn(lane: Lane, found: Times, workload: Workload, limits: Limits) -> None:
    scored = lane.score(workload, found.count, limits.turn_seconds)
    if scored is not None:
        found.add(scored)


def _result(lane: Lane, times: dict[str, Times], too_slow: dict[str, str], base_times: dict[int, Times]) -> Json:
    name = lane.name.text
    if name in too_slow:
        return {"reason": too_slow[name]}
    if lane.reason is not None or name not in times:
        return {"reason": lane.reason}
    found = times[name]
    base = base_times[found.count]
    return {
        "reason": None,
        "documents": found.count,
        "seconds": found.seconds,
        "ratio": asdict(ratio_of(found.seconds, base.seconds)),
        "largest_difference": largest_difference(found.log_odds, base.log_odds),
        "moved": found.moved,
        "held_to_tolerance": lane.held_to_tolerance,
    }


def measure_growth(lanes: Sequence[Lane], workloads: Sequence[Workload], max_seconds: float, repeats: int) -> Json:
    """Times of all lanes over workloads of growing size; a lane drops out where it would take longer than that."""
    curves: dict[str, list[Json]] = {lane.name.text: [] for lane in lanes}
    going_on = [lane for lane in lanes if lane.participant is not None]
    for workload in workloads:
        count = workload.input.count
        going_on = [lane for lane in going_on if lane.predicted_seconds(workload, count) * repeats <= max_seconds]
        seconds: dict[str, list[float]] = {}
        for _ in range(repeats):
            for lane in going_on:
                scored = lane.score(workload, count, MIN_LIMIT_SECONDS + LIMIT_FACTOR * max_seconds)
                if scored is not None:
                    seconds.setdefault(lane.name.text, []).append(scored.seconds)
        going_on = [lane for lane in going_on if lane.participant is not None]
        for name, found in seconds.items():
            curves[name].append({"words": workload.num_words, "documents": count, "seconds": found})
    return {name: curve for name, curve in curves.items() if curve}
