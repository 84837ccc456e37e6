"""How much memory a run takes: that of its model and of one step, however many documents come."""

import json
import os
import pathlib
import subprocess
import unittest

import program

SMALL_MODEL = program.DATA / "golden" / "checkpoints" / "llama-biased"


class MemoryTest(program.ProgramTest):
    def peak_kilobytes(self, documents: pathlib.Path, num_documents):
        """Of a whole run over the file."""
        output, errors, kilobytes = self.measure([str(documents), "--model", str(SMALL_MODEL), "--threads", "2"])
        self.assertEqual(output.count(b"\n"), num_documents, errors)
        self.assertNotIn(b'"error"', output)
        return kilobytes

    def measure(self, arguments):
        """Standard output, standard error and the peak of a run that may end as it likes."""
        rows = self.folder / "output"
        with rows.open("wb") as out:
            command = [program.PROGRAM, *arguments]
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=program.environment())
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stderr.close()
        self.assertIn(process.returncode, (0, 3), errors)
        return rows.read_bytes(), errors, usage.ru_maxrss

    def documents(self, count):
        path = self.folder / f"{count}.jsonl"
        with path.open("wb") as out:
            for number in range(count):
                out.write(program.line(f"{number} words make a document", id=number))
        return path

    def test_a_hundred_thousand_documents_take_no_more_than_some(self):
        some = self.peak_kilobytes(self.documents(2000), 2000)
        many = self.peak_kilobytes(self.documents(100_000), 100_000)
        self.assertLess(many - some, 16 * 1024)

    def test_documents_that_wait_behind_a_long_one(self):
        """What is read ahead is bounded, also while one document keeps the engine busy."""
        some = self.documents(2000)
        many = self.documents(60_000)
        for path in (some, many):
            lines = path.read_bytes()
            path.write_bytes(program.line("one long document " * 20_000) + lines)
        self.assertLess(self.peak_kilobytes(many, 60_001) - self.peak_kilobytes(some, 2001), 16 * 1024)

    def test_a_line_of_a_gigabyte(self):
        """Is passed over; what is kept of it is bounded by --max-line-bytes."""
        path = self.folder / "huge.jsonl"
        with path.open("wb") as out:
            out.write(program.line("some words"))
            out.write(b'{"text":"')
            for _ in range(1024):
                out.write(b"x" * 2**20)
            out.write(b'"}\n' + program.line("some words"))
        arguments = [str(path), "--model", str(SMALL_MODEL), "--max-line-bytes", "64M"]
        output, errors, kilobytes = self.measure(arguments)
        rows = program.rows_of(output)
        self.assertEqual([dict(row)["line"] for row in rows], [1, 2, 3], errors)
        self.assertIn("longer than 67108864 bytes", dict(rows[1])["error"])
        self.assertLess(kilobytes, 2**20)

    def test_ten_million_characters_without_a_space(self):
        """Tokenised and planned in seconds: nothing in it is quadratic."""
        path = self.folder / "word.jsonl"
        path.write_bytes(program.line("x" * 10_000_000))
        arguments = ["info", "--model", str(program.DATA / "tiny-judge"), "--plan", str(path), "--json"]
        output, errors, kilobytes = self.measure(arguments)
        plan = json.loads(output)["plan"]
        self.assertEqual(plan["documents"], 1, errors)
        self.assertEqual(plan["chunks"], -(-plan["tokens"] // 64))
        self.assertLess(kilobytes, 4 * 2**20)


if __name__ == "__main__":
    program.main()
