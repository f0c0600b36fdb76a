"""Rows as they were at one moment, gone through as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.records import Example
from studio.store.columns import TEXT_COLUMNS, VERSION_COLUMNS
from studio.store.database import STREAMED, Reading, Stream
from studio.store.stored import STATE_COLUMNS, TEXTS, example_of

if TYPE_CHECKING:
    import pyarrow as pa

_STATE = ", ".join(f"v.{name}" for name in STATE_COLUMNS)
FEW = 2_000
"""Rows that are made objects of at once; each takes several times its size."""
_AT_ONCE = 5
"""Batches whose versions are read at once; they are small beside the texts."""
_AHEAD = 5_000
"""Texts that are looked up at once: a look-up of a few takes nearly as long as one of many."""
_STRETCHES = 100
"""Up to so many stretches of a table are put one behind the other; of more, the rows are copied."""
_DENSE = 4
"""Up to so many times the texts that are wanted, all of a stretch are read in one go."""


class FrozenRows:
    """Rows as they were at one moment; made by `Examples.frozen` and good until that ends.

    Versions and texts are read each by itself and put beside each other here: joined and sorted in the database, the
    texts would be copied several times. They are appended and never changed, so they can be read at any time.
    """

    def __init__(self, read: Reading, stream: Stream, order: Mapping[str, Any]) -> None:
        self._read, self._stream = read, stream
        self._order = order

    def __len__(self) -> int:
        return len(self._order["n"])

    def batches(self, batch: int = FEW) -> Iterator[list[Example]]:
        for table in self._tables(_STATE, TEXTS, batch):
            yield _examples(table)

    def pick(self, places: Sequence[int]) -> list[Example]:
        """The rows at these places, counted from 0, in this order."""
        if not len(places):
            return []
        some = self._at(np.asarray(places, np.int64))
        texts = _in_order(self.look_up(TEXTS, some), some["content_id"])
        return _examples(_beside(self._versions(_STATE, some), texts))

    def tables(self, batch: int = STREAMED) -> Iterator[pa.Table]:
        """The rows as Arrow tables with the columns of `studio.store.columns`, many times as fast."""
        return self._tables(VERSION_COLUMNS, TEXT_COLUMNS, batch)

    def _tables(self, versions: str, texts: str, batch: int) -> Iterator[pa.Table]:
        passing = _Passing(self, self._stream, texts, self._order["content_id"])
        for start in range(0, len(self), _AT_ONCE * batch):
            some = self._at(slice(start, start + _AT_ONCE * batch))
            table = self._versions(versions, some)
            for at in range(0, len(some), batch):
                part = some.slice(at, batch)
                yield _beside(table.slice(at, batch), passing.texts(start + at, part))

    def _versions(self, columns: str, some: pa.Table) -> pa.Table:
        joined = "FROM batch b JOIN row_versions v ON v.n = b.n AND v.version = b.version"
        return _in_order(self._read.table(f"SELECT b.n AS number, {columns} {joined}", some), some["n"])

    def look_up(self, columns: str, some: pa.Table) -> pa.Table:
        """The texts of some rows, in any order, with their `number`."""
        joined = "FROM batch b JOIN contents c ON c.id = b.content_id"
        return self._read.table(f"SELECT c.id AS number, {columns} {joined}", some)

    def _at(self, places: Any) -> pa.Table:
        import pyarrow as pa

        return pa.table({name: column[places] for name, column in self._order.items()})


def oldest_first(rows: Mapping[str, Any]) -> Mapping[str, Any]:
    """The columns in the order of `n`. Most rows are so already; sorted by the database, they would take several times
    their size in memory."""
    numbers = rows["n"]
    if (numbers[1:] >= numbers[:-1]).all():
        return rows
    order = np.argsort(numbers, kind="stable")
    return {name: column[order] for name, column in rows.items()}


class _Passing:
    """Texts of rows that are gone through in order. Most stand in the order of the rows, and pass by in one reading of
    the table; those of rows that were edited stand behind, and are looked up, as are all if few are wanted."""

    def __init__(self, rows: FrozenRows, stream: Stream, columns: str, ids: Any) -> None:
        self._rows, self._columns = rows, columns
        behind = ids > np.minimum.accumulate(ids[::-1])[::-1]
        passing = ids[~behind]
        if len(passing) and _DENSE * len(passing) < passing[-1] - passing[0]:
            behind[:] = True
        self._behind = behind
        self._late, self._looked_up = ids[behind], 0
        self._late_texts: Any = None
        self._stream = stream(
            f"SELECT c.id AS number, {columns} FROM contents c"
            + (f" WHERE c.id BETWEEN {passing[0]} AND {passing[-1]}" if len(passing) else "")
        )
        self._rest: Any = None

    def texts(self, start: int, some: pa.Table) -> pa.Table:
        """The texts of the rows `some`, which begin at place `start`."""
        import pyarrow as pa

        behind = self._behind[start : start + len(some)]
        found = self._next(some["content_id"].to_numpy()[~behind]) if not behind.all() else []
        if behind.any():
            found += self._next_late(int(behind.sum()))
        return _in_order(pa.Table.from_batches(found), some["content_id"])

    def _next(self, ids: Any) -> list[pa.RecordBatch]:
        """A stretch of the stream that has these ids, which rise."""
        found: list[pa.RecordBatch] = []
        while True:
            if self._rest is None:
                self._rest = next(self._stream)
            numbers = self._rest["number"].to_numpy()
            begin, end = np.searchsorted(numbers, ids[0]), np.searchsorted(numbers, ids[-1], "right")
            found.append(self._rest.slice(begin, end - begin))
            if end < len(numbers):
                self._rest = self._rest.slice(end)
                break
            self._rest = None
            if len(numbers) and numbers[-1] == ids[-1]:
                break
        return found

    def _next_late(self, count: int) -> list[pa.RecordBatch]:
        """The next so many of those that are looked up."""
        import pyarrow as pa

        left = self._late_texts
        if left is None or len(left) < count:
            held = 0 if left is None else len(left)
            ids = self._late[self._looked_up :][: max(count - held, _AHEAD)]
            self._looked_up += len(ids)
            found = _ordered(self._rows.look_up(self._columns, pa.table({"content_id": ids})), ids)
            left = pa.concat_tables([left, found]) if held else found
        self._late_texts = left.slice(count)
        batches: list[pa.RecordBatch] = left.slice(0, count).to_batches()
        return batches


def _in_order(table: pa.Table, wanted: Any) -> pa.Table:
    """The table with the values of its column `number` in the order of `wanted`, without that column."""
    return _ordered(table, wanted.to_numpy()).drop_columns("number")


def _ordered(table: pa.Table, numbers: Any) -> pa.Table:
    """The rows with these numbers, in their order."""
    import pyarrow as pa

    found = table["number"].to_numpy()
    if not len(numbers):
        return table.slice(0, 0)
    if len(found) == len(numbers) and np.array_equal(found, numbers):
        return table
    order = np.argsort(found)
    places = order[np.searchsorted(found, numbers, sorter=order)]
    # Stretches that lie side by side are not copied.
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    if len(breaks) > _STRETCHES:
        return table.take(places)
    ends = [*breaks.tolist(), len(places)]
    return pa.concat_tables(table.slice(places[a], b - a) for a, b in zip([0, *ends], ends, strict=False))


def _beside(table: pa.Table, other: pa.Table) -> pa.Table:
    for name, column in zip(other.column_names, other.columns, strict=True):
        table = table.append_column(name, column)
    return table


def _examples(table: pa.Table) -> list[Example]:
    names = table.column_names
    columns = [column.to_pylist() for column in table.columns]
    return [example_of(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
