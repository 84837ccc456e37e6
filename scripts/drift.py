#!/usr/bin/env python3
"""How far rewards in int8 and bfloat16 are from those in float32, on documents that anyone can make again.

  drift.py --prm-score build/prm-score        writes data/drift/drift.json and the README's table between its marks

Documents: 300 excerpts of 230 to 600 words of data/corpus, each as it is and damaged in one of seven ways and at one
of several strengths (scripts/train/damage.py), and, where Apertium is there, every third one translated to Spanish and
Catalan. The numbers are those of `prm-score check --against float32`, pair accuracy that of `prm-score pairs` on 2,000
such excerpts with the text as it is as chosen one: a pair is 0.05 points then. Which digits an int8 run gives depends
on nothing but the judge, apart from the last ones of attention.

Exit codes: 0 done; 1 stopped by an error; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts" / "train"))

from bench.errors import BenchError  # noqa: E402
from bench.make_checkpoint import SHAPES, config_of  # noqa: E402
from bench.program import find_program  # noqa: E402
from bench.report import replace_section  # noqa: E402
from damage import DAMAGES  # noqa: E402

SECTION = "drift"
SEED = 20261129
STRENGTHS = (0.05, 0.15, 0.5, 1.0)
LENGTHS = (230, 300, 400, 600)
LANGUAGES = {"Spanish": "eng-spa", "Catalan": "eng-cat"}
JUDGE = REPOSITORY / "data" / "tiny-judge"
FEW = 24
"""Documents for the large judge of random weights."""


@dataclass(frozen=True)
class Excerpt:
    """A text, what was made of it, and how."""

    text: str
    versions: dict[str, str]


def excerpts(count: int) -> list[Excerpt]:
    rng = random.Random(SEED)
    corpus = REPOSITORY / "data" / "corpus"
    sources = [path.read_text(encoding="utf-8").split() for path in sorted(corpus.glob("sotu/*.txt"))]
    sources.append((corpus / "moby-dick.txt").read_text(encoding="utf-8").split())
    made = []
    for _ in range(count):
        words = sources[-1] if rng.random() < 0.3 else rng.choice(sources[:-1])
        length = min(rng.choice(LENGTHS), len(words))
        begin = rng.randrange(len(words) - length + 1)
        text = " ".join(words[begin : begin + length])
        kind, strength = rng.choice(sorted(DAMAGES)), rng.choice(STRENGTHS)
        made.append(Excerpt(text, {kind: DAMAGES[kind](rng, text, strength).text}))
    return made


def translations(texts: Sequence[str], pair: str) -> list[str]:
    """One line each, as the excerpts are."""
    done = subprocess.run(
        ["apertium", "-u", pair], input="\n\n".join(texts), capture_output=True, text=True, check=True
    )
    found = done.stdout.strip().split("\n\n")
    if len(found) != len(texts):
        raise BenchError(f"apertium {pair}: expected {len(texts)} paragraphs, got {len(found)}")
    return found


def write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def run(program: Path, *arguments: str | Path) -> None:
    command = [str(program), *map(str, arguments), "--log-level", "error", "--progress", "none"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: expected exit code 0, got {done.returncode}: {done.stderr.strip()}")


class Measurement:
    """Runs of the program over the documents of a folder."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.metadata = folder / "run.json"

    def drift(self, documents: Path, dtype: str, *judge: str | Path) -> dict[str, Any]:
        """`judge`: its options."""
        run(self.program, "check", "--against", "float32", "--dtype", dtype, documents, *judge,
            "--metadata", self.metadata)  # fmt: skip
        found: dict[str, Any] = json.loads(self.metadata.read_text())
        return {"dtype": dtype, "cpu": found["host"]["cpu"], "versions": found["versions"], **found["drift"]}

    def accuracy(self, pairs: Path, dtype: str) -> float:
        run(self.program, "pairs", "--dtype", dtype, "--model", JUDGE, pairs, "--metadata", self.metadata)
        accuracy: float = json.loads(self.metadata.read_text())["pairs"]["accuracy"]
        return accuracy


