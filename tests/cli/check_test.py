"""prm-score check: what is the same and what has moved, why, and what it does when it cannot run."""

import hashlib
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import time
import unittest
import xml.etree.ElementTree as ElementTree

import program
from program import DATA, MODEL, line, rows_of, run, start

CHECK = DATA / "check"
OTHER_MODEL = DATA / "golden/checkpoints/qwen2-tied"
TEXTS = {
    "a": "The committee met twice in March and agreed to nothing.",
    "b": "Fellow citizens of the Senate and of the House of Representatives. " * 12,
    "c": "Naïve façades, 東京, \U0001f600.",
}
FIXTURES = b"".join(line(text, id=name) for name, text in TEXTS.items()) + b'{"id":"bad"}\n'


class ShippedGolden(program.ProgramTest):
    def test_holds_here_on_every_path(self):
        for arguments in ([], ["--no-prefix-sharing"], ["--max-batch-tokens", 64, "--threads", 1]):
            done = run("check", "--context-field", "context", CHECK / "fixtures.jsonl", "--golden",
                       CHECK / "golden.jsonl", *arguments)
            self.assert_exit(done, 0)
            self.assertRegex(done.stdout.decode(), r"^same: 18 rows, .*\n$")

    def test_is_what_transformers_says_in_float64(self):
        reference = json.loads((CHECK / "reference.json").read_text())
        fixtures = (CHECK / "fixtures.jsonl").read_bytes()
        self.assertEqual(reference["fixtures_sha256"], hashlib.sha256(fixtures).hexdigest())
        rows = rows_of((CHECK / "golden.jsonl").read_bytes())
        self.assertEqual(len(rows), len(reference["rows"]))
        for row, expected in zip(rows, reference["rows"]):
            with self.subTest(expected["id"]):
                self.assertEqual(row["id"], expected["id"])
                self.assertEqual("error" in row, "is_bad" in expected)
                if "error" in row:
                    continue
                self.assertEqual(row["num_tokens"], expected["num_tokens"])
                self.assertEqual(row["ids_sha256"], expected["ids_sha256"])
                self.assertEqual(len(row["log_odds"]), len(expected["log_odds"]))
                for now, float64 in zip([row["reward"], *row["log_odds"]], [expected["reward"], *expected["log_odds"]]):
                    self.assertLessEqual(abs(now - float64), 1e-4 * max(1, abs(float64)))


