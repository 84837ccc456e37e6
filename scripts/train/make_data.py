"""Makes judgement examples from real documents: chunks that are real (A) or were made worse (B), as the judge sees them.

From each excerpt of a document come several versions: the real one; its real beginning followed by a single rejected
chunk, at every chunk border; and whole texts made worse. Made worse means sampled from a base model after a real
beginning (--sampler), corrupted (words, sentences, letters, repetition, gaps, foreign sentences), or translated there and
back (--translator). The prompts are those of `prm-score prompts`: training and scoring cannot disagree.

OUT gets
  versions.jsonl  the texts with the ranges that are real or made worse, and how each was made; also what
                  evaluate_judge.py reads (make it from held-out documents with --purpose evaluate)
  examples.jsonl  one line a chunk: document, version, kind, chunk, label (1 chosen, 0 rejected), input_ids, prompt,
                  completion (the letter), provenance, and the same text as `segments` for completion training with the
                  loss on the letter only

A run that was interrupted, or whose sampler or translator failed, goes on where it stopped when it is started again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from damage import CORRUPTIONS, SPLICE, corrupt
from documents import Document, Excerpt, ExcerptLengths, InputError, pick_excerpts, read_documents
from prompt import CHOSEN, CHUNK_SIZE, REJECTED
from prompts_process import ChunkPrompt, PromptsError, chunk_prompts, find_program
from sampling import Request, Sampler, SamplingError, open_sampler
from translate import TranslationError, Translator, open_translator
from versions import CHUNK, DOCUMENT, REAL, SAMPLED, TRANSLATION, Version, chunk_label, version_of

CHUNK_KINDS = {
    SAMPLED: 0.45,
    TRANSLATION: 0.08,
    "word_shuffle": 0.08,
    "nearby_word_shuffle": 0.07,
    "char_noise": 0.08,
    "repetition": 0.07,
    "span_deletion": 0.08,
    SPLICE: 0.09,
}
DOCUMENT_KINDS = {
    SAMPLED: 0.30,
    TRANSLATION: 0.12,
    "word_shuffle": 0.06,
    "nearby_word_shuffle": 0.06,
    "sentence_shuffle": 0.16,
    "char_noise": 0.06,
    "repetition": 0.06,
    "span_deletion": 0.06,
    SPLICE: 0.12,
}
"""Shares of the kinds of rejected chunks and texts in training; the hard ones are the larger. sentence_shuffle needs more
than a chunk."""
STRENGTHS = (0.1, 1.0)
"""Training draws uniformly from this range."""
MAX_SAMPLED_CHUNKS = 8
"""Of one continuation in training: the chunks behind them would cost most and teach least."""
SAMPLED_TOKENS_MARGIN = 1.4
"""A chunk may take more tokens of the sampling model than of the judge."""


@dataclass(frozen=True)
class Settings:
    """What decides the examples, apart from the documents; a run goes on only with the same."""

    purpose: str
    seed: int
    kinds: tuple[str, ...]
    temperatures: tuple[float, float]
    evaluated_temperatures: tuple[float, ...]
    evaluated_strengths: tuple[float, ...]
    samplers: tuple[str, ...]
    translators: tuple[str, ...]
    alternatives: float
    worse_versions: int
    excerpts: int | None
    lengths: ExcerptLengths


@dataclass
class Plan:
    """A version to be: its text, or where the text that is missing comes from."""

    version: Version
    prefix: str = ""
    request: Request | None = None
    sampler: int = 0
    translate: str | None = None
    translator: int = 0
    suffix: str = ""
    max_chars: int | None = None


@dataclass
class Work:
    """An excerpt with its chunk borders (code points) and the versions planned for it."""

    excerpt: Excerpt
    borders: list[int]
    plans: list[Plan] = field(default_factory=list)
    missing: int = 0


def draw(rng: random.Random, shares: dict[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


class Planner:
    """Decides which versions an excerpt gets. Each is drawn from a generator of its own: none depends on another."""

    def __init__(self, settings: Settings, others: Sequence[Document]) -> None:
        self._settings = settings
        self._others = others

    def plan(self, work: Work) -> None:
        if self._settings.purpose == "evaluate":
            self._plan_evaluation(work)
        else:
            self._plan_training(work)
        text = work.excerpt.text
        work.plans.append(Plan(self._version(work, REAL, DOCUMENT, "", text=text, chosen=((0, len(text)),))))

    def _rng(self, work: Work, name: str) -> random.Random:
        return random.Random(f"{self._settings.seed}/{work.excerpt.id}/{name}")

    def _shares(self, shares: dict[str, float]) -> dict[str, float]:
        return {kind: share for kind, share in shares.items() if kind in self._settings.kinds}

    @staticmethod
    def _version(work: Work, kind: str, scope: str, suffix: str, **fields: Any) -> Version:
        provenance = {"document": work.excerpt.id, **fields.pop("provenance", {})}
        return Version(
            id=f"{work.excerpt.id}#{kind}{suffix}",
            document=work.excerpt.id,
            source=work.excerpt.source,
            kind=kind,
            scope=scope,
            text=fields.pop("text", ""),
            provenance=provenance,
            **fields,
        )

    def _plan_evaluation(self, work: Work) -> None:
        for kind in self._settings.kinds:
            if kind == SAMPLED:
                for index in range(len(self._settings.samplers)):
                    for temperature in self._settings.evaluated_temperatures:
                        self._plan_sampled(work, f"-{index}-{temperature:g}", temperature, index, prefix_chunks=1)
            elif kind == TRANSLATION:
                for index in range(len(self._settings.translators)):
                    self._plan_translated(work, DOCUMENT, f"-{index}", index, 0, None)
            else:
                for strength in self._settings.evaluated_strengths:
                    self._plan_corrupted(work, kind, strength, f"-{strength:g}")

    def _plan_training(self, work: Work) -> None:
        rng = self._rng(work, "kinds")
        num_chunks = len(work.borders) - 1
        chunk_kinds, document_kinds = self._shares(CHUNK_KINDS), self._shares(DOCUMENT_KINDS)
        for chunk in range(num_chunks if chunk_kinds else 0):
            if rng.random() < self._settings.alternatives:
                self._plan_alternative(work, draw(rng, chunk_kinds), chunk)
        for number in range(self._settings.worse_versions if document_kinds else 0):
            kind, suffix = draw(rng, document_kinds), f"-{number}"
            if kind == SAMPLED:
                prefix_chunks = rng.randint(0, min(4, num_chunks - 1))
                index = rng.randrange(len(self._settings.samplers))
                self._plan_sampled(work, suffix, rng.uniform(*self._settings.temperatures), index, prefix_chunks)
            elif kind == TRANSLATION:
                self._plan_translated(work, DOCUMENT, suffix, rng.randrange(len(self._settings.translators)), 0, None)
            else:
                self._plan_corrupted(work, kind, rng.uniform(*STRENGTHS), suffix)

    def _other_texts(self, work: Work, rng: random.Random, count: int = 4) -> list[str]:
        """Excerpts of other documents; half of the time of the same source, where a foreign sentence is harder to see."""
        texts: list[str] = []
        for _ in range(100):
            if len(texts) == count:
                break
            other = rng.choice(self._others)
            is_same = other.source == work.excerpt.source
            if work.excerpt.id.startswith(other.id) or (len(texts) % 2 == 0) != is_same and rng.random() < 0.9:
                continue
            begin = rng.randrange(max(1, len(other.text) - 3000))
            texts.append(other.text[begin : begin + 3000].partition(" ")[2])
        return [text for text in texts if text.strip()]

    def _plan_corrupted(self, work: Work, kind: str, strength: float, suffix: str) -> None:
        rng = self._rng(work, f"{kind}{suffix}")
        others = self._other_texts(work, rng) if kind == SPLICE else []
        if kind == SPLICE and not others:
            return
        damaged = corrupt(kind, rng, work.excerpt.text, strength, others)
        chosen = _gaps_between(damaged.rejected, len(damaged.text))
        version = self._version(
            work,
            kind,
            DOCUMENT,
            suffix,
            text=damaged.text,
            strength=round(strength, 3),
            chosen=chosen if kind in (SPLICE, "repetition") else (),
            rejected=damaged.rejected,
        )
        if damaged.rejected:
            work.plans.append(Plan(version))

    def _plan_sampled(self, work: Work, suffix: str, temperature: float, sampler: int, prefix_chunks: int) -> None:
        """A real beginning of some chunks, then samples up to the length of the real text."""
        prefix_chunks = min(prefix_chunks, len(work.borders) - 2)
        prefix = work.excerpt.text[: work.borders[prefix_chunks]]
        num_tokens = (len(work.borders) - 1 - prefix_chunks) * CHUNK_SIZE
        if self._settings.purpose == "train":
            num_tokens = min(num_tokens, MAX_SAMPLED_CHUNKS * CHUNK_SIZE)
        self._plan_sample(work, DOCUMENT, suffix, prefix, (temperature, sampler, num_tokens, len(work.excerpt.text)))

    def _plan_sample(
        self, work: Work, scope: str, suffix: str, prefix: str, how: tuple[float, int, int, int | None]
    ) -> None:
        temperature, sampler, num_tokens, max_chars = how
        version = self._version(
            work,
            SAMPLED,
            scope,
            suffix,
            temperature=round(temperature, 3),
            provenance={"sampler": self._settings.samplers[sampler]},
        )
        request = Request(prefix, num_tokens, temperature, seed=_seed_of(self._settings.seed, version.id))
        work.plans.append(Plan(version, prefix, request=request, sampler=sampler, max_chars=max_chars))

    def _plan_translated(
        self, work: Work, scope: str, suffix: str, translator: int, begin: int, end: int | None
    ) -> None:
        """The text from `begin` to `end` there and back, after the real text before it."""
        version = self._version(
            work, TRANSLATION, scope, suffix, provenance={"translator": self._settings.translators[translator]}
        )
        text = work.excerpt.text
        work.plans.append(Plan(version, text[:begin], translate=text[begin:end], translator=translator))

    def _plan_alternative(self, work: Work, kind: str, chunk: int) -> None:
        """The real text before a chunk, then a rejected chunk in its place."""
        rng = self._rng(work, f"chunk-{chunk}")
        text, begin, end = work.excerpt.text, work.borders[chunk], work.borders[chunk + 1]
        suffix = f"-chunk-{chunk}"
        if kind == SAMPLED:
            temperature, index = rng.uniform(*self._settings.temperatures), rng.randrange(len(self._settings.samplers))
            self._plan_sample(
                work, CHUNK, suffix, text[:begin], (temperature, index, round(CHUNK_SIZE * SAMPLED_TOKENS_MARGIN), None)
            )
            return
        reach = end + (end - begin) // 2  # damages may shorten; the chunk should still be a whole one
        if kind == TRANSLATION:
            self._plan_translated(work, CHUNK, suffix, rng.randrange(len(self._settings.translators)), begin, reach)
            return
        strength = rng.uniform(*STRENGTHS)
        if kind == SPLICE:
            others = self._other_texts(work, rng, count=2)
            worse = rng.choice(others)[: end - begin] if others else ""
            rejected: tuple[tuple[int, int], ...] = ((0, len(worse)),)
        else:
            damaged = corrupt(kind, rng, text[begin:reach], strength, [])
            worse, rejected = damaged.text, damaged.rejected
        if not worse or not rejected:
            return
        version = self._version(
            work,
            kind,
            CHUNK,
            suffix,
            text=text[:begin] + worse,
            strength=None if kind == SPLICE else round(strength, 3),
            rejected=tuple((begin + b, begin + e) for b, e in rejected),
        )
        work.plans.append(Plan(version))


def _gaps_between(ranges: Sequence[tuple[int, int]], length: int) -> tuple[tuple[int, int], ...]:
    edges = [0, *(x for r in ranges for x in r), length]
    return tuple((b, e) for b, e in zip(edges[::2], edges[1::2], strict=True) if b < e)


def _seed_of(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")


class Maker:
    """Carries plans out, batch by batch, and writes the versions of an excerpt when all of them are there."""

    def __init__(self, samplers: Sequence[Sampler], translators: Sequence[Translator], out: Path) -> None:
        self._samplers = samplers
        self._translators = translators
        self._out = out

    def run(self, works: Sequence[Work]) -> Exception | None:
        """The first failure of a sampler or translator; what was complete by then is written."""
        failure: Exception | None = None
        for work in works:
            work.missing = sum(plan.request is not None or plan.translate is not None for plan in work.plans)
            self._write_if_complete(work)
        for index in range(len(self._samplers)):
            failure = self._sample(index, works) or failure
        for index in range(len(self._translators)):
            failure = self._translate(index, works) or failure
        return failure

    def _sample(self, index: int, works: Sequence[Work]) -> Exception | None:
        todo = [(w, p) for w in works for p in w.plans if p.request is not None and p.sampler == index]
        try:
            for number, text in self._samplers[index].sample([plan.request for _, plan in todo]):
                self._fill(*todo[number], text)
        except SamplingError as error:
            return error
        return None

    def _translate(self, index: int, works: Sequence[Work]) -> Exception | None:
        todo = [(w, p) for w in works for p in w.plans if p.translate is not None and p.translator == index]
        try:
            for number, text in self._translators[index].there_and_back([plan.translate for _, plan in todo]):
                self._fill(*todo[number], text)  # None: it could not be translated
        except TranslationError as error:
            return error
        return None

    def _fill(self, work: Work, plan: Plan, text: str | None) -> None:
        """A version without text is left out."""
        whole = (plan.prefix + (text or ""))[: plan.max_chars]
        plan.version = replace(plan.version, text=whole, rejected=((len(plan.prefix), len(whole)),))
        work.missing -= 1
        self._write_if_complete(work)

    def _write_if_complete(self, work: Work) -> None:
        if work.missing:
            return
        versions = [plan.version for plan in work.plans]
        lines = [v.line() for v in versions if v.kind == REAL or v.rejected and v.rejected[0][0] < v.rejected[0][1]]
        with self._out.open("a", encoding="utf-8") as out:
            out.write("".join(lines))


def finished_documents(versions: Path) -> set[str]:
    """Documents whose real version, written last, is there; a rest that was torn off is removed from the file."""
    finished: set[str] = set()
    if not versions.exists():
        return finished
    good = position = 0
    with versions.open("rb") as lines:
        for line in lines:
            position += len(line)
            if not line.endswith(b"\n"):
                break
            version = version_of(line.decode())
            if version.kind == REAL:
                finished.add(version.document)
                good = position
    os.truncate(versions, good)
    return finished


def read_versions(path: Path) -> Iterator[Version]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        yield from map(version_of, lines)


def example_of(version: Version, chunk: ChunkPrompt, label: int, with_text: bool) -> dict[str, Any]:
    completion = CHOSEN if label else REJECTED
    example: dict[str, Any] = {
        "document": version.document,
        "version": version.id,
        "kind": version.kind,
        "chunk": chunk.chunk,
        "label": label,
        "input_ids": chunk.input_ids,
        "completion": completion,
        "provenance": {
            "source": version.source,
            "scope": version.scope,
            "strength": version.strength,
            "temperature": version.temperature,
            **version.provenance,
        },
    }
    if with_text:
        example["prompt"] = chunk.prompt
        example["segments"] = [{"text": chunk.prompt, "label": False}, {"text": completion, "label": True}]
    return example


def write_examples(program: Path, model: Path, versions: Path, examples: Path, with_text: bool) -> Counter[str]:
    """Labels the chunks of all versions; the file appears under its name when it is whole."""
    counts: Counter[str] = Counter()
    partial = examples.with_name(examples.name + ".partial")
    pending: dict[int, Version] = {}

    def texts() -> Iterator[str]:
        for number, version in enumerate(read_versions(versions)):
            pending[number] = version
            yield version.text

    with partial.open("w", encoding="utf-8") as out:
        current: tuple[int, list[ChunkPrompt]] = (-1, [])
        for chunk in chunk_prompts(program, model, texts()):
            if chunk.line != current[0]:
                _write_version(out, pending, current, counts, with_text)
                current = (chunk.line, [])
            current[1].append(chunk)
        _write_version(out, pending, current, counts, with_text)
    os.replace(partial, examples)
    return counts


def _write_version(
    out: Any, pending: dict[int, Version], current: tuple[int, list[ChunkPrompt]], counts: Counter[str], with_text: bool
) -> None:
    line, chunks = current
    if line < 0:
        return
    version = pending.pop(line)
    for number in [n for n in pending if n < line]:  # a text without a token
        del pending[number]
    for chunk in chunks:
        if version.scope == CHUNK and chunk.chunk != _first_rejected_chunk(version, chunks):
            continue
        # A last chunk of a few tokens shows too little to learn from.
        if chunk.num_tokens < CHUNK_SIZE // 4 or chunk.begin == chunk.end:
            continue
        label = chunk_label(version, (chunk.begin, chunk.end))
        if label is not None:
            counts[version.kind if label == 0 else REAL] += 1
            out.write(json.dumps(example_of(version, chunk, label, with_text), ensure_ascii=False) + "\n")


def _first_rejected_chunk(version: Version, chunks: Sequence[ChunkPrompt]) -> int:
    return next((c.chunk for c in chunks if chunk_label(version, (c.begin, c.end)) == 0), -1)


def chunk_borders(program: Path, model: Path, excerpts: Sequence[Excerpt]) -> Iterator[tuple[Excerpt, list[int]]]:
    """Each excerpt cut to its number of chunks, and the code points of its borders, both ends included."""
    borders: dict[int, list[int]] = defaultdict(lambda: [0])
    for chunk in chunk_prompts(program, model, (excerpt.text for excerpt in excerpts)):
        if chunk.chunk < excerpts[chunk.line].max_chunks:
            borders[chunk.line].append(chunk.end)
    for number, excerpt in enumerate(excerpts):
        found = borders[number]
        yield replace(excerpt, text=excerpt.text[: found[-1]]), found


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("documents", type=Path, nargs="+", help="JSON lines with a text field, *.txt files, or folders of them")
    add("--model", type=Path, required=True, help="checkpoint to train, or judge to evaluate: its tokenizer makes the prompts")
    add("--out", type=Path, required=True, help="folder for versions.jsonl and examples.jsonl")
    add("--purpose", choices=["train", "evaluate"], default="train", help="train: kinds and strengths at random; "
        "evaluate: every kind at every strength and temperature, texts only (default: train)")
    add("--sampler", action="append", default=[], metavar="SPEC", help="transformers:PATH or openai:URL#MODEL; may be repeated")
    add("--translator", action="append", default=[], metavar="SPEC", help="apertium:spa, apertium:cat or "
        "libretranslate:URL#es; may be repeated")
    add("--kinds", nargs="+", choices=[*CORRUPTIONS, SAMPLED, TRANSLATION], help="kinds of rejected text (default: all that "
        "the given samplers and translators allow)")
    add("--temperatures", type=float, nargs=2, default=(0.7, 1.5), metavar=("LOW", "HIGH"), help="range that training draws "
        "from (default: 0.7 1.5)")
    add("--evaluated-temperatures", type=float, nargs="+", default=(0.7, 0.9, 1.0, 1.2, 1.5), metavar="T", help="of --purpose "
        "evaluate (default: 0.7 0.9 1.0 1.2 1.5)")
    add("--evaluated-strengths", type=float, nargs="+", default=(0.1, 0.25, 0.5, 0.75, 1.0), metavar="S", help="of --purpose "
        "evaluate (default: 0.1 0.25 0.5 0.75 1.0)")
    add("--excerpts", type=int, help="number of excerpts, spread over all documents (default: the beginning of each document)")
    add("--min-chunks", type=int, default=2, help="chunks of the shortest excerpt (default: 2)")
    add("--max-chunks", type=int, default=16, help="chunks of the longest excerpt (default: 16)")
    add("--long-share", type=float, default=0.0, help="share of excerpts longer than that (default: 0)")
    add("--long-chunks", type=int, default=60, help="chunks of the longest of those (default: 60)")
    add("--alternatives", type=float, default=0.7, help="share of chunks that get a rejected one in their place (default: 0.7)")
    add("--worse-versions", type=int, default=2, help="whole texts made worse, per excerpt (default: 2)")
    add("--seed", type=int, default=1, help="seed of all draws (default: 1)")
    add("--batch", type=int, default=200, help="excerpts in the making at a time (default: 200)")
    add("--threads", type=int, help="CPU threads of a sampler in this process (default: torch's)")
    add("--concurrency", type=int, default=8, help="requests under way at a server (default: 8)")
    add("--text-field", default="text", help="field of the text (default: text)")
    add("--id-field", default="id", help="field of the unique id (default: id)")
    add("--no-text", action="store_true", help="leave prompt and segments out of examples.jsonl; train_judge.py needs input_ids only")
    add("--prm-score", type=Path, help="the program (default: build/prm-score, else the one on the PATH)")
    add("--overwrite", action="store_true", help="begin anew where OUT holds a run with other settings")
    args = parser.parse_args(argv)
    possible = [*CORRUPTIONS, *([SAMPLED] if args.sampler else []), *([TRANSLATION] if args.translator else [])]
    args.kinds = args.kinds or possible
    for kind in args.kinds:
        if kind not in possible:
            parser.error(f"--kinds {kind}: needs a {'--sampler' if kind == SAMPLED else '--translator'}")
    if not 1 <= args.min_chunks <= args.max_chunks:
        parser.error(f"--min-chunks {args.min_chunks}: expected 1 to --max-chunks ({args.max_chunks})")
    return args


def settings_of(args: argparse.Namespace) -> Settings:
    return Settings(
        purpose=args.purpose,
        seed=args.seed,
        kinds=tuple(args.kinds),
        temperatures=tuple(args.temperatures),
        evaluated_temperatures=tuple(args.evaluated_temperatures),
        evaluated_strengths=tuple(args.evaluated_strengths),
        samplers=tuple(args.sampler),
        translators=tuple(args.translator),
        alternatives=args.alternatives,
        worse_versions=args.worse_versions,
        excerpts=args.excerpts,
        lengths=ExcerptLengths(args.min_chunks, args.max_chunks, args.long_share, args.long_chunks),
    )


def prepare_folder(out: Path, fingerprint: dict[str, Any], overwrite: bool) -> None:
    """A folder that holds nothing, or a run with the same settings. Throws InputError."""
    out.mkdir(parents=True, exist_ok=True)
    settings_file = out / "settings.json"
    if settings_file.exists() and not overwrite:
        found = json.loads(settings_file.read_text(encoding="utf-8"))
        different = [k for k in fingerprint if found.get(k) != fingerprint[k]]
        if different:
            name = different[0]
            raise InputError(
                f"{settings_file}: {name}: expected {fingerprint[name]!r}, found {found.get(name)!r}; "
                "another --out, or --overwrite to begin anew"
            )
        return
    for name in ("versions.jsonl", "examples.jsonl"):
        (out / name).unlink(missing_ok=True)
    settings_file.write_text(json.dumps(fingerprint, indent=2) + "\n", encoding="utf-8")


def make(args: argparse.Namespace, samplers: Sequence[Sampler], translators: Sequence[Translator]) -> int:
    program = find_program(args.prm_score)
    settings = settings_of(args)
    documents = read_documents(args.documents, args.text_field, args.id_field)
    corpus_hash = hashlib.sha256()
    for document in documents:
        corpus_hash.update(f"{document.id}\0{document.text}\0".encode())
    fingerprint = json.loads(json.dumps(settings, default=vars))
    prepare_folder(args.out, fingerprint | {"documents_sha256": corpus_hash.hexdigest()}, args.overwrite)
    versions = args.out / "versions.jsonl"
    finished = finished_documents(versions)

    excerpts = pick_excerpts(documents, settings.excerpts, settings.lengths, CHUNK_SIZE * 4.0, settings.seed)
    excerpts = [excerpt for excerpt in excerpts if excerpt.id not in finished]
    if finished:
        print(f"{len(finished)} excerpts were finished before, {len(excerpts)} to do", file=sys.stderr)
    planner, maker = Planner(settings, documents), Maker(samplers, translators, versions)
    failure: Exception | None = None
    num_short = 0
    for begin in range(0, len(excerpts), args.batch):
        works: list[Work] = []
        for excerpt, borders in chunk_borders(program, args.model, excerpts[begin : begin + args.batch]):
            if len(borders) - 1 < settings.lengths.min_chunks:
                num_short += 1
                continue
            work = Work(excerpt, borders)
            planner.plan(work)
            works.append(work)
        failure = maker.run(works)
        print(f"{min(begin + args.batch, len(excerpts))}/{len(excerpts)} excerpts", file=sys.stderr, flush=True)
        if failure:
            break
    if num_short:
        print(f"{num_short} excerpts were shorter than {settings.lengths.min_chunks} chunks, left out", file=sys.stderr)
    if not versions.exists() or versions.stat().st_size == 0:
        if failure:
            raise failure
        raise InputError(f"no document has {settings.lengths.min_chunks} chunks of {CHUNK_SIZE} tokens: nothing to make")
    if settings.purpose == "train":
        counts = write_examples(program, args.model, versions, args.out / "examples.jsonl", not args.no_text)
        print(f"{sum(counts.values())} chunks: {dict(counts.most_common())}", file=sys.stderr)
    if failure:
        raise failure
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    try:
        samplers = [open_sampler(spec, threads=args.threads, concurrency=args.concurrency) for spec in args.sampler]
        translators = [open_translator(spec, concurrency=args.concurrency) for spec in args.translator]
    except (ValueError, OSError) as error:
        print(f"make_data.py: {error}", file=sys.stderr)
        return 2
    try:
        return make(args, samplers, translators)
    except (InputError, PromptsError, SamplingError, TranslationError, OSError) as error:
        print(f"make_data.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
