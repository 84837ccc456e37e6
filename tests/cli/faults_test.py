"""Faults that are real: full disks, read errors, files that change while they are read, memory that runs out. No run
hangs, every row that is there is whole and right, and --resume finishes what a fault cut off."""

import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import time
import unittest

import program
from output_test import documents
from program import MODEL, environment, line, rows_of, run

STRACE = shutil.which("strace")


def is_prefix(part, whole):
    return whole.startswith(part) and (not part or part.endswith(b"\n"))


@unittest.skipIf(os.geteuid() != 0, "mounting takes root")
class FullDisk(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", self.disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no tmpfs here: " + mounted.stderr.decode())
        self.addCleanup(subprocess.run, ["umount", self.disk])
        self.docs = self.write("docs.jsonl", documents(120))

    def test_output_on_a_disk_that_fills_up_is_resumed_when_there_is_room(self):
        out, partial = self.disk / "out", self.disk / "out.partial"
        full = run(self.docs, "--output", out)
        self.assert_exit(full, 1, "No space left on device")
        expected = run(self.docs).stdout
        self.assertTrue(is_prefix(partial.read_bytes(), expected), partial.read_bytes()[-200:])
        self.assertFalse(out.exists())
        subprocess.run(["mount", "-o", "remount,size=1m", self.disk], check=True)
        self.assert_exit(run(self.docs, "--output", out, "--resume"), 3)
        self.assertEqual(out.read_bytes(), expected)

    def test_no_room_for_the_first_byte(self):
        (self.disk / "filler").write_bytes(b"x" * (16 << 10))
        self.assert_exit(run(self.docs, "--output", self.disk / "out"), 1, "No space left on device")
        self.assertFalse((self.disk / "out").exists())


@unittest.skipIf(STRACE is None, "strace is not installed")
class FailingDisk(program.ProgramTest):
    """The kernel's answer to a call on F.partial is replaced."""

    def setUp(self):
        super().setUp()
        self.out = self.folder / "rewards.jsonl"
        self.partial = self.folder / "rewards.jsonl.partial"
        self.text = "Fellow citizens of the Senate and of the House of Representatives. " * 4
        self.lines = [json.dumps({"id": number, "text": self.text}).encode() + b"\n" for number in range(30)]

    def inject(self, fault):
        return (STRACE, "-f", "-qq", "-o", "/dev/null", "-P", self.partial, "-e", "inject=" + fault)

    def expect_resumed(self):
        expected = run(stdin=b"".join(self.lines)).stdout
        self.assertTrue(expected.startswith(self.partial.read_bytes()))
        self.assertEqual(run("--output", self.out, "--resume", stdin=b"".join(self.lines)).returncode, 0)
        self.assertEqual(self.out.read_bytes(), expected)

    def test_a_quota_that_is_reached(self):
        done = run("--output", self.out, stdin=b"".join(self.lines), through=self.inject("write:error=EDQUOT:when=8+"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.partial}: cannot be written: Disk quota exceeded", done.stderr.decode())
        self.assertEqual(self.partial.read_bytes().count(b"\n"), 7)
        self.expect_resumed()

    def test_after_an_fsync_that_failed_the_state_says_no_more(self):
        command = [*map(str, self.inject("fsync:error=EIO:when=1")), program.PROGRAM, "--model", str(MODEL),
                   "--output", str(self.out)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=program.environment())
        try:
            for line in self.lines:  # till it has noticed
                child.stdin.write(line)
                child.stdin.flush()
                time.sleep(0.3)
        except BrokenPipeError:
            pass
        _, said = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 1, said.decode())
        self.assertIn("Input/output error", said.decode())
        state = json.loads((self.folder / "rewards.jsonl.state").read_text())
        self.assertEqual(state["progress"]["bytes"], 0)
        self.assertEqual(self.partial.read_bytes(), b"")  # what the kernel dropped is still in its cache
        self.expect_resumed()


