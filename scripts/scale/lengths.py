"""Lengths of documents, as distributions: a few lengths that stand for equal parts of all documents.

Medians and spreads are assumptions, but for the web pages: 480 tokens on average are the 2.3 kB per document that the
English part of C4 has (828,589,180,707 bytes in 364,868,892 documents, by its data set card).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from statistics import NormalDist

NUM_PARTS = 8


@dataclass(frozen=True)
class Distribution:
    """Log-normal: half of the documents are shorter than `median` tokens; sigma 0 = all are as long."""

    name: str
    title: str
    median: float
    sigma: float

    def lengths(self, num_parts: int = NUM_PARTS) -> list[int]:
        """One document for each part: the length at its middle, all by one factor so that their mean is the whole's."""
        if self.sigma == 0:
            return [round(self.median)]
        middles = [NormalDist().inv_cdf((i + 0.5) / num_parts) for i in range(num_parts)]
        lengths = [self.median * exp(self.sigma * middle) for middle in middles]
        factor = self.mean / (sum(lengths) / num_parts)
        return [max(1, round(length * factor)) for length in lengths]

    @property
    def mean(self) -> float:
        return self.median * exp(self.sigma**2 / 2)


POSTS = Distribution("posts", "posts", 85, 0.6)
PAGES = Distribution("pages", "web pages", 320, 0.9)
ARTICLES = Distribution("articles", "articles", 1000, 0)
BOOKS = Distribution("books", "books", 30000, 0)
DISTRIBUTIONS = (POSTS, PAGES, ARTICLES, BOOKS)
