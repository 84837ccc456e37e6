"""What rows depend on, as prm-score says it: hashes of the checkpoint, options, versions, the machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_scoring.errors import InputError, UsageError
from ray_scoring.scorer_process import ending, quoted, start

_VERSIONS = ("prm_score", "torch")
_MOST_SHOWN = 100
_WRONG_USAGE = 2


@dataclass(frozen=True)
class Fingerprint:
    """`rows`: all that moves a byte of a row has to be the same. `machine`: may move the last digits of rewards."""

    rows: Mapping[str, Any]
    machine: Mapping[str, Any]


def take_fingerprint(program: str, options: Sequence[str]) -> Fingerprint:
    """Of prm-score with these options on this machine. Reads the whole checkpoint. Throws InputError, of wrong
    options UsageError."""
    with tempfile.TemporaryFile() as stderr:
        process = start(program, [*options, "--fingerprint"], stderr.fileno())
        said, _ = process.communicate()
        stderr.seek(0)
        messages = stderr.read().decode("utf-8", errors="replace")
    if process.returncode != 0:
        kind = UsageError if process.returncode == _WRONG_USAGE else InputError
        raise kind(f"{program}: {ending(process.returncode)}{quoted(messages)}")
    return _parsed(program, said)


def _parsed(program: str, said: bytes) -> Fingerprint:
    try:
        parsed = json.loads(said)
        recorded = dict(parsed["recorded"])
        versions = {name: recorded.pop(name) for name in _VERSIONS}
        return Fingerprint(dict(parsed["fingerprint"]) | versions, recorded)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{program}: --fingerprint: expected a fingerprint, found {said[:_MOST_SHOWN]!r}") from error


def differences(there: Mapping[str, Any], now: Mapping[str, Any], words: tuple[str, str]) -> str:
    """`chunk-size: 64 there, 32 now; ..`, by the given words for there and now; empty if there are none."""

    def value(values: Mapping[str, Any], name: str) -> str:
        text = json.dumps(values[name], ensure_ascii=False) if name in values else "nothing"
        return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 2] + ".."

    names = sorted(there.keys() | now.keys())
    return "; ".join(
        f"{name}: {value(there, name)} {words[0]}, {value(now, name)} {words[1]}"
        for name in names
        if there.get(name, _NOTHING) != now.get(name, _NOTHING)
    )


_NOTHING = object()
