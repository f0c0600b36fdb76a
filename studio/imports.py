"""Rows come in from files: looked at first, then added all of them or none; or, if that is asked for, the good ones,
and the others are kept in a file from which they can be mended and imported.

What is there already is skipped: a row that asks and answers the same, letter by letter, as one of the project or of
the file before it, and rejects the same answer if it rejects one. Rows that the studio itself wrote carry their id, and
are compared with the row of that id here:

* as it is here, or as it was when the file was written: skipped, unless it is in the bin here: then it comes back;
* changed in the file, and not here since: a new version of the row, which can be undone;
* changed in the file and here: refused, since one of the two would be lost;
* an id of another project here: it comes in as a new row.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio import dataset, formats, projects, rules
from studio.context import Studio
from studio.errors import Cancelled, ImportRejected, InvalidInput, Phrase, RowError
from studio.formats import Draft, Encoding, LeftOut, Plain, Preview, Shape
from studio.reading import Part, Progress, Reading, Task, in_its_encoding, parts_of, through
from studio.records import Example, Status, new_id, now
from studio.rows import Action, Flag
from studio.store.loading import Load

SHOWN_ERRORS = 20
_TOGETHER = 1000
"""Rows that are looked up at once."""
_ID = re.compile("e_[0-7][0-9a-f]{21}")
_FIELDS = ("messages", "answer", "rejected", "extra", "answer_extra", "learn_answer", "rating", "note")
"""What a file can change of a row that is here."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did. It is all or nothing, unless bad rows were to be left out."""

    added: int
    skipped: int
    """Rows that were there already."""
    changed: int = 0
    """Rows of this project that were changed in the file."""
    held: int = 0
    """Rows that should have been approved, and are drafts since they break a rule."""
    left_out: int = 0
    """Bad rows."""
    errors: tuple[RowError, ...] = ()
    """What is wrong with the first of them."""
    left_out_in: tuple[Path, ...] = ()
    """Where they are kept, as they stood, with what is wrong with each: for each file that had some."""
    encoding: str = ""
    """What text was read in that wasn't UTF-8."""


@dataclass(frozen=True)
class Checked:
    """What a look through whole files found; nothing was added."""

    good: int
    bad: int
    errors: tuple[RowError, ...]
    """What is wrong with the first bad rows."""
    is_whole: bool = True
    """Whether it came to the end."""


def preview(studio: Studio, path: Path, shape: Shape | None = None, encoding: str | None = None) -> Preview:
    """What a file seems to hold, and how its first rows read; with a shape, how they read in that one.

    Args:
        encoding: of text; None: what it seems to be. The preview says which, and whether that is sure.

    Raises:
        InvalidInput: the file can't be read or holds no rows.
    """
    return formats.recognise(path, shape, formats.named(encoding) if encoding else None)


def encoding_of(path: Path) -> Encoding:
    """What a text file seems to be in that isn't UTF-8 to its end, although it may begin like that."""
    return formats.encoding_of(path, whole=True)


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
    skip_bad: bool = False,
    encoding: str | None = None,
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
        skip_bad=skip_bad,
        encoding=encoding,
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
    skip_bad: bool = False,
    encoding: str | None = None,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> ImportReport:
    """Add the rows of files that belong together, as one action. All rows of all files, or none.

    Args:
        files: each with the side of the split of its rows that name none (None: train), as a dataset's splits say.
        shape: how to read the rows; None: each as its own columns say.
        approve: whether rows arrive approved; what the file itself says of a row comes before that.
        source: where the files come from, for the history; empty: the first one's name.
        skip_bad: add the good rows, and keep the others in a file in the folder of exports, unless all are bad.
        encoding: of text; None: UTF-8, or what the file surely is.
        progress: called with bytes read and bytes in all.

    Raises:
        InvalidInput: a file can't be read, its encoding can't be told, or they hold no rows.
        ImportRejected: some rows are bad; the numbers and reasons of the first of them are in it.
        Cancelled: before the end; nothing was added.
    """
    project = projects.get(studio, project_id)
    author = author or studio.settings.author
    parts = parts_of(files)
    action = Action(new_id("h"), project.id, "imported", 0, author, source or parts[0].path.name)
    status: Status = "approved" if approve else "draft"
    task = Task(project, parts, shape, status, action, skip_bad, progress, cancelled)

    def run(task: Task) -> ImportReport:
        try:
            # Rows that are dealt to sides are compared with all others: then nobody else may write meanwhile.
            return _run(studio, task, alone=project.shares is not None)
        except _RowsOfOursError:
            return _run(studio, task, alone=True)

    report = in_its_encoding(task, encoding, run)
    studio.store.search.fill()
    return report


