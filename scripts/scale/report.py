"""The README's section, from measurements alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from statistics import median
from typing import Any

from bench.report import markdown_table
from bench.report import number as exact
from scale.checkpoints import JUDGES
from scale.costs import (
    BIG,
    BIG_SHAPE,
    CORE,
    H200,
    Checked,
    Lane,
    busy_shares,
    check_scaling,
    fitted_lane,
    gpu_lane,
    gpu_tokens_per_second,
    processor_seconds,
    scaled_lane,
)
from scale.lengths import DISTRIBUTIONS, PAGES
from scale.measure import STAGES
from scale.plan import MARK_SECONDS, Assumptions, Billion, CpuWorker, Stages, billion, stages_of

Json = dict[str, Any]
SMALL = "0.5b-bfloat16"
LARGER = "1.5b-bfloat16"
FITTED = ("judge-float32", "0.5b-float32", SMALL)
NEEDED = (*FITTED, LARGER, STAGES)


@dataclass(frozen=True)
class Model:
    lanes: tuple[Lane, ...]
    scaling: tuple[Checked, ...]
    stages: Stages
    gpu_rates: dict[str, float]
    busy_shares: tuple[float, ...]
    """Of two cores, by runs that nothing disturbed."""


def model_of(measurements: Json, gpu_results: Json) -> Model:
    parts = measurements["parts"]
    lanes = {name: fitted_lane(parts[name]) for name in FITTED}
    small = lanes[SMALL]
    fingerprinted = [
        (parts[name]["checkpoint_bytes"], processor_seconds(parts[name]["fingerprint_runs"]))
        for name in ("judge-float32", SMALL)
    ]
    return Model(
        lanes=(*lanes.values(), scaled_lane(parts[SMALL], small, BIG, BIG_SHAPE), gpu_lane(gpu_results)),
        scaling=check_scaling(parts[SMALL], small, parts[LARGER]),
        stages=stages_of(parts[STAGES], fingerprinted),
        gpu_rates=gpu_tokens_per_second(gpu_results),
        busy_shares=tuple(share for name in FITTED for share in busy_shares(parts[name], lanes[name])),
    )


def number(value: float) -> str:
    """Three digits, of large numbers too."""
    return exact(float(f"{value:.3g}"))


def marked(value: str, is_measured: bool) -> str:
    return f"{value} {'m' if is_measured else 'c'}"


def dollars(amount: float) -> str:
    if amount >= 100:
        return f"${number(amount)}"
    return f"${amount:.2f}" if amount >= 0.1 else f"${amount:.2g}"


def seconds(amount: float) -> str:
    if amount < 100:
        return f"{number(amount)} s"
    return f"{number(amount / 60)} min" if amount < 6000 else f"{number(amount / 3600)} h"


def size(amount: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{number(amount)} {unit}"
        amount /= 1000
    raise AssertionError


def percent(error: float) -> str:
    return f"{error:+.0%}"


def too(error: float) -> str:
    return f"{abs(error):.0%} too {'much' if error > 0 else 'little'}"


def disturbance(measurements: Json) -> str:
    """How much others took of the machine, and how much that moved what was measured more than once."""
    sets = [one for name in (*FITTED, LARGER) for one in measurements["parts"][name]["sets"]]
    others = max(run["others_share"] for one in sets for run in one["runs"])
    spent = [[run["processor_seconds"] for run in one["runs"]] for one in sets]
    spread = max(max(seconds) / min(seconds) - 1 for seconds in spent)
    return f"others took up to {others:.0%} of the machine, and repeats differ by up to {spread:.0%}"


def cost_table(model: Model, assumed: Assumptions) -> str:
    header = ["one core or GPU", *(f"{one.title}, {one.mean:,.0f}" for one in DISTRIBUTIONS)]
    rows = []
    for lane in model.lanes:
        cells = [f"{lane.unit}: {lane.title}, {lane.dtype}"]
        for one in DISTRIBUTIONS:
            value, is_measured = lane.seconds_per_million(one.name, one.lengths())
            cells.append(marked(f"{number(value)} s, {dollars(assumed.dollars(lane.unit, value))}", is_measured))
        rows.append(cells)
    return markdown_table(header, rows)


def billion_table(model: Model, assumed: Assumptions, cores: int) -> str:
    chosen = [lane for lane in model.lanes[::-1] if (lane.title, lane.dtype, lane.unit) in PLANNED]
    plans = [_plan(lane, model, assumed, cores) for lane in chosen]
    header = ["", *(f"{lane.title}, {lane.dtype}, {_worker(lane, cores)}" for lane in chosen)]
    rows = [
        [title, *(cell(plan, lane.unit) for plan, lane in zip(plans, chosen, strict=True))]
        for title, cell in BILLION_ROWS.items()
    ]
    return markdown_table(header, rows)


def _worker(lane: Lane, cores: int) -> str:
    return lane.unit if lane.unit == H200 else f"{cores} cores"


PLANNED = ((BIG, "bfloat16", H200), (JUDGES[SMALL].title, "float32", CORE), ("shipped judge", "float32", CORE))
BILLION_ROWS: dict[str, Callable[[Billion, str], str]] = {
    "workers for one day; dollars": lambda p, _: f"{number(p.workers_for_a_day)}; {dollars(p.dollars)}",
    "a file for an hour, documents": lambda p, _: number(p.documents_per_hour),
    "to start: hash, load, check": lambda p, _: f"{seconds(p.start_seconds)}, {p.start_seconds / 3600:.2%} of the hour",
    "a failure repeats, with files for an hour": lambda p, _: seconds(p.start_seconds + p.repeat_in_file_seconds),
    ".. at most, with `--shard` of one file": lambda p, _: seconds(p.start_seconds + p.repeat_in_whole_seconds),
    "shards of one file until reading is 1 % of scoring": lambda p, _: number(p.one_percent_shards),
    ".. until reading takes as long as scoring": lambda p, _: number(p.equal_shards),
    "all workers of the day read one file": lambda p, _: f"{size(p.storage_bytes_per_second)}/s",
    "one thread reads and tokenises for": lambda p, unit: f"{number(p.fed_units)} x {unit}",
}


def fit_table(model: Model) -> str:
    header = ["", "s per run", "ms per document", "ms per row", "µs per key", "fitted sets", "held out"]
    rows = []
    for lane in model.lanes:
        cost = lane.cost
        errors = ", ".join(f"{one.name} {percent(one.error)}" for one in lane.checked) or "-"
        cells = [number(cost.run), *(number(1e3 * one) for one in (cost.document, cost.row)), number(1e6 * cost.key)]
        fitted = f"within {lane.fit_error:.1%}" if lane.checked else "computed"
        rows.append([f"{lane.title}, {lane.dtype}, {lane.unit}", *cells, fitted, errors])
    return markdown_table(header, rows)


def sets_table(measurements: Json) -> str:
    """Every measured set, with the spread of its runs."""
    header = ["", "documents", "tokens", "rows", "runs", "core seconds", "spread", "wall seconds", "others"]
    rows = []
    for name in (*FITTED, LARGER):
        for one in measurements["parts"][name]["sets"]:
            spent = [run["processor_seconds"] for run in one["runs"]]
            least = min(one["runs"], key=lambda run: run["others_share"])
            rows.append(
                [
                    f"{JUDGES[name].title}, {JUDGES[name].dtype}: {one['name']}",
                    *(f"{count:,}" for count in (len(one["lengths"]), sum(one["lengths"]), one["forward_rows"])),
                    str(len(spent)),
                    number(median(spent)),
                    f"{number(min(spent))} to {number(max(spent))}",
                    number(least["wall_seconds"]),
                    f"{least['others_share']:.0%}",
                ]
            )
    return markdown_table(header, rows)


def fit_report(model: Model, measurements: Json) -> str:
    scaling = ", ".join(f"{one.name} {percent(one.error)}" for one in model.scaling)
    stages = model.stages
    return "\n\n".join(
        (
            "# What documents cost",
            "Made by `scripts/scale.py fit` from [measurements.json](measurements.json), which `scripts/scale.py "
            "measure` wrote. Seconds are those of one core or GPU.",
            "## seconds = run + documents + rows + keys",
            "Rows are those of the forward passes (`prm-score info --plan`), keys what these attend to. Least squares "
            "of the relative errors, no coefficient below zero. Errors: what the fit says against what was measured; "
            "the held-out sets had no part in the fit.",
            fit_table(model),
            f"{JUDGES[LARGER].title} was measured as well, to check that costs may be computed for larger models by "
            f"the operations of their rows and keys: computed from {JUDGES[SMALL].title} they are off by {scaling}. "
            f"The {BIG} on the GPU is one set of documents; the share of attention in its profile is its keys'.",
            "## Measured sets",
            "Core seconds: user and system time of the whole run, starting and hashing the checkpoint included, the "
            "median of the runs. Wall seconds and what others took of the machine: of the run that they disturbed "
            "least.",
            sets_table(measurements),
            "## Around scoring, one thread",
            markdown_table(
                ["", "per second"],
                [
                    ["reading and parsing", size(1 / stages.parse_per_byte)],
                    ["tokenising (Qwen2.5, web pages)", f"{1 / stages.tokenize_per_token:,.0f} tokens"],
                    ["reading and hashing lines of other shards", size(1 / stages.pass_per_byte)],
                    ["hashing a checkpoint", size(1 / stages.hash_per_byte)],
                    ["merge, rows of eight chunks", f"{1 / stages.merge_per_row:,.0f} rows"],
                ],
            ),
        )
    )


def introduction(measurements: Json, assumed: Assumptions) -> str:
    parts = [measurements["parts"][name] for name in NEEDED]
    machine, run = parts[0]["machine"], parts[0]["run"]
    prices = ", ".join(f"${price:g} per {unit}-hour" for unit, price in assumed.prices.items())
    lengths = ", ".join(f"{one.title} of median {one.median:g}, σ {one.sigma:g}" for one in DISTRIBUTIONS if one.sigma)
    return (
        f"Made by `scripts/scale.py` on {run['date'][:10]} (commit {(run['commit'] or 'unknown')[:9]}): "
        f"{machine['cpu']}, {machine['cores']} cores, and the H200 of the table above. CPU figures are processor "
        f"seconds of all threads: {disturbance(measurements)}. **m** was measured on such documents, **c** computed: "
        "seconds are fitted as a sum over documents, rows and attended keys, or scaled by their operations. Prices "
        f"are assumptions ({prices}: `scale.py table --price`), and so are lengths in tokens (log-normal: {lengths}; "
        "C4's pages have 2.3 kB)."
    )


def accuracy(model: Model) -> str:
    held_out = [(abs(one.error), one, lane) for lane in model.lanes for one in lane.checked]
    _, worst, of = max(held_out, key=lambda one: one[0])
    scaling = max(model.scaling, key=lambda one: abs(one.error))
    shares = model.busy_shares
    busy = (
        f" Two threads keep two cores {median(shares):.0%} busy (m), which the workers below count; more were not "
        "measured."
        if shares
        else ""
    )
    return (
        f"On documents that it did not see the fit says {too(worst.error)} at worst ({worst.name}, {of.title}, "
        f"{of.dtype}), the scaling from {JUDGES[SMALL].title} to a measured {JUDGES[LARGER].title} "
        f"{too(scaling.error)}: "
        f"[data/scale/report.md](data/scale/report.md).{busy}{_slower_dtype(model)}"
    )


def _slower_dtype(model: Model) -> str:
    """On CPUs without fast products of bfloat16."""
    rows = {lane.dtype: lane.cost.row for lane in model.lanes if lane.title == JUDGES[SMALL].title}
    if rows["bfloat16"] <= rows["float32"]:
        return ""
    return " On this CPU bfloat16 is slower than float32, on that of the table above faster."


def readme_section(model: Model, measurements: Json, assumed: Assumptions, cores: int) -> str:
    disk = size(assumed.disk_bytes_per_second)
    pages = f"{_amount(assumed.documents)} web pages ({size(model.stages.page_bytes * assumed.documents)})"
    return "\n\n".join(
        (
            introduction(measurements, assumed),
            "Per million document tokens:",
            cost_table(model, assumed),
            accuracy(model),
            f"{pages}, computed but for the starts of CPU workers (of a GPU's, to load at {disk}/s is assumed):",
            billion_table(model, assumed, cores),
            conclusions(model, assumed),
        )
    )


def _amount(documents: float) -> str:
    return "A billion" if documents == 1e9 else f"{documents:,.0f}"


def conclusions(model: Model, assumed: Assumptions) -> str:
    """What the table means for who has many workers."""
    stages = model.stages
    passing = size(1 / stages.pass_per_byte)
    whole = seconds(stages.page_bytes * assumed.documents * stages.pass_per_byte)
    judge_rate = next(rate for name, rate in model.gpu_rates.items() if not name.endswith(BIG))
    plan = _plan(model.lanes[-1], model, assumed, 1)
    tokens, rows = plan.fed_tokens_per_second, 1 / stages.merge_per_row
    too_many = floor(tokens / judge_rate) + 1
    files = round(assumed.documents / plan.documents_per_hour, -2)
    lines = (
        "**Scoring** is the bottleneck of any large judge: one thread reads and tokenises "
        f"{number(tokens / 1e6)} million tokens/s of web pages (m). The shipped judge on an H200 takes "
        f"{number(judge_rate / 1e6)} million (m): {too_many} of those in one process would wait for it.",
        "**Reading** becomes it with `--shard` on one file. Every shard reads and hashes all lines, from memory at "
        f"{passing}/s (m), so {whole} each (c), and shared storage feels it first. Use `--shard` for tens of shards; "
        "for more cut the input once, before it is compressed, into files for about an hour of a worker, for the 7B "
        f"judge on H200s `split -n l/{files:.0f} -a 6 -d docs.jsonl part.`, each with its own `--output --resume` "
        "(give documents ids: `line` counts in its file), or use Ray, which cuts blocks itself.",
        f"**A failure** costs the start, at most {MARK_SECONDS} s of rows, and reading again up to there; a file whose "
        "output is lost costs its hour. Shorter files lose less, and start more often.",
        f"**Joining**: `cat` for files; `merge` does {number(rows / 1e6)} million rows/s (m), "
        f"{_amount(assumed.documents).lower()} ({size(stages.row_bytes * assumed.documents)}) in "
        f"{seconds(assumed.documents / rows)} (c).",
    )
    return "\n".join(f"- {line}" for line in lines)


def _plan(lane: Lane, model: Model, assumed: Assumptions, cores: int) -> Billion:
    worker = CpuWorker(cores, median(model.busy_shares) if model.busy_shares else 1.0)
    return billion(lane, PAGES.name, PAGES.lengths(), model.stages, assumed, worker)
