#!/usr/bin/env python3
"""prm-score beside what people would use instead: one run, one table, one JSON.

Scores the same documents with prm-score and its rivals, in turns, several times, because no machine is equally fast
all the time; what counts is the median of the ratios within the rounds. Every rival runs in a process of its own, gets
the ids that `prm-score prompts` prints, and has to answer logit(A) - logit(B) of each; who is off by more than 1e-3 in
float32 is marked. Not timed: loading models, and the rivals' tokenising. prm-score reads text through a pipe and
writes rows, which is timed.

  judge    the shipped judge, data/tiny-judge
  random   a seeded random checkpoint of the shape of Qwen2.5-0.5B (--shape), made in the work folder

A rival that would need more than --max-seconds for a set is measured on its first documents only, or left out; the
table says so. One that cannot be installed, started or finished stands in the table with the reason.

Written to the folder --out: results.json (all raw times), report.md, growth.svg. --update-readme also copies them to
data/bench/ (of a GPU: data/bench/cuda/) and puts the table between the two marks of the device in the README.

Rivals, for --rivals, each NAME, NAME@float32 or NAME@bfloat16 (prm-score and ctranslate2 also @int8):
  prm-score (itself, in another dtype), transformers-one, transformers-batch, transformers-prefix, llama-f32,
  llama-f32-f16cache, llama-bf16, llama-q8_0, ctranslate2, vllm

Exit codes: 0 done; 1 stopped by an error; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arguments import argument, positive
from bench.documents import DocumentSet, parse_sets
from bench.environments import REFERENCE, Environments
from bench.errors import BenchError, RivalError
from bench.lanes import run_tool
from bench.make_checkpoint import FILE_DTYPES, SHAPES
from bench.participants import Machine
from bench.program import REPOSITORY, find_program
from bench.report import full_report, replace_block, short_report
from bench.rivals import DEFAULT_RIVALS, parse_rivals
from bench.rounds import Limits
from bench.run import SHAPE_NAMES, Plan, Run, Settings

PUBLISHED = {"cpu": Path("data/bench"), "cuda": Path("data/bench/cuda")}
PLOT = "growth.svg"
RESULTS = "results.json"
REPORT = "report.md"
JUDGE_NAME = "shipped judge"
QUICK: dict[str, Any] = {
    "sets": "200:2",
    "judge_sets": "300:4",
    "rounds": 2,
    "max_seconds": 12.0,
    "growth_seconds": 3.0,
    "growth_repeats": 1,
    "lengths": "100,200,400",
    "counts": "1,2,4",
    "checkpoints": "judge",
    "ceiling_seconds": 0.3,
    "start_repeats": 2,
}
FULL: dict[str, Any] = {
    "sets": "200:8,850:4,4000:1,20000:1",
    "judge_sets": "300:16",
    "rounds": 5,
    "max_seconds": 200.0,
    "growth_seconds": 60.0,
    "growth_repeats": 2,
    "lengths": "200,850,2000,4000,10000,20000",
    "counts": "1,2,4,8,16",
    "checkpoints": "judge,random",
    "ceiling_seconds": 2.0,
    "start_repeats": 7,
}
COUNT_WORDS = 200
"""Words of each document where their number grows."""
NO_GROWTH: tuple[tuple[DocumentSet, ...], tuple[DocumentSet, ...]] = ((), ())
Json = dict[str, Any]


def positive_numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted(positive(part) for part in text.split(",")))


def checkpoint_names(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if not set(parts) <= {"judge", "random"}:
        raise ValueError
    return parts


SETS = argument(parse_sets, "WORDS:COUNT,.. such as 200:8,850:4")
NUMBERS = argument(positive_numbers, "positive integers separated by commas")
NUMBER = argument(positive, "a positive integer")
CHECKPOINTS = argument(checkpoint_names, "judge, random or judge,random")
RIVALS = argument(parse_rivals, "names of rivals, each with @float32, @bfloat16, where there is one @int8, or nothing")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_what(parser)
    _add_how(parser)
    _add_where(parser)
    args = parser.parse_args(argv)
    convert = {
        "sets": parse_sets,
        "judge_sets": parse_sets,
        "lengths": positive_numbers,
        "counts": positive_numbers,
        "checkpoints": checkpoint_names,
    }
    for name, default in (QUICK if args.quick else FULL).items():
        if getattr(args, name) is None:
            setattr(args, name, convert.get(name, lambda value: value)(default))
    return args


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is measured (defaults: --quick's in brackets)")

    def default(name: str) -> str:
        return f"default: {FULL[name]} [{QUICK[name]}]"

    what.add_argument(
        "--quick", action="store_true", help="two or three minutes: the shipped judge only, nothing is installed"
    )
    what.add_argument("--checkpoints", type=CHECKPOINTS, metavar="judge,random", help=default("checkpoints"))
    what.add_argument("--sets", type=SETS, metavar="WORDS:COUNT,..", help=default("sets"))
    what.add_argument("--judge-sets", type=SETS, metavar="WORDS:COUNT,..", help=default("judge_sets"))
    what.add_argument("--rivals", type=RIVALS, default=parse_rivals(DEFAULT_RIVALS), metavar="NAME,..")
    what.add_argument("--lengths", type=NUMBERS, metavar="WORDS,..", help=f"growth; {default('lengths')}")
    what.add_argument("--counts", type=NUMBERS, metavar="N,..", help=f"growth; {default('counts')}")
    what.add_argument("--no-growth", action="store_true", help="no growth curves")
    what.add_argument("--shape", choices=SHAPES, default="qwen2.5-0.5b", help="default: %(default)s")
    what.add_argument("--seed", type=int, default=0, help="of the random weights (default: %(default)s)")


def _add_how(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument("--rounds", type=NUMBER, metavar="N", help=f"default: {FULL['rounds']} [{QUICK['rounds']}]")
    how.add_argument(
        "--max-seconds",
        type=float,
        metavar="S",
        help=f"for each rival and set, over all rounds; default: {FULL['max_seconds']:g} [{QUICK['max_seconds']:g}]",
    )
    how.add_argument(
        "--growth-seconds",
        type=float,
        metavar="S",
        help=f"for each point of a curve; default: {FULL['growth_seconds']:g} [{QUICK['growth_seconds']:g}]",
    )
    how.add_argument("--growth-repeats", type=NUMBER, metavar="N")
    how.add_argument("--start-repeats", type=NUMBER, metavar="N", help="starts of prm-score that are timed")
    how.add_argument("--ceiling-seconds", type=float, metavar="S", help="for each matrix product")
    how.add_argument("--ceiling-rows", type=NUMBER, default=2048, metavar="N", help="default: %(default)s")
    how.add_argument("--dtype", choices=FILE_DTYPES, default="float32", help="to compute in (default: %(default)s)")
    how.add_argument("--file-dtype", choices=FILE_DTYPES, help="of the random checkpoint (default: --dtype)")
    how.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    how.add_argument("--threads", type=NUMBER, default=len(os.sched_getaffinity(0)), metavar="N")


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("where")
    where.add_argument("--prm-score", type=Path, metavar="PATH", help="default: build/prm-score, else on the PATH")
    where.add_argument("--python", type=Path, metavar="PATH", help="an interpreter with torch and transformers")
    where.add_argument("--install", action="store_true", help="install rivals, each in its own virtual environment")
    where.add_argument("--work", type=Path, default=REPOSITORY / "build/bench/work", metavar="FOLDER")
    where.add_argument("--out", type=Path, default=REPOSITORY / "build/bench", metavar="FOLDER")
    where.add_argument(
        "--from-results",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing, report this results.json; checkpoints of a further one take the place of the same here",
    )
    where.add_argument("--update-readme", action="store_true")


def growth_sets(args: argparse.Namespace) -> tuple[tuple[DocumentSet, ...], tuple[DocumentSet, ...]]:
    if args.no_growth:
        return NO_GROWTH
    lengths = tuple(DocumentSet(num_words, 1) for num_words in args.lengths)
    return lengths, tuple(DocumentSet(COUNT_WORDS, count) for count in args.counts)


def measure(args: argparse.Namespace) -> Json:
    settings = Settings(
        program=find_program(args.prm_score),
        work=args.work.absolute(),
        dtype=args.dtype,
        file_dtype=args.file_dtype or args.dtype,
        shape=args.shape,
        seed=args.seed,
        rivals=args.rivals,
        limits=Limits(args.rounds, args.max_seconds),
        growth_seconds=args.growth_seconds,
        growth_repeats=args.growth_repeats,
        start_repeats=args.start_repeats,
        ceiling_seconds=args.ceiling_seconds,
        ceiling_rows=args.ceiling_rows,
    )
    run = Run(settings, Machine(args.device, args.threads), environments_of(args))
    growth = growth_sets(args)
    has_random = "random" in args.checkpoints  # the curves are of one checkpoint only
    random_plan = Plan(SHAPE_NAMES[args.shape], args.sets, *growth) if has_random else None
    judge_plan = Plan(JUDGE_NAME, args.judge_sets, *(NO_GROWTH if has_random else growth))
    return run.measure(random_plan, judge_plan if "judge" in args.checkpoints else None)


def environments_of(args: argparse.Namespace) -> Environments:
    return Environments(args.work.absolute() / "environments", args.python, args.install and not args.quick)


def without_paths(text: str, folders: Sequence[Path]) -> str:
    """Reasons may quote paths, which say nothing elsewhere."""
    for folder in folders:
        text = text.replace(str(folder.absolute()), folder.name)
    return text


def draw(args: argparse.Namespace, results: Path) -> Path | None:
    """The plot, or None with a message if it cannot be drawn."""
    plot = args.out / PLOT
    try:
        python = environments_of(args).python_of(REFERENCE.name)
        drawn = run_tool([python, "-m", "bench.plots", results, plot], Machine("cpu", args.threads), "plot")
    except RivalError as error:
        print(f"bench: {error}", file=sys.stderr)
        return None
    return plot if json.loads(drawn)["drawn"] else None


def publish(results_file: Path, results: Json, plot: Path | None) -> None:
    device = results["settings"]["device"]
    published = PUBLISHED[device]
    folder = REPOSITORY / published
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(results_file, folder / RESULTS)
    (folder / REPORT).write_text(full_report(results, PLOT if plot else None), encoding="utf-8")
    if plot is not None:
        shutil.copyfile(plot, folder / PLOT)
    readme = REPOSITORY / "README.md"
    block = short_report(results, f"{published}/{PLOT}" if plot else None)
    block += f"\n\nSpreads, matrix rates and a profile: [{published}/{REPORT}]({published}/{REPORT})."
    readme.write_text(replace_block(readme.read_text(encoding="utf-8"), device, block, readme.name), encoding="utf-8")


def read_results(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchError(f"{file}: expected a results.json, found {error}") from error


def join_results(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first one, with the checkpoints of the others in the place of its own of the same name, or behind them."""
    joined = dict(parts[0])
    checkpoints = {checkpoint["name"]: checkpoint for part in parts for checkpoint in part["checkpoints"]}
    titles = {lane: title for part in parts for lane, title in part["titles"].items()}
    return joined | {"checkpoints": list(checkpoints.values()), "titles": titles}


def bench(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    results_file = args.out / RESULTS
    if args.from_results:
        joined = join_results([read_results(file) for file in args.from_results])
        results_file.write_text(json.dumps(joined, indent=1, ensure_ascii=False) + "\n", "utf-8")
    else:
        text = json.dumps(measure(args), indent=1, ensure_ascii=False)
        results_file.write_text(without_paths(text, [args.work, args.out, REPOSITORY, Path.home()]) + "\n", "utf-8")
    results = read_results(results_file)
    plot = draw(args, results_file)
    (args.out / REPORT).write_text(full_report(results, plot.name if plot else None), encoding="utf-8")
    print(short_report(results, None))
    if args.update_readme:
        publish(results_file, results, plot)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    try:
        bench(args)
    except (BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
