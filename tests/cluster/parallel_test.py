"""Shards under GNU parallel, one of them killed, then the same command again: the merged rows are those of one run,
byte for byte. Needs the program as first argument, and the package parallel."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cli"))

import program  # noqa: E402
from program import MODEL, ProgramTest, environment, run  # noqa: E402

COMMAND = (
    "parallel -j 2 '{program}' docs.jsonl --model '{model}' --threads 1 --progress none --errors-ok "
    "--shard {{}} --num-shards 4 --output rewards.{{}}.jsonl --resume ::: 0 1 2 3"
)


class ParallelTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.assertIsNotNone(shutil.which("parallel"), "not installed: parallel")
        examples = (program.DATA / "examples/docs.jsonl").read_bytes().splitlines()
        self.write("docs.jsonl", b"\n".join(line for _ in range(8) for line in (*examples, b"", b"nope")) + b"\n")
        self.command = ["bash", "-c", COMMAND.format(program=program.PROGRAM, model=MODEL)]

    def start(self):
        return subprocess.Popen(self.command, cwd=self.folder, env=environment(HOME=str(self.folder)),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def kill_program_of(self, number):
        """kill -9 in the middle of its work, by the file that it writes."""
        partial = self.folder / f"rewards.{number}.jsonl.partial"
        deadline = time.monotonic() + 60
        while not (partial.exists() and partial.read_bytes().count(b"\n") >= 2):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                is_it = (process / "comm").read_text().strip() == "prm-score"
                if is_it and str(partial) in [os.readlink(file) for file in (process / "fd").iterdir()]:
                    os.kill(int(process.name), signal.SIGKILL)
                    return
            except OSError:
                continue
        self.fail(f"no process writes {partial}")

    def test_a_killed_shard_goes_on_and_the_merge_is_one_run(self):
        first = self.start()
        self.kill_program_of(1)
        first.communicate(timeout=300)
        self.assertEqual(first.returncode, 1)  # parallel's count of jobs that failed
        refused = run("merge", *sorted(self.folder.glob("rewards.?.jsonl")), "--output", "rewards.jsonl", model=None,
                      cwd=self.folder)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("expected all 4 shards, found 3: missing: 1", refused.stderr.decode())
        again = self.start()
        _, said = again.communicate(timeout=300)
        self.assertEqual(again.returncode, 0, said)
        self.assertIn(b"goes on after", said)
        self.assertEqual(said.count(b"already complete"), 3)
        merged = run("merge", *sorted(self.folder.glob("rewards.?.jsonl")), "--output", "rewards.jsonl", model=None,
                     cwd=self.folder)
        self.assertEqual(merged.returncode, 3, merged.stderr)
        single = run("docs.jsonl", "--threads", 1, cwd=self.folder)
        self.assertEqual((self.folder / "rewards.jsonl").read_bytes(), single.stdout)


if __name__ == "__main__":
    sys.argv[1:2] = [os.path.abspath(path) for path in sys.argv[1:2]]  # jobs run in other folders
    program.main()
