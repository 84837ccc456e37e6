"""An interrupted run of a training script: it goes on to the same file and log, or says why it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import train_base
import train_detector
import train_judge
import train_surprise
import training_state
import transformers
from training_data import JUDGE, SCRIPTS, SMALL, write_base, write_examples, write_lines, write_versions


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


def base_command(tmp_path: Path, out: Path, num_steps: int) -> list[str]:
    texts = tmp_path / "texts.jsonl"
    if not texts.exists():
        write_lines(texts, [{"text": f"The {w} went home and the people slept. " * 60} for w in ("man", "boy", "king")])
    command = (texts, "--tokenizer", JUDGE, *SMALL, "--out", out, "--window", 40, "--batch", 2)
    return [*map(str, (*command, "--train-tokens", 80 * num_steps, "--log-every", 2, "--save-seconds", 0.01))]


@contextmanager
def started(script: str, command: list[str], until: Path) -> Iterator[None]:
    """A run of a script, while the block lasts; it has got as far as to the file."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPTS / script), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not until.exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_base_model_goes_on_after_kill_9_to_the_same_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, out, num_steps = tmp_path / "whole", tmp_path / "out", 400
    with started("train_base.py", base_command(tmp_path, out, num_steps), out / "train_state.pt"):
        assert train_base.main(base_command(tmp_path, out, num_steps)) == 1
        assert capsys.readouterr().err == f"train_base.py: {out}: another run is writing there\n"
    assert not (out / "model.safetensors").exists()
    assert train_base.main(base_command(tmp_path, out, num_steps - 1)) == 1
    assert "the interrupted run had --train-tokens 32000, this one has 31920" in capsys.readouterr().err
    assert train_base.main(base_command(tmp_path, out, num_steps)) == 0
    assert "going on after step" in capsys.readouterr().err
    assert train_base.main(base_command(tmp_path, whole, num_steps)) == 0
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (out / "train_state.pt").exists()
    assert train_base.main(base_command(tmp_path, out, 2)) == 0  # a finished one is replaced


def test_a_judge_is_saved_by_time_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_state, "WORK_PER_STATE", 0.0)
    data, out = write_examples(tmp_path / "examples.jsonl", num_documents=5), tmp_path / "out"
    command = fresh(data, "--out", out, "--save-every", 1000)
    interrupt(monkeypatch, command, at_step=4)
    assert not (out / "train_state.pt").exists()
    interrupt(monkeypatch, [*command, "--save-seconds", "1e-9"], at_step=4)
    assert torch.load(out / "train_state.pt", weights_only=True)["step"] == 3


@pytest.mark.parametrize(
    ("module", "at_step"), [(train_detector, 2), (train_detector, 4), (train_surprise, 3), (train_surprise, 6)]
)
def test_detector_and_surprise_go_on_to_the_same_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: ModuleType,
    at_step: int,
) -> None:
    """Of the second one's two stages either is interrupted."""
    monkeypatch.setattr(training_state, "WORK_PER_STATE", 0.0)
    versions = write_versions(tmp_path / "versions.jsonl", num_documents=3)
    heads = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2}
    base = write_base(tmp_path / "base", **heads, num_hidden_layers=1)
    steps = ("--token-steps", 4, "--mean-steps", 4) if module is train_surprise else ("--max-steps", 5)
    common = ("--base", base, "--versions", versions, "--batch-tokens", 512, *steps, "--save-seconds", "1e-9")
    command = [*map(str, (*common, "--log-every", 1, "--out"))]
    whole, out, take_step, taken = tmp_path / "whole", tmp_path / "out", module.take_step, []

    def step_or_die(*args: Any) -> None:
        taken.append(args)
        if len(taken) == at_step:
            raise Killed
        take_step(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, "take_step", step_or_die)
        with pytest.raises(Killed):
            module.main([*command, str(out)])
    capsys.readouterr()
    assert module.main([*command, str(out)]) == 0
    assert f"going on after step {(at_step - 1) % 4 or 4}" in capsys.readouterr().err
    assert module.main([*command, str(whole)]) == 0
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (out / "train_state.pt").exists()


def surprise_command(tmp_path: Path) -> list[str]:
    versions = write_versions(tmp_path / "versions.jsonl", num_documents=3)
    heads = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2}
    base = write_base(tmp_path / "base", **heads, num_hidden_layers=1)
    options = ("--base", base, "--versions", versions, "--batch-tokens", 512, "--token-steps", 2, "--mean-steps", 2)
    return [*map(str, (*options, "--log-every", 1, "--out", tmp_path / "out"))]


def interrupted_surprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_step: int) -> list[str]:
    command, take_step, taken = surprise_command(tmp_path), train_surprise.take_step, []

    def step_and_interrupt(*args: Any) -> None:
        taken.append(args)
        if len(taken) == at_step:
            os.kill(os.getpid(), signal.SIGINT)
        take_step(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train_surprise, "take_step", step_and_interrupt)
        assert train_surprise.main(command) == 130
    assert len(taken) == at_step
    return command


@pytest.mark.parametrize("at_step", [2, 4])
def test_ctrl_c_in_the_last_step_of_a_stage_ends_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at_step: int
) -> None:
    command = interrupted_surprise(tmp_path, monkeypatch, at_step)
    assert "holds the state after step 2, the same command goes on" in capsys.readouterr().err
    assert train_surprise.main(command) == 0
    whole = tmp_path / "whole"
    assert train_surprise.main([*command[:-1], str(whole)]) == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_another_base_under_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = interrupted_surprise(tmp_path, monkeypatch, 1)
    heads = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2}
    write_base(tmp_path / "base", seed=6, **heads, num_hidden_layers=1)
    assert train_surprise.main(command) == 1
    assert "sha256 of the base's weights: the interrupted run had " in capsys.readouterr().err


def test_a_state_that_cannot_be_written_by_time_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training_state, "WORK_PER_STATE", 0.0)
    monkeypatch.setattr(training_state.torch, "save", full_disk)
    assert train_base.main(base_command(tmp_path, tmp_path / "out", 3)) == 0
    assert "warning: no state saved: " in capsys.readouterr().err
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_base.main(base_command(tmp_path, Path("/proc/no/out"), 3)) == 1
    assert "/proc/no/out: cannot be made: " in capsys.readouterr().err
