"""Training: the loss's numbers, shared contexts, reproducibility, resume, bad input; and a small judge from scratch that
the program scores as transformers does and that beats chance."""

from __future__ import annotations

import hashlib
import json
import os
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
import train_judge
from checkpoint import keep_letters, letter_ids, open_judge
from documents import InputError
from evaluation_metrics import auc
from examples import Example
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
from tree import ATTENTION_NAME, build_trees, row_log_odds

SCRIPTS = Path(train_judge.__file__).parent
REPOSITORY = SCRIPTS.parents[1]
JUDGE = REPOSITORY / "data" / "tiny-judge"
BINARY = os.environ.get("PRM_SCORE_BINARY")
needs_binary = pytest.mark.skipif(BINARY is None, reason="PRM_SCORE_BINARY, the path of prm-score, is not set")
LETTERS = letter_ids(JUDGE)
SMALL = ["--hidden-size", "32", "--intermediate-size", "64", "--num-hidden-layers", "2", "--num-attention-heads", "2"]
SMALL += ["--num-key-value-heads", "1"]


def sizes(**other: int) -> dict[str, int]:
    return {
        "vocab_size": 4096,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        **other,
    }


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


def write_examples(path: Path, num_documents: int = 6, seed: int = 4) -> Path:
    """Learnable at once: the chunk of a rejected prompt is made of other ids."""
    rng = np.random.default_rng(seed)
    with path.open("w") as out:
        for document in range(num_documents):
            trunk = rng.integers(100, 200, 150)
            for chunk in range(3):
                for label in (1, 0):
                    own = rng.integers(100, 200, 70) if label else rng.integers(300, 400, 70)
                    ids = [*trunk[: 64 * chunk].tolist(), *own.tolist(), 5, 6, 7]
                    kind = "real" if label else "other"
                    example = {"document": f"d{document}", "label": label, "kind": kind, "input_ids": ids}
                    out.write(json.dumps(example) + "\n")
    return path


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
        [sys.executable, str(SCRIPTS / "train_judge.py"), *map(str, command), "--threads", "1"], stderr=subprocess.DEVNULL
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


def test_options_that_must_not_change_the_gradient(tmp_path: Path) -> None:
    """Checkpointing and passes of their own cost time or memory; the judge stays the same up to rounding."""
    data = write_examples(tmp_path / "examples.jsonl")
    weights = []
    for number, options in enumerate(
        ([], ["--gradient-checkpointing"], ["--no-shared-context"], ["--max-rows", "200"])
    ):
        out = tmp_path / str(number)
        done = fresh(data, out, "--compute-dtype", "float32", "--dtype", "float32", "--token-loss", "0.5", *options)
        assert done.returncode == 0, done.stderr
        weights.append(load_file(out / "model.safetensors"))
    for other in weights[1:]:
        for name, tensor in weights[0].items():
            torch.testing.assert_close(tensor, other[name], atol=2e-4, rtol=0)


def test_loss_is_the_cross_entropy_of_the_two_letters() -> None:
    args = train_judge.parse_arguments(
        ["--base", str(JUDGE), "--data", "x", "--out", "y", "--compute-dtype", "float32"]
    )
    judge = train_judge.Judge(open_judge(JUDGE, LETTERS).eval(), LETTERS, args)
    tokenizer = Tokenizer.from_file(str(JUDGE / "tokenizer.json"))
    prompt = "Fellow citizens\n\n<<JUDGEMENT_REGION>>\n of the Senate\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>"
    ids = np.array(tokenizer.encode(prompt, add_special_tokens=False).ids, dtype=np.uint32)
    (answers,) = judge.passes([Example(ids, 0, "k")])
    plain = AutoModelForCausalLM.from_pretrained(JUDGE, dtype=torch.float32).eval()
    logits = plain(torch.from_numpy(ids.astype(np.int64))[None]).logits[0, -1, list(LETTERS)]
    assert answers.losses.item() == pytest.approx(-logits.log_softmax(-1)[1].item(), abs=1e-4)


