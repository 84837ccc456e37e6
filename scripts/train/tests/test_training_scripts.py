"""The mains of the training scripts: bad input, a full disk, padding, and a small run of those for the base model."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import train_base
import train_detector
import train_surprise
import train_tokenizer
from checkpoint import open_model
from errors import InputError
from prompt import letter_ids, open_tokenizer
from train_detector import WINDOW, Window
from train_surprise import Stage, SurpriseTrainer, look_one_token_back, token_targets
from training_data import JUDGE, SCRIPTS, SMALL, write_base, write_examples, write_lines, write_versions
from tree import ATTENTION_NAME
from writing import whole_file

Main = Callable[[Sequence[str]], int]
SENTENCES = "The state of the Union is strong. It was never stronger, and the people of the land know why. "


def said_by(main: Main, capsys: pytest.CaptureFixture[str], *options: object) -> str:
    """On stderr, one line, by a main that fails."""
    assert main([*map(str, options)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def corpus(path: Path, repeats: int = 40) -> Path:
    return write_lines(path, [{"text": SENTENCES * repeats}, {"text": SENTENCES.upper() * repeats}])


def test_bad_input_of_train_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, empty = corpus(tmp_path / "good.jsonl"), write_lines(tmp_path / "empty.jsonl", [])
    short = corpus(tmp_path / "short.jsonl", repeats=1)
    out = ("--out", tmp_path / "out")
    model = ("--tokenizer", JUDGE, *SMALL, *out)
    for options, message in (
        ((tmp_path / "no.jsonl", *model), "no.jsonl: "),
        ((empty, *model), "empty.jsonl: expected at least one document"),
        ((short, *model), "--window 512: expected texts of more tokens than that, found "),
        ((good, *model, "--train-tokens", 100), "--train-tokens: expected 4096 at least"),
        ((good, "--tokenizer", tmp_path, *out), "tokenizer.json: expected a tokenizer, found no such f"),
    ):
        said = said_by(train_base.main, capsys, *options)
        assert said.startswith("train_base.py: ") and message in said
    assert not (tmp_path / "out").exists()


def test_bad_input_of_train_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, empty = corpus(tmp_path / "good.jsonl"), write_lines(tmp_path / "empty.jsonl", [])
    blank = write_lines(tmp_path / "blank.jsonl", [{"text": " "}])
    for options, message in (
        ((tmp_path / "no.jsonl",), "no.jsonl: "),
        ((empty,), "empty.jsonl: expected at least one document"),
        ((blank,), "blank.jsonl: expected "),
        ((good, "--vocab-size", 100), "--vocab-size: expected at least 261, all bytes and the added tokens, found 100"),
    ):
        said = said_by(train_tokenizer.main, capsys, *options, "--out", tmp_path / "out")
        assert said.startswith("train_tokenizer.py: ") and message in said


@pytest.mark.parametrize("module", [train_detector, train_surprise])
def test_bad_input_of_those_that_read_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], module: ModuleType
) -> None:
    versions = write_versions(tmp_path / "versions.jsonl", num_documents=1, repeats=10)
    (tmp_path / "empty.jsonl").write_text("")
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_bytes((JUDGE / "tokenizer.json").read_bytes())
    for base, data, message in (
        (tmp_path, versions, "tokenizer.json: expected a tokenizer, found no such f"),
        (tokenizer, versions, "tokenizer: expected a checkpoint, found no config.json"),
        (JUDGE, tmp_path / "no.jsonl", "no.jsonl: No such file"),
        (JUDGE, tmp_path / "empty.jsonl", "empty.jsonl: expected versions of at least 128 tokens, found none"),
    ):
        said = said_by(module.main, capsys, "--base", base, "--versions", data, "--out", tmp_path / "out")
        assert said.startswith(f"{module.__name__}.py: ") and message in said


@pytest.mark.parametrize(
    ("module", "option"),
    [
        (train_base, "--batch"),
        (train_base, "--threads"),
        (train_detector, "--epochs"),
        (train_detector, "--log-every"),
        (train_surprise, "--mean-steps"),
        (train_tokenizer, "--vocab-size"),
    ],
)
def test_counts_from_one_on(module: ModuleType, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        module.main([option, "0"])
    assert stopped.value.code == 2
    assert f"{option}: expected a whole number of 1 or more, found '0'" in capsys.readouterr().err


def test_tokenizer_and_base_model_of_a_small_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, tokenizer, base = corpus(tmp_path / "texts.jsonl"), tmp_path / "tokenizer", tmp_path / "base"
    assert train_tokenizer.main([str(texts), "--out", str(tokenizer), "--vocab-size", "400"]) == 0
    assert open_tokenizer(tokenizer).get_vocab_size() <= 400
    assert len(set(letter_ids(tokenizer))) == 2
    options = ("--tokenizer", tokenizer, *SMALL, "--out", base, "--train-tokens", 1600, "--window", 40, "--batch", 2)
    options += ("--log-every", 4, "--learning-rate", 1e-2)
    assert train_base.main([*map(str, (texts, *options))]) == 0
    losses = [float(loss) for loss in re.findall(r" loss ([\d.]+) ", capsys.readouterr().out)]
    assert len(losses) == 5
    assert losses[-1] < 0.8 * losses[0]
    assert open_model(base).config.vocab_size == open_tokenizer(tokenizer).get_vocab_size()


def test_windows_of_a_text_hardly_longer_than_one() -> None:
    """An offset may leave less than a window of it; the next pass has another one."""
    windows = train_base.epochs_of_windows(torch.arange(12), 10, 50, random.Random(1))
    assert [window.tolist() in ([*range(11)], [*range(1, 12)]) for window in windows] == [True] * 5


def test_padding_teaches_nothing_and_counts_for_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2}
    base = open_model(write_base(tmp_path / "base", **heads, num_hidden_layers=1), attn_implementation=ATTENTION_NAME)
    text = np.random.default_rng(1).integers(0, 4096, (2, WINDOW)).astype(np.uint32)
    weights = []
    for padding in (0, 7):
        ids = text.copy()
        ids[:, 150:] = padding
        nothing = np.zeros(WINDOW, dtype=np.int8)
        windows = [Window(150, row, nothing, nothing) for row in ids]
        torch.manual_seed(3)
        model = train_surprise.grow(base, 1, look_one_token_back)
        stage = Stage("token", 1, 2, token_targets, first_token=0, num_steps=2)
        SurpriseTrainer(model, base, windows, batch=2).train(stage, learning_rate=1e-2, log_every=1)
        weights.append(torch.cat([p.detach().flatten() for p in model.model.layers[-1].parameters()]))
    torch.testing.assert_close(*weights)
    explained = re.findall(r"explained (.*)", capsys.readouterr().out)
    assert explained[:2] == explained[2:]


def test_windows_know_where_their_padding_begins() -> None:
    row = np.arange(WINDOW + 200)
    first, second = train_detector.windows_of(train_detector.Tokens(row, row, row), pad=0)
    assert (first.num_tokens, second.num_tokens) == (WINDOW, 200)
    assert second.ids[199] == WINDOW + 199 and not second.ids[200:].any()


def full_disk(script: str, max_bytes: int, *options: object) -> subprocess.CompletedProcess[str]:
    """Runs a script that cannot write files of more than so many bytes."""
    code = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({max_bytes}, {max_bytes}))\n"
    code += f"sys.path.insert(0, {str(SCRIPTS)!r}); import {script}; sys.exit({script}.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *map(str, options), "--threads", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("save_every", [2, 200])
def test_full_disk(tmp_path: Path, save_every: int) -> None:
    """With a state to save, and with the judge alone."""
    data, out = write_examples(tmp_path / "examples.jsonl", num_documents=4), tmp_path / "out"
    options = ("--fresh", JUDGE, *SMALL, "--data", data, "--out", out, "--documents-per-step", 1)
    done = full_disk("train_judge", 100_000, *options, "--save-every", save_every)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    place = out / "train_state.pt" if save_every == 2 else out
    assert f"train_judge.py: {place}: cannot be written, is the disk full? " in done.stderr
    assert not list(out.glob("*.partial")) and not list(out.glob("*.safetensors"))


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with (
        pytest.raises(InputError, match=r"file: cannot be written, is the disk full\? short"),
        whole_file(path) as aside,
    ):
        aside.write_text("half")
        raise RuntimeError("short")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "before"
