"""The one error that ends scripts/scale.py."""

from __future__ import annotations


class ScaleError(Exception):
    """One line that names the place, what was expected and what was found."""
