"""Documents in a terminal: what is shown, when in colour, and what becomes of bad lines."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios

import program
from program import MODEL, line, rows_of, run

LONG = "Fellow citizens of the Senate and of the House of Representatives, among the vicissitudes of life. " * 8


def shown_in_terminal(*arguments, stdin, columns=0, **variables):
    """What `prm-score show` writes to a terminal of its own."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [program.PROGRAM, "show", "--model", str(MODEL), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=end, stderr=subprocess.DEVNULL,
                          env=program.environment(TERM="xterm-256color", **variables)) as process:
        os.close(end)
        process.stdin.write(stdin)
        process.stdin.close()
        shown = b""
        while True:
            try:
                part = os.read(terminal, 1 << 16)
            except OSError:  # the last writer is gone
                break
            shown += part
    os.close(terminal)
    return shown


class ShowTest(program.ProgramTest):
    def test_every_chunk_and_its_log_odds_are_there(self):
        done = run("show", stdin=line(LONG, id="a"))
        self.assert_exit(done, 0)
        head, *lines = done.stdout.decode().splitlines()
        row = json.loads(run(stdin=line(LONG, id="a")).stdout)
        self.assertIn(f'line 1  "a"  reward {row["reward"]:.3f}  {row["num_tokens"]} tokens', head)
        self.assertEqual([text[:11] for text in lines], [f"{number:+8.2f} | " for number in row["log_odds"]])
        self.assertEqual("".join(text[11:] for text in lines), LONG)

    def test_no_colour_unless_on_a_terminal_or_asked_for(self):
        self.assertNotIn(b"\x1b", run("show", stdin=line(LONG)).stdout)
        self.assertIn(b"\x1b[48;5;", run("show", "--color", "always", stdin=line(LONG)).stdout)
        self.assertIn(b"\x1b[48;5;", shown_in_terminal(stdin=line(LONG)))
        self.assertNotIn(b"\x1b", shown_in_terminal("--color", "never", stdin=line(LONG)))
        self.assertNotIn(b"\x1b", shown_in_terminal(stdin=line(LONG), NO_COLOR="1"))
        self.assertIn(b"\x1b[48;5;", shown_in_terminal(stdin=line(LONG), NO_COLOR=""))

    def test_long_lines_go_on_under_the_margin_of_a_terminal(self):
        shown = shown_in_terminal("--color", "never", stdin=line(LONG), columns=60).decode().replace("\r\n", "\n")
        _, *lines = shown.splitlines()
        self.assertLessEqual(max(map(len, lines)), 60)
        self.assertEqual({text[8:11] for text in lines}, {" | "})
        self.assertEqual("".join(text[11:] for text in lines), LONG)
        self.assertGreater(len(lines), len(LONG) // 49)

    def test_bad_lines_are_shown_and_the_rest_goes_on(self):
        done = run("show", stdin=b"?\n" + line("") + line("words"))
        self.assert_exit(done, 3)
        text = done.stdout.decode()
        self.assertIn("line 1  error: ", text)
        self.assertIn("line 2  error: text: no tokens", text)
        self.assertIn("line 3  reward ", text)
        done = run("show", "--max-errors", 1, stdin=b"?\n" + line("words"))
        self.assert_exit(done, 1, "--max-errors: stopped after bad row 1")

    def test_rows_are_told_of(self):
        done = run("show", stdin=run(stdin=line("words")).stdout)
        self.assertIn("; it looks like a row of rewards, which prm-score report shows", done.stdout.decode())

    def test_hostile_text_moves_no_cursor(self):
        done = run("show", "--color", "always", stdin=line("\x1b[2J\x9b1m\u202e evil \r over", id="\x1b]0;title\x07"))
        self.assertIn(b"\\x1b[2J\\x9b1m\\u202e evil \\x0d over", done.stdout)
        self.assertEqual(done.stdout.count(b"\x1b"), done.stdout.count(b"\x1b[48;5;") + done.stdout.count(b"\x1b[0m"))

    def test_long_texts_are_cut_and_say_so(self):
        shown = run("show", "--max-text", 10, stdin=line(LONG)).stdout.decode()
        self.assertIn("| Fellow cit\n", shown)
        self.assertIn(f".. ({len(LONG) - 10} characters more)", shown)

    def test_windows_and_skipped_chunks(self):
        shown = run("show", "--stride", 16, "--first-chunk", "skip", stdin=line(LONG)).stdout.decode()
        _, note, *lines = shown.splitlines()
        self.assertIn("the windows overlap", note)
        self.assertTrue(lines[0].startswith(" skipped | "), shown)
        self.assertEqual("".join(text[11:] for text in lines), LONG)

    def test_a_signal_ends_it_in_the_middle_of_a_document(self):
        command = [program.PROGRAM, "show", "--model", str(MODEL)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=program.environment()) as process:
            process.stdin.write(line("first") + line(LONG * 3000))
            process.stdin.flush()
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 143)

    def test_closed_pipe_and_full_disk(self):
        many = line(LONG) * 200
        done = subprocess.run(["bash", "-c", f"set -o pipefail; '{program.PROGRAM}' show --model '{MODEL}' | head -1"],
                              input=many, capture_output=True, env=program.environment())
        self.assertEqual(done.returncode, 141)
        with open("/dev/full", "wb") as full:
            self.assert_exit(run("show", stdin=many, stdout=full), 1, "No space left on device")

    def test_same_numbers_as_the_rows_of_a_whole_run(self):
        docs = b"".join(line(LONG[i:], id=i) for i in range(5))
        expected = [f"reward {row['reward']:.3f}" for row in rows_of(run(stdin=docs).stdout)]
        heads = [text for text in run("show", stdin=docs).stdout.decode().splitlines() if text.startswith("line ")]
        self.assertEqual(len(heads), 5)
        for head, reward in zip(heads, expected, strict=True):
            self.assertIn(reward, head)


if __name__ == "__main__":
    program.main()
