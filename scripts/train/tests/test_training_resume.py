"""An interrupted run of train_judge.py: it goes on to the same judge and log, or says why it cannot."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import train_judge
import transformers
from training_data import JUDGE, SMALL, write_base, write_examples


class Killed(BaseException):
    """As Ctrl-C: nothing is tidied up behind it."""


def options(data: Path, *more: object) -> list[str]:
    common = ("--data", data, "--compute-dtype", "float32", "--dtype", "float32", "--documents-per-step", 1)
    return [*map(str, (*common, "--save-every", 3, "--log-every", 2, *more))]


def fresh(data: Path, *more: object) -> list[str]:
    return options(data, "--fresh", JUDGE, *SMALL, *more)


def interrupt(monkeypatch: pytest.MonkeyPatch, command: list[str], at_step: int) -> None:
    take_step = train_judge.take_step

    def step_or_die(trained: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        if step == at_step:
            raise Killed
        take_step(trained, optimizer, step)

    with monkeypatch.context() as patch:
        patch.setattr(train_judge, "take_step", step_or_die)
        with pytest.raises(Killed):
            train_judge.main(command)


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_dropout_and_log_go_on_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_examples(tmp_path / "examples.jsonl", num_documents=7)
    base = write_base(tmp_path / "base", attention_dropout=0.5)
    command = options(data, "--base", base, "--no-shared-context", "--learning-rate", 1e-2)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert train_judge.main([*command, "--out", str(whole)]) == 0
    interrupt(monkeypatch, [*command, "--out", str(out)], at_step=6)  # the log is at step 4, the state at step 3
    assert [record["step"] for record in log_of(out)] == [2, 4]
    state = torch.load(out / "train_state.pt", weights_only=True)
    state["log"]["seconds"] += 1000  # as if it had run so long
    torch.save(state, out / "train_state.pt")
    assert train_judge.main([*command, "--out", str(out)]) == 0
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    seconds = [record.pop("seconds") for record in log_of(out)]
    assert seconds[0] < 1000 < seconds[1] <= seconds[2]
    assert [r | {"seconds": 0} for r in log_of(out)] == [r | {"seconds": 0} for r in log_of(whole)]


def test_ctrl_c_ends_after_the_step_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_examples(tmp_path / "examples.jsonl", num_documents=7)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert train_judge.main(fresh(data, "--out", whole)) == 0
    take_step = train_judge.take_step

    def step_and_interrupt(trained: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)
        take_step(trained, optimizer, step)

    with monkeypatch.context() as patch:
        patch.setattr(train_judge, "take_step", step_and_interrupt)
        assert train_judge.main(fresh(data, "--out", out)) == 130
    assert f"interrupted: {out} holds the state after step 2, the same command goes on" in capsys.readouterr().err
    assert train_judge.main(fresh(data, "--out", out)) == 0
    assert f"{out}: a judge, after 7 steps: loss " in (said := capsys.readouterr().err)
    assert "going on after step 2" in said
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_judge_that_cannot_be_written_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write_examples(tmp_path / "examples.jsonl", num_documents=4), tmp_path / "out"

    def full_disk(*_: object, **__: object) -> None:
        (out / ".unfinished" / "config.json").write_text("{}")
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transformers.PreTrainedModel, "save_pretrained", full_disk)
        assert train_judge.main(fresh(data, "--out", out)) == 1
    assert sorted(path.name for path in out.iterdir()) == ["log.jsonl", "train_state.pt"]
    assert train_judge.main(fresh(data, "--out", out)) == 0
    assert "going on after step 4" in capsys.readouterr().err
    assert (out / "config.json").exists()


def test_other_examples_under_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_examples(tmp_path / "examples.jsonl")
    command = fresh(data, "--out", tmp_path / "out")
    interrupt(monkeypatch, command, at_step=4)
    write_examples(data, seed=5)
    assert train_judge.main(command) == 1
    assert "examples.jsonl: " in (said := capsys.readouterr().err)
    assert "the same examples go on, --overwrite begins anew" in said


def test_overwrite_removes_the_old_state_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a run that is killed before its first state would be continued from the one that it overwrote."""
    data = write_examples(tmp_path / "examples.jsonl")
    out = tmp_path / "out"
    interrupt(monkeypatch, fresh(data, "--out", out), at_step=4)
    assert (out / "train_state.pt").exists()
    interrupt(monkeypatch, fresh(data, "--out", out, "--overwrite"), at_step=1)
    assert not (out / "train_state.pt").exists()


def test_state_of_an_earlier_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_examples(tmp_path / "examples.jsonl", num_documents=1)
    (tmp_path / "out").mkdir()
    torch.save({"model": {}, "step": 3, "options": {}}, tmp_path / "out" / "train_state.pt")
    assert train_judge.main(fresh(data, "--out", tmp_path / "out")) == 1
    assert "train_state.pt: written by an earlier form of this script" in capsys.readouterr().err


def test_dropout_is_no_reason_against_a_shared_context(tmp_path: Path) -> None:
    data = write_examples(tmp_path / "examples.jsonl", num_documents=1)
    base = write_base(tmp_path / "base", attention_dropout=0.5)
    out = tmp_path / "out"
    assert train_judge.main(options(data, "--base", base, "--out", out, "--max-steps", 1)) == 0


def test_gradients_that_are_no_numbers_stop_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_examples(tmp_path / "examples.jsonl")
    out = tmp_path / "out"
    assert train_judge.main(fresh(data, "--out", out, "--learning-rate", "1e30")) == 1
    assert "train_judge.py: step " in (said := capsys.readouterr().err)
    assert "expected gradients that are finite numbers" in said
    assert not (out / "model.safetensors").exists()
