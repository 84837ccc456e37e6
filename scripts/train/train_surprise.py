"""Teaches a base model how surprised it is: for small base models, before train_detector.py.

A language model knows what it expects next, but no row of it knows how well the last tokens met the expectation; and
that is most of what tells real text from text made worse. Labels alone teach it slowly: 2.8 million labelled tokens
moved a small model's loss by 1 %. So the model is grown by three layers, and each part learns numbers that the base
model itself supplies for every token of any text:

    layers 0 .. N-1   the base model, as it is
    layers N, N+1     learn, at each token, -log p(token) and the entropy of the prediction it was drawn from
    layer  N+2        learns the means of both, and of their distance, over the last CHUNK_SIZE tokens

New layers start as the identity. One head of each key-value group starts by looking one token back (in layer N+2: over
the recent tokens), by the biases of query and key alone: with rotary embeddings their product depends on distance only.
A run that was interrupted goes on from its last saved state when it is started again.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import required_packages  # noqa: F401

# isort: split
import numpy as np
import torch
from checkpoint import open_model, save_model
from command_line import add_threads, positive, positive_number, program_main
from errors import InputError
from prompt import CHUNK_SIZE, open_tokenizer
from schedule import build_optimizer, set_learning_rate, take_step
from torch.nn.functional import mse_loss, pad
from train_detector import WINDOW, Window, identity_of, read_windows
from training_state import TrainingState, add_state_options, part_of_state
from transformers import Qwen2Config, Qwen2ForCausalLM
from tree import ATTENTION_NAME, plain_tree

PREVIOUS_TOKEN_SCALE = 7.0
RECENT_TOKENS_SCALE = 3.0
RECENT_TOKENS_PAIRS = slice(13, 21)
"""Of a head's 32 rotating pairs: wavelengths of 250 to 2,000 tokens, whose sum falls off behind the last chunk."""
MIN_MEAN_TOKENS = 32
"""Means are learned from so many tokens on."""
TOKEN_NORM = ((4.0, 3.0), (4.0, 2.0))
"""Centre and spread in nats, about those of a small model of a few thousand tokens, so that targets are about 1."""
MEAN_NORM = ((4.2, 0.8), (4.0, 0.6), (2.0, 0.35))

Targets = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LookBack = Callable[[torch.nn.Module, Qwen2Config], None]


@dataclass(frozen=True)
class Stage:
    """The layers from `num_frozen` on learn `num_values` targets for each token from `first_token` on."""

    name: str
    num_frozen: int
    num_values: int
    targets: Targets
    first_token: int
    num_steps: int


def grow(model: Qwen2ForCausalLM, num_layers: int, look_back: LookBack) -> Qwen2ForCausalLM:
    """The model with `num_layers` more on top that change nothing yet; `look_back` sets their attention's biases."""
    old = model.config
    num_hidden_layers = old.num_hidden_layers + num_layers
    config = Qwen2Config(**{**old.to_dict(), "num_hidden_layers": num_hidden_layers, "layer_types": None})
    config._attn_implementation = ATTENTION_NAME
    grown = Qwen2ForCausalLM(config)
    grown.load_state_dict(model.state_dict(), strict=False)
    for layer in grown.model.layers[old.num_hidden_layers :]:
        attention = layer.self_attn
        with torch.no_grad():
            for weight in (attention.o_proj.weight, layer.mlp.down_proj.weight):
                weight.zero_()
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
                projection.bias.zero_()
            look_back(attention, config)
    return grown


