"""scripts/ray_scoring without a cluster: blocks through a process of prm-score give the rows of a single run, whatever
the input is; Parquet in and out; what is written appears whole or not at all."""

# ruff: noqa: E402
import datetime
import gzip
import json
import os
import pathlib
import random
import socket
import sys
import threading
import time
import unittest
import unittest.mock
from concurrent.futures import ThreadPoolExecutor

sys.path[:0] = [
    str(pathlib.Path(__file__).resolve().parents[1] / "cli"),
    str(pathlib.Path(__file__).resolve().parents[2] / "scripts"),
]

import program
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import ray_score
from program import MODEL, run
from ray_scoring import storage
from ray_scoring.blocks import Block, BlockOptions, InputFile, read_blocks
from ray_scoring.blocks_on_workers import BlockScorer, ScorerCommand
from ray_scoring.errors import InputError
from ray_scoring.fingerprint import Fingerprint, differences, take_fingerprint
from ray_scoring.manifest import FinishedBlock, Manifest, RunIdentity, read_manifest, write_manifest
from ray_scoring.output import Output, OutputKind, OutputOptions
from ray_scoring.parquet_lines import Columns
from ray_scoring.rows import is_bad, json_of_name, placed, table_of
from ray_scoring.scorer_process import ProcessEndedError, ScorerProcess

STUB = str(pathlib.Path(__file__).resolve().parent / "stub_scorer.py")
SEED = 20261129
COLUMNS = Columns("text", "id", None, ())
PIECES = [
    b'{"id":1,"text":"a few words"}',
    '{"text":"Na\u00efve, \u6771\u4eac.","id":"\u2028"}'.encode(),
    b'{"id":123456789012345678901234567890,"text":"x","note":{"a":[1,{"b":"]"}]}}',
    b'{"id":2,"text":5}',
    b'{"id":3}',
    b"  \t",
    b"\r",
    b"\x0b\x0c",
    b"",
    b"\xff\xfe{",
    b"\xef\xbb\xbf",
    b"\x1f\x8b not compressed",
    b"not JSON\r",
    b'{"text":"' + b"long " * 30 + b'"}',
    b'{"text":"' + b"y" * 89 + b'"}',
    b'{"text":"' + b"y" * 88 + b'"}\r',
    b'{"text":"z"}' + b" " * 87 + b"\r",
    b'{"text":"z"}' + b" " * 89 + b"\r",
    b" " * 99 + b"\t\r",
    b" " * 101,
    b" " * 100 + b"\r\r",
]
MAX_LINE_BYTES = 100


def input_file(path):
    place = storage.place_of(str(path))
    return InputFile(str(path), storage.info(place).size, place)


def blocks_of(path, num_bytes=1 << 20, columns=COLUMNS, max_line_bytes=MAX_LINE_BYTES):
    return list(read_blocks(0, input_file(path), BlockOptions(num_bytes, max_line_bytes, columns)))