class AgainstTest(program.ProgramTest):
    """check --against: rewards in one dtype beside those in another."""

    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", FIXTURES)

    def rewards(self, *arguments):
        return [row["reward"] for row in rows_of(run(*arguments, self.docs, "--errors-ok").stdout)]

    def test_is_the_difference_of_two_runs(self):
        metadata = self.folder / "run.json"
        done = run("check", "--against", "float32", self.docs, "--dtype", "int8", "--metadata", metadata)
        self.assert_exit(done, 3)
        drift = json.loads(metadata.read_bytes())["drift"]
        exact, rounded = self.rewards("--dtype", "float32"), self.rewards("--dtype", "int8")
        self.assertIsNone(exact[3])
        differences = sorted(abs(a - b) for a, b in zip(exact[:3], rounded[:3]))
        self.assertGreater(differences[0], 0)
        self.assertEqual(drift["against"], "float32")
        self.assertEqual(drift["num_bad_rows"], 1)
        everything, longer = drift["all"], drift["longer"]
        self.assertEqual(everything["num_documents"], 3)
        self.assertAlmostEqual(everything["largest"], differences[2], places=12)
        self.assertAlmostEqual(everything["mean"], sum(differences) / 3, places=12)
        self.assertAlmostEqual(everything["percentile_99"], differences[1] + 0.98 * (differences[2] - differences[1]))
        self.assertAlmostEqual(everything["standard_deviation"], statistics.pstdev(exact[:3]), places=12)
        self.assertEqual(everything["rank_correlation"], 1)
        self.assertEqual((everything["num_pairs"], everything["num_flips"]), (3, 0))
        self.assertEqual((longer["num_documents"], longer["rank_correlation"]), (1, None))  # b
        lines = done.stdout.decode().splitlines()
        self.assertEqual(lines[0], "int8 against float32: rewards of 3 documents (1 bad line left out)")
        self.assertRegex(lines[-1], r'^largest: line [123], id "[abc]": \S+ in float32, \S+ in int8$')

    def test_of_the_same_dtype_is_nothing(self):
        done = run("check", "--against", "int8", self.docs, "--dtype", "int8", "--limit", 3)
        self.assert_exit(done, 0, "--against int8: the run itself computes in int8")
        self.assertRegex(done.stdout.decode(), r"\|difference\|, largest +0 \(0 %\) +0\n")

    def test_long_documents_have_a_column(self):
        self.write("docs.jsonl", FIXTURES + line(TEXTS["b"] * 3, id="long") + line(TEXTS["b"] * 4, id="longer"))
        done = run("check", "--against", "bfloat16", self.docs, "--dtype", "int8")
        self.assert_exit(done, 3)
        self.assertRegex(done.stdout.decode(), r"\n +all +>= 4 chunks\ndocuments +5 +3\n")

    def test_reads_files_twice(self):
        for arguments in ([], ["-"], [self.docs, "-"]):
            done = run("check", "--against", "float32", *arguments, stdin=FIXTURES)
            self.assert_exit(done, 2, "--against: expected files, as they are read twice, got standard input")
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        done = run("check", "--against", "float32", pipe)
        self.assert_exit(done, 2, "--against: expected files, as they are read twice, got something else: ")

    def test_bad_input(self):
        self.assert_exit(run("check", "--against", "float32", self.folder / "none.jsonl"), 4, "none.jsonl")
        empty, metadata = self.write("empty.jsonl", b"\n"), self.folder / "run.json"
        done = run("check", "--against", "float32", empty, "--metadata", metadata)
        self.assert_exit(done, 4, "documents: expected at least one line")
        self.assertEqual(json.loads(metadata.read_bytes())["exit_code"], 4)
        bad = self.write("bad.jsonl", b"{}\n")
        done = run("check", "--against", "float32", bad)
        self.assert_exit(done, 4, "documents: expected at least one that can be scored, found none")
        self.assertEqual(done.stdout, b"float32 against float32: rewards of 0 documents (1 bad line left out)\n")


