"""Makes judgement examples from real documents: chunks that are real (A) or made worse (B), as the judge sees them.

From each excerpt of a document come several versions: the real one; its real beginning followed by a single rejected
chunk, at every chunk border; and whole texts made worse. Made worse means sampled from a base model after a real
beginning (--sampler), corrupted (words, sentences, letters, repetition, gaps, foreign sentences), or translated there
and back (--translator). The prompts are those of `prm-score prompts`: training and scoring cannot disagree.

OUT gets
  versions.jsonl  the texts with the ranges that are real or made worse, and how each was made
  examples.jsonl  one line a chunk: document, version, kind, chunk, label (1 chosen, 0 rejected), input_ids, prompt,
                  completion (the letter), provenance, and the same text as `segments` for completion training with the
                  loss on the letter only
  heldout/        with --held-out: versions.jsonl of documents kept from training, for evaluate_judge.py; every kind at
                  every strength and temperature (alone, for documents of a file: --purpose evaluate)

A run that was interrupted, or whose sampler or translator failed, goes on where it stopped when it is started again
(texts.partial.jsonl keeps what came before its excerpt was complete). What is written until then is no whole.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import required_packages  # noqa: F401

# isort: split
from command_line import interrupted
from damage import EDITION
from data_options import parse_arguments, settings_of
from documents import Document, Excerpt, pick_excerpts, read_documents
from errors import InputError
from example_writer import write_examples
from program import ProgramError, find_program
from prompt import CHUNK_SIZE, letter_ids
from prompts_process import chunk_prompts
from sampling import Sampler, SamplingError, open_sampler
from scorer_process import sha256_of
from translate import TranslationError, Translator, open_translator
from version_maker import TEXTS, Maker
from version_plans import Planner, Work
from versions import REAL, SAMPLED, read_versions, version_of
from writing import alone_in, whole_file

SETTINGS = "settings.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model")
"""As prm-score looks for them."""


def finished_documents(versions: Path) -> set[str]:
    """Documents whose real version, written last, is there; a rest that was torn off is removed from the file."""
    finished: set[str] = set()
    if not versions.exists():
        return finished
    good = position = 0
    with versions.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            position += len(line)
            if not line.endswith(b"\n"):
                break
            version = version_of(line, f"{versions}:{number}")
            if version.kind == REAL:
                finished.add(version.document)
                good = position
    os.truncate(versions, good)
    return finished


def chunk_borders(program: Path, model: Path, excerpts: Sequence[Excerpt]) -> Iterator[tuple[Excerpt, list[int]]]:
    """Each excerpt cut to its number of chunks, and the code points of its borders, both ends included."""
    borders: dict[int, list[int]] = defaultdict(lambda: [0])
    for chunk in chunk_prompts(program, model, (excerpt.text for excerpt in excerpts)):
        if chunk.chunk < excerpts[chunk.line].max_chunks:
            borders[chunk.line].append(chunk.end)
    for number, excerpt in enumerate(excerpts):
        found = borders[number]
        yield replace(excerpt, text=excerpt.text[: found[-1]]), found


def prepare_folder(out: Path, fingerprint: dict[str, Any], overwrite: bool) -> None:
    """A folder that holds nothing, or a run with the same settings. Throws InputError."""
    out.mkdir(parents=True, exist_ok=True)
    settings_file = out / SETTINGS
    results = [out / name for name in ("versions.jsonl", "examples.jsonl", TEXTS)]
    if settings_file.exists() and not overwrite:
        check_settings(settings_file, fingerprint)
        return
    for result in results:
        if result.exists() and not overwrite:
            raise InputError(
                f"{result}: expected none, or {settings_file.name} beside it, found a file that is no part of a run; "
                "another --out, or --overwrite to replace it"
            )
        result.unlink(missing_ok=True)
    with whole_file(settings_file) as partial:
        partial.write_text(json.dumps(fingerprint, indent=2) + "\n", encoding="utf-8")


def check_settings(file: Path, fingerprint: dict[str, Any]) -> None:
    """Throws InputError unless the file holds these settings."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"found {type(found).__name__}")
    except ValueError as error:
        raise InputError(
            f"{file}: expected a JSON object, the settings of a run: {error}; "
            "another --out, or --overwrite to begin anew"
        ) from error
    different = "; ".join(
        f"{name}: {json.dumps(found.get(name))} there, {json.dumps(now)} now"
        for name, now in fingerprint.items()
        if found.get(name) != now
    )
    if different:
        raise InputError(
            f"{file}: another run: {different}; the same options and documents go on; "
            "another --out, or --overwrite to begin anew"
        )


def fingerprint_of(args: argparse.Namespace, documents: Sequence[Document]) -> dict[str, Any]:
    """What decides the versions; a run goes on only with the same."""
    corpus_hash = hashlib.sha256()
    for document in documents:
        corpus_hash.update(f"{document.id}\0{document.text}\0".encode())
    # The tokenizer decides where chunks end; a name in the hub cache has to stand for its own.
    files = [args.model / name for name in TOKENIZER_FILES if (args.model / name).is_file()]
    return json.loads(json.dumps(settings_of(args), default=vars)) | {
        "tokenizer_sha256": sha256_of(files[0]) if files else str(args.model),
        "documents_sha256": corpus_hash.hexdigest(),
        "damages": EDITION,
    }


