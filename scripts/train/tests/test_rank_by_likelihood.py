"""rank_by_likelihood.py against transformers' own loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import rank_by_likelihood
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM
from versions import DOCUMENT, Version

JUDGE = Path(rank_by_likelihood.__file__).parents[2] / "data" / "tiny-judge"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    torch.manual_seed(2)
    config = Qwen2Config(
        vocab_size=4096,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
    )
    model = Qwen2ForCausalLM(config)
    torch.nn.init.normal_(model.lm_head.weight, std=1.0)
    folder = tmp_path / "base"
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((JUDGE / "tokenizer.json").read_bytes())
    return folder


def version(kind: str, text: str, suffix: str = "", strength: float | None = None) -> Version:
    ranges = ((0, len(text)),)
    return Version(
        id=f"d#{kind}{suffix}",
        document="d",
        source="s",
        kind=kind,
        scope=DOCUMENT,
        text=text,
        strength=strength,
        chosen=ranges if kind == "real" else (),
        rejected=() if kind == "real" else ranges,
    )


def test_likelihoods_and_shares(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["The state of the Union is strong.", "Union the strong is of state.", "Qx zzv 9#k jq wx.", "x" * 900]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    expected = []
    for text in texts:
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids[:64]])
        expected.append(-model(ids, labels=ids).loss.item())
        found = rank_by_likelihood.mean_log_likelihood(model, tokenizer, text)
        assert found == pytest.approx(expected[-1], rel=1e-5)
    path = tmp_path / "versions.jsonl"
    worse = [version("splice", text, f"-{i}", strength=0.25 * i) for i, text in enumerate(texts[1:], 1)]
    path.write_text("".join(v.line() for v in [*worse, version("real", texts[0])]))
    assert rank_by_likelihood.main(["--model", str(base), "--versions", str(path)]) == 0
    share = sum(x < expected[0] for x in expected[1:]) / 3
    out = capsys.readouterr().out
    assert "1 documents" in out and f"3 pairs  {share:.3f}" in out
    for strength, value in zip(("0.25", "0.5", "0.75"), expected[1:], strict=True):
        assert f"{strength:>5}     1 pairs  {float(value < expected[0]):.3f}" in out


def test_ties_count_half_and_a_kind_without_strength_counts_once(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "The state of the Union is strong."
    path = tmp_path / "versions.jsonl"
    same = [version("translation", text), version("splice", text, strength=0.5), version("real", text)]
    path.write_text("".join(v.line() for v in same))
    assert rank_by_likelihood.main(["--model", str(base), "--versions", str(path)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[:-1] for row in rows] == [
        ["splice", "1", "pairs", "0.500"],
        ["splice", "0.5", "1", "pairs", "0.500"],
        ["translation", "1", "pairs", "0.500"],
    ]


def test_no_tokenizer(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "versions.jsonl"
    path.write_text(version("real", "The state of the Union is strong.").line())
    (base / "tokenizer.json").unlink()
    assert rank_by_likelihood.main(["--model", str(base), "--versions", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("rank_by_likelihood.py: ")
    assert "base/tokenizer.json: expected a tokenizer, found no such f" in said


def test_no_versions(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "versions.jsonl"
    path.write_text("")
    assert rank_by_likelihood.main(["--model", str(base), "--versions", str(path)]) == 1
    assert "expected versions of documents" in capsys.readouterr().err