class ScoringTest(program.ProgramTest):
    OPTIONS = ("--max-line-bytes", MAX_LINE_BYTES, "--keep", "note", "--threads", 1)

    @classmethod
    def setUpClass(cls):
        options = ["--model", str(MODEL), *map(str, cls.OPTIONS)]
        cls.scorer = ScorerProcess(program.PROGRAM, options, MAX_LINE_BYTES)
        cls.addClassCleanup(cls.scorer.close)

    def rows_of_blocks(self, path, num_bytes):
        rows = []
        for block in blocks_of(path, num_bytes):
            rows += [placed(row, block.first_line, b"") for row in self.scorer.score(block.data)]
        return b"".join(rows)

    def assert_rows_of_single_run(self, path):
        expected = run(path, *self.OPTIONS).stdout
        for num_bytes in (1, 300, 1 << 20):
            with self.subTest(path=path.name, num_bytes=num_bytes, data=path.read_bytes()[:2000]):
                self.assertEqual(self.rows_of_blocks(path, num_bytes), expected)

    def test_rows_are_those_of_a_single_run(self):
        chance = random.Random(SEED)
        for number in range(12):
            lines = chance.choices(PIECES, k=chance.randint(0, 30))
            data = (b"\xef\xbb\xbf" if chance.random() < 0.3 else b"") + b"\n".join(lines) + chance.choice((b"", b"\n"))
            if data.startswith(b"\x1f\x8b"):
                data = b"\n" + data
            self.assert_rows_of_single_run(self.write(f"docs{number}.jsonl", data))

    def test_ends_of_files(self):
        for number, data in enumerate(
            (b"", b"\n", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef\xbb\xbf\xef\xbb\xbf{}", b"\x1f", b'{"text":"a"}\r')
        ):
            self.assert_rows_of_single_run(self.write(f"end{number}.jsonl", data))
        for length in (99, 100, 101, 102):  # a CR without a line feed counts
            self.assert_rows_of_single_run(self.write(f"blank{length}.jsonl", b" " * (length - 1) + b"\r"))
            self.assert_rows_of_single_run(self.write(f"cr{length}.jsonl", b'{"text":"z"}'.ljust(length) + b"\r"))

    def test_compressed_files(self):
        data = b"\n".join(PIECES)
        zstd = pa.Codec("zstd")
        frames = b"".join(zstd.compress(part, asbytes=True) for part in (data[:500], data[500:]))
        for name, content in (
            ("a.gz", gzip.compress(data[:500]) + gzip.compress(data[500:]) + b"\0" * 10),
            ("a.jsonl", gzip.compress(data)),
            ("a.zst", frames),
        ):
            self.assert_rows_of_single_run(self.write(name, content))

    def test_many_threads_share_the_process(self):
        expected = self.scorer.score(b"\n".join(PIECES[:6]) + b"\n")
        found = [None] * 8

        def score(index):
            found[index] = self.scorer.score(b"\n".join(PIECES[:6]) + b"\n")

        threads = [threading.Thread(target=score, args=(index,)) for index in range(len(found))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [expected] * len(found))

    def test_parquet_rows_are_those_of_the_same_lines(self):
        table = pa.table(
            {
                "id": pa.array([10**18, None, 3, 4]),
                "text": pa.array(["a few words", None, "\u6771\u4eac \u2028", "x" * 20]).dictionary_encode(),
                "note": pa.array([{"a": [1.5, float("nan")]}, None, {"a": []}, {"a": None}]),
                "other": pa.array([b"\xff", b"", b"", b""]),
            }
        )
        path = self.folder / "docs.parquet"
        pq.write_table(table, path)
        lines = [
            b'{"id":1000000000000000000,"text":"a few words","note":{"a":[1.5,null]}}',
            b'{"id":null,"text":null,"note":null}',
            '{"id":3,"text":"\u6771\u4eac \u2028","note":{"a":[]}}'.encode(),
            b'{"id":4,"text":"xxxxxxxxxxxxxxxxxxxx","note":{"a":null}}',
        ]
        (block,) = blocks_of(path, columns=Columns("text", "id", None, ("note",)))
        self.assertEqual(block.data.split(b"\n")[:-1], lines)
        expected = run("--keep", "note", "--threads", "1", stdin=block.data).stdout
        self.assertEqual(b"".join(self.scorer.score(block.data)), expected)
        self.assertIn(b'{"line":2,"id":null,"input":{"note":null},"reward":null,"error":', expected)

    def test_bytes_that_are_no_utf8_are_a_bad_row(self):
        text = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xff\n"))
        path = self.folder / "docs.parquet"
        pq.write_table(pa.table({"text": text}), path)
        (block,) = blocks_of(path)
        self.assertEqual(block.num_lines, 1)
        (row,) = self.scorer.score(block.data)
        self.assertIn(b'"reward":null', row)

    def test_rows_in_columns(self):
        docs = self.write(
            "docs.jsonl",
            b'{"id":"a\\n\\"b","text":"hello there","note":{"a":[1,{"b":"]}"}],"error":"no"}}\n'
            b'{"id":123456789012345678901234567890,"text":"x","note":1e5}\n{"id":[[]],"text":3}\n{"text":"<<JUDGEMENT>>"}\n'
            + b'{"id":'
            + b"7" * 6000
            + b',"text":"x"}\n{"id":'
            + b"[" * 900
            + b"]" * 900
            + b',"text":"x"}\n',
        )
        rows = run(docs, docs, "--keep", "note", "--spans", "--threads", "1").stdout
        found = table_of(rows).to_pylist()
        self.assertEqual(len(found), 12)
        self.assertEqual([row["line"] for row in found], [*range(1, 7)] * 2)
        self.assertEqual({row["file"] for row in found}, {str(docs)})
        self.assertEqual(found[0]["id"], 'a\n"b')
        self.assertEqual([row["id"] for row in found[1:4]], ["123456789012345678901234567890", "[[]]", None])
        self.assertEqual(found[4]["id"], "7" * 6000)
        self.assertEqual(
            [row["input"] for row in found[:4]],
            ['{"note":{"a":[1,{"b":"]}"}],"error":"no"}}', '{"note":1e5}', "{}", "{}"],
        )
        self.assertEqual(found[2]["error"], "text: expected a string, got a number")
        self.assertEqual(found[3]["warnings"], ["template_markers"])
        self.assertIsNone(found[2]["log_odds"])
        for row, text in zip(found, rows.split(b"\n"), strict=False):
            self.assertEqual(is_bad(text + b"\n"), row["reward"] is None)
            if row["reward"] is not None and len(text) < 3000:
                parsed = json.loads(text)
                self.assertEqual(row["reward"], parsed["reward"])
                self.assertEqual(row["spans"], parsed["spans"])
                self.assertEqual(pa.array(row["log_odds"], pa.float32()), pa.array(parsed["log_odds"], pa.float32()))

    def test_names_of_files_are_written_as_the_program_does(self):
        for name in ("plain.jsonl", 'quote" \\ \u2028 \x7f \x01\t.jsonl', "\u6771\u4eac.jsonl", "bad\udcff.jsonl"):
            path = self.folder / name
            path.write_bytes(b"{}\n")
            row = run(str(path).encode("utf-8", "surrogateescape"), "/dev/null").stdout
            self.assertTrue(row.startswith(b'{"line":1,"file":' + json_of_name(str(path)) + b',"reward"'), row)

    def test_fingerprint_and_its_differences(self):
        there = take_fingerprint(program.PROGRAM, ["--model", str(MODEL)])
        now = take_fingerprint(program.PROGRAM, ["--model", str(MODEL), "--chunk-size", "32"])
        self.assertEqual(there, take_fingerprint(program.PROGRAM, ["--model", str(MODEL)]))
        self.assertEqual(
            differences(there.rows, now.rows, ("there", "now")),
            "--chunk-size: 64 there, 32 now; --stride: 64 there, 32 now",
        )
        with self.assertRaisesRegex(InputError, "exit code 2\n  prm-score: .*--no-such"):
            take_fingerprint(program.PROGRAM, ["--no-such"])
        with self.assertRaisesRegex(InputError, "/no/such: cannot be run: No such file"):
            take_fingerprint("/no/such", [])
        with self.assertRaisesRegex(InputError, "expected a fingerprint, found b'nonsense"):
            take_fingerprint("echo", ["nonsense"])


class ProcessTest(unittest.TestCase):
    def test_the_first_line_is_no_beginning_of_a_file(self):
        for line in (b"\x1f\x8b not compressed", b"\xef\xbb\xbf{}"):
            scorer = ScorerProcess(program.PROGRAM, ["--model", str(MODEL)], 1 << 28)
            self.addCleanup(scorer.close)
            (row,) = scorer.score(line + b"\n")
            self.assertTrue(row.startswith(b'{"line":1,"reward":null,"error":"not JSON'), row)

    def test_threads_get_the_rows_of_their_own_lines(self):
        scorer = ScorerProcess(STUB, [], 1 << 28)
        self.addCleanup(scorer.close)

        def score(number):
            rows = scorer.score((b"x" * number + b"\n") * (1 + number % 7))
            return [(row["line"], row["num_tokens"]) for row in map(json.loads, rows)]

        with ThreadPoolExecutor(16) as threads:
            for number, found in enumerate(threads.map(score, range(1, 3001)), 1):
                self.assertEqual(found, [(line, number + 1) for line in range(1, 2 + number % 7)])

    def test_a_process_that_was_killed_is_not_the_blocks_fault(self):
        scorer = ScorerProcess(STUB, ["--stub", "dies"], 1 << 28)
        self.assertEqual(len(scorer.score(b"{}\n \n{}\n")), 2)
        with self.assertRaisesRegex(ProcessEndedError, "killed by SIGKILL"):
            scorer.score(b"{}\npoison\n{}\n")
        self.assertTrue(scorer.has_ended)
        with self.assertRaises(ProcessEndedError):
            scorer.score(b"{}\n")

    def test_a_process_that_ends_says_why(self):
        scorer = ScorerProcess(STUB, ["--stub", "stops"], 1 << 28)
        with self.assertRaisesRegex(InputError, "exit code 1\n  prm-score: out of memory"):
            scorer.score(b"{}\npoison\n")


class ActorTest(program.ProgramTest):
    """BlockScorer as an actor of two threads."""

    def scored(self, *blocks, mode=("dies",)):
        scorer = BlockScorer(ScorerCommand(STUB, ("--stub", *mode)), take_fingerprint(STUB, []), ["docs.jsonl"])
        tables = [
            pa.table({name: [value] for name, value in vars(Block(0, number, 1, data, 2)).items()})
            for number, data in enumerate(blocks)
        ]
        with ThreadPoolExecutor(len(tables)) as threads:
            return [table.to_pylist()[0] for table in threads.map(scorer, tables)]

    def test_only_the_block_that_kills_is_blamed(self):
        for _ in range(3):
            bad, *good = self.scored(b"{}\npoison\n", *[b"{}\n" * 100] * 5)
            self.assertEqual([block["num_rows"] for block in good], [100] * 5)
            here = socket.gethostname()
            killed = f"docs.jsonl: lines 1 to 2: ended 3 processes, the last one so: {here}: prm-score: killed by SIGKILL"
            self.assertIn(killed, bad["error"])

    def test_a_process_that_ends_once_is_told(self):
        marker = self.write("alive", b"")
        (scored,) = self.scored(b"{}\n{}\n", mode=("dies-once", str(marker)))
        self.assertEqual((scored["num_rows"], scored["deaths"].count("killed by SIGKILL")), (2, 1))

    def test_a_process_that_ends_between_blocks_is_told(self):
        scorer = BlockScorer(ScorerCommand(STUB, ()), take_fingerprint(STUB, []), ["docs.jsonl"])
        table = pa.table({name: [value] for name, value in vars(Block(0, 0, 1, b"{}\n", 1)).items()})
        self.assertEqual(scorer(table).to_pylist()[0]["deaths"], "")
        process = scorer._process
        process.close()
        while not process.has_ended:
            time.sleep(0.01)
        self.assertIn("killed by SIGKILL", scorer(table).to_pylist()[0]["deaths"])
        self.assertEqual(scorer(table).to_pylist()[0]["deaths"], "")

    def test_errors_pass_through(self):
        scorer = BlockScorer(ScorerCommand("/no/such", ()), take_fingerprint(STUB, []), ["docs.jsonl"])
        self.assertEqual(scorer(pa.table({"error": ["x"]})).to_pylist(), [{"error": "x"}])

    def test_other_files_than_at_the_start_are_refused(self):
        expected = take_fingerprint(STUB, [])
        other = Fingerprint({**expected.rows, "torch": "0"}, expected.machine)
        scorer = BlockScorer(ScorerCommand(STUB, ()), other, ["docs.jsonl"])
        table = pa.table({name: [value] for name, value in vars(Block(0, 0, 1, b"{}\n", 1)).items()})
        self.assertIn(': torch: "0" at the start, "1" now', scorer(table).to_pylist()[0]["error"])


class InputTest(program.ProgramTest):
    def test_a_folder_says_what_of_it_is_not_read(self):
        read = ["a.json", "b.jsonl", "c.ndjson.gz", "d.parquet", "e.jsonl.zst"]
        (self.folder / "in").mkdir()
        for name in (*read, "part-00000", "f.jsonl.bz2", "g.JSONL", "h.parquet.gz", "_manifest.json", ".h.jsonl"):
            self.write(f"in/{name}", b"{}\n")
        (self.folder / "in/date=1").mkdir()
        (self.folder / "in/_temporary").mkdir()
        said = []
        files = ray_score.input_files([f"{self.folder}/in"], said.append)
        self.assertEqual([file.name for file in files], [f"{self.folder}/in/{name}" for name in read])
        left_out = "f.jsonl.bz2, g.JSONL, h.parquet.gz, part-00000, date=1/"
        self.assertEqual(said, [f"warning: {self.folder}/in: not read: {left_out}"])

    def test_models_of_this_machine_are_found_by_workers(self):
        (self.folder / "judge").mkdir()
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            for options in (["--model", "judge"], ["--model=judge"]):
                found = ray_score.with_absolute_models([*options, "--spans", "--labels", "judge"])
                self.assertEqual("=".join(found[: len(options)]), f"--model={self.folder}/judge")
                self.assertEqual(found[len(options) :], ["--spans", "--labels", "judge"])
            self.assertEqual(ray_score.with_absolute_models(["--model", "ORG/NAME"]), ["--model", "ORG/NAME"])
        finally:
            os.chdir(before)

    def assert_refused(self, path, message, columns=COLUMNS):
        with self.assertRaisesRegex(InputError, message):
            blocks_of(path, columns=columns)

    def test_parquet_without_the_column(self):
        path = self.folder / "a.parquet"
        pq.write_table(pa.table({"body": ["a"], "n": [1]}), path)
        self.assert_refused(path, 'a.parquet: expected a column "text", found "body", "n"')
        self.assert_refused(path, 'a.parquet: column "n": expected strings, found int64', Columns("n", "id", None, ()))
        self.assert_refused(path, 'expected a column "prompt"', Columns("body", "id", "prompt", ()))
        self.assert_refused(path, 'expected a column "k"', Columns("body", "id", None, ("k",)))
        pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), path)
        self.assert_refused(path, 'expected one column "text", found "text", "text"')
        pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["text", "n", "n"]), path)
        self.assertEqual(blocks_of(path)[0].data, b'{"text":"a"}\n')
        self.assert_refused(path, 'expected one column "n", found "text", "n", "n"', Columns("text", "id", None, None))
        pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["text", "id", "id"]), path)
        self.assert_refused(path, 'expected one column "id", found "text", "id", "id"')

    def test_what_json_can_say(self):
        path = self.folder / "a.parquet"
        moment = datetime.datetime(2026, 1, 2, 3, 4)
        pq.write_table(pa.table({"text": ["a"], "t": [moment], "d": [moment.date()], "l": [[True]]}), path)
        (block,) = blocks_of(path, columns=Columns("text", "id", None, None))
        self.assertEqual(
            json.loads(block.data), {"text": "a", "t": "2026-01-02T03:04:00", "d": "2026-01-02", "l": [True]}
        )
        for far in (pa.array([2**62], pa.timestamp("us")), pa.array([2**30], pa.date32())):
            pq.write_table(pa.table({"text": ["a"], "d": far}), path)
            self.assert_refused(path, 'a.parquet: column "d": d', Columns("text", "id", None, None))
        pq.write_table(pa.table({"text": ["a"], "b": [b"\xff"]}), path)
        self.assert_refused(
            path, 'column "b": expected what JSON can say, found bytes', Columns("text", "id", None, None)
        )

    def test_files_that_are_something_else(self):
        for name, data, message in (
            ("a.parquet", b"PAR1 but no more", "a.parquet: expected a Parquet file, found something else"),
            ("b.jsonl", b"\xfd7zXZ\0..", "b.jsonl: expected JSON lines, plain or compressed by gzip or zstd, found xz"),
            ("c.jsonl", b"PAR1", "found Parquet"),
            ("d.gz", gzip.compress(b"{}\n" * 1000)[:-12], "d.gz: cannot be read: gzip: "),
            ("e.gz", b"\x1f\x8b\x08nonsense", "e.gz: cannot be read"),
            ("f.zst", pa.Codec("zstd").compress(b"{}\n" * 1000, asbytes=True)[:-5], "f.zst: cannot be read"),
        ):
            with self.subTest(name):
                self.assert_refused(self.write(name, data), message)
        self.assert_refused_place("nothing://x/y", "nothing://x/y: cannot be opened: ")

    def assert_refused_place(self, name, message):
        with self.assertRaisesRegex(InputError, message):
            storage.place_of(name)

    def test_blocks_cover_a_file_and_know_their_bytes(self):
        data = b"".join(b'{"text":"%d"}\n' % number for number in range(1000))
        blocks = blocks_of(self.write("a.jsonl", data), num_bytes=1000)
        self.assertEqual(b"".join(block.data for block in blocks), data)
        self.assertEqual([block.number for block in blocks], list(range(len(blocks))))
        self.assertEqual([block.is_last for block in blocks], [False] * (len(blocks) - 1) + [True])
        self.assertEqual(sum(block.num_bytes for block in blocks), len(data))
        lines = 1
        for block in blocks:
            self.assertEqual(block.first_line, lines)
            lines += block.num_lines
        (empty,) = blocks_of(self.write("b.jsonl", b""))
        self.assertTrue(empty.is_last)


