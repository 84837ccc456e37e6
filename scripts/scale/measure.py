"""What is measured: judges over sets of documents, and the stages around them by themselves."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import describe, describe_run
from bench.make_checkpoint import config_of
from bench.program import version_of
from bench.work import ModelShape

from scale import timed
from scale.checkpoints import JUDGES, QWEN_TOKENIZER, TINY_JUDGE, Judge
from scale.errors import ScaleError
from scale.lengths import ARTICLES, BOOKS, PAGES, POSTS, Distribution
from scale.texts import Texts, write_documents

Json = dict[str, Any]
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


SHIPPED_SETS = (
    *(same(64, 1), same(64, 240), same(250, 60), same(600, 25), same(1600, 9), same(3900, 4)),
    *(drawn(POSTS, 16), drawn(PAGES, 4), drawn(ARTICLES, 15), drawn(BOOKS)),
)
RANDOM_SETS = (
    *(same(64, 1), same(64, 8), same(250, 3), same(600, 1), same(1600, 1), same(4000, 1)),
    *(drawn(POSTS), drawn(PAGES), drawn(ARTICLES, 2)),
)
CHECK_SETS = (drawn(POSTS), drawn(ARTICLES, 2))
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
        head = {"run": describe_run(), "machine": describe(), "versions": version_of(self._program)}
        if name == STAGES:
            return head | self.stages()
        return head | self.judge(JUDGES[name])

    def judge(self, judge: Judge) -> Json:
        sets = SHIPPED_SETS if judge.is_shipped else CHECK_SETS if judge.name == "1.5b-bfloat16" else RANDOM_SETS
        folder = judge.folder(self._work)
        words_per_token = self._words_per_token(folder)
        files = {one.name: self._write(one, words_per_token) for one in sets}
        found = {one.name: {"name": one.name, "fitted": one.fitted, "runs": []} for one in sets}
        for _ in range(self._effort.repeats):
            for one in sets:
                record = found[one.name]
                if sum(run["wall_seconds"] for run in record["runs"]) < self._effort.max_seconds:
                    record |= self._score(judge, folder, files[one.name], record["runs"])
        head = {"title": judge.title, "dtype": judge.dtype, "shape": asdict(judge.shape)}
        return head | {"start_up": self._start_up(judge, folder), "sets": list(found.values())}

    def _score(self, judge: Judge, folder: Path, documents: Path, runs: list[Json]) -> Json:
        rows = self._work / "rows.jsonl"
        arguments = ["--model", folder, "--dtype", judge.dtype, "--output", rows, "--overwrite", documents]
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

    def _start_up(self, judge: Judge, folder: Path) -> Json:
        """Seconds of a run without documents (its weights in the page cache), and of its part that hashes them."""
        nothing = self._work / "nothing.jsonl"
        nothing.write_bytes(b"")
        model = ["--model", folder, "--dtype", judge.dtype]
        whole = [timed.run(self._program, [*model, nothing]).as_json() for _ in range(3)]
        fingerprints = [timed.run(self._program, ["--fingerprint", *model]).as_json() for _ in range(3)]
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        return {"checkpoint_bytes": size, "runs": whole, "fingerprint_runs": fingerprints}

    def _words_per_token(self, folder: Path) -> float:
        sample = self._work / "sample.jsonl"
        write_documents(sample, iter([self._texts.cut(SAMPLE_WORDS, 0)]))
        model = ["--model", folder, "--random-weights", self._nano_config(), sample]
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
            "pages": [self._pages(name, folder, config) for name, folder in TOKENIZERS.items()],
            "passing": self._passing(config),
            "merge": self._merge(config),
        }

    def _pages(self, name: str, tokenizer: Path, config: Path) -> Json:
        """Reading, parsing, tokenising and writing, each by the clock of its own thread, while a very small model
        computes on another."""
        folder = self._tokenizer_folder(name, tokenizer)
        documents = self._pages_file(folder, round(4000 * self._effort.scale))
        rows = self._work / "rows.jsonl"
        model = ["--model", folder, "--random-weights", config, "--threads", "1"]
        arguments = [*model, "--output", rows, "--overwrite", documents]
        found: Json = {"tokenizer": name, "bytes": documents.stat().st_size, "runs": []}
        for _ in range(self._effort.repeats):
            times, metadata = timed.score(self._program, self._work / "run.json", arguments)
            stages = {key: round(metadata["times"][key], 4) for key in STAGE_KEYS}
            found["runs"].append(times.as_json() | stages)
            found |= {key: metadata["counts"][key] for key in ("lines", "tokens", "chunks")}
            say(f"pages, {name}: {stages}, others {times.others_share:.0%}")
        return found | {"row_bytes": rows.stat().st_size}

    def _passing(self, config: Path) -> Json:
        """Lines of other shards: read, and with --output hashed, but not parsed."""
        pages = self._pages_file(TINY_JUDGE, round(4000 * self._effort.scale))
        many = self._work / "many.jsonl"
        with many.open("wb") as out:
            for _ in range(30):
                out.write(pages.read_bytes())
        lines = 30 * pages.read_bytes().count(b"\n")
        folder = self._tokenizer_folder("shipped judge", TINY_JUDGE)
        base = ["--model", folder, "--random-weights", config, *ONE_SHARD_OF_MANY, many]
        hashed = [*base, "--output", self._work / "rows.jsonl", "--overwrite"]
        found: Json = {"bytes": many.stat().st_size, "lines": lines}
        for key, arguments in (("hashed_runs", hashed), ("runs", base)):
            found[key] = []
            for _ in range(self._effort.repeats):
                times, metadata = timed.score(self._program, self._work / "run.json", arguments)
                found[key].append(times.as_json() | {"read_seconds": round(metadata["times"]["read_seconds"], 4)})
            say(f"passing over {lines} lines: {key}: {found[key][-1]['read_seconds']} s")
        many.unlink()
        return found

    def _merge(self, config: Path) -> Json:
        """Rows of eight chunks, from four shards."""
        documents = self._work / "short.jsonl"
        count = round(60000 * self._effort.scale)
        write_documents(documents, self._texts.documents([19], count))
        folder = self._tokenizer_folder("shipped judge", TINY_JUDGE)
        chunks = ["--chunk-size", "3"]
        shards = [self._work / f"shard.{i}.jsonl" for i in range(4)]
        for i, shard in enumerate(shards):
            share = ["--shard", str(i), "--num-shards", "4", "--output", shard, "--overwrite", "--metadata"]
            model = ["--model", folder, "--random-weights", config, *chunks, *share, self._work / "run.json"]
            timed.run(self._program, [*model, documents])
        merged = self._work / "merged.jsonl"
        runs = []
        for _ in range(self._effort.repeats):
            times = timed.run(self._program, ["merge", *shards, "--output", merged, "--overwrite"])
            runs.append(times.as_json())
            say(f"merge: {times.wall_seconds:.2f} s")
        return {"rows": count, "bytes": merged.stat().st_size, "shards": len(shards), "runs": runs}

    def _pages_file(self, folder: Path, count: int) -> Path:
        documents = replace(drawn(PAGES), name="web pages")
        words_per_token = self._words_per_token(folder)
        file = self._work / "pages.jsonl"
        words = [max(1, round(length * words_per_token)) for length in documents.lengths]
        write_documents(file, self._texts.documents(words, count))
        return file

    def _tokenizer_folder(self, name: str, tokenizer: Path) -> Path:
        """With a config, so that weights can be drawn for another one."""
        folder = self._work / f"tokenizer of the {name}"
        folder.mkdir(exist_ok=True)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer / file, folder / file)
        (folder / "config.json").write_text(json.dumps(config_of(NANO, "float32")), encoding="utf-8")
        return folder


STAGE_KEYS = ("read_seconds", "tokenize_seconds", "model_seconds", "write_seconds", "scoring_seconds")
TOKENIZERS = {"shipped judge": TINY_JUDGE, "Qwen2.5": QWEN_TOKENIZER}


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


def median_of(runs: Sequence[Json], name: str) -> float:
    return median(run[name] for run in runs)
