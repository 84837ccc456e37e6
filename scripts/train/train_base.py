"""Trains the small base language model: rejected text is sampled from it and the judge starts from its weights.

A run that was interrupted goes on from its last saved state when it is started again, to the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import required_packages  # noqa: F401

# isort: split
import torch
from checkpoint import save_model
from command_line import add_threads, positive, positive_number, program_main
from documents import Document, read_documents
from errors import InputError
from fresh_model import add_size_options, fresh_model
from prompt import END_OF_TEXT, encode, open_tokenizer
from schedule import build_optimizer, set_learning_rate, take_step
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from training_state import TrainingState, add_state_options
from tree import plain_tree


def training_stream(tokenizer: Tokenizer, documents: list[Document]) -> torch.Tensor:
    """All documents as one row of ids, `<|endoftext|>` in front of each."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    if end is None:
        raise InputError(f"tokenizer: expected the token {END_OF_TEXT}, found none")
    ids: list[int] = []
    for document in documents:
        ids += [end, *encode(tokenizer, document.text)]
    return torch.tensor(ids)


def epochs_of_windows(stream: torch.Tensor, window: int, num_tokens: int, rng: random.Random) -> list[torch.Tensor]:
    """Windows that cover `num_tokens` tokens of the stream; each pass starts at another offset and is shuffled."""
    if len(stream) <= window:
        raise InputError(f"--window {window}: expected texts of more tokens than that, found {len(stream)}")
    windows: list[torch.Tensor] = []
    while len(windows) * window < num_tokens:
        rest = stream[rng.randrange(window) :]
        one_pass = list(rest.unfold(0, window + 1, window)) if len(rest) > window else []
        rng.shuffle(one_pass)
        windows += one_pass
    return windows[: num_tokens // window]


class Log:
    """The mean loss of the steps between two lines; seconds count all parts of an interrupted run."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._losses: list[float] = []

    def add(self, loss: float) -> None:
        self._losses.append(loss)

    def report(self, step: int, num_steps: int) -> None:
        mean_loss, seconds = sum(self._losses) / len(self._losses), time.monotonic() - self._began
        print(f"step {step}/{num_steps} loss {mean_loss:.3f} {seconds:.0f} s", flush=True)
        self._losses = []

    def state(self) -> dict[str, Any]:
        return {"seconds": time.monotonic() - self._began, "losses": self._losses}

    def go_on(self, state: dict[str, Any]) -> None:
        self._began = time.monotonic() - state["seconds"]
        self._losses = list(state["losses"])


def train(args: argparse.Namespace) -> None:
    rng = random.Random(args.seed)
    documents = read_documents(args.documents)
    rng.shuffle(documents)
    tokenizer = open_tokenizer(args.tokenizer)
    model = fresh_model(args.tokenizer, args)
    optimizer = build_optimizer(model, args.learning_rate)
    stream = training_stream(tokenizer, documents)
    windows = epochs_of_windows(stream, args.window, args.train_tokens, rng)
    num_steps = len(windows) // args.batch
    if num_steps == 0:
        one_step = args.batch * args.window
        raise InputError(f"--train-tokens: expected {one_step} at least, those of one step, found {args.train_tokens}")
    print(f"{model.num_parameters():,} parameters, {len(stream):,} tokens of text, {num_steps} steps", flush=True)

    tree, log = plain_tree(args.window), Log()
    identity = {"tokens": len(stream), "sha256": hashlib.sha256(stream.numpy().tobytes()).hexdigest()}
    state = TrainingState(args, ", ".join(map(str, args.documents)), identity, model, optimizer, log, part="base")
    first = state.load()
    with state:
        for step in range(first, num_steps):
            set_learning_rate(optimizer, args.learning_rate, step, num_steps)
            rows = torch.stack(windows[step * args.batch : (step + 1) * args.batch])
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(input_ids=rows[:, :-1], tree=tree).logits
            loss = cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
            loss.backward()
            take_step(model, optimizer, step + 1)
            log.add(loss.item())
            if (step + 1) % args.log_every == 0 or step + 1 == num_steps:
                log.report(step + 1, num_steps)
            state.after_step(step + 1)
    with state.saved_if_this_fails(num_steps):
        save_model(model, args.tokenizer, args.out)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "documents",
        type=Path,
        nargs="+",
        help="JSON lines with a text field, *.txt files, or folders; gzip is unpacked",
    )
    add("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    add("--out", type=Path, required=True, help="folder for the base checkpoint")
    add(
        "--train-tokens",
        type=positive,
        default=4_000_000,
        help="tokens to train on, passes included (default: 4000000)",
    )
    add("--window", type=positive, default=512, help="tokens of one training sequence (default: 512)")
    add("--batch", type=positive, default=8, help="sequences of one step (default: 8)")
    add("--learning-rate", type=positive_number, default=2e-3, help="peak learning rate of AdamW (default: 2e-3)")
    add("--seed", type=int, default=1, help="seed of weights and order (default: 1)")
    add("--log-every", type=positive, default=50, help="steps between two lines of log (default: 50)")
    add_threads(parser, default=1)
    add_state_options(parser)
    add_size_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    return program_main("train_base.py", train, args, args.out)


if __name__ == "__main__":
    sys.exit(main())
