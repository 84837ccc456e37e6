"""One run: checkpoints, documents, participants, rounds, growth; gives the content of results.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import machine as machine_facts
from bench.documents import DocumentSet, make_documents, read_addresses, write_documents
from bench.environments import REFERENCE, Environments
from bench.errors import BenchError, RivalError
from bench.lanes import Lane, Opener, Workload, group_by_memory, make_lane, run_tool
from bench.make_checkpoint import SHAPES
from bench.participants import Checkpoint, Input, Machine, start_up
from bench.profile import profile, profile_gpu
from bench.program import REPOSITORY, label_ids_of, plan_of, version_of, write_prompts
from bench.prompts import longest, read_prompts
from bench.rivals import PRM_SCORE, RivalName
from bench.rounds import Limits, measure_growth, measure_set
from bench.work import attention_flops, estimated_flops, shape_of

ADDRESSES = REPOSITORY / "data" / "corpus" / "sotu"
JUDGE = REPOSITORY / "data" / "tiny-judge"
TOKENIZER = REPOSITORY / "data" / "qwen2.5-tokenizer"
WARM_UP = DocumentSet(150, 1)
FIRST_ROW_WORDS = 300
MEMORY_SHARE = 0.8
Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be measured on one checkpoint; growth over lengths of one document, and numbers of short ones."""

    name: str
    sets: tuple[DocumentSet, ...]
    lengths: tuple[DocumentSet, ...]
    counts: tuple[DocumentSet, ...]


@dataclass(frozen=True)
class PlannedWork:
    """The plan's documents, written down for one checkpoint."""

    sets: list[Workload]
    lengths: list[Workload]
    counts: list[Workload]

    def all(self) -> list[Workload]:
        return [*self.sets, *self.lengths, *self.counts]


@dataclass(frozen=True)
class Settings:
    program: Path
    work: Path
    dtype: str
    file_dtype: str
    shape: str
    seed: int
    rivals: tuple[RivalName, ...]
    limits: Limits
    growth_seconds: float
    growth_repeats: int
    start_repeats: int
    ceiling_seconds: float
    ceiling_rows: int