class BrokenInput(program.ProgramTest):
    @unittest.skipIf(STRACE is None, "strace is not installed")
    def test_a_read_error_in_the_middle_of_a_file(self):
        docs = self.write("docs.jsonl", documents(60) + 3 * (b" " * 1_000_000 + b"\n") + line("the end"))
        expected = run(docs).stdout
        inject = ["-e", "trace=read", "-e", "inject=read:error=EIO:when=3+", "-P", str(docs)]
        command = [STRACE, "-f", "-qq", "-o", "/dev/null", *inject, program.PROGRAM, "--model", str(MODEL), str(docs)]
        done = subprocess.run(command, capture_output=True, env=environment(), timeout=program.TIMEOUT_S)
        self.assert_exit(done, 1, f"{docs}: cannot be read: Input/output error")
        self.assertTrue(is_prefix(done.stdout, expected))
        self.assertEqual(len(rows_of(done.stdout)), len(rows_of(expected)) - 1)  # what was read is answered

    def start(self, docs):
        """Running, its first row written to the file that comes with it."""
        rows = self.folder / "rows"
        with rows.open("wb") as file:
            process = subprocess.Popen([program.PROGRAM, "--model", str(MODEL), str(docs)], stdout=file,
                                       stderr=subprocess.PIPE, env=environment())
        deadline = time.monotonic() + program.TIMEOUT_S
        while b"\n" not in rows.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)
        return process, rows

    def test_a_file_that_grows_while_it_is_read(self):
        docs = self.write("docs.jsonl", line() * 300)
        process, rows = self.start(docs)
        with docs.open("ab") as file:
            for _ in range(100):
                file.write(line())
                file.flush()
                time.sleep(0.01)
        _, said = process.communicate(timeout=program.TIMEOUT_S)
        self.assertEqual(process.returncode, 0, said)
        self.assertIn(len(rows_of(rows.read_bytes())), range(300, 401))
        self.assertEqual(len({row["reward"] for row in rows_of(rows.read_bytes())}), 1)  # no line was read torn

    def test_a_file_that_shrinks_or_is_replaced_while_it_is_read(self):
        for change in ("truncate", "replace", "remove"):
            with self.subTest(change=change):
                docs = self.write("docs.jsonl", line("word " * 40) * 4000)
                process, rows = self.start(docs)
                if change == "truncate":
                    os.truncate(docs, 100)
                elif change == "replace":
                    self.write("other", line("other")).rename(docs)
                else:
                    docs.unlink()
                time.sleep(0.3)
                process.send_signal(signal.SIGTERM)  # enough seen: it would take a while
                _, said = process.communicate(timeout=program.TIMEOUT_S)
                self.assertIn(process.returncode, (0, 3, 143), said)
                for row in rows_of(rows.read_bytes())[:-1]:
                    self.assertNotIn("error", row)


