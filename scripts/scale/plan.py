"""A billion documents: workers, files, failures, and where the time goes when there are many workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scale.costs import H200, Lane, net_processor_seconds
from scale.errors import ScaleError
from scale.work import work_of

Json = dict[str, Any]
SECONDS_PER_DAY = 86400
SECONDS_PER_HOUR = 3600
SELF_CHECK_SECONDS = 14
"""Of a 7B judge on an H200; the README's section on models has it."""
MARK_SECONDS = 2
"""Between two marks of F.state."""


@dataclass(frozen=True)
class Assumptions:
    """What nobody measured here."""

    prices: dict[str, float]
    """Dollars per hour of a core, of an H200."""
    documents: float = 1e9
    disk_bytes_per_second: float = 2e9
    weight_bytes: float = 15.2e9
    """Of the 7B judge, in bfloat16."""
    hash_threads: int = 4
    """The 7B checkpoint is in that many files, which are hashed side by side."""

    def dollars(self, unit: str, seconds: float) -> float:
        return seconds / SECONDS_PER_HOUR * self.prices[unit]


@dataclass(frozen=True)
class Stages:
    """Processor seconds of what is not scoring, all of one thread."""

    page_bytes: float
    parse_per_byte: float
    tokenize_per_token: float
    pass_per_byte: float
    """Lines of other shards: read and hashed."""
    hash_per_byte: float
    merge_per_row: float
    row_bytes: float


def stages_of(part: Json, fingerprinted: Sequence[tuple[float, float]]) -> Stages:
    """`fingerprinted`: bytes of checkpoints, and the processor seconds that --fingerprint took of them."""
    pages = next((one for one in part["pages"] if one["tokenizer"] == "Qwen2.5"), None)
    if pages is None:
        raise ScaleError("stages: expected pages of the tokenizer Qwen2.5, found none")
    seconds = net_processor_seconds(pages["runs"])
    read = sum(share["read_seconds"] for share in pages["shares"])
    tokenize = sum(share["tokenize_seconds"] for share in pages["shares"])
    share = read / (read + tokenize)
    passing, merge = part["passing"], part["merge"]
    (small_bytes, small), (large_bytes, large) = min(fingerprinted), max(fingerprinted)
    if not (large_bytes > small_bytes and large > small):
        raise ScaleError("stages: expected a larger checkpoint that takes longer to hash, found none")
    return Stages(
        page_bytes=pages["bytes"] / pages["lines"],
        parse_per_byte=share * seconds / pages["bytes"],
        tokenize_per_token=(1 - share) * seconds / pages["tokens"],
        pass_per_byte=net_processor_seconds(passing["runs"]) / (passing["bytes"][0] - passing["bytes"][1]),
        hash_per_byte=(large - small) / (large_bytes - small_bytes),
        merge_per_row=net_processor_seconds(merge["runs"]) / merge["lines"],
        row_bytes=merge["bytes"] / merge["lines"],
    )


@dataclass(frozen=True)
class Billion:
    """Of one lane. A worker is what one process has: an H200, or `cores` cores."""

    workers_for_a_day: float
    dollars: float
    documents_per_hour: float
    """Of one worker: a file of an hour."""
    start_seconds: float
    repeat_in_file_seconds: float
    """A failure's, after the start: rows since the last mark, and reading again what was done of a file of an hour."""
    repeat_in_whole_seconds: float
    """The same where all shards read one file."""
    one_percent_shards: float
    equal_shards: float
    """Where each shard's reading takes a hundredth of its scoring, and as long as it."""
    storage_bytes_per_second: float
    """All workers of a day, all reading one file."""
    fed_tokens_per_second: float
    """Of documents, that one thread reads and tokenises."""
    fed_units: float
    """H200s or cores that score as fast."""


def start_seconds(lane: Lane, stages: Stages, assumed: Assumptions) -> float:
    """As measured; else of the 7B judge on a GPU: hashing, reading the weights, and the self-check."""
    if lane.start_seconds is not None:
        return lane.start_seconds
    hashing = stages.hash_per_byte * assumed.weight_bytes / assumed.hash_threads
    return hashing + assumed.weight_bytes / assumed.disk_bytes_per_second + SELF_CHECK_SECONDS


@dataclass(frozen=True)
class CpuWorker:
    """`busy_share`: of the time of its cores, while they score."""

    cores: int
    busy_share: float = 1.0


def billion(
    lane: Lane, name: str, lengths: Sequence[int], stages: Stages, assumed: Assumptions, worker: CpuWorker
) -> Billion:
    units = 1 if lane.unit == H200 else worker.cores
    busy_share = 1 if lane.unit == H200 else worker.busy_share
    per_million, _ = lane.seconds_per_million(name, lengths)
    tokens = work_of(lengths, lane.prompts).tokens / len(lengths)
    per_document = per_million * tokens / 1e6 / (units * busy_share)
    total = per_document * assumed.documents
    input_bytes = stages.page_bytes * assumed.documents
    reading = input_bytes * stages.pass_per_byte
    per_hour = SECONDS_PER_HOUR / per_document
    workers = total / SECONDS_PER_DAY
    start = start_seconds(lane, stages, assumed)
    tokenizing = stages.tokenize_per_token * tokens + stages.parse_per_byte * stages.page_bytes
    return Billion(
        workers_for_a_day=workers,
        dollars=assumed.dollars(lane.unit, total * units),
        documents_per_hour=per_hour,
        start_seconds=start,
        repeat_in_file_seconds=MARK_SECONDS + per_hour * stages.page_bytes * stages.pass_per_byte,
        repeat_in_whole_seconds=MARK_SECONDS + reading,
        one_percent_shards=total / reading / 100,
        equal_shards=total / reading,
        storage_bytes_per_second=workers * input_bytes / SECONDS_PER_DAY,
        fed_tokens_per_second=tokens / tokenizing,
        fed_units=per_document * units / tokenizing,
    )
