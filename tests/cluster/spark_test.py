"""prm-score behind Spark's RDD.pipe, on this machine: the README's example, and what becomes of exit codes."""

# ruff: noqa: E402
import json
import os
import pathlib
import re
import shlex
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))

import program
from output_test import documents
from program import run
from pyspark.sql import SparkSession

README = HERE.parents[1] / "README.md"
NUM_PARTITIONS = 3
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def example():
    """The README's own code."""
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (code,) = (block for block in blocks if ".pipe(" in block)
    return code


def without_line(row):
    return re.sub(r'^\{"line":[0-9]+', '{"line":0', row)


class SparkTest(program.ProgramTest):
    @classmethod
    def setUpClass(cls):
        for name in [name for name in os.environ if name.startswith("PRM_SCORE_")]:
            del os.environ[name]
        builder = SparkSession.builder.master("local[2]").appName("prm-score")
        for option, value in SETTINGS.items():
            builder = builder.config(option, value)
        cls.spark = builder.getOrCreate()
        cls.spark.sparkContext.setLogLevel("OFF")
        cls.addClassCleanup(cls.spark.stop)

    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", documents(90))
        self.expected = [without_line(row) for row in run(self.docs, "--threads", "1").stdout.decode().splitlines()]

    def pipe(self, options, **how):
        lines = self.spark.sparkContext.textFile(str(self.docs), NUM_PARTITIONS)
        return lines.pipe(f"{shlex.quote(program.PROGRAM)} {options}", **how)

    def test_the_example_of_the_readme(self):
        code = example()
        for shown, here in (
            ("/usr/local/bin/prm-score", shlex.quote(program.PROGRAM)),
            ("docs.jsonl", str(self.docs)),
            ('"rewards"', repr(str(self.folder / "rewards"))),
        ):
            self.assertIn(shown, code)
            code = code.replace(shown, here)
        exec(compile(code, "README.md", "exec"), {"spark": self.spark})
        parts = sorted((self.folder / "rewards").glob("part-*"))
        found = [row for part in parts for row in part.read_text(encoding="utf-8").splitlines()]
        self.assertEqual([without_line(row) for row in found], self.expected)
        self.assertTrue(any('"error"' in row for row in found))

    def test_each_partition_counts_its_lines(self):
        rows = self.pipe("--threads 1 --errors-ok --log-level error", checkCode=True).glom().collect()
        self.assertGreaterEqual(len(rows), NUM_PARTITIONS)
        self.assertEqual([without_line(row) for part in rows for row in part], self.expected)
        for part in rows:
            self.assertEqual(json.loads(part[0])["line"], 1)

    def test_by_default_exit_codes_are_ignored(self):
        rows = self.pipe("--threads 1 --log-level error").collect()  # each process ends with 3
        self.assertEqual([without_line(row) for row in rows], self.expected)
        self.assertEqual(self.pipe("--model /no/such --log-level off").collect(), [])  # and here with 1

    def test_when_they_are_checked_bad_rows_have_to_be_allowed(self):
        for options, code in (("--threads 1", 3), ("--errors-ok --model /no/such", 1)):
            with self.subTest(options), self.assertRaisesRegex(Exception, f"exited with error code {code}"):
                self.pipe(f"{options} --log-level off", checkCode=True).collect()


if __name__ == "__main__":
    program.main()
