"""Trains the judge: the base model's body with a head of two letters, on whole documents with all their chunks at once.

The loss is the logistic loss of log_odds = logit(A) - logit(B) at the last position of each prompt, that is the cross
entropy over the pair of letters. A second, equal term asks the same question at every token of the chunk: the label of a
whole chunk alone is too thin a signal for a small model to find out, in a few thousand chunks, which tokens gave it away.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from collections import defaultdict
from pathlib import Path

import torch
from prompt import TEMPLATE_HEAD, encode, label_ids
from safetensors.torch import save_file
from schedule import build_optimizer, set_learning_rate
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForCausalLM, PreTrainedModel
from tree import ATTENTION_NAME, Judged, Tree, build_tree, row_log_odds


LONG_TOKENS = 1100


def judge_from_base(base: Path, labels: tuple[int, int], attention: str = ATTENTION_NAME) -> PreTrainedModel:
    """The base model with an untied head, zero but for the two letters' rows; a checkpoint with such a head keeps it."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation=attention)
    if not model.config.tie_word_embeddings:
        return model
    model.config.tie_word_embeddings = False
    head = torch.zeros_like(model.lm_head.weight)
    # A small start, opposite for the two letters: with zeros the body would learn nothing at first.
    direction = torch.randn(head.shape[1]) * 0.02
    head[labels[0]], head[labels[1]] = direction, -direction
    model.lm_head.weight = torch.nn.Parameter(head)
    return model


def save_judge(model: PreTrainedModel, labels: tuple[int, int], tokenizer: Path, out: Path) -> None:
    """Writes config.json, model.safetensors in bfloat16 and the tokenizer's two files."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()}
    head = torch.zeros_like(weights["lm_head.weight"])
    for label in labels:
        head[label] = weights["lm_head.weight"][label]
    weights["lm_head.weight"] = head
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)  # as the other files; the writer keeps it private
    config = model.config.to_diff_dict()
    config |= {"architectures": ["Qwen2ForCausalLM"], "dtype": "bfloat16"}
    config |= {"tie_word_embeddings": False, "use_cache": True}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if tokenizer.resolve() != out.resolve():
            shutil.copyfile(tokenizer / name, out / name)


def ordered_lines(path: Path, num_documents: int, num_long: int, rng: random.Random) -> list[str]:
    """The examples in random order; long documents cost most, so few of them are taken, in the second half."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rng.shuffle(lines)
    is_long = [len(json.loads(line)["ids"]) > LONG_TOKENS for line in lines]
    long_lines = [line for line, long in zip(lines, is_long, strict=True) if long][:num_long]
    order = [line for line, long in zip(lines, is_long, strict=True) if not long][: num_documents - len(long_lines)]
    for line in long_lines:
        order.insert(rng.randint(len(order) // 2, len(order)), line)
    return order


def token_losses(tree: Tree, rows: torch.Tensor, targets: torch.Tensor, num_head: int) -> torch.Tensor:
    """Per chunk the mean loss over all rows of its branch, less the template's head."""
    losses = []
    for first, last, target in zip(tree.first_rows.tolist(), tree.last_rows.tolist(), targets, strict=True):
        branch = rows[first + num_head : last + 1]
        losses.append(binary_cross_entropy_with_logits(branch, target.expand_as(branch)))
    return torch.stack(losses)


class Progress:
    """Running means of loss and, per kind of chunk, of log_odds on its right side."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._reset()

    def _reset(self) -> None:
        self._loss, self._chunks = 0.0, 0
        self._right: dict[str, list[bool]] = defaultdict(list)

    def add(self, losses: torch.Tensor, log_odds: torch.Tensor, targets: torch.Tensor, kinds: list[str]) -> None:
        self._loss += losses.sum().item()
        self._chunks += len(losses)
        for kind, right in zip(kinds, ((log_odds > 0) == (targets > 0.5)).tolist(), strict=True):
            self._right[kind].append(right)

    def report(self, step: int, num_steps: int) -> None:
        accuracy = " ".join(f"{kind} {sum(r) / len(r):.2f}" for kind, r in sorted(self._right.items()))
        seconds = time.monotonic() - self._began
        print(f"step {step}/{num_steps} {seconds:.0f} s loss {self._loss / self._chunks:.3f} | {accuracy}", flush=True)
        self._reset()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="checkpoint of train_detector.py, or a base model")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with the two tokenizer files")
    parser.add_argument("--data", type=Path, required=True, help="examples of make_data.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the judge")
    parser.add_argument("--documents", type=int, default=660, help="examples to train on, at most")
    parser.add_argument("--long-documents", type=int, default=24, help=f"of those, over {LONG_TOKENS} tokens, at most")
    parser.add_argument("--documents-per-step", type=int, default=3, help="documents of one optimizer step")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="peak learning rate of AdamW")
    parser.add_argument("--seed", type=int, default=3, help="seed of the head and the order")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--log-every", type=int, default=20, help="steps between two lines of log")
    parser.add_argument("--save-every", type=int, default=100, help="steps between two saved checkpoints")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)

    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    labels = label_ids(tokenizer)
    model = judge_from_base(args.base, labels)
    optimizer = build_optimizer(model, args.learning_rate)
    order = ordered_lines(args.data, args.documents, args.long_documents, rng)
    num_head = len(encode(tokenizer, TEMPLATE_HEAD))
    num_steps = len(order) // args.documents_per_step
    progress = Progress()

    for step in range(num_steps):
        set_learning_rate(optimizer, args.learning_rate, step, num_steps)
        examples = [json.loads(line) for line in order[step * args.documents_per_step :][: args.documents_per_step]]
        examples = [example for example in examples if example["judged"]]
        num_chunks = sum(len(example["judged"]) for example in examples)
        num_chosen = sum(label for example in examples for _, _, label, _ in example["judged"])
        # Both labels weigh the same in every step, or the head spends it on following their shares.
        weight_chosen = num_chunks / 2 / max(1, num_chosen)
        weight_rejected = num_chunks / 2 / max(1, num_chunks - num_chosen)
        for example in examples:
            judged = [Judged(start, ids) for start, ids, _, _ in example["judged"]]
            tree = build_tree(tokenizer, example["ids"], judged)
            targets = torch.tensor([float(label) for _, _, label, _ in example["judged"]])
            with torch.autocast("cpu", torch.bfloat16):
                rows = row_log_odds(model, tree, labels).float()
            log_odds = rows[tree.last_rows]
            losses = binary_cross_entropy_with_logits(log_odds, targets, reduction="none")
            weights = torch.where(targets > 0.5, weight_chosen, weight_rejected)
            (weights @ (losses + token_losses(tree, rows, targets, num_head)) / num_chunks).backward()
            kinds = [kind for _, _, _, kind in example["judged"]]
            progress.add(losses.detach(), log_odds.detach(), targets, kinds)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % args.log_every == 0 or step + 1 == num_steps:
            progress.report(step + 1, num_steps)
        if (step + 1) % args.save_every == 0 or step + 1 == num_steps:
            save_judge(model, labels, args.tokenizer, args.out)


if __name__ == "__main__":
    main()