class CheckTest(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", FIXTURES)
        self.golden = self.folder / "golden.jsonl"
        self.metadata = self.folder / "golden.jsonl.metadata.json"
        self.junit = self.folder / "junit.xml"

    def check(self, *arguments, **options):
        return run("check", self.docs, "--golden", self.golden, *arguments, **options)

    def update(self, *arguments, **options):
        self.assert_exit(self.check("--update", *arguments, **options), 0)

    def rows(self):
        return rows_of(self.golden.read_bytes())

    def write_rows(self, rows):
        self.golden.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def edit(self, row, **fields):
        """Changes fields of one row of the golden, `log_odds` by chunk."""
        rows = self.rows()
        for chunk, number in fields.pop("log_odds", {}).items():
            rows[row]["log_odds"][chunk] = number
        rows[row].update(fields)
        self.write_rows(rows)

    def edit_state(self, part, **values):
        metadata = json.loads(self.metadata.read_text())
        metadata["state"][part].update(values)
        self.metadata.write_text(json.dumps(metadata))

    def assert_same(self, done, *lines):
        self.assert_exit(done, 0)
        self.assertEqual(len(done.stdout.splitlines()), 1 + len(lines), done.stdout)
        self.assertTrue(done.stdout.startswith(b"same: "), done.stdout)
        for words in lines:
            self.assertIn(words, done.stdout.decode())

    def assert_moved(self, done, *words):
        self.assert_exit(done, 1)
        said = done.stdout.decode()
        self.assertTrue(said.startswith("moved: "), said)
        for word in words:
            self.assertIn(word, said)

    def causes(self, done):
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = done.stdout.decode().splitlines()
        return [text.removeprefix("likely cause: ") for text in lines if text.startswith("likely cause: ")]

    def assert_could_not_run(self, done, message):
        self.assert_exit(done, 4, message)
        self.assertEqual(done.stdout, b"")


class Golden(CheckTest):
    def test_has_the_rows_of_prm_score_and_the_hash_of_the_ids(self):
        self.update("--spans", "--keep", "id")
        scored = run(self.docs, "--spans", "--keep", "id").stdout.splitlines()
        for row, printed in zip(self.golden.read_bytes().splitlines(), scored):
            digest = json.loads(row).get("ids_sha256", "").encode()
            self.assertEqual(digest == b"", b'"error"' in printed)
            self.assertEqual(row, printed[:-1] + (b',"ids_sha256":"' + digest + b'"' if digest else b"") + b"}")
        self.assertEqual(len(self.rows()), 4)

    def test_the_hash_is_that_of_the_ids_in_decimal(self):
        self.update("--join", "tokens")
        before = json.loads(run("prompts", "--join", "tokens", self.docs).stdout.splitlines()[0])
        template = json.loads(run("prompts", "--join", "tokens", stdin=line("x")).stdout)["input_ids"]
        marked = before["input_ids"]  # one chunk: template, ids, template
        begin = next(i for i, (a, b) in enumerate(zip(marked, template)) if a != b)
        ids = marked[begin:begin + before["end"]]
        self.assertEqual(self.rows()[0]["ids_sha256"], hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest())

    def test_metadata_says_what_gave_the_rows(self):
        self.update("--chunk-size", 32)
        metadata = json.loads(self.metadata.read_text())
        self.assertEqual(metadata["options"]["chunk-size"], 32)
        self.assertEqual(metadata["counts"]["bad_rows"], 1)
        self.assertEqual(metadata["exit_code"], 0)
        state = metadata["state"]
        weights = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
        self.assertEqual(state["fingerprint"]["SHA-256 of model.safetensors"], weights)
        self.assertEqual(state["progress"]["input_sha256"], hashlib.sha256(FIXTURES).hexdigest())
        self.assertIn("torch", state["recorded"])

    def test_is_the_same_after_update_to_the_last_digit(self):
        self.update()
        before = self.golden.read_bytes()
        done = self.check("--exact")
        self.assert_same(done)
        self.assertTrue(done.stdout.startswith(b"same: 4 rows, no difference of numbers; "), done.stdout)
        self.update()  # over an earlier one
        self.assertEqual(self.golden.read_bytes(), before)
        names = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual(names, ["docs.jsonl", "golden.jsonl", "golden.jsonl.metadata.json"])

    def test_no_golden_of_fixtures_that_cannot_be_scored(self):
        self.docs.write_bytes(b'{"body":"a"}\n{"body":"b"}\n')
        done = self.check("--update")
        self.assert_could_not_run(done, "--update: expected fixtures of which at least one can be scored, found none")
        self.assertIn(b'line 1: text: missing field "text"', done.stderr)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["docs.jsonl"])
        self.docs.write_bytes(b'{"body":"a"}\n{"text":"b"}\n')
        self.assertEqual(self.check("--update").returncode, 0)

    def test_may_be_what_prm_score_printed(self):
        self.golden.write_bytes(run(self.docs).stdout)
        self.assert_same(self.check(), "not compared: ids of 3 rows")
        self.edit(0, reward=5)
        self.assertEqual(self.causes(self.check()), ["unknown (the golden has no metadata of check --update)"])

    def test_comes_through_pipes_and_compressed(self):
        self.update()
        plain = self.golden.read_bytes()
        done = subprocess.run(["gzip", "-k", self.golden], check=False)
        self.assertEqual(done.returncode, 0)
        self.assert_same(run("check", "--golden", f"{self.golden}.gz", stdin=FIXTURES))
        self.assertEqual(self.golden.read_bytes(), plain)

    def test_of_nothing(self):
        self.update()
        golden = self.golden.read_bytes()
        self.docs.write_bytes(b"\n")
        for arguments in ((), ("--update",)):  # an upstream that yields nothing must not look fine
            self.assert_exit(self.check(*arguments), 4, "expected at least one line")
        self.assertEqual(self.golden.read_bytes(), golden)


    def test_an_earlier_report_does_not_outlive_a_run_that_is_stopped(self):
        self.update()
        junit = self.folder / "junit.xml"
        self.assertEqual(self.check("--junit", junit).returncode, 0)
        green = junit.read_bytes()
        with subprocess.Popen([program.PROGRAM, "check", "--model", str(MODEL), "--golden", self.golden, "--junit", junit],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=program.environment()) as process:
            deadline = time.monotonic() + 60
            while junit.read_bytes() == green and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        self.assertIn(b"has not come to its end", junit.read_bytes())

    def test_other_xml_is_not_written_over(self):
        self.update()
        mine = self.write("pom.xml", b'<?xml version="1.0"?>\n<project>precious</project>\n')
        self.assert_exit(self.check("--junit", mine), 4, "expected no file, or an earlier report in XML")
        self.assertIn(b"precious", mine.read_bytes())


