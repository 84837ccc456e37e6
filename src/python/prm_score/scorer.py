"""Scorer, and what it gives back."""

import atexit
import importlib.metadata
import operator
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prm_score import _native
from prm_score._native import Error, JsonKind

_JUDGE_FILE = "share/prm_score/tiny-judge/config.json"

atexit.register(_native.end_all_runs)  # threads of the daemon kind outlive the interpreter


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open ranges of one chunk in its text."""

    tokens: tuple[int, int]
    chars: tuple[int, int]  # code points: text[slice(*span.chars)]
    bytes: tuple[int, int]  # of the text in UTF-8


@dataclass(frozen=True, slots=True)
class Result:
    """What a row of the program says: either `reward` is set, or `error` says why the document cannot be scored."""

    id: Any  # the document's own; None if it has none
    reward: float | None  # mean of the log-odds, in nats
    num_tokens: int
    num_chunks: int
    log_odds: list[float | None]  # one per chunk, float32 numbers; None = skipped or dropped
    spans: list[Span]  # one per chunk with spans=True, else empty
    warnings: list[str]
    error: str | None


def _shipped_judge() -> str:
    try:
        files = importlib.metadata.files("prm_score") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith(_JUDGE_FILE):
            return str(pathlib.Path(file.locate()).parent.resolve())
    raise Error("model: not given, and the judge that ships with prm_score is not among its installed files")


def _wrong_type(name: str, expected: str, value: object) -> TypeError:
    return TypeError(f"{name}: expected {expected}, got {type(value).__name__}")


def _integer(name: str, value: int) -> str:
    if isinstance(value, bool):
        raise _wrong_type(name, "int", value)
    try:
        return str(operator.index(value))
    except TypeError:
        raise _wrong_type(name, "int", value) from None


def _string(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, "str", value)
    if "\0" in value:
        raise ValueError(f"{name}: expected no null character in it, got {value!r}")
    return value


def _labels(name: str, value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return _string(name, value)
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        raise _wrong_type(name, "str or a sequence of two", value)
    if len(value) != 2 or any("," in label for label in value):
        raise ValueError(f"{name}: expected two different labels without commas, got {value!r}")
    return ",".join(_string(name, label) for label in value)


def _size(name: str, value: str | int) -> str:
    return _string(name, value) if isinstance(value, str) else _integer(name, value)


def _flag(name: str, value: bool) -> str:
    if not isinstance(value, bool):
        raise _wrong_type(name, "bool", value)
    return "true" if value else "false"


def _path(name: str, value: str | os.PathLike[str]) -> str:
    if not isinstance(value, str | os.PathLike):
        raise _wrong_type(name, "str or path", value)
    return _string(name, os.fspath(value))


_TEXT_OF: dict[str, Callable[[str, Any], str]] = {
    "model": _path,
    "threads": _integer,
    "chunk_size": _integer,
    "stride": _integer,
    "max_context": _integer,
    "max_batch_tokens": _integer,
    "weight_memory": _size,
    "labels": _labels,
    "no_prefix_sharing": _flag,
    "self_check": _flag,
    "spans": _flag,
}


def _option_texts(values: dict[str, Any]) -> dict[str, str]:
    """The given options as the command line has them; None = not given."""
    texts = {}
    for name, value in values.items():
        if value is not None:
            texts[name.replace("_", "-")] = _TEXT_OF.get(name, _string)(name, value)
    return texts


def _json_kind(value: object) -> JsonKind | None:
    """What JSON calls a value that is no string; None for what JSON does not have."""
    match value:
        case None:
            return JsonKind.NULL
        case bool():
            return JsonKind.BOOLEAN
        case int() | float():
            return JsonKind.NUMBER
        case Mapping():
            return JsonKind.OBJECT
        case list() | tuple():
            return JsonKind.ARRAY
    return None


class Scorer:
    """An open checkpoint. Any number of threads may use one Scorer; one of them scores at a time. Scorers of their own
    score beside each other.

    Options are those of the command line, with the same names, values and defaults; environment variables and files of
    the program are not looked at. A model is a checkpoint folder or a name in the local hub cache. Raises ValueError
    or TypeError for a wrong option, Error for a checkpoint that cannot be used.

    Scoring takes `threads` processors (None: all). Torch's own number of threads in this process stays what it is, but
    for the moments of opening a checkpoint. Using a GPU sets torch to full float32 precision in this process. Where
    other work keeps the processors busy, start Python with GOMP_SPINCOUNT=1000, as the program does for itself.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        max_batch_tokens: int | None = None,
        weight_memory: int | str | None = None,  # bytes, or as "2G"
        text_field: str = "text",
        id_field: str = "id",
        context_field: str | None = None,
        chunk_size: int = 64,
        stride: int | None = None,
        first_chunk: str = "score",
        last_chunk: str = "score",
        max_context: int | None = None,
        join: str = "text",
        labels: str | Sequence[str] = "A,B",  # or ("A", "B")
        special_tokens: str = "parse",
        no_prefix_sharing: bool = False,
        self_check: bool | None = None,
        spans: bool = False,
    ) -> None:
        options = {name: value for name, value in locals().items() if name != "self"}
        for name, field in (("text_field", text_field), ("id_field", id_field)):
            if not isinstance(field, str):
                raise _wrong_type(name, "str", field)
        texts = _option_texts(options)
        if text_field == context_field:
            raise ValueError(f"text_field and context_field: expected different fields, got {text_field!r} for both")
        if "model" not in texts:
            texts["model"] = _shipped_judge()
        self._text_field = text_field
        self._id_field = id_field
        self._context_field = context_field
        self._scorer = _native.SharedScorer(texts)

    @property
    def info(self) -> dict[str, Any]:
        """What the options came to: device, dtype, threads, max_context, torch_version and others."""
        return self._scorer.info

    def score(self, documents: Sequence[str | Mapping[str, Any]]) -> list[Result]:
        """One result per document, in their order. A document is its text, or a mapping with the fields of a line.

        One that cannot be scored, None or bytes among them, has a result with `error`, as a bad line has a row. Other
        threads of Python go on meanwhile; Ctrl-C ends it after the step of the model that is under way.
        """
        if isinstance(documents, str | bytes | Mapping) or not isinstance(documents, Iterable):
            raise _wrong_type("documents", "a sequence of documents", documents)
        documents = list(documents)
        texts = [self._text_and_context(document) for document in documents]
        rewards = self._scorer.score(texts)
        return [self._result(document, reward) for document, reward in zip(documents, rewards, strict=True)]

    def _text_and_context(self, document: str | Mapping[str, Any]) -> tuple[bytes, bytes] | str:
        """Both in UTF-8, or why there is no text."""
        fields: Mapping[str, Any]
        if isinstance(document, str):
            fields = {self._text_field: document}
        elif isinstance(document, Mapping):
            fields = document
        elif (kind := _json_kind(document)) is not None:
            return _native.why_no_document(kind)
        else:
            return f"document: expected str or a mapping, got {type(document).__name__}"
        utf8 = []
        for name in (self._text_field, self._context_field):
            text = self._utf8(fields, name) if name is not None else b""
            if isinstance(text, str):
                return text
            utf8.append(text)
        return utf8[0], utf8[1]

    @staticmethod
    def _utf8(fields: Mapping[str, Any], name: str) -> bytes | str:
        if name not in fields:
            return _native.why_no_text(name, None)
        value = fields[name]
        if isinstance(value, str):
            try:
                return value.encode()
            except UnicodeEncodeError as error:
                return f"{name}: expected text, got a lone surrogate at character {error.start}"
        kind = _json_kind(value)
        if kind is None:
            return f"{name}: expected str, got {type(value).__name__}"
        return _native.why_no_text(name, kind)

    def _result(self, document: str | Mapping[str, Any], reward: "_native.Reward") -> Result:
        number, num_tokens, num_chunks, log_odds, spans, warnings, error = reward
        name = document.get(self._id_field) if isinstance(document, Mapping) else None
        ranges = [Span(*span) for span in spans]
        return Result(name, number, num_tokens, num_chunks, log_odds, ranges, warnings, error)
