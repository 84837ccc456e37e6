"""Rows of a Parquet file as JSON lines. A row's line number is its number in the file, from 1."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_scoring.errors import InputError

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Columns:
    """By what prm-score knows as fields. `kept`: None = all columns."""

    text: str
    identity: str
    context: str | None
    kept: tuple[str, ...] | None

    @staticmethod
    def of_options(options: Mapping[str, Any]) -> Columns:
        """`options`: a fingerprint of prm-score."""
        kept = None if options["--keep-all"] else tuple(options["--keep"])
        return Columns(options["--text-field"], options["--id-field"], options["--context-field"], kept)


def parquet_lines(stream: Any, name: str, columns: Columns) -> Iterator[tuple[bytes, int]]:
    """Each with its share of the file's bytes up to it, about. Throws InputError."""
    file = _opened(stream, name)
    num_rows, num_bytes, number = file.metadata.num_rows, stream.size(), 0
    wanted = wanted_columns(file.schema_arrow, name, columns)
    try:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=wanted):
            # In the file's order of columns: `input` of a row is in the order of the line's members.
            names = [column for column in file.schema_arrow.names if column in batch.schema.names]
            for row in zip(*(_values(batch.column(column), name, column) for column in names), strict=True):
                text = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, separators=(",", ":"))
                number += 1
                yield text.encode("utf-8", "surrogateescape") + b"\n", num_bytes * number // num_rows
    except pa.ArrowException as error:
        raise InputError(f"{name}: cannot be read: {error}") from error


def wanted_columns(schema: pa.Schema, name: str, columns: Columns) -> list[str]:
    """Those that prm-score needs. Throws InputError if one is missing or has no strings where it has to."""
    for column in (columns.text, columns.context):
        if column is None:
            continue
        found = _type_of(schema, name, column)
        if not _is_string(found):
            raise InputError(f'{name}: column "{column}": expected strings, found {found}')
    needed = {columns.text, columns.identity, columns.context, *(columns.kept or ())}
    wanted = [column for column in schema.names if columns.kept is None or column in needed]
    for column in (*(columns.kept or ()), *wanted):
        _type_of(schema, name, column)
    return wanted


def check_parquet(stream: Any, name: str, columns: Columns) -> None:
    """Looks at the schema only. Throws InputError."""
    wanted_columns(_opened(stream, name).schema_arrow, name, columns)


def _opened(stream: Any, name: str) -> Any:
    try:
        return pq.ParquetFile(stream)
    except pa.ArrowException as error:
        raise InputError(f"{name}: expected a Parquet file, found something else: {error}") from error


def _type_of(schema: pa.Schema, name: str, column: str) -> pa.DataType:
    if schema.names.count(column) != 1:
        there = ", ".join(f'"{other}"' for other in schema.names)
        expected = "one column" if column in schema.names else "a column"
        raise InputError(f'{name}: expected {expected} "{column}", found {there or "none"}')
    return schema.field(column).type


def _is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _values(column: pa.Array, name: str, column_name: str) -> list[Any]:
    """What JSON can say of a column. Bytes of a string that are no UTF-8 pass through as they are: prm-score makes a
    bad row of them."""
    if _is_string(column.type):
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        values = column.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
        return [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]
    try:
        return [_plain(value) for value in column.to_pylist()]
    except (ValueError, TypeError, OverflowError) as error:  # no UTF-8, nothing of JSON, a date behind the year 9999
        raise InputError(f'{name}: column "{column_name}": {error}') from error


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    raise TypeError(f"expected what JSON can say, found {type(value).__name__}")
