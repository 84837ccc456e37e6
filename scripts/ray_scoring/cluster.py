"""The Ray cluster: connecting, whether its nodes agree, and the pipeline of Ray Data."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import ray
import ray.cloudpickle
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_scoring import (
    blocks,
    blocks_on_workers,
    errors,
    fingerprint,
    jsonl_lines,
    parquet_lines,
    rows,
    scorer_process,
    storage,
)
from ray_scoring.blocks import BlockOptions, InputFile
from ray_scoring.blocks_on_workers import BlockScorer, ScorerCommand, changed_blocks, read_unfinished
from ray_scoring.errors import InputError
from ray_scoring.fingerprint import Fingerprint, differences, take_fingerprint

_CONNECT_SECONDS = 10.0
_PATIENCE_SECONDS = 30.0
_MOST_READERS = 4
_BLOCKS_IN_PIPE = 2
"""Of each actor: while one is scored, the next one is there."""
_READ: Any = read_unfinished  # a generator of tables, which the type of map_batches does not know
_SERVICES: Any = ray._private.services  # a type there says str where its text says None, too
_RAYLET: Any = ray._raylet  # compiled: no types
_WORKER_MODULES: tuple[ModuleType, ...] = (
    *(blocks, blocks_on_workers, errors, fingerprint, jsonl_lines, parquet_lines, rows, scorer_process, storage),
)


@dataclass(frozen=True)
class ActorResources:
    """Of each actor. `max_actors`: None = as many as the cluster holds."""

    num_cpus: float
    num_gpus: float
    max_actors: int | None


@dataclass(frozen=True)
class ScorerArguments:
    """Of BlockScorer."""

    command: ScorerCommand
    expected: Fingerprint
    names: Sequence[str]


@dataclass(frozen=True)
class Work:
    """What is to be scored. `finished`: numbers of blocks, by indices of files; those that are not in it are done."""

    files: Sequence[InputFile]
    options: BlockOptions
    finished: Mapping[int, Sequence[int]]


def connect(address: str | None) -> None:
    """To a cluster, or to one on this machine that ends with the program. Throws InputError."""
    _quieten()
    try:
        _check_reachable(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        place = f"--address {address}" if address else "Ray"
        raise InputError(f"{place}: cannot be used: {_one_line(error)}") from error
    # Workers need not have this folder: they get the code itself.
    for module in _WORKER_MODULES:
        ray.cloudpickle.register_pickle_by_value(module)


def _quieten() -> None:
    """What Ray says of itself goes to its log files; errors are told by this program."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)


def _check_reachable(address: str | None) -> None:
    """Ray itself would try for minutes."""
    found, source = _meant(address)
    if found in ("auto", "local"):
        return
    parts = re.fullmatch(r"\[?([^/\[\]]+)\]?:([0-9]+)", found)
    if parts is None:
        raise InputError(f"{source}: expected HOST:PORT, auto or local, found {found!r}")
    try:
        socket.create_connection((parts[1], int(parts[2])), _CONNECT_SECONDS).close()
        # Something answers; if it is no head, or another port of one, this gives up after 40 seconds.
        _RAYLET.GcsClient(address=_SERVICES.canonicalize_bootstrap_address(found))
    except (OSError, OverflowError, ray.exceptions.RayError) as error:
        raise InputError(f"{source} {found}: no cluster answers: {_one_line(error)}") from error


