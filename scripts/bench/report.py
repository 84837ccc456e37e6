"""Tables from a results.json alone: the short one for the README, and a report with every spread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from bench.errors import BenchError
from bench.rounds import TOLERANCE
from bench.work import ModelShape, needed_flops

Json = dict[str, Any]
NOTHING = "-"
BUSY_LOAD = 0.5


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def number(value: float) -> str:
    """Three digits that matter: 0.0123, 1.23, 12.3, 1,230."""
    return f"{value:,.0f}" if value == 0 or abs(value) >= 100 else f"{value:.3g}"


def columns_of(results: Json) -> list[tuple[Json, Json]]:
    """Checkpoint and set, as the table has them from left to right."""
    return [(checkpoint, measured) for checkpoint in results["checkpoints"] for measured in checkpoint["sets"]]


def _sets_of(results: Json, lane: str) -> Iterator[Json]:
    for _, measured in columns_of(results):
        if lane in measured["rivals"]:
            yield measured["rivals"][lane]


def chunks_per_second(measured: Json) -> float:
    return measured["plan"]["chunks"] / median(measured["prm_score_seconds"][str(measured["documents"])])


def gflops(checkpoint: Json, measured: Json, more_flops: int = 0) -> float:
    """prm-score's: of the matrix products that its rows need at least, and of `more_flops`, in its median time."""
    plan = measured["plan"]
    flops = needed_flops(ModelShape(**checkpoint["shape"]), plan["rows"], plan["chunks"]) + more_flops
    return flops / median(measured["prm_score_seconds"][str(measured["documents"])]) / 1e9


def share_of_ceiling(checkpoint: Json, measured: Json, dtype: str) -> float | None:
    return share_of_rate(checkpoint, measured, dtype, "gflops")


def share_of_rate(checkpoint: Json, measured: Json, dtype: str, rate: str, more_flops: int = 0) -> float | None:
    """`rate`: gflops, of a short burst; sustained_gflops, kept up for seconds."""
    found = checkpoint["ceiling"].get(dtype, {}).get(rate)
    return gflops(checkpoint, measured, more_flops) / found if found else None


def share_with_attention(checkpoint: Json, measured: Json, dtype: str) -> float | None:
    """As share_of_ceiling, attention's products counted; None for results of a time before they were."""
    attention = measured["plan"].get("attention_flops")
    return share_of_rate(checkpoint, measured, dtype, "gflops", attention) if attention else None


def ratio_cell(found: Json | None, num_documents: int, with_spread: bool = False) -> str:
    """`3.4 x`, and what part of the documents it was measured on."""
    if found is None or found["reason"] is not None:
        return NOTHING
    ratio = found["ratio"]
    text = f"{number(ratio['median'])} x"
    if with_spread:
        text += f" [{number(ratio['lowest'])}, {number(ratio['highest'])}]"
    return text if found["documents"] == num_documents else f"{text} ({found['documents']} of {num_documents})"


def difference_cell(found: Iterable[Json]) -> str:
    """How far the log-odds are from prm-score's; marked where they are not the same computation."""
    done = [one for one in found if one["reason"] is None]
    if not done:
        return NOTHING
    largest = max(one["largest_difference"] for one in done)
    text = f"{largest:.1e}"
    held = any(one["held_to_tolerance"] for one in done)
    return f"**{text}: computes something else**" if held and not largest <= TOLERANCE else text


def memory_cell(results: Json, lane: str) -> str:
    """Peak over the checkpoints, in GiB."""
    peaks = [c["memory_bytes"][lane] for c in results["checkpoints"] if lane in c["memory_bytes"]]
    return f"{max(peaks) / 2**30:.1f}" if peaks else NOTHING


def speed_table(results: Json, with_spread: bool = False) -> str:
    columns = columns_of(results)
    dtype = results["settings"]["dtype"]
    baseline = f"prm-score@{dtype}"
    header = ["", *(f"{c['name']}: {m['set']}" for c, m in columns), "log-odds off by", "GiB"]
    own = [f"**prm-score, {dtype}**, chunks/s", *(number(chunks_per_second(m)) for _, m in columns)]
    rows = [[*own, "0", memory_cell(results, baseline)]]
    shares = [share_of_ceiling(c, m, dtype) for c, m in columns]
    rows.append(["its share of the best matrix-multiply rate", *(f"{s:.0%}" if s else NOTHING for s in shares), "", ""])
    with_attention = [share_with_attention(c, m, dtype) for c, m in columns]
    if any(with_attention):
        cells = [f"{s:.0%}" if s else NOTHING for s in with_attention]
        rows.append(["the same, attention's products counted as well", *cells, "", ""])
    sustained = [share_of_rate(c, m, dtype, "sustained_gflops") for c, m in columns]
    if any(sustained):
        cells = [f"{s:.0%}" if s else NOTHING for s in sustained]
        rows.append(["its share of the matrix-multiply rate kept up for seconds", *cells, "", ""])
    for lane, title in results["titles"].items():
        cells = [ratio_cell(m["rivals"].get(lane), m["documents"], with_spread) for _, m in columns]
        rows.append(
            [f"faster than {title}", *cells, difference_cell(_sets_of(results, lane)), memory_cell(results, lane)]
        )
    return markdown_table(header, rows)


