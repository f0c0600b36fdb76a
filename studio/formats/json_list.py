"""The rows of a JSON list, one by one: the file may be larger than the memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from studio.errors import ImportRejected, Phrase, RowError
from studio.formats.encodings import not_text

MAX_ROW_BYTES = 16_000_000
"""Longest row; longer ones are refused by number, not read."""
_CHUNK = 1 << 20
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that can't be read, and why."""

    reason: str
    row: Any = None
    """What stands there, to be mended: the line, the cells, or the row as it reads; None: it is too long to be kept."""


def refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def whole(row: Any, text: str) -> Any:
    """The row, unless half a character stands in it, which could be saved nowhere."""
    if _HALF.search(text) is None:
        return row
    for name, value in row.items() if isinstance(row, dict) else ():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="replace").decode()
            return Broken(Phrase("`{column}` holds half a character (an unpaired surrogate)", column=shown), row)
    return row


def too_long(row: Any = None) -> Broken:
    return Broken(Phrase("longer than {n} MB", n=MAX_ROW_BYTES // 1_000_000), row)


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
            raise not_text(self.path, "utf-8", line) from error
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

    def place(self, at: int) -> Phrase:
        """Where in the file a position of the window is, as `json` says it."""
        before = self.text[:at]
        line = self._lines + before.count("\n") + 1
        column = at - before.rfind("\n") if "\n" in before else self._column + at + 1
        return Phrase("line {line} column {at} (char {char})", line=line, at=column, char=self._chars + at)


def list_rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    window, white, number = _Text(file, path), " \t\r\n", 0
    decoder = json.JSONDecoder(parse_constant=refuse)
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
            fault, goes_on = "nested too deeply" if isinstance(error, RecursionError) else str(error), False
        else:
            # The end of the window may cut a number in two.
            if end < len(window.text) or window.is_end:
                text, window.at = window.text[window.at : end], end
                return whole(row, text) if len(text) <= MAX_ROW_BYTES else too_long(row)
            goes_on = True
        if window.is_end or not goes_on:
            raise _broken_list(window, number, fault, at)
        if len(window.text) - window.at > MAX_ROW_BYTES:
            raise _broken_list(window, number, too_long().reason, window.at)
        window.more()


def _broken_list(window: _Text, row: int, fault: str, at: int) -> ImportRejected:
    return ImportRejected(
        Phrase(
            "{file} is broken in row {row}: {fault}: {place}.",
            file=window.path.name,
            row=row,
            fault=fault,
            place=window.place(at),
        ),
        (RowError(row, Phrase("not valid JSON: {fault} ({place})", fault=fault, place=window.place(at))),),
        "Nothing was imported. Mend the file and import it again.",
    )
