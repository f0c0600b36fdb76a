"""Rows come in from files: looked at first, then added all of them or none.

What is there already is skipped: a row that asks and answers the same, letter by letter, as one of the project or of
the file before it. Rows that the studio itself wrote carry their id, and are compared with the row of that id here:

* as it is here, or as it was when the file was written: skipped;
* changed in the file, and not here since: a new version of the row, which can be undone;
* changed in the file and here: refused, since one of the two would be lost;
* an id of another project here: it comes in as a new row.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio import dataset, formats, projects, rules
from studio.context import Studio
from studio.errors import Cancelled, ImportRejected, InvalidInput, RowError
from studio.formats import Draft, Plain, Position, Preview, Shape
from studio.records import Example, Project, Split, Status, new_id, now
from studio.rows import Action, Flag
from studio.store.loading import Load

SHOWN_ERRORS = 20
KEPT_ERRORS = 500
"""Bad rows that are told one by one; the others are only counted."""
_TOGETHER = 1000
"""Rows that are looked up at once."""
_HELD_OUT: tuple[Split, ...] = ("validation", "test")
_ID = re.compile("e_[0-7][0-9a-f]{21}")
_EVERY = 500
"""Rows between two looks at whether to stop."""
_FIELDS = ("messages", "answer", "rejected", "extra", "answer_extra", "learn_answer", "rating", "note")
"""What a file can change of a row that is here."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImportReport:
    """What an import did. It is all or nothing: with any bad row, nothing is added."""

    added: int
    skipped: int
    """Rows that were there already."""
    changed: int = 0
    """Rows of this project that were changed in the file."""
    held: int = 0
    """Rows that should have been approved, and are drafts since they break a rule."""


def preview(studio: Studio, path: Path, shape: Shape | None = None) -> Preview:
    """What a file seems to hold, and how its first rows read; with a shape, how they read in that one.

    Raises:
        InvalidInput: the file can't be read or holds no rows.
    """
    return formats.recognise(path, shape)


