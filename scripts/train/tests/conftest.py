"""Puts scripts/train on the path and starts the servers that tests talk to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from http_retry import RetryPolicy  # noqa: E402
from protocol_server import ServerProcess  # noqa: E402


@pytest.fixture
def start_server() -> Iterator[Callable[..., ServerProcess]]:
    """Starts a server process; it ends with the test."""
    servers: list[ServerProcess] = []

    def start(*arguments: str) -> ServerProcess:
        servers.append(ServerProcess(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def quick() -> RetryPolicy:
    """Retries without the pauses of real life."""
    return RetryPolicy(max_retries=3, base_s=0.01, max_s=0.05)
