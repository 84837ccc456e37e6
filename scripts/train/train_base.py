"""Trains the small base language model: rejected text is sampled from it and the judge starts from its weights."""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
from checkpoint import copy_tokenizer
from documents import Document, read_documents
from fresh_model import add_size_options, fresh_model
from prompt import END_OF_TEXT, encode
from schedule import build_optimizer, set_learning_rate, take_step
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from tree import plain_tree


def training_stream(tokenizer: Tokenizer, documents: list[Document]) -> torch.Tensor:
    """All documents as one row of ids, `<|endoftext|>` in front of each."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    ids: list[int] = []
    for document in documents:
        ids += [end, *encode(tokenizer, document.text)]
    return torch.tensor(ids)


def epochs_of_windows(stream: torch.Tensor, window: int, num_tokens: int, rng: random.Random) -> list[torch.Tensor]:
    """Windows that cover `num_tokens` tokens of the stream; each pass starts at another offset and is shuffled."""
    windows: list[torch.Tensor] = []
    while len(windows) * window < num_tokens:
        offset = rng.randrange(window)
        one_pass = list(stream[offset:].unfold(0, window + 1, window))
        rng.shuffle(one_pass)
        windows += one_pass
    return windows[: num_tokens // window]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("documents", type=Path, nargs="+", help="JSON lines with a text field, *.txt files, or folders")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for the base checkpoint")
    parser.add_argument("--train-tokens", type=int, default=4_000_000, help="tokens to train on, passes included")
    parser.add_argument("--window", type=int, default=512, help="tokens of one training sequence")
    parser.add_argument("--batch", type=int, default=8, help="sequences of one step")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="peak learning rate of AdamW")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and order")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--log-every", type=int, default=50, help="steps between two lines of log")
    add_size_options(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)

    documents = read_documents(args.documents)
    rng.shuffle(documents)
    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    model = fresh_model(args.tokenizer, args)
    optimizer = build_optimizer(model, args.learning_rate)
    stream = training_stream(tokenizer, documents)
    windows = epochs_of_windows(stream, args.window, args.train_tokens, rng)
    num_steps = len(windows) // args.batch
    print(f"{model.num_parameters():,} parameters, {len(stream):,} tokens of text, {num_steps} steps", flush=True)

    tree = plain_tree(args.window)
    began, losses = time.monotonic(), []
    for step in range(num_steps):
        set_learning_rate(optimizer, args.learning_rate, step, num_steps)
        rows = torch.stack(windows[step * args.batch : (step + 1) * args.batch])
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=rows[:, :-1], tree=tree).logits
        loss = cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        take_step(model, optimizer)
        losses.append(loss.item())
        if (step + 1) % args.log_every == 0 or step + 1 == num_steps:
            mean_loss = sum(losses) / len(losses)
            print(f"step {step + 1}/{num_steps} loss {mean_loss:.3f} {time.monotonic() - began:.0f} s", flush=True)
            losses = []

    model.save_pretrained(args.out)
    copy_tokenizer(args.tokenizer, args.out)


if __name__ == "__main__":
    main()
