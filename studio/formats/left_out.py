"""Rows that an import left out, in a file from which they can be mended and imported: each as it stood, and why.

A table stays a table; anything else becomes JSON Lines. What is no row with named fields stands on a line of its own,
as it stood, after a line that holds the reason alone. The import passes over the reasons.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.formats.atomic import remove, settle
from studio.formats.cells import neutralised
from studio.formats.containers import container_of, csv_names
from studio.formats.json_list import Broken
from studio.workspace import disk_errors

COLUMN = "studio_left_out"
"""The column of the reason."""
_WHAT = "the rows that are left out"


def is_reason(row: Any) -> bool:
    """Whether a row is nothing but the reason why what follows was left out."""
    return isinstance(row, dict) and row.keys() == {COLUMN}


def without_reason(row: Any) -> Any:
    """A row as it was before it was left out."""
    if not isinstance(row, dict) or COLUMN not in row:
        return row
    return {name: value for name, value in row.items() if name != COLUMN}


class LeftOut:
    """The rows of `source` that are left out. Nothing is at `path` before `keep`."""

    def __init__(self, path: Path, source: Path, encoding: str | None) -> None:
        """`path` has no ending: that depends on the source."""
        names = csv_names(source, encoding) if container_of(source) == "csv" else None
        self.path = path.with_name(f"{path.name}{'.jsonl' if names is None else '.csv'}")
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        with disk_errors(_WHAT):
            path.parent.mkdir(parents=True, exist_ok=True)
            # A spreadsheet takes text for UTF-8 only with the mark.
            encoding = "utf-8" if names is None else "utf-8-sig"
            self._file = self._part.open("w", encoding=encoding, newline="")
        self._names = names
        if names is not None:
            self._table = csv.writer(self._file)
            self._table.writerow([COLUMN, *map(neutralised, _without(names, names))])

    def add(self, number: int, reason: str, rows: Iterable[Any]) -> None:
        """Keep what stood there: a raw row, or several that make one."""
        why = f"row {number}: {reason}"
        with disk_errors(_WHAT):
            for row in rows:
                if self._names is None:
                    self._file.writelines(f"{line}\n" for line in _lines(why, row))
                else:
                    self._table.writerow([why, *map(neutralised, _without(self._names, _cells(row, self._names)))])

    def keep(self) -> Path:
        """Have the file, durably."""
        with disk_errors(_WHAT):
            self._file.close()
            settle(self._part)
            self._part.replace(self.path)
        return self.path

    def drop(self) -> None:
        """Have no file, kept or not."""
        self._file.close()
        remove(self._part)
        remove(self.path)


def _without(names: Sequence[str], cells: Sequence[str]) -> Sequence[str]:
    """The cells of a row without the reason, where the table is one of rows that were left out before."""
    at = names.index(COLUMN) if COLUMN in names and len(cells) > 1 else len(cells)
    return [*cells[:at], *cells[at + 1 :]]


def _cells(row: Any, names: Sequence[str]) -> list[str]:
    if isinstance(row, Broken):
        return row.row or []
    return [row.get(name, "") for name in names]


def _lines(why: str, row: Any) -> Iterable[str]:
    is_line = isinstance(row, Broken) and isinstance(row.row, str)
    row = row.row if isinstance(row, Broken) else row
    if isinstance(row, Mapping):
        yield _json({COLUMN: why, **row})
        return
    yield _json({COLUMN: why})
    if row is not None:
        yield row.strip() if is_line else _json(row)


def _json(value: object) -> str:
    """On one line, and with half a character as it was escaped."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text
