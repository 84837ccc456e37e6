"""Rows of prm-score as text and as Arrow tables."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pyarrow as pa

_ROW = re.compile(rb'\{"line":([0-9]+)')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]')

_RANGE = pa.list_(pa.int64())
SCHEMA = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("file", pa.string()),
        pa.field("id", pa.string()),
        pa.field("input", pa.string()),
        pa.field("reward", pa.float64()),
        pa.field("num_tokens", pa.int64()),
        pa.field("num_chunks", pa.int64()),
        pa.field("log_odds", pa.list_(pa.float32())),
        pa.field("spans", pa.list_(pa.struct([("tokens", _RANGE), ("chars", _RANGE), ("bytes", _RANGE)]))),
        pa.field("warnings", pa.list_(pa.string())),
        pa.field("error", pa.string()),
    ]
)
"""Of Parquet output. `id`: a string as it is, null as null, anything else as JSON text; `input`: JSON text."""


def placed(row: bytes, first_line: int, file_json: bytes) -> bytes:
    """A row whose `line` counts in its block, as prm-score writes it for the file. `file_json`: empty = one file only,
    which rows do not name."""
    found = _ROW.match(row)
    assert found is not None
    file = b',"file":' + file_json if file_json else b""
    return b'{"line":%d%s%s' % (int(found[1]) + first_line - 1, file, row[found.end() :])


def json_of_name(name: str) -> bytes:
    """As prm-score writes the name of a file in a row."""
    return json.dumps(os.fsencode(name).decode("utf-8", errors="replace"), ensure_ascii=False).encode()


def is_bad(row: bytes) -> bool:
    """A bad row ends with its error, a string; a scored one with an array (row.cpp)."""
    return row.endswith(b'"}\n')


def table_of(rows: bytes) -> pa.Table:
    """Rows of prm-score in columns."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for row in rows.split(b"\n")[:-1]:
        fields = _fields(row)
        for name in SCHEMA.names:
            columns[name].append(fields.get(name))
    # Log-odds are the shortest digits of a float32: read as nothing else in between.
    log_odds = pa.array(columns["log_odds"], pa.list_(pa.string())).cast(SCHEMA.field("log_odds").type)
    arrays = [log_odds if name == "log_odds" else pa.array(columns[name], SCHEMA.field(name).type) for name in columns]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _fields(row: bytes) -> dict[str, Any]:
    """`id` and `input` may hold anything: numbers of any length, nesting of any depth. They are cut out."""
    found = _ROW.match(row)
    assert found is not None
    fields: dict[str, Any] = {"line": int(found[1])}
    place = found.end()
    for name in ("file", "id", "input"):
        key = b',"%s":' % name.encode()
        if row.startswith(key, place):
            begin = place + len(key)
            place = _end_of_value(row, begin)
            text = row[begin:place].decode()
            fields[name] = json.loads(text) if text.startswith('"') else None if text == "null" else text
    rest = json.loads(b"{" + row[place + 1 :], parse_float=str)
    fields |= rest
    if rest["reward"] is not None:
        fields["reward"] = float(rest["reward"])
        fields["log_odds"] = [None if x is None else str(x) for x in rest["log_odds"]]
    return fields


def _end_of_value(row: bytes, begin: int) -> int:
    """Behind the JSON value that begins there. A member follows it."""
    depth = 0
    for token in _TOKEN.finditer(row, begin):
        text = token[0]
        if text in b"[{":
            depth += 1
        elif text in b"]}":
            depth -= 1
        if depth == 0:
            return token.start() if text == b"," else token.end()
    raise ValueError("no member behind the value")
