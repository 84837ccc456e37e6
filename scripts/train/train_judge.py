"""Trains a judge: a causal language model that answers A (real) or B (made worse) at the end of a judgement prompt.

The loss is the cross entropy over the two letters at the last position of each prompt. All prompts of a document run in
one pass that computes their common context once (--no-shared-context: each prompt by itself, for architectures whose
attention cannot be replaced). A small model learns better with --token-loss, which asks the same question at every
token of the chunk, and with --pair-loss, which asks which of two chunks of a document is the real one: what makes one
document harder than another drops out. --document-loss asks the same of the means over whole texts, real and made
worse: for damages that no single chunk shows well.

The start is a Hugging Face checkpoint (--base), or a fresh small Qwen2 with a given tokenizer (--fresh). OUT becomes a
Hugging Face folder whose head keeps the letters' rows only. A run that was interrupted goes on where its last saved
state was when it is started again. The same seed on the same machine gives the same file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from checkpoint import keep_letters, letter_ids, open_judge, save_judge
from errors import InputError
from evaluation_metrics import auc
from examples import Example, ExampleFile
from fresh_model import add_size_options, fresh_model
from prompt import TEMPLATE_TAIL, encode
from schedule import build_optimizer, set_learning_rate, take_step
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from tqdm import tqdm
from transformers import PreTrainedModel
from tree import build_trees, log_odds_of, row_log_odds
from versions import REAL

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
STATE_FILE = "train_state.pt"
TREE_TOLERANCE = 1e-3
"""Of the log_odds of a shared pass against a pass of its own, in float32, before training starts."""


@dataclass
class Answers:
    """What a pass says of some examples: log_odds [chunks], and per chunk its loss, token and pair loss in it."""

    log_odds: torch.Tensor
    losses: torch.Tensor
    labels: torch.Tensor
    examples: list[Example]

    @staticmethod
    def joined(parts: Sequence[Answers]) -> Answers:
        return Answers(
            torch.cat([part.log_odds for part in parts]),
            torch.cat([part.losses for part in parts]),
            torch.cat([part.labels for part in parts]),
            [example for part in parts for example in part.examples],
        )


class Judge:
    """Model, letters and how to run it."""

    def __init__(self, model: PreTrainedModel, tokenizer: Path, args: argparse.Namespace) -> None:
        self.model = model
        self.letters = letter_ids(tokenizer)
        self._num_tail_tokens = len(encode(Tokenizer.from_file(str(tokenizer / "tokenizer.json")), TEMPLATE_TAIL))
        self.device = torch.device(args.device)
        self._shared_context = not args.no_shared_context
        self._bfloat16 = args.compute_dtype == "bfloat16"
        self._token_loss = args.token_loss
        self._pair_loss = args.pair_loss
        self._document_loss = args.document_loss
        self._max_rows = args.max_rows

    def passes(self, examples: Sequence[Example]) -> Iterator[Answers]:
        """The examples of a document in as few passes as --max-rows allows; all as one if their texts are compared."""
        earlier = torch.empty(0), torch.empty(0)
        parts = self._plain_passes(examples)
        for answers in [Answers.joined(list(parts))] if self._document_loss else parts:
            if self._document_loss:
                answers.losses = answers.losses + self._document_loss * document_losses(answers)
            if self._pair_loss:
                losses, earlier = pair_losses(answers.log_odds, answers.labels, earlier)
                answers.losses = answers.losses + self._pair_loss * losses
            yield answers

    def _plain_passes(self, examples: Sequence[Example]) -> Iterator[Answers]:
        prompts = [example.input_ids for example in examples]
        if not self._shared_context:
            for example in examples:
                rows = self._run_alone(example.input_ids)
                yield self._answers([example], rows[-1:], [rows[-self._num_judged_rows(example) :]])
            return
        for tree in build_trees(prompts, self._max_rows):
            tree = tree.to(self.device)
            with self._precision():
                rows = row_log_odds(self.model, tree, self.letters).float()
            members = [examples[i] for i in tree.prompts]
            judged = [rows[tree.rows_of(i, self._num_judged_rows(e))] for i, e in enumerate(members)]
            yield self._answers(members, rows[tree.last_rows], judged)

    def _precision(self) -> torch.autocast | nullcontext[None]:
        return torch.autocast(self.device.type, torch.bfloat16) if self._bfloat16 else nullcontext()

    def _run_alone(self, prompt: np.ndarray) -> torch.Tensor:
        input_ids = torch.from_numpy(prompt.astype(np.int64))[None].to(self.device)
        with self._precision():
            hidden = self.model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        return log_odds_of(self.model, hidden[0], self.letters).float()

    def _num_judged_rows(self, example: Example) -> int:
        """The chunk's tokens and the template's behind it, up to a merge at the joint: they carry the token loss."""
        return example.num_tokens + self._num_tail_tokens

    def _answers(self, examples: list[Example], log_odds: torch.Tensor, judged: list[torch.Tensor]) -> Answers:
        labels = torch.tensor([float(example.label) for example in examples], device=log_odds.device)
        losses = binary_cross_entropy_with_logits(log_odds, labels, reduction="none")
        if self._token_loss:
            dense = [
                binary_cross_entropy_with_logits(rows, label.expand_as(rows))
                for rows, label in zip(judged, labels, strict=True)
            ]
            losses = losses + self._token_loss * torch.stack(dense)
        return Answers(log_odds, losses, labels, examples)

    def check_shared_context(self, examples: Sequence[Example]) -> None:
        """Throws InputError if this architecture's own attention gives other numbers than the shared pass."""
        if not self._shared_context:
            return
        shortest = sorted(examples, key=lambda e: len(e.input_ids))[:4]
        with torch.inference_mode():
            for tree in build_trees([e.input_ids for e in shortest], self._max_rows):
                rows = row_log_odds(self.model, tree.to(self.device), self.letters)
                for row, i in zip(tree.last_rows.tolist(), tree.prompts, strict=True):
                    self.model.set_attn_implementation("eager")
                    input_ids = torch.from_numpy(shortest[i].input_ids.astype(np.int64))[None].to(self.device)
                    hidden = self.model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
                    alone = log_odds_of(self.model, hidden[0, -1], self.letters).item()
                    self.model.set_attn_implementation("tree")
                    if abs(rows[row].item() - alone) > TREE_TOLERANCE * max(1.0, abs(alone)):
                        raise InputError(
                            f"{self.model.config.model_type}: log_odds with shared context {rows[row].item():.6f}, "
                            f"alone {alone:.6f}; this architecture needs --no-shared-context"
                        )


