"""prm-score: rows, bad lines, exit codes, metadata. Needs the program as first argument."""

import json
import os

import program
from program import ProgramTest, line, rows_of, run

BAD_LINES = {
    b"nope": "not JSON: ",
    b'{"text":"a"': "not JSON: ",
    b'{"text":"a"} x': "not JSON: ",
    b'{"text":"a"}{"text":"b"}': "not JSON: ",
    b'{"text":"a",}': "not JSON: ",
    b'{"text":NaN}': "not JSON: ",
    b'{"text":"a","n":-Infinity}': "not JSON: ",
    b'{"text":"\\ud800"}': "not JSON: ",
    b'{"text":"a","other":"\\udc00"}': "not JSON: ",
    b'{"text":"\xff"}': "not JSON: ",
    b'{"text":"a","other":"\xc3"}': "not JSON: ",
    b'{"text":"a"}\x00': "not JSON: ",
    b'\xef\xbb\xbf{"text":"a"}': "not JSON: ",
    b'["text"]': "line: expected an object, got an array",
    b'"text"': "line: expected an object, got a string",
    b"5": "line: expected an object, got a number",
    b"{}": 'text: missing field "text"',
    b'{"Text":"a"}': 'text: missing field "text"',
    b'{"chosen":"a","rejected":"b"}': 'text: missing field "text"; it looks like a preference pair, which prm-score pairs',
    b'{"text":null}': "text: expected a string, got null",
    b'{"text":["a"]}': "text: expected a string, got an array",
    b'{"text":"a","text":7}': "text: expected a string, got a number",
    b'{"text":""}': "",
}


