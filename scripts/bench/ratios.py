"""What the measured times say: ratios within a round, since a machine is not equally fast in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Ratio:
    """Of a rival's time to prm-score's; 2 = prm-score is twice as fast."""

    median: float
    lowest: float
    highest: float


def ratio_of(rival_seconds: Sequence[float], baseline_seconds: Sequence[float]) -> Ratio:
    """Each of the rival's times against prm-score's for the same documents in the same round."""
    ratios = [rival / base for rival, base in zip(rival_seconds, baseline_seconds, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def largest_difference(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> float:
    """Of the log-odds of two runs over the same documents; throws ValueError if they have not the same chunks."""
    return max(abs(x - y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True))
