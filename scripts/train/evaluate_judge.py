"""How good is a judge on held-out documents? Scores them with prm-score and reports what it can tell apart.

Reads files of make_data.py: versions of documents, one real and the others made worse. Writes results.json and plots
to the folder --out, and a table to standard output. Results are given for each file, and in it for each source.

  pair accuracy  Share of pairs in which the real version has a higher reward than a damaged one of the same document;
                 ties count half. Only documents whose real version has --min-chunks chunks, only damage of whole
                 documents. The interval is Wilson's, as if pairs were independent; those of one document are not quite.
  AUC of chunks  Chance that a chosen chunk of a real version has higher log-odds than a rejected one. A chunk is
                 rejected if at least half of it lies in "rejected" ranges; chosen if none of it does and all of it lies
                 in "chosen" ones, but for two code points at most, since a chunk's border can cut a character.
  calibration    sigmoid(log-odds) against these labels, of all labelled chunks: expected calibration error over 15 bins
                 of equal mass, and Brier score. "balanced": both labels have the same weight in all; "unweighted": as
                 the chunks come, so that it depends on the share of real ones.
  drift          Total change of real chunks' log-odds along a line fitted to them, over the chunk positions that at
                 least 10 documents reach, divided by the standard deviation of real chunks' log-odds.
  length bias    Spearman's correlation of real versions' reward and their number of chunks.

All but pair accuracy take documents of any length. A version that prm-score cannot score (its row is an error) is left
out, with all pairs of its document if it is the real one; it is listed under "failed_versions", and the exit code is 3.

Targets: a JSON object such as {"pair_accuracy/sampled": 0.97, "heldout:drift": 0.1}. The metrics:

  pair_accuracy/KIND|overall  pair_accuracy/KIND/strength|temperature/BUCKET  chunk_auc/KIND|overall      at least
  drift  length_bias  ece/balanced|unweighted  brier/balanced|unweighted                at most, whatever the sign

"source/NAME/" before pair_accuracy (without BUCKET), chunk_auc, drift or length_bias: of one source. "FILE NAME:"
before all that: of one file; else every file that has such a metric has to reach it. What no file has is missed.

Exit codes: 0 done; 1 stopped by an error, or a target is missed and --fail-below is given; 2 wrong usage; 3 done, but
some versions could not be scored.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import required_packages  # noqa: F401

# isort: split
import evaluation_plots
from command_line import interrupted, positive
from errors import InputError
from evaluation_input import read_evaluated
from evaluation_report import Json, Settings, group_report, rounded, to_json
from evaluation_table import table
from evaluation_targets import check_targets, read_targets
from program import ProgramError, find_program, program_version
from scorer_process import ScorerOptions, ScorerRun, score, sha256_of
from versions import Version

RESULTS = "results.json"
GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

OTHER_OPTIONS = (
    *("model", "threads", "text-field", "id-field", "context-field", "keep", "keep-all", "limit", "max-line-bytes"),
    *("spans", "metadata", "max-errors", "errors-ok", "progress", "log-level"),
)
"""Of prm-score: they are said elsewhere, or do not move the score. A new option is taken for one that does."""


def numbers(text: str) -> tuple[float, ...]:
    """Ascending numbers, for argparse."""
    values = tuple(float(part) for part in text.split(","))
    if len(values) < 2 or any(a >= b for a, b in pairwise(values)):
        raise ValueError
    return values


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="JSON lines; named by its name without ending"
    )
    parser.add_argument("--group", action="append", default=[], metavar="NAME=FILE", help="a file under another name")
    parser.add_argument("--judge", type=Path, required=True, metavar="FOLDER", help="checkpoint folder")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where results.json and plots go")
    parser.add_argument(
        "--prm-score", type=Path, metavar="PATH", help="default: build/prm-score, else prm-score on the PATH"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="passed to prm-score")
    parser.add_argument("--device", metavar="DEVICE", help="passed to prm-score")
    parser.add_argument("--dtype", metavar="DTYPE", help="passed to prm-score")
    default = Settings()
    parser.add_argument(
        "--min-chunks", type=positive, default=default.min_chunks, metavar="N", help="for pairs (default: %(default)s)"
    )
    for name, edges in (("strength", default.strength_edges), ("temperature", default.temperature_edges)):
        shown = ",".join(f"{edge:g}" for edge in edges)
        parser.add_argument(
            f"--{name}-edges",
            type=numbers,
            default=edges,
            metavar="X,..",
            help=f"borders of the buckets if a kind has more than 8 values (default: {shown})",
        )
    parser.add_argument("--plot-format", choices=("svg", "png"), default="svg", help="default: %(default)s")
    parser.add_argument(
        "--targets", type=Path, metavar="FILE", help="JSON object of metrics and what they should reach"
    )
    parser.add_argument("--fail-below", action="store_true", help="exit code 1 if a target is missed")
    args = parser.parse_args(argv)
    if args.fail_below and args.targets is None:
        parser.error("--fail-below needs --targets")
    return parser, args


def named_files(parser: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, Path]:
    named = [(path.name.removesuffix(".jsonl"), path) for path in args.files]
    for text in args.group:
        name, equals, path = text.partition("=")
        if not equals or not path:
            parser.error(f"--group: expected NAME=FILE, found {text!r}")
        named.append((name, Path(path)))
    if not named:
        parser.error("no file is given")
    files: dict[str, Path] = {}
    for name, path in named:
        if not GROUP_NAME.fullmatch(name):
            parser.error(f"{path}: {name!r} cannot be the name of a plot; give another one with --group NAME=FILE")
        if name in files:
            parser.error(
                f"{files[name]} and {path} are both named {name!r}; give one another name with --group NAME=FILE"
            )
        files[name] = path
    return files


def judge_identity(judge: Path) -> Json:
    """Hashes of the weights, whether in one file or in several."""
    weights = sorted(judge.glob("*.safetensors"))
    return {"folder": str(judge), "sha256": {path.name: sha256_of(path) for path in weights}}


def identity(args: argparse.Namespace, files: Json, version: str, judge: Json, run: ScorerRun) -> Json:
    """What the numbers depend on; nothing that differs between two runs of the same."""
    metadata: dict[str, Any] = run.metadata
    hashes = {name: metadata[name]["sha256"] for name in ("tokenizer", "template")}
    settings = {name: value for name, value in metadata["options"].items() if name not in OTHER_OPTIONS}
    return {
        "judge": judge | hashes,
        "prm_score": {"version": version.splitlines(), "options": settings, "engine": metadata["engine"]},
        "files": files,
        "options": asdict(evaluation_settings(args)),
        "counts": {name: metadata["counts"][name] for name in ("scored_rows", "bad_rows", "tokens", "chunks")},
        "warnings": metadata["counts"]["warnings"],
    }


def evaluation_settings(args: argparse.Namespace) -> Settings:
    return Settings(args.min_chunks, args.strength_edges, args.temperature_edges)


def check_long_enough(groups: dict[str, list[Version]], reports: Json, min_chunks: int) -> None:
    """At least one document has to count; a file without one is only mentioned."""
    for name, report in reports.items():
        if not report["documents"]:
            failed = report["failed_versions"]
            said = (
                f"; {len(failed)} of {len(groups[name])} versions failed, first: {failed[0]['error']}" if failed else ""
            )
            short = report["short_documents"]
            message = f"{name}: no document of at least {min_chunks} chunks (--min-chunks) among {short}{said}"
            if all(not r["documents"] for r in reports.values()):
                raise InputError(message)
            print(f"evaluate_judge: {message}", file=sys.stderr)


def write_all(folder: Path, results: Json, plot_format: str) -> None:
    """Everything is drawn under other names first, so that no file is ever half-written; results.json comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as scratch:
        names = evaluation_plots.draw_all(results["files"], Path(scratch), plot_format)
        results["plots"] = names
        (Path(scratch) / RESULTS).write_text(to_json(results) + "\n", encoding="utf-8")
        for name in [*names, RESULTS]:
            os.replace(Path(scratch) / name, folder / name)


