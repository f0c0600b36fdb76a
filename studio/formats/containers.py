"""The raw rows of a file, one by one in constant memory: JSON list, JSON Lines, CSV, Parquet, or a folder of them."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import orjson

from studio.errors import InvalidInput, Phrase
from studio.formats.cells import restored
from studio.formats.encodings import UTF_8, AsUtf8, not_text, wide_of
from studio.formats.json_list import MAX_ROW_BYTES, Broken, list_rows, refuse, too_long, whole
from studio.formats.parquet import count_parquet, read_parquet

Container = Literal["json", "jsonl", "csv", "parquet", "folder"]

_CHUNK = 1 << 20
_BOM = codecs.BOM_UTF8
_NOT_ROWS = ("dataset_info.json", "dataset_infos.json")
COPY = ".sharegpt.json"
"""How the name ends of the copy of an export that LLaMA-Factory reads."""
_DATA = {".json", ".jsonl", ".csv", ".tsv", ".parquet"}


def container_of(path: Path) -> Container:
    """What kind of file `path` is, by its contents before its name.

    Raises:
        InvalidInput: it can't be read, is empty, or is no file with rows.
    """
    try:
        if path.is_dir():
            if not files_of(path):
                raise InvalidInput(
                    Phrase("{path} can't be read: there are no JSON, CSV or Parquet files in the folder.", path=path)
                )
            return "folder"
        with path.open("rb") as file:
            start = file.read(65_536)
            while start.removeprefix(_BOM).isspace() and (more := file.read(_CHUNK)):
                start = more.lstrip() or b" "
    except OSError as error:
        raise _unreadable(path, error) from error
    if start.startswith(b"PAR1"):
        return "parquet"
    for magic, hint in (
        (b"PK\x03\x04", "Save a spreadsheet as CSV; unpack a ZIP file."),
        (b"\x1f\x8b", "Unpack it first."),
    ):
        if start.startswith(magic) and path.suffix.lower() not in (".json", ".jsonl"):
            raise InvalidInput(Phrase("{file} is not a JSON, CSV or Parquet file.", file=path.name), hint)
    if wide := wide_of(start):
        start = start.decode(wide, "ignore").encode()
    text = start.removeprefix(_BOM).strip()
    if not text:
        raise InvalidInput(Phrase("{file} is empty.", file=path.name))
    if path.suffix.lower() in (".csv", ".tsv"):
        return "csv"
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{" or path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return "jsonl"
    return "csv"


def _unreadable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(Phrase("{path} can't be read: {reason}.", path=path, reason=error.strerror or str(error)))


def files_of(folder: Path) -> list[Path]:
    """The files of a folder in the layout of a Hugging Face dataset, in reading order.

    Our own folders hold each row once in the config `sft`, and again where it fits in `dpo` and `kto`; and an export of
    pairs or thumbs lies beside its copy for LLaMA-Factory.
    """
    for pattern in ("data/sft/*", "data/**/*", "*", "*/*.parquet"):
        found = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in _DATA and p.name not in _NOT_ROWS)
        if found:
            stems = {p.with_suffix("") for p in found}
            return [p for p in found if not (p.name.endswith(COPY) and p.with_name(p.name.removesuffix(COPY)) in stems)]
    return []


class Position:
    """Where reading a file, or a folder of them, stands. For the thread that reads."""

    def __init__(self, path: Path) -> None:
        files = files_of(path) if path.is_dir() else [path]
        self.total = sum(file.stat().st_size for file in files if file.exists())
        """In bytes."""
        self._before = 0
        self._tell: Callable[[], int] = lambda: 0

    def done(self) -> int:
        """Bytes that were read so far."""
        return min(self._before + self._tell(), self.total)

    @contextmanager
    def within(self, path: Path, tell: Callable[[], int]) -> Iterator[None]:
        """While one file is read, of which `tell` says how far."""
        self._tell = tell
        try:
            yield
        finally:
            self._tell = lambda: 0
        self._before += path.stat().st_size


def raw_rows(path: Path, position: Position | None = None, encoding: str | None = None) -> Iterator[tuple[int, Any]]:
    """(row number, raw row or `Broken`). The number is the line for JSON Lines, the row as a spreadsheet counts it
    (the header is row 1) for CSV, else the position from 1.

    Args:
        encoding: of text, as Python names it; None: UTF-8, or UTF-16 where the file begins like that.

    Raises:
        InvalidInput: the file as a whole can't be read.
        NotTextError: it isn't text in that encoding.
        ImportRejected: a JSON list is broken; what comes after can't be told apart.
    """
    container = container_of(path)
    try:
        position = position or Position(path)
        if container == "folder":
            yield from _folder_rows(path, position, encoding)
        elif container == "parquet":
            yield from _parquet_rows(path, position)
        else:
            with path.open("rb", buffering=_CHUNK) as file, position.within(path, file.tell):
                rows = {"json": list_rows, "jsonl": _line_rows, "csv": _csv_rows}[container]
                yield from rows(_in_utf_8(file, path, encoding), path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _in_utf_8(file: IO[bytes], path: Path, encoding: str | None) -> IO[bytes]:
    """The file itself, or one that reads as UTF-8 what it holds in another encoding."""
    if encoding is None:
        start = file.read(64)
        file.seek(0)
        encoding = wide_of(start) or UTF_8
    if encoding == UTF_8:
        return file
    return io.BufferedReader(AsUtf8(file, path, encoding), _CHUNK)


def csv_names(path: Path, encoding: str | None = None) -> list[str]:
    """The names in the header of a CSV file. Raises as `raw_rows` does."""
    with path.open("rb") as file:
        return _table(_in_utf_8(file, path, encoding), path)[1]


def _folder_rows(folder: Path, where: Position, encoding: str | None) -> Iterator[tuple[int, Any]]:
    """Rows of every file, numbered through; the side of the split is the start of the file's name."""
    number = 0
    for path in files_of(folder):
        side = next((s for s in ("train", "validation", "test") if path.name.startswith(s)), None)
        for position, row in raw_rows(path, where, encoding):
            number += 1
            if isinstance(row, Broken):
                said = Phrase("{reason} ({file}, row {row})", reason=row.reason, file=path.name, row=position)
                row = Broken(said, row.row)
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
        return Broken("not valid JSON", line)
    return whole(row, line)


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise not_text(path, UTF_8, number) from error