IDENTITY = RunIdentity(Fingerprint({"a": 1}, {"cpu": "x"}), 100, "file, jsonl", (("docs.jsonl", 7), ("more\udcff", 8)))


def finished(file, number, is_last=False):
    return FinishedBlock(file, number, 1, 1, 4, 1, 0, "00", is_last, "")


class ManifestTest(program.ProgramTest):
    def test_is_read_as_it_was_written(self):
        place = storage.place_of(str(self.folder / "manifest.json"))
        manifest = Manifest(IDENTITY)
        manifest.add(finished(0, 1, True))
        write_manifest(place, manifest)
        self.assertEqual(read_manifest(place), manifest)
        self.assertEqual(manifest.unfinished_files(), [0, 1])
        manifest.add(finished(0, 0))
        self.assertEqual(manifest.unfinished_files(), [1])
        manifest.add(finished(1, 0))
        self.assertEqual(manifest.unfinished_files(), [1])

    def test_many_files_take_linear_time(self):
        num_files = 50_000
        inputs = tuple((str(file), 1) for file in range(num_files))
        manifest = Manifest(RunIdentity(IDENTITY.fingerprint, 100, "file, jsonl", inputs))
        for file in range(num_files - 1):
            manifest.add(finished(file, 0, True))
        began = time.monotonic()
        self.assertEqual(manifest.unfinished_files(), [num_files - 1])
        self.assertLess(time.monotonic() - began, 10)

    def test_anything_else_is_refused(self):
        place = storage.place_of(str(self.folder / "manifest.json"))
        write_manifest(place, Manifest(IDENTITY))
        whole = json.loads(storage.read(place).decode("utf-8", "replace"))
        for text in ("", "{", "[]", "null", json.dumps(whole | {"format": 1}), json.dumps(whole | {"blocks": [[1]]}),
                     json.dumps({name: value for name, value in whole.items() if name != "inputs"})):  # fmt: skip
            with self.subTest(text), self.assertRaisesRegex(InputError, "manifest.json: "):
                storage.write(place, text.encode())
                read_manifest(place)


