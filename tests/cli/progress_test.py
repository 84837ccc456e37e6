"""prm-score: progress on a terminal and in a log. Needs the program as first argument."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import program
from program import DATA, MODEL, ProgramTest, environment, line, rows_of, run

ERASE = b"\r\x1b[K"
BAR = re.compile(rb"\r([ -~]+)\x1b\[K")
SUMMARY = re.compile(
    rb"prm-score: (\d+) rows \((\d+) bad\), (\d+) chunks, (\d+) tokens in [\d.]+ s; "
    rb"[\d.]+ chunks/s, \d+ tokens/s once loaded"
)


class Terminal:
    """A pseudo-terminal that a program writes to."""

    def __init__(self, columns=100):
        self.fd, self.program_fd = pty.openpty()
        self.output = b""
        self.resize(columns)

    def resize(self, columns):
        fcntl.ioctl(self.program_fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read_some(self, timeout=60):
        """Whether there was anything; an error is how a terminal ends that nobody writes to any more."""
        if not select.select([self.fd], [], [], timeout)[0]:
            raise TimeoutError(f"nothing more came after {self.output!r}")
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += piece
        return bool(piece)

    def read_until(self, is_there):
        while not is_there(self.output):
            if not self.read_some():
                raise EOFError(f"the end came after {self.output!r}")

    def read_all(self):
        while self.read_some():
            pass
        return self.output

    def close(self):
        os.close(self.fd)


def screen_of(output):
    """The lines that a terminal shows in the end: carriage return, line feed and "erase to the end" are obeyed."""
    lines, column = [""], 0
    for piece in re.findall(r"\r|\n|\x1b\[K|[^\r\n\x1b]+", output.decode()):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            lines.append("")
        elif piece == "\x1b[K":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column].ljust(column) + piece + lines[-1][column + len(piece) :]
            column += len(piece)
    return lines


class ProgressTest(ProgramTest):
    def setUp(self):
        super().setUp()
        examples = (DATA / "examples" / "docs.jsonl").read_bytes()
        self.num_rows = 2 * examples.count(b"\n")
        self.docs = self.write("docs.jsonl", 2 * examples)
        self.terminal = Terminal()
        self.addCleanup(self.terminal.close)

    def start(self, *arguments, term="xterm", **streams):
        """A program whose messages go to the terminal; its rows to nowhere, if nothing else is said."""
        streams = {"stdout": subprocess.DEVNULL, "stdin": subprocess.PIPE, **streams}
        command = [program.PROGRAM, *map(str, arguments), "--model", str(MODEL)]
        process = subprocess.Popen(
            command, stderr=self.terminal.program_fd, env=environment(TERM=term), start_new_session=True, **streams
        )
        os.close(self.terminal.program_fd)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.kill)
        return process

    def assert_clean(self, output):
        """What is left on the screen: whole messages, the last line empty."""
        screen = screen_of(output)
        self.assertEqual(screen.pop(), "", output)
        for shown in screen:
            self.assertRegex(shown, r"\Aprm-score: [^\[]*\Z")
        return screen

    def finish_slowly(self, process, docs, is_there):
        """The output of a run that is given `docs`; the input ends when the terminal shows what is waited for."""
        process.stdin.write(docs)
        process.stdin.flush()
        self.terminal.read_until(is_there)
        process.stdin.close()
        output = self.terminal.read_all()
        self.assertEqual(process.wait(60), 0, output)
        return output


class BarTest(ProgressTest):
    def test_a_bar_is_drawn_and_erased(self):
        process = self.start(self.docs, "--threads", 1)
        output = self.terminal.read_all()
        self.assertEqual(process.wait(60), 0)
        bars = BAR.findall(output)
        self.assertRegex(bars[-1], rb"\A\d+ % \[=*>? *\] \d:\d\d, (--:--|\d:\d\d) left, \d+ rows \(0 bad\)")
        self.assertTrue(any(0 < int(bar.split()[0]) < 100 for bar in bars), bars)
        screen = self.assert_clean(output)
        self.assertEqual(len(screen), 2, screen)
        counts = SUMMARY.fullmatch(screen[-1].encode())
        self.assertEqual((int(counts[1]), int(counts[2])), (self.num_rows, 0))

    def test_without_news_the_clock_goes_on(self):
        process = self.start()
        output = self.finish_slowly(process, line(), lambda shown: len({bar.split(b",")[0] for bar in BAR.findall(shown)}) > 2)
        times = [bar.split(b",")[0] for bar in BAR.findall(output)]
        self.assertEqual(times, sorted(times))
        self.assertGreater(len(set(times)), 2)
        self.assertNotIn(b"left", output)  # of a pipe nobody knows the end
        self.assert_clean(output)

    def test_the_bar_has_the_width_of_the_terminal_also_after_it_is_resized(self):
        self.terminal.resize(60)
        process = self.start()
        process.stdin.write(line())
        process.stdin.flush()
        self.terminal.read_until(lambda shown: len(BAR.findall(shown)) >= 2)
        self.assertLess(max(map(len, BAR.findall(self.terminal.output))), 60)
        self.assertGreater(max(map(len, BAR.findall(self.terminal.output))), 30)
        fcntl.ioctl(self.terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
        num_bytes = len(self.terminal.output)
        self.terminal.read_until(lambda shown: len(BAR.findall(shown[num_bytes:])) >= 4)
        bars = BAR.findall(self.terminal.output[num_bytes:])[2:]  # the first ones may be from before
        self.assertLess(max(map(len, bars)), 20)
        process.stdin.close()
        self.assert_clean(self.terminal.read_all())

    def test_a_signal_leaves_a_clean_terminal(self):
        out = self.folder / "out.jsonl"
        process = self.start("--output", out)
        process.stdin.write(line() + b"?\n")
        process.stdin.flush()
        self.terminal.read_until(lambda shown: b"2 rows (1 bad)" in shown)
        process.send_signal(signal.SIGINT)
        output = self.terminal.read_all()
        self.assertEqual(process.wait(60), 130)
        summary, told = self.assert_clean(output)[-2:]
        self.assertIn("interrupted by SIGINT: 2 rows (1 bad)", summary)
        self.assertIn("the rows so far are in ", told)

    def test_an_error_comes_after_the_bar_is_gone(self):
        process = self.start("--max-errors", 2)
        process.stdin.write(b"?\n")
        process.stdin.flush()
        self.terminal.read_until(lambda shown: b"1 row (1 bad)" in shown)
        process.stdin.write(b"?\n")
        process.stdin.flush()
        output = self.terminal.read_all()
        self.assertEqual(process.wait(60), 1)
        self.assertEqual(self.assert_clean(output)[-1], "prm-score: --max-errors: stopped after bad row 2")

    def test_a_second_signal_leaves_no_bar(self):
        reading, writing = os.pipe()  # full, and nobody reads it: the first signal cannot end the run at once
        self.addCleanup(os.close, reading)
        process = self.start(self.docs, "--keep-all", stdout=writing)
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.close(writing)
        self.terminal.read_until(lambda shown: len(BAR.findall(shown)) >= 3)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        output = self.terminal.read_all()
        self.assertIn(process.wait(60), (130, 143))
        self.assert_clean(output)

    def test_a_terminal_that_is_stopped_keeps_no_row_back(self):
        process = self.start(stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.terminal.read_until(lambda shown: len(BAR.findall(shown)) >= 1)
        os.write(self.terminal.fd, b"\x13")  # Ctrl-S
        time.sleep(0.5)
        process.stdin.write(line())
        process.stdin.flush()
        self.assertIn(b'"reward"', process.stdout.readline())
        os.write(self.terminal.fd, b"\x11")  # Ctrl-Q
        process.stdin.close()
        self.assert_clean(self.terminal.read_all())
        self.assertEqual(process.wait(60), 0)

    def test_pairs_and_prompts_have_a_bar_too(self):
        pair = b'{"chosen": "a", "rejected": "b"}\n'
        for command, docs in (("pairs", 3 * pair), ("prompts", 3 * line())):
            with self.subTest(command):
                self.terminal.close()
                self.terminal = Terminal()
                output = self.finish_slowly(self.start(command), docs, lambda shown: b", 3 rows (0 bad), " in shown)
                self.assertRegex(BAR.findall(output)[-1], rb"\A0:0\d, 3 rows \(0 bad\), ")
                self.assertRegex(self.assert_clean(output)[-1], r"prm-score: 3 rows .* once loaded\Z")

    def test_a_suspended_run_goes_on(self):
        process = self.start()
        self.terminal.read_until(BAR.search)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        num_bytes = len(self.terminal.output)
        self.assert_clean(self.finish_slowly(process, line(), lambda shown: len(BAR.findall(shown[num_bytes:])) >= 3))


class NoBarTest(ProgressTest):
    def shown(self, *arguments, **options):
        """What a run leaves that takes long enough for a bar."""
        process = self.start(self.docs, "--threads", 1, *arguments, **options)
        output = self.terminal.read_all()
        self.assertEqual(process.wait(60), 0, output)
        return output

    def test_none_is_silence(self):
        self.assertEqual(self.shown("--progress", "none", "--log-level", "warn"), b"")

    def test_plain_is_no_bar(self):
        output = self.shown("--progress", "plain")
        self.assertNotIn(b"\x1b", output)
        self.assertRegex(output, SUMMARY)

    def test_a_dumb_terminal_gets_no_bar(self):
        output = self.shown(term="dumb")
        self.assertNotIn(b"\x1b", output)
        self.assertRegex(output, SUMMARY)

    def test_a_terminal_that_somebody_else_uses_gets_no_bar(self):
        """The program is a background job of the terminal's shell, for which the terminal stays."""
        script = 'set -m; "$@" & wait $!; exit $?'
        terminal = self.terminal.program_fd
        process = subprocess.Popen(
            ["sh", "-c", script, "sh", program.PROGRAM, str(self.docs), "--threads", "1", "--model", str(MODEL)],
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
            env=environment(TERM="xterm"),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        output = self.terminal.read_all()
        self.assertEqual(process.wait(60), 0, output)
        self.assertNotIn(b"\x1b", output)
        self.assertRegex(output, SUMMARY)

    def test_rows_on_the_terminal_stay_whole(self):
        output = self.shown(stdout=self.terminal.program_fd)
        self.assertNotIn(b"\x1b", output)
        lines = output.replace(b"\r\n", b"\n")
        rows = b"".join(row for row in lines.splitlines(True) if not row.startswith(b"prm-score: "))
        self.assertEqual(len(rows_of(rows)), self.num_rows)

    def test_with_output_the_terminal_is_free_for_a_bar(self):
        output = self.shown("--output", self.folder / "out.jsonl", stdout=self.terminal.program_fd)
        self.assertTrue(BAR.search(output))

    def start_with_a_log(self, name, rows):
        log = self.folder / name
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [program.PROGRAM, "--model", str(MODEL), "--progress", "plain"],
                stdin=subprocess.PIPE,
                stdout=file if rows == "log" else subprocess.DEVNULL,
                stderr=file,
                env=environment(TERM="xterm"),
            )
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.kill)
        process.stdin.write(line() + b"?\n")
        process.stdin.flush()
        return process, log

    def test_in_a_log_without_rows_a_line_comes_every_ten_seconds(self):
        with_rows, mixed = self.start_with_a_log("mixed", rows="log")
        process, log = self.start_with_a_log("log", rows="nowhere")
        start = time.monotonic()
        while b" rows (" not in log.read_bytes():
            self.assertLess(time.monotonic() - start, 60)
            time.sleep(0.1)
        self.assertGreater(time.monotonic() - start, 9)
        for one in (process, with_rows):
            one.stdin.close()
            self.assertEqual(one.wait(60), 3)
        said = log.read_text().splitlines()
        self.assertEqual(len(said), 3, said)
        self.assertRegex(said[1], r"\Aprm-score: 0:1\d, 2 rows \(1 bad\), \d\.\d chunks/s, \d\.\d tokens/s, \d+ B\Z")
        said = [text for text in mixed.read_text().splitlines() if text.startswith("prm-score: ")]
        self.assertEqual(len(said), 2, said)

    def test_messages_that_cannot_be_written_end_no_run(self):
        with open("/dev/full", "wb") as full:
            self.assertEqual(run(self.docs, "--progress", "plain", stderr=full).returncode, 0)
        reading, writing = os.pipe()
        os.close(reading)
        done = run(self.docs, "--progress", "plain", stderr=writing)
        os.close(writing)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(rows_of(done.stdout)), self.num_rows)
        closed = run(self.docs, through=["sh", "-c", 'exec "$@" 2>&-', "sh"])
        self.assertEqual(closed.returncode, 0)
        self.assertEqual(len(rows_of(closed.stdout)), self.num_rows)


class SummaryTest(ProgressTest):
    def summary(self, *arguments, **options):
        found = SUMMARY.search(run(*arguments, **options).stderr)
        self.assertIsNotNone(found)
        return tuple(map(int, found.groups()))

    def test_the_summary_counts_rows_chunks_and_tokens(self):
        text = line(" ".join(["word"] * 200))
        rows = rows_of(run(stdin=text).stdout)
        num_chunks, num_tokens = rows[0]["num_chunks"], rows[0]["num_tokens"]
        self.assertEqual(self.summary(stdin=3 * text + b"?\n"), (4, 1, 3 * num_chunks, 3 * num_tokens))


if __name__ == "__main__":
    program.main()
