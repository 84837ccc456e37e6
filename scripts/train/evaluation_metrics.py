"""The numbers of an evaluation: pure functions of arrays, each with its definition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

NORMAL_95 = NormalDist().inv_cdf(0.975)


def wilson_interval(successes: float, trials: int) -> tuple[float, float]:
    """95 % interval of a share; half successes (ties) are allowed."""
    share = successes / trials
    z2 = NORMAL_95**2 / trials
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def average_ranks(values: ArrayLike) -> Floats:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def auc(better: Sequence[float], worse: Sequence[float]) -> float | None:
    """Chance that a value of `better` is above one of `worse`, ties half. None if either is empty."""
    n, m = len(better), len(worse)
    if not n or not m:
        return None
    ranks = average_ranks([*better, *worse])
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


@dataclass(frozen=True)
class Correlation:
    coefficient: float
    low: float
    high: float


def spearman(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """Rank correlation with its 95 % interval (Fisher's z, variance 1.06 / (n - 3)).

    None for fewer than 4 points, or if one side is constant.
    """
    n = len(x)
    if n < 4 or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    a, b = average_ranks(x), average_ranks(y)
    a, b = a - a.mean(), b - b.mean()
    coefficient = float(np.clip((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()), -1, 1))
    if abs(coefficient) == 1:
        return Correlation(coefficient, coefficient, coefficient)
    z, half = math.atanh(coefficient), NORMAL_95 * math.sqrt(1.06 / (n - 3))
    return Correlation(coefficient, math.tanh(z - half), math.tanh(z + half))


def sigmoid(log_odds: ArrayLike) -> Floats:
    x = np.asarray(log_odds, dtype=np.float64)
    e = np.exp(-np.abs(x))  # never overflows
    result: Floats = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    return result


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability curve; `weight`: its share of the mass."""

    weight: float
    predicted: float
    observed: float
    count: int


@dataclass(frozen=True)
class Calibration:
    ece: float
    brier: float
    bins: tuple[Bin, ...]


def calibration(probabilities: ArrayLike, labels: ArrayLike, weights: ArrayLike, num_bins: int) -> Calibration:
    """Expected calibration error over bins of equal mass, and Brier score.

    Equal probabilities are never parted, so the result does not depend on the order, and bins may be fewer.
    """
    p, y, w = (np.asarray(x, dtype=np.float64) for x in (probabilities, labels, weights))
    w = w / w.sum()
    _, inverse = np.unique(p, return_inverse=True)
    mass = np.bincount(inverse, weights=w)
    middle = np.cumsum(mass) - mass / 2
    # Without the small number, borders that are equal but for rounding would fall on either side.
    bin_of = np.minimum((middle * num_bins + 1e-9).astype(int), num_bins - 1)[inverse]
    bins = []
    for index in range(num_bins):
        inside = bin_of == index
        if inside.any():
            weight = float(w[inside].sum())
            predicted, observed = (float((w * x)[inside].sum()) / weight for x in (p, y))
            bins.append(Bin(weight, predicted, observed, int(inside.sum())))
    ece = sum(b.weight * abs(b.predicted - b.observed) for b in bins)
    return Calibration(ece, float((w * (p - y) ** 2).sum()), tuple(bins))


def balanced_weights(labels: ArrayLike) -> Floats:
    """Weights that give both labels half of the mass."""
    y = np.asarray(labels)
    chosen = (y == 1).mean()
    result: Floats = np.where(y == 1, 0.5 / chosen, 0.5 / (1 - chosen)) / len(y)
    return result


@dataclass(frozen=True)
class Curve:
    """Means by position; the standard error is None where only one document is."""

    positions: tuple[int, ...]
    counts: tuple[int, ...]
    means: tuple[float, ...]
    standard_errors: tuple[float | None, ...]


def position_curve(positions: Sequence[int], values: Sequence[float]) -> Curve:
    where, what = np.asarray(positions, dtype=int), np.asarray(values, dtype=np.float64)
    places = np.unique(where)
    groups = [what[where == place] for place in places]
    return Curve(
        tuple(int(p) for p in places),
        tuple(len(g) for g in groups),
        tuple(float(g.mean()) for g in groups),
        tuple(float(g.std(ddof=1) / math.sqrt(len(g))) if len(g) > 1 else None for g in groups),
    )


@dataclass(frozen=True)
class Drift:
    """Total change along a fitted line from position `first` to `last`, in standard deviations of `values`.

    `standard_error`: its error, where chunks of one document may go together. `within`: the same of a fit in which
    every document has a level of its own, so that it is no matter which documents are long. `intercept`, `slope`: the
    line.
    """

    drift: float
    standard_error: float
    within: float
    first: int
    last: int
    intercept: float
    slope: float


def drift(documents: Sequence[Sequence[float]], scale: float, min_documents: int) -> Drift | None:
    """Drift of the documents' log-odds, of which element i is at position i, over the positions that enough reach.

    None if there are not two such positions, or if the scale is 0.
    """
    lengths = sorted((len(d) for d in documents), reverse=True)
    num_positions = lengths[min_documents - 1] if len(lengths) >= min_documents else 0
    if num_positions < 2 or scale == 0:
        return None
    parts = [np.asarray(d[:num_positions], dtype=np.float64) for d in documents if len(d) > 0]
    x = np.concatenate([np.arange(len(part), dtype=np.float64) for part in parts])
    y = np.concatenate(parts)
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    dx = x - x.mean()
    sxx = float((dx * dx).sum())
    slope = float((dx * y).sum()) / sxx
    intercept = float(y.mean()) - slope * float(x.mean())
    scores = np.bincount(owner, weights=dx * (y - intercept - slope * x))
    error = math.sqrt(float((scores * scores).sum())) / sxx

    sizes = np.bincount(owner)
    within_x = x - (np.bincount(owner, weights=x) / sizes)[owner]
    within_slope = float((within_x * y).sum()) / float((within_x * within_x).sum())
    change = (num_positions - 1) / scale
    return Drift(slope * change, error * change, within_slope * change, 0, num_positions - 1, intercept, slope)


class Buckets:
    """Puts numbers into named ranges: each value on its own if they are few, else between fixed edges."""

    MAX_VALUES = 8

    def __init__(self, values: Sequence[float], edges: Sequence[float]) -> None:
        distinct = sorted({f"{v:g}" for v in values}, key=float)
        self._edges = None if len(distinct) <= self.MAX_VALUES else tuple(edges)
        self._names = distinct if self._edges is None else self._ranges(self._edges)

    @staticmethod
    def _ranges(edges: Sequence[float]) -> list[str]:
        inner = [f"{a:g}-{b:g}" for a, b in pairwise(edges)]
        return [f"<{edges[0]:g}", *inner, f">{edges[-1]:g}"]

    @property
    def names(self) -> list[str]:
        """In ascending order."""
        return list(self._names)

    def name(self, value: float) -> str:
        """Ranges hold their lower end; the last one holds its upper end, too."""
        if self._edges is None:
            return f"{value:g}"
        if value == self._edges[-1]:
            return self._names[-2]
        return self._names[int(np.searchsorted(self._edges, value, side="right"))]