def check_files(
    studio: Studio,
    project_id: str,
    files: Sequence[tuple[str | None, Path]],
    *,
    shape: Shape | None = None,
    encoding: str | None = None,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Checked:
    """Look through whole files as `import_files` would read them: how many rows, which are bad, and why.

    What stands against rows that are here already is only found by the import itself.

    Raises:
        InvalidInput, ImportRejected: as `import_files` does of a file that can't be read to its end.
    """
    project = projects.get(studio, project_id)
    action = Action(new_id("h"), project.id, "imported", 0)
    task = Task(project, parts_of(files), shape, "draft", action, True, progress, cancelled)

    def run(task: Task) -> Checked:
        look = Reading(task)
        try:
            through(task, look)
        except Cancelled:
            return Checked(look.good, look.bad, look.told(), is_whole=False)
        return Checked(look.good, look.bad, look.told())

    return in_its_encoding(task, encoding, run)


class _RowsOfOursError(Exception):
    """The file has rows to be compared with those that are here, and somebody could be changing them."""


def _run(studio: Studio, task: Task, *, alone: bool) -> ImportReport:
    with studio.store.load(task.action, "import", alone=alone) as load:
        work = _Import(studio, task, load, alone)
        try:
            through(task, work)
            report = work.end()
            action = task.action
            if report.left_out:
                action = replace(action, detail=f"{action.detail}; {report.left_out} left out")
            if report.added or report.changed:
                with load.turn():
                    dataset.record_import(studio, replace(action, rows=report.added + report.changed))
        except BaseException:
            work.drop()
            raise
        return report


class _Import(Reading):
    """Files on their way in."""

    def __init__(self, studio: Studio, task: Task, load: Load, alone: bool) -> None:
        super().__init__(task)
        self._store, self._load, self._alone = studio.store, load, alone
        self._project, self._action = task.project, task.action
        self._skipped, self._changed, self._held = 0, 0, 0
        self._waiting: list[tuple[int, Draft, Sequence[Any]]] = []
        """Rows with an id, to be looked up together."""
        self._folder = studio.workspace.exports
        self._left_out: list[LeftOut] = []
        self._leaving: LeftOut | None = None
        """Where bad rows of the file at hand are kept."""

    @property
    def _is_lost(self) -> bool:
        """Whether nothing can be added any more, so that bad rows are only counted."""
        return self.bad > 0 and not self._task.skip_bad

    def begin(self, part: Part) -> None:
        if not self._is_lost:
            self._take_waiting()
        self._leaving = None
        super().begin(part)

    def _take_plain(self, plain: Plain) -> None:
        if self._is_lost:
            return
        status, broken = self._checked(self._task.status, plain.answer)
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

    def _take_draft(self, number: int, draft: Draft, raw: Sequence[Any]) -> None:
        if self._is_lost:
            return
        if _ID.fullmatch(draft.id):
            if not self._alone:
                raise _RowsOfOursError
            self._waiting.append((number, draft, raw))
            if len(self._waiting) >= _TOGETHER:
                self._take_waiting()
        else:
            self._add(replace(draft, id=self._load.new_id()))

    def _refuse(self, number: int, reason: str, raw: Sequence[Any]) -> None:
        super()._refuse(number, reason, raw)
        if self._task.skip_bad:
            if self._leaving is None:
                name = f"{self._part.path.stem}.left-out-{self._action.created_at:%Y%m%d-%H%M%S}"
                name += f"-{self._at}" if len(self._task.parts) > 1 else ""
                self._leaving = LeftOut(self._folder / name, self._part.path, self._part.encoding)
                self._left_out.append(self._leaving)
            self._leaving.add(number, reason, raw)

    def _add(self, draft: Draft) -> None:
        if draft.split is None and self._part.side is not None:
            draft = replace(draft, split=self._part.side)
        example = draft.as_example(self._project.id, status=self._task.status, author=self._action.author)
        status, broken = self._checked(example.status, example.answer)
        self._load.add(replace(example, status=status, action_id=self._action.id))
        self._load.flag(_flags(example.id, broken))

    def _take_waiting(self) -> None:
        """Take in rows that say who they are."""
        waiting, self._waiting = self._waiting, []
        self._load.settle()
        examples = self._store.examples
        here = {e.id: e for e in examples.get_many([draft.id for _, draft, _ in waiting])}
        ours = {id_ for id_, e in here.items() if e.project_id == self._project.id and e.action_id != self._action.id}
        taken = examples.taken([draft.id for _, draft, _ in waiting])
        changed = []
        for number, draft, raw in waiting:
            if draft.id in ours:
                if (new := self._version_of(number, here[draft.id], draft, raw)) is not None:
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

    def _version_of(self, number: int, current: Example, draft: Draft, raw: Sequence[Any]) -> Example | None:
        """What the file makes of a row that is here; None: nothing, and it is skipped."""
        wanted = _wanted(draft, current, self._task.status)
        if _same(wanted, current):
            self._skipped += 1
            return None
        if draft.version is not None and draft.version != current.version:
            versions = self._store.examples.versions(current.id)
            written = next((v for v in versions if v.version == draft.version), None)
            is_unchanged = written is not None and _same(wanted, written)
            is_back = current.status == "deleted" != wanted.status
            if is_unchanged and not is_back:
                self._skipped += 1
                return None
            # Being put into the bin is no change that would be lost.
            here = replace(current, status=written.status) if is_back and written is not None else current
            if not is_unchanged and (written is None or not _same(written, here)):
                said: str = "was changed here too since the file was written"
                if current.author:
                    said = Phrase("was changed here too by {name} since the file was written", name=current.author)
                self.good -= 1
                self._refuse(number, said, raw)
                return None
        status, _ = self._checked(wanted.status, wanted.answer)
        action = self._action
        new = replace(wanted, status=status, version=current.version + 1)
        return replace(new, author=action.author, created_at=now(), action_id=action.id)

    def end(self) -> ImportReport:
        """Take in what waits; the work is done but for being made durable.

        Raises:
            ImportRejected: some rows are bad and are not to be left out, or all are.
            InvalidInput: there were no rows.
        """
        if not self._is_lost:
            self._take_waiting()
        if self._is_lost or (self.bad and not self.good):
            raise self._rejected()
        self._load.settle()
        if not (self._load.added or self._load.skipped or self._changed or self._skipped):
            raise InvalidInput(Phrase("{file} holds no rows.", file=self._task.name))
        return ImportReport(
            self._load.added,
            self._load.skipped + self._skipped,
            self._changed,
            self._held,
            self.bad,
            self.told(),
            tuple(left.keep() for left in self._left_out),
            self._task.encoding,
        )

    def drop(self) -> None:
        """Nothing comes in, so nothing is left out either."""
        for left in self._left_out:
            left.drop()

    def _rejected(self) -> ImportRejected:
        errors = self.told()
        shown = "; ".join(f"row {e.row}: {e.reason}" for e in errors[:SHOWN_ERRORS])
        more = f"; and {self.bad - SHOWN_ERRORS} more" if self.bad > SHOWN_ERRORS else ""
        said = Phrase(
            "{n} rows of {file} can't be imported ({shown}).", n=self.bad, file=self._task.name, shown=shown + more
        )
        hint = "Nothing was imported. Mend these rows and import the file again"
        hint += ", or leave them out: --skip-bad." if self.good else "."
        return ImportRejected(said, errors, hint, bad=self.bad, good=self.good)


def _flags(example_id: str, broken: Sequence[rules.Broken]) -> list[Flag]:
    return [Flag(example_id, "rule", b.message, span=b.span) for b in broken]


def _wanted(draft: Draft, current: Example, status: Status) -> Example:
    """The row as the file has it. A table of ids and texts alone, without the studio's own column, says nothing of the
    rest; a row that is in the bin then gets `status`."""
    here = status if current.status == "deleted" else current.status
    new = {name: getattr(draft, name) for name in _FIELDS}
    new |= {"status": draft.status or here, "tags": tuple(sorted(set(draft.tags)))}
    if draft.version is None:
        new = {name: value or getattr(current, name) for name, value in new.items()}
        new["learn_answer"] = current.learn_answer
    return replace(current, **new)


def _same(one: Example, other: Example) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in (*_FIELDS, "status", "tags"))
