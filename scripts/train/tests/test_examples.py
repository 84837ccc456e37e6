"""examples.py: what it refuses, and where; what it says of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from errors import InputError
from examples import ExampleFile
from prompt import open_tokenizer
from training_data import JUDGE, TAIL, write_examples, write_lines, write_texts_examples

GOOD: dict[str, Any] = {"document": "d", "num_tokens": 2, "label": 1, "kind": "real", "input_ids": [1, 2, *TAIL]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"provenance": None}, "provenance: expected an object, found null"),
        ({"version": 7}, "version: expected a string, found 7"),
        ({"input_ids": ["a", "b"]}, "input_ids: expected integers of 0 to 4294967295, found ["),
        ({"input_ids": [1, -1]}, "input_ids: expected integers"),
        ({"input_ids": [1, 2**32]}, "input_ids: expected integers"),
        ({"input_ids": [1.5]}, "input_ids: expected integers"),
        ({"input_ids": [1, None]}, "input_ids: expected integers"),
        ({"input_ids": [[1], [1, 2]]}, "input_ids: expected integers"),
        ({"label": 2}, "label: expected 0 or 1, found 2"),
    ],
)
def test_malformed_examples_name_their_line(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    path = write_lines(tmp_path / "bad.jsonl", [GOOD, GOOD | changed])
    with pytest.raises(InputError) as error:
        ExampleFile(path)
    assert f"bad.jsonl:2: {message}" in str(error.value)


def test_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"document": "\xff"}\n')
    with pytest.raises(InputError, match=r"bad\.jsonl:2: not JSON"):
        ExampleFile(path)


def test_texts_are_compared_if_a_document_has_both(tmp_path: Path) -> None:
    assert ExampleFile(write_texts_examples(tmp_path / "both.jsonl")).compares_texts
    assert not ExampleFile(write_examples(tmp_path / "none.jsonl")).compares_texts
    whole = {"version": "v", "provenance": {"scope": "document"}}
    apart = [GOOD | whole, GOOD | whole | {"document": "e", "kind": "splice", "label": 0}]
    assert not ExampleFile(write_lines(tmp_path / "apart.jsonl", apart)).compares_texts


def test_identity_is_of_the_content(tmp_path: Path) -> None:
    a, b = (ExampleFile(write_examples(tmp_path / name, seed=1)).identity for name in ("a.jsonl", "b.jsonl"))
    other = ExampleFile(write_examples(tmp_path / "a.jsonl", seed=2)).identity
    assert a == b
    assert a["documents"] == other["documents"] == 6
    assert a["sha256"] != other["sha256"]


def test_ids_of_another_tokenizer(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(JUDGE)
    ExampleFile(write_lines(tmp_path / "good.jsonl", [GOOD])).check_tokenizer(tokenizer, JUDGE)
    foreign = write_lines(tmp_path / "foreign.jsonl", [GOOD | {"input_ids": [1, 2, 2**31, 3]}])
    with pytest.raises(InputError, match=r"foreign\.jsonl: .* another tokenizer than that of .*tiny-judge"):
        ExampleFile(foreign).check_tokenizer(tokenizer, JUDGE)