def measure(program: Path, count: int, num_pairs: int) -> dict[str, Any]:
    paired = excerpts(max(count, num_pairs))
    made = paired[:count]
    documents = [{"text": text} for excerpt in made for text in (excerpt.text, *excerpt.versions.values())]
    pairs = [
        {"chosen": excerpt.text, "rejected": text, "subset": kind}
        for excerpt in paired[:num_pairs]
        for kind, text in excerpt.versions.items()
        if text != excerpt.text
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {"English": folder / "english.jsonl"}
        write_lines(sets["English"], documents)
        write_lines(folder / "pairs.jsonl", pairs)
        for language, pair in LANGUAGES.items() if shutil.which("apertium") else ():
            sets[language] = folder / f"{pair}.jsonl"
            texts = translations([excerpt.text for excerpt in made[::3]], pair)
            write_lines(sets[language], [{"text": text} for text in texts])
        few, config = folder / "few.jsonl", folder / "config.json"
        write_lines(few, documents[:FEW])
        config.write_text(json.dumps(config_of(SHAPES["qwen2.5-0.5b"], "bfloat16")))
        tokenizer = REPOSITORY / "data" / "qwen2.5-tokenizer"

        measurement = Measurement(program, folder)
        rows = []
        for dtype in ("int8", "bfloat16"):
            for language, path in sets.items():
                found = measurement.drift(path, dtype, "--model", JUDGE)
                rows.append({"judge": "shipped judge", "documents": language} | found)
            for name, options, path in (
                ("random weights of its shape", ("--model", JUDGE, "--random-weights", JUDGE / "config.json"), few),
                ("random weights, 0.5B", ("--model", tokenizer, "--random-weights", config), few),
            ):
                rows.append({"judge": name, "documents": "English"} | measurement.drift(path, dtype, *options))
        accuracy = {
            dtype: measurement.accuracy(folder / "pairs.jsonl", dtype) for dtype in ("float32", "int8", "bfloat16")
        }
    return {"drift": rows, "pairs": {"num_pairs": len(pairs), "accuracy": accuracy}}


def table(found: dict[str, Any]) -> str:
    """The README's section: documents of at least four chunks."""
    lines = [
        "| dtype | judge, documents | number | rank correlation | mean | 99 % | largest | pairs in another order |",
        "| --- | --- | --: | --: | --: | --: | --: | --: |",
    ]
    for row in found["drift"]:
        drift = row["longer"]
        part = [100 * drift[name] / drift["standard_deviation"] for name in ("mean", "percentile_99", "largest")]
        cells = [
            row["dtype"],
            f"{row['judge']}, {row['documents']}",
            f"{drift['num_documents']:,}",
            f"{drift['rank_correlation']:.5f}",
            *(f"{percent:.2g} %" for percent in part),
            f"{100 * drift['num_flips'] / drift['num_pairs']:.2g} %",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    accuracy = found["pairs"]["accuracy"]
    figures = ", ".join(f"{value:.4f} in {dtype}" for dtype, value in accuracy.items())
    row = found["drift"][0]
    return "\n".join(
        [
            f"Made by `scripts/drift.py` (prm-score {row['versions']['prm_score']}, {row['cpu']}): |difference| of "
            "rewards from those in float32, in parts of their standard deviation, on documents of at least 4 chunks.",
            "",
            *lines,
            "",
            f"Pair accuracy of the shipped judge on {found['pairs']['num_pairs']:,} pairs: {figures}.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prm-score", type=Path, metavar="FILE", help="the program (default: build/prm-score)")
    parser.add_argument("--excerpts", type=int, default=300, metavar="N", help="how many (default: 300)")
    parser.add_argument("--pairs", type=int, default=2000, metavar="N", help="for pair accuracy (default: 2,000)")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "data" / "drift" / "drift.json", metavar="FILE")
    parser.add_argument("--readme", type=Path, default=REPOSITORY / "README.md", metavar="FILE")
    options = parser.parse_args(arguments)
    if options.excerpts < 8:
        parser.error(f"--excerpts: expected at least 8, got {options.excerpts}")
    if options.pairs < 1:
        parser.error(f"--pairs: expected at least 1, got {options.pairs}")
    try:
        found = measure(find_program(options.prm_score), options.excerpts, options.pairs)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=1) + "\n")
        readme = options.readme.read_text(encoding="utf-8")
        options.readme.write_text(replace_section(readme, SECTION, table(found), str(options.readme)), encoding="utf-8")
    except (BenchError, OSError, subprocess.CalledProcessError) as error:
        print(f"drift.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
