#!/usr/bin/env python3
"""What scoring costs, past one machine: measured here, fitted, and computed for a billion documents.

  scale.py measure --out FILE    runs prm-score over documents of several lengths, and its stages by themselves
  scale.py fit                   seconds = run + documents + rows + attended keys, and how far off that is
  scale.py table                 the README's section between its two marks, with every figure (m)easured or (c)omputed

Parts of a measurement, for --parts; each takes minutes, and takes the place of the same part in the file:

  judge-float32    the shipped judge
  0.5b-float32, 0.5b-bfloat16, 1.5b-bfloat16
                   checkpoints of the shapes of Qwen2.5 with random weights, made in the work folder (up to 3 GB)
  stages           reading, parsing, tokenising; passing over the lines of other shards; merge

CPU figures are processor seconds (user and system), which other programs on the machine disturb much less than the
clock on the wall; the JSON has both, and what others took meanwhile. Figures of a GPU come from scripts/bench.py's
results.json. Prices and a few rates are assumptions that the options change.

Exit codes: 0 done; 1 stopped by an error; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arguments import argument, positive
from bench.errors import BenchError
from bench.program import REPOSITORY, find_program
from bench.report import replace_section
from scale.checkpoints import JUDGES
from scale.costs import CORE, H200
from scale.errors import ScaleError
from scale.measure import STAGES, Effort, Measurement, part_names, read_measurements, say
from scale.plan import Assumptions
from scale.report import NEEDED, Model, fit_report, model_of, readme_section

MEASUREMENTS = REPOSITORY / "data/scale/measurements.json"
GPU_RESULTS = REPOSITORY / "data/bench/cuda/results.json"
FIT_REPORT = REPOSITORY / "data/scale/report.md"
PRICES = {CORE: 0.04, H200: 3.5}
SECTION = "scale"
Json = dict[str, Any]


def price(text: str) -> tuple[str, float]:
    unit, _, amount = text.partition("=")
    if unit not in PRICES or not 0 <= float(amount) < 1e6:
        raise ValueError
    return unit, float(amount)


def above_zero(text: str) -> float:
    if not 0 < (value := float(text)) < 1e18:
        raise ValueError
    return value


AMOUNT = argument(above_zero, "a number above 0")
NUMBER = argument(positive, "a positive integer")
PARTS = argument(part_names, f"names of {', '.join((*JUDGES, STAGES))}, separated by commas")
PRICE = argument(price, f"UNIT=DOLLARS, the unit {CORE} or {H200}, such as {CORE}=0.03")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="run prm-score and write what it took")
    measuring.add_argument("--prm-score", type=Path, metavar="PATH", help="default: build/prm-score, else on the PATH")
    measuring.add_argument("--parts", type=PARTS, default=(*JUDGES, STAGES), metavar="NAME,..", help="default: all")
    measuring.add_argument("--work", type=Path, default=REPOSITORY / "build/scale", metavar="FOLDER")
    measuring.add_argument("--repeats", type=NUMBER, default=3, metavar="N", help="default: %(default)s")
    measuring.add_argument(
        "--max-seconds", type=AMOUNT, default=25.0, metavar="S", help="no further repeat of a set then (%(default)g)"
    )
    measuring.add_argument(
        "--stage-scale", type=AMOUNT, default=1.0, metavar="X", help="of the files for the stages (%(default)g)"
    )
    measuring.add_argument("--out", type=Path, default=MEASUREMENTS, metavar="FILE")
    fitting = commands.add_parser("fit", help="print the costs and their errors")
    fitting.add_argument("--update-report", action="store_true", help="and write data/scale/report.md")
    table = commands.add_parser("table", help="print the README's section")
    table.add_argument("--update-readme", action="store_true", help="and put it between the README's two marks")
    table.add_argument("--price", type=PRICE, action="append", default=[], metavar="UNIT=DOLLARS", help=_prices())
    table.add_argument("--documents", type=AMOUNT, default=1e9, metavar="N", help="of the plan (%(default)g)")
    table.add_argument("--cores", type=NUMBER, default=2, metavar="N", help="of a CPU worker (%(default)s)")
    table.add_argument("--disk-bytes-per-second", type=AMOUNT, default=2e9, metavar="B", help="default: %(default)g")
    for command in (fitting, table):
        command.add_argument("--measurements", type=Path, default=MEASUREMENTS, metavar="FILE")
        command.add_argument("--gpu-results", type=Path, default=GPU_RESULTS, metavar="FILE")
    return parser.parse_args(argv)


def _prices() -> str:
    defaults = ", ".join(f"{unit}={amount:g}" for unit, amount in PRICES.items())
    return f"per hour; default: {defaults}"


def measure(args: argparse.Namespace) -> None:
    found = read_measurements(args.out) if args.out.exists() else {"parts": {}}
    effort = Effort(args.repeats, args.max_seconds, args.stage_scale)
    measurement = Measurement(find_program(args.prm_score), args.work.absolute(), effort)
    for name in args.parts:
        found["parts"][name] = measurement.part(name)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        say(f"{name} is in {args.out.name}")


def read_model(args: argparse.Namespace) -> tuple[Model, Json]:
    measurements = read_measurements(args.measurements, NEEDED)
    try:
        gpu_results = json.loads(args.gpu_results.read_text(encoding="utf-8"))
        return model_of(measurements, gpu_results), measurements
    except ValueError as error:
        raise ScaleError(f"{args.gpu_results}: expected JSON, found {error}") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        places = f"{args.measurements}, {args.gpu_results}"
        raise ScaleError(f"{places}: expected what measure and bench.py write, found {error!r}") from error


def show_fit(args: argparse.Namespace) -> None:
    report = fit_report(*read_model(args)) + "\n"
    print(report, end="")
    if args.update_report:
        FIT_REPORT.write_text(report, encoding="utf-8")


def show_table(args: argparse.Namespace) -> None:
    prices = PRICES | dict(args.price)
    assumed = Assumptions(prices, args.documents, args.disk_bytes_per_second)
    section = readme_section(*read_model(args), assumed, args.cores)
    print(section)
    if args.update_readme:
        readme = REPOSITORY / "README.md"
        text = replace_section(readme.read_text(encoding="utf-8"), SECTION, section, readme.name)
        readme.write_text(text, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    try:
        {"measure": measure, "fit": show_fit, "table": show_table}[args.command](args)
    except (ScaleError, BenchError, OSError) as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
