"""Teaches a base model to see damage: at every token, is this real text or text made worse?

For small base models, before train_judge.py. Such a model does not know by itself how surprised it is, and the one
letter of a whole chunk is too thin a signal to teach it that; here every token carries a label. The windows come from
the versions of make_data.py, real and made worse in equal weight. The result is a checkpoint with the head of a judge,
for train_judge.py to start from. A run that was interrupted goes on from its last saved state when it is started again.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import required_packages  # noqa: F401

# isort: split
import numpy as np
import torch
from checkpoint import open_judge, save_judge
from command_line import add_threads, not_negative, positive, positive_number, program_main
from damage import CORRUPTIONS
from errors import InputError
from prompt import CHUNK_SIZE, letter_ids, open_tokenizer
from schedule import build_optimizer, set_learning_rate, take_step
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits
from training_state import TrainingState, add_state_options
from tree import log_odds_of, plain_tree
from versions import CHUNK, DOCUMENT, REAL, SAMPLED, TRANSLATION, Label, Version, read_versions

CHOSEN, REJECTED, UNLABELLED = Label.CHOSEN, Label.REJECTED, -1
WINDOW = 512
"""Tokens of a window."""


@dataclass(frozen=True)
class Window:
    num_tokens: int  # before the padding
    ids: np.ndarray  # uint32 [WINDOW]
    labels: np.ndarray  # int8 [WINDOW]
    kinds: np.ndarray  # int8 [WINDOW]: places in KINDS


KINDS = (REAL, SAMPLED, TRANSLATION, *CORRUPTIONS)


@dataclass
class Tokens:
    """A text's tokens, what they are and how they came about."""

    ids: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray


def tokens_of(version: Version, tokenizer: Tokenizer) -> tuple[Tokens, np.ndarray]:
    """And where each token begins: its first code point."""
    encoding = tokenizer.encode(version.text, add_special_tokens=False)
    begins = np.array([begin for begin, _ in encoding.offsets], dtype=np.int64)
    labels = np.full(len(begins), UNLABELLED, dtype=np.int8)
    for ranges, label in ((version.chosen, CHOSEN), (version.rejected, REJECTED)):
        for begin, end in ranges:
            labels[(begins >= begin) & (begins < end)] = label
    kinds = np.full(len(begins), KINDS.index(version.kind), dtype=np.int8)
    return Tokens(np.array(encoding.ids, dtype=np.uint32), labels, kinds), begins


def patched(real: Tokens, chunks: dict[int, tuple[np.ndarray, str]], chosen: set[int]) -> Tokens:
    """The real text with the rejected chunks of the `chosen` numbers in place of its own."""
    ids, labels, kinds = [], [], []
    for number, begin in enumerate(range(0, len(real.ids), CHUNK_SIZE)):
        part = slice(begin, begin + CHUNK_SIZE)
        if number in chosen:
            worse, kind = chunks[number]
            ids.append(worse)
            labels.append(np.full(len(worse), REJECTED, dtype=np.int8))
            kinds.append(np.full(len(worse), KINDS.index(kind), dtype=np.int8))
        else:
            ids.append(real.ids[part])
            labels.append(real.labels[part])
            kinds.append(real.kinds[part])
    return Tokens(np.concatenate(ids), np.concatenate(labels), np.concatenate(kinds))


def texts_of(versions: Sequence[Version], tokenizer: Tokenizer, rng: random.Random) -> Iterator[Tokens]:
    """A document's versions as a whole; and its real text twice with rejected chunks in it, the second time where the
    first one is real. So every chunk that has a rejected alternative is there once as real and once as rejected, at the
    same place: nothing but the text itself can tell them apart."""
    real_tokens = None
    for version in versions:
        if version.scope == DOCUMENT:
            tokens, begins = tokens_of(version, tokenizer)
            yield tokens
            if version.kind == REAL:
                real_tokens, real_begins = tokens, begins
    if real_tokens is None:
        return
    chunks = {}
    for version in versions:
        if version.scope == CHUNK:
            number = int(version.id.rpartition("-")[2])
            begin = real_begins[number * CHUNK_SIZE] if number * CHUNK_SIZE < len(real_begins) else None
            if begin is not None and (ids := tokenizer.encode(version.text[begin:], add_special_tokens=False).ids):
                chunks[number] = np.array(ids[:CHUNK_SIZE], dtype=np.uint32), version.kind
    if chunks:
        first = {number for number in chunks if rng.random() < 0.5}
        yield patched(real_tokens, chunks, first)
        yield patched(real_tokens, chunks, set(chunks) - first)


def windows_of(tokens: Tokens, pad: int) -> Iterator[Window]:
    for begin in range(0, len(tokens.ids), WINDOW):
        part = slice(begin, begin + WINDOW)
        missing = WINDOW - len(tokens.ids[part])
        if missing <= WINDOW * 3 // 4:
            yield Window(
                WINDOW - missing,
                np.pad(tokens.ids[part], (0, missing), constant_values=pad),
                np.pad(tokens.labels[part], (0, missing), constant_values=UNLABELLED),
                np.pad(tokens.kinds[part], (0, missing)),
            )


def read_windows(path: Path, tokenizer: Tokenizer, pad: int, rng: random.Random) -> list[Window]:
    windows: list[Window] = []
    for _, versions in groupby(read_versions(path), key=lambda version: version.document):
        for tokens in texts_of(list(versions), tokenizer, rng):
            windows += windows_of(tokens, pad)
    if not windows:
        raise InputError(f"{path}: expected versions of at least {WINDOW // 4} tokens, found none")
    return windows


