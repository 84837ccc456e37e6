"""The state of an interrupted run of train_judge.py, OUT/train_state.pt: what it takes to go on to the same file.

model, optimizer   their state_dicts
step               steps taken
generators         of torch's random numbers, which dropout draws: the CPU's, then the device's if it has its own
log                of the Log
options            the command line, as far as it moves the result
examples           identity of --data's content
"""

from __future__ import annotations

import argparse
import sys

import torch
from errors import InputError
from examples import ExampleFile
from training_log import Log
from transformers import PreTrainedModel
from writing import whole_file

STATE_FILE = "train_state.pt"
FREE_OPTIONS = {
    *("out", "threads", "device", "overwrite", "log_every", "save_every"),
    *("eval_every", "eval_data", "eval_documents"),
}
"""A continued run may have others than the one it continues."""


class TrainingState:
    """Saves and loads what a run is made of, the objects given."""

    def __init__(
        self,
        args: argparse.Namespace,
        examples: ExampleFile,
        model: PreTrainedModel,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._args = args
        self._examples = examples
        self._model = model
        self._optimizer = optimizer
        self._path = args.out / STATE_FILE

    def save(self, step: int, log: Log) -> None:
        """A run that is killed meanwhile keeps the state before."""
        state = {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": step,
            "generators": [generator.get_state() for generator in self._generators()],
            "log": log.state(),
            "options": self._options(),
            "examples": self._examples.identity,
        }
        with whole_file(self._path) as partial:
            torch.save(state, partial)

    def load(self, log: Log) -> int:
        """The step to go on with. Throws InputError if OUT holds a state of another run, or a finished judge."""
        out = self._args.out
        if self._args.overwrite:
            self.remove()
        elif self._path.exists():
            return self._go_on(log)
        elif (out / "config.json").exists():
            raise InputError(f"{out}: holds a checkpoint already; another --out, or --overwrite")
        (out / "log.jsonl").unlink(missing_ok=True)
        return 0

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def _go_on(self, log: Log) -> int:
        state = torch.load(self._path, map_location=self._args.device, weights_only=True)
        if "examples" not in state:
            raise InputError(f"{self._path}: written by an earlier form of this script; --overwrite begins anew")
        for name, value in self._options().items():
            if state["options"].get(name) != value:
                raise InputError(
                    f"{self._path}: the interrupted run had --{name.replace('_', '-')} {state['options'].get(name)}, "
                    f"this one has {value}; the same options go on, --overwrite begins anew"
                )
        for name, value in self._examples.identity.items():
            if state["examples"][name] != value:
                raise InputError(
                    f"{self._args.data}: {name}: the interrupted run had {state['examples'][name]}, now it is {value}; "
                    f"the same examples go on, --overwrite begins anew"
                )
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if len(state["generators"]) == len(generators := self._generators()):  # another --device draws other numbers
            for generator, numbers in zip(generators, state["generators"], strict=True):
                generator.set_state(numbers.cpu())
        log.go_on(state["log"])
        print(f"going on after step {state['step']}", file=sys.stderr)
        return int(state["step"])

    def _options(self) -> dict[str, str]:
        return {name: str(value) for name, value in vars(self._args).items() if name not in FREE_OPTIONS}

    def _generators(self) -> list[torch.Generator]:
        device = torch.device(self._args.device)
        if device.type != "cuda":
            return [torch.default_generator]
        index = torch.cuda.current_device() if device.index is None else device.index
        return [torch.default_generator, torch.cuda.default_generators[index]]
