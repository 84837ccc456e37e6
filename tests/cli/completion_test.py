"""Completion in bash, zsh and fish as users see it, and the manual page, held against what --help says.

completion_test.py PROGRAM SHARE-DIR: SHARE-DIR is share/ of the build.
"""

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time
import unittest

import program

SHARE = pathlib.Path()
WORDS_OF_DEVICE = ["auto", "cpu", "cuda"]
FILE_OPTIONS = ["--metadata", "--output", "--random-weights"]


def help_of(*command):
    return program.run(*command, "--help", model=None).stdout.decode()


def flags_of(*command):
    """The flags of a command, by its help."""
    return sorted(set(re.findall(r"^  (?:-[a-z],)?(--[a-z-]+)", help_of(*command), re.MULTILINE)))


def commands():
    return sorted(re.findall(r"^  ([a-z]+) ", help_of().partition("Subcommands:")[2], re.MULTILINE))


def words_of_options():
    """Flag to words, for options that take one of several."""
    return {
        flag: words.split("|")
        for flag, words in re.findall(r"^  (--[a-z-]+) ([a-z0-9|]+\|[a-z0-9|]+)(?= |$)", help_of(), re.MULTILINE)
    }


class Terminal:
    """An interactive shell. `prm-score` is a function in it that shows its words as <a><b>.."""

    def __init__(self, command, setup, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="dumb", LC_ALL="C", HOME=str(folder))
            os.execvp(command[0], command)
        self.screen = ""
        self.send(setup + "\nprm-score() { printf '<%s>' \"$@\"; echo; }\nprintf 'rea%s\\n' dy\n")
        self.wait_for(r"ready\r")

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def wait_for(self, pattern):
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self.screen)):
            if not select.select([self.fd], [], [], deadline - time.monotonic())[0]:
                raise AssertionError(f"expected {pattern}, found on the screen: {self.screen}")
            self.screen += os.read(self.fd, 65536).decode(errors="replace")
        self.screen = self.screen[found.end() :]
        return found

    def words_of(self, keys):
        """What the program gets when these keys are followed by the enter key."""
        self.send(keys + "\n")
        return re.findall("<(.*?)>", self.wait_for(r"(?m)^((<[^>\n]*>)+)\r")[1])

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


class ShellTest(program.ProgramTest):
    def terminal(self, command, setup):
        (self.folder / "my documents.jsonl").touch()
        (self.folder / "models").mkdir()
        terminal = Terminal(command, setup, self.folder)
        self.addCleanup(terminal.close)
        return terminal

    def check_typing(self, terminal):
        for keys, expected in (
            (" --join te\t", ["--join", "text"]),
            (" --join=to\t", ["--join=tokens"]),
            (" inf\t--veri\t", ["info", "--verify"]),
            (" my\t", ["my documents.jsonl"]),
            (" pairs my\t", ["pairs", "my documents.jsonl"]),
            (" --metadata my\t", ["--metadata", "my documents.jsonl"]),
            (" --model mo\t", ["--model", "models"]),
            (" info my\t", ["info", "my"]),
            (" --threads my\t", ["--threads", "my"]),
        ):
            with self.subTest(keys):
                words = [word.rstrip("/") for word in terminal.words_of("prm-score" + keys)]  # zsh takes it away again
                self.assertEqual(words, expected)


