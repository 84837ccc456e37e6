"""Teaches a base model to see damage: at every token, is this real text or text made worse?

For small base models, before train_judge.py. Such a model does not know by itself how surprised it is, and the one letter of
a whole chunk is too thin a signal to teach it that; here every token carries a label. The windows come from the versions
of make_data.py, real and made worse in equal weight. The result is a checkpoint with the head of a judge, for train_judge.py
to start from.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from checkpoint import letter_ids, open_judge, save_judge
from documents import InputError
from make_data import read_versions
from schedule import build_optimizer, set_learning_rate
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits
from tree import Tree, log_odds_of, plain_tree
from versions import CHUNK, REAL, Version

CHOSEN, REJECTED, UNLABELLED = 1, 0, -1
DOCUMENT_WINDOW, CHUNK_WINDOW = 512, 256
"""Tokens of a window. Of a version with a single rejected chunk the last window is taken, with the real text before it."""


@dataclass(frozen=True)
class Window:
    ids: np.ndarray  # uint32 [window]
    labels: np.ndarray  # int8 [window]
    kind: str


def token_labels(version: Version, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """Per token, by its first code point. In a chunk version the real beginning counts as chosen: it is real text."""
    labels = np.full(len(offsets), UNLABELLED, dtype=np.int8)
    begins = np.array([begin for begin, _ in offsets])
    for begin, end in version.chosen:
        labels[(begins >= begin) & (begins < end)] = CHOSEN
    if version.scope == CHUNK and version.rejected:
        labels[begins < version.rejected[0][0]] = CHOSEN
    for begin, end in version.rejected:
        labels[(begins >= begin) & (begins < end)] = REJECTED
    return labels


def windows_of(version: Version, tokenizer: Tokenizer, pad: int) -> list[Window]:
    encoding = tokenizer.encode(version.text, add_special_tokens=False)
    ids, labels = np.array(encoding.ids, dtype=np.uint32), token_labels(version, encoding.offsets)
    if version.scope == CHUNK:
        pieces = [(ids[-CHUNK_WINDOW:], labels[-CHUNK_WINDOW:])]
        size = CHUNK_WINDOW
    else:
        size = DOCUMENT_WINDOW
        pieces = [(ids[b : b + size], labels[b : b + size]) for b in range(0, len(ids), size)]
        pieces = [piece for piece in pieces if len(piece[0]) >= size // 4]
    windows = []
    for piece_ids, piece_labels in pieces:
        missing = size - len(piece_ids)
        windows.append(
            Window(
                np.pad(piece_ids, (0, missing), constant_values=pad),
                np.pad(piece_labels, (0, missing), constant_values=UNLABELLED),
                version.kind,
            )
        )
    return windows


def read_windows(path: Path, tokenizer: Tokenizer, pad: int) -> dict[int, list[Window]]:
    """By size."""
    windows: dict[int, list[Window]] = defaultdict(list)
    for version in read_versions(path):
        for window in windows_of(version, tokenizer, pad):
            windows[len(window.ids)].append(window)
    if not windows:
        raise InputError(f"{path}: expected versions of at least {DOCUMENT_WINDOW // 4} tokens, found none")
    return windows


def batches_of(windows: dict[int, list[Window]], tokens: int, rng: random.Random) -> list[list[Window]]:
    """All windows once, in random order; the windows of a batch have one size and about `tokens` tokens together."""
    batches = []
    for size, members in sorted(windows.items()):
        members = rng.sample(members, len(members))
        per_batch = max(1, tokens // size)
        batches += [members[b : b + per_batch] for b in range(0, len(members), per_batch)]
    rng.shuffle(batches)
    return batches


class Log:
    """Running means: the loss, and per kind how often a label was on its right side of 0."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._losses: list[float] = []
        self._right: dict[str, list[float]] = defaultdict(list)

    def add(self, loss: float, log_odds: torch.Tensor, labels: torch.Tensor, kinds: list[str]) -> None:
        self._losses.append(loss)
        right = (log_odds > 0) == (labels == CHOSEN)
        for row, kind in enumerate(kinds):
            for label, name in ((REJECTED, kind), (CHOSEN, REAL)):
                places = labels[row] == label
                if places.any():
                    self._right[name].append(right[row][places].float().mean().item())

    def report(self, step: int, num_steps: int) -> None:
        kinds = " ".join(f"{kind} {np.mean(r):.2f}" for kind, r in sorted(self._right.items()))
        seconds = time.monotonic() - self._began
        print(f"step {step}/{num_steps} {seconds:.0f} s loss {np.mean(self._losses):.3f} | {kinds}", flush=True)
        self._losses = []
        self._right.clear()


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    letters = letter_ids(args.base)
    tokenizer = Tokenizer.from_file(str(args.base / "tokenizer.json"))
    windows = read_windows(args.versions, tokenizer, pad=letters[0])
    everything = [w.labels for members in windows.values() for w in members]
    counts = [sum(int((labels == label).sum()) for labels in everything) for label in (REJECTED, CHOSEN)]
    if min(counts) == 0:
        raise InputError(f"{args.versions}: expected real and rejected text, found {counts[1]} and {counts[0]} tokens")
    weights = torch.tensor([sum(counts) / 2 / counts[0], sum(counts) / 2 / counts[1]])
    batches = [batch for _ in range(args.epochs) for batch in batches_of(windows, args.batch_tokens, rng)]
    batches = batches[: args.max_steps]
    print(f"{sum(map(len, windows.values()))} windows, {counts[1]} real and {counts[0]} rejected tokens", flush=True)

    model = open_judge(args.base, letters)
    optimizer = build_optimizer(model, args.learning_rate)
    trees: dict[int, Tree] = {size: plain_tree(size) for size in windows}
    log = Log()
    for step, batch in enumerate(batches):
        set_learning_rate(optimizer, args.learning_rate, step, len(batches))
        input_ids = torch.from_numpy(np.stack([w.ids for w in batch]).astype(np.int64))
        labels = torch.from_numpy(np.stack([w.labels for w in batch]))
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.base_model(
                input_ids=input_ids, tree=trees[input_ids.shape[1]], use_cache=False
            ).last_hidden_state
        log_odds = log_odds_of(model, hidden, letters)
        known = labels != UNLABELLED
        known[:, : args.unlabelled] = False
        targets = labels[known].float()
        loss = binary_cross_entropy_with_logits(log_odds[known], targets, weight=weights[labels[known].long()])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        log.add(loss.item(), log_odds.detach(), labels, [w.kind for w in batch])
        if (step + 1) % args.log_every == 0 or step + 1 == len(batches):
            log.report(step + 1, len(batches))
    save_judge(model, letters, args.base, args.out, torch.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="base checkpoint with its tokenizer")
    parser.add_argument("--versions", type=Path, required=True, help="versions.jsonl of make_data.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the versions (default: 1)")
    parser.add_argument("--max-steps", type=int, help="optimizer steps at most (default: as the epochs have)")
    parser.add_argument("--batch-tokens", type=int, default=8192, help="tokens of one step (default: 8192)")
    parser.add_argument("--unlabelled", type=int, default=4, help="first tokens of a window, too few to tell (default: 4)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="peak learning rate of AdamW (default: 1e-3)")
    parser.add_argument("--seed", type=int, default=6, help="seed of head and order (default: 6)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--log-every", type=int, default=20, help="steps between two lines of log (default: 20)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        train(args)
    except (InputError, OSError) as error:
        print(f"train_detector.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