def hold_out(documents: Sequence[Document], count: int) -> tuple[list[Document], list[Document]]:
    """The documents to train on and `count` others, chosen by their ids alone. Throws InputError if none is left."""
    if count >= len(documents):
        raise InputError(f"--held-out {count}: expected fewer than the {len(documents)} documents")
    by_hash = sorted(documents, key=lambda document: hashlib.sha256(document.id.encode()).digest())
    held_out = {document.id for document in by_hash[:count]}
    return [d for d in documents if d.id not in held_out], [d for d in documents if d.id in held_out]


def held_out_arguments(args: argparse.Namespace) -> argparse.Namespace:
    """Of the part that evaluates on the documents held out."""
    changed = {"out": args.out / "heldout", "purpose": "evaluate", "excerpts": None}
    return argparse.Namespace(**{**vars(args), **changed})


def check_room(args: argparse.Namespace, samplers: Sequence[Sampler]) -> None:
    """Throws ValueError if a text to sample may be longer than the model allows: hours before it would be noticed."""
    for part in (args, held_out_arguments(args))[: 2 if args.held_out else 1]:
        longest = settings_of(part).longest_sample
        for sampler in samplers if SAMPLED in args.kinds else ():
            if sampler.max_tokens is not None and longest > sampler.max_tokens:
                option = "--long-chunks" if args.long_share else "--max-chunks"
                raise ValueError(
                    f"{option}: to {part.purpose}, texts of up to {longest} tokens are sampled; expected at most "
                    f"{sampler.max_tokens}, for which {sampler.name} has positions"
                )


def make(args: argparse.Namespace, samplers: Sequence[Sampler], translators: Sequence[Translator]) -> None:
    documents = read_documents(args.documents, args.text_field, args.id_field)
    if not args.held_out:
        make_part(args, documents, samplers, translators)
        return
    training, held_out = hold_out(documents, args.held_out)
    make_part(args, training, samplers, translators)
    evaluation = held_out_arguments(args)
    with alone_in(evaluation.out):
        make_part(evaluation, held_out, samplers, translators)


def make_part(
    args: argparse.Namespace,
    documents: Sequence[Document],
    samplers: Sequence[Sampler],
    translators: Sequence[Translator],
) -> None:
    program = find_program(args.prm_score)
    settings = settings_of(args)
    prepare_folder(args.out, fingerprint_of(args, documents), args.overwrite)
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
        if failure:
            break
        print(f"{min(begin + args.batch, len(excerpts))}/{len(excerpts)} excerpts", file=sys.stderr, flush=True)
    else:
        maker.finish()
    if num_short:
        print(f"{num_short} excerpts were shorter than {settings.lengths.min_chunks} chunks, left out", file=sys.stderr)
    if maker.num_left_out:
        print(f"{maker.num_left_out} versions got no text to reject, left out", file=sys.stderr)
    if not versions.exists() or versions.stat().st_size == 0:
        if failure:
            raise failure
        (args.out / SETTINGS).unlink()  # another try may have other ones
        least = f"{settings.lengths.min_chunks} chunks of {CHUNK_SIZE} tokens"
        raise InputError(f"no document has {least}: nothing to make")
    has_rejected = any(version.kind != REAL for version in read_versions(versions))
    if settings.purpose == "train":
        counts = write_examples(program, args.model, versions, args.out / "examples.jsonl", not args.no_text)
        print(f"{sum(counts.values())} chunks: {dict(counts.most_common())}", file=sys.stderr)
        has_rejected = any(kind != REAL for kind in counts)
    if failure:
        print(f"{args.out} holds a part of the excerpts only; the same command goes on", file=sys.stderr)
        raise failure
    if (settings.alternatives or settings.worse_versions or settings.purpose == "evaluate") and not has_rejected:
        raise InputError(
            f"{args.out}: expected rejected text of {', '.join(settings.kinds)}, found real text alone; "
            "another --out, or --overwrite, with other --kinds or a --sampler that gives text"
        )


def opened_sampler(spec: str, args: argparse.Namespace) -> Sampler:
    """Throws InputError in one line, whatever a library says."""
    try:
        return open_sampler(
            spec,
            threads=args.threads,
            device=args.sampler_device,
            max_context_tokens=args.sampler_context,
            concurrency=args.concurrency,
            timeout_s=args.timeout,
        )
    except (ValueError, OSError) as error:
        raise InputError(f"--sampler {spec}: {' '.join(str(error).split())}") from error


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv, __doc__)
    try:
        with alone_in(args.out):
            return run(args)
    except InputError as error:
        print(f"make_data.py: {error}", file=sys.stderr)
        return 1


def run(args: argparse.Namespace) -> int:
    """The exit code."""
    try:
        samplers = [opened_sampler(spec, args) for spec in args.sampler]
        if (args.model / "tokenizer.json").is_file():
            letter_ids(args.model)  # a model without them cannot be trained: known now, not after days of sampling
        check_room(args, samplers)
        translators = [
            open_translator(spec, concurrency=args.concurrency, timeout_s=args.timeout) for spec in args.translator
        ]
    except (InputError, ValueError, OSError, TranslationError) as error:
        print(f"make_data.py: {error}", file=sys.stderr)
        return 2
    try:
        make(args, samplers, translators)
    except (InputError, ProgramError, SamplingError, TranslationError, OSError) as error:
        print(f"make_data.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return interrupted("make_data.py", f"{args.out} keeps what was made, the same command goes on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