class Moved(CheckTest):
    def setUp(self):
        super().setUp()
        self.update()

    def test_a_number_in_the_golden(self):
        number = self.rows()[1]["log_odds"][2]
        self.edit(1, log_odds={2: number + 0.5})
        done = self.check()
        self.assert_moved(done, "moved: 1 of 4 rows, largest difference 0.5 (line 2, chunk 2)", "\"b\"")
        heading, row = done.stdout.decode().splitlines()[1:3]
        self.assertEqual(heading.split(), ["line", "id", "what", "golden", "now", "difference", "allowed"])
        self.assertEqual(row.split()[:4], ["2", '"b"', "chunk", "2"])
        self.assertEqual(float(row.split()[5]), number)
        self.assertEqual(len(self.causes(done)), 1)
        self.assertIn("nothing that was recorded differs", self.causes(done)[0])

    def test_tolerances(self):
        number = self.rows()[0]["log_odds"][0]
        self.assertLess(abs(number), 10)
        for change, arguments, code in [(5e-5, [], 0), (2e-3, [], 1), (2e-3, ["--atol", "3e-3"], 0),
                                        (2e-3, ["--atol", "1e-3"], 1), (2e-3, ["--rtol", "100"], 0),
                                        (5e-5, ["--atol", "0", "--rtol", "0"], 1), (2e-6, ["--exact"], 1)]:
            with self.subTest(change=change, arguments=arguments):
                self.edit(0, log_odds={0: number + change}, reward=number + change)
                self.assertEqual(self.check(*arguments).returncode, code)

    def test_every_kind_of_difference(self):
        rows = self.rows()
        for what, change in {
            "row": {"line": 2}, "num_tokens": {"num_tokens": 1}, "ids": {"ids_sha256": "0" * 64},
            "warnings": {"warnings": ["context_cut"]}, "reward": {"reward": 7.5},
            "num_chunks": {"num_chunks": 2, "log_odds": [1, 2]}, "error": {"reward": None, "error": "x"},
        }.items():
            with self.subTest(what):
                self.write_rows([{**rows[0], **change}, *rows[1:]])
                self.assert_moved(self.check(), "moved: 1 of 4 rows", what)
        self.write_rows([*rows[:3], {**rows[3], "error": "text: other"}])
        self.assert_moved(self.check(), "moved: 1 of 4 rows", "error", "text: other")
        self.write_rows([{**rows[0], "log_odds": [None]}, *rows[1:]])
        self.assert_moved(self.check(), "chunk 0", "null")

    def test_kept_fields_and_spans_where_both_have_them(self):
        self.update("--spans", "--keep", "id")
        self.assert_same(self.check())
        self.edit(0, input={"id": "other"})
        self.assert_same(self.check())
        self.assert_moved(self.check("--keep", "id"), "input")
        self.update("--spans")
        self.edit(0, spans=[{**span, "chars": [0, 1]} for span in self.rows()[0]["spans"]])
        self.assert_same(self.check())
        self.assert_moved(self.check("--spans"), "spans")

    def test_rows_in_another_order_missing_or_too_many(self):
        rows = self.rows()
        for changed, count in [(rows[::-1], 4), (rows[:2], 2), ([*rows, {**rows[0], "line": 9}], 1), ([], 4)]:
            self.write_rows(changed)
            self.assert_moved(self.check(), f"moved: {count} of ", "row")

    def test_files_are_named(self):
        other = self.write("other.jsonl", FIXTURES)
        self.assert_exit(self.check(other, "--update"), 0)
        self.assert_same(self.check(other))
        self.edit(5, reward=7)
        self.assert_moved(self.check(other), f"(line {other}:2, reward)")


