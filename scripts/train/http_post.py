"""One JSON request to an HTTP end point, with retries and a deadline for each of its tries.

Tried again, after a pause that doubles each time and is drawn at random: connections that fail or break, time-outs, 429
and 5xx (`Retry-After` is honoured) and answers that are not what the protocol promises. Any other status fails at once.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx2 as httpx

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10.0
"""At most this of the time-out may pass before there is a connection."""
EXCERPT_CHARS = 200
"""So much of an unexpected answer is quoted in an error."""
REFUSALS = (400, 413, 414, 422)
"""Statuses that find fault with one request (a text too long, say), where 401 or 404 are about all of them."""


class HttpError(Exception):
    """A request that failed for good. `status` is the last answer's, None when there was none.

    `is_outage`: the fault may be the end point's, which is why the request was tried again.
    """

    def __init__(self, message: str, *, status: int | None = None, is_outage: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.is_outage = is_outage

    @property
    def is_refusal(self) -> bool:
        """The server does not want this request; others may go through."""
        return self.status in REFUSALS


class MalformedAnswer(Exception):
    """Raised by a parser: what it expected in the answer, and what it found."""

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(f"expected {expected}, found {excerpt(found)}")


@dataclass(frozen=True)
class RetryPolicy:
    """`max_retries` tries after the first, the n-th after a random time of up to `base_s` * 2^n, `max_s` at most."""

    max_retries: int = 5
    base_s: float = 0.5
    max_s: float = 30.0
    max_retry_after_s: float = 300.0

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ValueError(f"max_retries: expected 0 or more, found {self.max_retries}")

    def pause_s(self, failures: int, retry_after_s: float | None, rng: random.Random) -> float:
        """The pause after the `failures`-th failure (from 1 on)."""
        ceiling = min(self.max_s, self.base_s * 2 ** min(failures - 1, 32))
        jittered = ceiling * rng.uniform(0.5, 1.0)
        # Jitter on top of the server's wish: all clients that were told the same second must not come back together.
        return jittered if retry_after_s is None else retry_after_s + jittered * 0.5


@dataclass
class _Failure:
    """One try that failed."""

    found: str
    is_retried: bool
    status: int | None = None
    retry_after_s: float | None = None


class Stopped(Exception):
    """The run ended while a request was waiting for its next try."""


def excerpt(value: object) -> str:
    """`value` on one line, cut to a readable length."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, default=repr)
    text = " ".join(text.split())
    return repr(text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "...")


def require_http_url(url: str, place: str) -> str:
    """`url` without a slash at the end; a usage error unless it is http(s)://HOST.."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{place}: expected http://HOST[:PORT][/PATH] or https://.., found {url!r}")
    return url.rstrip("/")


def shown_url(url: str) -> str:
    """`url` without user name, password and query, which may be secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a `Retry-After` header (a number or a date); None without a usable one."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


class _Deadline:
    """Cuts a try's connection when its time is over, for a `with` statement.

    The client's time-outs are for each read alone: a server that drips, be it in the headers, would hold a worker
    without end.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """The client's `trace`: it says when there is a connection."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_over:
                self._cut()

    def _cut(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The plain one: that of a TLS socket takes its state away from the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Poster:
    """What a job posts with. `client` must not keep connections alive: see `_Deadline`."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        timeout_s: float,
        policy: RetryPolicy,
        rng: random.Random,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._url = url
        self._timeout_s = timeout_s
        self._policy = policy
        self._rng = rng
        self._stop = stop

    def post(self, body: dict[str, Any], parse: Callable[[Any], T], expected: str) -> T:
        """The answer to `body` as `parse` reads it (it raises `MalformedAnswer`); `HttpError` when all tries failed.

        `expected` is said in errors: "a completion", "a translation".
        """
        # ASCII: a lone surrogate in the text has an escape in JSON, but no UTF-8.
        content = json.dumps(body, ensure_ascii=True).encode("ascii")
        tries = 0
        while True:
            if self._stop.is_set():
                raise Stopped
            tries += 1
            answer = self._try(content, parse)
            if not isinstance(answer, _Failure):
                return answer
            pause_s = self._policy.pause_s(tries, answer.retry_after_s, self._rng)
            tries_left = self._policy.max_retries + 1 - tries if answer.is_retried else 0
            if answer.retry_after_s is not None and answer.retry_after_s > self._policy.max_retry_after_s:
                limit = f", more than the {self._policy.max_retry_after_s:g} s that are waited at most"
                answer = replace(answer, found=answer.found + limit)
                tries_left = 0
            if tries_left == 0:
                times = "1 try" if tries == 1 else f"{tries} tries"
                raise HttpError(
                    f"{shown_url(self._url)}: expected {expected}, found {answer.found} after {times}",
                    status=answer.status,
                    is_outage=answer.is_retried,
                )
            if self._stop.wait(pause_s):
                raise Stopped

    def _try(self, content: bytes, parse: Callable[[Any], T]) -> T | _Failure:
        no_answer = _Failure(f"no answer within {self._timeout_s:g} s", is_retried=True)
        try:
            with _Deadline(self._timeout_s) as deadline:
                response = self._client.post(self._url, content=content, extensions={"trace": deadline.watch})
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            seconds = min(self._timeout_s, CONNECT_TIMEOUT_S)
            return _Failure(f"no connection within {seconds:g} s", is_retried=True)
        except httpx.TimeoutException:
            return no_answer
        except httpx.TransportError as error:
            if deadline.is_over:
                return no_answer
            is_retried = not isinstance(error, httpx.UnsupportedProtocol)
            reason = str(error) or type(error).__name__
            return _Failure(f"no answer ({reason})", is_retried=is_retried)
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            is_retried = isinstance(error, httpx.DecodingError)
            return _Failure(f"an unusable answer ({error})", is_retried=is_retried)
        if deadline.is_over:  # an answer without a length seems whole where it was cut
            return no_answer
        return self._read(response, parse)

    def _read(self, response: httpx.Response, parse: Callable[[Any], T]) -> T | _Failure:
        status = response.status_code
        if status != 200:
            found = f"status {status} {response.reason_phrase}".rstrip()
            if response.is_redirect:
                found += f" to {shown_url(response.headers.get('location', ''))}"
            elif response.text.strip():
                found += f": {excerpt(response.text)}"
            retry_after_s = None
            is_retried = status == 429 or status >= 500
            if is_retried:
                retry_after_s = parse_retry_after(response.headers.get("retry-after"))
            if retry_after_s is not None:
                found += f", Retry-After {retry_after_s:g} s"
            return _Failure(found, is_retried=is_retried, status=status, retry_after_s=retry_after_s)
        try:
            value = response.json()
        except ValueError:
            found = f"status 200 with an answer that is not JSON: {excerpt(response.text)}"
            return _Failure(found, is_retried=True, status=status)
        try:
            return parse(value)
        except MalformedAnswer as error:
            return _Failure(f"status 200 with a malformed answer: {error}", is_retried=True, status=status)
