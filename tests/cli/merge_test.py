"""prm-score merge: the rows of one run, byte for byte, from its shards; and what is refused."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time

import program
from program import MODEL, ProgramTest, environment, run

SEED = 20261129
WORDS = ["the", "committee", "met", "twice", "in", "March", "na\u00efve", "\u6771\u4eac", "42", "\U0001f600"]


def random_line(chance):
    kind = chance.random()
    if kind < 0.2:
        return chance.choice([b"", b" ", b"\t \r"])
    if kind < 0.4:
        return chance.choice([b"nope", b"{}", b'{"text":7,"id":1}', b"\xff", b'{"text":""}'])
    text = " ".join(chance.choices(WORDS, k=chance.randint(1, 12)))
    return json.dumps({"id": chance.randrange(10**18), "text": text}, ensure_ascii=chance.random() < 0.5).encode()


def random_file(chance):
    """Blank and bad lines, both line ends, with or without a byte order mark and a last line feed; perhaps empty."""
    lines = [random_line(chance) + chance.choice([b"\n", b"\r\n"]) for _ in range(chance.randrange(9))]
    data = chance.choice([b"", b"\xef\xbb\xbf"]) + b"".join(lines)
    return data if chance.random() < 0.6 else data.rstrip(b"\r\n")


class MergeTest(ProgramTest):
    def score(self, files, output, *arguments):
        done = run(*files, "--output", output, "--threads", 1, "--progress", "none", *arguments)
        self.assertIn(done.returncode, (0, 3), done.stderr.decode())
        return done.returncode

    def make_shards(self, files, num_shards, *arguments, prefix="out"):
        paths = [self.folder / f"{prefix}.{number}.jsonl" for number in range(num_shards)]
        for number, path in enumerate(paths):
            self.score(files, path, "--shard", number, "--num-shards", num_shards, *arguments)
        return paths

    def state_of(self, path):
        return path.with_name(path.name + ".state")

    def assert_refused(self, done, *words, code=1):
        self.assertEqual(done.returncode, code, done.stderr.decode())
        self.assertEqual(done.stdout, b"")
        said = done.stderr.decode().strip().splitlines()
        for word in words:
            self.assertIn(word, said[-1])
        self.assertFalse(any(path.name.startswith("merged") for path in self.folder.iterdir()))


class SameAsOneRunTest(MergeTest):
    def test_random_inputs(self):
        chance = random.Random(SEED)
        for number in range(6):
            files = [self.write(f"in.{i}", random_file(chance)) for i in range(chance.randint(1, 3))]
            if chance.random() < 0.5:
                files.append(chance.choice(files))  # the same name twice: lines alone do not tell which it is
            num_shards = number + 1
            limit = ["--limit", chance.randrange(12)] if chance.random() < 0.5 else []
            with self.subTest(number=number, num_shards=num_shards, limit=limit):
                self.check(files, num_shards, limit, chance)

    def test_more_shards_than_lines(self):
        self.check([self.write("in", b'\n{"text":"a"}\nnope\n')], 7, [], random.Random(SEED))

    def test_no_rows_at_all(self):
        self.check([self.write("in", b"\n\n")], 2, [], random.Random(SEED))

    def check(self, files, num_shards, arguments, chance):
        single, merged = self.folder / "single.jsonl", self.folder / "merged.jsonl"
        code = self.score(files, single, *arguments, "--overwrite")
        shards = self.make_shards(files, num_shards, *arguments, "--overwrite")
        chance.shuffle(shards)
        done = run("merge", *shards, "--output", merged, "--overwrite", model=None)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        self.assertEqual(merged.read_bytes(), single.read_bytes())
        self.assertEqual(self.state_of(merged).read_bytes(), self.state_of(single).read_bytes())
        to_stdout = run("merge", *shards, model=None)
        self.assertEqual((to_stdout.returncode, to_stdout.stdout), (code, single.read_bytes()))
        resumed = run(*files, "--output", merged, "--resume", "--threads", 1, *arguments)
        self.assertEqual(resumed.returncode, code)
        self.assertIn("already complete", resumed.stderr.decode())


class RefusalsTest(MergeTest):
    """Each changes something of three good shards, which are made once."""

    made = None

    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", b"".join(b'{"text":"word %d"}\n' % i for i in range(11)) + b"nope\n")
        if RefusalsTest.made is None:
            paths = self.make_shards([self.docs], 3)
            RefusalsTest.made = {file.name: file.read_bytes() for path in paths for file in (path, self.state_of(path))}
        for name, data in self.made.items():
            self.write(name, data)
        self.shards = [self.folder / f"out.{number}.jsonl" for number in range(3)]
        self.merged = self.folder / "merged.jsonl"

    def merge(self, *arguments, shards=None):
        return run("merge", *(shards or self.shards), "--output", self.merged, *arguments, model=None)

    def test_nothing_is_wrong(self):
        self.assertEqual(self.merge().returncode, 3)
        self.assertEqual(self.merge("--overwrite", "--errors-ok").returncode, 0)
        self.assertEqual(run("merge", *self.shards, "--errors-ok", model=None).returncode, 0)

    def test_a_shard_that_is_missing_or_there_twice(self):
        self.assert_refused(self.merge(shards=self.shards[:2]), "expected all 3 shards, found 2: missing: 2")
        copy = self.folder / "copy.jsonl"
        shutil.copy(self.shards[1], copy)
        shutil.copy(self.state_of(self.shards[1]), self.state_of(copy))
        self.assert_refused(self.merge(shards=[*self.shards, copy]), "out.1.jsonl and", "copy.jsonl", "shard 1 of 3")

    def test_a_shard_that_is_not_complete(self):
        self.shards[1].rename(self.shards[1].with_name("out.1.jsonl.partial"))
        self.assert_refused(self.merge(), "out.1.jsonl.partial", "--resume")
        self.shards[1].with_name("out.1.jsonl.partial").unlink()
        self.assert_refused(self.merge(), "out.1.jsonl: expected the output of a shard, found no such file")

    def test_a_shard_without_its_state(self):
        self.state_of(self.shards[1]).unlink()
        self.assert_refused(self.merge(), "out.1.jsonl.state", "no such file")
        self.state_of(self.shards[1]).write_text("{}")
        self.assert_refused(self.merge(), "out.1.jsonl.state", "expected the state of a run")

    def test_rows_that_have_changed(self):
        rows = self.shards[1].read_bytes()
        for changed, word in (
            (rows[:-1], "bytes, as were written"),
            (rows + b"{}\n", "bytes, as were written"),
            (rows[:-1] + b" ", "line feed"),
            (rows.replace(b'"line":2,', b'"line":3,'), "found line 3"),
            (rows.replace(b'"num_chunks":1', b'"num_chunks":2', 1), "SHA-256"),
        ):
            with self.subTest(word=word):
                self.assertNotEqual(changed, rows)
                self.shards[1].write_bytes(changed)
                self.assert_refused(self.merge(), "out.1.jsonl", word)
                self.assert_refused(run("merge", *self.shards, model=None), "out.1.jsonl", word)

    def edit_state(self, **changes):
        state = json.loads(self.state_of(self.shards[2]).read_text())
        for path, value in changes.items():
            *outer, last = path.split("__")
            place = state
            for key in outer:
                place = place[key]
            place[last] = value
        self.state_of(self.shards[2]).write_text(json.dumps(state))

    def test_shards_of_other_runs(self):
        self.edit_state(fingerprint__dtype="bfloat16")
        self.assert_refused(self.merge(), "out.2.jsonl", 'dtype: "float32" in', '"bfloat16" in')
        self.edit_state(fingerprint__dtype="float32", fingerprint__prm_score="0.0.9")
        self.assert_refused(self.merge(), 'prm_score: "', '"0.0.9" in')

    def test_another_checkpoint(self):
        folder = self.folder / "judge"
        shutil.copytree(MODEL, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-5}))
        run(self.docs, "--output", self.shards[2], "--overwrite", "--shard", 2, "--num-shards", 3, model=folder)
        self.assert_refused(self.merge(), "out.2.jsonl", "SHA-256 of config.json")

    def test_another_number_of_shards(self):
        self.score([self.docs], self.shards[2], "--overwrite", "--shard", 2, "--num-shards", 4)
        self.assert_refused(self.merge(), "--num-shards: 3 in", "4 in")

    def test_another_input(self):
        other = self.write("other.jsonl", self.docs.read_bytes().replace(b"word 7", b"WORD 7"))
        self.score([other], self.shards[2], "--overwrite", "--shard", 2, "--num-shards", 3)
        self.assert_refused(self.merge(), "out.2.jsonl: expected the input of", "12 lines, SHA-256")

    def test_a_run_without_shards(self):
        self.score([self.docs], self.folder / "whole.jsonl")
        self.assert_refused(self.merge(shards=[self.folder / "whole.jsonl"]), "a run without")

    def test_another_machine_is_told(self):
        self.edit_state(recorded__cpu="Some Other CPU")
        done = self.merge()
        self.assertEqual(done.returncode, 3)
        self.assertIn("Some Other CPU in", done.stderr.decode())

    def test_usage(self):
        self.assert_refused(run("merge", model=None), "expected the --output files of all shards", code=2)
        self.assert_refused(run("merge", "-", model=None), 'got "-"', code=2)
        for output in (self.shards[0], self.state_of(self.shards[0])):
            done = run("merge", *self.shards, "--output", output, "--overwrite", model=None)
            self.assert_refused(done, "--output: expected another file than the input", code=2)
        with self.shards[0].open("ab") as rows:
            done = run("merge", *self.shards, model=None, stdout=rows)
        self.assertEqual(done.returncode, 2, done.stderr)
        for name, data in self.made.items():
            self.assertEqual((self.folder / name).read_bytes(), data)

    def test_an_output_that_is_there(self):
        self.merged.write_text("mine")
        done = self.merge()
        self.assertEqual(done.returncode, 1)
        self.assertIn("already there", done.stderr.decode())
        self.assertEqual(self.merged.read_text(), "mine")
        self.assertEqual(self.merge("--overwrite").returncode, 3)
        again = self.merge("--resume")
        self.assertEqual(again.returncode, 3)
        self.assertIn("already complete", again.stderr.decode())
        self.assertEqual(self.merge("--resume", "--errors-ok").returncode, 3)
        self.assertEqual(self.merge("--overwrite", "--errors-ok").returncode, 0)
        self.assertEqual(self.merge("--resume").returncode, 0)

    def test_a_complete_output_of_other_shards(self):
        other = self.write("other.jsonl", self.docs.read_bytes().replace(b"word 7", b"WORD 7"))
        self.score([other], self.merged, "--overwrite")
        before = self.merged.read_bytes()
        done = self.merge("--resume")
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected the rows of these shards", done.stderr.decode())
        self.assertEqual(self.merged.read_bytes(), before)


class KillsTest(MergeTest):
    """Bad rows, which take no time: enough of them for a merge to be killed in the middle."""

    NUM_ROWS = 60_000
    made = None

    def setUp(self):
        super().setUp()
        self.merged = self.folder / "merged.jsonl"
        self.partial = self.folder / "merged.jsonl.partial"
        if KillsTest.made is None:
            KillsTest.made = tempfile.TemporaryDirectory()
            self.addClassCleanup(KillsTest.made.cleanup)
            own, self.folder = self.folder, pathlib.Path(KillsTest.made.name)
            docs = self.write("docs.jsonl", b"nope\n" * self.NUM_ROWS)
            self.make_shards([docs], 3)
            self.score([docs], self.folder / "single.jsonl")
            self.folder = own
        folder = pathlib.Path(KillsTest.made.name)
        self.docs, self.single = folder / "docs.jsonl", folder / "single.jsonl"
        self.shards = [folder / f"out.{number}.jsonl" for number in range(3)]

    def test_a_killed_merge_goes_on(self):
        command = [program.PROGRAM, "merge", *map(str, self.shards), "--output", str(self.merged), "--resume"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment())
        deadline = time.monotonic() + 60
        while not (self.partial.exists() and self.partial.stat().st_size > 1000):
            self.assertLess(time.monotonic(), deadline)
        process.kill()
        process.wait()
        self.assertTrue(self.partial.exists())
        self.assertFalse(self.merged.exists())
        with self.partial.open("ab") as file:
            file.write(b'{"line":')
        done = subprocess.run(command, stderr=subprocess.PIPE, env=environment())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(self.merged.read_bytes(), self.single.read_bytes())
        self.assertEqual(self.state_of(self.merged).read_bytes(), self.state_of(self.single).read_bytes())

    def test_a_signal_leaves_whole_rows_that_no_run_takes_for_its_own(self):
        command = [program.PROGRAM, "merge", *map(str, self.shards), "--output", str(self.merged), "--resume"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment())
        deadline = time.monotonic() + 60
        while not (self.partial.exists() and self.partial.stat().st_size > 1000):
            self.assertLess(time.monotonic(), deadline)
        process.terminate()
        _, said = process.communicate()
        self.assertEqual(process.returncode, 143)
        self.assertIn("interrupted by SIGTERM", said.decode())
        self.assertIn(f"the rows so far are in {self.partial}; the same command with --resume goes on", said.decode())
        rows = self.partial.read_bytes()
        self.assertTrue(self.single.read_bytes().startswith(rows))
        self.assertTrue(rows.endswith(b"\n"))
        done = run(self.docs, "--output", self.merged, "--resume", "--threads", 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("a merge that did not come to its end", done.stderr.decode())
        self.assertEqual(subprocess.run(command, stderr=subprocess.PIPE, env=environment()).returncode, 3)
        self.assertEqual(self.merged.read_bytes(), self.single.read_bytes())

    def test_a_closed_pipe(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = run("merge", *self.shards, model=None, stdout=write_end)
        os.close(write_end)
        self.assertEqual((done.returncode, b"error" in done.stderr), (141, False))

    def test_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            done = run("merge", *self.shards, model=None, stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr.decode())


if __name__ == "__main__":
    program.main()
