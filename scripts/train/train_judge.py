"""Trains a judge: a causal language model that answers A (real) or B (made worse) at the end of a judgement prompt.

The loss is the cross entropy over the two letters at the last position of each prompt. All prompts of a document run in
one pass that computes their common context once (--no-shared-context: each prompt by itself, for architectures whose
attention cannot be replaced). A small model learns better with --token-loss, which asks the same question at every
token of the chunk, and with --pair-loss, which asks which of two chunks of a document is the real one: what makes one
document harder than another drops out. --document-loss asks the same of whole texts, real and made worse, by the mean
over the labelled chunks of each (--data holds no others): for damages that no single chunk shows well. Each such chunk
carries its text's loss, so that a text weighs by the number of them.

The start is a Hugging Face checkpoint (--base), or a fresh small Qwen2 with a given tokenizer (--fresh). OUT becomes a
Hugging Face folder whose head keeps the letters' rows only. A run that was interrupted goes on where its last saved
state was when it is started again. The same seed on the same machine gives the same file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean

import required_packages  # noqa: F401

# isort: split
import numpy as np
import torch
from checkpoint import keep_letters, open_judge, save_judge
from command_line import add_threads, positive, positive_number, program_main, weight
from errors import InputError
from evaluation_metrics import auc
from examples import Example, ExampleFile
from fresh_model import add_size_options, fresh_model
from losses import Answers, document_losses, pair_losses
from prompt import TEMPLATE_TAIL, encode, letter_ids, open_tokenizer
from schedule import build_optimizer, set_learning_rate, take_step
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm
from training_log import Log
from training_state import TrainingState, add_state_options
from transformers import PreTrainedModel
from tree import build_trees, log_odds_of, row_log_odds
from versions import DOCUMENT

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SCORED_MODEL_TYPES = ("qwen2", "qwen3", "llama", "mistral")
"""Of judges that prm-score can score with."""
FEW_STEPS = 100
"""Below them a judge has hardly begun to learn."""
TREE_TOLERANCE = 1e-3
"""Of the log_odds of a shared pass against a pass of its own, in float32, before training starts."""


class Judge:
    """Model, letters and how to run it."""

    def __init__(self, model: PreTrainedModel, tokenizer: Path, args: argparse.Namespace) -> None:
        self.model = model
        self.letters = letter_ids(tokenizer)
        self._num_tail_tokens = len(encode(open_tokenizer(tokenizer), TEMPLATE_TAIL))
        self.device = torch.device(args.device)
        self._shared_context = not args.no_shared_context
        self._bfloat16 = args.compute_dtype == "bfloat16"
        self._token_loss = args.token_loss
        self._pair_loss = args.pair_loss
        self._document_loss = args.document_loss
        self._max_rows = args.max_rows

    def passes(self, examples: Sequence[Example]) -> Iterator[Answers]:
        """The examples of a document in as few passes as --max-rows allows; all as one if their texts are compared."""
        parts = self._plain_passes(examples)
        if self._document_loss:
            whole = Answers.joined(list(parts))
            whole.losses = whole.losses + self._document_loss * document_losses(whole)
            parts = iter([whole])
        earlier = torch.empty(0), torch.empty(0)
        for answers in parts:
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
        """Throws InputError if this architecture's own attention gives other numbers than the shared pass. Leaves the
        model ready to be trained."""
        if not self._shared_context:
            return
        self.model.eval()  # dropout would make any two passes differ
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
        self.model.train()


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


def steps_of(file: ExampleFile, args: argparse.Namespace) -> list[list[int]]:
    """Groups of each optimizer step. The order is the seed's."""
    rng = random.Random(args.seed)
    order = [index for _ in range(args.epochs) for index in file.shuffled(rng)]
    steps = [order[b : b + args.documents_per_step] for b in range(0, len(order), args.documents_per_step)]
    return steps[: args.max_steps]


def read_examples(path: Path, tokenizer_folder: Path) -> ExampleFile:
    examples = ExampleFile(path)
    examples.check_tokenizer(open_tokenizer(tokenizer_folder), tokenizer_folder)
    return examples


def check_examples(examples: ExampleFile, args: argparse.Namespace) -> None:
    """Throws InputError if there is nothing in them to learn by these options."""
    rejected, chosen = examples.num_labels
    if not rejected or not chosen:
        raise InputError(f"{args.data}: expected chosen and rejected chunks, found {chosen} and {rejected}")
    if args.document_loss and not examples.compares_texts:
        raise InputError(
            f"{args.data}: --document-loss: expected a document with chunks of its real text and of one made worse, "
            f'both with "version" and the scope "{DOCUMENT}" in "provenance", found none'
        )


