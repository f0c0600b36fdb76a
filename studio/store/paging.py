"""Pages deep in an order. Counting where rows stand is many times as fast as sorting them, so what is sorted at last is
only a stretch that holds the page."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from studio.rows import Sort
from studio.store.database import Database, Row

ORDERS: Mapping[Sort, str] = {
    "newest": "v.n DESC",
    "oldest": "v.n",
    "changed": "v.created_at DESC, v.n DESC",
    "longest": "v.chars DESC, v.n",
    "shortest": "v.chars, v.n",
    "rating": "v.rating DESC NULLS LAST, v.n",
    "question": "v.head, v.n",
}
DEEP = 1_000
"""Rows in order that DuckDB finds without sorting every one."""
SORTED = 50_000
"""Rows of a stretch that are soon sorted."""
_BUCKETS = 10
"""Parts that numbers are counted in at once, as a power of 2."""


@dataclass(frozen=True)
class Stretch:
    """Some of the rows `FROM row_versions v` in an order, and where among them a page begins."""

    where: str
    values: Sequence[Any]
    offset: int

    def within(self, condition: str, values: Sequence[Any], before: int = 0) -> Stretch:
        """The part where a condition holds too, which so many rows come before."""
        return Stretch(f"{self.where} AND {condition}", [*self.values, *values], self.offset - before)


@dataclass(frozen=True)
class _Number:
    """What rows are ordered by: a whole number, the column it is made of, and how the column has a number."""

    number: str
    column: str
    value: str
    is_falling: bool = False


_N = _Number("v.n", "v.n", "?::BIGINT")
_CHARS = _Number("v.chars", "v.chars", "?::INTEGER")
_CREATED = _Number("epoch_us(v.created_at)", "v.created_at", "make_timestamp(?::BIGINT)")
_RATING = _Number("coalesce(v.rating, 0)", "coalesce(v.rating, 0)", "?::TINYINT")  # no rating comes last, and none is 0
_NUMBERS: Mapping[Sort, Sequence[_Number]] = {
    "newest": (replace(_N, is_falling=True),),
    "oldest": (_N,),
    "changed": (replace(_CREATED, is_falling=True), replace(_N, is_falling=True)),
    "longest": (replace(_CHARS, is_falling=True), _N),
    "shortest": (_CHARS, _N),
    "rating": (replace(_RATING, is_falling=True), _N),
}


def stretch(database: Database, sort: Sort, rows: Stretch, limit: int) -> Stretch:
    """A stretch of `rows` in which the same page is soon found, if that takes any looking."""
    if rows.offset + limit <= DEEP:
        return rows
    if sort == "question":
        return _among_texts(database, rows, limit)
    for key in _NUMBERS[sort]:
        rows, is_found = _among_numbers(database, rows, limit, key)
        if is_found:
            break
    return rows


def _among_numbers(database: Database, rows: Stretch, limit: int, key: _Number) -> tuple[Stretch, bool]:
    """The stretch by one number, and whether there is nothing to be gained by the next."""
    while True:
        ends = database.row(
            f"SELECT min({key.number}) AS low, max({key.number}) AS high FROM row_versions v {rows.where}", rows.values
        )
        if ends is None or ends["low"] is None:
            return rows, True
        low, high = ends["low"], ends["high"]
        if low == high:
            return rows, False
        shift = max(0, (high - low).bit_length() - _BUCKETS)
        counted = database.rows(
            f"SELECT ({key.number} - ?::BIGINT) >> ? AS bucket, count(*) AS rows FROM row_versions v {rows.where}"
            f" GROUP BY bucket ORDER BY bucket {'DESC' if key.is_falling else ''}",
            [low, shift, *rows.values],
        )
        if (page := _page(counted, rows.offset, limit)) is None:
            return rows, True
        buckets = sorted(counted[at]["bucket"] for at in (page.first, page.last))
        bounds = [low + (buckets[0] << shift), min(high, low + ((buckets[1] + 1) << shift) - 1)]
        rows = rows.within(f"{key.column} BETWEEN {key.value} AND {key.value}", bounds, page.before)
        if page.rows <= SORTED or page.rows == sum(row["rows"] for row in counted):
            return rows, True
        if not shift:
            # Of one number the rows come in the order of the next one; of two, no number parts them.
            return rows, page.first != page.last


def _among_texts(database: Database, rows: Stretch, limit: int) -> Stretch:
    for beginning in ("unicode(v.head)", "v.head[:4]"):
        counted = database.rows(
            f"SELECT {beginning} AS bucket, count(*) AS rows FROM row_versions v {rows.where}"
            " GROUP BY bucket ORDER BY bucket",
            rows.values,
        )
        if (page := _page(counted, rows.offset, limit)) is None:
            break
        rows = rows.within("v.head >= ?", [_text(counted[page.first])], page.before)
        if page.last + 1 < len(counted):
            rows = rows.within("v.head < ?", [_text(counted[page.last + 1])])
        if page.rows <= SORTED:
            break
    return rows


def _text(counted: Row) -> str:
    """How the texts of a bucket begin; of an empty text, there is no first character."""
    found = counted["bucket"]
    return found if isinstance(found, str) else chr(found) if found >= 0 else ""


@dataclass(frozen=True)
class _Page:
    first: int
    last: int
    """The buckets it begins and ends in."""
    before: int
    rows: int
    """Rows before these buckets, and in them."""


def _page(counted: Sequence[Row], offset: int, limit: int) -> _Page | None:
    """Where a page lies in buckets that were counted; None: behind the last row."""
    ends = list(itertools.accumulate(row["rows"] for row in counted))
    first = bisect.bisect_right(ends, offset)
    if first == len(ends):
        return None
    last = min(bisect.bisect_left(ends, offset + limit), len(ends) - 1)
    before = ends[first - 1] if first else 0
    return _Page(first, last, before, ends[last] - before)
