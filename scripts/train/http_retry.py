"""Many JSON requests to one HTTP end point: some at a time, with retries, none lost because another one failed."""

from __future__ import annotations

import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx2 as httpx
from http_post import CONNECT_TIMEOUT_S, HttpError, Poster, RetryPolicy, Stopped

T = TypeVar("T")

MIN_BREAKER_LIMIT = 4
WORKER_END_S = 5.0
"""How long an abandoned run waits for the requests on their way."""


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
        self._breaker = self._new_breaker()

    def run(self, jobs: Sequence[Callable[[Poster], T]]) -> Iterator[tuple[int, T | None]]:
        """(index, result) of each job as it is done. A job may post several times.

        None stands for a job that the server refuses (`HttpError.is_refusal`): tried again, it would be refused again.
        Such jobs come last and are counted on stderr. Other jobs that failed for good raise their error after all
        results were yielded, the first one for all of them.
        """
        if not jobs:
            return
        outcomes: queue.Queue[_Outcome[T]] = queue.Queue()
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(jobs)):
            todo.put(index)
        stop = threading.Event()
        num_workers = min(self._concurrency, len(jobs))
        limits = httpx.Limits(max_connections=num_workers, max_keepalive_connections=0)
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
                    except Stopped:
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

    def _new_breaker(self) -> Breaker:
        return Breaker(max(self._concurrency, MIN_BREAKER_LIMIT))

    def _collect(self, outcomes: queue.Queue[_Outcome[T]], num_jobs: int) -> Iterator[tuple[int, T | None]]:
        # One for all runs: a batch of one refused job must not look like a server that refuses everything.
        if self._breaker.is_open:
            self._breaker = self._new_breaker()
        breaker = self._breaker
        errors: list[HttpError] = []
        refused: list[tuple[int, HttpError]] = []
        num_done = 0
        while num_done + len(errors) + len(refused) < num_jobs and not breaker.is_open:
            outcome = outcomes.get()
            if outcome.error is None:
                num_done += 1
                breaker.succeeded()
                yield outcome.index, outcome.value
            elif isinstance(outcome.error, HttpError):
                if outcome.error.is_refusal:
                    refused.append((outcome.index, outcome.error))
                else:
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
        if breaker.is_open:
            errors = [*(error for _, error in refused), *errors]
        elif refused:
            print(f"{refused[0][1]} ({len(refused)} of {num_jobs} requests refused and left out)", file=sys.stderr)
            for index, _ in refused:
                yield index, None
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
