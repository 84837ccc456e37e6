"""Teaches the base model to see damage: at every token, is this real text or damaged text?

The judge starts from the result. A small base model does not know by itself how surprised it is, and the one label of a
whole chunk is too thin a signal to teach it. Here each step holds the same excerpts twice, real and damaged, and every
token carries the label, so the signal is dense and balanced.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
from corpus import DEFAULT_CORPUS, ExcerptPicker, training_sources
from damage import DAMAGES, splice_texts
from make_data import CHARS_PER_TOKEN, SPLICE, draw
from prompt import encode, label_ids
from schedule import build_optimizer, set_learning_rate
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits
from train_judge import judge_from_base

KINDS = {
    "word_shuffle": 0.34,
    "nearby_word_shuffle": 0.18,
    "char_noise": 0.16,
    "repetition": 0.12,
    "span_deletion": 0.14,
    SPLICE: 0.06,
}
UNLABELLED = 4
"""The first tokens of an excerpt, too few to tell."""


def pair(tokenizer: Tokenizer, picker: ExcerptPicker, rng: random.Random, window: int) -> tuple[list[int], list[int]]:
    """The same excerpt twice, `window` tokens each: real, damaged."""
    while True:
        text = picker.pick(rng, window * CHARS_PER_TOKEN)
        kind = draw(rng, KINDS)
        if kind == SPLICE:
            damaged = splice_texts(rng, [text, picker.pick(rng, len(text))])
        else:
            damaged = DAMAGES[kind](rng, text)
        ids = encode(tokenizer, text)[:window], encode(tokenizer, damaged)[:window]
        if len(ids[0]) == len(ids[1]) == window:
            return ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="folder with sotu/*.txt and moby-dick.txt")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    parser.add_argument("--base", type=Path, required=True, help="base checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint to train the judge from")
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps")
    parser.add_argument("--pairs", type=int, default=16, help="pairs of one step")
    parser.add_argument("--window", type=int, default=128, help="tokens of an excerpt")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="peak learning rate of AdamW")
    parser.add_argument("--seed", type=int, default=6, help="seed of the head, the excerpts and the damage")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--log-every", type=int, default=10, help="steps between two lines of log and two checkpoints")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)

    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    chosen, rejected = label_ids(tokenizer)
    model = judge_from_base(args.base, (chosen, rejected), attention="sdpa")
    optimizer = build_optimizer(model, args.learning_rate)
    picker = ExcerptPicker(training_sources(args.corpus))
    targets = torch.tensor([1.0, 0.0] * args.pairs)[:, None].expand(-1, args.window - UNLABELLED)

    began, losses, rights = time.monotonic(), [], []
    for step in range(args.steps):
        set_learning_rate(optimizer, args.learning_rate, step, args.steps)
        pairs = [pair(tokenizer, picker, rng, args.window) for _ in range(args.pairs)]
        input_ids = torch.tensor([ids for both in pairs for ids in both])
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(input_ids=input_ids).last_hidden_state
        log_odds = hidden.float() @ (model.lm_head.weight[chosen] - model.lm_head.weight[rejected])
        log_odds = log_odds[:, UNLABELLED:]
        loss = binary_cross_entropy_with_logits(log_odds, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        means = log_odds.detach().mean(dim=1)
        losses.append(loss.item())
        rights.append((means[0::2] > means[1::2]).float().mean().item())
        if (step + 1) % args.log_every == 0 or step + 1 == args.steps:
            loss_mean, right_mean = (sum(x) / len(x) for x in (losses, rights))
            seconds = time.monotonic() - began
            print(f"step {step + 1}/{args.steps} {seconds:.0f} s loss {loss_mean:.3f} pairs {right_mean:.2f}", flush=True)
            losses, rights = [], []
            model.save_pretrained(args.out)


if __name__ == "__main__":
    main()
