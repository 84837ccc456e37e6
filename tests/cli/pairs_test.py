"""prm-score pairs: the rewards are those of scoring each text alone, the accuracy is what can be counted in the rows."""

import json
import math
import shutil
import signal
import subprocess

import program
from program import line, run, start

TEXTS = [
    "The committee met twice in March and agreed to nothing.",
    "met committee March in The agreed twice nothing and to.",
    "Fellow citizens of the Senate and of the House of Representatives. " * 12,
    "Naïve façades, 東京, \U0001f600.",
]


def pair(number):
    """Some with a prompt, some with a subset, some ties."""
    fields = {"id": number, "chosen": TEXTS[number % 4], "rejected": TEXTS[number * 3 % 4]}
    if number % 2:
        fields["prompt"] = f"Write line {number}. "
    if number % 3:
        fields["subset"] = f"part {number % 3}"
    return fields


class PairsTest(program.ProgramTest):
    def rows_of(self, done):
        return [json.loads(row) for row in done.stdout.splitlines()]

    def test_rewards_are_those_of_each_text_alone(self):
        pairs = [pair(number) for number in range(24)]
        metadata = self.folder / "metadata.json"
        done = run("pairs", "--metadata", metadata, stdin=b"".join(json.dumps(p).encode() + b"\n" for p in pairs))
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        rows = self.rows_of(done)
        alone = {}
        for side in ("chosen", "rejected"):
            lines = b"".join(line(p[side], context=p.get("prompt", "")) for p in pairs)
            scored = self.rows_of(run("--context-field", "context", stdin=lines))
            alone[side] = [row["reward"] for row in scored]
        for number, row in enumerate(rows):
            names = ["line", "id", "reward_chosen", "reward_rejected", "margin", "probability"]
            self.assertEqual(list(row), names)
            self.assertEqual((row["line"], row["id"]), (number + 1, number))
            self.assertEqual(row["reward_chosen"], alone["chosen"][number])
            self.assertEqual(row["reward_rejected"], alone["rejected"][number])
            self.assertEqual(row["margin"], row["reward_chosen"] - row["reward_rejected"])
            self.assertAlmostEqual(row["probability"], 1 / (1 + math.exp(-row["margin"])), 14)
        self.assert_summary(json.loads(metadata.read_text())["pairs"], rows, pairs, done.stderr.decode())

    def assert_summary(self, found, rows, pairs, said):
        def accuracy(some):
            return sum(1 if row["margin"] > 0 else 0.5 if row["margin"] == 0 else 0 for row in some) / len(some)

        self.assertEqual(found["num_pairs"], len(rows))
        self.assertEqual(found["num_ties"], sum(row["margin"] == 0 for row in rows))
        self.assertGreater(found["num_ties"], 0)
        self.assertEqual(found["accuracy"], accuracy(rows))
        low, high = found["confidence_interval"]
        self.assertTrue(0 <= low <= found["accuracy"] <= high <= 1)
        self.assertEqual(sorted(found["subsets"]), ["part 1", "part 2"])
        for name, subset in found["subsets"].items():
            some = [row for row, p in zip(rows, pairs) if p.get("subset") == name]
            self.assertEqual((subset["num_pairs"], subset["accuracy"]), (len(some), accuracy(some)))
            self.assertIn(f"subset {name}: accuracy", said)
        self.assertIn(f"all: accuracy {found['accuracy']:.4f}", said)

    def test_bad_pairs_cost_one_row_each(self):
        good = json.dumps(pair(1)).encode()
        lines = [good, b"{", b'{"id":2,"chosen":"x"}', b'{"id":3,"chosen":"x","rejected":""}',
                 b'{"id":4,"chosen":[{"role":"user","content":"x"}],"rejected":"y"}', b" ", good]
        done = run("pairs", stdin=b"\n".join(lines))
        self.assertEqual(done.returncode, 3)
        rows = self.rows_of(done)
        self.assertEqual([row["line"] for row in rows], [1, 2, 3, 4, 5, 7])
        self.assertEqual([row["margin"] is None for row in rows], [False, True, True, True, True, False])
        for row, word in zip(rows[1:], ["not JSON", "rejected: missing field", "rejected: no tokens", "jq -c"]):
            self.assertIn(word, row["error"])
        self.assertEqual({**rows[0], "line": 7}, rows[-1])
        self.assertIn("all: accuracy", done.stderr.decode())
        self.assertEqual(run("pairs", "--max-errors", "2", stdin=b"\n".join(lines)).stdout.count(b"\n"), 3)
        self.assertEqual(run("pairs", "--errors-ok", stdin=b"\n".join(lines)).returncode, 0)

    def test_bad_pairs_are_counted_by_subset(self):
        metadata = self.folder / "metadata.json"
        lines = b"".join(json.dumps(fields).encode() + b"\n" for fields in [
            {**pair(1), "subset": "some"}, {"chosen": "x", "subset": "some"}, {"chosen": "x", "subset": "none"},
            {"chosen": "x", "rejected": "", "subset": "none"}, {"chosen": ["x"], "rejected": "", "subset": "none"},
            {"prompt": 7, "subset": "none"}]) + b"?\n"
        done = run("pairs", "--metadata", metadata, stdin=lines)
        found = json.loads(metadata.read_text())["pairs"]
        counts = {name: (subset["num_pairs"], subset["num_bad"]) for name, subset in found["subsets"].items()}
        self.assertEqual(counts, {"some": (1, 1), "none": (0, 4)})
        self.assertEqual((found["num_pairs"], found["num_bad"]), (1, 6))
        none = found["subsets"]["none"]
        self.assertEqual((none["accuracy"], none["confidence_interval"]), (None, None))
        for words in (", 1 pair, 0 ties, 1 bad pair", "none: no accuracy, 0 pairs, 4 bad pairs", ", 6 bad pairs"):
            self.assert_exit(done, 3, words)
        self.assertNotIn("bad pair", run("pairs", stdin=lines.splitlines()[0]).stderr.decode())

    def flattened(self, pairs, *arguments):
        """By the command that the error of the first line shows, run by a shell."""
        if shutil.which("jq") is None:
            self.skipTest("no jq here")
        lines = b"".join(json.dumps(fields).encode() + b"\n" for fields in pairs)
        error = json.loads(run("pairs", *arguments, stdin=lines).stdout.splitlines()[0])["error"]
        command = error[error.index("jq -c"):]
        done = subprocess.run(["bash", "-c", command], input=lines, capture_output=True, check=True)
        self.assertEqual(run("pairs", *arguments, stdin=done.stdout).returncode, 0, done.stdout)
        return [json.loads(row) for row in done.stdout.splitlines()]

    def test_lists_of_messages_are_flattened_by_the_command_of_the_error(self):
        def messages(*contents):
            return [{"content": text, "role": "assistant" if i % 2 else "user"} for i, text in enumerate(contents)]

        system, question = {"role": "system", "content": "S"}, {"role": "user", "content": "Q"}
        good, bad = ([{"role": "assistant", "content": text}] for text in ("good", "bad"))
        texts = {"chosen": "good", "rejected": "bad"}
        whole = {"chosen": messages("Q", "good"), "rejected": messages("Q", "bad")}
        asked = {"prompt": "Q\n\n", **texts}
        cases = [
            # TRL: the prompt within both, and beside them.
            ({**whole, "tags": [{"content": 1}]}, {**asked, "tags": [{"content": 1}]}),
            ({"prompt": [system, question], "chosen": good, "rejected": bad}, {"prompt": "S\n\nQ\n\n", **texts}),
            ({"prompt": [question], "chosen": messages("A", "good"), "rejected": messages("A", "bad")},
             {"prompt": "Q\n\nA\n\n", **texts}),
            # As data sets of rated answers have it: the prompt is the first message, too.
            ({"prompt": "Q", **whole}, asked),
            ({"prompt": None, **whole}, asked),
            ({"prompt": "Q", "chosen": good, "rejected": bad}, asked),
            ({"prompt": [question], **texts}, asked),
            # RewardBench: nothing to do.
            ({"prompt": "Q", "subset": "chat", **texts}, {"prompt": "Q", "subset": "chat", **texts}),
            (texts, texts),
            # Several turns, the same answer twice, an answer longer by a turn, one that differs from the start.
            ({"chosen": messages("Q", "A", "R", "good"), "rejected": messages("Q", "A", "R", "bad")},
             {"prompt": "Q\n\nA\n\nR\n\n", **texts}),
            ({"chosen": messages("Q", "good"), "rejected": messages("Q", "good")}, {**asked, "rejected": "good"}),
            ({"chosen": messages("Q", "good", "more", "end"), "rejected": messages("Q", "bad")},
             {**asked, "chosen": "good\n\nmore\n\nend"}),
            ({"chosen": messages("Q", "good"), "rejected": messages("P", "bad")},
             {"prompt": "", "chosen": "Q\n\ngood", "rejected": "P\n\nbad"}),
        ]
        found = self.flattened([fields for fields, _ in cases])
        for (fields, expected), row in zip(cases, found, strict=True):
            self.assertEqual(row, expected, fields)

    def test_the_command_has_the_names_of_the_fields(self):
        names = ["it's", 'a "b" \\(1)', "$HOME"]
        texts = [[{"role": "assistant", "content": text}] for text in ("good", "bad")]
        fields = {names[0]: texts[0], names[1]: texts[1], names[2]: "Q", "chosen": [{"content": "not ours"}]}
        row = self.flattened([fields], "--chosen-field", names[0], "--rejected-field", names[1], "--context-field",
                             names[2])
        self.assertEqual(row, [{**fields, names[0]: "good", names[1]: "bad", names[2]: "Q\n\n"}])

    def test_one_pair_is_a_pair(self):
        said = run("pairs", stdin=json.dumps({"chosen": "a b", "rejected": "a b"}).encode()).stderr.decode()
        self.assertIn(", 1 pair, 1 tie\n", said)

    def test_documents_and_rows_are_told_of(self):
        documents = line("some text")
        for lines, words in [(documents, "it looks like a document, which prm-score scores"),
                             (run(stdin=documents).stdout, "it looks like a row of rewards, which prm-score report")]:
            error = json.loads(run("pairs", stdin=lines).stdout)["error"]
            self.assertTrue(error.startswith('chosen: missing field "chosen"; ' + words), error)

    def test_no_pairs(self):
        metadata = self.folder / "metadata.json"
        self.assertEqual(run("pairs", "--metadata", metadata).returncode, 0)
        found = json.loads(metadata.read_text())["pairs"]
        self.assertEqual((found["num_pairs"], found["accuracy"], found["confidence_interval"]), (0, None, None))

    def test_a_pair_is_answered_while_the_input_pauses(self):
        child = start("pairs")
        try:
            child.stdin.write(json.dumps(pair(1)).encode() + b"\n")
            child.stdin.flush()
            self.assertEqual(json.loads(child.stdout.readline())["id"], 1)
            child.send_signal(signal.SIGTERM)
            _, said = child.communicate(timeout=60)
            self.assertEqual(child.returncode, 143, said.decode())
        finally:
            child.kill()
            child.communicate()

    def test_options_of_other_commands_are_refused(self):
        for arguments in (["pairs", "--output", "x"], ["pairs", "--spans"], ["--chosen-field", "x"],
                          ["pairs", "--rejected-field", "chosen"]):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2, arguments)


if __name__ == "__main__":
    program.main()