@contextmanager
def folder_for(out: Path) -> Iterator[None]:
    """That it can be written is known before an hour of scoring; a run that fails leaves no empty one."""
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        pass
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):
                out.rmdir()
        raise


def warn_of_chance(reports: Json) -> None:
    """Says so of a judge that ranks no better than a coin."""
    for name, report in reports.items():
        overall = report["pair_accuracy"]["overall"]
        if overall["pairs"] and overall["interval_95"][0] <= 0.5:
            print(
                f"evaluate_judge: {name}: pair accuracy {overall['accuracy']:.3f} is not above chance: "
                "this judge has not learned what it was to learn",
                file=sys.stderr,
            )


def evaluate(args: argparse.Namespace, files: dict[str, Path]) -> int:
    groups = {name: read_evaluated(path) for name, path in files.items()}
    targets = read_targets(args.targets, files) if args.targets else []
    program = find_program(args.prm_score)
    version = program_version(program)
    judge = judge_identity(args.judge)
    hashes = {name: {"file": str(path), "sha256": sha256_of(path)} for name, path in files.items()}
    texts = [(v.id, v.text) for versions in groups.values() for v in versions]
    run = score(program, args.judge, texts, ScorerOptions(args.threads, args.device, args.dtype))

    rows = iter(run.rows)
    settings = evaluation_settings(args)
    reports = {
        name: group_report(versions, [next(rows) for _ in versions], settings) for name, versions in groups.items()
    }
    check_long_enough(groups, reports, args.min_chunks)
    checked = check_targets(targets, reports)
    results = rounded({"run": identity(args, hashes, version, judge, run), "targets": checked, "files": reports})
    write_all(args.out, results, args.plot_format)

    print(table(reports, checked, args.min_chunks))
    warn_of_chance(reports)
    for name, report in reports.items():
        for failed in report["failed_versions"]:
            print(f"evaluate_judge: {name}: {failed['id']}: not scored: {failed['error']}", file=sys.stderr)
    if args.fail_below and not all(target["reached"] for target in checked):
        return 1
    return 3 if any(report["failed_versions"] for report in reports.values()) else 0


def main(argv: Sequence[str] | None = None) -> int:
    parser, args = parse_arguments(argv)
    files = named_files(parser, args)
    try:
        with folder_for(args.out):
            return evaluate(args, files)
    except (InputError, ProgramError, OSError) as error:
        print(f"evaluate_judge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return interrupted("evaluate_judge")


if __name__ == "__main__":
    sys.exit(main())