class Run:
    def __init__(self, settings: Settings, machine: Machine, environments: Environments):
        self._settings, self._machine, self._environments = settings, machine, environments
        self._addresses = read_addresses(ADDRESSES)

    def measure(self, random_plan: Plan | None, judge_plan: Plan | None) -> Json:
        settings = self._settings
        lanes = self._lanes()
        results: Json = {
            "run": machine_facts.describe_run(),
            "machine": machine_facts.describe(),
            "settings": self._described_settings(),
            "prm_score_version": version_of(settings.program),
            "titles": {lane.name.text: lane.title for lane in lanes},
            "growth_titles": {lane.name.text: lane.title for lane in [self._baseline(), *lanes]},
            "checkpoints": [],
        }
        if judge_plan is not None:
            results["start_up"] = self._start_up()
            results["checkpoints"].append(self._measure_checkpoint(JUDGE, judge_plan))
        if random_plan is not None:
            results["checkpoints"].append(self._measure_checkpoint(self._random_checkpoint(), random_plan))
        results["versions"] = self._environments.versions()
        return results

    def _described_settings(self) -> Json:
        settings = self._settings
        return {
            "dtype": settings.dtype,
            "checkpoint_file_dtype": settings.file_dtype,
            "shape": settings.shape,
            "seed": settings.seed,
            "device": self._machine.device,
            "threads": self._machine.threads,
            "rounds": settings.limits.rounds,
            "max_seconds": settings.limits.max_seconds,
            "growth_seconds": settings.growth_seconds,
            "growth_repeats": settings.growth_repeats,
            "rivals": [name.text for name in settings.rivals],
        }

    def _start_up(self) -> Json:
        """Of prm-score on the shipped judge."""
        _say("starts of prm-score")
        workload_file = self._settings.work / "documents" / "first-row.jsonl"
        write_documents(workload_file, make_documents(self._addresses, DocumentSet(FIRST_ROW_WORDS, 1)))
        line = workload_file.read_bytes().splitlines()[0]
        log = self._settings.work / "logs" / "start-up.log"
        found = start_up(self._settings.program, JUDGE, self._machine, line, self._settings.start_repeats, log)
        return found | {"num_words": FIRST_ROW_WORDS}

    def _random_checkpoint(self) -> Path:
        settings = self._settings
        device = self._machine.device
        name = f"{settings.shape}-{settings.file_dtype}-{settings.seed}"
        folder = settings.work / "checkpoints" / (name if device == "cpu" else f"{name}-{device}")
        if not folder.exists():
            _say(f"making {folder.name}")
            arguments = ["--shape", settings.shape, "--dtype", settings.file_dtype, "--seed", str(settings.seed)]
            arguments += ["--device", device]
            command: list[str | Path] = [self._reference(), "-m", "bench.make_checkpoint", folder]
            command += ["--tokenizer", TOKENIZER, *arguments]
            try:
                run_tool(command, self._machine, "making a checkpoint")
            except RivalError as error:
                raise BenchError(str(error)) from error
        return folder

    def _reference(self) -> Path:
        try:
            return self._environments.python_of(REFERENCE.name)
        except RivalError as error:
            raise BenchError(f"--python: expected an interpreter with torch and transformers: {error}") from error

    def _measure_checkpoint(self, folder: Path, plan: Plan) -> Json:
        settings = self._settings
        checkpoint = Checkpoint(plan.name, folder, label_ids_of(settings.program, folder))
        warm_up = self._workload(checkpoint, WARM_UP)
        work = PlannedWork(*(self._workloads(checkpoint, part) for part in (plan.sets, plan.lengths, plan.counts)))
        opener = Opener(
            program=settings.program,
            environments=self._environments,
            machine=self._machine,
            checkpoint=checkpoint,
            work=settings.work,
            longest_prompt=max(workload.longest_prompt for workload in [warm_up, *work.all()]),
            warm_up=warm_up,
        )
        return self._measure(opener, work)

    def _measure(self, opener: Opener, work: PlannedWork) -> Json:
        shape = opener.shape
        found: Json = {
            "name": opener.checkpoint.name,
            "shape": asdict(shape),
            "num_parameters": shape.num_parameters,
            "ceiling": {},
            "sets": [],
            "growth": {"length": {}, "count": {}},
            "memory_bytes": {},
        }
        self._add_ceilings(found, opener.checkpoint.folder)
        for group in self._groups(shape.num_parameters):
            self._measure_group(found, opener, group, work)
            self._add_ceilings(found, opener.checkpoint.folder)
        found["profile"] = self._profile(opener, work.sets)
        return found

    def _profile(self, opener: Opener, sets: Sequence[Workload]) -> Json:
        """Of the second set: large enough for its own time to show, small enough to wait for."""
        if not sets:
            return {"set": None, "reason": "no set of documents", "places": []}
        chosen, dtype = sets[min(1, len(sets) - 1)], self._settings.dtype
        folder, documents = opener.checkpoint.folder, chosen.input.documents
        measure = profile if self._machine.device == "cpu" else profile_gpu
        _say(f"{opener.checkpoint.name}: profile")
        found = measure(opener.program, folder, documents, dtype, self._machine, self._settings.work)
        return {"set": chosen.name, **found}

    def _groups(self, num_parameters: int) -> list[list[Lane]]:
        budget = MEMORY_SHARE * machine_facts.available_bytes()
        return group_by_memory(self._lanes(), num_parameters, budget - self._baseline().weight_bytes * num_parameters)

    def _baseline(self) -> Lane:
        return make_lane(RivalName(PRM_SCORE, self._settings.dtype), self._settings.dtype)

    def _lanes(self) -> list[Lane]:
        """Fresh ones, without what prm-score would be compared with itself in."""
        lanes = [make_lane(name, self._settings.dtype) for name in self._settings.rivals]
        return [lane for lane in lanes if lane.name != self._baseline().name]

    def _measure_group(self, found: Json, opener: Opener, group: Sequence[Lane], work: PlannedWork) -> None:
        settings = self._settings
        baseline = self._baseline()
        lanes = [baseline, *group]
        _say(f"{found['name']}: opening {', '.join(lane.name.text for lane in lanes)}")
        try:
            opener.open_baseline(baseline)
            for lane in group:
                opener.open(lane)
            _merge_sets(found["sets"], [measure_set(baseline, group, sized, settings.limits) for sized in work.sets])
            for name, workloads in (("length", work.lengths), ("count", work.counts)):
                curves = measure_growth(lanes, workloads, settings.growth_seconds, settings.growth_repeats)
                found["growth"][name] = curves | found["growth"][name]
        finally:
            for lane in lanes:
                lane.finish()
        for lane in lanes:
            if lane.ending is not None:
                peak = max(lane.ending.peak_bytes, found["memory_bytes"].get(lane.name.text, 0))
                found["memory_bytes"][lane.name.text] = peak

    def _add_ceilings(self, found: Json, folder: Path) -> None:
        """Keeps the best of all times: before and after each group."""
        settings = self._settings
        arguments = ["--threads", str(self._machine.threads), "--device", self._machine.device]
        arguments += ["--rows", str(settings.ceiling_rows), "--seconds", str(settings.ceiling_seconds)]
        _say(f"{found['name']}: matrix products")
        for dtype in ("float32", "bfloat16") if self._machine.device == "cpu" else (settings.dtype,):
            command = [self._reference(), "-m", "bench.ceiling", folder, "--dtype", dtype, *arguments]
            try:
                measured = json.loads(run_tool(command, self._machine, "bench.ceiling"))
            except RivalError as error:
                _say(str(error))
                continue
            known = found["ceiling"].get(dtype)
            found["ceiling"][dtype] = _better_ceiling(known, measured) if known else measured

    def _workloads(self, checkpoint: Checkpoint, sets: Sequence[DocumentSet]) -> list[Workload]:
        return [self._workload(checkpoint, documents) for documents in sets]

    def _workload(self, checkpoint: Checkpoint, documents: DocumentSet) -> Workload:
        folder = self._settings.work / "documents" / checkpoint.folder.name
        texts, ids = folder / f"{documents.file_name}.jsonl", folder / f"{documents.file_name}.prompts.jsonl"
        program = self._settings.program
        write_documents(texts, make_documents(self._addresses, documents))
        write_prompts(program, checkpoint.folder, texts, ids)
        prompts = read_prompts(ids)
        shape = shape_of(checkpoint.folder)
        return Workload(
            documents.name,
            documents.num_words,
            Input(texts, ids, documents.count),
            longest(prompts),
            plan_of(program, checkpoint.folder, texts) | {"attention_flops": attention_flops(shape, prompts)},
            tuple(estimated_flops(shape, [one], shares_prefix=False) for one in prompts),
            tuple(estimated_flops(shape, [one], shares_prefix=True) for one in prompts),
        )


def _say(text: str) -> None:
    """Minutes may pass before the next one."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _better_ceiling(known: Json, measured: Json) -> Json:
    """Best of both, product by product."""
    products = [
        min(pair, key=lambda product: product["best_seconds"])
        for pair in zip(known["products"], measured["products"], strict=True)
    ]
    seconds = sum(product["best_seconds"] for product in products)
    sustained = [one["sustained_gflops"] for one in (known, measured) if one["sustained_gflops"]]
    return known | {
        "products": products,
        "gflops": sum(p["flops"] for p in products) / seconds / 1e9,
        "sustained_gflops": max(sustained, default=None),
    }


def _merge_sets(known: list[Json], measured: Sequence[Json]) -> None:
    """Of another group: its rivals join those of the first; prm-score's own times are those of the first group."""
    if not known:
        known.extend(measured)
        return
    for one, other in zip(known, measured, strict=True):
        one["rivals"] |= other["rivals"]
        one.setdefault("prm_score_seconds_beside_others", []).append(other["prm_score_seconds"])


SHAPE_NAMES = {"qwen2.5-0.5b": "random 0.5B", "qwen2.5-7b": "random 7B", "tiny": "random tiny"}
assert SHAPE_NAMES.keys() == SHAPES.keys()
