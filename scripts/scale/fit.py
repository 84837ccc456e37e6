"""Seconds as a sum of what a run, a document, a row and an attended key cost; no coefficient is negative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import combinations
from math import isfinite

from scale.errors import ScaleError
from scale.work import Work

PIVOT = 1e-12
"""Of columns of length one: what is smaller is a combination of the columns before it."""


@dataclass(frozen=True)
class Cost:
    """Seconds for each of these."""

    run: float
    document: float
    row: float
    key: float

    def seconds(self, work: Work, with_run: bool = True) -> float:
        return (self.run if with_run else 0) + sum(
            cost * amount for cost, amount in zip(astuple(self)[1:], amounts(work)[1:], strict=True)
        )

    def seconds_per_million_tokens(self, work: Work) -> float:
        """Of a long run: what a run costs once is left out."""
        return self.seconds(work, with_run=False) / work.tokens * 1e6

    def scaled(self, rows: float, keys: float) -> Cost:
        """Of a model whose rows and keys take so many times the operations; what a run costs is another matter."""
        return Cost(0, self.document * rows, self.row * rows, self.key * keys)


@dataclass(frozen=True)
class Measured:
    """One point to fit: what was to do in a run, and how long it took."""

    name: str
    work: Work
    seconds: float


def amounts(work: Work) -> tuple[float, ...]:
    return 1.0, work.documents, work.rows, work.keys


def fit(points: Sequence[Measured]) -> Cost:
    """The least squares of the relative errors, among all costs that are not negative.

    Such a minimum is the free minimum over some of the costs, the others being zero: all choices are tried. Throws
    ScaleError if there are too few points.
    """
    size = len(amounts(Work()))
    if len({amounts(point.work) for point in points}) < size:
        raise ScaleError(f"fit: expected at least {size} different sets of documents, found {len(points)}")
    for point in points:
        if not (isfinite(point.seconds) and point.seconds > 0):
            raise ScaleError(f"fit: {point.name}: expected seconds above 0, found {point.seconds}")
    table = [[amount / point.seconds for amount in amounts(point.work)] for point in points]
    best: tuple[float, list[float]] | None = None
    for count in range(1, size + 1):
        for chosen in combinations(range(size), count):
            found = _least_squares([[row[column] for column in chosen] for row in table])
            if found is None or min(found) < 0:
                continue
            costs = [0.0] * size
            for column, cost in zip(chosen, found, strict=True):
                costs[column] = cost
            error = sum((sum(x * y for x, y in zip(row, costs, strict=True)) - 1) ** 2 for row in table)
            if best is None or error < best[0] - PIVOT:
                best = error, costs
    assert best is not None  # one column of positive numbers alone has a positive solution
    return Cost(*best[1])


def relative_error(cost: Cost, point: Measured) -> float:
    """Of what the costs say, to what was measured; above 0: they say too much."""
    return cost.seconds(point.work) / point.seconds - 1


def _least_squares(table: Sequence[Sequence[float]]) -> list[float] | None:
    """x with table x = (1, .., 1) in the least squares; None if the columns depend on each other."""
    size = len(table[0])
    scales = [sum(row[i] ** 2 for row in table) ** 0.5 for i in range(size)]
    if min(scales) == 0:
        return None
    scaled = [[value / scale for value, scale in zip(row, scales, strict=True)] for row in table]
    matrix = [
        [sum(row[i] * row[j] for row in scaled) for j in range(size)] + [sum(row[i] for row in scaled)]
        for i in range(size)
    ]
    for i in range(size):
        pivot = max(range(i, size), key=lambda k: abs(matrix[k][i]))
        if abs(matrix[pivot][i]) < PIVOT:
            return None
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        for k in range(size):
            if k != i:
                factor = matrix[k][i] / matrix[i][i]
                matrix[k] = [x - factor * y for x, y in zip(matrix[k], matrix[i], strict=True)]
    return [matrix[i][size] / matrix[i][i] / scales[i] for i in range(size)]
