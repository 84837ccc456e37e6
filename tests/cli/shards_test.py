"""--shard and --num-shards: who answers which line, what is refused, and how a shard goes on after a kill."""

import json
import random
import subprocess
import time

import program
from output_test import documents
from program import MODEL, ProgramTest, environment, rows_of, run

SLURM = {"SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "3",
         "SLURM_ARRAY_TASK_STEP": "1"}


def task(number, **variables):
    return SLURM | {"SLURM_ARRAY_TASK_ID": str(number)} | variables


def shard(number, num_shards):
    return ["--shard", number, "--num-shards", num_shards]


class LinesTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.a = self.write("a", b'\xef\xbb\xbf{"text":"one"}\r\n\n{"text":"two"}\n \nnope\n{"text":"three"}')
        self.b = self.write("b", b'{"text":"four"}\n\n\n{"text":"five"}\n')

    def rows_of_shards(self, num_shards, *arguments, command=("prompts",)):
        return [run(*command, self.a, self.b, *arguments, *shard(i, num_shards)).stdout.splitlines()
                for i in range(num_shards)]

    def test_every_nth_physical_line_over_all_files(self):
        places = [[(row["file"][-1:], row["line"]) for row in map(json.loads, rows)]
                  for rows in self.rows_of_shards(3)]
        # Physical lines: a1 a2(blank) a3 | a4(blank) a5 a6 | b1 b2(blank) b3(blank) | b4
        self.assertEqual(places, [[("a", 1), ("b", 1), ("b", 4)], [("a", 5)], [("a", 3), ("a", 6)]])

    def test_every_row_is_that_of_the_single_run_and_in_one_shard(self):
        for command, numbers in (([], (1, 3)), (["prompts"], (1, 2, 4, 7, 12))):
            single = sorted(run(*command, self.a, self.b).stdout.splitlines())
            for num_shards in numbers:
                with self.subTest(command=command, num_shards=num_shards):
                    rows = self.rows_of_shards(num_shards, command=command)
                    self.assertEqual(sorted(row for of_shard in rows for row in of_shard), single)

    def test_the_limit_is_applied_first(self):
        rows = self.rows_of_shards(2, "--limit", 6)
        self.assertEqual([[row["line"] for row in map(json.loads, of_shard)] for of_shard in rows], [[1, 3, 5], [6]])

    def test_pairs_and_plan_have_shards(self):
        pairs = self.write("pairs", b'{"chosen":"a","rejected":"b"}\n' * 3)
        self.assertEqual([row["line"] for row in rows_of(run("pairs", pairs, *shard(0, 2)).stdout)], [1, 3])
        plans = [json.loads(run("info", "--json", "--plan", self.a, *shard(i, 2)).stdout)["plan"] for i in range(2)]
        self.assertEqual([plan["documents"] for plan in plans], [2, 1])
        self.assertEqual([plan["bad_lines"] for plan in plans], [1, 0])

    def test_help_says_whose_rows_merge_does_not_take(self):
        for command, is_told in (((), False), (("info",), False), (("pairs",), True), (("prompts",), True)):
            said = " ".join(run(*command, "--help", model=None).stdout.decode().split())
            self.assertEqual("merge does not take these rows" in said, is_told, command)

    def test_metadata_has_the_shard(self):
        metadata = self.folder / "metadata.json"
        done = run(self.a, "--shard", "auto", "--metadata", metadata, env=task(2))
        self.assert_exit(done, 0)
        options = json.loads(metadata.read_text())["options"]
        self.assertEqual((options["shard"], options["num-shards"]), (2, 4))


class UsageTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", documents(9))

    def assert_usage(self, done, *words):
        self.assertEqual(done.returncode, 2, done.stderr.decode())
        self.assertEqual(done.stdout, b"")
        for word in words:
            self.assertIn(word, done.stderr.decode())
        self.assertEqual([path.name for path in self.folder.iterdir()], ["docs.jsonl"])

    def refuse(self, *arguments, words, env=None):
        out = self.folder / "out.jsonl"
        self.assert_usage(run(self.docs, "--output", out, *arguments, env=env), *words)

    def test_numbers_that_are_no_shard(self):
        self.refuse("--shard", "3", words=["--shard: expected --num-shards with it"])
        self.refuse("--num-shards", "3", words=["--num-shards: expected --shard with it"])
        self.refuse(*shard(3, 3), words=["from 0 to 2", "got 3"])
        self.refuse(*shard(-1, 3), words=['got "-1"'])
        self.refuse(*shard(0, 0), words=['got "0"'])

    def test_auto_outside_of_an_array(self):
        self.refuse("--shard", "auto", words=["SLURM_ARRAY_TASK_ID", "got none"])
        self.refuse("--shard", "auto", "--num-shards", "4", words=["SLURM_ARRAY_TASK_ID", "got none"])

    def test_a_task_that_is_sent_again_does_not_score_everything(self):
        alone = task(3, SLURM_ARRAY_TASK_COUNT="1", SLURM_ARRAY_TASK_MIN="3")
        self.refuse("--shard", "auto", words=["--num-shards", "one task, 3"], env=alone)
        expected = run(self.docs, *shard(3, 4)).stdout
        self.assertEqual(run(self.docs, "--shard", "auto", "--num-shards", 4, env=alone).stdout, expected)
        self.assertEqual(run(self.docs, "--shard", "auto", env=task(3)).stdout, expected)

    def test_a_task_that_has_no_shard(self):
        self.refuse("--shard", "auto", "--num-shards", "4", words=["from 0 to 3", "got 4"], env=task(4))
        self.refuse("--shard", "auto", words=["equally far apart"], env=task(9, SLURM_ARRAY_TASK_MAX="9"))

    def test_the_environment_may_name_the_shard(self):
        expected = run(self.docs, *shard(1, 2)).stdout
        variables = {"PRM_SCORE_SHARD": "1", "PRM_SCORE_NUM_SHARDS": "2"}
        self.assertEqual(run(self.docs, env=variables).stdout, expected)


class OutputTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", documents(60))
        self.out = self.folder / "out.1.jsonl"
        self.expected = run(self.docs, *shard(1, 3)).stdout

    def score(self, *arguments):
        return run(self.docs, "--output", self.out, *arguments)

    def assert_refused(self, done, *words):
        self.assertEqual(done.returncode, 1, done.stderr.decode())
        for word in words:
            self.assertIn(word, done.stderr.decode().splitlines()[-1])

    def test_state_has_the_shard_and_what_was_read(self):
        self.assertEqual(self.score(*shard(1, 3)).returncode, 3)
        state = json.loads(self.out.with_name("out.1.jsonl.state").read_text())
        self.assertEqual(state["shard"], 1)
        self.assertEqual(state["fingerprint"]["--num-shards"], 3)
        num_rows = self.expected.count(b"\n")
        self.assertEqual(state["input"]["files"], [{"lines": 60, "rows": num_rows}])
        self.assertEqual(state["progress"]["counts"]["lines"], 60)

    def test_another_shard_or_number_of_shards_is_refused(self):
        self.score(*shard(1, 3))
        rows = self.out.read_bytes()
        self.assertEqual(rows, self.expected)
        self.assertEqual(self.score(*shard(1, 3), "--resume").returncode, 3)
        self.assert_refused(self.score(*shard(2, 3), "--resume"), "expected shard 1, which began it, got shard 2")
        self.assert_refused(self.score(*shard(1, 4), "--resume"), "--num-shards: 3 there, 4 now")
        self.assert_refused(self.score("--resume"), "--num-shards: 3 there, nothing now")
        self.assertEqual(self.out.read_bytes(), rows)

    def test_another_version_is_refused(self):
        self.score(*shard(1, 3))
        state = self.out.with_name("out.1.jsonl.state")
        state.write_text(state.read_text().replace('"prm_score": "', '"prm_score": "7.', 1))
        self.assert_refused(self.score(*shard(1, 3), "--resume"), "prm_score: \"7.")

    def test_kills_and_resumes_give_the_rows_of_one_run(self):
        chance = random.Random(20)
        command = [program.PROGRAM, "--model", str(MODEL), str(self.docs), "--output", str(self.out), "--resume",
                   *map(str, shard(1, 3))]
        num_kills = 0
        while num_kills < 4:
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment())
            time.sleep(chance.uniform(0.1, 0.5))
            process.kill()
            num_kills += process.wait() == -9
            if self.out.exists():
                self.out.unlink()
        self.assertEqual(self.score(*shard(1, 3), "--resume").returncode, 3)
        self.assertEqual(self.out.read_bytes(), self.expected)

    def test_a_torn_shard_goes_on_behind_what_was_answered(self):
        """Also where its last answered line is not the last that it has read."""
        self.score(*shard(1, 3))
        state_file = self.out.with_name("out.1.jsonl.state")
        whole = json.loads(state_file.read_text())
        partial = self.out.with_name("out.1.jsonl.partial")
        lines = self.expected.splitlines(keepends=True)
        self.out.unlink()
        partial.write_bytes(b"".join(lines[:5]) + b'{"line":')
        state = {key: whole[key] for key in ("format", "fingerprint", "recorded", "shard")}
        zero = {name: 0 for name in ("lines", "scored_rows", "bad_rows", "tokens", "chunks")}
        zero["warnings"] = {name: 0 for name in whole["progress"]["counts"]["warnings"]}
        state |= {"progress": {"bytes": 0, "counts": zero, "input_sha256": ""}, "exit_code": None}
        state_file.write_text(json.dumps(state))
        done = self.score(*shard(1, 3), "--resume")
        self.assertEqual(done.returncode, 3, done.stderr.decode())
        self.assertIn("goes on after 5 rows", done.stderr.decode())
        self.assertEqual(self.out.read_bytes(), self.expected)
        self.assertEqual(json.loads(state_file.read_text()), whole)


if __name__ == "__main__":
    program.main()
