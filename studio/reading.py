"""Files of rows, read to their end: in which encoding, which rows are good, and what is wrong with the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from studio import formats
from studio.errors import Cancelled, InvalidInput, Phrase, RowError
from studio.formats import Draft, NotTextError, Plain, Position, Shape
from studio.records import Project, Split, Status
from studio.rows import Action

KEPT_ERRORS = 500
"""Bad rows that are told one by one; the others are only counted."""
_HELD_OUT: tuple[Split, ...] = ("validation", "test")
_EVERY = 500
"""Rows between two looks at whether to stop."""

Progress = Callable[[int, int], None]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Part:
    path: Path
    side: Split | None
    encoding: str | None = None


def parts_of(files: Sequence[tuple[str | None, Path]]) -> tuple[Part, ...]:
    if not files:
        raise InvalidInput("There is no file to import.")
    return tuple(Part(path, next((held for held in _HELD_OUT if side == held), None)) for side, path in files)


@dataclass(frozen=True)
class Task:
    project: Project
    parts: tuple[Part, ...]
    shape: Shape | None
    status: Status
    action: Action
    skip_bad: bool
    progress: Progress
    cancelled: threading.Event | None

    @property
    def name(self) -> str:
        """What is imported, in a sentence."""
        return self.parts[0].path.name if len(self.parts) == 1 else self.action.detail

    @property
    def encoding(self) -> str:
        """The first that isn't UTF-8."""
        return next((part.encoding for part in self.parts if part.encoding and part.encoding != "utf-8"), "")


def in_its_encoding(task: Task, encoding: str | None, run: Callable[[Task], Made]) -> Made:
    """What `run` makes of the task with the encoding of each file that is text.

    Raises:
        InvalidInput: it can't be told, or a file isn't in it.
    """
    if encoding is not None:
        name = formats.named(encoding)
        return run(replace(task, parts=tuple(replace(part, encoding=name) for part in task.parts)))
    try:
        return run(replace(task, parts=tuple(_with_encoding(part) for part in task.parts)))
    except NotTextError:
        # Only begins like UTF-8: now its other letters are looked for to its end.
        return run(replace(task, parts=tuple(_with_encoding(part, whole=True) for part in task.parts)))


def _with_encoding(part: Part, *, whole: bool = False) -> Part:
    if formats.container_of(part.path) in ("parquet", "folder"):
        return part
    found = formats.encoding_of(part.path, whole=whole)
    if not found.is_sure:
        names = ", ".join((found.name, *found.others))
        said = Phrase("{file} is not UTF-8 text; it may be one of these: {names}.", file=part.path.name, names=names)
        raise InvalidInput(said, "Choose the encoding it was saved in, as with --encoding, or save it as UTF-8.")
    return replace(part, encoding=found.name)


def through(task: Task, work: Reading) -> None:
    """All rows of all files, one after another."""
    containers = [formats.container_of(part.path) for part in task.parts]
    for part, container, rows in zip(task.parts, containers, _watched(task), strict=True):
        work.begin(part)
        for number, draft, raw in formats.read_rows(work.odd(rows), task.shape, container):
            work.take(number, draft, raw)


def _watched(task: Task) -> Iterator[Iterator[tuple[int, Any]]]:
    """Each file's rows, with word of how far all of them are."""
    positions = [formats.Position(part.path) for part in task.parts]
    total, before = sum(position.total for position in positions), 0
    for part, position in zip(task.parts, positions, strict=True):
        yield _rows(task, part, position, before, total)
        before += position.total
    task.progress(total, total)


def _rows(task: Task, part: Part, position: Position, before: int, total: int) -> Iterator[tuple[int, Any]]:
    for count, row in enumerate(formats.raw_rows(part.path, position, part.encoding)):
        if count % _EVERY == 0:
            if task.cancelled is not None and task.cancelled.is_set():
                raise Cancelled("The import was cancelled.", "Nothing was added.")
            task.progress(before + position.done(), total)
        yield row


class Reading:
    """Files that are looked through: which of their rows are good, and what is wrong with the others."""

    def __init__(self, task: Task) -> None:
        self._task, self._is_single = task, task.project.format == "instruction"
        self._at, self._part = 0, task.parts[0]
        self._errors: list[tuple[int, RowError]] = []
        """Each with the number of its file."""
        self.good, self.bad = 0, 0

    def begin(self, part: Part) -> None:
        """What comes now is of this file."""
        self._at, self._part = self._at + 1, part

    def odd(self, rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Take in the plain rows on the way, and hand on the others."""
        shape = self._task.shape
        if (shape is not None and shape.columns) or self._part.side is not None:
            yield from rows
            return
        for number, row in rows:
            plain = formats.plain_of(row)
            if (
                plain is None
                or (shape is not None and plain.shape != shape.name)
                or (self._is_single and len(plain.turns) > 1 and plain.turns[-2]["role"] != "system")
            ):
                yield number, row
            else:
                self.good += 1
                self._take_plain(plain)

    def take(self, number: int, draft: Draft | str, raw: Sequence[Any]) -> None:
        """Take in a row that isn't plain, or note what is wrong with it."""
        if isinstance(draft, str):
            self._refuse(number, draft, raw)
        elif self._is_single and not draft.is_single_turn:
            self._refuse(number, "has several turns; this project keeps single questions", raw)
        else:
            self.good += 1
            self._take_draft(number, draft, raw)

    def told(self) -> tuple[RowError, ...]:
        """The bad rows, in their order."""
        return tuple(e for _, e in sorted(self._errors, key=lambda error: (error[0], error[1].row)))

    def _refuse(self, number: int, reason: str, raw: Sequence[Any]) -> None:
        self.bad += 1
        if len(self._errors) < KEPT_ERRORS:
            if len(self._task.parts) > 1:
                reason = Phrase("{reason} ({file})", reason=reason, file=self._part.path.name)
            self._errors.append((self._at, RowError(number, reason)))

    def _take_plain(self, plain: Plain) -> None:
        """Take in a good plain row."""

    def _take_draft(self, number: int, draft: Draft, raw: Sequence[Any]) -> None:
        """Take in another good row."""