# CSV


def _csv_rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    reader, names, lines = _table(file, path)
    number = 1 + next((i for i, line in enumerate(lines) if line.strip("\r\n")), 0)
    while True:
        number += 1
        lines.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, Broken(Phrase("not valid CSV ({detail})", detail=str(error)), ["".join(lines).rstrip("\r\n")])
            continue
        if not cells:
            continue  # a spreadsheet counts it
        if len(cells) != len(names):
            said = Phrase("has {n} cells where the header has {wanted}", n=len(cells), wanted=len(names))
            yield number, Broken(said, [restored(cell) for cell in cells])
        else:
            yield number, {name: restored(cell) for name, cell in zip(names, cells, strict=True)}


def _table(file: IO[bytes], path: Path) -> tuple[Iterator[list[str]], list[str], list[str]]:
    """The rows of a table, the names in its header, and the lines that were read since the list was emptied."""
    csv.field_size_limit(MAX_ROW_BYTES)
    seen: list[str] = []

    def text() -> Iterator[str]:
        for number, line in _lines(file):
            if line is None:
                said = Phrase(
                    "{file} has a line {line} {reason}.", file=path.name, line=number, reason=too_long().reason
                )
                raise InvalidInput(said, "Split it.")
            seen.append(_decoded(line, path, number))
            yield seen[-1]

    lines = text()
    first = next(lines, "")
    reader = csv.reader(_and(first, lines), delimiter=_delimiter(first), strict=True)
    return reader, _header(reader, path), seen


def _and(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(header: str) -> str:
    """What stands between the names of the header: a spreadsheet writes what its country is used to."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=bare.count)


def _header(reader: Iterator[list[str]], path: Path) -> list[str]:
    file = path.name
    try:
        names = next((row for row in reader if row), [])
    except csv.Error as error:
        raise InvalidInput(Phrase("The header of {file} can't be read: {detail}.", file=file, detail=error)) from error
    names = [name.strip() or f"column {i}" for i, name in enumerate(names, 1)]
    if any("\0" in name for name in names):
        raise InvalidInput(Phrase("{file} is not text.", file=file), "Save it as CSV in UTF-8.")
    if len(names) > 1000:
        said = Phrase("{file} has {n} columns.", file=file, n=len(names))
        raise InvalidInput(said, "Keep the ones that matter; 1000 are the most.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        said = Phrase("{file} has two columns named {name}.", file=file, name=repr(twice[0]))
        raise InvalidInput(said, "Give each column its own name.")
    return names


# Parquet


def _parquet_rows(path: Path, where: Position) -> Iterator[tuple[int, Any]]:
    number, rows, size = 0, read_parquet(path), path.stat().st_size
    total = max(count_parquet(path), 1)
    with where.within(path, lambda: size * number // total):
        try:
            for row in rows:
                number += 1
                yield number, row
        except InvalidInput as error:
            said = Phrase(
                "{file} is not a Parquet file that can be read: {detail}.", file=path.name, detail=error.__cause__
            )
            raise InvalidInput(said) from error
