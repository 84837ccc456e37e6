"""Which versions an excerpt gets: all at random for training, every kind at every strength for an evaluation."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from damage import SPLICE, corrupt
from documents import Document, Excerpt, ExcerptLengths
from prompt import CHUNK_SIZE
from sampling import Request
from versions import CHUNK, DOCUMENT, REAL, SAMPLED, TRANSLATION, Range, Version

CHUNK_KINDS = {
    SAMPLED: 0.40,
    TRANSLATION: 0.10,
    "word_shuffle": 0.05,
    "nearby_word_shuffle": 0.06,
    "char_noise": 0.05,
    "repetition": 0.12,
    "span_deletion": 0.10,
    SPLICE: 0.12,
}
DOCUMENT_KINDS = {
    SAMPLED: 0.26,
    TRANSLATION: 0.12,
    "word_shuffle": 0.04,
    "nearby_word_shuffle": 0.05,
    "sentence_shuffle": 0.22,
    "char_noise": 0.04,
    "repetition": 0.09,
    "span_deletion": 0.07,
    SPLICE: 0.11,
}
"""Shares of the kinds of rejected chunks and texts in training; the hard ones are the larger. sentence_shuffle needs
more than a chunk."""
STRENGTHS = (0.1, 1.0)
"""Training draws uniformly from this range."""
MAX_SAMPLED_CHUNKS = 8
"""Of one continuation in training: the chunks behind them would cost most and teach least."""
SAMPLED_CHUNK_TOKENS = round(1.4 * CHUNK_SIZE)
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
    weights: tuple[tuple[str, float], ...] = ()
    """Factors on the shares of some kinds in training."""
    sampler_context: int | None = None
    """Tokens that samplers see of the text before; None: their defaults, or no sampler."""

    @property
    def longest_sample(self) -> int:
        """The most tokens that a sampler is asked for at once."""
        lengths = self.lengths
        num_chunks = max(lengths.max_chunks, lengths.long_chunks if lengths.long_share else 0)
        if self.purpose == "evaluate":
            return max(1, num_chunks - 1) * CHUNK_SIZE  # the first chunk is real
        return max(min(num_chunks, MAX_SAMPLED_CHUNKS) * CHUNK_SIZE, SAMPLED_CHUNK_TOKENS)


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
        weights = dict(self._settings.weights)
        return {kind: share * weights.get(kind, 1.0) for kind, share in shares.items() if kind in self._settings.kinds}

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
        """Excerpts of other documents, half of them of the same source, where a foreign sentence is harder to see."""
        texts: list[str] = []
        for _ in range(100):
            if len(texts) == count:
                break
            other = rng.choice(self._others)
            is_same = other.source == work.excerpt.source
            if work.excerpt.id.startswith(other.id) or ((len(texts) % 2 == 0) != is_same and rng.random() < 0.9):
                continue
            begin = rng.randrange(max(1, len(other.text) - 3000))
            text = other.text[begin : begin + 3000]
            texts.append(text.partition(" ")[2] if " " in text else text)  # not all scripts part words by spaces
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
            self._plan_sample(work, CHUNK, suffix, text[:begin], (temperature, index, SAMPLED_CHUNK_TOKENS, None))
            return
        reach = end + (end - begin) // 2  # damages may shorten; the chunk should still be a whole one
        if kind == TRANSLATION:
            self._plan_translated(work, CHUNK, suffix, rng.randrange(len(self._settings.translators)), begin, reach)
            return
        strength = rng.uniform(*STRENGTHS)
        if kind == SPLICE:
            others = self._other_texts(work, rng, count=2)
            worse = rng.choice(others)[: end - begin] if others else ""
            rejected: tuple[Range, ...] = ((0, len(worse)),)
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


def _gaps_between(ranges: Sequence[Range], length: int) -> tuple[Range, ...]:
    edges = [0, *(x for r in ranges for x in r), length]
    return tuple((b, e) for b, e in zip(edges[::2], edges[1::2], strict=True) if b < e)


def _seed_of(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")