def warn_of_other_families(base: Path) -> None:
    """prm-score would say so only after the training. Other programs may well use such a judge."""
    try:
        model_type = json.loads((base / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return  # told when it is opened
    if model_type not in SCORED_MODEL_TYPES:
        say(
            f"warning: {base}: model_type: prm-score scores {', '.join(SCORED_MODEL_TYPES)} alone, found {model_type}: "
            "it will refuse this judge, which other programs can use"
        )


def train(args: argparse.Namespace) -> None:
    if args.base:
        warn_of_other_families(args.base)
    tokenizer_folder = args.fresh or args.base
    letters = letter_ids(tokenizer_folder)
    examples = read_examples(args.data, tokenizer_folder)
    evaluated = read_examples(args.eval_data, tokenizer_folder) if args.eval_data else None
    check_examples(examples, args)
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
    log = Log(args.out / "log.jsonl")
    state = TrainingState(args, args.data, examples.identity, model, optimizer, log)
    if not args.overwrite and not state.is_there() and (args.out / "config.json").exists():
        raise InputError(f"{args.out}: holds a checkpoint already; another --out, or --overwrite")
    first = state.load()
    if not first:
        log.remove()
    # Both labels weigh the same, or the head spends itself on following their shares.
    share = examples.num_labels[1] / sum(examples.num_labels)
    weights = torch.tensor([0.5 / (1 - share), 0.5 / share], device=judge.device)

    if len(steps) < FEW_STEPS:
        say(
            f"only {len(steps)} steps of {args.documents_per_step} documents, a judge takes several hundred: more "
            "documents (make_data.py --excerpts) or --epochs; small models want a larger --learning-rate, too"
        )
    record: dict[str, float] = {}
    with (
        state,
        tqdm(total=len(steps), initial=first, unit="step", disable=None, mininterval=1.0) as bar,
    ):
        for step in range(first, len(steps)):
            set_learning_rate(optimizer, args.learning_rate, step, len(steps))
            groups = [examples.group(index) for index in steps[step]]
            num_chunks = sum(map(len, groups))
            for group in groups:
                for answers in judge.passes(group):
                    (weights[answers.labels.long()] @ answers.losses / num_chunks).backward()
                    log.add(answers)
            take_step(model, optimizer, step + 1)
            bar.update()
            is_last = step + 1 == len(steps)
            if (step + 1) % args.log_every == 0 or is_last:
                record = log.write(step + 1)
                bar.set_postfix(loss=record["loss"], accuracy=record["accuracy"])
                if bar.disable:
                    say(f"step {step + 1} of {len(steps)}: {shown(record)}")
            if evaluated and ((step + 1) % args.eval_every == 0 or is_last):
                found = evaluate(judge, evaluated, args.eval_documents)
                log.write(step + 1, **{f"eval/{name}": value for name, value in found.items()})
            state.after_step(step + 1, is_wanted=(step + 1) % args.save_every == 0 and not is_last)
    with state.saved_if_this_fails(len(steps)):
        save_judge(model, letters, tokenizer_folder, args.out, DTYPES[args.dtype])
    say(f"{args.out}: a judge, after {len(steps)} steps" + (f": {shown(record)}" if record else ""))


def say(message: str) -> None:
    print(f"train_judge.py: {message}", file=sys.stderr, flush=True)


def shown(record: dict[str, float]) -> str:
    """What the log says of the last steps."""
    return ", ".join(f"{name} {record[name]:.3f}" for name in ("loss", "accuracy") if name in record)


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
    add("--eval-documents", type=positive, default=60, help="documents of an evaluation at most (default: 60)")
    add("--eval-every", type=positive, default=200, help="steps between two evaluations (default: 200)")
    add("--epochs", type=positive, default=1, help="passes over the examples (default: 1)")
    add("--max-steps", type=positive, help="optimizer steps at most (default: as the epochs have)")
    add(
        "--documents-per-step",
        type=positive,
        default=4,
        help="documents of an optimizer step, one pass or more each: gradients accumulate (default: 4)",
    )
    add(
        "--max-rows",
        type=positive,
        default=8192,
        help="tokens of one pass at most, about; what memory allows (default: 8192)",
    )
    add(
        "--learning-rate",
        type=positive_number,
        default=1e-5,
        help="peak of AdamW's; linear warm-up, then a cosine (default: 1e-5; small fresh models want 5e-4)",
    )
    add(
        "--token-loss",
        type=weight,
        default=0.0,
        help="weight of the same loss at every token of the chunk (default: 0)",
    )
    add(
        "--pair-loss",
        type=weight,
        default=0.0,
        help="weight of the Bradley-Terry loss of each chunk against those of the other label in its document "
        "(default: 0)",
    )
    add(
        "--document-loss",
        type=weight,
        default=0.0,
        help="weight of the Bradley-Terry loss of each text made worse against the real one, by the means of their "
        "labelled chunks, on each such chunk; all passes of a document stay in memory (default: 0)",
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
    add("--save-every", type=positive, default=200, help="steps between two saved states at most (default: 200)")
    add_state_options(parser)
    add("--log-every", type=positive, default=20, help="steps between two lines of log.jsonl (default: 20)")
    add("--seed", type=int, default=3, help="seed of weights and order (default: 3)")
    add("--device", default="cpu", help="torch device (default: cpu)")
    add_threads(parser)
    add_size_options(parser.add_argument_group("size of a fresh model"))
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    return program_main("train_judge.py", train, args, args.out)


if __name__ == "__main__":
    sys.exit(main())
