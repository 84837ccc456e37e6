"""A report as a table, for people."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation_report import MIN_DRIFT_DOCUMENTS, Json
from versions import REAL


def _number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def _interval(cell: Json) -> str:
    interval = cell["interval_95"]
    return "-" if interval is None else f"{interval[0]:.3f}..{interval[1]:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """First column to the left, the others to the right; a column without an entry is left out."""
    used = [i for i in range(len(rows[0])) if any(row[i] != "" for row in rows[1:])]
    widths = {i: max(len(row[i]) for row in rows) for i in used}
    return [
        ("  " + "  ".join(row[i].ljust(widths[i]) if i == 0 else row[i].rjust(widths[i]) for i in used)).rstrip()
        for row in rows
    ]


def _group_table(name: str, report: Json, min_chunks: int) -> list[str]:
    lines = [
        f"{name}: {report['documents']} documents of at least {min_chunks} chunks, "
        f"{report['short_documents']} shorter ones, {report['versions']} versions, "
        f"{len(report['failed_versions'])} of them failed",
        "",
    ]
    accuracy, chunks, log_odds = report["pair_accuracy"], report["chunk_auc"], report["log_odds"]
    rows = [["kind", "pairs", "accuracy", "95 % interval", "AUC of chunks", "mean log-odds (nats)"]]
    rows.append(["real", "", "", "", "", _number(log_odds[REAL]["mean"], "+.2f")])
    cells = [*accuracy["kinds"].items(), ("overall", accuracy["overall"])]
    for kind, cell in cells:
        area = chunks["overall"] if kind == "overall" else chunks["kinds"][kind]
        mean = "" if kind == "overall" else _number(log_odds["kinds"][kind]["mean"], "+.2f")
        pairs = [str(cell["pairs"]), _number(cell["accuracy"]), _interval(cell)]
        rows.append([kind, *pairs, _number(area["auc"]), mean])
    lines += [*_aligned(rows), ""]

    for by in ("strength", "temperature"):
        shown = {kind: cell[by] for kind, cell in accuracy["kinds"].items() if cell.get(by)}
        if shown:
            places = {bucket: inner["mean"] for cells in shown.values() for bucket, inner in cells.items()}
            buckets = sorted(places, key=lambda bucket: places[bucket])
            rows = [[f"accuracy by {by}", *buckets]]
            rows += [
                [kind, *(_number(c[bucket]["accuracy"], ".2f") if bucket in c else "-" for bucket in buckets)]
                for kind, c in shown.items()
            ]
            lines += [*_aligned(rows), ""]

    rows = [["source", "documents", "pairs", "accuracy", "95 % interval", "AUC of chunks", "drift", "length bias"]]
    for source, part in report["sources"].items():
        cell = part["pair_accuracy"]["overall"]
        rows.append(
            [
                source,
                str(part["documents"]),
                str(cell["pairs"]),
                _number(cell["accuracy"]),
                _interval(cell),
                _number(part["chunk_auc"]["overall"]["auc"]),
                _number(part["drift"] and part["drift"]["drift"], "+.2f"),
                _number(part["length"]["spearman"], "+.2f"),
            ]
        )
    lines += [*_aligned(rows), ""]

    found = report["calibration"]
    if found is not None:
        for weights, said in (("balanced", "both labels weigh the same"), ("unweighted", "each chunk weighs the same")):
            lines.append(f"  calibration, {said}: ECE {found[weights]['ece']:.3f}, Brier {found[weights]['brier']:.3f}")
    change = report["drift"]
    if change is None:
        lines.append(f"  drift of real chunks: - ({MIN_DRIFT_DOCUMENTS} documents of two chunks are needed)")
    else:
        lines.append(
            f"  drift of real chunks: {change['drift']:+.3f} (standard error {change['standard_error']:.3f}; within "
            f"documents {change['within']:+.3f}) standard deviations, chunk {change['first']} to {change['last']}"
        )
    length = report["length"]
    interval = length["interval_95"]
    said = "" if interval is None else f" (95 % interval {interval[0]:+.2f}..{interval[1]:+.2f})"
    lines.append(f"  length bias, Spearman of reward and chunks: {_number(length['spearman'], '+.3f')}{said}")
    lines.append("")
    return lines


def table(reports: Json, targets: Sequence[Json], min_chunks: int) -> str:
    lines = [line for name, report in reports.items() for line in _group_table(name, report, min_chunks)]
    if targets:
        rows = [["target", "file", "wanted", "found", ""]]
        for t in targets:
            wanted = f"{t['sense']} {t['target']:g}"
            verdict = "reached" if t["reached"] else "MISSED" if t["found"] is not None else "MISSED, not measured"
            rows.append([t["metric"], t["group"] or "-", wanted, _number(t["found"], ".4f"), verdict])
        lines += [*_aligned(rows), ""]
    return "\n".join(lines)