class BashTest(ShellTest):
    script = "bash-completion/completions/prm-score"

    def replies(self, *words):
        """What the function of the script offers for the last word."""
        code = (
            'source "$1"; shift; compopt() { printf "%s\\n" "$*"; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
            '_prm_score; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", code, "bash", SHARE / self.script, "prm-score", *words],
            capture_output=True,
            text=True,
            check=True,
            cwd=self.folder,
        )
        self.assertEqual(done.stderr, "")
        return sorted(done.stdout.split())

    def test_flags_of_every_command(self):
        for command in ([], *([name] for name in commands())):
            with self.subTest(command):
                self.assertEqual(self.replies(*command, "--"), flags_of(*command))
                self.assertEqual(
                    self.replies("--threads", "3", "--join=", "--spans", *command, "--"), flags_of(*command)
                )

    def test_words_of_every_option_that_has_some(self):
        words = words_of_options()
        self.assertGreaterEqual(len(words), 6)
        for flag, expected in words.items():
            with self.subTest(flag):
                self.assertEqual(self.replies(flag, ""), sorted(expected))
                self.assertEqual(self.replies(flag, "=", ""), sorted(expected))
                self.assertEqual(self.replies(flag, "="), sorted(expected))
                self.assertEqual(self.replies(f"{flag}={expected[0]}"), [f"{flag}={expected[0]}"])
        self.assertEqual(self.replies("--device", ""), WORDS_OF_DEVICE)

    def test_a_short_name_is_the_option(self):
        self.assertEqual(self.replies("-o", "info", "--"), flags_of())  # a value, no command

    def test_files_and_commands_where_they_may_stand(self):
        self.assertEqual(self.replies(""), sorted([*commands(), "-o", "default"]))
        for words in (["a.jsonl", ""], ["pairs", ""], *([flag, ""] for flag in FILE_OPTIONS)):
            with self.subTest(words):
                self.assertEqual(self.replies(*words), ["-o", "default"])
        self.assertEqual(self.replies("--model", ""), ["-o", "dirnames"])
        self.assertEqual(self.replies("info", ""), [])
        self.assertEqual(self.replies("--threads", ""), [])
        self.assertEqual(self.replies("--text-field", "info", "--"), flags_of())  # a value, no command

    def test_typing(self):
        self.check_typing(
            self.terminal(
                ["bash", "--norc", "--noprofile", "-i"],
                f"bind 'set enable-bracketed-paste off'; source '{SHARE / self.script}'",
            )
        )


class ZshTest(ShellTest):
    def test_typing(self):
        folder = SHARE / "zsh/site-functions"
        self.check_typing(
            self.terminal(
                ["zsh", "-f", "-i"],
                f"unsetopt zle_bracketed_paste; fpath=('{folder}' $fpath); autoload -U compinit; compinit -u -D",
            )
        )


class FishTest(ShellTest):
    def offers(self, line):
        done = subprocess.run(
            [
                "fish",
                "--no-config",
                "-c",
                "source $argv[1]; complete -C $argv[2]",
                SHARE / "fish/vendor_completions.d/prm-score.fish",
                line,
            ],
            capture_output=True,
            text=True,
            check=True,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder)},
        )
        self.assertEqual(done.stderr, "")
        return sorted(offer.split("\t")[0] for offer in done.stdout.splitlines())

    def test_flags_of_every_command(self):
        for command in ([], *([name] for name in commands())):
            with self.subTest(command):
                self.assertEqual(self.offers(" ".join(["prm-score", *command, "--"])), flags_of(*command))

    def test_words_of_every_option_that_has_some(self):
        for flag, expected in words_of_options().items():
            self.assertEqual(self.offers(f"prm-score {flag} "), sorted(expected))
        self.assertEqual(self.offers("prm-score --device "), WORDS_OF_DEVICE)

    def test_files_and_commands_where_they_may_stand(self):
        (self.folder / "a.jsonl").touch()
        (self.folder / "models").mkdir()
        self.assertEqual(self.offers("prm-score "), sorted([*commands(), "a.jsonl", "models/"]))
        for words in ("pairs ", *(f"{flag} " for flag in FILE_OPTIONS)):
            self.assertEqual(self.offers(f"prm-score {words}"), ["a.jsonl", "models/"])
        self.assertEqual(self.offers("prm-score --model "), ["models/"])
        self.assertEqual(self.offers("prm-score info "), [])
        self.assertEqual(self.offers("prm-score --threads "), [])


class ManualTest(unittest.TestCase):
    page = "man/man1/prm-score.1"

    def test_formats_without_a_warning(self):
        done = subprocess.run(
            ["groff", "-man", "-ww", "-Tutf8", "-P-c", SHARE / self.page], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stderr, "")

    def test_says_what_the_help_says(self):
        done = subprocess.run(
            ["groff", "-man", "-Tascii", "-P-cbou", "-rLL=1000n", "-rHY=0", SHARE / self.page],
            capture_output=True,
            text=True,
            check=True,
        )
        manual = " ".join(done.stdout.split())
        num_texts = 0
        for command in ([], *([name] for name in commands())):
            for text in help_of(*command).replace("Exit codes", "\nExit codes").splitlines():
                *_, text = re.split(r" {2,}", text.rstrip())  # what stands beside a flag
                if len(text) < 30 or text.startswith(("Usage", "Print")):
                    continue
                with self.subTest(text):
                    self.assertIn(" ".join(text.rstrip(".").split()), manual)
                num_texts += 1
            for flag in flags_of(*command):
                self.assertIn(f" {flag} ", manual)
        self.assertGreater(num_texts, 40)


if __name__ == "__main__":
    SHARE = pathlib.Path(sys.argv.pop(2)).resolve()
    program.main()
