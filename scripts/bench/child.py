"""A program that answers lines with lines, with a time limit and its peak memory."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RivalError

READ_BYTES = 1 << 20
SECONDS_TO_END = 20


@dataclass(frozen=True)
class Ending:
    exit_code: int
    peak_bytes: int
    """Largest resident set (ru_maxrss); it counts mapped files that were read, weights for example."""


class Child:
    """Has to be ended by finish() or kill(). Its messages go to the file `log`."""

    def __init__(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], log: Path):
        self._name, self._log = name, log
        self._rest = b""
        self._ending: Ending | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("wb") as messages:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, env=environment
                )
        except OSError as error:
            raise RivalError(f"{name}: cannot be started: {error.strerror}") from error
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)

    def send(self, lines: Iterable[bytes]) -> None:
        """Returns at once: a pipe holds little, and who writes on must not keep from reading the answers."""
        data = b"".join(line + b"\n" for line in lines)
        threading.Thread(target=self._write, args=(data,), daemon=True).start()

    def _write(self, data: bytes) -> None:
        try:
            self._stdin.write(data)
            self._stdin.flush()
        except (OSError, ValueError):
            pass  # it has ended; receive() says so

    def receive(self, deadline: float) -> bytes:
        """The next line of its output. Throws RivalError at the deadline (of time.monotonic) or if it ends."""
        while b"\n" not in self._rest:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                self.kill()
                raise RivalError("stopped: it took longer than the time limit")
            data = os.read(self._stdout.fileno(), READ_BYTES)
            if not data:
                raise RivalError(self._why_it_ended())
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _why_it_ended(self) -> str:
        code = self._wait().exit_code
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        ending = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        return f"ended with {ending}" + (f": {said[-1][:300]}" if said else "")

    def finish(self) -> Ending:
        """Closes its input, waits for its end."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        deadline = time.monotonic() + SECONDS_TO_END
        while self._ending is None and time.monotonic() < deadline:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self._ended(status, usage.ru_maxrss)
            else:
                time.sleep(0.01)
        self.kill()
        return self._wait()

    def kill(self) -> None:
        if self._ending is None:
            self._process.kill()
            self._wait()
        self._selector.close()
        self._stdout.close()

    def _wait(self) -> Ending:
        if self._ending is None:
            _, status, usage = os.wait4(self._process.pid, 0)
            self._ended(status, usage.ru_maxrss)
        assert self._ending is not None
        return self._ending

    def _ended(self, status: int, max_kib: int) -> None:
        self._ending = Ending(os.waitstatus_to_exitcode(status), max_kib * 1024)
        self._process.returncode = self._ending.exit_code  # so that subprocess does not wait for it again
