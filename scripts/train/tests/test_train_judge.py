"""Training: the loss's numbers, shared contexts, reproducibility, resume, bad input; and a small judge from scratch
that the program scores as transformers does and that beats chance."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import train_detector
import train_judge
import train_surprise
from checkpoint import keep_letters, open_judge
from evaluation_metrics import auc
from examples import Example, ExampleFile
from fresh_model import fresh_model
from losses import Answers, document_losses, pair_losses
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from training_data import (
    JUDGE,
    LETTERS,
    REPOSITORY,
    SCRIPTS,
    SMALL,
    TAIL,
    sizes,
    write_base,
    write_examples,
    write_lines,
    write_texts_examples,
    write_versions,
)
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from tree import ATTENTION_NAME, build_trees, row_log_odds
from versions import Version

BINARY = os.environ.get("PRM_SCORE_TEST_BINARY")
needs_binary = pytest.mark.skipif(BINARY is None, reason="PRM_SCORE_TEST_BINARY, the path of prm-score, is not set")


def family(rng: np.random.Generator, trunk: int, branches: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Prompts that share the first tokens of a trunk: (shared, own)."""
    ids = rng.integers(0, 4096, trunk).astype(np.uint32)
    return [np.concatenate([ids[:shared], rng.integers(0, 4096, own).astype(np.uint32)]) for shared, own in branches]


@pytest.mark.parametrize("model_class", [Qwen2ForCausalLM, LlamaForCausalLM])
@pytest.mark.parametrize("max_rows", [100, 10_000])
def test_shared_context_gives_the_numbers_of_single_passes(model_class: type, max_rows: int) -> None:
    torch.manual_seed(1)
    config_class = Qwen2Config if model_class is Qwen2ForCausalLM else LlamaConfig
    model = model_class(config_class(**sizes(), attn_implementation=ATTENTION_NAME)).eval()
    alone = model_class(config_class(**sizes(), attn_implementation="eager")).eval()
    alone.load_state_dict(model.state_dict())
    rng = np.random.default_rng(2)
    prompts = family(rng, 300, [(0, 90), (64, 90), (64, 80), (128, 10), (290, 70), (300, 1)])
    prompts += family(rng, 40, [(0, 3), (40, 1)])
    seen = set()
    for tree in build_trees(prompts, max_rows):
        rows = row_log_odds(model, tree, LETTERS)
        for row, first, i in zip(tree.last_rows.tolist(), tree.first_rows.tolist(), tree.prompts, strict=True):
            logits = alone(torch.from_numpy(prompts[i].astype(np.int64))[None]).logits[0]
            expected = logits[:, LETTERS[0]] - logits[:, LETTERS[1]]
            torch.testing.assert_close(rows[first : row + 1], expected[first - row - 1 :], atol=1e-4, rtol=1e-4)
            seen.add(i)
    assert seen == set(range(len(prompts)))


def test_shared_context_saves_rows() -> None:
    prompts = family(np.random.default_rng(3), 640, [(64 * i, 76) for i in range(11)])
    (tree,) = build_trees(prompts, 10_000)
    assert tree.input_ids.shape[1] <= 640 + 11 * 76
    assert sum(map(len, prompts)) > 4000


def test_letters_keep_their_rows_and_the_rest_is_zero(tmp_path: Path) -> None:
    model = open_judge(JUDGE, LETTERS)
    head = model.get_output_embeddings().weight.detach()
    stored = load_file(JUDGE / "model.safetensors")["lm_head.weight"].float()
    assert torch.equal(head[list(LETTERS)], stored[list(LETTERS)])
    others = torch.ones(len(head), dtype=torch.bool)
    others[list(LETTERS)] = False
    assert not head[others].any()
    tied = Qwen2ForCausalLM(Qwen2Config(**sizes(), tie_word_embeddings=True))
    embedding = tied.get_input_embeddings().weight.detach().clone()
    keep_letters(tied, LETTERS)
    assert torch.equal(tied.get_input_embeddings().weight, embedding)  # untied, not overwritten


