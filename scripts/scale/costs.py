"""What a judge costs on a device: fitted to measurements, or computed from those of another judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from bench.make_checkpoint import SHAPES
from bench.work import ModelShape
from scale.errors import ScaleError
from scale.fit import Cost, Measured, fit, relative_error
from scale.work import Prompts, template_rows, work_of

Json = dict[str, Any]
CORE, H200 = "core", "H200"
QUIET_SHARE = 0.03
LONG_SECONDS = 3
ROWS_TOLERANCE = 0.02
"""Of the rows that are computed here, to those of the program."""
QWEN_CONTEXT = 32640
"""Of a judge with the positions and the tokenizer of Qwen2.5."""
BIG = "7B"
BIG_SHAPE = SHAPES["qwen2.5-7b"]
GPU_DOCUMENTS = "articles"
"""The distribution that the documents measured on the GPU stand for."""


@dataclass(frozen=True)
class Checked:
    """A set of documents that the fit did not see."""

    name: str
    error: float
    """Relative, of the fit."""


@dataclass(frozen=True)
class Lane:
    """A judge in a dtype on one unit of a device, in seconds of that unit."""

    title: str
    dtype: str
    unit: str
    cost: Cost
    prompts: Prompts
    measured: dict[str, float]
    """Seconds per million tokens of the distributions that were measured themselves."""
    checked: tuple[Checked, ...] = ()
    fit_error: float = 0
    """The largest relative error over the sets that were fitted."""
    start_seconds: float | None = None
    """Of a run without documents, which is mostly one thread's work; None: not measured."""

    def seconds_per_million(self, name: str, lengths: Sequence[int]) -> tuple[float, bool]:
        """And whether that was measured."""
        if name in self.measured:
            return self.measured[name], True
        return self.cost.seconds_per_million_tokens(work_of(lengths, self.prompts)), False


def processor_seconds(runs: Sequence[Json]) -> float:
    return median(run["processor_seconds"] for run in runs)


def net_processor_seconds(runs: Sequence[Json]) -> float:
    """Of runs with something to do, each beside one with nothing. Throws ScaleError if nothing is left."""
    seconds = median(run["documents"]["processor_seconds"] - run["nothing"]["processor_seconds"] for run in runs)
    if not seconds > 0:
        raise ScaleError(f"stages: expected more processor seconds than without documents, found {seconds:.3g} more")
    return seconds


def prompts_of(part: Json) -> Prompts:
    """The template's rows by the set with most chunks. Throws ScaleError if the rows of a set are not as computed."""
    scored = [one for one in part["sets"] if one["lengths"]]
    most = max(scored, key=lambda one: sum(one["lengths"]))
    rows = template_rows(most["lengths"], most["forward_rows"], most["max_context"])
    prompts = Prompts(rows, most["max_context"])
    for one in scored:
        computed = work_of(one["lengths"], prompts).rows
        if abs(computed / one["forward_rows"] - 1) > ROWS_TOLERANCE:
            raise ScaleError(
                f"{one['name']}: expected {computed:.0f} rows of the forward passes, found {one['forward_rows']}"
            )
    return prompts


def points_of(part: Json, prompts: Prompts, fitted: bool) -> list[Measured]:
    return [
        Measured(one["name"], work_of(one["lengths"], prompts), processor_seconds(one["runs"]))
        for one in part["sets"]
        if one["fitted"] == fitted
    ]


def fitted_lane(part: Json) -> Lane:
    """Of a judge on CPUs, in processor seconds."""
    prompts = prompts_of(part)
    points = points_of(part, prompts, fitted=True)
    held_out = points_of(part, prompts, fitted=False)
    cost = fit(points)
    return Lane(
        title=part["title"],
        dtype=part["dtype"],
        unit=CORE,
        cost=cost,
        prompts=prompts,
        measured={point.name: (point.seconds - cost.run) / point.work.tokens * 1e6 for point in held_out},
        checked=tuple(Checked(point.name, relative_error(cost, point)) for point in held_out),
        fit_error=max(abs(relative_error(cost, point)) for point in points),
        start_seconds=processor_seconds(nothing_of(part)["runs"]),
    )


