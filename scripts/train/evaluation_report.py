"""From versions and their rows to the report: numbers by file and source.

Whatever is plotted is in the report, so that plots can be drawn from it alone.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from evaluation_metrics import (
    Buckets,
    auc,
    balanced_weights,
    calibration,
    drift,
    position_curve,
    sigmoid,
    spearman,
    wilson_interval,
)
from scorer_process import Failed, Row, Scored
from versions import DOCUMENT, REAL, Label, Version

Json = dict[str, Any]

CALIBRATION_BINS = 15
HISTOGRAM_BINS = 40
MIN_DRIFT_DOCUMENTS = 10
DECIMALS = 6


@dataclass(frozen=True)
class Settings:
    min_chunks: int = 8
    strength_edges: tuple[float, ...] = (0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)
    temperature_edges: tuple[float, ...] = (0, 0.7, 0.85, 1, 1.15, 1.3, 1.5)


@dataclass(frozen=True)
class ScoredVersion:
    version: Version
    row: Scored

    @cached_property
    def labels(self) -> list[Label | None]:
        return [self.version.label(chars) for chars in self.row.chars]

    def labelled(self, label: Label) -> list[float]:
        return [x for x, found in zip(self.row.log_odds, self.labels, strict=True) if found is label]


@dataclass(frozen=True)
class Pair:
    kind: str
    points: float
    strength: float | None
    temperature: float | None


class Sample:
    """Scored versions of one file, or of one source in it."""

    def __init__(self, scored: Sequence[ScoredVersion], settings: Settings) -> None:
        self._settings = settings
        self._scored = scored
        self._real = {s.version.document: s for s in scored if _is_real(s.version)}
        self.kinds = sorted({s.version.kind for s in scored} - {REAL})
        self.long = {name for name, s in self._real.items() if len(s.row.log_odds) >= settings.min_chunks}

    @property
    def num_short(self) -> int:
        return len(self._real) - len(self.long)

    def _versions(self, kind: str) -> list[ScoredVersion]:
        return [s for s in self._scored if s.version.kind == kind]

    def _rejected(self, kind: str, scope: str | None = None) -> list[float]:
        versions = [s for s in self._versions(kind) if scope in (None, s.version.scope)]
        return [x for s in versions for x in s.labelled(Label.REJECTED)]

    @cached_property
    def _chosen_real(self) -> list[float]:
        return [x for s in self._versions(REAL) for x in s.labelled(Label.CHOSEN)]

    @cached_property
    def _pairs(self) -> list[Pair]:
        pairs = []
        for s in self._scored:
            v = s.version
            if v.scope == DOCUMENT and v.kind != REAL and v.document in self.long:
                real = self._real[v.document].row.reward
                points = 0.5 if real == s.row.reward else float(real > s.row.reward)
                pairs.append(Pair(v.kind, points, v.strength, v.temperature))
        return pairs

    def pair_accuracy(self, by_bucket: bool) -> Json:
        kinds: Json = {}
        for kind in self.kinds:
            pairs = [p for p in self._pairs if p.kind == kind]
            kinds[kind] = _accuracy(pairs)
            if by_bucket:
                settings = self._settings
                for name, edges in (("strength", settings.strength_edges), ("temperature", settings.temperature_edges)):
                    if buckets := _by_bucket(pairs, name, edges):
                        kinds[kind][name] = buckets
        return {"overall": _accuracy(self._pairs), "kinds": kinds}

    def chunk_auc(self) -> Json:
        everything = [x for kind in self.kinds for x in self._rejected(kind)]
        kinds: Json = {}
        for kind in self.kinds:
            kinds[kind] = self._auc(self._rejected(kind))
            scopes = sorted({s.version.scope for s in self._versions(kind)})
            if len(scopes) > 1:
                kinds[kind]["scope"] = {scope: self._auc(self._rejected(kind, scope)) for scope in scopes}
        return {"overall": self._auc(everything), "kinds": kinds}

    def _auc(self, rejected: list[float]) -> Json:
        value = auc(self._chosen_real, rejected)
        return {"auc": value, "chosen": len(self._chosen_real), "rejected": len(rejected)}

    def log_odds(self) -> Json:
        kinds = {kind: _moments(self._rejected(kind)) for kind in self.kinds}
        return {REAL: _moments(self._real_chunks), "kinds": kinds}

    @cached_property
    def _real_chunks(self) -> list[float]:
        return [x for s in self._real.values() for x in s.row.log_odds]

    def calibration(self) -> Json | None:
        chosen = [x for s in self._scored for x in s.labelled(Label.CHOSEN)]
        rejected = [x for s in self._scored for x in s.labelled(Label.REJECTED)]
        if not chosen or not rejected:
            return None
        p = sigmoid(chosen + rejected)
        labels = np.repeat([1.0, 0.0], [len(chosen), len(rejected)])
        weights = {"balanced": balanced_weights(labels), "unweighted": np.ones(len(labels))}
        result: Json = {"chosen": len(chosen), "rejected": len(rejected)}
        return result | {name: asdict(calibration(p, labels, w, CALIBRATION_BINS)) for name, w in weights.items()}

    def position(self) -> Json:
        """Real versions with all of their chunks, damaged ones with their rejected chunks."""
        places: dict[str, list[tuple[int, float]]] = {REAL: [], **{kind: [] for kind in self.kinds}}
        for s in self._scored:
            if s.version.scope == DOCUMENT:
                places[s.version.kind] += [
                    (i, x)
                    for i, (x, label) in enumerate(zip(s.row.log_odds, s.labels, strict=True))
                    if s.version.kind == REAL or label is Label.REJECTED
                ]
        curves = {kind: position_curve([i for i, _ in p], [x for _, x in p]) for kind, p in places.items() if p}
        return {kind: asdict(curve) for kind, curve in curves.items()}

    def drift(self) -> Json | None:
        documents = [s.row.log_odds for s in self._real.values()]
        scale = float(np.std(self._real_chunks, ddof=1)) if len(self._real_chunks) > 1 else 0.0
        found = drift(documents, scale, MIN_DRIFT_DOCUMENTS)
        return None if found is None else asdict(found)

    def length(self, points: bool) -> Json:
        pairs = [(len(s.row.log_odds), s.row.reward) for s in self._real.values()]
        found = spearman([float(n) for n, _ in pairs], [reward for _, reward in pairs])
        return {
            "documents": len(pairs),
            "spearman": None if found is None else found.coefficient,
            "interval_95": None if found is None else [found.low, found.high],
        } | ({"num_chunks": [n for n, _ in pairs], "reward": [reward for _, reward in pairs]} if points else {})

    def distribution(self) -> Json | None:
        """Histograms; what lies outside the edges is counted in the first and last bin."""
        values = {REAL: self._real_chunks, **{kind: self._rejected(kind) for kind in self.kinds}}
        everything = [x for v in values.values() for x in v]
        if not everything:
            return None
        low, high = math.floor(np.quantile(everything, 0.002)), math.ceil(np.quantile(everything, 0.998))
        edges = np.linspace(low, max(high, low + 1), HISTOGRAM_BINS + 1)
        counts = {kind: np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0].tolist() for kind, v in values.items()}
        return {"edges": edges.tolist(), "counts": counts}


def _is_real(version: Version) -> bool:
    return version.kind == REAL and version.scope == DOCUMENT


def _accuracy(pairs: Sequence[Pair]) -> Json:
    if not pairs:
        return {"accuracy": None, "pairs": 0, "ties": 0, "interval_95": None}
    points = sum(p.points for p in pairs)
    return {
        "accuracy": points / len(pairs),
        "pairs": len(pairs),
        "ties": sum(p.points == 0.5 for p in pairs),
        "interval_95": list(wilson_interval(points, len(pairs))),
    }


def _by_bucket(pairs: Sequence[Pair], name: str, edges: Sequence[float]) -> Json:
    valued: list[tuple[float, Pair]] = [(getattr(p, name), p) for p in pairs if getattr(p, name) is not None]
    buckets = Buckets([value for value, _ in valued], edges)
    members: dict[str, list[tuple[float, Pair]]] = defaultdict(list)
    for value, pair in valued:
        members[buckets.name(value)].append((value, pair))
    return {
        bucket: _accuracy([p for _, p in members[bucket]])
        | {"mean": math.fsum(v for v, _ in members[bucket]) / len(members[bucket])}
        for bucket in buckets.names
        if bucket in members
    }


def _moments(values: Sequence[float]) -> Json:
    return {
        "chunks": len(values),
        "mean": float(np.mean(values)) if values else None,
        "standard_deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


def group_report(versions: Sequence[Version], rows: Sequence[Row], settings: Settings) -> Json:
    """Report of one file. A version whose row is an error is in no number; with a real version go all its pairs."""
    scored = [ScoredVersion(v, row) for v, row in zip(versions, rows, strict=True) if isinstance(row, Scored)]
    failed = [(v, row.error) for v, row in zip(versions, rows, strict=True) if isinstance(row, Failed)]
    sample = Sample(scored, settings)
    # A document is of its real version's source, whatever its other versions say.
    source_of = {v.document: v.source for v in versions} | {v.document: v.source for v in versions if _is_real(v)}
    by_source: dict[str, list[ScoredVersion]] = defaultdict(list)
    for s in scored:
        by_source[source_of[s.version.document]].append(s)
    sources: Json = {}
    for source, members in sorted(by_source.items()):
        part = Sample(members, settings)
        sources[source] = {
            "documents": len(part.long),
            "short_documents": part.num_short,
            "pair_accuracy": part.pair_accuracy(by_bucket=False),
            "chunk_auc": part.chunk_auc(),
            "log_odds": part.log_odds(),
            "drift": part.drift(),
            "length": part.length(points=False),
        }
    return {
        "versions": len(versions),
        "documents": len(sample.long),
        "short_documents": sample.num_short,
        "failed_versions": [
            {"id": v.id, "document": v.document, "kind": v.kind, "scope": v.scope, "error": error}
            for v, error in failed
        ],
        "pair_accuracy": sample.pair_accuracy(by_bucket=True),
        "chunk_auc": sample.chunk_auc(),
        "log_odds": sample.log_odds(),
        "calibration": sample.calibration(),
        "drift": sample.drift(),
        "length": sample.length(points=True),
        "position": sample.position(),
        "distribution": sample.distribution(),
        "sources": sources,
    }


def rounded(value: Any) -> Any:
    """The same JSON value with its floats rounded, so that nobody reads noise."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return round(value, DECIMALS) + 0.0 if isinstance(value, float) else value


def to_json(value: Any, indent: str = "") -> str:
    """Indented JSON in which a list of plain values takes one line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        fields = [f"{inner}{json.dumps(name)}: {to_json(v, inner)}" for name, v in value.items()]
        return "{\n" + ",\n".join(fields) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        return "[\n" + ",\n".join(inner + to_json(v, inner) for v in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)
