"""What is measured: judges over sets of documents, and the stages around them by themselves."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.machine import describe, describe_run
from bench.make_checkpoint import config_of
from bench.program import version_of
from bench.work import ModelShape
from scale import timed
from scale.checkpoints import JUDGES, TINY_JUDGE, Judge
from scale.errors import ScaleError
from scale.lengths import ARTICLES, BOOKS, PAGES, POSTS, Distribution
from scale.texts import Texts, write_documents

Json = dict[str, Any]
Arguments = list[str | Path]
STAGES = "stages"
SAMPLE_WORDS = 5000
NANO = ModelShape(64, 128, 1, 2, 2, 152064, True)
"""So small that reading and tokenising are what takes time."""
ONE_SHARD_OF_MANY = ("--shard", "0", "--num-shards", "1000000000")


@dataclass(frozen=True)
class DocumentSet:
    """Documents of these lengths in tokens, as well as words allow it. Not fitted = held out to check the fit."""

    name: str
    lengths: tuple[int, ...]
    fitted: bool


def same(length: int, count: int) -> DocumentSet:
    return DocumentSet(f"{count} x {length}", (length,) * count, True)


def drawn(distribution: Distribution, times: int = 1) -> DocumentSet:
    return DocumentSet(distribution.name, tuple(distribution.lengths() * times), False)


NOTHING = DocumentSet("no documents", (), True)
"""Starting, hashing and loading the checkpoint, ending: what every run does."""
SHIPPED_SETS = (
    *(NOTHING, same(64, 1), same(64, 120), same(250, 30), same(600, 12), same(1600, 5), same(3900, 2)),
    *(drawn(POSTS, 8), drawn(PAGES, 2), drawn(ARTICLES, 7), drawn(BOOKS)),
)
RANDOM_SETS = (
    *(NOTHING, same(64, 1), same(64, 8), same(250, 3), same(600, 1), same(1600, 1), same(4000, 1)),
    *(drawn(POSTS), drawn(PAGES), drawn(ARTICLES, 2)),
)
CHECK_SETS = (NOTHING, same(64, 1), drawn(POSTS), drawn(ARTICLES))
"""Of a model whose costs are computed from another's."""


@dataclass(frozen=True)
class Effort:
    repeats: int
    max_seconds: float
    """For each set: after so many there is no further repeat."""
    scale: float = 1.0
    """Of the files that the stages read."""


