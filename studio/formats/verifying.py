"""Comparing an export with the rows it was made from, by importing it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from studio.errors import RequestError
from studio.formats.draft import Draft
from studio.formats.reading import read
from studio.formats.render import Unfit
from studio.formats.shapes import draft_of
from studio.formats.turns import dumps
from studio.formats.written import Written, fit
from studio.records import Example

SHOWN_DIFFERENCES = 20


@dataclass(frozen=True)
class Verification:
    """What came back of an export."""

    rows: int
    """Examples that were compared."""
    differences: tuple[str, ...]
    """The first of them, each a sentence; empty: everything is as it was."""

    @property
    def is_verified(self) -> bool:
        return not self.differences


def verify(written: Written, examples: Iterable[Example]) -> Verification:
    """Read `written` again and compare it with the same `examples` in the same order: roles, texts, statuses, tags and
    every other field. A plain export is compared in what it can hold."""
    count, differences = 0, []
    try:
        for difference in _compared(written, examples):
            count += 1
            if difference:
                differences.append(difference)
            if len(differences) >= SHOWN_DIFFERENCES:
                break
    except (RequestError, _OutOfStepError) as error:
        differences.append(str(error))
    return Verification(count, tuple(differences))


class _OutOfStepError(Exception):
    """Rows are missing or come in another order, so that comparing on makes no sense."""


def _compared(written: Written, examples: Iterable[Example]) -> Iterator[str]:
    """For every row that must come back: how it differs, or nothing."""
    readers: dict[str, Iterator[tuple[int, Draft | str]]] = {}
    for example in examples:
        name = f"{example.split}-00000-of-00001.parquet" if written.format == "hf" else ""
        for expected in _expected(written, example):
            if name not in readers:
                readers[name] = read(written.path / "data" / "sft" / name if name else written.path)
            number, actual = next(readers[name], (0, None))
            if actual is None:
                raise _OutOfStepError(f"{example.id}: it is missing")
            if isinstance(actual, str):
                yield f"{example.id}: row {number} can't be read again: {actual}"
            elif actual.id != expected.id:
                raise _OutOfStepError(f"{example.id}: row {number} holds {actual.id or 'a row without an id'} instead")
            else:
                names = _different(expected, actual)
                yield f"{example.id}: after reading it again there is another {', '.join(names)}" if names else ""
    for reader in readers.values():
        if (left := next(reader, None)) is not None:
            raise _OutOfStepError(f"row {left[0]}: there is no such example")


def _expected(written: Written, example: Example) -> list[Draft]:
    """What must come back of an example: every field, or of a plain export what its rows say."""
    try:
        rows = fit(written.format, example, plain=written.plain)
    except Unfit:
        return []
    return [draft_of(row) for row in rows] if written.plain else [Draft.of(example)]


def _different(expected: Draft, actual: Draft) -> list[str]:
    return [f.name for f in fields(Draft) if not _same(getattr(expected, f.name), getattr(actual, f.name))]


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return dumps(one) == dumps(other)
    return False
