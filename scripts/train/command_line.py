"""What the command lines of the training scripts share: argument types, and how a script starts and fails."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from errors import InputError
from writing import alone_in


def number(kind: Callable[[str], float], low: float, high: float = math.inf) -> Callable[[str], float]:
    """A number of `low` to `high`, for argparse."""
    expected = f"{low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
    if kind is int:
        expected = "a whole number of " + expected

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or value == math.inf:
            raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}")
        return value

    return parse


def positive_number(text: str) -> float:
    """For argparse."""
    value = number(float, 0)(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value


positive = number(int, 1)
not_negative = number(int, 0)
weight = number(float, 0)


def add_threads(parser: Any, default: int | None = None) -> None:
    shown = "torch's" if default is None else default
    parser.add_argument("--threads", type=positive, default=default, help=f"CPU threads (default: {shown})")


def program_main(
    name: str, run: Callable[[argparse.Namespace], None], args: argparse.Namespace, out: Path | None = None
) -> int:
    """Runs a script whose arguments are read, with their --threads and --seed, if it has them; the only one that writes
    to the folder `out`. Its errors are one line on stderr; the exit code."""
    try:
        with alone_in(out) if out else nullcontext():
            _start_torch(getattr(args, "threads", None), getattr(args, "seed", None))
            run(args)
    except (InputError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        return interrupted(name, str(interrupt))
    return 0


def interrupted(name: str, what_is_kept: str = "") -> int:
    """Says so, and what to do; the exit code."""
    print(f"{name}: interrupted{what_is_kept and ': '}{what_is_kept}", file=sys.stderr)
    return 130


def _start_torch(threads: int | None, seed: int | None) -> None:
    if threads is None and seed is None:
        return
    import torch  # only here: train_tokenizer.py starts sooner without

    if threads is not None:
        torch.set_num_threads(threads)
    if seed is not None:
        torch.manual_seed(seed)
