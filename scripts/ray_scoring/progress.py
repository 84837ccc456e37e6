"""How far a run is, in lines on standard error."""

from __future__ import annotations

import sys
import threading
import time

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """For a `with` statement, while which it says a line now and then. `num_bytes`: of what is to be scored, about.
    `of_the_rest`: an earlier run has scored some already, which does not count."""

    def __init__(self, num_bytes: int, is_quiet: bool, of_the_rest: bool) -> None:
        self._num_bytes, self._is_quiet = num_bytes, is_quiet
        self._whole = " of the rest" if of_the_rest else ""
        self._num_blocks = self._num_done_bytes = self._num_rows = self._num_bad = 0
        self._start = time.monotonic()
        self._is_over = threading.Event()
        self._saying = threading.Thread(target=self._say_lines, daemon=True)

    def __enter__(self) -> Progress:
        self._saying.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._saying.join()

    def add(self, num_rows: int, num_bad: int, num_bytes: int) -> None:
        self._num_blocks += 1
        self._num_rows += num_rows
        self._num_bad += num_bad
        self._num_done_bytes += num_bytes

    def _say_lines(self) -> None:
        while not self._is_quiet and not self._is_over.wait(SECONDS_BETWEEN_LINES):
            print(f"ray_score: {self._line()}", file=sys.stderr, flush=True)

    def _line(self) -> str:
        elapsed = time.monotonic() - self._start
        rate = self._num_done_bytes / elapsed
        share = min(1.0, self._num_done_bytes / max(1, self._num_bytes))
        text = f"{share:4.0%}{self._whole}, {self._num_rows} rows ({self._num_bad} bad), {self._num_blocks} blocks"
        text += f", {self._num_rows / elapsed:.1f} rows/s, {rate / 1e6:.2f} MB/s"
        if share < 1 and rate > 0:
            text += f", {_clock((self._num_bytes - self._num_done_bytes) / rate)} left"
        return text


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
