"""The shipped judge does what it ships for: held-out addresses rank above the same texts made worse."""

import random
import sys
import unittest

import program

sys.path.insert(0, str(program.DATA.parent / "scripts/train"))
from damage import corrupt  # noqa: E402

NUM_CHARACTERS = 2000
MIDDLE_STRENGTH = 0.5
KINDS = ("word_shuffle", "nearby_word_shuffle", "char_noise", "repetition", "span_deletion", "splice")
"""Not sentence_shuffle, which it hardly sees in this source (data/tiny-judge/README.md)."""
MIN_PAIR_ACCURACY = 0.86
"""20 of 23: below what the judge reaches by what so few pairs can miss by chance."""


def held_out_addresses():
    """The 10th, 20th, .. file in name order, as scripts/train/fetch_texts.py holds them out from training."""
    return sorted((program.DATA / "corpus/sotu").glob("*.txt"))[9::10]


class JudgeTest(program.ProgramTest):
    def test_real_above_worse(self):
        texts = [path.read_text(encoding="utf-8")[:NUM_CHARACTERS] for path in held_out_addresses()]
        self.assertGreaterEqual(len(texts), 23)
        novel = (program.DATA / "corpus/moby-dick.txt").read_text(encoding="utf-8")
        documents = list(texts)
        for kind in KINDS:
            for number, text in enumerate(texts):
                others = [novel[10_000 * (number + 1):][:NUM_CHARACTERS]]
                documents.append(corrupt(kind, random.Random(number), text, MIDDLE_STRENGTH, others).text)
        process = program.run(stdin=b"".join(program.line(text) for text in documents))
        self.assert_exit(process, 0)
        rewards = [row["reward"] for row in program.rows_of(process.stdout)]
        real = rewards[:len(texts)]
        for place, kind in enumerate(KINDS, start=1):
            worse = rewards[place * len(texts):(place + 1) * len(texts)]
            accuracy = sum(r > w for r, w in zip(real, worse)) / len(texts)
            with self.subTest(kind=kind):
                self.assertGreaterEqual(accuracy, MIN_PAIR_ACCURACY)


if __name__ == "__main__":
    program.main()