def notes(results: Json) -> list[str]:
    """Why cells are empty, each reason once; and whether other programs were in the way."""
    found: dict[str, list[str]] = {}
    for checkpoint, measured in columns_of(results):
        for lane, result in measured["rivals"].items():
            if result["reason"] is not None:
                place = f"{checkpoint['name']}, {measured['set']}"
                found.setdefault(f"{results['titles'][lane]}: {result['reason']}", []).append(place)
    everywhere = len(columns_of(results))
    load = results["run"]["load_before"]
    busy = [f"the machine was not idle: load {load:.1f} before the run"] if load > BUSY_LOAD else []
    return busy + [
        reason if len(places) == everywhere else f"{reason} ({'; '.join(places)})" for reason, places in found.items()
    ]


def start_up_text(results: Json) -> str:
    found = results.get("start_up")
    if not found:
        return ""
    seconds, peak = median(found["seconds_to_first_row"]), max(found["peak_bytes"])
    return (
        f"With the shipped judge prm-score writes its first row {seconds:.2f} s after its start "
        f"and takes {peak / 2**20:,.0f} MiB at most for one document of {found['num_words']} words."
    )


def introduction(results: Json) -> str:
    machine, settings, run = results["machine"], results["settings"], results["run"]
    where = machine["gpu"][0] if settings["device"] != "cpu" and machine["gpu"] else machine["cpu"]
    changed = " with changes" if run["changed_since_commit"] else ""
    commit = (run["commit"] or "unknown")[:9]
    libtorch = next((line for line in results["prm_score_version"] if line.startswith("libtorch")), "unknown libtorch")
    return (
        f"Made by `scripts/bench.py` on {run['date'][:10]} (commit {commit}{changed}): {where}, "
        f"{settings['threads']} threads, {libtorch}. "
        "All compute the same prompts in turns, each checkpoint's in one run; "
        "a ratio is the median over the rounds of a rival's time to prm-score's in the same round. Model loading is "
        "not timed; prm-score's tokenising is, the rivals get ids. (1 of 4) = the first of 4 documents only, for both."
    )


def short_report(results: Json, plot: str | None) -> str:
    """For the README."""
    parts = [introduction(results), speed_table(results), "\n".join(f"- {note}" for note in notes(results))]
    parts.append(start_up_text(results))
    if plot:
        parts.append(f"![Time against length and number of documents]({plot})")
    return "\n\n".join(part for part in parts if part)


def ceiling_table(results: Json) -> str:
    header = ["", "rows", "rows without sharing", "rows/s", "document tokens/s"]
    header += ["GFLOP/s", "best of torch, GFLOP/s", "share", "with attention", "kept up for seconds, GFLOP/s", "share"]
    dtype = results["settings"]["dtype"]
    rows = []
    for checkpoint, measured in columns_of(results):
        share = share_of_ceiling(checkpoint, measured, dtype)
        ceiling = checkpoint["ceiling"].get(dtype)
        plan = measured["plan"]
        seconds = median(measured["prm_score_seconds"][str(measured["documents"])])
        cells = [f"{plan['rows']:,}", f"{plan['rows_without_sharing']:,}"]
        cells += [number(plan["rows"] / seconds), number(plan["tokens"] / seconds)]
        cells.append(number(gflops(checkpoint, measured)))
        cells += [number(ceiling["gflops"]), f"{share:.1%}"] if ceiling and share else [NOTHING, NOTHING]
        with_attention = share_with_attention(checkpoint, measured, dtype)
        cells.append(f"{with_attention:.1%}" if with_attention else NOTHING)
        sustained = share_of_rate(checkpoint, measured, dtype, "sustained_gflops")
        cells += [number(ceiling["sustained_gflops"]), f"{sustained:.1%}"] if ceiling and sustained else [NOTHING] * 2
        rows.append([f"{checkpoint['name']}: {measured['set']}", *cells])
    return markdown_table(header, rows)


def profile_table(checkpoint: Json) -> str:
    found = checkpoint["profile"]
    head = f"**{checkpoint['name']}: {found['set']}**, {found.get('what', 'model loading included')}."
    if found["reason"] is not None:
        return f"{head} Not measured: {found['reason']}."
    rows = [(f"`{place['symbol']}`", place["library"], f"{place['share']:.1%}") for place in found["places"]]
    return head + "\n\n" + markdown_table(["", "library", "share of samples"], rows)


def full_report(results: Json, plot: str | None) -> str:
    parts = [
        "# Speed",
        short_report(results, plot),
        "## With the lowest and highest ratio of the rounds",
        speed_table(results, with_spread=True),
        "## Matrix products",
        ceiling_table(results),
        "Attention is counted only where the heading says so, and of the last layer only what is needed.",
        "## Where the time goes",
        "What a profiler sees of prm-score: on CPUs `perf`, all threads together; on GPUs NVIDIA's `ncu`.",
        *(profile_table(checkpoint) for checkpoint in results["checkpoints"] if "profile" in checkpoint),
    ]
    return "\n\n".join(parts) + "\n"


def marks(device: str) -> tuple[str, str]:
    """Around the README's table for a kind of device."""
    return section_marks(f"bench {device}")


def section_marks(section: str) -> tuple[str, str]:
    return f"<!-- {section}:begin -->", f"<!-- {section}:end -->"


def replace_block(text: str, device: str, block: str, place: str) -> str:
    """What is between the two marks of the device; see replace_section."""
    return replace_section(text, f"bench {device}", block, place)


def replace_section(text: str, section: str, block: str, place: str) -> str:
    """What is between the two marks of the section. Throws BenchError if they are not there exactly once, in order."""
    begin, end = section_marks(section)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        found = f"{text.count(begin)} and {text.count(end)}"
        raise BenchError(f"{place}: expected {begin} and {end}, each once and in this order, found {found} of them")
    pattern = re.compile(re.escape(begin) + ".*" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text)