class Rows(ProgramTest):
    def test_a_row_has_the_documented_fields_in_order(self):
        process = run(stdin=line("one two three " * 60, id="a"))
        self.assert_exit(process, 0)
        (row,) = rows_of(process.stdout)
        self.assertEqual(list(row), ["line", "id", "reward", "num_tokens", "num_chunks", "log_odds"])
        self.assertEqual(row["num_chunks"], -(-row["num_tokens"] // 64))
        self.assertEqual(len(row["log_odds"]), row["num_chunks"])
        self.assertAlmostEqual(row["reward"], sum(row["log_odds"]) / row["num_chunks"], places=6)

    def test_line_ends_marks_and_blank_lines(self):
        text = '\ufeff{"text":"a\u2028b\u0085c"}\r\n \t\r\n\n{"text":"d\\u0000e"}'
        rows = rows_of(run(stdin=text.encode()).stdout)
        self.assertEqual([(row["line"], row["reward"] is None) for row in rows], [(1, False), (4, False)])

    def test_several_files_are_read_in_order_and_named(self):
        a, b = self.write("a", b"\n" + line("a").strip()), self.write("b", line("b"))
        process = run(b, "-", a, stdin=line("in"))
        rows = rows_of(process.stdout)
        self.assertEqual([(row["file"], row["line"]) for row in rows], [(str(b), 1), ("-", 1), (str(a), 2)])
        self.assertEqual(list(rows[0])[:2], ["line", "file"])
        self.assertNotIn("file", rows_of(run(a).stdout)[0])

    def test_limit_counts_physical_lines_over_all_files(self):
        a, b = self.write("a", b"\n" + line()), self.write("b", line() * 3)
        self.assertEqual(len(rows_of(run(a, b, "--limit", 3).stdout)), 2)
        self.assertEqual(run(a, b, "--limit", 0).stdout, b"")

    def test_ids_and_kept_fields_are_the_inputs_text(self):
        data = b'{"id" : 12345678901234567890123, "z":{"x" : [1.0, 1e400]} , "text":"a", "k":"\\u00e9\\/"}\n'
        output = run("--keep", "k,z", stdin=data).stdout
        self.assertTrue(output.startswith(b'{"line":1,"id":12345678901234567890123,"input":{"z":{"x" : [1.0, 1e400]},'
                                          b'"k":"\\u00e9\\/"},"reward":'), output)

    def test_a_kept_field_that_no_line_has_is_told(self):
        data = b'{"text":"a","label":1}\n{"text":"b"}\n[]\n'
        told = b'prm-score: --keep: no line had the field "lable"\n'
        for progress in ("plain", "none"):
            process = run("--keep", "lable,label", "--progress", progress, "--errors-ok", stdin=data)
            self.assertEqual((process.returncode, process.stderr.count(told)), (0, 1), process.stderr)
        pair = b'{"chosen":"a","rejected":"b","label":1}\n'
        self.assertIn(told, run("pairs", "--keep", "lable", stdin=pair).stderr)
        self.assertNotIn(b"--keep", run("pairs", "--keep", "label", stdin=pair).stderr)
        self.assertNotIn(b"--keep", run("--keep", "label", stdin=b"").stderr)
        for part in (("--shard", 0, "--num-shards", 2), ("--max-errors", 1)):  # other lines may have it
            self.assertNotIn(b"--keep", run("--keep", "lable", *part, stdin=data).stderr)

    def test_a_kept_field_of_rows_before_a_resume_is_no_missing_one(self):
        docs = self.write("docs.jsonl", line(label=1) + b"?\n" + line())
        arguments = (docs, "--keep", "label", "--output", self.folder / "rows.jsonl")
        self.assertEqual(run(*arguments, "--max-errors", 1).returncode, 1)
        done = run(*arguments, "--resume")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertNotIn(b"--keep", done.stderr)

    def test_spans_and_skipped_chunks(self):
        output = run("--spans", "--first-chunk", "skip", stdin=line("caf\u00e9 " * 70)).stdout
        (row,) = rows_of(output)
        self.assertIsNone(row["log_odds"][0])
        self.assertEqual(len(row["spans"]), row["num_chunks"])
        self.assertEqual(row["spans"][0]["tokens"], [0, 64])
        self.assertEqual(row["spans"][-1]["chars"][1], 5 * 70)
        self.assertEqual(row["spans"][-1]["bytes"][1], 6 * 70)

    def test_empty_input_has_no_rows(self):
        process = run(stdin=b"")
        self.assert_exit(process, 0)
        self.assertEqual(process.stdout, b"")

    def test_nothing_but_rows_on_standard_output_and_none_is_quiet(self):
        process = run("--progress", "none", "--log-level", "off", stdin=line())
        self.assertEqual(process.stderr, b"")
        self.assertEqual(len(rows_of(process.stdout)), 1)
        self.assertIn(b"1 row (0 bad), 1 chunk, ", run(stdin=line()).stderr)

    def test_document_text_is_never_logged(self):
        process = run("--log-level", "trace", stdin=line("xylophone") + b'{"text":xylophone}\n')
        self.assertNotIn(b"xylophone", process.stderr)
        self.assertNotIn(b"xylophone", process.stdout)


class BadLines(ProgramTest):
    def test_each_kind_is_an_error_row_and_the_run_goes_on(self):
        data = b"".join(bad + b"\n" + line() for bad in BAD_LINES)
        process = run(stdin=data)
        self.assert_exit(process, 3)
        rows = rows_of(process.stdout)
        self.assertEqual([row["line"] for row in rows], list(range(1, 2 * len(BAD_LINES) + 1)))
        for row, (bad, reason) in zip(rows[::2], BAD_LINES.items()):
            self.assertEqual(list(row), ["line", "reward", "error"], bad)
            self.assertIsNone(row["reward"], bad)
            self.assertTrue(row["error"] and row["error"].startswith(reason), (bad, row))
        for row in rows[1::2]:
            self.assertIsInstance(row["reward"], (int, float))

    def test_bad_objects_keep_id_and_fields(self):
        output = run("--keep", "k", "--context-field", "p", stdin=b'{"id":1.0,"k":[ ],"text":"a"}\n').stdout
        self.assertEqual(output, b'{"line":1,"id":1.0,"input":{"k":[ ]},"reward":null,'
                                 b'"error":"p: missing field \\"p\\""}\n')

    def test_long_lines(self):
        data = line("x" * 5000) + line()
        rows = rows_of(run("--max-line-bytes", "2K", stdin=data).stdout)
        self.assertEqual(rows[0]["error"], "line: longer than 2048 bytes")
        self.assertIsNotNone(rows[1]["reward"])

    def test_errors_ok_and_max_errors(self):
        data = (line() + b"?\n") * 3
        self.assert_exit(run("--errors-ok", stdin=data), 0)
        process = run("--max-errors", 2, "--errors-ok", stdin=data)
        self.assert_exit(process, 1, "--max-errors: stopped after bad row 2")
        self.assertEqual(len(rows_of(process.stdout)), 4)
        self.assert_exit(run("--max-errors", 4, "--errors-ok", stdin=data), 0)

    def test_metadata_says_that_max_errors_stopped_the_run(self):
        path = self.folder / "run.json"
        self.assert_exit(run("--max-errors", 1, "--metadata", path, stdin=b"?\n?\n"), 1)
        metadata = json.loads(path.read_text())
        self.assertEqual(metadata["stopped_by"], "--max-errors: stopped after bad row 1")
        self.assertEqual(metadata["exit_code"], 1)

    def test_metadata_says_what_the_engine_was(self):
        path = self.folder / "run.json"
        self.assert_exit(run("--metadata", path, stdin=line()), 0)
        metadata = json.loads(path.read_text())
        self.assertIsNone(metadata["checkpoint"]["random_weights"])
        self.assertIsNone(metadata["options"]["max-batch-tokens"])
        self.assertGreaterEqual(metadata["engine"]["max_batch_tokens"], 2048)  # what it came to
        self.assertTrue(metadata["engine"]["prefix_sharing"])
        config = program.MODEL / "config.json"
        self.assert_exit(run("--metadata", path, "--random-weights", config, "--no-prefix-sharing", "--max-batch-tokens",
                             100, stdin=line()), 0)
        metadata = json.loads(path.read_text())
        self.assertEqual(metadata["checkpoint"]["random_weights"], str(config))
        self.assertEqual(metadata["engine"]["max_batch_tokens"], 100)
        self.assertFalse(metadata["engine"]["prefix_sharing"])

    def test_metadata_never_takes_the_place_of_the_input(self):
        path = self.write("docs.jsonl", line())
        self.assert_exit(run("--metadata", path, path), 2, "--metadata: expected another file than the input")
        self.assertEqual(path.read_bytes(), line())


class Stops(ProgramTest):
    def test_wrong_usage(self):
        for arguments, message in [(["--foo"], '"--foo": expected an option'),
                                   (["--limit", "x"], "--limit: expected an integer"),
                                   (["--limit"], "--limit: expected an integer"),
                                   (["--stride", "65"], "--stride: expected"),
                                   (["--labels", "A"], "--labels: expected two"),
                                   (["info", "a"], '"a": expected only')]:
            process = run(*arguments, model=None)
            self.assert_exit(process, 2, message)
            self.assertEqual((process.stdout, process.stderr.count(b"\n")), (b"", 1))
        self.assert_exit(run(env={"PRM_SCORE_LIMIT": "x"}), 2, "PRM_SCORE_LIMIT: expected an integer >= 0")

    def test_the_environment_gives_options(self):
        process = run(stdin=line() * 3, env={"PRM_SCORE_LIMIT": "2", "PRM_SCORE_MODEL": str(program.MODEL)}, model=None)
        self.assertEqual(len(rows_of(process.stdout)), 2)

    def test_a_variable_that_is_no_options_is_told_of(self):
        process = run(stdin=line(), env={"PRM_SCORE_TREADS": "2"})
        self.assert_exit(process, 0, "PRM_SCORE_TREADS: ")
        self.assertEqual(len(rows_of(process.stdout)), 1)
        self.assertNotIn(b"TREADS", run("--log-level", "error", stdin=line(), env={"PRM_SCORE_TREADS": "2"}).stderr)

    def test_a_file_of_another_kind_is_told_of(self):
        pairs = b'{"chosen":"one two","rejected":"three"}\n'
        self.assert_exit(run(stdin=pairs), 3, 'no line could be scored: expected documents with the field "text"')
        self.assert_exit(run("pairs", stdin=line()), 3, 'expected pairs with the fields "chosen" and "rejected"')
        for lines in (pairs + line(), b"", b"\n"):
            self.assertNotIn(b"no line could", run(stdin=lines).stderr)

    def test_what_made_all_lines_bad_is_told_of(self):
        pretty = json.dumps([{"text": "a", "id": 1}, {"text": "b", "id": 2}], indent=2).encode()
        pair = b'{"chosen":"one two","rejected":"three"}\n'
        for arguments, lines, hint in [
            (["--context-field", "q"], line(), 'expected the field "q" (--context-field) in every line'),
            (["--first-chunk", "skip"], line(), "no text has more chunks than are left out by --first-chunk skip"),
            (["--max-line-bytes", "20"], line("a" * 20), "lines are longer than 20 bytes (--max-line-bytes)"),
            ([], pretty, "jq -c '.[]'"),
            ([], b"\n \t" + line().replace(b"{", b"[{").replace(b"}", b"}]"), "jq -c '.[]'"),
            ([], b"plain text\n", "expected JSON lines, an object each"),
            ([], line(""), "the first error is: text: no tokens"),
            (["prompts", "--first-chunk", "skip"], line(), "left out by --first-chunk skip"),
            (["prompts"], pretty, "jq -c '.[]'"),
            (["show"], pretty, "jq -c '.[]'"),
            (["pairs"], b"[" + pair + b"]", "jq -c '.[]'"),
            (["pairs", "--context-field", "q"], pair, 'expected the field "q" (--context-field) in every line'),
            (["pairs", "--last-chunk", "drop"], pair, "left out by --last-chunk drop"),
        ]:
            with self.subTest(arguments=arguments, hint=hint):
                process = run(*arguments, stdin=lines)
                self.assert_exit(process, 3, "prm-score: no line could be scored: ")
                self.assert_exit(process, 3, hint)

    def test_files_that_cannot_be_read_stop_before_the_first_row(self):
        good = self.write("good", line())
        for bad, why in [(self.folder / "missing", "No such file"), (self.folder, "Is a directory")]:
            process = run(good, bad)
            self.assert_exit(process, 1, f"{bad}: cannot be read: {why}")
            self.assertEqual(process.stdout, b"")

    def test_models_that_cannot_be_found(self):
        self.assert_exit(run(model="/no/such/folder"), 1, "/no/such/folder: no such folder, and no hub name")
        process = run(model="org/name@v1", env={"HF_HUB_CACHE": str(self.folder)})
        self.assert_exit(process, 1, "hf download org/name --revision v1")
        self.assert_exit(run(model=self.folder), 1, f"{self.folder}: expected tokenizer.json or tokenizer.model")

    def test_a_model_in_the_hub_cache(self):
        cached = self.folder / "models--org--name"
        (cached / "snapshots").mkdir(parents=True)
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text("0" * 40)
        (cached / "snapshots" / ("0" * 40)).symlink_to(program.MODEL)
        self.assert_exit(run(model="org/name", env={"HF_HUB_CACHE": str(self.folder)}, stdin=line()), 0)

    def test_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            self.assert_exit(run(stdin=line(), stdout=full), 1, "standard output: cannot be written: No space left")
            self.assert_exit(run("--help", stdout=full), 1, "No space left")

    def test_closed_standard_streams(self):
        process = run(stdin=line(), preexec_fn=lambda: os.close(1), stdout=None)
        self.assert_exit(process, 1, "standard output: cannot be written: Bad file descriptor")
        process = run(stdin_file=None, preexec_fn=lambda: os.close(0))
        self.assert_exit(process, 1, "standard input: cannot be read: Bad file descriptor")


class Metadata(ProgramTest):
    def metadata_of(self, *arguments, **options):
        path = self.folder / "m.json"
        process = run(*arguments, "--metadata", path, **options)
        metadata = json.loads(path.read_text())
        self.assertEqual(metadata["exit_code"], process.returncode)
        return metadata

    def test_what_ran_with_what_and_how_it_ended(self):
        metadata = self.metadata_of("--limit", 4, "--labels", "B,A", stdin=line() + b"\n?\n" + line() * 9)
        self.assertEqual(metadata["options"]["limit"], 4)
        self.assertEqual(metadata["options"]["chunk-size"], 64)
        self.assertEqual(metadata["checkpoint"]["model_type"], "qwen2")
        self.assertEqual(list(metadata["checkpoint"]["labels"]), ["B", "A"])
        self.assertEqual(metadata["engine"]["dtype"], "float32")
        counts = metadata["counts"]
        self.assertEqual((counts["lines"], counts["scored_rows"], counts["bad_rows"]), (4, 2, 1))
        self.assertEqual(metadata["exit_code"], 3)
        self.assertEqual(len(metadata["tokenizer"]["sha256"]), 64)
        self.assertEqual(len(metadata["template"]["sha256"]), 64)
        self.assertGreater(metadata["elapsed_seconds"], 0)
        self.assertEqual(sorted(os.listdir(self.folder)), ["m.json"])

    def test_a_run_that_stops_says_why(self):
        metadata = self.metadata_of("/no/such/file")
        self.assertTrue(metadata["stopped_by"].startswith("/no/such/file: "))
        self.assertIsNone(metadata["checkpoint"])

    def test_a_place_that_cannot_be_written_stops_before_the_first_row(self):
        process = run("--metadata", self.folder / "no" / "m.json", stdin=line())
        self.assert_exit(process, 1, "m.json: cannot be written: No such file")
        self.assertEqual(process.stdout, b"")
        process = run("--metadata", "/dev/full", stdin=line())
        self.assert_exit(process, 1, "/dev/full: cannot be written: No space left")
        self.assertEqual(len(rows_of(process.stdout)), 1)


if __name__ == "__main__":
    program.main()
