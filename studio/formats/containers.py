"""The raw rows of a file, one by one in constant memory: JSON list, JSON Lines, CSV, Parquet, or a folder of them."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import orjson

from studio.errors import ImportRejected, InvalidInput, RowError
from studio.formats.cells import restored
from studio.formats.parquet import read_parquet

Container = Literal["json", "jsonl", "csv", "parquet", "folder"]

MAX_ROW_BYTES = 16_000_000
"""Longest row; longer ones are refused by number, not read."""
_CHUNK = 1 << 20
_BOM = codecs.BOM_UTF8
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_DATA = {".json", ".jsonl", ".csv", ".tsv", ".parquet"}


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that can't be read, and why."""

    reason: str


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
    for top in (folder / "data" / "sft", folder / "data", folder):
        found = sorted(p for p in top.rglob("*") if p.suffix.lower() in _DATA and p.name != "dataset_info.json")
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
            with path.open("rb") as file:
                rows = {"json": _list_rows, "jsonl": _line_rows, "csv": _csv_rows}[container]
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
            yield number, _too_long()
            continue
        try:
            yield number, loads(line)
        except orjson.JSONDecodeError:
            if line.strip():
                yield number, _row_of(_decoded(line, path, number))


def _row_of(line: str) -> Any:
    """A row orjson refuses: what the standard library takes may still be good, such as deeper nesting."""
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Broken("not valid JSON")
    return _whole(row, line)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _whole(row: Any, text: str) -> Any:
    """The row, unless half a character stands in it, which could be saved nowhere."""
    if _HALF.search(text) is None:
        return row
    for name, value in row.items() if isinstance(row, dict) else ():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="replace").decode()
            return Broken(f"`{shown}` holds half a character (an unpaired surrogate)")
    return row


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8 text (line {number}).", "Save it as UTF-8.") from error


def _too_long() -> Broken:
    return Broken(f"longer than {MAX_ROW_BYTES // 1_000_000} MB")


# JSON list


class _Text:
    """A window on a file of UTF-8 text that grows at its end and is cut at its start."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path = file, path
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.at, self.is_end = "", 0, False
        self._lines, self._column, self._chars, self._raw_lines = 0, 0, 0, 0

    def more(self) -> None:
        """Drop what was read and take in another piece; a row that goes on gets larger and larger ones."""
        done = self.text[: self.at]
        self._lines += done.count("\n")
        self._column = len(done) - done.rfind("\n") - 1 if "\n" in done else self._column + len(done)
        self._chars += len(done)
        data = self.file.read(max(_CHUNK, len(self.text) - self.at))
        self.is_end = not data
        try:
            piece = self.decoder.decode(data, final=self.is_end)
        except UnicodeDecodeError as error:
            line = 1 + self._raw_lines + error.object[: error.start].count(b"\n")
            raise InvalidInput(f"{self.path.name} is not UTF-8 text (line {line}).", "Save it as UTF-8.") from error
        self._raw_lines += data.count(b"\n")
        self.text, self.at = self.text[self.at :] + piece, 0

    def skip(self, what: str) -> str:
        """The next character that isn't in `what`; empty at the end of the file."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in what:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if self.is_end:
                return ""
            self.more()

    def place(self, at: int) -> str:
        """Where in the file a position of the window is, as `json` says it."""
        before = self.text[:at]
        line = self._lines + before.count("\n") + 1
        column = at - before.rfind("\n") if "\n" in before else self._column + at + 1
        return f"line {line} column {column} (char {self._chars + at})"


def _list_rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    window, white, number = _Text(file, path), " \t\r\n", 0
    decoder = json.JSONDecoder(parse_constant=_refuse)
    window.skip(white)
    window.at += 1
    while True:
        sign = window.skip(white)
        if sign == "]":
            break
        if number:
            if sign != ",":
                raise _broken_list(window, number if sign else number + 1, "Expecting ',' delimiter", window.at)
            window.at += 1
            window.skip(white)
        number += 1
        yield number, _next_row(window, decoder, number)
    window.at += 1
    if window.skip(white):
        raise _broken_list(window, number + 1, "Extra data", window.at)


def _next_row(window: _Text, decoder: json.JSONDecoder, number: int) -> Any:
    while True:
        fault, at = "Expecting value", window.at
        try:
            row, end = decoder.raw_decode(window.text, window.at)
        except json.JSONDecodeError as error:
            fault, at = error.msg, error.pos
            # A row that only goes on beyond the window is at fault where the window ends.
            goes_on = at >= len(window.text) - 16 or fault.startswith(("Unterminated", "Invalid \\u", "Invalid \\esc"))
        except (ValueError, RecursionError) as error:
            fault, goes_on = ("nested too deeply" if isinstance(error, RecursionError) else str(error)), False
        else:
            # The end of the window may cut a number in two.
            if end < len(window.text) or window.is_end:
                text, window.at = window.text[window.at : end], end
                return _whole(row, text) if len(text) <= MAX_ROW_BYTES else _too_long()
            goes_on = True
        if window.is_end or not goes_on:
            raise _broken_list(window, number, fault, at)
        if len(window.text) - window.at > MAX_ROW_BYTES:
            raise _broken_list(window, number, _too_long().reason, window.at)
        window.more()


def _broken_list(window: _Text, row: int, fault: str, at: int) -> ImportRejected:
    return ImportRejected(
        f"{window.path.name} is broken in row {row}: {fault}: {window.place(at)}.",
        (RowError(row, "not valid JSON"),),
        "Nothing was imported. Mend the file and import it again.",
    )


# CSV


def _csv_rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(MAX_ROW_BYTES)

    def text() -> Iterator[str]:
        for number, line in _lines(file):
            if line is None:
                raise InvalidInput(f"{path.name} has a line {number} {_too_long().reason}.", "Split it.")
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