class Causes(CheckTest):
    def setUp(self):
        super().setUp()
        self.update()

    def copy_model(self):
        model = self.folder / "model"
        shutil.copytree(MODEL, model)
        return model

    def test_checkpoint(self):
        model = self.copy_model()
        file = model / "model.safetensors"
        data = bytearray(file.read_bytes())
        (size,) = struct.unpack("<Q", data[:8])
        begin, end = json.loads(data[8:8 + size])["model.norm.weight"]["data_offsets"]
        for place in range(8 + size + begin, 8 + size + end, 2):
            data[place:place + 2] = b"\0\x40"  # 2 in bfloat16
        file.write_bytes(data)
        (cause,) = self.causes(self.check(model=model))
        old = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()[:12]
        new = hashlib.sha256(data).hexdigest()[:12]
        self.assertEqual(cause, f"checkpoint: model.safetensors: {old}.. there, {new}.. now")

    def test_another_model_altogether(self):
        causes = self.causes(self.check(model=OTHER_MODEL))
        self.assertEqual([cause.split(":")[0] for cause in causes], ["tokenizer", "checkpoint"])
        self.assertNotIn("the same", causes[0])

    def test_tokenizer(self):
        model = self.copy_model()
        tokenizer = json.loads((model / "tokenizer.json").read_text())
        tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:1000]
        (model / "tokenizer.json").write_text(json.dumps(tokenizer))
        done = self.check(model=model)
        (cause,) = self.causes(done)
        self.assertTrue(cause.startswith("tokenizer: tokenizer.json: "), cause)
        self.assertIn("num_tokens", done.stdout.decode())

    def test_options(self):
        (cause,) = self.causes(self.check("--chunk-size", 32))
        self.assertEqual(cause, "options: --chunk-size: 64 there, 32 now; --stride: 64 there, 32 now")

    def test_dtype(self):
        (cause,) = self.causes(self.check("--dtype", "bfloat16"))
        self.assertEqual(cause, 'dtype: "float32" there, "bfloat16" now')
        self.update("--dtype", "bfloat16")
        self.assert_same(self.check("--dtype", "bfloat16", "--no-prefix-sharing"))
        self.assertEqual(self.check("--dtype", "bfloat16", "--no-prefix-sharing", "--exact").returncode, 1)
        self.update("--dtype", "int8")
        self.assert_same(self.check("--dtype", "int8", "--no-prefix-sharing"))
        self.assertEqual(self.check("--dtype", "float32").returncode, 1)

    def test_fixtures(self):
        self.docs.write_bytes(FIXTURES.replace(b"twice", b"thrice"))
        done = self.check()
        (cause,) = self.causes(done)
        old, new = (hashlib.sha256(data).hexdigest()[:12] for data in (FIXTURES, self.docs.read_bytes()))
        self.assertEqual(cause, f"fixtures: SHA-256 of the lines: {old}.. there, {new}.. now")

    def test_numerics(self):
        self.edit(0, log_odds={0: 9})
        self.edit_state("recorded", cpu="Some Other CPU", torch="2.11.0")
        (cause,) = self.causes(self.check())
        self.assertTrue(cause.startswith("numerics: same fixtures, checkpoint, tokenizer, template, options and dtype; "
                                         "cpu: Some Other CPU there, "), cause)
        self.assertIn("torch: 2.11.0 there, ", cause)

    def test_template(self):
        self.edit(0, log_odds={0: 9})
        self.edit_state("fingerprint", **{"SHA-256 of the template": "0" * 64})
        (cause,) = self.causes(self.check())
        self.assertTrue(cause.startswith("template: 000000000000.. there, "), cause)