def test_pair_loss_is_bradley_terry_within_the_document() -> None:
    log_odds = torch.tensor([2.0, -1.0, 0.5, 1.0], requires_grad=True)
    labels = torch.tensor([1.0, 0.0, 0.0, 1.0])
    losses, earlier = pair_losses(log_odds, labels, (torch.empty(0), torch.empty(0)))

    def loss(chosen: float, rejected: float) -> float:
        return float(np.log1p(np.exp(rejected - chosen)))

    expected = [
        (loss(2.0, -1.0) + loss(2.0, 0.5)) / 2,
        (loss(2.0, -1.0) + loss(1.0, -1.0)) / 2,
        (loss(2.0, 0.5) + loss(1.0, 0.5)) / 2,
        (loss(1.0, -1.0) + loss(1.0, 0.5)) / 2,
    ]
    np.testing.assert_allclose(losses.detach(), expected, rtol=1e-6)
    losses.sum().backward()
    assert (log_odds.grad < 0).tolist() == [True, False, False, True]  # down the slope, chosen ones rise

    later, _ = pair_losses(torch.tensor([0.0]), torch.tensor([0.0]), earlier)
    np.testing.assert_allclose(later, [(loss(2.0, 0.0) + loss(1.0, 0.0)) / 2], rtol=1e-6)
    alone, _ = pair_losses(torch.tensor([3.0]), torch.tensor([1.0]), (torch.empty(0), torch.empty(0)))
    assert alone.tolist() == [0.0]  # nothing to compare with


def test_document_loss_is_bradley_terry_of_the_means() -> None:
    def example(kind: str, version: str, label: int) -> Example:
        return Example(np.array([1], dtype=np.uint32), 1, label, kind, version)

    examples = [
        example("real", "r", 1),
        example("splice", "s", 1),  # a real chunk of a text made worse belongs to that text
        example("sampled", "", 0),  # a chunk that is no part of a whole text
        example("real", "r", 1),
        example("splice", "s", 0),
        example("sampled", "t", 0),
    ]
    log_odds = torch.tensor([2.0, 1.5, 9.0, 1.0, -0.5, 0.25], requires_grad=True)
    labels = torch.tensor([float(e.label) for e in examples])

    def answers(log_odds: torch.Tensor, chosen: list[int]) -> Answers:
        return Answers(log_odds[chosen], torch.zeros(len(chosen)), labels[chosen], [examples[i] for i in chosen])

    losses = document_losses(answers(log_odds, [0, 1, 2, 3, 4, 5]))
    splice, sampled = float(np.log1p(np.exp(0.5 - 1.5))), float(np.log1p(np.exp(0.25 - 1.5)))
    np.testing.assert_allclose(losses.detach(), [0, splice, 0, 0, splice, sampled], rtol=1e-6)
    losses.sum().backward()
    assert log_odds.grad.sign().tolist() == [-1, 1, 0, -1, 1, 1]
    # Without the real text there is nothing to compare with.
    assert document_losses(answers(log_odds, [1, 2, 4, 5])).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("max_rows", [150, 8192])
def test_document_loss_sees_the_whole_document_whatever_the_passes(tmp_path: Path, max_rows: int) -> None:
    """All passes of a document are compared as one."""
    path = write_texts_examples(tmp_path / "examples.jsonl")
    args = train_judge.parse_arguments(
        [
            *("--fresh", str(JUDGE), *SMALL, "--data", str(path), "--out", str(tmp_path)),
            *("--compute-dtype", "float32", "--max-rows", str(max_rows), "--document-loss", "1"),
        ]
    )
    torch.manual_seed(6)
    judge = train_judge.Judge(fresh_model(JUDGE, args, shared_context=True), JUDGE, args)
    answers = list(judge.passes(ExampleFile(path).group(0)))
    assert len(answers) == 1
    (answer,) = answers
    real = answer.log_odds[[e.kind == "real" for e in answer.examples]].mean()
    worse = answer.log_odds[[e.kind == "splice" for e in answer.examples]].mean()
    plain = torch.nn.functional.binary_cross_entropy_with_logits(answer.log_odds, answer.labels, reduction="none")
    extra = torch.nn.functional.softplus(worse - real)
    expected = plain + torch.tensor([float(e.kind == "splice") for e in answer.examples]) * extra
    torch.testing.assert_close(answer.losses, expected)


