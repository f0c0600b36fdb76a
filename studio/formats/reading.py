"""Reading files of other tools and our own: what is in them, and their rows as drafts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio.errors import ImportRejected, InvalidInput, Phrase
from studio.formats.containers import Container, container_of, raw_rows
from studio.formats.draft import Draft
from studio.formats.encodings import Encoding, encoding_of
from studio.formats.json_list import Broken
from studio.formats.left_out import COLUMN as LEFT_OUT
from studio.formats.left_out import is_reason, without_reason
from studio.formats.marks import COLUMN, marks_from
from studio.formats.shape_readers import ShapeName
from studio.formats.shapes import Shape, detect, draft_of, guess, with_known

SHOWN_ROWS = 5
_LOOKED_AT = 200


@dataclass(frozen=True)
class Preview:
    """What a file seems to hold, from its first rows."""

    container: Container
    shape: Shape | None
    """The shape of most rows; None if the columns say nothing."""
    is_sure: bool
    """Whether the columns have a known shape's own names. A guess is for a person to confirm."""
    shapes: Mapping[ShapeName, int]
    """How many of the rows looked at have which shape; read without a shape, each row counts by its own."""
    columns: tuple[str, ...]
    """The file's columns, in the order they appear."""
    raw: tuple[Any, ...]
    """The first rows as they stand in the file."""
    rows: tuple[tuple[int, Draft | str], ...]
    """The same rows as they read: number, and the draft or why it can't be read."""
    encoding: Encoding | None = None
    """Of text: in which it was read."""


def recognise(path: Path, shape: Shape | None = None, encoding: str | None = None) -> Preview:
    """Container, shape and first rows of a file; with a shape, how they read in that one.

    Args:
        encoding: of text; None: what it seems to be, sure or not.

    Raises:
        InvalidInput: the file can't be read or holds no rows.
    """
    container = container_of(path)
    known = Encoding(encoding) if encoding else None
    if container in ("json", "jsonl", "csv"):
        known = known or encoding_of(path)
    raw: list[tuple[int, Any]] = []
    columns: dict[str, None] = {}
    shapes: Counter[ShapeName] = Counter()
    first: dict[ShapeName, Shape] = {}
    try:
        for number, row in raw_rows(path, encoding=known.name if known else None):
            raw.append((number, row))
            if isinstance(row, dict):
                columns |= dict.fromkeys(map(str, row))
                if (found := detect(row)) is not None:
                    shapes[found.name] += 1
                    first.setdefault(found.name, found)
            if len(raw) >= _LOOKED_AT:
                break
    except ImportRejected:
        if not raw:
            raise
    if not raw:
        raise InvalidInput(Phrase("{file} holds no rows.", file=path.name))
    best = first[shapes.most_common(1)[0][0]] if shapes else None
    if (shown := shape or best or guess(tuple(columns))) is not None:
        for _, row in raw:
            shown = with_known(shown, row)
    rows = read_rows(raw[:SHOWN_ROWS], shown, container)
    return Preview(
        container,
        shown,
        best is not None,
        dict(shapes),
        tuple(name for name in columns if name not in (COLUMN, LEFT_OUT)),
        tuple(row for _, row in raw[:SHOWN_ROWS]),
        tuple((number, draft) for number, draft, _ in rows),
        known,
    )


def read(path: Path, shape: Shape | None = None, encoding: str | None = None) -> Iterator[tuple[int, Draft | str]]:
    """(row number, draft or the reason why it can't be one), in constant memory. See `raw_rows` for the numbers.

    Without a shape each row is read in the one its own columns say. The two rows an export for KTO makes of one
    example come back as one.

    Raises:
        InvalidInput: the file as a whole can't be read.
        ImportRejected: a JSON list is broken.
    """
    rows = read_rows(raw_rows(path, encoding=encoding), shape, container_of(path))
    return ((number, draft) for number, draft, _ in rows)


_Half = tuple[int, Draft | None, Draft | None, tuple[Any, ...]]


def read_rows(
    rows: Iterable[tuple[int, Any]], shape: Shape | None, container: Container
) -> Iterator[tuple[int, Draft | str, tuple[Any, ...]]]:
    """Like `read`, of raw rows; each with the raw rows it was made of."""
    shown = ("split",) if container == "folder" else ()
    waiting: dict[str, _Half] = {}
    for number, row in rows:
        if isinstance(row, Broken):
            yield number, row.reason, (row,)
            continue
        if is_reason(row):
            continue
        row = without_reason(row)
        try:
            draft = draft_of(row, shape, shown=shown)
            marks = marks_from(row[COLUMN]) if COLUMN in row and '"part' in str(row[COLUMN]) else None
        except InvalidInput as error:
            yield number, error.message, (row,)
            continue
        if marks is None or not ("part" in marks or "parts" in marks):
            yield number, draft, (row,)
            continue
        if (whole := _joined(waiting, number, row, draft, marks)) is not None:
            yield whole
    for number, answer, worse, raw in waiting.values():
        if answer is not None:
            yield number, answer, raw
        elif worse is not None:
            yield number, replace(worse, status="rejected"), raw


def _joined(
    waiting: dict[str, _Half], number: int, row: Any, draft: Draft, marks: Mapping[str, Any]
) -> tuple[int, Draft, tuple[Any, ...]] | None:
    """The whole example once both its rows are there. They are known by their id, wherever they stand."""
    if marks.get("part") == "turn":
        return None
    first, answer, worse, raw = waiting.pop(draft.id, (number, None, None, ()))
    raw = (*raw, row)
    if marks.get("part") == "rejected":
        worse = draft
    else:
        answer = draft
    if answer is None or worse is None:
        waiting[draft.id] = (first, answer, worse, raw)
        return None
    return first, replace(answer, rejected=worse.answer), raw
