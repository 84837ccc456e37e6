"""kill -9 at 200 moments: by the clock, and by strace just before a chosen system call of the output (write, fsync,
rename, ..). After each kill the rows that were whole are still there; in the end the file is that of a run that nobody
disturbed, byte for byte."""

import contextlib
import random
import shutil
import subprocess
import threading
import time

import program
from output_test import documents
from program import MODEL, environment, run

NUM_KILLS = 200
SEED = 20261127
CALLS = {"write": 40, "fsync": 7, "rename": 3, "renameat2": 1, "ftruncate": 2, "flock": 1}
"""System calls, and how often an undisturbed run makes them, about."""
STRACE = shutil.which("strace")


class Feeder(threading.Thread):
    """Gives the lines to a process with pauses long enough for its rows to be brought to the disk in between."""

    def __init__(self, stdin, lines, pause):
        super().__init__(daemon=True)
        self._stdin, self._lines, self._pause = stdin, lines, pause

    def run(self):
        try:
            for begin in range(0, len(self._lines), 12):
                self._stdin.write(b"".join(self._lines[begin : begin + 12]))
                self._stdin.flush()
                time.sleep(self._pause)
        except BrokenPipeError:
            pass
        finally:
            with contextlib.suppress(BrokenPipeError):
                self._stdin.close()


class KillsTest(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.docs = self.folder / "docs.jsonl"
        self.docs.write_bytes(documents(36))
        self.out = self.folder / "rewards.jsonl"
        self.partial = self.folder / "rewards.jsonl.partial"
        self.expected = run(self.docs).stdout
        self.random = random.Random(SEED)
        self.kills = {"clock": 0, "paused input": 0} | {call: 0 for call in CALLS}

    def command(self, *files, how="--resume"):
        return [program.PROGRAM, "--model", str(MODEL), "--output", str(self.out), how, *files]

    def whole_rows(self):
        """As many as a crash left; all of them are the undisturbed run's."""
        for file in (self.out, self.partial):
            if file.exists():
                rows = file.read_bytes()
                whole = rows[: rows.rfind(b"\n") + 1]
                self.assertTrue(self.expected.startswith(whole), whole[-200:])
                return len(whole)
        return 0

    def kill_by_clock(self):
        process = subprocess.Popen(self.command(self.docs), stderr=subprocess.PIPE, env=environment())
        time.sleep(self.random.uniform(0.1, 0.9))
        process.kill()
        _, said = process.communicate()
        return "clock", process.returncode, said

    def kill_while_input_pauses(self):
        process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        feeder = Feeder(process.stdin, self.docs.read_bytes().splitlines(keepends=True), pause=1.2)
        feeder.start()
        time.sleep(self.random.uniform(2, 4))
        process.kill()
        said = process.stderr.read()
        process.wait()
        feeder.join()
        process.stderr.close()
        return "paused input", process.returncode, said

    def run_killed_before(self, call, number, command):
        inject = f"inject={call}:signal=KILL:when={number}"
        strace = [STRACE, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
        return subprocess.run([*strace, *command], stderr=subprocess.PIPE, env=environment())

    def kill_before_call(self):
        call = self.random.choice(list(CALLS))
        number = self.random.randint(1, CALLS[call])
        done = self.run_killed_before(call, number, self.command(self.docs))
        return call, done.returncode, done.stderr

    def kill_once(self):
        if self.random.random() < 0.05:
            return self.kill_while_input_pauses()
        return self.kill_before_call() if STRACE and self.random.random() < 0.6 else self.kill_by_clock()

    def test_a_kill_inside_overwrite_leaves_what_can_be_resumed(self):
        self.assertIsNotNone(STRACE, "strace is needed")
        num_kills = 0
        for call, number in ((call, number) for call in ("rename", "unlink", "fsync", "flock") for number in (1, 2, 3)):
            for path in self.folder.glob("rewards*"):
                path.unlink()
            subprocess.run(self.command(self.docs), stderr=subprocess.PIPE, env=environment())
            killed = self.run_killed_before(call, number, self.command(self.docs, how="--overwrite"))
            num_kills += killed.returncode in (-9, 137)
            with self.subTest(call=call, number=number):
                done = subprocess.run(self.command(self.docs), stderr=subprocess.PIPE, env=environment())
                self.assertEqual(done.returncode, 3, done.stderr.decode())
                self.assertEqual(self.out.read_bytes(), self.expected)
        self.assertGreater(num_kills, 6)

    def test_no_kill_costs_a_row(self):
        self.assertIsNotNone(STRACE, "strace is needed")
        num_kills = 0
        while num_kills < NUM_KILLS:
            for _ in range(self.random.randint(1, 5)):
                before = self.whole_rows()
                how, returncode, said = self.kill_once()
                self.assertGreaterEqual(self.whole_rows(), before, how)
                was_killed = returncode in (-9, 137)
                self.assertTrue(was_killed or returncode == 3, (how, returncode, said))
                num_kills += was_killed
                self.kills[how] += was_killed
                if self.partial.exists() and self.random.random() < 0.3:
                    with self.partial.open("ab") as file:
                        file.write(self.random.choice((b'{"line":7,"id":1000', b"{", b"\0" * 100, b"\xff")))
            done = subprocess.run(self.command(self.docs), stderr=subprocess.PIPE, env=environment())
            self.assertEqual(done.returncode, 3, done.stderr.decode())
            self.assertEqual(self.out.read_bytes(), self.expected)
            left = sorted(path.name for path in self.folder.iterdir())
            self.assertEqual([name for name in left if "partial" in name and not name.endswith(".new")], [])
            for name in left:
                if name.startswith("rewards"):
                    (self.folder / name).unlink()
        print(f"\n{num_kills} kills: {self.kills}")
        self.assertTrue(all(self.kills.values()), self.kills)


if __name__ == "__main__":
    program.main()