def nothing_of(part: Json) -> Json:
    """The set without documents. Throws ScaleError."""
    for one in part["sets"]:
        if not one["lengths"]:
            return one
    raise ScaleError(f"{part['title']}: expected a set without documents, found none")


def busy_shares(part: Json, lane: Lane) -> list[float]:
    """Of the cores of a run, while it scored: those runs that had the machine to themselves for some seconds."""
    return [
        (run["processor_seconds"] - lane.cost.run) / (one["threads"] * run["scoring_seconds"])
        for one in part["sets"]
        for run in one["runs"]
        if run["others_share"] <= QUIET_SHARE and run["scoring_seconds"] >= LONG_SECONDS
    ]


def ratios(small: ModelShape, large: ModelShape) -> tuple[float, float]:
    """How many times the operations a row takes, and an attended key."""
    rows = large.num_hidden_layers * large.layer_parameters / (small.num_hidden_layers * small.layer_parameters)
    keys = large.num_hidden_layers * large.hidden_size / (small.num_hidden_layers * small.hidden_size)
    return rows, keys


def scaled_lane(part: Json, lane: Lane, title: str, shape: ModelShape) -> Lane:
    """A larger model of the same kind, as if its rows and keys took as much time per operation."""
    cost = lane.cost.scaled(*ratios(ModelShape(**part["shape"]), shape))
    return replace(lane, title=title, cost=cost, measured={}, checked=(), fit_error=0, start_seconds=None)


def check_scaling(small: Json, lane: Lane, large: Json) -> tuple[Checked, ...]:
    """What scaling `lane` says of a larger model that was measured, starting left out."""
    cost = lane.cost.scaled(*ratios(ModelShape(**small["shape"]), ModelShape(**large["shape"])))
    prompts = prompts_of(large)
    start = processor_seconds(nothing_of(large)["runs"])
    return tuple(
        Checked(point.name, cost.seconds(point.work, with_run=False) / (point.seconds - start) - 1)
        for point in points_of(large, prompts, fitted=False)
    )


def gpu_lane(results: Json) -> Lane:
    """The big judge of scripts/bench.py's results on a GPU: one set, whose profile says what attention takes of it."""
    checkpoint = next((one for one in results["checkpoints"] if one["name"].endswith(BIG)), None)
    if checkpoint is None:
        raise ScaleError(f"bench results: expected a checkpoint of {BIG}, found none")
    measured = checkpoint["sets"][0]
    plan = measured["plan"]
    seconds = median(measured["prm_score_seconds"][str(measured["documents"])])
    lengths = [round(plan["tokens"] / plan["documents"])] * plan["documents"]
    prompts = Prompts(template_rows(lengths, plan["rows"], QWEN_CONTEXT), QWEN_CONTEXT)
    attention = sum(
        place["share"]
        for place in checkpoint["profile"]["places"]
        if any(name in place["symbol"] for name in ATTENTION)
    )
    work = work_of(lengths, prompts)
    cost = Cost(0, 0, (1 - attention) * seconds / work.rows, attention * seconds / work.keys)
    rate = {GPU_DOCUMENTS: seconds / plan["tokens"] * 1e6}
    return Lane(BIG, results["settings"]["dtype"], H200, cost, prompts, rate)


ATTENTION = ("flash_fwd", "merge")


def gpu_tokens_per_second(results: Json) -> dict[str, float]:
    """Document tokens, by the checkpoints' names."""
    return {
        checkpoint["name"]: measured["plan"]["tokens"]
        / median(measured["prm_score_seconds"][str(measured["documents"])])
        for checkpoint in results["checkpoints"]
        for measured in checkpoint["sets"]
    }
