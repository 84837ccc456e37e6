"""Trains the small base language model: rejected text is sampled from it and the judge starts from its weights."""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
from corpus import DEFAULT_CORPUS, Source, training_sources
from prompt import encode
from schedule import build_optimizer, set_learning_rate
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from train_tokenizer import END_OF_TEXT
from transformers import Qwen2Config, Qwen2ForCausalLM

MAX_POSITIONS = 4096


def build_model(args: argparse.Namespace, tokenizer: Tokenizer) -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=args.hidden_size,
        intermediate_size=args.intermediate_size,
        num_hidden_layers=args.num_hidden_layers,
        num_attention_heads=args.num_attention_heads,
        num_key_value_heads=args.num_key_value_heads,
        max_position_embeddings=MAX_POSITIONS,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.token_to_id(END_OF_TEXT),
        eos_token_id=tokenizer.token_to_id(END_OF_TEXT),
        pad_token_id=tokenizer.token_to_id(END_OF_TEXT),
        use_cache=False,
    )
    return Qwen2ForCausalLM(config)


def training_stream(tokenizer: Tokenizer, sources: list[Source]) -> torch.Tensor:
    """All documents as one row of ids, `<|endoftext|>` in front of each."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    ids: list[int] = []
    for source in sources:
        ids += [end, *encode(tokenizer, source.text)]
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
    parser.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="folder with sotu/*.txt and moby-dick.txt")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for the base checkpoint")
    parser.add_argument("--hidden-size", type=int, default=256, help="width of the model")
    parser.add_argument("--intermediate-size", type=int, default=704, help="width of the MLP")
    parser.add_argument("--num-hidden-layers", type=int, default=4, help="number of layers")
    parser.add_argument("--num-attention-heads", type=int, default=4, help="query heads")
    parser.add_argument("--num-key-value-heads", type=int, default=2, help="key and value heads")
    parser.add_argument("--train-tokens", type=int, default=4_000_000, help="tokens to train on, passes included")
    parser.add_argument("--window", type=int, default=512, help="tokens of one training sequence")
    parser.add_argument("--batch", type=int, default=8, help="sequences of one step")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="peak learning rate of AdamW")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and order")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--log-every", type=int, default=50, help="steps between two lines of log")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)

    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    model = build_model(args, tokenizer)
    optimizer = build_optimizer(model, args.learning_rate)
    stream = training_stream(tokenizer, training_sources(args.corpus))
    windows = epochs_of_windows(stream, args.window, args.train_tokens, rng)
    num_steps = len(windows) // args.batch
    print(f"{model.num_parameters():,} parameters, {len(stream):,} tokens of text, {num_steps} steps", flush=True)

    began, losses = time.monotonic(), []
    for step in range(num_steps):
        set_learning_rate(optimizer, args.learning_rate, step, num_steps)
        rows = torch.stack(windows[step * args.batch : (step + 1) * args.batch])
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=rows[:, :-1]).logits
        loss = cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if (step + 1) % args.log_every == 0 or step + 1 == num_steps:
            mean_loss = sum(losses) / len(losses)
            print(f"step {step + 1}/{num_steps} loss {mean_loss:.3f} {time.monotonic() - began:.0f} s", flush=True)
            losses = []

    model.save_pretrained(args.out)


if __name__ == "__main__":
    main()