def train(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "train_judge.py"), *map(str, options), "--threads", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def fresh(data: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return train("--fresh", JUDGE, *SMALL, "--data", data, "--out", out, "--learning-rate", "3e-3", *options)


def sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_same_seed_same_file_and_another_seed_another(tmp_path: Path) -> None:
    data = write_examples(tmp_path / "examples.jsonl")
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        done = fresh(data, tmp_path / name, "--epochs", 4, "--seed", seed, "--eval-data", data, "--eval-every", 3)
        assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b") != sha256(tmp_path / "c")
    log = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["eval/auc"] == 1.0
    assert log[-1]["eval/loss"] < 0.5
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "config.json",
        "log.jsonl",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert load_file(tmp_path / "a" / "model.safetensors")["lm_head.weight"].dtype == torch.bfloat16


def test_goes_on_after_kill_9_to_the_same_file(tmp_path: Path) -> None:
    data = write_examples(tmp_path / "examples.jsonl", num_documents=12)
    options = ("--epochs", 20, "--save-every", 3, "--dtype", "float32")
    assert fresh(data, tmp_path / "whole", *options).returncode == 0
    out = tmp_path / "killed"
    command = ["--fresh", JUDGE, *SMALL, "--data", data, "--out", out, "--learning-rate", "3e-3", *options]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "train_judge.py"), *map(str, command), "--threads", "1"],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (out / "train_state.pt").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (out / "model.safetensors").exists()
    refused = fresh(data, out, *options, "--seed", 9)
    assert refused.returncode == 1
    assert "--seed 3, this one has 9" in refused.stderr
    done = fresh(data, out, *options)
    assert done.returncode == 0, done.stderr
    assert "going on after step" in done.stderr
    assert sha256(out) == sha256(tmp_path / "whole")


@pytest.mark.parametrize("token_loss", ["0", "0.5"])
def test_options_that_must_not_change_the_gradient(tmp_path: Path, token_loss: str) -> None:
    """Checkpointing, passes of their own and small trees cost time or memory; the gradient stays the same."""
    examples = ExampleFile(write_examples(tmp_path / "examples.jsonl", num_documents=1)).group(0)
    gradients = []
    for options in ([], ["--gradient-checkpointing"], ["--no-shared-context"], ["--max-rows", "200"]):
        args = train_judge.parse_arguments(
            [
                *("--fresh", str(JUDGE), *SMALL, "--data", "x", "--out", "y", "--compute-dtype", "float32"),
                *("--token-loss", token_loss, *options),
            ]
        )
        torch.manual_seed(1)
        model = fresh_model(JUDGE, args, shared_context=not args.no_shared_context).train()
        keep_letters(model, LETTERS)
        if args.gradient_checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        for answers in train_judge.Judge(model, JUDGE, args).passes(examples):
            answers.losses.sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for other in gradients[1:]:
        assert other.keys() == gradients[0].keys()
        for name, gradient in gradients[0].items():
            scale = gradient.abs().max().item()
            assert (other[name] - gradient).abs().max().item() <= 1e-4 * scale, name


def test_loss_is_the_cross_entropy_of_the_two_letters() -> None:
    args = train_judge.parse_arguments(
        ["--base", str(JUDGE), "--data", "x", "--out", "y", "--compute-dtype", "float32"]
    )
    judge = train_judge.Judge(open_judge(JUDGE, LETTERS).eval(), JUDGE, args)
    tokenizer = Tokenizer.from_file(str(JUDGE / "tokenizer.json"))
    prompt = "Fellow citizens\n\n<<JUDGEMENT_REGION>>\n of the Senate\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>"
    ids = np.array(tokenizer.encode(prompt, add_special_tokens=False).ids, dtype=np.uint32)
    (answers,) = judge.passes([Example(ids, 4, 0, "k")])
    plain = AutoModelForCausalLM.from_pretrained(JUDGE, dtype=torch.float32).eval()
    logits = plain(torch.from_numpy(ids.astype(np.int64))[None]).logits[0, -1, list(LETTERS)]
    assert answers.losses.item() == pytest.approx(-logits.log_softmax(-1)[1].item(), abs=1e-4)


