"""--output, --resume and --overwrite: what a run leaves behind, however it ends, and how the next one goes on."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time

import program
from program import MODEL, environment, run

TEXTS = [
    "The committee met twice in March and agreed to nothing.",
    "Colourless green ideas sleep furiously, as the saying has it.",
    "12 34 56 78 90",
    "Naïve façades, 東京, \U0001f600.",
]


def documents(count):
    """Short ones, bad ones and blank lines among them."""
    lines = []
    for number in range(count):
        if number % 7 == 3:
            lines.append('{"id": %d, "texts": "none"}' % number)
        elif number % 11 == 5:
            lines.append("   ")
        else:
            text = " ".join(TEXTS[(number + i) % len(TEXTS)] for i in range(1 + number % 5))
            lines.append(json.dumps({"id": 10**20 + number, "text": text}, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


class OutputTest(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.docs = self.folder / "docs.jsonl"
        self.out = self.folder / "rewards.jsonl"
        self.partial = self.folder / "rewards.jsonl.partial"
        self.state = self.folder / "rewards.jsonl.state"
        self.docs.write_bytes(documents(40))

    def score(self, *arguments, **options):
        return run(self.docs, "--output", self.out, *arguments, **options)

    def expected(self, *arguments):
        return run(self.docs, *arguments).stdout

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def read_state(self):
        return json.loads(self.state.read_text())

    def assert_stopped(self, done, *words, code=1):
        self.assertEqual(done.returncode, code, done.stderr.decode())
        said = done.stderr.decode().strip().splitlines()
        for word in words:
            self.assertIn(word, said[-1])

    def half_done(self, rows=10, more=b""):
        """As a killed run leaves it, whose state was last written after `rows` rows."""
        self.assertEqual(self.score("--overwrite").returncode, 3)
        whole = self.out.read_bytes()
        lines = whole.splitlines(keepends=True)
        state = self.read_state()
        kept = b"".join(lines[:rows])
        number = json.loads(lines[rows - 1])["line"]
        read = b"".join(self.docs.read_bytes().splitlines(keepends=True)[:number])
        bad = sum(json.loads(line)["reward"] is None for line in lines[:rows])
        state["exit_code"] = None
        state["progress"]["bytes"] = len(kept)
        state["progress"]["input_sha256"] = hashlib.sha256(read).hexdigest()
        scored = [json.loads(line) for line in lines[:rows] if b"null" not in line]
        state["progress"]["counts"] |= {
            "lines": number,
            "scored_rows": rows - bad,
            "bad_rows": bad,
            "tokens": sum(row["num_tokens"] for row in scored),
            "chunks": sum(row["num_chunks"] for row in scored),
        }
        self.out.unlink()
        self.partial.write_bytes(kept + more)
        self.state.write_text(json.dumps(state))
        return whole, lines

    # A run that is left alone

    def test_rows_are_those_of_standard_output(self):
        done = self.score()
        self.assertEqual(done.returncode, 3, done.stderr.decode())
        self.assertEqual(done.stdout, b"")
        self.assertEqual(self.out.read_bytes(), self.expected())
        self.assertEqual(self.names(), ["docs.jsonl", "rewards.jsonl", "rewards.jsonl.state"])

    def test_state_has_what_the_run_ended_with(self):
        metadata = self.folder / "metadata.json"
        self.score("--metadata", metadata)
        state = self.read_state()
        self.assertEqual(state["exit_code"], 3)
        self.assertEqual(state["progress"]["bytes"], self.out.stat().st_size)
        self.assertEqual(state["progress"]["counts"], json.loads(metadata.read_text())["counts"])
        self.assertEqual(state["progress"]["input_sha256"], hashlib.sha256(self.docs.read_bytes()).hexdigest())
        weights = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
        self.assertEqual(state["fingerprint"]["SHA-256 of model.safetensors"], weights)

    def test_empty_input(self):
        self.docs.write_bytes(b"")
        self.assertEqual(self.score().returncode, 0)
        self.assertEqual(self.out.read_bytes(), b"")
        self.assertEqual(self.score("--resume").returncode, 0)

    # What is there already

    def test_what_is_there_is_refused(self):
        for path in (self.out, self.partial):
            path.write_text("mine")
            self.assert_stopped(self.score(), str(path), "--resume", "--overwrite")
            self.assertEqual(path.read_text(), "mine")
            path.unlink()
        self.assertEqual(self.names(), ["docs.jsonl"])

    def test_overwrite(self):
        self.out.write_text("mine")
        self.partial.write_text("mine")
        self.assertEqual(self.score("--overwrite").returncode, 3)
        self.assertEqual(self.out.read_bytes(), self.expected())
        self.assertEqual(self.names(), ["docs.jsonl", "rewards.jsonl", "rewards.jsonl.state"])

    def test_overwrite_with_a_model_that_does_not_load_overwrites_nothing(self):
        self.out.write_text("mine")
        done = run(self.docs, "--output", self.out, "--overwrite", model=self.folder / "nothing")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.out.read_text(), "mine")

    def test_resume_with_nothing_there_begins(self):
        self.assertEqual(self.score("--resume").returncode, 3)
        self.assertEqual(self.out.read_bytes(), self.expected())

    def test_resume_of_a_complete_output_reads_nothing(self):
        self.score()
        self.docs.unlink()
        before = self.out.read_bytes()
        done = self.score("--resume")
        said = f"{self.out}: already complete, 37 rows (6 bad), exit code 3 as recorded; the input was not read (--over"
        self.assert_exit(done, 3, said)
        self.assertEqual(self.out.read_bytes(), before)

    def test_the_exit_code_of_a_complete_output_is_the_one_recorded(self):
        for recorded, first in ((3, ()), (0, ("--errors-ok",))):
            self.assertEqual(self.score("--overwrite", *first).returncode, recorded)
            rows, state = self.out.read_bytes(), self.state.read_bytes()
            self.assertEqual(json.loads(state)["exit_code"], recorded)
            for more in ((), ("--errors-ok",), ("--max-errors", 1)):
                metadata = self.folder / "metadata.json"
                done = self.score("--resume", "--metadata", metadata, *more)
                self.assertEqual(done.returncode, recorded, more)
                self.assertIn(f"exit code {recorded} as recorded", done.stderr.decode())
                found = json.loads(metadata.read_text())
                self.assertEqual((found["exit_code"], found["stopped_by"]), (recorded, None))
            self.assertEqual((self.out.read_bytes(), self.state.read_bytes()), (rows, state))

    def test_fingerprint_is_the_one_of_the_state(self):
        self.score("--spans", "--chunk-size", "32", "--threads", "1")
        said = run("--fingerprint", "--spans", "--chunk-size", "32", "--threads", "1", stdin=b"not read")
        self.assert_exit(said, 0)
        state = self.read_state()
        self.assertEqual(json.loads(said.stdout), {name: state[name] for name in ("fingerprint", "recorded")})
        self.assertEqual(said.stdout.count(b"\n"), 1)

    def test_fingerprint_takes_no_files(self):
        self.assert_exit(run("--fingerprint", self.docs), 2, f"--fingerprint: expected no files, got {self.docs}")

    def test_resume_without_a_state_is_refused(self):
        for path in (self.out, self.partial):
            path.write_text("mine")
            self.assert_stopped(self.score("--resume"), str(self.state), "no such file")
            self.assertEqual(path.read_text(), "mine")
            path.unlink()

    def test_resume_with_a_broken_state_is_refused(self):
        self.half_done()
        for text in ("", "{", "[]", '{"format": 2}', '{"format": 1}'):
            self.state.write_text(text)
            before = self.partial.read_bytes()
            self.assert_stopped(self.score("--resume"), str(self.state), "expected")
            self.assertEqual(self.partial.read_bytes(), before)

    # Going on

    def test_resume_gives_the_same_bytes(self):
        for rows in (1, 2, 10, 20):
            with self.subTest(rows=rows):
                whole, _ = self.half_done(rows)
                done = self.score("--resume")
                self.assertEqual(done.returncode, 3, done.stderr.decode())
                self.assertIn(f"goes on after {rows} row", done.stderr.decode())
                self.assertEqual(self.out.read_bytes(), whole)
                self.out.unlink()
                self.state.unlink()

    def test_rows_after_the_state_are_kept_and_a_torn_one_is_dropped(self):
        _, lines = self.half_done()
        for more, rows in (
            (b"".join(lines[10:15]), 15),
            (lines[10] + lines[11][:17], 11),
            (b"{", 10),
            (b"\0" * 50 + b"\n", 10),
            (b"\0" * 50, 10),
            (lines[10] + b"rubbish\n" + lines[12], 11),
        ):
            with self.subTest(more=more):
                whole, _ = self.half_done(more=more)
                metadata = self.folder / "metadata.json"
                done = self.score("--resume", "--metadata", metadata)
                self.assertEqual(done.returncode, 3, done.stderr.decode())
                self.assertIn(f"goes on after {rows} row", done.stderr.decode())
                self.assertEqual(self.out.read_bytes(), whole)
                resumed = json.loads(metadata.read_text())["counts"]
                self.score("--metadata", metadata, "--overwrite")
                self.assertEqual(resumed, json.loads(metadata.read_text())["counts"])
                self.out.unlink()
                self.state.unlink()

    def test_a_run_killed_before_renaming_is_only_renamed(self):
        self.score()
        whole = self.out.read_bytes()
        self.docs.write_bytes(b"other")
        for torn in (b"", b'{"line":'):
            self.out.rename(self.partial)
            self.partial.write_bytes(whole + torn)
            self.assertEqual(self.score("--resume").returncode, 3)
            self.assertEqual(self.out.read_bytes(), whole)
            self.assertFalse(self.partial.exists())

    def test_rows_changed_between_a_kill_and_the_renaming_are_refused(self):
        self.score()
        self.out.rename(self.partial)
        self.partial.write_bytes(self.partial.read_bytes().replace(b'"num_chunks":1', b'"num_chunks":2', 1))
        self.assert_stopped(self.score("--resume"), str(self.partial), "the rows that were written")
        self.assertFalse(self.out.exists())

    def test_a_complete_output_that_has_been_changed_is_refused(self):
        self.score()
        whole = self.out.read_bytes()
        for changed, message in ((whole + b"{}\n", "bytes, as were written"), (whole[:-1], "bytes, as were written"),
                                 (whole.replace(b'"num_chunks":1', b'"num_chunks":2', 1), "the rows that were written")):
            self.out.write_bytes(changed)
            self.assert_stopped(self.score("--resume"), str(self.out), message)
        self.out.write_bytes(whole)
        self.assertEqual(self.score("--resume").returncode, 3)

    def test_resume_from_a_pipe(self):
        whole, _ = self.half_done()
        done = run("--output", self.out, "--resume", stdin=self.docs.read_bytes())
        self.assertEqual(done.returncode, 3, done.stderr.decode())
        self.assertEqual(self.out.read_bytes(), whole)

    def test_resume_does_not_mind_speed(self):
        whole, _ = self.half_done()
        done = self.score("--resume", "--threads", "1", "--max-batch-tokens", "100", "--device", "cpu")
        self.assertEqual(done.returncode, 3, done.stderr.decode())
        self.assertEqual(self.out.read_bytes(), whole)

    def test_bad_rows_of_the_earlier_run_count(self):
        self.docs.write_bytes(b'{"texts": "none"}\n' + b'{"text": "a good one"}\n' * 5)
        self.half_done(rows=2)
        self.assertEqual(self.score("--resume").returncode, 3)

    def test_max_errors_leaves_the_partial_file(self):
        done = self.score("--max-errors", "2")
        self.assert_exit(done, 1, "stopped by --max-errors: ")
        told = f"are in {self.partial}; the same command with --resume and a larger --max-errors goes on"
        self.assert_exit(done, 1, told)
        self.assertEqual(self.names(), ["docs.jsonl", "rewards.jsonl.partial", "rewards.jsonl.state"])
        rows = self.partial.read_bytes()
        self.assertEqual(rows.count(b'"reward":null'), 2)
        self.assertEqual(self.score("--max-errors", "2", "--resume").returncode, 1)
        self.assertEqual(self.partial.read_bytes(), rows)
        self.assertEqual(self.score("--resume").returncode, 3)
        self.assertEqual(self.out.read_bytes(), self.expected())

    # Another run

    def test_other_options_are_refused_and_named(self):
        self.half_done()
        before = self.partial.read_bytes()
        for arguments, words in (
            (["--chunk-size", "32"], ["--chunk-size: 64 there, 32 now", "--stride: 64 there, 32 now"]),
            (["--dtype", "bfloat16"], ['dtype: "float32" there, "bfloat16" now']),
            (["--spans"], ["--spans: false there, true now"]),
            (["--limit", "39"], ["--limit: null there, 39 now"]),
            (["--no-prefix-sharing"], ["--no-prefix-sharing"]),
        ):
            with self.subTest(arguments=arguments):
                self.assert_stopped(self.score("--resume", *arguments), str(self.out), "another", *words)
                self.assertEqual(self.partial.read_bytes(), before)

    def test_another_checkpoint_is_refused(self):
        self.half_done()
        copy = self.folder / "copy"
        copy.mkdir()
        for file in filter(pathlib.Path.is_file, MODEL.iterdir()):
            (copy / file.name).write_bytes(file.read_bytes())
        weights = bytearray((copy / "model.safetensors").read_bytes())
        weights[-1000] ^= 1
        (copy / "model.safetensors").write_bytes(weights)
        done = run(self.docs, "--output", self.out, "--resume", model=copy)
        self.assert_stopped(done, "SHA-256 of model.safetensors")

    def test_another_input_is_refused(self):
        _, lines = self.half_done(more=b"")
        before = self.partial.read_bytes()
        original = self.docs.read_bytes()
        self.docs.write_bytes(original.replace(b"committee", b"Committee", 1))
        self.assert_stopped(self.score("--resume"), "input", "SHA-256 of the first")
        self.docs.write_bytes(b"\n".join(original.split(b"\n")[:5]))
        self.assert_stopped(self.score("--resume"), "input", "at least the 10 lines")
        self.assertEqual(self.partial.read_bytes(), before)
        self.docs.write_bytes(original)
        self.partial.write_bytes(before + lines[10])
        changed = original.split(b"\n")
        number = json.loads(lines[10])["line"] - 1
        changed[number] = b'{"id": "other", "text": "x"}'
        self.docs.write_bytes(b"\n".join(changed))
        self.assert_stopped(self.score("--resume"), "input", "the row after the first 10 of", "is another now")
        self.assertEqual(self.partial.read_bytes(), before + lines[10])
        self.docs.write_bytes(original)
        self.partial.write_bytes(before + b"".join(lines[10:]))
        self.docs.write_bytes(b"\n".join(original.split(b"\n")[:-6]))
        self.assert_stopped(self.score("--resume"), "input", "at least the lines that the", "rows of")
        self.assertEqual(self.partial.read_bytes(), before + b"".join(lines[10:]))

    def test_a_file_shorter_than_its_state_is_refused(self):
        self.half_done()
        self.partial.write_bytes(self.partial.read_bytes()[:-5])
        self.assert_stopped(self.score("--resume"), str(self.partial), "bytes, as were written")

    def test_two_at_once(self):
        first = subprocess.Popen([program.PROGRAM, "--model", MODEL, "--output", self.out], stdin=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=environment())
        try:
            deadline = time.monotonic() + 60
            while not self.partial.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assert_stopped(self.score("--resume"), "another process is writing")
            self.assert_stopped(self.score("--overwrite"), "another process is writing")
        finally:
            _, said = first.communicate(self.docs.read_bytes())
        self.assertEqual(first.returncode, 3, said.decode())
        self.assertEqual(self.out.read_bytes(), self.expected())

    # Faults

    def test_signals_leave_whole_rows_and_a_state_that_fits(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                process = subprocess.Popen([program.PROGRAM, "--model", MODEL, "--output", self.out], stdin=subprocess.PIPE,
                                           stderr=subprocess.PIPE, env=environment())
                process.stdin.write(documents(12))
                process.stdin.flush()
                deadline = time.monotonic() + 60
                while (not self.partial.exists() or self.partial.read_bytes().count(b"\n") < 10) and \
                        time.monotonic() < deadline:
                    time.sleep(0.01)
                process.send_signal(number)
                process.communicate()
                self.assertEqual(process.returncode, 128 + number)
                state = self.read_state()
                self.assertEqual(state["progress"]["bytes"], self.partial.stat().st_size)
                self.assertEqual(self.score("--resume").returncode, 3)
                self.assertEqual(self.out.read_bytes(), self.expected())
                self.out.unlink()
                self.state.unlink()

    def test_rows_reach_the_disk_while_the_input_pauses(self):
        process = subprocess.Popen([program.PROGRAM, "--model", MODEL, "--output", self.out], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment())
        try:
            process.stdin.write(documents(4))
            process.stdin.flush()
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if self.state.exists() and self.read_state()["progress"]["bytes"] > 0:
                    break
                time.sleep(0.05)
            self.assertEqual(self.read_state()["progress"]["bytes"], self.partial.stat().st_size)
        finally:
            process.kill()
            process.communicate()

    # Usage

    def test_usage(self):
        for arguments, word in (
            (["--resume"], "--output"),
            (["--overwrite"], "--output"),
            (["--output", self.out, "--resume", "--overwrite"], "one of them"),
            (["--output", "-"], "file name"),
            (["--output", self.docs, "--overwrite"], "than the input"),
            (["--output", self.out, "--metadata", self.state], "those of --output"),
        ):
            with self.subTest(arguments=arguments):
                self.assert_stopped(run(self.docs, *arguments), word, code=2)
        self.assertEqual(self.docs.read_bytes(), documents(40))

    def test_no_name_of_the_output_is_standard_output_or_error(self):
        for suffix in ("", ".partial", ".partial.new", ".state", ".state.new"):
            mine = self.folder / ("rewards.jsonl" + suffix)
            for stream in ("stdout", "stderr"):
                with self.subTest(suffix=suffix, stream=stream), mine.open("wb") as file:
                    done = run(self.docs, "--output", self.out, "--overwrite", **{stream: file})
                self.assertEqual(done.returncode, 2)
                self.assertIn("standard output or error", (done.stderr or mine.read_bytes()).decode())
            mine.unlink()

    def test_no_run_reads_what_it_writes(self):
        before = self.docs.read_bytes()
        for command in ([], ["prompts"], ["pairs"]):
            for arguments in ([self.docs], ["-"]):
                with self.subTest(command=command, arguments=arguments):
                    with self.docs.open("ab") as rows, self.docs.open("rb") as stdin:
                        done = run(*command, *arguments, stdin_file=stdin, stdout=rows)
                    self.assertEqual(done.returncode, 2)
                    self.assertIn("standard output: expected another file than the input", done.stderr.decode())
                    self.assertEqual(self.docs.read_bytes(), before)

    def test_no_name_of_the_output_is_an_input(self):
        contents = documents(3)
        for suffix in (".partial", ".partial.new", ".state", ".state.new"):
            mine = self.folder / ("rewards.jsonl" + suffix)
            mine.write_bytes(contents)
            with self.subTest(suffix=suffix):
                self.assert_stopped(run(mine, "--output", self.out, "--overwrite"), "than the input", code=2)
                with mine.open("rb") as stdin:
                    done = run("-", "--output", self.out, "--overwrite", stdin_file=stdin)
                self.assert_stopped(done, "than the input", code=2)
                self.assertEqual(mine.read_bytes(), contents)
            mine.unlink()
        self.assertEqual(self.names(), ["docs.jsonl"])

    def test_metadata_is_never_written_over_rows(self):
        relative = os.path.relpath(self.out)
        self.assert_stopped(run(self.docs, "--output", self.out, "--metadata", relative), "those of --output", code=2)
        link = self.folder / "metadata.json"
        link.symlink_to("rewards.jsonl")
        self.assert_stopped(run(self.docs, "--output", self.out, "--metadata", link), "those of --output", code=2)
        link.unlink()
        for name in ("/dev/stdout", str(self.out)):
            with self.subTest(name=name), self.out.open("wb") as stdout:
                done = run(self.docs, "--metadata", name, stdout=stdout)
                self.assert_stopped(done, "than standard output's", code=2)

    def test_metadata_goes_to_the_log_that_standard_error_is(self):
        log = self.folder / "log"
        with log.open("wb") as stderr:
            run(self.docs, "--metadata", "/dev/stderr", stderr=stderr)
        said = log.read_text()
        self.assertIn("prm-score: ", said)
        self.assertIn('"exit_code": 3', said)

    def test_metadata_replaces_nothing_but_metadata(self):
        for name, contents in (("rows", b'{"line":1,"reward":null}\n'), ("config.json", b'{\n  "hidden_size": 8\n}\n')):
            mine = self.folder / name
            mine.write_bytes(contents)
            self.assert_stopped(run(self.docs, "--metadata", mine), str(mine), "the metadata of an earlier run")
            self.assertEqual(mine.read_bytes(), contents)
        metadata = self.folder / "metadata.json"
        for contents in (None, b""):
            if contents is not None:
                metadata.write_bytes(contents)
            self.assertEqual(run(self.docs, "--metadata", metadata).returncode, 3)
            self.assertEqual(run(self.docs, "--metadata", metadata).returncode, 3)

    def test_rows_that_somebody_else_changes_are_not_called_complete(self):
        child = program.start("--output", self.out)
        try:
            child.stdin.write(documents(5))
            child.stdin.flush()
            deadline = time.monotonic() + 60
            while not self.partial.exists() or self.partial.read_bytes().count(b"\n") < 5:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            with self.partial.open("ab") as file:
                file.write(b"alien\n")
            _, said = child.communicate(timeout=60)
        finally:
            child.kill()
        self.assertEqual(child.returncode, 1)
        self.assertIn("as were written", said.decode())
        self.assertFalse(self.out.exists())

    def test_other_random_weights_are_refused(self):
        configs = []
        for theta in (10000.0, 20000.0):
            folder = self.folder / str(theta)
            folder.mkdir()
            config = json.loads((MODEL / "config.json").read_text()) | {"rope_theta": theta}
            config.get("rope_parameters", {}).update(rope_theta=theta)
            configs.append(folder / "config.json")
            configs[-1].write_text(json.dumps(config))
        self.assertEqual(self.score("--random-weights", configs[0]).returncode, 3)
        done = self.score("--random-weights", configs[1], "--resume")
        self.assert_stopped(done, "SHA-256 of --random-weights")

    def test_kernel_settings_are_told(self):
        self.half_done()
        done = self.score("--resume", env={"MKL_CBWR": "COMPATIBLE"})
        self.assertIn("MKL_CBWR: nothing there, COMPATIBLE now", done.stderr.decode())

    def test_a_file_size_limit_is_an_error_like_a_full_disk(self):
        command = 'ulimit -f 3; exec "$@"'
        done = run(self.docs, "--output", self.out, through=("bash", "-c", command, "bash"))
        self.assert_stopped(done, str(self.partial), "File too large")
        rows = self.partial.read_bytes()
        self.assertTrue(rows.endswith(b"\n") or not rows)

    def test_a_name_that_is_not_utf8(self):
        odd = os.path.join(os.fsencode(self.folder), b"a\xff.jsonl")
        with open(odd, "wb") as file:
            file.write(documents(3))
        done = run(self.docs, odd, "--output", self.out)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(self.out.read_bytes().count(b"\n"), 40 - 3 + 3)
        self.assertEqual(run(self.docs, odd, "--output", self.out, "--resume").returncode, 3)

    def test_places_that_cannot_be_written(self):
        for path, word in (
            (self.folder, "directory"),
            (self.folder / "none" / "out", "No such file"),
            ("/dev/null", "regular file"),
        ):
            with self.subTest(path=path):
                self.assert_stopped(run(self.docs, "--output", path), str(path), word)


if __name__ == "__main__":
    program.main()
