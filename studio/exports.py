"""Rows leave for other tools: what a filter shows, in any format. A file counts as verified once it was read again and
compared with the rows it was made from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from studio import __version__, projects, splits
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput, Phrase
from studio.formats import (
    ENDINGS,
    FORMATS,
    Batch,
    Card,
    FormatName,
    TooWideError,
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


@dataclass(frozen=True)
class Exported:
    """What was written, and whether it reads back as it was."""

    written: Written
    differences: tuple[str, ...]
    """Empty: verified."""

    @property
    def is_verified(self) -> bool:
        return not self.differences


class Unverified(Cancelled):
    """The file is there, and was not read again to the end."""

    def __init__(self, out: Path) -> None:
        super().__init__(f"{out} is written, but reading it again was cancelled.", "It is not verified.")
        self.out = out


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
        raise InvalidInput(
            Phrase("There is no format {format!r}.", format=format_),
            Phrase("There are: {names}.", names=", ".join(FORMATS)),
        )
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
            lambda: (example for batch in frozen.batches() for example in batch),
            out,
            follow,
            plain=plain,
            card=card(studio, project, license),
        )


def _as_columns(frozen: FrozenRows, out: Path, progress: Progress, cancelled: threading.Event) -> Exported | None:
    """A Parquet file made without an object for each row; None: a row has more than columns of text can hold."""
    total = 2 * len(frozen)
    reads = threading.Lock()

    def batches() -> Iterator[Batch]:
        done = 0
        for table in frozen.tables():
            if cancelled.is_set():
                raise Cancelled("The export was cancelled.", "Nothing was written.")
            odd = [i for i, is_plain in enumerate(table["is_plain"].to_pylist()) if not is_plain]
            examples = frozen.pick([done + i for i in odd])
            yield Batch(table, dict(zip(odd, examples, strict=True)))
            done += table.num_rows
            progress(done, total)

    def pick(places: Sequence[int]) -> Sequence[Example]:
        if cancelled.is_set():
            raise Unverified(out)
        with reads:
            return frozen.pick(places)

    try:
        written, parts = write_columns(batches(), out)
    except TooWideError:
        return None
    written, differences = verify_columns(written, parts, pick)
    progress(total, total)
    return Exported(written, differences)


def write_verified(
    format_: FormatName,
    examples: Callable[[], Iterable[Example]],
    out: Path,
    follow: Follow,
    *,
    plain: bool = False,
    card: Card | None = None,
) -> Exported:
    """Write what `examples` gives, then import the file again and compare it with them. `follow` sees all of it."""
    written = write(format_, follow.through(examples()), out, plain=plain, card=card)
    try:
        found = verify(written, lambda: follow.through(examples()), follow.through)
    except Cancelled as error:
        raise Unverified(out) from error
    return Exported(written, found.differences)


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

    def through(self, rows: Iterable[T]) -> Iterator[T]:
        for row in rows:
            if self._cancelled.is_set():
                raise Cancelled("This was cancelled.", "Nothing was written.")
            yield row
            self._done = min(self._done + 1, self._total)
            if self._done % 100 == 0 or self._done == self._total:
                self._progress(self._done, self._total)