class CannotRun(CheckTest):
    def test_files_that_are_missing(self):
        self.assert_could_not_run(self.check(), f"{self.golden}: expected the rows of an earlier run, "
                                                "found no such file (--update writes it)")
        self.golden.write_bytes(b"")
        self.docs.unlink()
        self.assert_could_not_run(self.check(), "No such file")
        self.docs.write_bytes(FIXTURES)
        self.assert_could_not_run(self.check(model=self.folder / "nowhere"), "no such folder")
        self.golden.unlink()
        self.golden.mkdir()
        self.assert_could_not_run(self.check(), "Is a directory")

    def test_goldens_that_are_none(self):
        self.update()
        good = self.golden.read_bytes()
        for bad, message in [
            (b"{", "not JSON"),
            (b"7", "expected an object, got a number"),
            (b'{"line":1,"reward":1}', 'num_tokens: missing field "num_tokens"'),
            (b'{"line":1,"reward":NaN}', "not JSON"),
            (b"\xff\xfe", "not JSON"),
            (b"[" * 100_000, "not JSON"),
        ]:
            with self.subTest(bad[:20]):
                self.golden.write_bytes(good.splitlines(keepends=True)[0] + bad + b"\n" + good)
                self.assert_could_not_run(self.check(), f"{self.golden}: line 2: expected a row of prm-score: {message}")
        self.golden.write_bytes(FIXTURES)
        self.assert_could_not_run(self.check(), f"{self.golden}: line 1: expected a row of prm-score, got what "
                                                "looks like a document, which prm-score scores")
        self.golden.write_bytes(good)
        for bad in (b"", b"{", b"[]", b'{"state":{"format":9}}'):
            self.metadata.write_bytes(bad)
            self.assert_could_not_run(self.check(), f"{self.metadata}: ")

    def test_weights_that_are_cut_short(self):
        model = self.folder / "model"
        shutil.copytree(MODEL, model)
        os.truncate(model / "model.safetensors", 1000)
        self.update()
        self.assert_could_not_run(self.check("--junit", self.junit, model=model), "model.safetensors")
        self.assertIn("model.safetensors", ElementTree.parse(self.junit).find(".//error").get("message"))

    def test_outputs_that_cannot_be_written(self):
        self.update()
        with open("/dev/full", "wb") as full:
            self.assert_exit(self.check(stdout=full), 4, "standard output: cannot be written: No space left")
        done = self.check(preexec_fn=lambda: os.close(1), stdout=None)
        self.assert_exit(done, 4, "standard output: cannot be written: Bad file descriptor")
        self.assert_could_not_run(self.check("--junit", "/dev/full"), "/dev/full: cannot be written: No space left")
        self.assert_could_not_run(self.check("--junit", self.folder / "no" / "junit.xml"), "cannot be written: No such")
        for golden in ("/dev/null", self.folder):
            done = run("check", self.docs, "--golden", golden, "--update")
            self.assert_could_not_run(done, f"--golden: {golden}: expected the name of a regular file")
        done = run("check", self.docs, "--golden", self.folder / "no" / "golden", "--update")
        self.assert_could_not_run(done, "cannot be written: No such file")

    @unittest.skipIf(os.geteuid() != 0, "mounting takes root")
    def test_an_update_on_a_full_disk_leaves_the_golden_as_it_was(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no tmpfs here: " + mounted.stderr.decode())
        self.addCleanup(subprocess.run, ["umount", disk])
        self.update()
        made = self.golden.read_bytes()
        self.golden = disk / "golden.jsonl"
        self.golden.write_bytes(made)
        before = self.golden.read_bytes()
        (disk / "filler").write_bytes(b"x" * (12 << 10))
        self.assert_could_not_run(self.check("--update"), f"{self.golden}: cannot be written: No space left")
        self.assertEqual(self.golden.read_bytes(), before)
        self.assertEqual(sorted(path.name for path in disk.iterdir()), ["filler", "golden.jsonl"])

    def test_a_reader_that_goes_away(self):
        self.update()
        reader, writer = os.pipe()
        os.close(reader)
        done = self.check("--log-level", "off", "--progress", "none", stdout=writer)
        os.close(writer)
        self.assert_exit(done, 141)
        self.assertEqual(done.stderr, b"")

    def test_a_signal_leaves_the_golden_as_it_was(self):
        self.update()
        before = self.golden.read_bytes()
        child = start("check", "--golden", self.golden, "--update")
        try:
            while b"threads" not in child.stderr.readline():  # the checkpoint is open
                pass
            child.stdin.write(line())
            child.stdin.flush()
            child.send_signal(signal.SIGTERM)
            output, said = child.communicate(timeout=60)
            self.assertEqual((child.returncode, output), (143, b""), said)
        finally:
            child.kill()
            child.communicate()
        self.assertEqual(self.golden.read_bytes(), before)

    def test_wrong_usage(self):
        self.update()
        for arguments in (["--exact", "--atol", "1"], ["--atol", "-1"], ["--rtol", "nan"], ["--junit", self.golden],
                          ["--junit", self.metadata], ["--junit", self.docs], ["--update", "--exact"], ["--errors-ok"]):
            self.assert_exit(self.check(*arguments), 2)
        self.assert_exit(run("check", self.docs), 2, "--golden: expected a file name, or --against, got none")
        self.assert_exit(run("--golden", "g"), 2, "expected an option of prm-score ")
        with self.golden.open("r+b") as golden:
            self.assert_exit(self.check(stdout=golden), 2, "--golden: expected another file than standard output's")
        self.assertEqual(len(self.rows()), 4)


class NothingIsWrittenOver(CheckTest):
    def test_the_fixtures(self):
        link = self.folder / "link"
        link.symlink_to(self.docs)
        for golden in (self.docs, link):
            self.assert_exit(run("check", self.docs, "--golden", golden, "--update"), 2,
                             "--golden: expected another file than the input")
        with self.docs.open("rb") as docs:
            self.assert_exit(run("check", "--golden", self.docs, "--update", stdin_file=docs), 2, "than the input")
        named_as_metadata = self.write("g.metadata.json", FIXTURES)
        done = run("check", named_as_metadata, "--golden", self.folder / "g", "--update")
        self.assert_exit(done, 2, "than the input")
        self.assertEqual((self.docs.read_bytes(), named_as_metadata.read_bytes()), (FIXTURES, FIXTURES))

    def test_other_files(self):
        other = self.write("other.jsonl", FIXTURES)
        self.assert_could_not_run(run("check", self.docs, "--golden", other, "--update"),
                                  f"--golden: {other}: expected no file, or a golden of check --update")
        rows = run(self.docs).stdout  # of a run, and perhaps its only copy
        other.write_bytes(rows)
        self.assert_could_not_run(run("check", self.docs, "--golden", other, "--update"), "a golden of check --update")
        self.assertEqual(other.read_bytes(), rows)
        other.write_bytes(FIXTURES)
        self.metadata.write_bytes(FIXTURES)
        self.assert_could_not_run(self.check("--update"), f"--golden: {self.metadata}: expected no file, or the meta")
        self.metadata.unlink()
        self.update()
        self.assert_could_not_run(self.check("--junit", other), f"--junit: {other}: expected no file, or an earlier")
        self.assertEqual(other.read_bytes(), FIXTURES)


class Junit(CheckTest):
    def suite(self, *arguments, **options):
        done = self.check("--junit", self.junit, *arguments, **options)
        return done, ElementTree.parse(self.junit).getroot().find("testsuite")

    def test_a_case_a_row(self):
        self.update()
        done, suite = self.suite()
        self.assert_same(done)
        self.assertEqual([suite.get(name) for name in ("tests", "failures", "errors")], ["4", "0", "0"])
        self.assertGreater(float(suite.get("time")), 0)
        self.assertEqual([case.get("name") for case in suite.findall("testcase")],
                         ['line 1, "a"', 'line 2, "b"', 'line 3, "c"', 'line 4, "bad"'])
        self.assertEqual(suite.findall(".//failure"), [])
        self.edit(1, log_odds={0: 9})
        done, suite = self.suite()
        self.assert_exit(done, 1)
        self.assertEqual([suite.get(name) for name in ("tests", "failures", "errors")], ["4", "1", "0"])
        (failure,) = suite.findall(".//failure")
        self.assertTrue(failure.get("message").startswith("chunk 0: 9 in the golden, "))
        self.assertIs(suite.findall("testcase")[1].find("failure"), failure)
        self.assertEqual(suite.findtext("system-out"), done.stdout.decode())

    def test_hostile_ids(self):
        hostile = ["\x00\x01\x1b[2J\x7f\x9b", "]]>", "<!--", "&amp;<failure/>", "\uffff\ufffe", "\"'", "\u202e", 1e400]
        self.docs.write_bytes(b"".join(line(id=name).replace(b"Infinity", b"1e400") for name in hostile) +
                              '{"id":"\x7f\x9b\uffff","text":7,"k":"]]>"}\n'.encode())
        self.update("--keep-all")
        done, suite = self.suite("--keep-all")
        self.assert_same(done)
        self.assertEqual(len(suite.findall("testcase")), 9)
        self.golden.write_bytes(self.golden.read_bytes().replace(b'"id":', b'"id":7,"old":'))
        done, suite = self.suite("--keep-all")
        self.assert_exit(done, 1)
        self.assertEqual(len(suite.findall(".//failure")), 9)
        for told in (done.stdout, self.junit.read_bytes()):
            self.assertNotRegex(told, b"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")

    def test_names_that_are_no_text(self):
        self.update()
        strange = os.fsencode(self.folder) + b"/\xff\x01]]>.jsonl"
        shutil.copy(self.golden, strange)
        done = run("check", self.docs, "--golden", strange, "--junit", self.junit)
        self.assert_exit(done, 0)
        name = ElementTree.parse(self.junit).find(".//testcase").get("classname")
        self.assertTrue(name.endswith("/\ufffd\\x01]]>.jsonl"), name)

    def test_of_what_could_not_run(self):
        done, suite = self.suite()
        self.assert_exit(done, 4)
        self.assertEqual([suite.get(name) for name in ("tests", "failures", "errors")], ["1", "0", "1"])
        self.assertIn("--update writes it", suite.find("testcase/error").get("message"))
        self.update()
        self.assert_same(self.suite()[0])  # over the earlier report


if __name__ == "__main__":
    program.main()
