"""Translation there and back: by Apertium as a subprocess, or by a server with the LibreTranslate protocol."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from http_post import HttpError, MalformedAnswer, Poster, RetryPolicy, require_http_url
from http_retry import JsonEndpoint

BATCH_CHARS = 60_000
"""Text that one Apertium process gets: some seconds of work, so that its start weighs little and results flow."""
PROBE = "Good."
"""What an Apertium that works translates."""
TRANSLATOR_SPECS = "apertium:spa, apertium:cat or libretranslate:URL#LANGUAGE"

_BLANKS = " \t\r\n\f\v"
_GAP = re.compile(rf"[{_BLANKS}\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]+")


class TranslationError(Exception):
    """A translator that does not work; what was finished before has been yielded."""


class Translator(Protocol):
    name: str
    """For provenance: "apertium:eng-spa-eng", "http:en-es-en"."""

    def there_and_back(self, texts: Sequence[str]) -> Iterator[tuple[int, str | None]]:
        """(index, English by way of the other language) of each text as it is done, in any order.

        None stands for a text that the translator, though it works, cannot translate.
        """
        ...


@dataclass
class _Paragraphs:
    """A text as paragraphs and what stands around them: `gaps[i]`, `paragraphs[i]`, `gaps[i + 1]` and so on.

    Gaps are blank lines, blanks at either end, and characters that cannot be passed on: control characters (NUL ends a
    text in Apertium's stream) and lone surrogates.
    """

    paragraphs: list[str]
    gaps: list[str]

    @classmethod
    def of(cls, text: str) -> _Paragraphs:
        paragraphs, gaps, begin = [], [""], 0
        for match in _GAP.finditer(text):
            gap = match.group()
            is_border = gap.count("\n") > 1 or gap.strip(_BLANKS) or match.end() == len(text)
            if match.start() == 0:
                gaps[0], begin = gap, match.end()
            elif is_border:
                paragraphs.append(text[begin : match.start()])
                gaps.append(gap)
                begin = match.end()
        if begin < len(text):
            paragraphs.append(text[begin:])
            gaps.append("")
        return cls(paragraphs, gaps)

    def join(self, translated: Sequence[str]) -> str:
        pairs = zip(translated, self.gaps[1:], strict=True)
        return self.gaps[0] + "".join(paragraph + gap for paragraph, gap in pairs)


# --- Apertium's stream format: see `apertium-destxt`, whose part is played here so that texts can be kept apart by NUL.

_RESERVED = r"[\\\[\]{}^$/@<>]"
_TO_ENCODE = re.compile(rf"(?P<blank>[{_BLANKS}]+)|(?P<lost>~+)|(?P<reserved>{_RESERVED})")
_TO_DECODE = re.compile(r"\\(?P<escaped>.)|\[(?P<bracketed>(?:[^\[\]\\]|\\.)*)\]|(?P<spaces> +)", re.DOTALL)
_END_MARK = re.compile(r"\.?\[=(\d+)\]")
"""Nothing in a text looks like it: a bracket of the text's own has a backslash in front."""


def encode_stream(paragraph: str, number: int) -> str:
    """`paragraph` for the pipeline: reserved characters escaped, blanks that are to stay as they are in brackets.

    As `apertium-destxt` does, the end is marked by one more full stop with brackets, whatever stands before: without
    it some stages swallow the NUL that follows. In the brackets is the record's number.
    """

    def encode(match: re.Match[str]) -> str:
        if match["reserved"]:
            return "\\" + match.group()
        # The pipeline eats "~", and any blank but one space.
        return " " if match.group() == " " else f"[{match.group()}]"

    return _TO_ENCODE.sub(encode, paragraph) + f".[={number}]"


def decode_stream(record: str) -> tuple[str, int | None]:
    """What `encode_stream` wrapped, after its way through the pipeline, and its number if that came back once.

    A word that the pipeline dropped leaves two blanks behind, or one at an end. They would give a translation away at
    first sight and become one, or none.
    """
    numbers = _END_MARK.findall(record)
    record = _END_MARK.sub("", record)
    text = pending = ""

    def add(piece: str) -> None:
        nonlocal text, pending
        if piece:
            text += (pending if text else "") + piece
            pending = ""

    end = 0
    for match in _TO_DECODE.finditer(record):
        add(record[end : match.start()])
        end = match.end()
        bracketed = match["bracketed"]
        if match["escaped"] is not None:
            add(match["escaped"])
        elif bracketed and bracketed.strip(_BLANKS):
            add(bracketed)
        elif pending in ("", " "):
            # Of several, the first that is more than a space: two line breaks must not become a new paragraph.
            pending = bracketed or (match["spaces"] and " ") or pending
    add(record[end:])
    return text, int(numbers[0]) if len(numbers) == 1 else None


@dataclass(frozen=True)
class _Failed:
    """How a process ended before it had answered all."""

    message: str


class ApertiumTranslator:
    """English to `pivot` and back by the programs of the Debian packages `apertium` and `apertium-eng-{pivot}`.

    One process per direction and batch of texts; the texts are kept apart by NUL, at which every stage of the pipeline
    starts afresh: a text's translation does not depend on its neighbours. Blank lines stay as they are.

    Some paragraphs crash a stage, by faults of the language data: on "It is not behaving" a rule of eng-cat (1.0.1)
    reads past the end of its words. The process ends with exit code 0 all the same, without the answers from there on.
    Such a paragraph is tried once more alone; if that fails, its text cannot be translated.
    """

    PIVOTS = ("spa", "cat")

    def __init__(self, pivot: str = "spa", *, timeout_s: float = 300.0, program: str = "apertium") -> None:
        """`timeout_s`: of one process, which translates up to about `BATCH_CHARS` characters (or one longer text)."""
        if pivot not in self.PIVOTS:
            raise ValueError(f"pivot: expected {' or '.join(self.PIVOTS)}, found {pivot!r}")
        if not timeout_s > 0:
            raise ValueError(f"timeout_s: expected more than 0, found {timeout_s}")
        self.name = f"apertium:eng-{pivot}-eng"
        self._modes = (f"eng-{pivot}", f"{pivot}-eng")
        self._timeout_s = timeout_s
        self._check_installed(program, f"Debian packages apertium and apertium-eng-{pivot}")

    def _check_installed(self, program: str, packages: str) -> None:
        found = shutil.which(program)
        if found is None:
            raise TranslationError(f"{program}: program not found on PATH; it comes with the {packages}")
        self._program = found
        output, _, failed = self._communicate([found, "-l"], b"")
        if failed is not None:
            raise TranslationError(failed.message)
        missing = [mode for mode in self._modes if mode not in output.decode("utf-8", "replace").split()]
        if missing:
            raise TranslationError(f"{program}: no mode {' and '.join(missing)}; they come with the {packages}")

    def there_and_back(self, texts: Sequence[str]) -> Iterator[tuple[int, str | None]]:
        split = [_Paragraphs.of(text) for text in texts]
        for batch in _batches(texts):
            yield from self._batch(batch, split)

    def _batch(self, batch: Sequence[int], split: Sequence[_Paragraphs]) -> Iterator[tuple[int, str | None]]:
        records: list[str | None] = [paragraph for index in batch for paragraph in split[index].paragraphs]
        failed: _Failed | None = None
        for mode in self._modes:
            # After a failure there, what was finished by then still makes its way back.
            todo = [(position, record) for position, record in enumerate(records) if record is not None]
            answers, failed_now = self._run(mode, [record for _, record in todo])
            for (position, _), answer in zip(todo, answers, strict=False):
                records[position] = answer
            if len(answers) < len(todo):
                records = records[: todo[len(answers)][0]]
            failed = failed or failed_now
        begin = 0
        for index in batch:
            end = begin + len(split[index].paragraphs)
            if end > len(records):
                break
            translated = [record for record in records[begin:end] if record is not None]
            yield index, split[index].join(translated) if len(translated) == end - begin else None
            begin = end
        if failed is not None:
            raise TranslationError(failed.message)

    def _run(self, mode: str, paragraphs: Sequence[str]) -> tuple[list[str | None], _Failed | None]:
        """The translated paragraphs, None for one that cannot be; fewer than there are only if something went wrong.

        Where the answers of a process break off, the next one gets the paragraph there alone, and the one after that
        what follows. Sizes grow and shrink with what was answered, so that bad paragraphs, however many, cost a few
        times the work of one pass, and some three processes each, with a few more to get back to full size.
        """
        translated: list[str | None] = []
        size, alone = len(paragraphs), False
        while len(translated) < len(paragraphs):
            begin = len(translated)
            part = paragraphs[begin : begin + (1 if alone else size)]
            answers, said, failed = self._answers(mode, part)
            translated += answers
            if failed is not None:
                return translated, failed
            is_whole = len(answers) == len(part)
            if not is_whole and len(part) == 1:
                # The paragraph's fault, or does nothing work at all?
                answers, said, failed = self._answers(mode, [PROBE])
                if failed is None and not answers:
                    shown = _shown(self._command(mode))
                    failed = _Failed(
                        f"{shown}: exit code 0, but expected a translation of {PROBE!r}, found none; {said}"
                    )
                if failed is not None:
                    return translated, failed
                translated.append(None)
            elif is_whole and not alone:
                size *= 4
            elif not is_whole:
                size = 2 * len(answers) + 1
            alone = not is_whole and len(part) > 1
        return translated, None

    def _command(self, mode: str) -> list[str]:
        # -f none: the stream format itself; -z: every stage answers at NUL; -u: no mark on unknown words.
        return [self._program, "-f", "none", "-z", "-u", mode]

    def _answers(self, mode: str, paragraphs: Sequence[str]) -> tuple[list[str], str, _Failed | None]:
        """What one process translates: paragraphs from the first on, as long as they come back apart and in order."""
        records = [encode_stream(paragraph, number) for number, paragraph in enumerate(paragraphs)]
        data = "".join(record + "\0" for record in records).encode()
        output, said, failed = self._communicate(self._command(mode), data)
        # What stands behind the last NUL is not finished. More NULs may follow, of the stages that end.
        translated: list[str] = []
        for answer in output.decode("utf-8", "replace").split("\0")[:-1][: len(records)]:
            text, number = decode_stream(answer)
            if number != len(translated):
                break
            translated.append(text)
        return translated, said, failed

    def _communicate(self, command: Sequence[str], data: bytes) -> tuple[bytes, str, _Failed | None]:
        """Its output, what it said about errors, and how it failed."""
        # The program chooses a UTF-8 locale itself, by LC_CTYPE, which LC_ALL would overrule.
        environment = {name: value for name, value in os.environ.items() if name != "LC_ALL"}
        try:
            # A session of its own: the program is a script, and its whole pipeline must end at a time-out.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise TranslationError(f"{_shown(command)}: could not be started: {error.strerror}") from error
        how = ""
        try:
            output, errors = process.communicate(data, timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            how = f"no end within {self._timeout_s:g} s"
            _kill_session(process)
            output, errors = process.communicate()
        except BaseException:  # an interrupt
            _kill_session(process)
            raise
        # `apertium` says some errors, that of a missing locale for one, on its standard output.
        message = errors.strip() or (b"" if b"\0" in output else output.strip())
        last_line = message.decode("utf-8", "replace").splitlines()[-1:]
        said = f"last line of its errors: {last_line[0]}" if last_line else "it said nothing"
        if not how and process.returncode == 0:
            return output, said, None
        how = how or f"exit code {process.returncode}"
        return output, said, _Failed(f"{_shown(command)}: {how}; {said}")


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that was started with a session of its own, and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _shown(command: Sequence[str]) -> str:
    return " ".join([os.path.basename(command[0]), *command[1:]])


def _batches(texts: Sequence[str]) -> Iterator[list[int]]:
    """The indexes of `texts` in runs of about `BATCH_CHARS` characters."""
    batch: list[int] = []
    chars = 0
    for index, text in enumerate(texts):
        if batch and chars + len(text) > BATCH_CHARS:
            yield batch
            batch, chars = [], 0
        batch.append(index)
        chars += len(text)
    if batch:
        yield batch


class LibreTranslateTranslator:
    """English to `pivot` and back by a server with the LibreTranslate protocol.

    A text goes as one request unless it is longer than `max_chars` or the server finds it too large (413): then it is
    divided at paragraphs, a paragraph at ends of sentences, and a sentence at words.
    """

    def __init__(
        self,
        base_url: str,
        pivot: str = "es",
        api_key: str | None = None,
        *,
        concurrency: int = 4,
        timeout_s: float = 60.0,
        max_retries: int = 5,
        max_chars: int | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        """`policy`, if given, takes the place of `max_retries`."""
        base_url = require_http_url(base_url, "base_url")
        if not pivot:
            raise ValueError("pivot: expected a language code of the server such as es, found an empty one")
        if max_chars is not None and max_chars < 1:
            raise ValueError(f"max_chars: expected 1 or more, found {max_chars}")
        self.name = f"http:en-{pivot}-en"
        self._pivot = pivot
        self._api_key = api_key
        self._max_chars = max_chars
        self._endpoint = JsonEndpoint(
            f"{base_url}/translate",
            concurrency=concurrency,
            timeout_s=timeout_s,
            policy=policy or RetryPolicy(max_retries=max_retries),
        )

    def there_and_back(self, texts: Sequence[str]) -> Iterator[tuple[int, str | None]]:
        try:
            yield from self._endpoint.run([lambda poster, t=text: self._round_trip(poster, t) for text in texts])
        except HttpError as error:
            raise TranslationError(str(error)) from error

    def _round_trip(self, poster: Poster, text: str) -> str:
        return self._translate(poster, self._translate(poster, text, "en", self._pivot), self._pivot, "en")

    def _translate(self, poster: Poster, text: str, source: str, target: str) -> str:
        # Servers drop blanks at either end.
        body = text.strip()
        if not body:
            return text
        begin = text.index(body)
        head, tail = text[:begin], text[begin + len(body) :]
        return head + self._translate_body(poster, body, source, target) + tail

    def _translate_body(self, poster: Poster, body: str, source: str, target: str) -> str:
        if self._max_chars is not None and len(body) > self._max_chars:
            parts = divide(body, self._max_chars)
        else:
            try:
                return self._post(poster, body, source, target)
            except HttpError as error:
                # Halves, again and again: a server does not say how much it takes.
                parts = divide(body, -(-len(body) // 2)) if error.status == 413 else [body]
                if len(parts) == 1:
                    raise
        if len(parts) == 1:
            return self._post(poster, body, source, target)
        return "".join(self._translate(poster, part, source, target) for part in parts)

    def _post(self, poster: Poster, text: str, source: str, target: str) -> str:
        body = {"q": text, "source": source, "target": target, "format": "text"}
        if self._api_key:
            body["api_key"] = self._api_key
        return poster.post(body, _translated_text, f"a translation from {source} to {target}")


_DIVISIONS: tuple[Callable[[str], list[str]], ...] = (
    re.compile(r"(?<=\n\n)(?=[^\n])").split,
    re.compile(r"(?<=[.!?;])(?=\s)|(?<=\n)(?=[^\n])").split,
    re.compile(r"(?<=\s)(?=\S)").split,
)
"""Paragraphs, sentences and lines, words: nothing is left out, so that the parts make up the text."""


def divide(text: str, max_chars: int) -> list[str]:
    """`text` in parts of `max_chars` at most, divided where it hurts least; a word that is longer stays whole."""
    if len(text) <= max_chars:
        return [text]
    for division in _DIVISIONS:
        pieces = division(text)
        if len(pieces) > 1:
            break
    else:
        return [text]
    parts: list[str] = []
    current = ""
    for piece in pieces:
        if current and len(current) + len(piece) > max_chars:
            parts.append(current)
            current = ""
        current += piece
    parts.append(current)
    return [small for part in parts for small in divide(part, max_chars)]


def _translated_text(answer: Any) -> str:
    text = answer.get("translatedText") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise MalformedAnswer('an object with a string "translatedText"', answer)
    return text


def open_translator(
    spec: str,
    *,
    api_key: str | None = None,
    concurrency: int = 4,
    timeout_s: float = 60.0,
    max_retries: int = 5,
    max_chars: int | None = None,
) -> Translator:
    """The translator that a command line names: `TRANSLATOR_SPECS`. The key may be in LIBRETRANSLATE_API_KEY.

    `timeout_s`: of one answer of a server; an Apertium process, which gets a batch of texts, has its own.
    """
    kind, _, rest = spec.partition(":")
    if kind == "apertium":
        if rest not in ApertiumTranslator.PIVOTS:
            raise ValueError(f"translator: expected apertium:spa or apertium:cat, found {spec!r}")
        return ApertiumTranslator(rest)
    if kind == "libretranslate":
        url, _, pivot = rest.partition("#")
        if not url or not pivot:
            raise ValueError(f"translator: expected libretranslate:URL#LANGUAGE, found {spec!r}")
        require_http_url(url, f"translator {spec!r}: URL")
        return LibreTranslateTranslator(
            url,
            pivot,
            api_key or os.environ.get("LIBRETRANSLATE_API_KEY"),
            concurrency=concurrency,
            timeout_s=timeout_s,
            max_retries=max_retries,
            max_chars=max_chars,
        )
    raise ValueError(f"translator: expected {TRANSLATOR_SPECS}, found {spec!r}")
