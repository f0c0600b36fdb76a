"""Comparing an export with the rows it was made from, by importing it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any

from studio.errors import RequestError
from studio.formats.draft import Draft
from studio.formats.folder import CONFIGS, table_path
from studio.formats.reading import read
from studio.formats.render import FormatName, Unfit
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


Through = Callable[[Iterator[Any]], Iterator[Any]]
"""Sees rows go by, such as to count them."""


def verify(
    written: Written, examples: Callable[[], Iterable[Example]], through: Through = lambda rows: rows
) -> Verification:
    """Import `written` again and compare it with the `examples` it was made from, in the same order: roles, texts,
    statuses, tags and every other field. A plain export is compared in what it can hold.

    Args:
        examples: asked only where their digests don't do.
        through: sees the rows of the file that are read again.
    """
    if written.expected and _is_as_expected(written, through):
        return Verification(written.examples, ())
    return _compare(written, examples())


def _is_as_expected(written: Written, through: Through) -> bool:
    """Whether each file holds what it should, and there is no other one."""
    if written.format == "hf" and {*written.path.glob("data/*/*.parquet")} != written.expected.keys():
        return False
    try:
        for path, digests in written.expected.items():
            drafts = iter(read(path))
            # Of a folder, the rows of the first config are as many as there are examples.
            is_main = written.format != "hf" or path.parent.name == "sft"
            for (_, draft), digest in zip_longest(through(drafts) if is_main else drafts, digests, fillvalue=(0, "")):
                if isinstance(draft, str) or draft.digest() != digest:
                    return False
    except RequestError:
        return False
    return True


def _compare(written: Written, examples: Iterable[Example]) -> Verification:
    """What differs, row by row."""
    count, differences = 0, []
    try:
        for is_main, difference in _compared(written, examples):
            count += is_main
            if difference:
                differences.append(difference)
            if len(differences) >= SHOWN_DIFFERENCES:
                break
    except (RequestError, _OutOfStepError) as error:
        differences.append(str(error))
    return Verification(count, tuple(differences))


class _OutOfStepError(Exception):
    """Rows are missing or come in another order, so that comparing on makes no sense."""


def _compared(written: Written, examples: Iterable[Example]) -> Iterator[tuple[bool, str]]:
    """For every row that must come back: whether it is of the file itself or, in a folder, of the config `sft`; and how
    it differs, or nothing."""
    readers: dict[Path, Iterator[tuple[int, Draft | str]]] = {}
    for example in examples:
        if not _expected(written.format, written.plain, example):
            continue
        for format_, path in _places(written, example):
            is_main = format_ == written.format
            at = "" if is_main else f"in {path.relative_to(written.path).as_posix()}, "
            for expected in _expected(format_, written.plain, example):
                if path not in readers:
                    readers[path] = read(path)
                number, actual = next(readers[path], (0, None))
                if actual is None:
                    raise _OutOfStepError(f"{example.id}: {at}it is missing")
                if isinstance(actual, str):
                    yield is_main, f"{example.id}: {at}row {number} can't be read again: {actual}"
                elif actual.id != expected.id:
                    holds = actual.id or "a row without an id"
                    raise _OutOfStepError(f"{example.id}: {at}row {number} holds {holds} instead")
                elif names := _different(expected, actual):
                    yield is_main, f"{example.id}: {at}after reading it again there is another {', '.join(names)}"
                else:
                    yield is_main, ""
    _nothing_left(written, readers)


def _places(written: Written, example: Example) -> list[tuple[FormatName, Path]]:
    """Where the rows of an example are, and in which format: the file, or of a folder a file of each config."""
    if written.format != "hf":
        return [(written.format, written.path)]
    return [(format_, written.path / table_path(config, example.split)) for config, format_ in CONFIGS.items()]


def _nothing_left(written: Written, readers: Mapping[Path, Iterator[tuple[int, Draft | str]]]) -> None:
    for reader in readers.values():
        if (left := next(reader, None)) is not None:
            raise _OutOfStepError(f"row {left[0]}: there is no such example")
    for path in sorted(written.path.glob("data/*/*.parquet")) if written.format == "hf" else ():
        if path not in readers:
            raise _OutOfStepError(f"{path.relative_to(written.path).as_posix()}: there are no such examples")


def _expected(format_: FormatName, plain: bool, example: Example) -> list[Draft]:
    """What must come back of an example: every field, or of a plain export what its rows say."""
    try:
        rows = fit(format_, example, plain=plain)
    except Unfit:
        return []
    return [draft_of(row) for row in rows] if plain else [Draft.of(example)]


def _different(expected: Draft, actual: Draft) -> list[str]:
    return [f.name for f in fields(Draft) if not _same(getattr(expected, f.name), getattr(actual, f.name))]


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return dumps(one) == dumps(other)
    return False
