"""Many JSON requests to one HTTP end point: some at a time, with retries, none lost because another one failed.

Tried again, after a pause that doubles each time and is drawn at random: connections that fail or break, time-outs, 429
and 5xx (`Retry-After` is honoured) and answers that are not what the protocol promises. Any other status fails at once.
"""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx2 as httpx

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10.0
"""At most this of the time-out may pass before there is a connection."""
EXCERPT_CHARS = 200
"""So much of an unexpected answer is quoted in an error."""
MIN_BREAKER_LIMIT = 4
WORKER_END_S = 5.0
"""How long an abandoned run waits for the requests on their way."""


class HttpError(Exception):
    """A request that failed for good. `status` is the last answer's, None when there was none.

    `is_outage`: the fault may be the end point's, which is why the request was tried again.
    """

    def __init__(self, message: str, *, status: int | None = None, is_outage: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.is_outage = is_outage


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


class _Stopped(Exception):
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


class Breaker:
    """Tells when it is no use to go on.

    That is when the first `limit` requests all failed for good, in whatever way, or when later on `limit` requests in
    a row failed in spite of their retries: the end point is down or wrong, and the thousands behind them need not find
    out, too. Requests that the server refuses (4xx) say something of themselves; once others succeeded, they stop
    nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._any_success = False
        self._failures_in_a_row = 0
        self._outages_in_a_row = 0

    def succeeded(self) -> None:
        self._any_success = True
        self._failures_in_a_row = self._outages_in_a_row = 0

    def failed(self, *, is_outage: bool) -> None:
        self._failures_in_a_row += 1
        self._outages_in_a_row = self._outages_in_a_row + 1 if is_outage else 0

    @property
    def is_open(self) -> bool:
        if self._outages_in_a_row >= self._limit:
            return True
        return not self._any_success and self._failures_in_a_row >= self._limit


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    index: int
    value: T | None = None
    error: BaseException | None = None


class JsonEndpoint:
    """POSTs JSON to `url`. `concurrency` requests are on their way at once."""

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        concurrency: int = 8,
        timeout_s: float = 60.0,
        policy: RetryPolicy | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency: expected 1 or more, found {concurrency}")
        if not timeout_s > 0:
            raise ValueError(f"timeout_s: expected more than 0, found {timeout_s}")
        self._url = url
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._policy = policy or RetryPolicy()
        # Its own generator: pauses must not disturb random draws that make data.
        self._rng = random.Random()

    def run(self, jobs: Sequence[Callable[[Poster], T]]) -> Iterator[tuple[int, T]]:
        """(index, result) of each job as it is done. A job may post several times.

        Jobs that failed for good raise their error after all results were yielded, the first one for all of them.
        """
        if not jobs:
            return
        outcomes: queue.Queue[_Outcome[T]] = queue.Queue()
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(jobs)):
            todo.put(index)
        stop = threading.Event()
        num_workers = min(self._concurrency, len(jobs))
        limits = httpx.Limits(max_connections=num_workers, max_keepalive_connections=num_workers)
        timeout = httpx.Timeout(self._timeout_s, connect=min(self._timeout_s, CONNECT_TIMEOUT_S))
        with httpx.Client(headers=self._headers, timeout=timeout, limits=limits) as client:
            poster = Poster(client, self._url, self._timeout_s, self._policy, self._rng, stop)

            def work() -> None:
                while not stop.is_set():
                    try:
                        index = todo.get_nowait()
                    except queue.Empty:
                        return
                    try:
                        outcomes.put(_Outcome(index, value=jobs[index](poster)))
                    except _Stopped:
                        return
                    except BaseException as error:
                        outcomes.put(_Outcome(index, error=error))

            # Daemons: a program that ends must not wait for an answer that takes minutes.
            workers = [threading.Thread(target=work, daemon=True) for _ in range(num_workers)]
            for worker in workers:
                worker.start()
            try:
                yield from self._collect(outcomes, len(jobs))
            finally:
                stop.set()
                deadline = time.monotonic() + WORKER_END_S
                for worker in workers:
                    worker.join(max(0.0, deadline - time.monotonic()))

    def _collect(self, outcomes: queue.Queue[_Outcome[T]], num_jobs: int) -> Iterator[tuple[int, T]]:
        breaker = Breaker(max(self._concurrency, MIN_BREAKER_LIMIT))
        errors: list[HttpError] = []
        num_done = 0
        while num_done + len(errors) < num_jobs and not breaker.is_open:
            outcome = outcomes.get()
            if outcome.error is None:
                num_done += 1
                breaker.succeeded()
                yield outcome.index, outcome.value
            elif isinstance(outcome.error, HttpError):
                errors.append(outcome.error)
                breaker.failed(is_outage=outcome.error.is_outage)
            else:
                raise outcome.error
        # After a stop, too: what came in while the breaker opened is done work.
        while not outcomes.empty():
            outcome = outcomes.get()
            if outcome.error is None:
                num_done += 1
                yield outcome.index, outcome.value
            elif isinstance(outcome.error, HttpError):
                errors.append(outcome.error)
        if errors:
            raise self._summary(errors, num_done, num_jobs)

    @staticmethod
    def _summary(errors: list[HttpError], num_done: int, num_jobs: int) -> HttpError:
        first = errors[0]
        if num_jobs == 1:
            return first
        num_left = num_jobs - num_done - len(errors)
        left = f", {num_left} not tried because of that" if num_left else ""
        message = f"{first} ({len(errors)} of {num_jobs} requests failed, {num_done} done{left})"
        return HttpError(message, status=first.status, is_outage=first.is_outage)


class Poster:
    """What a job posts with."""

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
                raise _Stopped
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
                raise _Stopped

    def _try(self, content: bytes, parse: Callable[[Any], T]) -> T | _Failure:
        try:
            response = self._client.post(self._url, content=content)
        except httpx.TimeoutException as error:
            seconds = min(self._timeout_s, CONNECT_TIMEOUT_S) if _before_connection(error) else self._timeout_s
            what = "no connection" if _before_connection(error) else "no answer"
            return _Failure(f"{what} within {seconds:g} s", is_retried=True)
        except httpx.TransportError as error:
            is_retried = not isinstance(error, httpx.UnsupportedProtocol)
            reason = str(error) or type(error).__name__
            return _Failure(f"no answer ({reason})", is_retried=is_retried)
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            is_retried = isinstance(error, httpx.DecodingError)
            return _Failure(f"an unusable answer ({error})", is_retried=is_retried)
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


def _before_connection(error: httpx.TimeoutException) -> bool:
    return isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