def test_bad_input(tmp_path: Path) -> None:
    good = write_examples(tmp_path / "good.jsonl", num_documents=1)
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "one_label.jsonl").write_text('{"document":"d","label":1,"kind":"real","input_ids":[1,2]}\n')
    (tmp_path / "bad.jsonl").write_text('{"document":"d","label":1,"kind":"real","input_ids":[1,2]}\n{"label":2}\n')
    split = tmp_path / "split"
    split.mkdir()
    Tokenizer(models.BPE({"x": 0}, [])).save(str(split / "tokenizer.json"))
    cases = [
        (("--base", JUDGE, "--data", tmp_path / "no.jsonl"), "no.jsonl: No such file"),
        (("--base", JUDGE, "--data", tmp_path / "empty.jsonl"), "empty.jsonl: expected examples of make_data.py"),
        (("--base", JUDGE, "--data", tmp_path / "one_label.jsonl"), "expected chosen and rejected chunks, found 1 and 0"),
        (("--base", JUDGE, "--data", tmp_path / "bad.jsonl"), 'bad.jsonl:2: expected an example with "document"'),
        (("--base", split, "--data", good), "expected a single token for the letter A, found []"),
        (("--base", tmp_path / "nowhere", "--data", good), "nowhere"),
    ]
    for number, (options, message) in enumerate(cases):
        with pytest.raises(InputError) as error:
            train_judge.train(train_judge.parse_arguments([*map(str, options), "--out", str(tmp_path / f"o{number}")]))
        assert message in str(error.value)
    done = fresh(good, tmp_path / "out")
    assert done.returncode == 0
    done = fresh(good, tmp_path / "out")
    assert done.returncode == 1
    assert "holds a checkpoint already" in done.stderr


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
    script("make_data.py", tmp_path / "train", *common, "--out", made, "--excerpts", 160, "--max-chunks", 6, "--no-text")
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
    assert "pair_accuracy" in json.dumps(report)

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


def test_detector_labels_and_training(tmp_path: Path) -> None:
    """Token labels follow the ranges; a few steps on two kinds of text lower the loss."""
    from train_detector import CHOSEN, REJECTED, UNLABELLED, token_labels
    from versions import Version

    version = Version("v", "d", "s", "splice", "document", "abcdefghij", chosen=((0, 3),), rejected=((5, 8),))
    labels = token_labels(version, [(0, 2), (2, 5), (5, 6), (6, 8), (8, 10)])
    assert labels.tolist() == [CHOSEN, CHOSEN, REJECTED, REJECTED, UNLABELLED]
    chunk = Version("v", "d", "s", "char_noise", "chunk", "abcdefghij", rejected=((5, 10),))
    assert token_labels(chunk, [(0, 4), (4, 6), (6, 10)]).tolist() == [CHOSEN, CHOSEN, REJECTED]

    versions = tmp_path / "versions.jsonl"
    real = " ".join(f"The {w} went home and the people slept." for w in ("man", "boy", "king", "crew") * 40)
    worse = " ".join(f"zq {w} xv qqk jj vvx wq zzx." for w in ("man", "boy", "king", "crew") * 40)
    with versions.open("w") as out:
        for i in range(40):
            for kind, text in (("noise", worse), ("real", real)):
                ranges = {"chosen": ((0, len(text)),)} if kind == "real" else {"rejected": ((0, len(text)),)}
                out.write(Version(f"{kind}{i}", f"d{i}", "s", kind, "document", text, **ranges).line())
    base = tmp_path / "base"
    torch.manual_seed(5)
    Qwen2ForCausalLM(Qwen2Config(**sizes(), tie_word_embeddings=True)).save_pretrained(base)
    shutil.copyfile(JUDGE / "tokenizer.json", base / "tokenizer.json")
    options = ("--base", base, "--versions", versions, "--learning-rate", "1e-2", "--batch-tokens", 2048, "--log-every", 1)
    output = script("train_detector.py", *options, "--out", tmp_path / "detector")
    losses = [float(line.split(" loss ")[1].split()[0]) for line in output.splitlines() if " loss " in line]
    assert losses[-1] < 0.5 * losses[0]
    # A start for train_judge.py: its head is kept.
    detector = open_judge(tmp_path / "detector", LETTERS)
    assert detector.get_output_embeddings().weight[LETTERS[0]].abs().sum() > 0