def pair_losses(
    log_odds: torch.Tensor, labels: torch.Tensor, earlier: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Of each chunk [chunks], the mean Bradley-Terry loss against all chunks of the other label: those of this pass and
    those of the document's earlier ones, whose log_odds (rejected, chosen) are numbers without gradient by now. Second:
    `earlier` for the next pass."""
    is_chosen = labels > 0.5
    earlier = earlier[0].to(log_odds.device), earlier[1].to(log_odds.device)
    losses = torch.zeros_like(log_odds)
    for own, other in ((False, True), (True, False)):
        others = torch.cat([log_odds[is_chosen == other], earlier[other]])
        if len(others):
            margins = (log_odds[is_chosen == own, None] - others) * (1 if own else -1)
            losses[is_chosen == own] = softplus(-margins).mean(1)
    rejected, chosen = (torch.cat([earlier[label], log_odds[is_chosen == label].detach()]) for label in (False, True))
    return losses, (rejected, chosen)


def document_losses(answers: Answers) -> torch.Tensor:
    """Of each chunk [chunks] of a text made worse, the Bradley-Terry loss of its text's mean log_odds against the real
    one's; 0 for the others."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    real = []
    for row, example in enumerate(answers.examples):
        if example.version and example.kind == REAL:
            real.append(row)
        elif example.version:
            rows_of[example.version].append(row)
    losses = torch.zeros_like(answers.log_odds)
    for rows in rows_of.values() if real else ():
        margin = answers.log_odds[real].mean() - answers.log_odds[rows].mean()
        losses[rows] = softplus(-margin)
    return losses


def evaluate(judge: Judge, examples: ExampleFile, max_documents: int) -> dict[str, float]:
    """Mean loss at the letter and AUC per kind against the chosen chunks."""
    log_odds: dict[str, list[float]] = defaultdict(list)
    losses: list[float] = []
    judge.model.eval()
    with torch.inference_mode():
        for index in range(min(len(examples), max_documents)):
            for answers in judge.passes(examples.group(index)):
                losses += binary_cross_entropy_with_logits(answers.log_odds, answers.labels, reduction="none").tolist()
                for example, value in zip(answers.examples, answers.log_odds.tolist(), strict=True):
                    log_odds["" if example.label else example.kind].append(value)
    judge.model.train()
    result = {"loss": fmean(losses)}
    chosen = log_odds.pop("", [])
    if chosen and log_odds:
        result["auc"] = auc(chosen, [x for values in log_odds.values() for x in values])
        result |= {f"auc/{kind}": auc(chosen, values) for kind, values in sorted(log_odds.items())}
    return result


class Log:
    """Lines of JSON in OUT/log.jsonl, and the progress bar's text."""

    def __init__(self, path: Path, bar: tqdm[None]) -> None:
        self._path = path
        self._bar = bar
        self._losses: list[float] = []
        self._right: list[float] = []
        self._began = time.monotonic()

    def add(self, answers: Answers) -> None:
        self._losses += answers.losses.detach().tolist()
        self._right += ((answers.log_odds.detach() > 0) == (answers.labels > 0.5)).float().tolist()

    def write(self, step: int, **values: float) -> None:
        if self._losses:
            values = {"loss": fmean(self._losses), "accuracy": fmean(self._right), **values}
        record = {"step": step, "seconds": round(time.monotonic() - self._began, 1)}
        record |= {name: round(value, 4) for name, value in values.items()}
        with self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")
        if self._losses:
            self._bar.set_postfix(loss=f"{fmean(self._losses):.3f}", accuracy=f"{fmean(self._right):.3f}")
        self._losses, self._right = [], []


def steps_of(file: ExampleFile, args: argparse.Namespace) -> list[list[int]]:
    """Groups of each optimizer step. The order is the seed's."""
    rng = random.Random(args.seed)
    order = [index for _ in range(args.epochs) for index in file.shuffled(rng)]
    steps = [order[b : b + args.documents_per_step] for b in range(0, len(order), args.documents_per_step)]
    return steps[: args.max_steps]


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    tokenizer_folder = args.fresh or args.base
    letters = letter_ids(tokenizer_folder)
    examples = ExampleFile(args.data)
    evaluated = ExampleFile(args.eval_data) if args.eval_data else None
    if min(examples.num_labels) == 0:
        rejected, chosen = examples.num_labels
        raise InputError(f"{args.data}: expected chosen and rejected chunks, found {chosen} and {rejected}")
    if args.fresh:
        model = fresh_model(args.fresh, args, shared_context=not args.no_shared_context)
        keep_letters(model, letters)
    else:
        model = open_judge(args.base, letters, shared_context=not args.no_shared_context)
    model.to(args.device).train()
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    judge = Judge(model, tokenizer_folder, args)
    judge.check_shared_context(examples.group(0))
    optimizer = build_optimizer(model, args.learning_rate)
    steps = steps_of(examples, args)
    args.out.mkdir(parents=True, exist_ok=True)
    first = load_state(args, model, optimizer)
    # Both labels weigh the same, or the head spends itself on following their shares.
    share = examples.num_labels[1] / sum(examples.num_labels)
    weights = torch.tensor([0.5 / (1 - share), 0.5 / share], device=judge.device)

    with tqdm(total=len(steps), initial=first, unit="step", disable=None, mininterval=1.0) as bar:
        log = Log(args.out / "log.jsonl", bar)
        for step in range(first, len(steps)):
            set_learning_rate(optimizer, args.learning_rate, step, len(steps))
            groups = [examples.group(index) for index in steps[step]]
            num_chunks = sum(map(len, groups))
            for group in groups:
                for answers in judge.passes(group):
                    (weights[answers.labels.long()] @ answers.losses / num_chunks).backward()
                    log.add(answers)
            take_step(model, optimizer)
            bar.update()
            is_last = step + 1 == len(steps)
            if (step + 1) % args.log_every == 0 or is_last:
                log.write(step + 1)
            if evaluated and ((step + 1) % args.eval_every == 0 or is_last):
                found = evaluate(judge, evaluated, args.eval_documents)
                log.write(step + 1, **{f"eval/{name}": value for name, value in found.items()})
            if (step + 1) % args.save_every == 0 and not is_last:
                save_state(args, model, optimizer, step + 1)
    save_judge(model, letters, tokenizer_folder, args.out, DTYPES[args.dtype])
    (args.out / STATE_FILE).unlink(missing_ok=True)


def fingerprint(args: argparse.Namespace) -> dict[str, str]:
    """Options that a continued run must share with the one it continues."""
    free = {"out", "threads", "device", "overwrite", "log_every", "save_every"}
    free |= {"eval_every", "eval_data", "eval_documents"}
    return {name: str(value) for name, value in vars(args).items() if name not in free}


def save_state(args: argparse.Namespace, model: PreTrainedModel, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Written aside, then renamed: a run that is killed meanwhile keeps the state before."""
    partial = args.out / (STATE_FILE + ".partial")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state | {"options": fingerprint(args)}, partial)
    partial.rename(args.out / STATE_FILE)


def load_state(args: argparse.Namespace, model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> int:
    """The step to go on with. Throws InputError if OUT holds a state of other options, or a finished judge."""
    path = args.out / STATE_FILE
    if not path.exists() or args.overwrite:
        if (args.out / "config.json").exists() and not args.overwrite:
            raise InputError(f"{args.out}: holds a checkpoint already; another --out, or --overwrite")
        (args.out / "log.jsonl").unlink(missing_ok=True)
        return 0
    state = torch.load(path, map_location=args.device, weights_only=True)
    for name, value in fingerprint(args).items():
        if state["options"].get(name) != value:
            raise InputError(
                f"{path}: the interrupted run had --{name.replace('_', '-')} {state['options'].get(name)}, this one "
                f"has {value}; the same options go on, --overwrite begins anew"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"going on after step {state['step']}", file=sys.stderr)
    return int(state["step"])


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--base", type=Path, help="checkpoint to start from: a base model, a detector, or a judge")
    start.add_argument(
        "--fresh", type=Path, metavar="TOKENIZER", help="start from a new small Qwen2 with the tokenizer of this folder"
    )
    add("--data", type=Path, required=True, help="examples.jsonl of make_data.py")
    add("--out", type=Path, required=True, help="folder for the judge, log.jsonl and the state of an interrupted run")
    add("--eval-data", type=Path, help="examples.jsonl of held-out documents, to evaluate during training")
    add("--eval-documents", type=int, default=60, help="documents of an evaluation at most (default: 60)")
    add("--eval-every", type=int, default=200, help="steps between two evaluations (default: 200)")
    add("--epochs", type=int, default=1, help="passes over the examples (default: 1)")
    add("--max-steps", type=int, help="optimizer steps at most (default: as the epochs have)")
    add(
        "--documents-per-step",
        type=int,
        default=4,
        help="documents of an optimizer step, one pass or more each: gradients accumulate (default: 4)",
    )
    add(
        "--max-rows",
        type=int,
        default=8192,
        help="tokens of one pass at most, about; what memory allows (default: 8192)",
    )
    add(
        "--learning-rate",
        type=float,
        default=1e-5,
        help="peak of AdamW's; linear warm-up, then a cosine (default: 1e-5; small fresh models want 5e-4)",
    )
    add(
        "--token-loss", type=float, default=0.0, help="weight of the same loss at every token of the chunk (default: 0)"
    )
    add(
        "--pair-loss",
        type=float,
        default=0.0,
        help="weight of the Bradley-Terry loss of each chunk against those of the other label in its document "
        "(default: 0)",
    )
    add(
        "--document-loss",
        type=float,
        default=0.0,
        help="weight of the Bradley-Terry loss of each text made worse against the real one, by the means of their "
        "chunks; all passes of a document stay in memory (default: 0)",
    )
    add(
        "--compute-dtype",
        choices=DTYPES,
        default="bfloat16",
        help="of the matrix products; weights and optimizer are float32 (default: bfloat16)",
    )
    add("--dtype", choices=DTYPES, default="bfloat16", help="of the safetensors written (default: bfloat16)")
    add("--gradient-checkpointing", action="store_true", help="less memory, about a third more time")
    add("--no-shared-context", action="store_true", help="each prompt in a pass of its own")
    add("--save-every", type=int, default=200, help="steps between two saved states (default: 200)")
    add("--log-every", type=int, default=20, help="steps between two lines of log.jsonl (default: 20)")
    add("--seed", type=int, default=3, help="seed of weights and order (default: 3)")
    add("--device", default="cpu", help="torch device (default: cpu)")
    add("--threads", type=int, help="CPU threads (default: torch's)")
    add("--overwrite", action="store_true", help="begin anew where OUT holds a judge or a state")
    add_size_options(parser.add_argument_group("size of a fresh model"))
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        train(args)
    except (InputError, OSError) as error:
        print(f"train_judge.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
