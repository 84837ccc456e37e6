"""The state of an interrupted run of a training script, OUT/train_state.pt: what it takes to go on to the same file.

part               of a script that trains more than one model: which of them
model, optimizer   their state_dicts
step               steps taken
generators         of torch's random numbers, which dropout draws: the CPU's, then the device's if it has its own
log                of the log
options            the command line, as far as it moves the result
examples           identity of what is learned from
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from command_line import positive_number
from errors import InputError
from writing import whole_file

STATE_FILE = "train_state.pt"
FREE_OPTIONS = {
    *("out", "threads", "device", "overwrite", "log_every", "save_every", "save_seconds"),
    *("eval_every", "eval_data", "eval_documents"),
}
"""A continued run may have others than the one it continues."""
WORK_PER_STATE = 20.0
"""No state is saved by time before this many times the last one's duration."""


def part_of_state(out: Path) -> str | None:
    """Which part the state in the folder is of; None: there is none."""
    path = out / STATE_FILE
    return str(_loaded(path, "cpu").get("part", "")) if path.exists() else None


def _loaded(path: Path, device: str) -> dict[str, Any]:
    """Throws InputError."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError, ValueError, LookupError, AttributeError) as error:
        raise InputError(f"{path}: expected a state, found no whole one: {error}; --overwrite begins anew") from error
    if not isinstance(state, dict) or "examples" not in state:
        raise InputError(f"{path}: written by an earlier form of this script; --overwrite begins anew")
    return state


class ResumedLog(Protocol):
    def state(self) -> dict[str, Any]: ...

    def go_on(self, state: dict[str, Any]) -> None: ...


def add_state_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--save-seconds",
        type=positive_number,
        default=120.0,
        help="seconds between two saved states in OUT/train_state.pt, from which the same command goes on after an "
        "interruption (default: 120; at least 20 times what saving takes)",
    )
    parser.add_argument("--overwrite", action="store_true", help="begin anew where OUT holds a state, or a judge")


class TrainingState:
    """Saves and loads what a run is made of, the objects given. For a `with` statement around the steps: while it lasts
    the first Ctrl-C is only noted, so that a step is whole; the second one ends the program."""

    def __init__(
        self,
        args: argparse.Namespace,
        source: object,
        identity: Mapping[str, int | str],
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        log: ResumedLog,
        part: str = "",
    ) -> None:
        """`identity`: of the content of `source`, what is learned from."""
        self._args = args
        self._source = source
        self._identity = dict(identity)
        self._model = model
        self._optimizer = optimizer
        self._log = log
        self._part = part
        self._path = args.out / STATE_FILE
        self._is_interrupted = False
        self._saved_at, self._save_seconds = time.monotonic(), 0.0

    def __enter__(self) -> TrainingState:
        self._handler = signal.signal(signal.SIGINT, self._note_interrupt)
        self._saved_at = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._handler)

    def _note_interrupt(self, *_: object) -> None:
        self._is_interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def after_step(self, step: int, is_wanted: bool = False) -> None:
        """Saves if it is wanted, if the last state is old enough, or after Ctrl-C, which then ends the run."""
        interval = max(self._args.save_seconds, WORK_PER_STATE * self._save_seconds)
        if is_wanted or self._is_interrupted:
            self.save(step)
        elif time.monotonic() - self._saved_at >= interval:
            self._save_if_possible(step)
        if self._is_interrupted:
            raise KeyboardInterrupt(self._how_to_go_on(step))

    def _how_to_go_on(self, step: int) -> str:
        same = "the same command without --overwrite" if self._args.overwrite else "the same command"
        return f"{self._args.out} holds the state after step {step}, {same} goes on"

    def _save_if_possible(self, step: int) -> None:
        """What cannot be written now may be the next time, and the training does not need it."""
        try:
            self.save(step)
        except InputError as error:
            print(f"warning: no state saved: {error}", file=sys.stderr)
            self._saved_at = time.monotonic()

    @contextmanager
    def saved_if_this_fails(self, step: int) -> Iterator[None]:
        """Around what writes the result, with which the state goes: the training is not to be lost with it."""
        try:
            yield
        except InputError:
            with suppress(InputError):
                self.save(step)
            raise
        self.remove()

    def save(self, step: int) -> None:
        """A run that is killed meanwhile keeps the state before."""
        began = time.monotonic()
        state = {
            "part": self._part,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": step,
            "generators": [generator.get_state() for generator in self._generators()],
            "log": self._log.state(),
            "options": self._options(),
            "examples": self._identity,
        }
        with whole_file(self._path) as partial:
            torch.save(state, partial)
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - began

    def is_there(self) -> bool:
        return self._path.exists()

    def load(self) -> int:
        """The step to go on with. Throws InputError if OUT holds a state of another run."""
        if self._args.overwrite:
            self.remove()
        return self._go_on() if self.is_there() else 0

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def _go_on(self) -> int:
        state = _loaded(self._path, getattr(self._args, "device", "cpu"))
        if state.get("part", "") != self._part:
            raise InputError(f"{self._path}: written by another script; another --out, or --overwrite begins anew")
        for name, value in self._options().items():
            if state["options"].get(name) != value:
                raise InputError(
                    f"{self._path}: the interrupted run had --{name.replace('_', '-')} {state['options'].get(name)}, "
                    f"this one has {value}; the same options go on, --overwrite begins anew"
                )
        for name, now in self._identity.items():
            if state["examples"].get(name) != now:
                raise InputError(
                    f"{self._source}: {name}: the interrupted run had {state['examples'].get(name)}, now it is "
                    f"{now}; the same examples go on, --overwrite begins anew"
                )
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if len(state["generators"]) == len(generators := self._generators()):  # another --device draws other numbers
            for generator, numbers in zip(generators, state["generators"], strict=True):
                generator.set_state(numbers.cpu())
        self._log.go_on(state["log"])
        print(f"going on after step {state['step']}", file=sys.stderr)
        return int(state["step"])

    def _options(self) -> dict[str, str]:
        return {name: str(value) for name, value in vars(self._args).items() if name not in FREE_OPTIONS}

    def _generators(self) -> list[torch.Generator]:
        device = torch.device(getattr(self._args, "device", "cpu"))
        if device.type != "cuda":
            return [torch.default_generator]
        index = torch.cuda.current_device() if device.index is None else device.index
        return [torch.default_generator, torch.cuda.default_generators[index]]