def _meant(address: str | None) -> tuple[str, str]:
    """Where Ray would look for a cluster, and what says so."""
    if address is not None and address != "auto":
        return address, "--address"
    if (given := os.environ.get("RAY_ADDRESS", "auto")) not in ("", "auto"):
        return given, "RAY_ADDRESS"
    # `ray start` leaves a note, which outlives a cluster that was killed.
    noted = _SERVICES.canonicalize_bootstrap_address(address)
    return noted or "auto", "ray start's note of a cluster here (--address local starts a new one):"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class Cluster:
    """Nodes that can hold an actor, as they are at the start."""

    def __init__(self, resources: ActorResources) -> None:
        """Throws InputError if there are none."""
        self._resources = resources
        wanted = {"CPU": resources.num_cpus, "GPU": resources.num_gpus}
        alive = [node for node in ray.nodes() if node["Alive"]]
        self._nodes = {}
        for node in alive:
            room = [node["Resources"].get(name, 0) // amount for name, amount in wanted.items() if amount > 0]
            if room and min(room) >= 1:
                self._nodes[node["NodeID"]] = (node["NodeManagerHostname"], int(min(room)))
        if not self._nodes:
            most = {name: max(node["Resources"].get(name, 0) for node in alive) for name in wanted}
            raise InputError(
                f"expected a node with {resources.num_cpus:g} CPUs and {resources.num_gpus:g} GPUs for an actor, found "
                f"{len(alive)} nodes with at most {most['CPU']:g} CPUs and {most['GPU']:g} GPUs"
            )

    @property
    def num_actors(self) -> int:
        """At most. More than there is room for may be wanted where nodes can still come."""
        return self._resources.max_actors or self._num_that_fit

    @property
    def _num_that_fit(self) -> int:
        return sum(room for _, room in self._nodes.values())

    def fingerprint(self, command: ScorerCommand) -> tuple[Fingerprint, str]:
        """Of all nodes, and in what their machines differ. Throws InputError if they would not write the same rows."""
        asked = {node: self._on_node(node, take_fingerprint, command.program, command.options) for node in self._nodes}
        (first, expected), *others = _answers([(self._name(node), reference) for node, reference in asked.items()])
        machines = []
        for name, found in others:
            if different := differences(expected.rows, found.rows, (f"on {first}", f"on {name}")):
                raise InputError(f"nodes differ: {different}")
            if different := differences(expected.machine, found.machine, (f"on {first}", f"on {name}")):
                machines.append(different)
        return expected, "; ".join(machines)

    def check_finished(self, work: Work, finished: Mapping[int, dict[int, str]]) -> None:
        """Reads finished blocks again. Throws InputError if one is not what it was."""
        local = _here() if _is_any_local(work.files) else None
        asked = []
        for index, hashes in finished.items():
            if hashes:
                arguments = (index, work.files[index], work.options, hashes)
                asked.append((work.files[index].name, _remote(changed_blocks, node=local).remote(*arguments)))
        changed = [found for _, found in _answers(asked) if found]
        if changed:
            raise InputError(f"--resume: {changed[0]}")

    def scored_blocks(self, work: Work, scorer: ScorerArguments) -> Iterator[dict[str, Any]]:
        """Blocks with their rows, in the order in which they are done. Throws InputError."""
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # a block of ours is one of Ray's: what is scheduled, retried, held back
        context.print_on_execution_start = False
        wanted = [{"file": index, "finished": list(numbers)} for index, numbers in work.finished.items()]
        dataset: Any = (
            ray.data.from_items(wanted, override_num_blocks=len(wanted))
            .map_batches(_READ, **self._reading(work))
            .map_batches(BlockScorer, **self._scoring(scorer))
        )
        try:
            for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                for block in table.to_pylist():
                    if "error" in block:
                        raise InputError(block["error"])
                    yield block
        except ray.exceptions.RayError as error:
            raise _plain_error(error) from error

    def _reading(self, work: Work) -> dict[str, Any]:
        """Takes no processors, so that it cannot wait for scorers that wait for it."""
        local = _here() if _is_any_local(work.files) else None
        return {
            **{"batch_size": 1, "batch_format": "pyarrow", "num_cpus": 0},
            "fn_kwargs": {"files": work.files, "options": work.options},
            "compute": ray.data.TaskPoolStrategy(size=min(_MOST_READERS, len(work.finished))),
            "label_selector": {"ray.io/node-id": local} if local else None,
        }

    def _scoring(self, scorer: ScorerArguments) -> dict[str, Any]:
        # At least one actor, so that the run goes on when nodes are gone for good.
        pool = ray.data.ActorPoolStrategy(
            min_size=1,
            max_size=self.num_actors,
            initial_size=min(self.num_actors, self._num_that_fit),
            max_tasks_in_flight_per_actor=2 * _BLOCKS_IN_PIPE,
            max_concurrent_calls_per_actor=_BLOCKS_IN_PIPE,
            enable_true_multi_threading=True,
        )
        return {
            **{"batch_size": 1, "batch_format": "pyarrow", "compute": pool},
            "fn_constructor_args": (scorer.command, scorer.expected, scorer.names),
            "num_cpus": self._resources.num_cpus,
            "num_gpus": self._resources.num_gpus or None,
        }

    def _name(self, node: str) -> str:
        return f"{self._nodes[node][0]} (node {node[:6]})"

    def _on_node(self, node: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return _remote(function, node, self._resources.num_gpus).remote(*arguments)


def _remote(function: Callable[..., Any], node: str | None, num_gpus: float = 0) -> Any:
    """Takes no processors: other work on the cluster does not keep it waiting."""
    return ray.remote(function).options(num_cpus=0, num_gpus=num_gpus, **_placement(node))


def _placement(node: str | None) -> dict[str, Any]:
    return {} if node is None else {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def _here() -> str:
    return ray.get_runtime_context().get_node_id()


def _is_any_local(files: Sequence[InputFile]) -> bool:
    """Other nodes may not have them."""
    return any(file.place.is_local for file in files)


def _answers(asked: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Of those asked, with their names, which need not differ; told while they keep others waiting. Throws
    InputError."""
    names = {reference: name for name, reference in asked}
    waiting = list(names)
    while waiting:
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=_PATIENCE_SECONDS)
        if waiting:
            print(f"ray_score: waiting for {', '.join(names[one] for one in waiting)}", file=sys.stderr)
    answers = []
    for name, reference in asked:
        try:
            answers.append((name, ray.get(reference)))
        except ray.exceptions.RayError as error:
            plain = _plain_error(error)
            raise type(plain)(f"{name}: {plain}") from error
    return answers


def _plain_error(error: ray.exceptions.RayError) -> InputError:
    """What a worker has raised, without Ray's traceback."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, InputError) else InputError(f"Ray: {type(error).__name__}: {_one_line(error)}")
