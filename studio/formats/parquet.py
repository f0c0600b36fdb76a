"""Parquet files: read in batches whatever wrote them, written row group by row group."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from studio.errors import InvalidInput, Phrase
from studio.formats.turns import dumps

Kind = Literal["text", "number", "truth", "texts", "turns"]
ROW_GROUP = 10_000
_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
_TYPES: Mapping[Kind, pa.DataType] = {
    "text": pa.string(),
    "number": pa.int64(),
    "truth": pa.bool_(),
    "texts": pa.list_(pa.string()),
    "turns": pa.list_(_TURN),
}


# Reading


def count_parquet(path: Path) -> int:
    """How many rows a file has; 0 if it is broken."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Rows with JSON's types only. An empty cell of a column is left out, as it is in a JSON file.

    Raises:
        InvalidInput: the file is broken.
    """
    try:
        with pq.ParquetFile(path) as file:
            readers = {field.name: _reader(field.type) for field in file.schema_arrow}
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    yield {k: readers[k](v) for k, v in row.items() if v is not None}
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise InvalidInput(
            Phrase("{file} is not a Parquet file that can be read: {detail}.", file=path.name, detail=str(error))
        ) from error


def _reader(type_: pa.DataType) -> Any:
    """How a column's values become JSON's; the identity for what already is."""
    if pa.types.is_string(type_) or pa.types.is_boolean(type_) or pa.types.is_integer(type_):
        return lambda value: value
    if isinstance(type_, pa.JsonType):
        return orjson.loads
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        item = _reader(type_.value_type)
        return lambda value: [None if v is None else item(v) for v in value]
    if pa.types.is_struct(type_):
        items = {field.name: _reader(field.type) for field in type_}
        return lambda value: {k: items[k](v) for k, v in value.items() if v is not None}
    return _as_json


def _as_json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, dict):
        return {str(k): _as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(v) for v in value]
    return value if value is None or isinstance(value, str | bool | int) else str(value)


# Writing


class Table:
    """A Parquet file in the making.

    Turns are structs of role and content, which every reader knows. Once a turn has more (`widen`), they are JSON
    values, since tool calls of one row have other fields than those of the next.
    """

    def __init__(self, path: Path, kinds: Mapping[str, Kind]) -> None:
        self.path, self.kinds = path, kinds
        self.rows, self.bytes, self.is_wide = 0, 0, False
        self._buffer: list[Mapping[str, Any]] = []
        self._writer = pq.ParquetWriter(path, self.schema)

    @property
    def schema(self) -> pa.Schema:
        wide = {kind: pa.list_(pa.json_()) if kind == "turns" else type_ for kind, type_ in _TYPES.items()}
        types = wide if self.is_wide else _TYPES
        fields = [(name, types[kind]) for name, kind in self.kinds.items()]
        return pa.schema([*fields, ("tools", pa.string())] if self.is_wide else fields)

    def add(self, row: Mapping[str, Any]) -> None:
        self._buffer.append(row)
        if len(self._buffer) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._write(self.table_of(self._buffer))
            self._buffer = []

    def table_of(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Rows as a table with this one's columns."""
        kinds = {**self.kinds, "tools": "text"} if self.is_wide else self.kinds
        columns = [self._column([row.get(name) for row in rows], kind) for name, kind in kinds.items()]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def add_table(self, table: pa.Table) -> None:
        """Add rows that have this table's schema already."""
        self._flush()
        self._write(table)

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=ROW_GROUP)
        self.rows += table.num_rows
        self.bytes += table.nbytes

    def _column(self, values: Sequence[Any], kind: str) -> pa.Array:
        if kind != "turns":
            return pa.array(values, _TYPES[kind])  # type: ignore[index]
        offsets, flat = [0], []
        for turns in values:
            flat.extend(turns)
            offsets.append(len(flat))
        if self.is_wide:
            column = pa.ListArray.from_arrays(offsets, pa.array([dumps(turn) for turn in flat], pa.string()))
            return column.cast(pa.list_(pa.json_()))
        parts = [pa.array([turn[name] for turn in flat], pa.string()) for name in ("role", "content")]
        return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(parts, fields=list(_TURN)))

    def widen(self) -> None:
        """Write what there is again, with turns that can hold anything."""
        self._writer.close()
        old = self.path.rename(self.path.with_suffix(".narrow"))
        self.rows, self.bytes, self.is_wide = 0, 0, True
        self._writer = pq.ParquetWriter(self.path, self.schema)
        waiting, self._buffer = self._buffer, []
        for row in read_parquet(old):
            self.add(row)
        self._flush()
        old.unlink()
        self._buffer = waiting

    def close(self) -> None:
        self._flush()
        self._writer.close()


def is_wide(row: Mapping[str, Any], kinds: Mapping[str, Kind]) -> bool:
    """Whether a row needs a wide table."""
    if "tools" in row:
        return True
    return any(len(turn) > 2 for name, kind in kinds.items() if kind == "turns" for turn in row[name])
