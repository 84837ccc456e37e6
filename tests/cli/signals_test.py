"""prm-score as one part of a pipeline: rows at once, signals, closed pipes. Needs the program as first argument."""

import os
import pathlib
import signal
import time
import unittest

import program
from program import ProgramTest, line, rows_of, start


def finish(process):
    """Exit code, rest of the output, messages."""
    process.stdin.close()
    output, messages = process.stdout.read(), process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    return process.wait(program.TIMEOUT_S), output, messages


class Pipelines(ProgramTest):
    def test_each_row_is_out_before_the_next_line_is_there(self):
        process = start()
        for _ in range(3):
            process.stdin.write(line())
            process.stdin.flush()
            self.assertIn(b'"reward":', process.stdout.readline())  # would wait for ever if rows were kept back
        code, output, _ = finish(process)
        self.assertEqual((code, output), (0, b""))

    def test_a_signal_ends_a_wait_for_input_with_the_rows_so_far_whole(self):
        for number, code in [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]:
            path = self.folder / "m.json"
            process = start("--metadata", path)
            process.stdin.write(line() * 2 + b'{"text":"unfin')
            process.stdin.flush()
            rows = process.stdout.readline() + process.stdout.readline()
            time.sleep(0.2)  # now it waits for the rest of the line
            process.send_signal(number)
            self.assertEqual(process.wait(program.TIMEOUT_S), code)  # standard input is still open
            _, output, _ = finish(process)
            self.assertEqual(len(rows_of(rows + output)), 2)
            self.assertIn(f'"stopped_by": "{signal.Signals(number).name}"', path.read_text())

    def test_the_summary_says_that_it_was_interrupted(self):
        for arguments in ((), ("prompts",), ("pairs",), ("show",)):
            process = start(*arguments)
            process.stdin.write(b'{"text":"a few words","chosen":"a few","rejected":"words"}\n')
            process.stdin.flush()
            rows = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(program.TIMEOUT_S), 130)
            _, output, said = finish(process)
            self.assertRegex(said, rb"(\A|\n)prm-score: interrupted by SIGINT: 1 row \(0 bad\), ", arguments)
            self.assertNotIn(b"--resume", said)
            self.assertTrue(rows + output)

    def test_it_says_where_the_rows_so_far_are(self):
        for number, more, words in [
            (signal.SIGTERM, (), "interrupted by SIGTERM: 1 row ("),
            (signal.SIGHUP, ("--progress", "none"), "interrupted by SIGHUP\n"),
        ]:
            out = self.folder / str(number)
            process = start("--output", out, *more)
            process.stdin.write(line())
            process.stdin.flush()
            partial = pathlib.Path(f"{out}.partial")
            deadline = time.monotonic() + 60
            while not (partial.exists() and partial.stat().st_size > 0) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(number)
            process.wait(program.TIMEOUT_S)
            said = finish(process)[2].decode()
            self.assertIn("prm-score: " + words, said)
            self.assertIn(f"the rows so far are in {partial}; the same command with --resume goes on", said)
        process = start("--output", self.folder / "out", "--log-level", "warn", "--progress", "none")
        process.stdin.write(line())
        code, _, said = finish(process)
        self.assertEqual((code, said), (0, b""))

    def test_one_signal_ends_a_run_whose_reader_has_stalled(self):
        documents = self.write("many.jsonl", line() * 3000)
        for arguments in ([str(documents)], ["prompts", str(documents)]):
            process = start(*arguments)
            rows = process.stdout.readline()
            time.sleep(3)  # the pipe is full: 3000 rows are 200 KB and more
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            self.assertEqual(process.wait(program.TIMEOUT_S), 143)
            self.assertLess(time.monotonic() - started, 30)
            code, output, said = finish(process)
            self.assertNotIn(b"cannot be written", said)
            whole = (rows + output).rpartition(b"\n")[0] + b"\n"
            self.assertGreater(len(rows_of(whole)), 100)

    def test_a_fifo_that_nobody_writes_to_does_not_hold_up_the_end(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        process = start(str(fifo))
        process.stderr.readline()  # the checkpoint is open
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(program.TIMEOUT_S), 143)
        finish(process)

        bad = self.write("bad.jsonl", line() + b"?\n")
        process = start(str(bad), str(fifo), "--max-errors", "1")
        self.assertEqual(process.wait(program.TIMEOUT_S), 1)
        _, output, _ = finish(process)
        self.assertEqual(len(rows_of(output)), 2)

    def test_a_fifo_is_read_like_a_file(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        process = start(str(fifo))
        time.sleep(0.2)
        fifo.write_bytes(line() * 3)
        self.assertEqual(process.wait(program.TIMEOUT_S), 0)
        _, output, _ = finish(process)
        self.assertEqual(len(rows_of(output)), 3)

    def test_a_signal_gives_up_a_long_document(self):
        process = start("--chunk-size", 1)
        process.stdin.write(line() + line("word " * 200_000))
        process.stdin.flush()
        row = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code = process.wait(program.TIMEOUT_S)
        self.assertEqual(code, 143)
        self.assertLess(time.monotonic() - began, 60)  # scored to its end it would take many minutes
        _, output, _ = finish(process)
        self.assertEqual(len(rows_of(row + output)), 1)

    def test_an_ignored_hangup_stays_ignored(self):
        process = start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.stdin.write(line())
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.stdin.write(line())
        code, output, _ = finish(process)
        self.assertEqual((code, len(rows_of(output))), (0, 1))

    def test_a_closed_pipe_ends_with_141_and_no_message(self):
        process = start("--log-level", "warn")
        process.stdin.write(line())
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(line())
        process.stdin.close()
        messages = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(program.TIMEOUT_S), messages), (141, b""))


if __name__ == "__main__":
    program.main()
