"""Errors that end the benchmark, or one rival's part in it."""

from __future__ import annotations


class BenchError(Exception):
    """The benchmark cannot go on; one line that names the place, what was expected and what was found."""


class RivalError(Exception):
    """One rival cannot go on, for the reason said; the others do."""
