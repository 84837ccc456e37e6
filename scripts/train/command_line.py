"""What the command lines of the training scripts share: argument types, and how a script starts and fails."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any

from errors import InputError


def positive(text: str) -> int:
    """For argparse."""
    if (value := int(text)) < 1:
        raise ValueError
    return value


def not_negative(text: str) -> int:
    """For argparse."""
    if (value := int(text)) < 0:
        raise ValueError
    return value


def positive_number(text: str) -> float:
    """For argparse."""
    if not 0 < (value := float(text)) < math.inf:
        raise ValueError
    return value


def weight(text: str) -> float:
    """A number from 0 on, for argparse."""
    if not 0 <= (value := float(text)) < math.inf:
        raise ValueError
    return value


def add_threads(parser: Any, default: int | None = None) -> None:
    shown = "torch's" if default is None else default
    parser.add_argument("--threads", type=positive, default=default, help=f"CPU threads (default: {shown})")


def program_main(name: str, run: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> int:
    """Runs a script whose arguments are read, with their --threads and --seed, if it has them. Its errors are one line
    on stderr; the exit code."""
    try:
        _start_torch(getattr(args, "threads", None), getattr(args, "seed", None))
        run(args)
    except (InputError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def _start_torch(threads: int | None, seed: int | None) -> None:
    if threads is None and seed is None:
        return
    import torch  # only here: train_tokenizer.py starts sooner without

    if threads is not None:
        torch.set_num_threads(threads)
    if seed is not None:
        torch.manual_seed(seed)
