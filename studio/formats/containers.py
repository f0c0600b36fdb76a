"""The raw rows of a file, one by one in constant memory: JSON list, JSON Lines, CSV, Parquet, or a folder of them."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import orjson

from studio.errors import InvalidInput
from studio.formats.cells import restored
from studio.formats.json_list import MAX_ROW_BYTES, Broken, list_rows, refuse, too_long, whole
from studio.formats.parquet import read_parquet

Container = Literal["json", "jsonl", "csv", "parquet", "folder"]

_CHUNK = 1 << 20
_BOM = codecs.BOM_UTF8
_NOT_ROWS = ("dataset_info.json", "dataset_infos.json")
_DATA = {".json", ".jsonl", ".csv", ".tsv", ".parquet"}


def container_of(path: Path) -> Container:
    """What kind of file `path` is, by its contents before its name.

    Raises:
        InvalidInput: it can't be read, is empty, or is no file with rows.
    """
    try:
        if path.is_dir():
            if not files_of(path):
                raise InvalidInput(f"{path} can't be read: there are no JSON, CSV or Parquet files in the folder.")
            return "folder"
        with path.open("rb") as file:
            start = file.read(65_536)
            while start.removeprefix(_BOM).isspace() and (more := file.read(_CHUNK)):
                start = more.lstrip() or b" "
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.") from error
    if start.startswith(b"PAR1"):
        return "parquet"
    for magic, hint in (
        (b"PK\x03\x04", "Save a spreadsheet as CSV; unpack a ZIP file."),
        (b"\x1f\x8b", "Unpack it first."),
        (codecs.BOM_UTF16_LE, "Save it as UTF-8."),
        (codecs.BOM_UTF16_BE, "Save it as UTF-8."),
    ):
        if start.startswith(magic) and path.suffix.lower() not in (".json", ".jsonl"):
            raise InvalidInput(f"{path.name} is not a JSON, CSV or Parquet file.", hint)
    text = start.removeprefix(_BOM).strip()
    if not text:
        raise InvalidInput(f"{path.name} is empty.")
    if path.suffix.lower() in (".csv", ".tsv"):
        return "csv"
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{" or path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return "jsonl"
    return "csv"


def files_of(folder: Path) -> list[Path]:
    """The files of a folder in the layout of a Hugging Face dataset, in reading order.

    Our own folders hold each row once in the config `sft`, and again where it fits in `dpo` and `kto`.
    """
    for pattern in ("data/sft/*", "data/**/*", "*", "*/*.parquet"):
        found = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in _DATA and p.name not in _NOT_ROWS)
        if found:
            return found
    return []


def raw_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(row number, raw row or `Broken`). The number is the line for JSON Lines, the row as a spreadsheet counts it
    (the header is row 1) for CSV, else the position from 1.

    Raises:
        InvalidInput: the file as a whole can't be read.
        ImportRejected: a JSON list is broken; what comes after can't be told apart.
    """
    container = container_of(path)
    try:
        if container == "folder":
            yield from _folder_rows(path)
        elif container == "parquet":
            yield from _parquet_rows(path)
        else:
            with path.open("rb", buffering=_CHUNK) as file:
                rows = {"json": list_rows, "jsonl": _line_rows, "csv": _csv_rows}[container]
                yield from rows(file, path)
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror or error}.") from error


def _folder_rows(folder: Path) -> Iterator[tuple[int, Any]]:
    """Rows of every file, numbered through; the side of the split is the start of the file's name."""
    number = 0
    for path in files_of(folder):
        side = next((s for s in ("train", "validation", "test") if path.name.startswith(s)), None)
        for position, row in raw_rows(path):
            number += 1
            if isinstance(row, Broken):
                row = Broken(f"{row.reason} ({path.name}, row {position})")
            elif isinstance(row, dict) and side and "split" not in row:
                row["split"] = side
            yield number, row


# JSON Lines


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """(line number, line); None for one that is too long, which is passed over without being kept."""
    number = 0
    while line := file.readline(MAX_ROW_BYTES):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) >= MAX_ROW_BYTES and line[-1:] != b"\n":
            while (rest := file.readline(MAX_ROW_BYTES)) and rest[-1:] != b"\n":
                pass
            yield number, None
        else:
            yield number, line


def _line_rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    loads = orjson.loads
    for number, line in _lines(file):
        if line is None:
            yield number, too_long()
            continue
        try:
            yield number, loads(line)
        except orjson.JSONDecodeError:
            if line.strip():
                yield number, _row_of(_decoded(line, path, number))


def _row_of(line: str) -> Any:
    """A row orjson refuses: what the standard library takes may still be good, such as deeper nesting."""
    try:
        row = json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError):
        return Broken("not valid JSON")
    return whole(row, line)


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8 text (line {number}).", "Save it as UTF-8.") from error


# CSV


def _csv_rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(MAX_ROW_BYTES)

    def text() -> Iterator[str]:
        for number, line in _lines(file):
            if line is None:
                raise InvalidInput(f"{path.name} has a line {number} {too_long().reason}.", "Split it.")
            yield _decoded(line, path, number)

    lines = text()
    first = next(lines, "")
    reader = csv.reader(_and(first, lines), delimiter=_delimiter(first), strict=True)
    names = _header(reader, path)
    number = 1
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, Broken(f"not valid CSV ({error})")
            continue
        if not cells:
            number -= 1
        elif len(cells) != len(names):
            yield number, Broken(f"has {len(cells)} cells where the header has {len(names)}")
        else:
            yield number, {name: restored(cell) for name, cell in zip(names, cells, strict=True)}


def _and(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(header: str) -> str:
    """What stands between the names of the header: a spreadsheet writes what its country is used to."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=bare.count)


def _header(reader: Iterator[list[str]], path: Path) -> list[str]:
    try:
        names = next((row for row in reader if row), [])
    except csv.Error as error:
        raise InvalidInput(f"The header of {path.name} can't be read: {error}.") from error
    names = [name.strip() or f"column {i}" for i, name in enumerate(names, 1)]
    if any("\0" in name for name in names):
        raise InvalidInput(f"{path.name} is not text.", "Save it as CSV in UTF-8.")
    if len(names) > 1000:
        raise InvalidInput(f"{path.name} has {len(names)} columns.", "Keep the ones that matter; 1000 are the most.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"{path.name} has two columns named {twice[0]!r}.", "Give each column its own name.")
    return names


# Parquet


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    yield from enumerate(read_parquet(path), 1)
