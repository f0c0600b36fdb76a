"""Rows leave for other tools: what a filter shows, in any format. A file counts as verified once it was read again and
compared with the rows it was made from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from studio import __version__, projects, splits
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput
from studio.formats import (
    ENDINGS,
    FORMATS,
    Card,
    FormatName,
    Written,
    verify,
    verify_columns,
    write,
    write_columns,
)
from studio.records import Example, Project
from studio.rows import RowFilter
from studio.store.frozen import FrozenRows
from studio.transfer import IsCancelled
from studio.transfer import Progress as HubProgress

if TYPE_CHECKING:
    from studio.hub.push import Pushed

APPROVED = RowFilter(statuses=("approved",))
"""What leaves when nobody says otherwise: the curated rows."""
APPROVED_AND_REJECTED = RowFilter(statuses=("approved", "rejected"))
"""For KTO, where a rejected answer is what not to say."""

T = TypeVar("T")
Progress = Callable[[int, int], None]
_LOOKED_AT = 100
"""Rows of a file of columns that are imported again one by one; all others are compared as columns."""


@dataclass(frozen=True)
class Exported:
    """What was written, and whether it reads back as it was."""

    written: Written
    differences: tuple[str, ...]
    """Empty: verified."""

    @property
    def is_verified(self) -> bool:
        return not self.differences


def default_filter(format_: FormatName) -> RowFilter:
    return APPROVED_AND_REJECTED if format_ == "trl-kto" else APPROVED


def target(studio: Studio, project: Project, format_: FormatName, part: str = "") -> Path:
    """Where an export goes when nobody says: a file of the workspace, or a folder for `hf`.

    `part` names what of the project it is, such as a snapshot.
    """
    names = [_file_name(name) for name in (project.name, part) if name]
    return studio.workspace.exports / f"{'-'.join(names)}-{format_}{ENDINGS[format_]}"


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name).strip("-").lower()[:60] or "rows"


def export(
    studio: Studio,
    project_id: str,
    out: Path,
    format_: FormatName,
    rows: RowFilter | None = None,
    *,
    plain: bool = False,
    license: str = "",
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Exported:
    """Write the rows that fit, as they are at this moment, to `out`, whole or not at all; then read it and compare.

    Args:
        plain: without the column that carries ids, statuses and tags.
        license: for `hf`, the Hub's identifier of the dataset's licence.
        progress: called with rows done and rows in all; each is gone through twice.

    Raises:
        InvalidInput: no such format, no row fits, or `out` can't be written.
        Cancelled: before the end. What `out` was before is still there, unless the message says that it is written.
    """
    if format_ not in FORMATS:
        raise InvalidInput(f"There is no format {format_!r}.", f"There are: {', '.join(FORMATS)}.")
    project = projects.get(studio, project_id)
    with studio.store.examples.frozen(project_id, rows or default_filter(format_)) as frozen:
        if not len(frozen):
            raise InvalidInput(
                "No row fits, so there is nothing to export.", "Approve some examples, or widen the filter."
            )
        stop = cancelled or threading.Event()
        if format_ == "parquet" and not plain and (made := _as_columns(frozen, out, progress, stop)) is not None:
            return made
        follow = Follow(2 * len(frozen), progress, stop)
        return write_verified(
            format_,
            lambda: follow.through(example for batch in frozen.batches() for example in batch),
            out,
            plain=plain,
            card=card(studio, project, license),
        )


def _as_columns(frozen: FrozenRows, out: Path, progress: Progress, cancelled: threading.Event) -> Exported | None:
    """A Parquet file made without an object for each row; None: some rows are not plain enough for that."""
    total = 2 * len(frozen)

    def batches() -> Iterator[Any]:
        done = 0
        for table in frozen.tables():
            if cancelled.is_set():
                raise Cancelled("The export was cancelled.", "Nothing was written.")
            if table is None:
                raise _NotPlainError
            yield table
            done += table.num_rows
            progress(done, total)

    try:
        written, digests = write_columns(batches(), out)
    except _NotPlainError:
        return None
    differences = verify_columns(out, digests, next(frozen.batches(_LOOKED_AT)))
    progress(total, total)
    return Exported(written, differences)


class _NotPlainError(Exception):
    """A row needs more than columns of text."""


def write_verified(
    format_: FormatName,
    examples: Callable[[], Iterable[Example]],
    out: Path,
    *,
    plain: bool = False,
    card: Card | None = None,
) -> Exported:
    """Write what `examples` gives, then compare the file with what it gives when it is asked again."""
    written = write(format_, examples(), out, plain=plain, card=card)
    try:
        return Exported(written, verify(written, examples()).differences)
    except Cancelled as error:
        raise Cancelled(f"{out} is written, but reading it again was cancelled.", "It is not verified.") from error


def push(
    studio: Studio,
    written: Written,
    dataset_id: str,
    *,
    private: bool = True,
    message: str = "",
    progress: HubProgress,
    cancelled: IsCancelled = lambda: False,
) -> Pushed:
    """Push an exported dataset folder to the Hub; see `studio.hub.push.push`, which raises the same besides.

    Raises:
        InvalidInput: the export is no dataset folder.
    """
    from studio.hub.push import push as push_folder
    from studio.hub.repo import Hub

    if written.format != "hf":
        raise InvalidInput("Only a dataset folder is pushed.", "Export in the format hf.")
    return push_folder(
        written.path,
        dataset_id,
        Hub.of(studio.settings),
        private=private,
        message=message or f"{written.examples} examples",
        progress=progress,
        cancelled=cancelled,
    )


def card(studio: Studio, project: Project, license: str = "") -> Card:
    """What a dataset card says of the project besides the figures of its rows."""
    total = studio.store.examples.count(project.id)
    alike = studio.store.flags.counts(project.id).get("near-duplicate")
    return Card(
        project.name,
        (project.language,),
        license or None,
        alike / total if alike is not None and total else None,
        splits.rule(project.shares),
        __version__,
    )


class Follow:
    """Counts the rows that go by, and stops them when asked to."""

    def __init__(self, total: int, progress: Progress, cancelled: threading.Event) -> None:
        self._done, self._total = 0, total
        self._progress, self._cancelled = progress, cancelled

    def through(self, examples: Iterable[T]) -> Iterator[T]:
        for example in examples:
            if self._cancelled.is_set():
                raise Cancelled("This was cancelled.", "Nothing was written.")
            yield example
            self._done += 1
            if self._done % 100 == 0 or self._done == self._total:
                self._progress(self._done, self._total)
