"""Makes the judgement examples that the judge is trained on.

An example is a document (ids) and chunks to judge at some of its chunk borders. Each carries its label: 1 = chosen
(real text), 0 = rejected. The document may itself be damaged, so that the judge meets every kind of context:

    real     a real document; at each chunk border the real chunk and a rejected one, sampled or damaged
    damaged  a document damaged as a whole; its chunks are rejected, real ones in their place are chosen
    patched  a real document in which some chunks are damaged ones
    sampled  a real beginning, continued by the base model; its chunks are rejected, the real continuation is chosen

One JSON object a line: {"flavour", "ids", "judged": [[start, ids, label, kind], ..]}.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from corpus import DEFAULT_CORPUS, ExcerptPicker, held_out_sources, training_sources
from damage import DAMAGES, rewrap, splice_texts
from prompt import CHUNK_SIZE, chunk_starts, decode, encode
from sampling import TEMPERATURES, Request, Sampler
from tokenizers import Tokenizer
from train_tokenizer import END_OF_TEXT, PLAIN_ADDED_TOKENS, SPECIAL_TOKENS
from transformers import AutoModelForCausalLM

REAL, SAMPLED, SPLICE = "real", "sampled", "splice"
FLAVOURS = {"real": 0.45, "damaged": 0.22, "patched": 0.13, "sampled": 0.20}
CHUNK_KINDS = {
    SAMPLED: 0.40,
    "word_shuffle": 0.13,
    "nearby_word_shuffle": 0.08,
    "char_noise": 0.12,
    "repetition": 0.10,
    "span_deletion": 0.10,
    SPLICE: 0.07,
}
DOCUMENT_KINDS = {
    "word_shuffle": 0.28,
    "nearby_word_shuffle": 0.12,
    "sentence_shuffle": 0.12,
    "char_noise": 0.14,
    "repetition": 0.12,
    "span_deletion": 0.14,
    SPLICE: 0.08,
}
CHARS_PER_TOKEN = 6
"""More than any text of the corpus has, so that an excerpt never ends before its tokens do."""
SAMPLE_CONTEXT_CHUNKS = 3
"""The base model sees this much of what stands before a chunk."""
SAMPLED_TOKENS = 6 * CHUNK_SIZE
REWRAP_SHARE = 0.15


@dataclass
class Example:
    flavour: str
    ids: list[int]
    judged: list[tuple[int, list[int], int, str]] = field(default_factory=list)


def draw(rng: random.Random, shares: dict[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


class ExampleMaker:
    """Draws documents; samples are asked for first and filled in by `finish`, so that they can run in batches."""

    def __init__(self, tokenizer: Tokenizer, picker: ExcerptPicker, args: argparse.Namespace) -> None:
        self._tokenizer = tokenizer
        self._picker = picker
        self._args = args
        self._rng = random.Random(args.seed)
        self._end = tokenizer.token_to_id(END_OF_TEXT)
        self._requests: list[Request] = []
        self._on_sample: list[Callable[[list[int]], None]] = []

    def make(self) -> Example:
        flavour = draw(self._rng, FLAVOURS)
        is_long = self._rng.random() < self._args.long_share
        if is_long:
            num_tokens = self._rng.randint(2048, self._args.max_tokens)
        else:
            num_tokens = self._rng.randint(2 * CHUNK_SIZE, 1024)
        if flavour == "sampled":
            return self._sampled_document()
        text = self._text(num_tokens)
        if flavour == "real":
            return self._real_document(text, num_tokens)
        if flavour == "damaged":
            return self._damaged_document(text, num_tokens)
        return self._patched_document(text, num_tokens)

    def finish(self, sampler: Sampler) -> None:
        """Runs all samples asked for so far and puts them into their examples."""
        for put, ids in zip(self._on_sample, sampler.sample(self._requests), strict=True):
            put(ids)
        self._requests, self._on_sample = [], []

    def _text(self, num_tokens: int) -> str:
        text = self._picker.pick(self._rng, num_tokens * CHARS_PER_TOKEN)
        return rewrap(self._rng, text) if self._rng.random() < REWRAP_SHARE else text

    def _encode(self, text: str, num_tokens: int) -> list[int]:
        return encode(self._tokenizer, text)[:num_tokens]

    def _starts(self, ids: list[int], limit: int) -> list[int]:
        """The borders of the chunks to judge: all, or in a long document a random choice."""
        starts = list(chunk_starts(len(ids)))
        return sorted(self._rng.sample(starts, min(len(starts), limit)))

    def _ask(self, context: list[int], num_tokens: int, put: Callable[[list[int]], None]) -> None:
        context = context[-SAMPLE_CONTEXT_CHUNKS * CHUNK_SIZE :] or [self._end]
        self._requests.append(Request(tuple(context), num_tokens, self._rng.uniform(*TEMPERATURES)))
        self._on_sample.append(put)

    def _damage_chunk(self, ids: list[int], start: int, kind: str) -> list[int]:
        """A damaged chunk for the border `start`, as long as the real one if the text suffices."""
        length = min(CHUNK_SIZE, len(ids) - start)
        if kind == SPLICE:
            return self._encode(" " + self._text(2 * CHUNK_SIZE), length)
        source = decode(self._tokenizer, ids[start : start + length + length // 2])
        return self._encode(DAMAGES[kind](self._rng, source), length)

    def _real_document(self, text: str, num_tokens: int) -> Example:
        ids = self._encode(text, num_tokens)
        example = Example("real", ids)
        for start in self._starts(ids, self._args.max_judged // 2):
            real = ids[start : start + CHUNK_SIZE]
            example.judged.append((start, real, 1, REAL))
            kind = draw(self._rng, CHUNK_KINDS)
            if kind == SAMPLED:
                self._ask(
                    ids[:start],
                    CHUNK_SIZE,
                    lambda sample, start=start, n=len(real): example.judged.append((start, sample[:n], 0, SAMPLED)),
                )
            else:
                example.judged.append((start, self._damage_chunk(ids, start, kind), 0, kind))
        return example

    def _damaged_document(self, text: str, num_tokens: int) -> Example:
        kind = draw(self._rng, DOCUMENT_KINDS)
        if kind == SPLICE:
            damaged = splice_texts(self._rng, [text, *(self._text(num_tokens) for _ in range(2))])
        else:
            damaged = DAMAGES[kind](self._rng, text)
        ids, real_ids = self._encode(damaged, num_tokens), self._encode(text, num_tokens)
        example = Example("damaged", ids)
        for start in self._starts(ids, self._args.max_judged * 2 // 3):
            if start > 0 or kind not in ("sentence_shuffle", SPLICE):  # these two begin with real text
                example.judged.append((start, ids[start : start + CHUNK_SIZE], 0, kind))
            if start < len(real_ids) and self._rng.random() < 0.5:
                example.judged.append((start, real_ids[start : start + CHUNK_SIZE], 1, REAL))
        return example

    def _patched_document(self, text: str, num_tokens: int) -> Example:
        real_ids = self._encode(text, num_tokens)
        kinds = {kind: share for kind, share in CHUNK_KINDS.items() if kind != SAMPLED}
        share = self._rng.choice([0.1, 0.3, 0.6])
        ids: list[int] = []
        pieces: list[tuple[int, str]] = []
        for start in chunk_starts(len(real_ids)):
            piece, kind = real_ids[start : start + CHUNK_SIZE], REAL
            if len(piece) == CHUNK_SIZE and self._rng.random() < share:
                kind = draw(self._rng, kinds)
                piece = self._damage_chunk(real_ids, start, kind)
                if len(piece) < CHUNK_SIZE:
                    piece, kind = real_ids[start : start + CHUNK_SIZE], REAL
            pieces.append((start, kind))
            ids += piece
        example = Example("patched", ids)
        for start, kind in sorted(self._rng.sample(pieces, min(len(pieces), self._args.max_judged))):
            example.judged.append((start, ids[start : start + CHUNK_SIZE], int(kind == REAL), kind))
        return example

    def _sampled_document(self) -> Example:
        num_real = self._rng.choice([0, 1, 2, 3]) * CHUNK_SIZE
        num_sampled = self._rng.randint(CHUNK_SIZE, SAMPLED_TOKENS)
        real_ids = self._encode(self._text(num_real + num_sampled), num_real + num_sampled)
        example = Example("sampled", real_ids[:num_real])

        def put(sample: list[int]) -> None:
            example.ids = real_ids[:num_real] + sample[:num_sampled]
            for start in chunk_starts(len(example.ids)):
                piece, real_piece = (x[start : start + CHUNK_SIZE] for x in (example.ids, real_ids))
                if start < num_real:
                    example.judged.append((start, piece, 1, REAL))
                    continue
                example.judged.append((start, piece, 0, SAMPLED))
                if real_piece and (start == num_real or self._rng.random() < 0.5):
                    example.judged.append((start, real_piece, 1, REAL))

        self._ask(real_ids[:num_real], SAMPLED_TOKENS, put)
        return example


def forbidden_ids(tokenizer: Tokenizer) -> list[int]:
    """Added tokens: the base model must not say them."""
    return [tokenizer.token_to_id(token) for token in [*SPECIAL_TOKENS, *PLAIN_ADDED_TOKENS]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="folder with sotu/*.txt and moby-dick.txt")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    parser.add_argument("--base", type=Path, required=True, help="base checkpoint to sample from")
    parser.add_argument("--out", type=Path, required=True, help="examples, one JSON object a line")
    parser.add_argument("--held-out", action="store_true", help="use the held-out addresses, to evaluate with")
    parser.add_argument("--documents", type=int, default=1000, help="number of examples (default: 1000)")
    parser.add_argument("--long-share", type=float, default=0.12, help="share of long documents (default: 0.12)")
    parser.add_argument("--max-tokens", type=int, default=4000, help="tokens of the longest document (default: 4000)")
    parser.add_argument("--max-judged", type=int, default=32, help="chunks judged per document at most (default: 32)")
    parser.add_argument("--seed", type=int, default=2, help="seed of documents and samples (default: 2)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    base = AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.float32)
    sources = held_out_sources(args.corpus) if args.held_out else training_sources(args.corpus)
    maker = ExampleMaker(tokenizer, ExcerptPicker(sources), args)
    examples = [maker.make() for _ in range(args.documents)]
    maker.finish(Sampler(base, forbidden_ids(tokenizer), args.seed))

    counts: Counter[str] = Counter()
    with args.out.open("w", encoding="utf-8") as out:
        for example in examples:
            example.judged.sort(key=lambda judged: judged[0])
            counts.update(kind for _, _, _, kind in example.judged)
            out.write(json.dumps(asdict(example)) + "\n")
    print(f"{len(examples)} documents, chunks by kind: {dict(counts.most_common())}")


if __name__ == "__main__":
    main()
