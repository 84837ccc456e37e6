"""How much memory a run takes: that of its model and of one step, however many documents come."""

import os
import pathlib
import subprocess
import unittest

import program

SMALL_MODEL = program.DATA / "golden" / "checkpoints" / "llama-biased"


class MemoryTest(program.ProgramTest):
    def peak_kilobytes(self, documents: pathlib.Path, num_documents):
        """Of a whole run over the file."""
        rows = self.folder / "rows.jsonl"
        with rows.open("wb") as out:
            command = [program.PROGRAM, str(documents), "--model", str(SMALL_MODEL), "--threads", "2"]
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=program.environment())
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stderr.close()
        self.assertEqual(process.returncode, 0, errors)
        with rows.open("rb") as lines:
            self.assertEqual(sum(1 for _ in lines), num_documents)
        return usage.ru_maxrss

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


if __name__ == "__main__":
    program.main()
