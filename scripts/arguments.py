"""Values of command lines, for argparse, with errors that say what was expected."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError
    return value


def argument(parse: Callable[[str], Any], expected: str) -> Callable[[str], Any]:
    """`parse`, whose ValueError becomes an error that says what was expected."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}") from error

    return parsed