class OutputTest(program.ProgramTest):
    def output(self, name="out.jsonl", kind=None, **how):
        kind = kind or OutputKind(name.endswith("/"), "jsonl")
        options = OutputOptions(
            storage.place_of(str(self.folder / name)), kind, **{"resume": False, "overwrite": False} | how
        )
        return Output(options)

    def names(self):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def begun(self, **how):
        output = self.output(**how)
        output.begin(RunIdentity(IDENTITY.fingerprint, 100, "x", (("a", 1), ("b", 2))))
        output.open()
        return output

    def begun_manifest(self, name):
        output = self.output(name, resume=True)
        return output.begin(RunIdentity(IDENTITY.fingerprint, 100, "x", (("a", 1), ("b", 2))))

    def finish(self, output):
        for file, number, is_last in ((1, 0, True), (0, 1, True), (0, 0, False)):
            output.add(finished(file, number, is_last), b"%d %d\n" % (file, number))
        output.finish()

    def test_a_file_has_the_parts_in_order(self):
        self.finish(self.begun())
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), b"0 0\n0 1\n1 0\n")
        self.assertEqual(self.names(), ["out.jsonl", "out.jsonl.parts/manifest.json"])

    def test_a_folder_keeps_them(self):
        self.finish(self.begun(name="out/"))
        parts = ["part-00000-0000000.jsonl", "part-00000-0000001.jsonl", "part-00001-0000000.jsonl"]
        self.assertEqual(self.names(), [f"out/{name}" for name in ("_SUCCESS", "_manifest.json", *parts)])

    def test_missing_blocks_are_no_output(self):
        output = self.begun()
        output.add(finished(0, 0, True), b"\n")
        with self.assertRaisesRegex(InputError, "b: blocks are missing"):
            output.finish()
        output.close()
        self.assertEqual(self.names(), ["out.jsonl.parts/manifest.json", "out.jsonl.parts/part-00000-0000000.jsonl"])

    def test_parts_that_the_manifest_does_not_know_are_made_again(self):
        output = self.begun()
        output.add(finished(0, 0), b"0 0\n")
        output.close()
        for name in ("part-00000-0000001.jsonl", "part-00000-0000002.jsonl.new"):
            self.write(f"out.jsonl.parts/{name}", b"half")
        again = self.begun(resume=True)
        self.assertEqual(self.names(), ["out.jsonl.parts/manifest.json", "out.jsonl.parts/part-00000-0000000.jsonl"])
        self.finish(again)
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), b"0 0\n0 1\n1 0\n")

    def test_parts_that_are_not_what_was_written_are_made_again(self):
        for name in ("out.jsonl", "out/"):
            folder = self.folder / ("out" if name == "out/" else "out.jsonl.parts")
            for damage in (lambda part: part.unlink(), lambda part: part.write_bytes(part.read_bytes()[:-2]),
                           lambda part: part.write_bytes(b""), lambda part: part.write_bytes(b"0 7\n")):  # fmt: skip
                output = self.begun(name=name, overwrite=True)
                output.add(finished(0, 0), b"0 0\n")
                output.add(finished(0, 1, True), b"0 1\n")
                output.close()
                damage(folder / "part-00000-0000001.jsonl")
                again = self.output(name, resume=True)
                manifest = again.begin(RunIdentity(IDENTITY.fingerprint, 100, "x", (("a", 1), ("b", 2))))
                (damaged,) = again.open()
                self.assertTrue(damaged.endswith("part-00000-0000001.jsonl"), damaged)
                self.assertEqual(manifest.unfinished_files(), [0, 1])
                self.assertEqual(manifest.finished(0), {0: "00"})
                self.finish(again)
                rows = b"".join(part.read_bytes() for part in sorted(folder.glob("part-*")))
                self.assertEqual(rows or (self.folder / name).read_bytes(), b"0 0\n0 1\n1 0\n")

    def test_a_part_that_cannot_be_read_just_now_is_no_damaged_one(self):
        output = self.begun()
        output.add(finished(0, 0), b"0 0\n")
        output.close()
        before = self.names()
        again = self.output("out.jsonl", resume=True)
        again.begin(RunIdentity(IDENTITY.fingerprint, 100, "x", (("a", 1), ("b", 2))))
        down = InputError("part-00000-0000000.jsonl: cannot be read: Connection reset by peer")
        with unittest.mock.patch.object(storage, "read", side_effect=down), self.assertRaisesRegex(InputError, "Connection reset"):
            again.open()
        self.assertEqual(self.names(), before)
        self.finish(self.begun(resume=True))
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), b"0 0\n0 1\n1 0\n")

    def test_a_part_that_is_damaged_while_the_run_goes_on_is_not_joined(self):
        output = self.begun()
        output.add(finished(0, 0), b"0 0\n")
        self.write("out.jsonl.parts/part-00000-0000000.jsonl", b"0 1\n")
        with self.assertRaisesRegex(InputError, "part-00000-0000000.jsonl: is not what was written there"):
            self.finish(output)
        output.close()
        self.assertFalse([name for name in self.names() if "parts" not in name], "neither whole nor half")

    def test_a_part_of_a_complete_folder_that_is_not_what_was_written_is_made_again(self):
        part, success = self.folder / "out/part-00001-0000000.jsonl", self.folder / "out/_SUCCESS"
        for damage in (part.unlink, lambda: part.write_bytes(b""), lambda: part.write_bytes(b"1 7\n"), success.unlink):
            self.finish(self.begun(name="out/", overwrite=True))
            self.assertTrue(self.begun_manifest("out/").is_complete)
            damage()
            self.assertFalse(self.begun_manifest("out/").is_complete)
            again = self.begun(name="out/", resume=True)
            self.assertFalse(success.exists())
            self.assertEqual(again.manifest.unfinished_files(), [] if part.exists() else [1])
            self.finish(again)
            self.assertEqual((part.read_bytes(), success.read_bytes()), (b"1 0\n", b""))

    def test_a_complete_file_that_is_not_what_was_written_is_told(self):
        file = self.folder / "out.jsonl"
        for data in (b"", b"0 0\n0 1\n1 7\n"):
            self.finish(self.begun(overwrite=True))
            self.assertTrue(self.begun_manifest("out.jsonl").is_complete)
            file.write_bytes(data)
            with self.assertRaisesRegex(InputError, "out.jsonl: was complete, but is not what was written there"):
                self.begun(resume=True)

    def test_what_is_left_to_read(self):
        output = self.begun()
        self.assertEqual(output.manifest.num_bytes_left(), 1 + 2)
        for size, left in ((0, 1 + 2), (1, 2), (5, 2)):  # sizes of blocks are estimates
            output.manifest.add(finished(0, 0)._replace(num_bytes=size))
            self.assertEqual(output.manifest.num_bytes_left(), left)
        output.manifest.add(finished(1, 0, True)._replace(num_bytes=0))
        self.assertEqual(output.manifest.num_bytes_left(), 0)
        output.close()

    def test_parts_that_a_kill_left_beside_a_complete_file_go(self):
        self.finish(self.begun())
        self.write("out.jsonl.parts/part-00000-0000000.jsonl", b"0 0\n")
        output = self.output("out.jsonl", resume=True)
        output.begin(RunIdentity(IDENTITY.fingerprint, 100, "x", (("a", 1), ("b", 2))))
        output.remove_parts_of_the_whole()
        self.assertEqual(self.names(), ["out.jsonl", "out.jsonl.parts/manifest.json"])

    def test_two_runs_never_write_one_output(self):
        output = self.begun()
        with self.assertRaisesRegex(InputError, "out.jsonl.parts: another run is writing there"):
            self.begun(resume=True)
        output.close()
        self.begun(resume=True).close()

    def test_a_run_that_has_ended_meanwhile_is_left_as_it_is(self):
        identity = RunIdentity(IDENTITY.fingerprint, 100, "x", (("a", 1), ("b", 2)))
        for name in ("out/", "out.jsonl"):
            new = self.output(name)
            first = self.begun(name=name)
            first.add(finished(0, 0), b"0 0\n")
            first.close()
            first = self.begun(name=name, resume=True)
            resumed = self.output(name, resume=True)
            for late in (new, resumed):
                late.begin(identity)
            self.finish(first)
            there = self.names()
            for late, message in ((new, "already there; give --resume"), (resumed, "another run has written there")):
                for _ in range(2):
                    with self.assertRaisesRegex(InputError, message):
                        late.open()
                    self.assertEqual(self.names(), there)

    def test_a_kill_while_it_is_replaced_leaves_nothing_that_looks_complete(self):
        for name, num_files in (("out/", 5), ("out.jsonl", 2)):
            for num_removed in range(1, num_files):
                self.finish(self.begun(name=name, overwrite=True))
                removed = []

                def remove(place, removed=removed, most=num_removed, remove=storage.remove):
                    if len(removed) == most:
                        raise KeyboardInterrupt
                    removed.append(place)
                    remove(place)

                with unittest.mock.patch.object(storage, "remove", remove), self.assertRaises(KeyboardInterrupt):
                    self.begun(name=name, overwrite=True)
                self.assertEqual(len(removed), num_removed)
                self.assertFalse(list(self.folder.rglob("*manifest.json")))
                if (self.folder / name / "_SUCCESS").exists():
                    self.assertEqual(len(self.names()), 4)

    def test_what_is_there_is_refused_or_replaced(self):
        self.finish(self.begun())
        with self.assertRaisesRegex(InputError, "out.jsonl: already there; give --resume"):
            self.output()
        complete = self.output(resume=True).begin(RunIdentity(IDENTITY.fingerprint, 100, "x", (("a", 1), ("b", 2))))
        self.assertTrue(complete.is_complete)
        with self.assertRaisesRegex(
            InputError, "another run: --block-bytes: 100 there, 7 now; size of b: 2 there, 3 now"
        ):
            self.output(resume=True).begin(RunIdentity(IDENTITY.fingerprint, 7, "x", (("a", 1), ("b", 3))))
        self.finish(self.begun(overwrite=True))
        (self.folder / "out.jsonl").unlink()
        with self.assertRaisesRegex(InputError, "out.jsonl: was complete, but is not there"):
            self.begun(resume=True)
        self.write("other.jsonl", b"")
        with self.assertRaisesRegex(InputError, "other.jsonl: --resume: .*manifest.json: no such file"):
            self.begun(name="other.jsonl", resume=True)

    def test_nothing_half_written_gets_the_name(self):
        place = storage.place_of(str(self.folder / "a"))
        with self.assertRaises(ZeroDivisionError), storage.writing(place) as stream:
            stream.write(b"half")
            raise ZeroDivisionError
        self.assertNotIn("a", self.names())
        with self.assertRaisesRegex(InputError, "/dev/full|cannot be written"):
            storage.write(storage.Place("/dev/full", pafs.LocalFileSystem(), "/no/such/folder/a"), b"x")


if __name__ == "__main__":
    program.main()
