"""Where rows go: a JSON list, JSON Lines, CSV, Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import orjson

from studio.formats.cells import neutralised
from studio.formats.parquet import Kind, Table, is_wide
from studio.formats.render import (
    CSV_COLUMNS,
    PARQUET_KINDS,
    PLAIN_CSV_COLUMNS,
    PLAIN_PARQUET_KINDS,
    FormatName,
    Row,
)
from studio.formats.turns import dumps


class Sink(Protocol):
    def add(self, row: Row) -> None: ...
    def close(self) -> None: ...


class Json:
    """A JSON list with a row a line, or JSON Lines."""

    def __init__(self, path: Path, *, is_list: bool) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._is_list, self._is_first = is_list, True

    def add(self, row: Row) -> None:
        data = encode(row)
        if self._is_list:
            data = (b"[\n" if self._is_first else b",\n") + data
            self._is_first = False
        else:
            data += b"\n"
        self._file.write(data)

    def close(self) -> None:
        if self._is_list:
            self._file.write(b"[]\n" if self._is_first else b"\n]\n")
        self._file.close()


def encode(row: Row) -> bytes:
    try:
        return orjson.dumps(row)
    except TypeError:
        return dumps(row).encode()


class _Csv:
    """UTF-8 with a byte order mark (Excel takes Japanese for Latin without it), cells safe from formulas."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = io.TextIOWrapper(path.open("wb", buffering=1 << 20), encoding="utf-8-sig", newline="")
        self._columns = columns
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def add(self, row: Row) -> None:
        self._writer.writerow([neutralised(row[name]) for name in self._columns])

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, kinds: Mapping[str, Kind]) -> None:
        self._table, self._kinds = Table(path, kinds), kinds

    def add(self, row: Row) -> None:
        if not self._table.is_wide and is_wide(row, self._kinds):
            self._table.widen()
        self._table.add(row)

    def close(self) -> None:
        self._table.close()


def make_sink(format_: FormatName, path: Path, plain: bool) -> Sink:
    if format_ == "csv":
        return _Csv(path, PLAIN_CSV_COLUMNS if plain else CSV_COLUMNS)
    if format_ == "parquet":
        return _Parquet(path, PLAIN_PARQUET_KINDS if plain else PARQUET_KINDS)
    return Json(path, is_list=format_ in ("alpaca", "sharegpt"))
