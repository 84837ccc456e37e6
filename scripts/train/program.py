"""Starts prm-score, and passes on what it said where it failed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]


class ProgramError(Exception):
    """The program could not be run, or did not finish; its own message is in this one."""


def find_program(path: Path | None) -> Path:
    """The given program, else the one in build/ of the repository, else the one on the PATH. Throws InputError."""
    if path is None:
        built = REPOSITORY / "build" / "prm-score"
        found = None if built.is_file() else shutil.which("prm-score")
        path = Path(found) if found else built
    if not path.is_file():
        raise InputError(f"{path}: no such program; build it with scripts/quickstart.sh, or name it with --prm-score")
    return path.absolute()


def program_version(program: Path) -> str:
    """What --version prints. Throws ProgramError."""
    with ProgramRun(program, ["--version"], subprocess.DEVNULL) as run:
        said = run.stdout.read().decode("utf-8", errors="replace")
        if run.wait() != 0:
            raise run.failure("--version: ")
    return said.strip()


class ProgramRun:
    """prm-score at work, for a `with` statement, at whose end it does not run any more.

    Its messages go to a file: it never has to wait until somebody reads them.
    """

    def __init__(self, program: Path, arguments: Sequence[str], stdin: IO[bytes] | int) -> None:
        """Throws ProgramError."""
        # Variables that set options of prm-score would change what it does unseen.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PRM_SCORE_")}
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        try:
            self.process = subprocess.Popen(
                [program, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=self._stderr, env=environment
            )
        except OSError as error:
            self._stderr.close()
            raise ProgramError(f"{program}: cannot be run: {error.strerror}") from error

    def __enter__(self) -> ProgramRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()  # reached alive only if something was thrown, Ctrl-C for example
        self.process.wait()
        self.stdout.close()
        self._stderr.close()

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout
        return self.process.stdout

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait()

    def messages(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", errors="replace")

    def failure(self, doing: str = "", progress: str = "") -> ProgramError:
        """What went wrong, for a program that has ended."""
        return ProgramError(f"prm-score: {doing}{_ending(self.wait())}{progress}{quoted(self.messages())}")


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def quoted(messages: str) -> str:
    """Indented lines below an error's own."""
    return "\n  " + "\n  ".join(messages.strip().splitlines()) if messages.strip() else ", without a message"