def test_a_family_that_the_program_cannot_score_is_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_examples(tmp_path / "good.jsonl", num_documents=1)
    base = tmp_path / "gpt2"
    GPT2LMHeadModel(GPT2Config(vocab_size=4096, n_embd=32, n_layer=1, n_head=2)).save_pretrained(base)
    shutil.copyfile(JUDGE / "tokenizer.json", base / "tokenizer.json")
    common = ("--out", tmp_path / "out", "--no-shared-context", "--compute-dtype", "float32", "--max-steps", 1)
    for start, warns in ((base, True), (write_base(tmp_path / "base"), False)):
        options = [*map(str, ("--base", start, "--data", data, *common, "--overwrite"))]
        capsys.readouterr()
        assert train_judge.main(options) == 0
        said = capsys.readouterr().err
        expected = f"train_judge.py: warning: {start}: model_type: prm-score scores qwen2, qwen3, llama, mistral alone"
        assert said.startswith(expected) == warns and ("warning" in said) == warns


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_examples(tmp_path / "good.jsonl", num_documents=1)
    (tmp_path / "empty.jsonl").write_text("")
    one = {"document": "d", "num_tokens": 2, "label": 1, "kind": "real", "input_ids": [1, 2, *TAIL]}
    write_lines(tmp_path / "one_label.jsonl", [one])
    write_lines(tmp_path / "bad.jsonl", [one, {"label": 2}])
    write_lines(tmp_path / "foreign.jsonl", [one | {"input_ids": [1, 2, 3]}])
    split = tmp_path / "split"
    split.mkdir()
    Tokenizer(models.BPE({"x": 0}, [])).save(str(split / "tokenizer.json"))
    no_weights = tmp_path / "no_weights"
    no_weights.mkdir()
    shutil.copyfile(JUDGE / "tokenizer.json", no_weights / "tokenizer.json")
    cases = [
        (("--base", JUDGE, "--data", tmp_path / "no.jsonl"), "no.jsonl: No such file"),
        (("--base", JUDGE, "--data", tmp_path / "empty.jsonl"), "empty.jsonl: expected examples of make_data.py"),
        (("--base", JUDGE, "--data", tmp_path / "one_label.jsonl"), "chosen and rejected chunks, found 1 and 0"),
        (("--base", JUDGE, "--data", tmp_path / "bad.jsonl"), 'bad.jsonl:2: expected an example with "document"'),
        (("--base", JUDGE, "--data", tmp_path / "foreign.jsonl"), "made with another tokenizer than that of"),
        (("--base", JUDGE, "--data", good, "--document-loss", 1), "good.jsonl: --document-loss: expected a document"),
        (("--base", split, "--data", good), "expected a single token for the letter A, found no token"),
        (("--base", tmp_path / "nowhere", "--data", good), "nowhere/tokenizer.json: expected a tokenizer"),
        (("--base", no_weights, "--data", good), "no_weights: expected a checkpoint, found no config.json"),
        (("--fresh", JUDGE, "--num-key-value-heads", 3, "--data", good), "a multiple of 3 key-value heads, found 4"),
    ]
    for number, (options, message) in enumerate(cases):
        code = train_judge.main([*map(str, options), "--out", str(tmp_path / f"o{number}")])
        said = capsys.readouterr().err
        assert code == 1, message
        assert said.startswith("train_judge.py: ") and said.count("\n") == 1
        assert message in said