def _biases(attention: torch.nn.Module, config: Qwen2Config, group: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a key-value group's first query head and its key head: [head_dim] each. The content counts less then."""
    head_dim = config.hidden_size // config.num_attention_heads
    query = group * (config.num_attention_heads // config.num_key_value_heads) * head_dim
    attention.q_proj.weight[query : query + head_dim] *= 0.1
    return attention.q_proj.bias[query : query + head_dim], attention.k_proj.bias[group * head_dim :][:head_dim]


def look_one_token_back(attention: torch.nn.Module, config: Qwen2Config) -> None:
    """The query is the key turned back by one position: their product has its peak at a distance of one token."""
    half = config.hidden_size // config.num_attention_heads // 2
    angles = config.rope_parameters["rope_theta"] ** -(torch.arange(half) / half)
    for group in range(config.num_key_value_heads):
        query, key = _biases(attention, config, group)
        key[:half] = PREVIOUS_TOKEN_SCALE
        query[:half] = PREVIOUS_TOKEN_SCALE * angles.cos()
        query[half:] = -PREVIOUS_TOKEN_SCALE * angles.sin()


def look_at_recent_tokens(attention: torch.nn.Module, config: Qwen2Config) -> None:
    for group in range(config.num_key_value_heads):
        query, key = _biases(attention, config, group)
        query[RECENT_TOKENS_PAIRS] = key[RECENT_TOKENS_PAIRS] = RECENT_TOKENS_SCALE


def normed(values: torch.Tensor, norm: Sequence[tuple[float, float]]) -> torch.Tensor:
    centre, spread = torch.tensor(norm).T
    return (values - centre) / spread


def token_targets(surprise: torch.Tensor, entropy: torch.Tensor) -> torch.Tensor:
    """[batch, tokens] in nats each -> [batch, tokens, 2]."""
    return normed(torch.stack([surprise, entropy], -1), TOKEN_NORM)


def mean_targets(surprise: torch.Tensor, entropy: torch.Tensor) -> torch.Tensor:
    """[batch, tokens] in nats each -> [batch, tokens, 3]: means over the last CHUNK_SIZE tokens."""
    values = torch.stack([surprise, entropy, (surprise - entropy).abs()], -1)
    sums = pad(values.double().cumsum(1), (0, 0, 1, 0))
    end = torch.arange(1, values.shape[1] + 1)
    begin = (end - CHUNK_SIZE).clamp(min=0)
    return normed(((sums[:, end] - sums[:, begin]) / (end - begin)[None, :, None]).float(), MEAN_NORM)


class Log:
    """Shares of the targets' variance that are explained; seconds count all parts of an interrupted run."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._explained: list[list[float]] = []

    def add(self, explained: list[float]) -> None:
        self._explained.append(explained)

    def report(self, stage: Stage, step: int) -> None:
        shares = " ".join(f"{x:.3f}" for x in np.mean(self._explained, 0))
        seconds = time.monotonic() - self._began
        print(f"{stage.name}: step {step}/{stage.num_steps} {seconds:.0f} s explained {shares}", flush=True)
        self._explained = []

    def state(self) -> dict[str, Any]:
        return {"seconds": time.monotonic() - self._began, "explained": self._explained}

    def go_on(self, state: dict[str, Any]) -> None:
        self._began = time.monotonic() - state["seconds"]
        self._explained = list(state["explained"])


StateOf = Callable[[torch.nn.Module, torch.optim.Optimizer, Log], TrainingState]
"""Of what a stage trains."""


class SurpriseTrainer:
    """Trains the layers above `num_frozen` with what the base model, their lowest `num_base` layers, says itself."""

    def __init__(self, model: Qwen2ForCausalLM, base: Qwen2ForCausalLM, windows: list[Window], batch: int) -> None:
        self._model = model
        self._base = base
        self._windows = windows
        self._batch = batch
        self._tree = plain_tree(WINDOW)
        self._position_ids = torch.arange(WINDOW)[None]

    def _run_layers(self, hidden: torch.Tensor, begin: int, end: int) -> torch.Tensor:
        embeddings = self._model.model.rotary_emb(hidden, self._position_ids)
        for layer in self._model.model.layers[begin:end]:
            out = layer(hidden, attention_mask=None, position_embeddings=embeddings, tree=self._tree)
            hidden = out[0] if isinstance(out, tuple) else out
        return hidden

    @torch.no_grad()
    def _surprise(self, hidden: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of all tokens but the first: -log p(token), and the entropy of the prediction. [batch, WINDOW - 1], nats."""
        log_p = self._base.lm_head(self._base.model.norm(hidden)).float().log_softmax(-1)[:, :-1]
        return -log_p.gather(2, ids[:, 1:, None])[..., 0], -(log_p.exp() * log_p).sum(-1)

    def train(
        self,
        stage: Stage,
        learning_rate: float,
        log_every: int,
        state_of: StateOf | None = None,
        goes_on: bool = True,
    ) -> TrainingState | None:
        """Prints the share of the targets' variance that is explained. Padding counts for nothing. With `goes_on` from
        the state that is there, if there is one; else the stage's first state takes its place."""
        num_base, num_frozen = self._base.config.num_hidden_layers, stage.num_frozen
        head = torch.nn.Linear(self._model.config.hidden_size, stage.num_values)
        norm = torch.nn.RMSNorm(self._model.config.hidden_size, eps=self._model.config.rms_norm_eps)
        new = torch.nn.ModuleList([*self._model.model.layers[num_frozen:], norm, head])
        optimizer = build_optimizer(new, learning_rate)
        log = Log()
        state = state_of(torch.nn.ModuleList([self._model, norm, head]), optimizer, log) if state_of else None
        first = 0
        if state and goes_on:
            first = state.load()
        elif state:
            state.save(0)
        with state or nullcontext():
            for step in range(first, stage.num_steps):
                set_learning_rate(optimizer, learning_rate, step, stage.num_steps)
                batch = [self._windows[(step * self._batch + i) % len(self._windows)] for i in range(self._batch)]
                ids = torch.from_numpy(np.stack([w.ids for w in batch]).astype(np.int64))
                with torch.autocast("cpu", torch.bfloat16):
                    with torch.no_grad():
                        base = self._run_layers(self._model.model.embed_tokens(ids), 0, num_base)
                        hidden = self._run_layers(base, num_base, num_frozen)
                        wanted = stage.targets(*self._surprise(base, ids))[:, stage.first_token :]
                    hidden = self._run_layers(hidden, num_frozen, self._model.config.num_hidden_layers)
                    found = head(norm(hidden.float()))[:, 1 + stage.first_token :].float()
                is_text = torch.arange(1 + stage.first_token, WINDOW) < torch.tensor([[w.num_tokens] for w in batch])
                found, wanted = found[is_text], wanted[is_text]  # [tokens, values], without padding
                loss = mse_loss(found, wanted)
                loss.backward()
                take_step(new, optimizer, step + 1)
                with torch.no_grad():
                    log.add((1 - (found - wanted).square().mean(0) / wanted.var(0)).tolist())
                if (step + 1) % log_every == 0 or step + 1 == stage.num_steps:
                    log.report(stage, step + 1)
                if state:
                    state.after_step(step + 1)
        self._model.model.norm.load_state_dict(norm.state_dict())
        return state


def sha256_of_weights(model: Qwen2ForCausalLM) -> str:
    """A state has what is learned alone; what it is learned from has to be the same when it goes on."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def train(args: argparse.Namespace) -> None:
    rng = random.Random(args.seed)
    tokenizer = open_tokenizer(args.base)
    windows = read_windows(args.versions, tokenizer, pad=0, rng=rng)
    rng.shuffle(windows)
    base = open_model(args.base, attn_implementation=ATTENTION_NAME)
    if base.config.model_type != "qwen2":
        raise InputError(f"{args.base}: model_type: expected qwen2, found {base.config.model_type}")
    num_base = base.config.num_hidden_layers
    batch = max(1, args.batch_tokens // WINDOW)

    identity = identity_of(windows) | {"sha256 of the base's weights": sha256_of_weights(base)}
    earlier = None if args.overwrite else part_of_state(args.out)
    model: Qwen2ForCausalLM = base
    state = None
    for num_layers, look_back, stage in (
        (2, look_one_token_back, Stage("token", num_base, 2, token_targets, 0, args.token_steps)),
        (1, look_at_recent_tokens, Stage("mean", num_base + 2, 3, mean_targets, MIN_MEAN_TOKENS, args.mean_steps)),
    ):
        model = grow(model, num_layers, look_back)
        if stage.name == "token" and earlier == "mean":
            continue  # the state of the next stage holds what this one learned

        def state_of(
            modules: torch.nn.Module, optimizer: torch.optim.Optimizer, log: Log, part: str = stage.name
        ) -> TrainingState:
            return TrainingState(args, args.versions, identity, modules, optimizer, log, part)

        trainer, goes_on = SurpriseTrainer(model, base, windows, batch), stage.name == "token" or earlier == stage.name
        state = trainer.train(stage, args.learning_rate, args.log_every, state_of, goes_on)
    with state.saved_if_this_fails(args.mean_steps) if state else nullcontext():
        save_model(model, args.base, args.out)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--base", type=Path, required=True, help="base checkpoint (Qwen2) with its tokenizer")
    add("--versions", type=Path, required=True, help="versions.jsonl of make_data.py")
    add("--out", type=Path, required=True, help="folder for the grown checkpoint")
    add("--token-steps", type=positive, default=500, help="steps of the first two layers (default: 500)")
    add("--mean-steps", type=positive, default=300, help="steps of the third layer (default: 300)")
    add("--batch-tokens", type=positive, default=8192, help="tokens of one step (default: 8192)")
    add("--learning-rate", type=positive_number, default=2e-3, help="peak learning rate of AdamW (default: 2e-3)")
    add("--seed", type=int, default=8, help="seed of weights and order (default: 8)")
    add("--log-every", type=positive, default=20, help="steps between two lines of log (default: 20)")
    add_threads(parser)
    add_state_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    return program_main("train_surprise.py", train, args, args.out)


if __name__ == "__main__":
    sys.exit(main())
