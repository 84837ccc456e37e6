"""The shipped judge does what it ships for: held-out addresses rank above the same text with its words shuffled."""

import random
import unittest

import program

NUM_CHARACTERS = 2500


def held_out_addresses():
    """The 10th, 20th, .. file in name order, as scripts/train/fetch_texts.py holds them out from training."""
    return sorted((program.DATA / "corpus/sotu").glob("*.txt"))[9::10]


def shuffled(text, seed):
    words = text.split()
    random.Random(seed).shuffle(words)
    return " ".join(words)


class JudgeTest(program.ProgramTest):
    def test_real_above_shuffled(self):
        texts = [path.read_text(encoding="utf-8")[:NUM_CHARACTERS] for path in held_out_addresses()]
        self.assertGreaterEqual(len(texts), 23)
        documents = [pair for seed, text in enumerate(texts) for pair in (text, shuffled(text, seed))]
        process = program.run(stdin=b"".join(program.line(text) for text in documents))
        self.assert_exit(process, 0)
        rewards = [row["reward"] for row in program.rows_of(process.stdout)]
        for real, damaged, path in zip(rewards[::2], rewards[1::2], held_out_addresses()):
            self.assertGreater(real, damaged, path.name)


if __name__ == "__main__":
    program.main()