@pytest.mark.parametrize(
    "option", ["log-every", "save-every", "eval-every", "documents-per-step", "epochs", "max-rows"]
)
def test_counts_from_one_on(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        train_judge.parse_arguments(["--base", "x", "--data", "y", "--out", "z", f"--{option}", "0"])
    assert stopped.value.code == 2
    assert f"--{option}: expected a whole number of 1 or more, found '0'" in capsys.readouterr().err


def test_evaluation_with_document_loss_is_of_the_letter_alone(tmp_path: Path) -> None:
    data = write_texts_examples(tmp_path / "examples.jsonl", num_documents=2)
    command = ["--fresh", JUDGE, *SMALL, "--data", data, "--eval-data", data, "--compute-dtype", "float32"]
    args = train_judge.parse_arguments([*map(str, command), "--out", "x", "--document-loss", "2"])
    plain = train_judge.parse_arguments([*map(str, command), "--out", "x"])
    torch.manual_seed(6)
    model = fresh_model(JUDGE, args)
    found, expected = (
        train_judge.evaluate(train_judge.Judge(model, JUDGE, a), ExampleFile(data), max_documents=2)
        for a in (args, plain)
    )
    assert found.keys() == {"loss", "auc", "auc/splice"}
    assert found == pytest.approx(expected, abs=1e-6)
    assert train_judge.main([*map(str, command), "--out", str(tmp_path / "out"), "--document-loss", "2"]) == 0
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert {"eval/loss", "eval/auc/splice"} <= log[-1].keys()


def test_pair_loss_compares_chunks_of_different_passes(tmp_path: Path) -> None:
    """Three passes of a document: a chunk is held against all of the other label so far, not of its pass alone."""
    path = write_examples(tmp_path / "examples.jsonl", num_documents=1)
    command = ["--fresh", str(JUDGE), *SMALL, "--data", str(path), "--out", "x", "--compute-dtype", "float32"]
    args = train_judge.parse_arguments([*command, "--pair-loss", "1", "--max-rows", "200"])
    torch.manual_seed(6)
    judge = train_judge.Judge(fresh_model(JUDGE, args), JUDGE, args)
    passes = list(judge.passes(ExampleFile(path).group(0)))
    assert len(passes) > 1
    seen: list[tuple[float, float]] = []
    compared = 0
    for answers in passes:
        seen += zip(answers.log_odds.tolist(), answers.labels.tolist(), strict=True)
        plain = torch.nn.functional.binary_cross_entropy_with_logits(
            answers.log_odds, answers.labels, reduction="none"
        ).tolist()
        for value, label, loss, own in zip(
            answers.log_odds.tolist(), answers.labels.tolist(), answers.losses.tolist(), plain, strict=True
        ):
            others = [other for other, its in seen if its != label]
            sign = 1 if label else -1
            expected = np.mean([np.log1p(np.exp(-sign * (value - other))) for other in others]) if others else 0.0
            assert loss - own == pytest.approx(expected, abs=1e-5)
            compared += len(others)
    assert compared > 9  # 3 x 3 pairs, each seen from the second of the two at least


def script(name: str, *options: object) -> str:
    command = [sys.executable, str(SCRIPTS / name), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(*options: object) -> list[dict[str, Any]]:
    done = subprocess.run([str(BINARY), *map(str, options)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n") if line]


@needs_binary
def test_a_judge_from_scratch_in_two_minutes(tmp_path: Path) -> None:
    """The three commands on a slice of the corpus: a judge that the program scores as transformers does, and that tells
    held-out addresses from their damaged versions."""
    addresses = sorted((REPOSITORY / "data/corpus/sotu").glob("*.txt"))
    for name, paths in (("train", addresses[0:160:2]), ("heldout", addresses[1:160:16])):
        (tmp_path / name).mkdir()
        for path in paths:
            text = path.read_text(encoding="utf-8")[: 12_000 if name == "train" else 3000]
            (tmp_path / name / path.name).write_text(text, encoding="utf-8")
    common = ("--model", JUDGE, "--prm-score", BINARY, "--kinds", "char_noise", "word_shuffle")
    made, judge = tmp_path / "made", tmp_path / "judge"
    sizes_of_data = ("--excerpts", 160, "--max-chunks", 6)
    script("make_data.py", tmp_path / "train", *common, "--out", made, *sizes_of_data, "--no-text")
    script(
        *("train_judge.py", "--fresh", JUDGE, "--data", made / "examples.jsonl", "--out", judge, "--token-loss", 1),
        *("--hidden-size", 96, "--intermediate-size", 256, "--num-hidden-layers", 2, "--learning-rate", 3e-3),
        *("--epochs", 2, "--dtype", "float32", "--compute-dtype", "float32"),
    )
    script(
        *("make_data.py", tmp_path / "heldout", *common, "--out", tmp_path / "eval", "--purpose", "evaluate"),
        *("--max-chunks", 6),
    )
    versions = tmp_path / "eval" / "versions.jsonl"
    script(
        *("evaluate_judge.py", versions, "--judge", judge, "--out", tmp_path / "report", "--prm-score", BINARY),
        *("--min-chunks", 4),
    )
    report = json.loads((tmp_path / "report" / "results.json").read_text())
    overall = report["files"]["versions"]["pair_accuracy"]["overall"]
    assert overall["accuracy"] > 0.7

    documents = tmp_path / "documents.jsonl"
    lines = [json.loads(line) for line in versions.read_text(encoding="utf-8").split("\n") if line]
    full = [v for v in lines if v["kind"] == "real" or v["strength"] == 1.0]
    documents.write_text("".join(json.dumps({"id": v["kind"], "text": v["text"]}) + "\n" for v in full))
    rows = rows_of("--model", judge, documents)
    real = [x for row in rows if row["id"] == "real" for x in row["log_odds"]]
    worse = [x for row in rows if row["id"] != "real" for x in row["log_odds"]]
    assert auc(real, worse) > 0.8

    model = AutoModelForCausalLM.from_pretrained(judge, dtype=torch.float64).eval()
    few = tmp_path / "few.jsonl"
    few.write_text("".join(documents.read_text().splitlines(keepends=True)[:4]))
    prompts = rows_of("prompts", "--model", judge, few)
    scored = [x for row in rows_of("--model", judge, few) for x in row["log_odds"]]
    assert len(prompts) == len(scored) > 8
    with torch.inference_mode():
        for prompt, found in zip(prompts, scored, strict=True):
            logits = model(torch.tensor([prompt["input_ids"]])).logits[0, -1]
            expected = (logits[LETTERS[0]] - logits[LETTERS[1]]).item()
            assert found == pytest.approx(expected, abs=1e-4 * max(1.0, abs(expected)))


def test_detector_sees_every_chunk_as_real_and_as_rejected_at_the_same_place() -> None:
    tokenizer = Tokenizer.from_file(str(JUDGE / "tokenizer.json"))
    text = " ".join(f"The {w} went home and the people of the town slept." for w in ("man", "boy", "king", "crew") * 10)
    real = Version("d#real", "d", "s", "real", "document", text, chosen=((0, len(text)),))
    begins = [begin for begin, _ in tokenizer.encode(text, add_special_tokens=False).offsets]
    worse = "qx zz vv " * 60
    chunks = [
        Version(f"d#splice-chunk-{k}", "d", "s", "splice", "chunk", text[: begins[64 * k]] + worse)
        for k in range(len(begins) // 64)
    ]
    whole, first, second = train_detector.texts_of([*chunks, real], tokenizer, random.Random(1))
    assert (whole.labels == train_detector.CHOSEN).all()
    seen = first.labels[: 64 * len(chunks)] + second.labels[: 64 * len(chunks)]
    assert (seen == train_detector.CHOSEN + train_detector.REJECTED).all()
    for tokens in (first, second):
        for begin in range(0, 64 * len(chunks), 64):
            part = slice(begin, begin + 64)
            is_real = tokens.labels[part] == train_detector.CHOSEN
            assert is_real.all() or not is_real.any()
            assert (tokens.ids[part] == whole.ids[part]).all() == is_real.all()


def test_detector_labels_follow_the_ranges() -> None:
    tokenizer = Tokenizer.from_file(str(JUDGE / "tokenizer.json"))
    text = "One two three four five six."
    version = Version("v", "d", "s", "splice", "document", text, chosen=((0, 7),), rejected=((8, 18),))
    tokens, begins = train_detector.tokens_of(version, tokenizer)
    for begin, label in zip(begins, tokens.labels, strict=True):
        expected = train_detector.CHOSEN if begin < 7 else train_detector.REJECTED if 8 <= begin < 18 else -1
        assert label == expected


def test_detector_training_lowers_the_loss_and_gives_a_start(tmp_path: Path) -> None:
    versions = write_versions(tmp_path / "versions.jsonl", num_documents=40)
    base = write_base(tmp_path / "base")
    options = ("--base", base, "--versions", versions, "--learning-rate", "1e-2")
    options += ("--batch-tokens", 2048, "--log-every", 1)
    output = script("train_detector.py", *options, "--out", tmp_path / "detector")
    losses = [float(line.split(" loss ")[1].split()[0]) for line in output.splitlines() if " loss " in line]
    assert losses[-1] < 0.5 * losses[0]
    detector = open_judge(tmp_path / "detector", LETTERS)  # its head is kept
    assert detector.get_output_embeddings().weight[LETTERS[0]].abs().sum() > 0


def test_grown_layers_change_nothing_yet_and_look_where_they_should() -> None:
    torch.manual_seed(6)
    sizes_of_heads = sizes(hidden_size=128, num_attention_heads=2, num_key_value_heads=2)
    base = Qwen2ForCausalLM(Qwen2Config(**sizes_of_heads, attn_implementation="eager")).eval()
    grown = train_surprise.grow(base, 1, train_surprise.look_one_token_back)
    grown.set_attn_implementation("eager")
    ids = torch.randint(0, 4096, (1, 40))
    found = grown.eval()(ids, output_attentions=True)
    torch.testing.assert_close(found.logits, base(ids).logits)
    one_back = found.attentions[-1][0].diagonal(offset=-1, dim1=1, dim2=2)  # [heads, 39]
    assert one_back.min() > 0.9
    recent = train_surprise.grow(base, 1, train_surprise.look_at_recent_tokens)
    recent.set_attn_implementation("eager")
    weights = recent.eval()(torch.randint(0, 4096, (1, 400)), output_attentions=True).attentions[-1][0]
    assert weights[:, 300:, :].tril(-160).sum(-1).max() < 0.2  # little of what lies far back


def test_mean_targets_are_means_over_a_chunk() -> None:
    surprise, entropy = torch.rand(2, 1, 200, generator=torch.Generator().manual_seed(7)) * 5
    targets = train_surprise.mean_targets(surprise, entropy)
    (centre, spread) = train_surprise.MEAN_NORM[2]
    for end in (1, 10, 64, 65, 200):
        distance = (surprise - entropy)[0, max(0, end - 64) : end].abs().mean().item()
        assert targets[0, end - 1, 2].item() == pytest.approx((distance - centre) / spread, abs=1e-4)


def test_surprise_is_learned_from_the_base_itself(tmp_path: Path) -> None:
    versions = tmp_path / "versions.jsonl"
    rng = random.Random(8)
    with versions.open("w") as out:
        for i in range(30):
            text = " ".join(
                rng.choice(["the man", "a boy", "went home", "slept", "zq xv", "qqk jj"]) for _ in range(200)
            )
            out.write(Version(f"v{i}", f"d{i}", "s", "real", "document", text, chosen=((0, len(text)),)).line())
    heads = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2}
    base = write_base(tmp_path / "base", seed=9, **heads, initializer_range=0.1)
    options = ("--base", base, "--versions", versions, "--token-steps", 40, "--mean-steps", 20, "--batch-tokens", 1024)
    output = script("train_surprise.py", *options, "--out", tmp_path / "grown", "--log-every", 5)
    explained = [
        float(line.split("explained ")[1].split()[0]) for line in output.splitlines() if line.startswith("token")
    ]
    assert explained[-1] > 0.1 > explained[0]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "grown")
    assert model.config.num_hidden_layers == 5
    stored = AutoModelForCausalLM.from_pretrained(base).state_dict()
    for name, tensor in stored.items():
        if "layers" in name:
            assert torch.equal(model.state_dict()[name], tensor), name