def import_file(
    studio: Studio,
    project_id: str,
    path: Path,
    *,
    shape: Shape | None = None,
    approve: bool = False,
    author: str = "",
    side: str | None = None,
    source: str = "",
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> ImportReport:
    """Add the rows of a file, or of a folder of files: `import_files` of one.

    Args:
        side: the side of the split of rows that name none, as the file's own name says (`test`, `validation`).
    """
    return import_files(
        studio,
        project_id,
        [(side, path)],
        shape=shape,
        approve=approve,
        author=author,
        source=source,
        progress=progress,
        cancelled=cancelled,
    )


def import_files(
    studio: Studio,
    project_id: str,
    files: Sequence[tuple[str | None, Path]],
    *,
    shape: Shape | None = None,
    approve: bool = False,
    author: str = "",
    source: str = "",
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> ImportReport:
    """Add the rows of files that belong together, as one action. All rows of all files, or none.

    Args:
        files: each with the side of the split of its rows that name none (None: train), as a dataset's splits say.
        shape: how to read the rows; None: each as its own columns say.
        approve: whether rows arrive approved; what the file itself says of a row comes before that.
        source: where the files come from, for the history; empty: the first one's name.
        progress: called with bytes read and bytes in all.

    Raises:
        InvalidInput: a file can't be read, or they hold no rows.
        ImportRejected: some rows are bad; the numbers and reasons of the first of them are in it.
        Cancelled: before the end; nothing was added.
    """
    if not files:
        raise InvalidInput("There is no file to import.")
    project = projects.get(studio, project_id)
    author = author or studio.settings.author
    action = Action(new_id("h"), project.id, "imported", 0, author, source or files[0][1].name)
    parts = tuple(_Part(path, next((held for held in _HELD_OUT if side == held), None)) for side, path in files)
    task = _Task(project, parts, shape, "approved" if approve else "draft", action, progress, cancelled)
    try:
        # Rows that are dealt to sides are compared with all others: then nobody else may write meanwhile.
        report = _run(studio, task, alone=project.shares is not None)
    except _RowsOfOursError:
        report = _run(studio, task, alone=True)
    studio.store.search.fill()
    return report


@dataclass(frozen=True)
class _Part:
    path: Path
    side: Split | None


@dataclass(frozen=True)
class _Task:
    project: Project
    parts: tuple[_Part, ...]
    shape: Shape | None
    status: Status
    action: Action
    progress: Progress
    cancelled: threading.Event | None

    @property
    def name(self) -> str:
        """What is imported, in a sentence."""
        return self.parts[0].path.name if len(self.parts) == 1 else self.action.detail


class _RowsOfOursError(Exception):
    """The file has rows to be compared with those that are here, and somebody could be changing them."""


def _run(studio: Studio, task: _Task, *, alone: bool) -> ImportReport:
    containers = [formats.container_of(part.path) for part in task.parts]
    with studio.store.load(task.action, "import", alone=alone) as load:
        work = _Import(studio, task, load, alone)
        for part, container, rows in zip(task.parts, containers, _watched(task), strict=True):
            work.begin(part)
            for number, draft in formats.read_rows(work.odd(rows), task.shape, container):
                work.take(number, draft)
        report = work.end()
        if report.added or report.changed:
            with load.turn():
                dataset.record_import(studio, replace(task.action, rows=report.added + report.changed))
        return report


def _watched(task: _Task) -> Iterator[Iterator[tuple[int, Any]]]:
    """Each file's rows, with word of how far all of them are."""
    positions = [formats.Position(part.path) for part in task.parts]
    total, before = sum(position.total for position in positions), 0
    for part, position in zip(task.parts, positions, strict=True):
        yield _rows(task, part.path, position, before, total)
        before += position.total
    task.progress(total, total)


def _rows(task: _Task, path: Path, position: Position, before: int, total: int) -> Iterator[tuple[int, Any]]:
    for count, row in enumerate(formats.raw_rows(path, position)):
        if count % _EVERY == 0:
            if task.cancelled is not None and task.cancelled.is_set():
                raise Cancelled("The import was cancelled.", "Nothing was added.")
            task.progress(before + position.done(), total)
        yield row


class _Import:
    """Files on their way in."""

    def __init__(self, studio: Studio, task: _Task, load: Load, alone: bool) -> None:
        self._store, self._load, self._alone = studio.store, load, alone
        self._project, self._action, self._status = task.project, task.action, task.status
        self._name, self._shape, self._parts = task.name, task.shape, len(task.parts)
        self._part, self._side, self._file = 0, task.parts[0].side, ""
        self._errors: list[tuple[int, RowError]] = []
        """Each with the number of its file."""
        self._bad, self._skipped, self._changed, self._held = 0, 0, 0, 0
        self._waiting: list[tuple[int, Draft]] = []
        """Rows with an id, to be looked up together."""

    def begin(self, part: _Part) -> None:
        """What comes now is of this file."""
        if not self._bad:
            self._take_waiting()
        self._part, self._side = self._part + 1, part.side
        self._file = f" ({part.path.name})" if self._parts > 1 else ""

    def odd(self, rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Take in the plain rows on the way, and hand on the others."""
        shape = self._shape
        if (shape is not None and shape.columns) or self._side is not None:
            yield from rows
            return
        is_single = self._project.format == "instruction"
        for number, row in rows:
            plain = formats.plain_of(row)
            if (
                plain is None
                or (shape is not None and plain.shape != shape.name)
                or (is_single and len(plain.turns) > 1 and plain.turns[-2]["role"] != "system")
            ):
                yield number, row
            elif not self._bad:
                self._take_plain(plain)

    def _take_plain(self, plain: Plain) -> None:
        status, broken = self._checked(self._status, plain.answer)
        id_ = self._load.add_plain(plain.turns, plain.answer, plain.input, status)
        self._load.flag(_flags(id_, broken))

    def _checked(self, status: Status, answer: str) -> tuple[Status, Sequence[rules.Broken]]:
        """The status a row can have under the project's rules, and the rules it breaks."""
        if not self._project.rules:
            return status, ()
        broken = rules.broken(self._project.rules, answer)
        if status == "approved" and any(b.rule.blocks for b in broken):
            self._held += 1
            status = "draft"
        return status, broken

    def take(self, number: int, draft: Draft | str) -> None:
        """Take in a row that isn't plain, or note what is wrong with it."""
        if isinstance(draft, str):
            self._refuse(number, draft)
        elif self._project.format == "instruction" and not draft.is_single_turn:
            self._refuse(number, "has several turns; this project keeps single questions")
        elif self._bad:
            return
        elif _ID.fullmatch(draft.id):
            if not self._alone:
                raise _RowsOfOursError
            self._waiting.append((number, draft))
            if len(self._waiting) >= _TOGETHER:
                self._take_waiting()
        else:
            self._add(replace(draft, id=self._load.new_id()))

    def _refuse(self, number: int, reason: str) -> None:
        self._bad += 1
        if len(self._errors) < KEPT_ERRORS:
            self._errors.append((self._part, RowError(number, reason + self._file)))

    def _add(self, draft: Draft) -> None:
        if draft.split is None and self._side is not None:
            draft = replace(draft, split=self._side)
        example = draft.as_example(self._project.id, status=self._status, author=self._action.author)
        status, broken = self._checked(example.status, example.answer)
        self._load.add(replace(example, status=status, action_id=self._action.id))
        self._load.flag(_flags(example.id, broken))

    def _take_waiting(self) -> None:
        """Take in rows that say who they are."""
        waiting, self._waiting = self._waiting, []
        self._load.settle()
        examples = self._store.examples
        here = {e.id: e for e in examples.get_many([draft.id for _, draft in waiting])}
        ours = {id_ for id_, e in here.items() if e.project_id == self._project.id and e.action_id != self._action.id}
        taken = examples.taken([draft.id for _, draft in waiting])
        changed = []
        for number, draft in waiting:
            if draft.id in ours:
                if (new := self._version_of(number, here[draft.id], draft)) is not None:
                    changed.append(new)
                ours.remove(draft.id)
            else:
                self._add(replace(draft, id=self._load.new_id()) if draft.id in taken else draft)
            taken.add(draft.id)
        if changed:
            self._change(changed)

    def _change(self, changed: Sequence[Example]) -> None:
        """Append new versions of rows that are here."""
        self._load.settle()
        self._changed += len(changed)
        self._store.examples.append(changed)
        if self._project.rules:
            found = [flag for e in changed for flag in rules.as_flags(self._project.rules, e)]
            self._store.flags.replace(self._project.id, found, kinds=["rule"], example_ids=[e.id for e in changed])

    def _version_of(self, number: int, current: Example, draft: Draft) -> Example | None:
        """What the file makes of a row that is here; None: nothing, and it is skipped."""
        wanted = _wanted(draft, current)
        if _same(wanted, current):
            self._skipped += 1
            return None
        if draft.version is not None and draft.version != current.version:
            versions = self._store.examples.versions(current.id)
            written = next((v for v in versions if v.version == draft.version), None)
            if written is not None and _same(wanted, written):
                self._skipped += 1
                return None
            if written is None or not _same(written, current):
                by = f" by {current.author}" if current.author else ""
                self._refuse(number, f"was changed here too{by} since the file was written")
                return None
        status, _ = self._checked(wanted.status, wanted.answer)
        action = self._action
        new = replace(wanted, status=status, version=current.version + 1)
        return replace(new, author=action.author, created_at=now(), action_id=action.id)

    def end(self) -> ImportReport:
        """Take in what waits; the work is done but for being made durable.

        Raises:
            ImportRejected: some rows are bad.
            InvalidInput: there were no rows.
        """
        if not self._bad:
            self._take_waiting()
        if self._bad:
            errors = tuple(e for _, e in sorted(self._errors, key=lambda error: (error[0], error[1].row)))
            shown = "; ".join(f"row {e.row}: {e.reason}" for e in errors[:SHOWN_ERRORS])
            more = f"; and {self._bad - SHOWN_ERRORS} more" if self._bad > SHOWN_ERRORS else ""
            raise ImportRejected(
                f"{self._bad} rows of {self._name} can't be imported ({shown}{more}).",
                errors,
                "Nothing was imported. Mend these rows and import the file again.",
            )
        self._load.settle()
        if not (self._load.added or self._load.skipped or self._changed or self._skipped):
            raise InvalidInput(f"{self._name} holds no rows.")
        return ImportReport(self._load.added, self._load.skipped + self._skipped, self._changed, self._held)


def _flags(example_id: str, broken: Sequence[rules.Broken]) -> list[Flag]:
    return [Flag(example_id, "rule", b.message, span=b.span) for b in broken]


def _wanted(draft: Draft, current: Example) -> Example:
    """The row as the file has it. A table of ids and texts alone, without the studio's own column, says nothing of the
    rest."""
    new = {name: getattr(draft, name) for name in _FIELDS}
    new |= {"status": draft.status or current.status, "tags": tuple(sorted(set(draft.tags)))}
    if draft.version is None:
        new = {name: value or getattr(current, name) for name, value in new.items()}
        new["learn_answer"] = current.learn_answer
    return replace(current, **new)


def _same(one: Example, other: Example) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in (*_FIELDS, "status", "tags"))
