"""Runs the program under test; what the cli tests share. Standard library only."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.environ.get("PRM_SCORE_TEST_PROGRAM", "")
DATA = pathlib.Path(__file__).resolve().parents[2] / "data"
MODEL = DATA / "tiny-judge"
TIMEOUT_S = 300  # no test comes near it but on a machine that hangs


def environment(**variables):
    """Ours without any variable that the program looks at, plus `variables`."""
    ignored = ("PRM_SCORE_", "HF_", "XDG_CACHE_HOME", "SLURM_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ignored)}
    return {**clean, **variables}


def run(*arguments, stdin=b"", model=MODEL, env=None, through=(), **options):
    """The finished process; scores with the test checkpoint unless `model` is None. `through`: a command in front."""
    command = [*through, PROGRAM, *(a if isinstance(a, bytes) else str(a) for a in arguments)]
    if model is not None:
        command += ["--model", str(model)]
    if "stdin_file" in options:
        options["stdin"] = options.pop("stdin_file")
    else:
        options["input"] = stdin
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(command, env=environment(**(env or {})), timeout=TIMEOUT_S, **options)


def start(*arguments, **options):
    """A process that is still running, with pipes to it."""
    command = [PROGRAM, *map(str, arguments), "--model", str(MODEL)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(), **options)


def rows_of(output):
    """The rows as pairs in order, so that order and duplicates of keys show."""
    lines = output.split(b"\n")
    assert lines.pop() == b"", "the last row has no line feed"
    return [json.loads(line) for line in lines]


def line(text="a few words", **fields):
    return json.dumps({**fields, "text": text}).encode() + b"\n"


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own and checks that name what the program said."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def assert_exit(self, process, code, message=None):
        """The exit code; for an error also its one line on standard error, which must hold `message`."""
        stderr = process.stderr.decode(errors="replace")
        self.assertEqual(process.returncode, code, stderr)
        if message is not None:
            errors = [text for text in stderr.splitlines() if message in text]
            self.assertEqual(len(errors), 1, stderr)
            self.assertTrue(errors[0].startswith("prm-score: "), stderr)


def main():
    global PROGRAM
    if len(sys.argv) > 1:  # ctest gives the program as first argument
        PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
