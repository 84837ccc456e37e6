"""prm-score report: files in, one HTML file out; errors that name the place; no input text unescaped."""

import gzip
import json
import os
import pty
import subprocess

import program
from program import line, rows_of, run

HOSTILE = "</script><script>alert(1)</script><!-- \"'& <img src=x onerror=alert(2)> \u2028 \u202e e\u0301 \u05d0"
DOCUMENTS = [
    "The committee met twice in March and agreed to nothing. " * 8,
    HOSTILE,
    "met committee March in The agreed twice nothing and to. " * 8,
    "Naïve façades, 東京, \U0001f600." * 20,
]


def report(*arguments, **options):
    return run("report", *arguments, model=None, **options)


def data_of(page):
    """The data that the page's script gets."""
    return json.loads(page.split(b'id="data">')[1].split(b"</script>")[0])


def row(number, **more):
    return {
        "line": number,
        "id": f"d{number}",
        "reward": number / 8,
        "num_tokens": 5,
        "num_chunks": 1,
        "log_odds": [number / 8],
        **more,
    }


def lines_of(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


class ReportTest(program.ProgramTest):
    def scored(self, *arguments, name="rewards.jsonl", documents=DOCUMENTS):
        docs = self.write("docs.jsonl", b"".join(line(text, id=f"d{i}") for i, text in enumerate(documents)))
        done = run(*arguments, docs)
        self.assert_exit(done, 0)
        return docs, self.write(name, done.stdout)

    def shaded_texts(self, page):
        """Text by row number, of the documents that are shaded."""
        return {
            details["number"]: "".join(piece[0] for piece in details["pieces"])
            for details in data_of(page)["details"]
            if details["pieces"]
        }

    def test_texts_come_from_docs_or_from_the_rows(self):
        docs, rewards = self.scored("--spans")
        expected = dict(enumerate(DOCUMENTS))
        output = self.folder / "report.html"
        done = report(rewards, "--docs", docs, "-o", output)
        self.assert_exit(done, 0)
        self.assertEqual((done.stdout, self.shaded_texts(output.read_bytes())), (b"", expected))
        _, kept = self.scored("--spans", "--keep-all", name="kept.jsonl")
        self.assertEqual(self.shaded_texts(report(kept).stdout), expected)
        self.assertEqual(self.shaded_texts(report(stdin=kept.read_bytes()).stdout), expected)
        self.assertEqual(self.shaded_texts(report("-", "--docs", docs, stdin=rewards.read_bytes()).stdout), expected)
        self.assertEqual(self.shaded_texts(report(rewards, "--docs", "-", stdin=docs.read_bytes()).stdout), expected)
        packed = self.write("docs.jsonl.gz", gzip.compress(docs.read_bytes()))
        self.assertEqual(self.shaded_texts(report(rewards, "--docs", packed).stdout), expected)
        self.assertEqual(report(rewards, "--docs", docs).stdout, report(rewards, "--docs", docs).stdout)

    def test_numbers_are_those_of_the_rows(self):
        _, rewards = self.scored("--spans", "--keep-all")
        rows = rows_of(rewards.read_bytes())
        data = data_of(report(rewards).stdout)
        table = data["table"]
        self.assertEqual(table["reward"], [row["reward"] for row in rows])
        self.assertEqual(table["tokens"], [row["num_tokens"] for row in rows])
        self.assertEqual(table["line"], [row["line"] for row in rows])
        for details in data["details"]:
            found = rows[details["number"]]
            self.assertEqual(details["logOdds"], found["log_odds"])
            self.assertEqual(details["tokens"], [span["tokens"] for span in found["spans"]])
            text = DOCUMENTS[details["number"]].encode()
            for piece, first, end in details["pieces"]:
                if end - first == 1:
                    begin, stop = found["spans"][first]["bytes"]
                    self.assertIn(piece.encode(), text[begin:stop])

    def test_sliding_windows(self):
        docs, rewards = self.scored("--spans", "--stride", "16")
        data = data_of(report(rewards, "--docs", docs).stdout)
        self.assertEqual({details["overlaps"] for details in data["details"]}, {True, False})
        self.assertEqual(self.shaded_texts(report(rewards, "--docs", docs).stdout), dict(enumerate(DOCUMENTS)))

    def test_rows_without_spans_and_other_texts_say_so(self):
        docs, rewards = self.scored()
        data = data_of(report(rewards, "--docs", docs).stdout)
        self.assertEqual({details["whyNoText"] for details in data["details"]}, {"the row has no spans"})
        docs, rewards = self.scored("--spans")
        reasons = {
            b"".join(line(text + "!", id=f"d{i}") for i, text in enumerate(DOCUMENTS)): "not the text that was scored",
            b"".join(line(text, id=f"e{i}") for i, text in enumerate(DOCUMENTS)): "another id (see --id-field)",
            b"".join(line(text, id=f"d{i}") for i, text in enumerate(DOCUMENTS)).replace(
                b'"text"', b'"body"'
            ): 'text: missing field "text"',
            b"": "no document in line",
        }
        for other, reason in reasons.items():
            done = report(rewards, "--docs", self.write("other.jsonl", other))
            self.assert_exit(done, 0)
            for details in data_of(done.stdout)["details"]:
                self.assertEqual(details["pieces"], [])
                self.assertIn(reason, details["whyNoText"])
            self.assertIn("without text", done.stderr.decode())
        body = self.write("body.jsonl", docs.read_bytes().replace(b'"text"', b'"body"').replace(b'"id"', b'"key"'))
        done = report(rewards, "--docs", body, "--text-field", "body", "--id-field", "key")
        self.assertEqual(self.shaded_texts(done.stdout), dict(enumerate(DOCUMENTS)))

    def test_other_documents_are_told_of_though_the_rows_have_no_spans(self):
        docs, rewards = self.scored()
        others = b"".join(line(text, id=f"e{i}") for i, text in enumerate(DOCUMENTS))
        for other, reason in ((others, "another id (see --id-field)"), (b"", "no document in line")):
            done = report(rewards, "--docs", self.write("other.jsonl", other))
            for details in data_of(done.stdout)["details"]:
                self.assertIn(reason, details["whyNoText"])
            self.assertIn(reason, done.stderr.decode())

    def test_reasons_are_told_once_whatever_their_numbers(self):
        docs, rewards = self.scored("--spans", documents=DOCUMENTS[:1] * 5)
        said = report(rewards, "--docs", self.write("other.jsonl", b"")).stderr.decode()
        self.assertIn("5 without text, for reasons such as: the file of documents has no document in line ", said)
        self.assertEqual(said.count("without text"), 1, said)
        same = self.write("other.jsonl", b"".join(line(DOCUMENTS[0], id="e") for _ in range(5)))
        said = report(rewards, "--docs", same).stderr.decode()
        self.assertIn("5 without text: the document in that line has another id", said)

    def test_rows_of_several_files(self):
        names = [self.folder / name for name in ("a.jsonl", "b.jsonl")]
        for name, text in zip(names, DOCUMENTS[:2], strict=True):
            self.write(name, line(text))
        done = run("--spans", *names)
        rewards = self.write("rewards.jsonl", done.stdout)
        expected = {0: DOCUMENTS[0], 1: DOCUMENTS[1]}
        self.assertEqual(self.shaded_texts(report(rewards, "--docs", f"{names[1]},{names[0]}").stdout), expected)
        moved = self.folder / "moved"
        moved.mkdir()
        for name in names:
            os.rename(name, moved / name.name)
        done = report(rewards, "--docs", f"{moved / 'a.jsonl'},{moved / 'b.jsonl'}")
        self.assertEqual(self.shaded_texts(done.stdout), expected)
        done = report(rewards, "--docs", moved / "b.jsonl")
        self.assertEqual(self.shaded_texts(done.stdout), {1: DOCUMENTS[1]})
        _, plain = self.scored("--spans", name="plain.jsonl")
        done = report(plain, "--docs", f"{moved / 'a.jsonl'},{moved / 'b.jsonl'}")
        self.assertEqual(self.shaded_texts(done.stdout), {})
        os.rename(moved / "b.jsonl", moved / "a,b.jsonl")
        single = self.write("single.jsonl", run("--spans", moved / "a,b.jsonl").stdout)
        done = report(single, "--docs", str(moved / "a,b.jsonl").replace(",", r"\,"))
        self.assertEqual(self.shaded_texts(done.stdout), {0: DOCUMENTS[1]})
        parts = [self.write(f"part{i}.jsonl", lines_of([row(i + 1)])) for i in range(2)]
        data = data_of(report(*parts).stdout)
        self.assertEqual((data["sources"], data["table"]["source"]), ([str(part) for part in parts], [0, 1]))

    def test_the_judge_is_named_and_rows_of_several_are_told_of(self):
        names = []
        for name, *options in (("a", "--dtype", "float32"), ("b", "--dtype", "bfloat16"), ("c", "--spans")):
            names.append(self.folder / name)
            run("--output", names[-1], *options, stdin=line("some text"))
        alone = report(names[0], names[2])
        self.assert_exit(alone, 0)
        header = alone.stdout.split(b"<header")[1].split(b"</header>")[0]
        self.assertEqual(header.count(b"<p class=\"muted\">Judge: model.safetensors "), 1, header)
        self.assertIn(b", float32, prm-score ", header)
        self.assertNotIn(b"compared", header + alone.stderr)
        mixed = report(*names)
        self.assert_exit(mixed, 0, 'cannot be compared with each other')
        self.assertIn(b"cannot be compared", mixed.stdout.split(b"<header")[1].split(b"</header>")[0])
        nothing = report(stdin=names[0].read_bytes())
        self.assertNotIn(b"Judge: ", nothing.stdout.split(b"<header")[1].split(b"</header>")[0])

    def test_bad_rows_are_counted_and_listed(self):
        done = run("--errors-ok", stdin=line("fine") + b"{\n" + line(5) + line("fine too"))
        data = data_of(report(stdin=done.stdout).stdout)
        self.assertEqual((data["counts"]["scored"], data["counts"]["bad"]), (2, 2))
        self.assertEqual([bad["line"] for bad in data["badRows"]], [2, 3])
        self.assertTrue(data["badRows"][0]["error"].startswith("not JSON"))

    def test_no_rows(self):
        done = report()
        self.assert_exit(done, 0)
        self.assertIsNone(data_of(done.stdout)["summary"])

    def test_limits(self):
        rewards = self.write("rewards.jsonl", lines_of(row(i + 1) for i in range(50)))
        self.assertEqual(len(data_of(report(rewards, "--details", "9").stdout)["details"]), 9)
        self.assertEqual(len(data_of(report(rewards, "--details", "0").stdout)["details"]), 0)
        self.assertEqual(len(data_of(report(rewards, "--limit", "3").stdout)["table"]["line"]), 3)
        _, kept = self.scored("--spans", "--keep-all")
        page = report(kept, "--max-text", "10").stdout
        self.assertEqual(self.shaded_texts(page), {i: text[:10] for i, text in enumerate(DOCUMENTS)})
        left_out = {details["number"]: details["charactersLeftOut"] for details in data_of(page)["details"]}
        self.assertEqual(left_out, {i: len(text) - 10 for i, text in enumerate(DOCUMENTS)})

    def test_a_hundred_thousand_rows(self):
        rewards = self.write(
            "rewards.jsonl",
            lines_of(
                row(i + 1, input={"source": ["web", "books"][i % 2], "year": 1900 + i % 100}, warnings=["context_cut"])
                for i in range(100_000)
            ),
        )
        output = self.folder / "report.html"
        self.assert_exit(report(rewards, "--output", output), 0)
        self.assertLess(output.stat().st_size, 25 << 20)
        data = data_of(output.read_bytes())
        self.assertEqual(len(data["table"]["line"]), 100_000)
        self.assertEqual(len(data["details"]), 200)
        self.assertEqual(sum(data["histogram"]["counts"]), 100_000)

    def test_more_rows_than_the_table_holds(self):
        rewards = self.write("rewards.jsonl", lines_of(row(i + 1) for i in range(100_500)))
        data = data_of(report(rewards).stdout)
        self.assertEqual(data["counts"]["scored"], 100_500)
        self.assertTrue(100_000 <= len(data["table"]["line"]) <= 100_200)

    def test_no_input_text_is_in_the_page_unescaped(self):
        folder = self.folder / "<b>&\"'"
        folder.mkdir()
        rewards = folder / "x<script>alert(3)<script>.jsonl"
        hostile = row(1, input={HOSTILE: HOSTILE, "text": HOSTILE}, file=HOSTILE) | {"id": HOSTILE}
        hostile["spans"] = [{"tokens": [0, 5], "chars": [0, len(HOSTILE)], "bytes": [0, len(HOSTILE.encode())]}]
        rewards.write_bytes(lines_of([hostile, {"line": 2, "reward": None, "error": HOSTILE}]))
        page = report(rewards).stdout
        self.assertEqual(self.shaded_texts(page), {0: HOSTILE})
        for forbidden in (b"<script>alert", b"<img", b"<b>", "\u2028".encode()):
            self.assertNotIn(forbidden, page)
        self.assertEqual(page.lower().count(b"</script"), 3)
        data = page.split(b'id="data">')[1].split(b"</script>")[0]
        for forbidden in (b"<", b">", b"&"):
            self.assertNotIn(forbidden, data)
        for name in (b"http://", b"src=", b"@import", b"url("):  # nothing is loaded
            head = page.split(b'id="data">')[0]
            self.assertNotIn(name, head)

    def test_lines_that_are_no_rows_stop_it(self):
        good = lines_of([row(1)])
        cases = {
            b"{": "not JSON",
            b"{}": 'expected a row of prm-score: line: missing field "line"',
            b'{"text":"a document"}': "got what looks like a document, which prm-score scores (report takes it by --docs",
            b'{"chosen":"a","rejected":"b"}': "got what looks like a preference pair, which prm-score pairs scores",
            b"[]": "expected an object, got an array",
            lines_of([row(1, reward="x")]): "reward: expected a number or null, got a string",
            lines_of([row(1, num_chunks=2)]): "log_odds: expected 2 numbers (num_chunks), got 1",
            b'{"line":1,"reward":null}': 'error: missing field "error"',
        }
        output = self.folder / "report.html"
        for bad, message in cases.items():
            rewards = self.write("rewards.jsonl", good + b"\n" + bad)
            self.assert_exit(report(rewards, "-o", output), 1, f"{rewards}: line 3: ")
            self.assert_exit(report(rewards, "-o", output), 1, message)
            self.assert_exit(report(stdin=good + bad), 1, "standard input: line 2: ")
            self.assertFalse(output.exists())
        prompts = run("prompts", stdin=line()).stdout
        self.assert_exit(report(stdin=prompts), 1, "got what looks like a row of prm-score prompts")
        pairs = run("pairs", stdin=b'{"chosen":"a b","rejected":"c d"}').stdout
        self.assert_exit(report(stdin=pairs), 1, "got what looks like a row of prm-score pairs")
        self.assert_exit(report("--max-line-bytes", "10", stdin=good), 1, "line 1: longer than 10 bytes")

    def test_files_that_are_not_there(self):
        rewards = self.write("rewards.jsonl", lines_of([row(1)]))
        self.assert_exit(report(self.folder / "gone.jsonl"), 1, "gone.jsonl")
        self.assert_exit(report(rewards, "--docs", self.folder / "gone.jsonl"), 1, "gone.jsonl")
        self.assert_exit(report(rewards, "-o", self.folder / "no" / "report.html"), 1, "cannot be written")
        self.assert_exit(report(rewards, "-o", self.folder), 1, "Is a directory")
        with open("/dev/full", "wb") as full:
            self.assert_exit(report(rewards, stdout=full), 1, "No space left")

    def test_no_file_but_an_earlier_report_is_written_over(self):
        docs, rewards = self.scored("--spans")
        before = rewards.read_bytes(), docs.read_bytes()
        link = self.folder / "link.html"
        link.symlink_to(rewards)
        for output in (rewards, docs, link):
            self.assert_exit(report(rewards, "--docs", docs, "-o", output), 2, "expected another file than the input")
        with open(rewards, "rb") as stdin:
            self.assert_exit(report("-o", rewards, stdin_file=stdin), 2, "expected another file than the input")
        with open(rewards, "ab") as stdout:
            self.assert_exit(report(rewards, stdout=stdout), 2, "expected another file than the input")
        other = self.write("other.txt", b"something else")
        self.assert_exit(report(rewards, "-o", other), 1, "expected no file, or an earlier report")
        self.assertEqual((rewards.read_bytes(), docs.read_bytes(), other.read_bytes()), (*before, b"something else"))
        output = self.write("report.html", b"")
        for _ in range(2):
            self.assert_exit(report(rewards, "-o", output), 0)
        self.assertEqual(output.read_bytes(), report(rewards).stdout)
        self.assertEqual(
            sorted(p.name for p in self.folder.iterdir()),
            ["docs.jsonl", "link.html", "other.txt", "report.html", "rewards.jsonl"],
        )

    def test_wrong_usage(self):
        rewards = self.write("rewards.jsonl", lines_of([row(1)]))
        self.assert_exit(report("-", "--docs", "-"), 2, '--docs: expected "-" once')
        self.assert_exit(report(rewards, "--model", "x"), 2, "--model")
        self.assert_exit(report(rewards, "--details", "x"), 2, "--details: expected an integer")
        self.assert_exit(report(rewards, "--output", "-"), 2, "--output: expected a file name")
        self.assert_exit(run("--docs", rewards, model=None), 2, "--docs")

    def test_a_terminal_gets_no_page(self):
        leader, follower = pty.openpty()
        try:
            done = report(stdout=follower, stderr=subprocess.PIPE)
            self.assert_exit(done, 2, "--output: expected a file name, or standard output that is no terminal")
        finally:
            os.close(leader)
            os.close(follower)


if __name__ == "__main__":
    program.main()