class Measurement:
    def __init__(self, program: Path, work: Path, effort: Effort) -> None:
        self._program, self._work, self._effort = program, work, effort
        self._texts = Texts()
        work.mkdir(parents=True, exist_ok=True)

    def part(self, name: str) -> Json:
        """One entry of the JSON's `parts`."""
        head: Json = {"run": describe_run(), "machine": describe(), "versions": version_of(self._program)}
        found = self.stages() if name == STAGES else self.judge(JUDGES[name])
        head["run"]["load_after"] = os.getloadavg()[0]
        return head | found

    def judge(self, judge: Judge) -> Json:
        sets = SHIPPED_SETS if judge.is_shipped else CHECK_SETS if judge.name == "1.5b-bfloat16" else RANDOM_SETS
        folder = judge.folder(self._work)
        words_per_token = self._words_per_token(folder)
        files = {one.name: self._write(one, words_per_token) for one in sets}
        found: dict[str, Json] = {one.name: {"name": one.name, "fitted": one.fitted, "runs": []} for one in sets}
        for _ in range(self._effort.repeats):
            for one in sets:
                record = found[one.name]
                if sum(run["wall_seconds"] for run in record["runs"]) < self._effort.max_seconds:
                    record |= self._score(judge, folder, files[one.name], record["runs"])
        head = {"title": judge.title, "dtype": judge.dtype, "shape": asdict(judge.shape)}
        return head | self._fingerprint(judge, folder) | {"sets": list(found.values())}

    def _score(self, judge: Judge, folder: Path, documents: Path, runs: list[Json]) -> Json:
        rows = self._work / "rows.jsonl"
        arguments: Arguments = ["--model", folder, "--dtype", judge.dtype, "--output", rows, "--overwrite", documents]
        times, metadata = timed.score(self._program, self._work / "run.json", arguments)
        stages = {f"{stage}_seconds": metadata["times"][f"{stage}_seconds"] for stage in ("scoring", "model", "load")}
        say(f"{judge.name}: {documents.stem}: {stages['scoring_seconds']:.2f} s, others {times.others_share:.0%}")
        runs.append(times.as_json() | {name: round(value, 4) for name, value in stages.items()})
        return {
            "lengths": [json.loads(line)["num_tokens"] for line in rows.read_text(encoding="utf-8").splitlines()],
            "bytes": documents.stat().st_size,
            "forward_rows": metadata["throughput"]["forward_rows"],
            "threads": metadata["engine"]["threads"],
            "max_context": metadata["engine"]["max_context"],
        }

    def _fingerprint(self, judge: Judge, folder: Path) -> Json:
        """Runs that hash the checkpoint (from the page cache) and do nothing else."""
        command: Arguments = ["--fingerprint", "--model", folder, "--dtype", judge.dtype]
        runs = [timed.run(self._program, command).as_json() for _ in range(self._effort.repeats)]
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        return {"checkpoint_bytes": size, "fingerprint_runs": runs}

    def _words_per_token(self, folder: Path) -> float:
        sample = self._work / "sample.jsonl"
        write_documents(sample, iter([self._texts.cut(SAMPLE_WORDS, 0)]))
        model: Arguments = ["--model", folder, "--random-weights", self._nano_config(), sample]
        return SAMPLE_WORDS / timed.score(self._program, self._work / "run.json", model)[1]["counts"]["tokens"]

    def _nano_config(self) -> Path:
        config = self._work / "nano.json"
        config.write_text(json.dumps(config_of(NANO, "float32")), encoding="utf-8")
        return config

    def _write(self, documents: DocumentSet, words_per_token: float) -> Path:
        file = self._work / (documents.name.replace(" ", "") + ".jsonl")
        words = [max(1, round(length * words_per_token)) for length in documents.lengths]
        write_documents(file, self._texts.documents(words, len(words)))
        return file

    # The stages

    def stages(self) -> Json:
        config = self._nano_config()
        return {
            "pages": [self._pages(name, judge, config) for name, judge in TOKENIZERS.items()],
            "passing": self._passing(config),
            "merge": self._merge(config),
        }

    def _pages(self, name: str, judge: Judge, config: Path) -> Json:
        """Reading, parsing and tokenising: `info --plan` does just that, on one thread; how the two share it a run with
        a very small model says."""
        folder = judge.folder(self._work)
        documents = self._pages_file(folder, round(4000 * self._effort.scale))
        model: Arguments = ["--model", folder]
        nano: Arguments = [*model, "--random-weights", config, "--threads", "1", documents]
        found: Json = {"tokenizer": name, "bytes": documents.stat().st_size, "runs": [], "shares": []}
        empty = self._work / "nothing.jsonl"
        empty.write_bytes(b"")
        for _ in range(self._effort.repeats):
            full = timed.run(self._program, ["info", *model, "--plan", documents])
            bare = timed.run(self._program, ["info", *model, "--plan", empty])
            found["runs"].append({"documents": full.as_json(), "nothing": bare.as_json()})
            _, metadata = timed.score(self._program, self._work / "run.json", nano)
            found["shares"].append({key: round(metadata["times"][key], 4) for key in STAGE_KEYS})
            found |= {key: metadata["counts"][key] for key in ("lines", "tokens", "chunks")}
            say(f"pages, {name}: {full.processor_seconds - bare.processor_seconds:.2f} s, {found['shares'][-1]}")
        return found

    def _passing(self, config: Path) -> Json:
        """Lines of other shards: read and hashed, but not parsed. Two sizes, whose difference is that alone."""
        pages = self._pages_file(TINY_JUDGE, round(4000 * self._effort.scale))
        many = self._work / "many.jsonl"
        with many.open("wb") as out:
            for _ in range(PASSES):
                out.write(pages.read_bytes())
        model: Arguments = ["--model", TINY_JUDGE, "--random-weights", config, *ONE_SHARD_OF_MANY]
        output: Arguments = ["--output", self._work / "rows.jsonl", "--overwrite"]
        size = pages.stat().st_size
        found: Json = {"bytes": [PASSES * size, size], "runs": []}
        for _ in range(self._effort.repeats):
            full, bare = (timed.run(self._program, [*model, *output, file]) for file in (many, pages))
            found["runs"].append({"documents": full.as_json(), "nothing": bare.as_json()})
            say(f"passing over lines: {full.processor_seconds - bare.processor_seconds:.2f} s")
        many.unlink()
        return found

    def _merge(self, config: Path) -> Json:
        """Rows of eight chunks, from four shards."""
        documents = self._work / "short.jsonl"
        count = round(100000 * self._effort.scale)
        write_documents(documents, self._texts.documents([19], count))
        shards = [self._work / f"shard.{i}.jsonl" for i in range(4)]
        for i, shard in enumerate(shards):
            share: Arguments = [
                "--shard",
                str(i),
                "--num-shards",
                "4",
                "--output",
                shard,
                "--overwrite",
                "--chunk-size",
                "3",
            ]
            timed.run(self._program, ["--model", TINY_JUDGE, "--random-weights", config, *share, documents])
        merged = self._work / "merged.jsonl"
        runs = []
        for _ in range(self._effort.repeats):
            full = timed.run(self._program, ["merge", *shards, "--output", merged, "--overwrite"])
            bare = timed.run(self._program, ["merge", "--help"])
            runs.append({"documents": full.as_json(), "nothing": bare.as_json()})
            say(f"merge: {full.processor_seconds - bare.processor_seconds:.2f} s")
        return {"lines": count, "bytes": merged.stat().st_size, "shards": len(shards), "runs": runs}

    def _pages_file(self, folder: Path, count: int) -> Path:
        documents = replace(drawn(PAGES), name="web pages")
        words_per_token = self._words_per_token(folder)
        file = self._work / "pages.jsonl"
        words = [max(1, round(length * words_per_token)) for length in documents.lengths]
        write_documents(file, self._texts.documents(words, count))
        return file


STAGE_KEYS = ("read_seconds", "tokenize_seconds", "write_seconds")
TOKENIZERS = {"shipped judge": JUDGES["judge-float32"], "Qwen2.5": JUDGES["0.5b-bfloat16"]}
PASSES = 100
"""How often the lines of the pages are in the file that is passed over."""


def say(text: str) -> None:
    print(f"scale: {text}", file=sys.stderr, flush=True)


def part_names(text: str) -> tuple[str, ...]:
    """For argparse: a ValueError is a wrong argument."""
    names = tuple(text.split(","))
    if not set(names) <= {STAGES, *JUDGES}:
        raise ValueError
    return names


def read_measurements(file: Path, needed: Iterable[str] = ()) -> Json:
    """Throws ScaleError that names the file and what is wrong with it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScaleError(f"{file}: expected measurements, found {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("parts"), dict):
        raise ScaleError(f'{file}: expected an object with "parts", found none')
    for name in needed:
        if name not in found["parts"]:
            there = ", ".join(found["parts"]) or "nothing"
            raise ScaleError(f'{file}: expected the part "{name}", found {there}; measure --parts {name} adds it')
    return found