class ChangedCheckpoint(program.ProgramTest):
    """Weights lie in the mapped file; whoever writes to it changes them under the run."""

    def setUp(self):
        super().setUp()
        self.model = self.folder / "judge"
        shutil.copytree(MODEL, self.model)
        self.weights = self.model / "model.safetensors"
        self.line = line("Fellow citizens of the Senate. " * 20)
        self.expected = run(stdin=self.line * 20).stdout

    def rows_until(self, change):
        """Of a run whose checkpoint changes after its third row: exit code, rows, messages."""
        command = [program.PROGRAM, "--model", str(self.model)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment()) as process:
            process.stdin.write(self.line * 3)
            process.stdin.flush()
            rows = b"".join(process.stdout.readline() for _ in range(3))
            time.sleep(0.02)
            change()
            try:
                rest, said = process.communicate(self.line * 17, timeout=program.TIMEOUT_S)
            except BrokenPipeError:
                rest, said = process.stdout.read(), process.stderr.read()
            return process.returncode, rows + rest, said.decode()

    def write_over(self):
        with self.weights.open("r+b") as file:
            file.seek(self.weights.stat().st_size // 2)
            file.write(b"\x3c" * 1_000_000)

    def test_weights_that_are_written_over_give_no_row(self):
        returncode, rows, said = self.rows_until(self.write_over)
        self.assertEqual(returncode, 1, said)
        self.assertIn(f"{self.weights}: expected the file as it was when it was opened", said)
        self.assertTrue(is_prefix(rows, self.expected))

    def test_weights_that_are_cut_short_end_the_run_with_whole_rows(self):
        returncode, rows, said = self.rows_until(lambda: os.truncate(self.weights, 4096))
        self.assertEqual(returncode, 1, said)
        self.assertIn(f"{self.weights}: expected the file as it was when it was opened, found it cut short", said)
        self.assertTrue(is_prefix(rows, self.expected))

    def test_a_checkpoint_that_is_replaced_is_another_ones_matter(self):
        def replace():
            other = self.folder / "other"
            other.write_bytes(b"another judge")
            other.rename(self.weights)

        returncode, rows, said = self.rows_until(replace)
        self.assertEqual(returncode, 0, said)
        self.assertEqual(rows, self.expected)


class LittleMemory(program.ProgramTest):
    def test_whatever_runs_out_the_run_ends_and_its_rows_are_right(self):
        """At 52 sizes of address space. Where hardly more than the libraries themselves fit, these may crash."""
        docs = self.write("docs.jsonl", documents(20))
        expected = run(docs).stdout
        ends = {}
        for megabytes in range(60, 1100, 20):
            limit = megabytes << 20
            done = run(docs, "--threads", "2", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
            self.assertTrue(is_prefix(done.stdout, expected), (megabytes, done.stdout[-200:]))
            crashes = (127, -signal.SIGSEGV, -signal.SIGABRT) if megabytes < 480 else ()
            self.assertIn(done.returncode, (1, 3, *crashes), (megabytes, done.stderr))
            ends[megabytes] = done.returncode
            if done.returncode == 1 and b"libgomp" not in done.stderr:
                self.assertEqual(done.stderr.count(b"\n") - done.stderr.count(b"threads\n"), 1, done.stderr)
        self.assertEqual(list(ends.values())[-1], 3, ends)
        self.assertGreater(list(ends.values()).count(1), 0, ends)


class NonFiniteWeights(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        shutil.copytree(MODEL, self.model)
        file = self.model / "model.safetensors"
        data = bytearray(file.read_bytes())
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        self.name = "model.layers.1.mlp.down_proj.weight"
        entry = header[self.name]
        begin = 8 + size + entry["data_offsets"][0]
        width = {"F32": 4, "BF16": 2, "F16": 2}[entry["dtype"]]
        nan = {"F32": b"\0\0\xc0\x7f", "BF16": b"\xc0\x7f", "F16": b"\0\x7e"}[entry["dtype"]]
        self.row, self.column = 3, 5
        place = begin + width * (self.row * entry["shape"][1] + self.column)
        data[place : place + width] = nan
        file.write_bytes(data)

    def test_rows_are_bad_and_say_so(self):
        done = run(stdin=line() * 2, model=self.model)
        self.assert_exit(done, 3)
        for row in rows_of(done.stdout):
            self.assertIn("log_odds: chunk 0: expected finite logits, got nan", row["error"])

    def test_verify_finds_the_tensor(self):
        done = run("info", "--verify", model=self.model)
        self.assert_exit(done, 1, f"{self.name}: expected finite numbers, found 1 that is not, the first at "
                                  f"[{self.row}, {self.column}]")
        self.assertEqual(run("info", "--verify").returncode, 0)
        done = run("info", "--verify", "--json", model=self.model)
        self.assertEqual(json.loads(done.stdout)["non_finite"],
                         [{"tensor": self.name, "file": "model.safetensors", "count": 1, "first": [3, 5]}])


if __name__ == "__main__":
    program.main()