class Log:
    """Running means: the loss, and per kind how often a label was on its right side of 0."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._losses: list[float] = []
        self._right: dict[str, list[float]] = defaultdict(list)

    def add(self, loss: float, log_odds: torch.Tensor, labels: torch.Tensor, kinds: torch.Tensor) -> None:
        """The last three for the labelled tokens alone."""
        self._losses.append(loss)
        right = (log_odds > 0) == (labels == CHOSEN)
        for index, kind in enumerate(KINDS):
            places = labels == CHOSEN if kind == REAL else (kinds == index) & (labels == REJECTED)
            if places.any():
                self._right[kind].append(right[places].float().mean().item())

    def report(self, step: int, num_steps: int) -> None:
        kinds = " ".join(f"{kind} {np.mean(r):.2f}" for kind, r in sorted(self._right.items()))
        seconds = time.monotonic() - self._began
        print(f"step {step}/{num_steps} {seconds:.0f} s loss {np.mean(self._losses):.3f} | {kinds}", flush=True)
        self._losses = []
        self._right.clear()

    def state(self) -> dict[str, Any]:
        return {"seconds": time.monotonic() - self._began, "losses": self._losses, "right": dict(self._right)}

    def go_on(self, state: dict[str, Any]) -> None:
        self._began = time.monotonic() - state["seconds"]
        self._losses = list(state["losses"])
        self._right = defaultdict(list, state["right"])


def identity_of(windows: Sequence[Window]) -> dict[str, int | str]:
    """What tells them from others, for the state of a run."""
    digest = hashlib.sha256()
    for window in windows:
        for values in (window.ids, window.labels, window.kinds):
            digest.update(values.tobytes())
    return {"windows": len(windows), "sha256": digest.hexdigest()}


def train(args: argparse.Namespace) -> None:
    rng = random.Random(args.seed)
    letters = letter_ids(args.base)
    tokenizer = open_tokenizer(args.base)
    windows = read_windows(args.versions, tokenizer, letters[0], rng)
    counts = [sum(int((w.labels == label).sum()) for w in windows) for label in (REJECTED, CHOSEN)]
    if min(counts) == 0:
        raise InputError(f"{args.versions}: expected real and rejected text, found {counts[1]} and {counts[0]} tokens")
    weights = torch.tensor([sum(counts) / 2 / counts[0], sum(counts) / 2 / counts[1]])
    order = [window for _ in range(args.epochs) for window in rng.sample(windows, len(windows))]
    per_step = max(1, args.batch_tokens // WINDOW)
    num_steps = min(len(order) // per_step or 1, args.max_steps or len(order))
    print(f"{len(windows)} windows, {counts[1]} real and {counts[0]} rejected tokens", flush=True)

    model = open_judge(args.base, letters)
    optimizer = build_optimizer(model, args.learning_rate)
    tree, log = plain_tree(WINDOW), Log()
    state = TrainingState(args, args.versions, identity_of(windows), model, optimizer, log, part="detector")
    first = state.load()
    with state:
        for step in range(first, num_steps):
            set_learning_rate(optimizer, args.learning_rate, step, num_steps)
            batch = order[step * per_step : (step + 1) * per_step]
            input_ids, labels, kinds = (
                torch.from_numpy(np.stack([getattr(w, name) for w in batch]).astype(np.int64))
                for name in ("ids", "labels", "kinds")
            )
            with torch.autocast("cpu", torch.bfloat16):
                hidden = model.base_model(input_ids=input_ids, tree=tree, use_cache=False).last_hidden_state
            known = labels != UNLABELLED
            known[:, : args.unlabelled] = False
            log_odds, labels = log_odds_of(model, hidden, letters)[known], labels[known]
            loss = binary_cross_entropy_with_logits(log_odds, labels.float(), weight=weights[labels])
            loss.backward()
            take_step(model, optimizer, step + 1)
            log.add(loss.item(), log_odds.detach(), labels, kinds[known])
            if (step + 1) % args.log_every == 0 or step + 1 == num_steps:
                log.report(step + 1, num_steps)
            state.after_step(step + 1)
    with state.saved_if_this_fails(num_steps):
        save_judge(model, letters, args.base, args.out, torch.float32)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--base", type=Path, required=True, help="base checkpoint with its tokenizer")
    add("--versions", type=Path, required=True, help="versions.jsonl of make_data.py")
    add("--out", type=Path, required=True, help="folder for the checkpoint")
    add("--epochs", type=positive, default=1, help="passes over the versions (default: 1)")
    add("--max-steps", type=positive, help="optimizer steps at most (default: as the epochs have)")
    add("--batch-tokens", type=positive, default=8192, help="tokens of one step (default: 8192)")
    add("--unlabelled", type=not_negative, default=4, help="first tokens of a window, too few to tell (default: 4)")
    add("--learning-rate", type=positive_number, default=1e-3, help="peak learning rate of AdamW (default: 1e-3)")
    add("--seed", type=int, default=6, help="seed of head and order (default: 6)")
    add("--log-every", type=positive, default=20, help="steps between two lines of log (default: 20)")
    add_threads(parser)
    add_state_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    return program_main("train_detector.py", train, args, args.out)


if __name__ == "__main__":
    sys.exit(main())
