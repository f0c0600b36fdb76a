"""Snapshots: freeze the rows under a name, see what changed between two, export one byte for byte again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import gradio as gr

from studio import dataset, exports, snapshots
from studio.context import Studio
from studio.errors import InvalidInput, Phrase
from studio.exports import Exported
from studio.formats import FormatName
from studio.records import Example, Run
from studio.rows import RowFilter, Snapshot
from studio.snapshots import Difference
from studio.ui.board import Asked, Board, Gesture, Reply, Value, is_same, look, offset_of, wire
from studio.ui.rows_table import row_value
from studio.ui.running import cancel_gesture, settled_soon, work_value
from studio.ui.session import Desk, Session
from studio.ui.work import Work

PAGE = 6
"""Snapshots on one page."""
DIFF_PAGE = 10
"""Rows of a difference on one page."""
TAKE, EXPORT, DIFF = "snapshot", "snapshot-export", "snapshot-diff"
KINDS = (TAKE, EXPORT, DIFF)
PARTS = ("changed", "added", "removed")
KEPT = 8
"""Differences that are remembered: two snapshots never differ in another way than before."""


class SnapshotBoard(Board):
    """The list of snapshots, a form to take one, an export beneath the one it is of, and the rows that differ."""

    scripts = ("board.js", "diff.js", "running.js", "snapshot_list.js", "snapshot_diff.js", "snapshots.js")
    css_class = "st-snapshots"
    word_prefix = "app.snapshots."
    gestures = ("look", "take", "export", "diff", "cancel")


def build(desk: Desk, session: gr.State, shown: gr.State) -> SnapshotBoard:
    board = SnapshotBoard(elem_id="snapshots")
    differences = Differences()
    wire(desk, session, board, gestures(desk, differences), value_of(desk, differences), shown)
    return board


class Differences:
    """What was found to differ lately, by the hashes of the two snapshots."""

    def __init__(self) -> None:
        self._of: OrderedDict[tuple[str, str], Difference] = OrderedDict()
        self._rows: OrderedDict[tuple[str, tuple[str, ...]], dict[str, Example]] = OrderedDict()

    def get(self, one: Snapshot, other: Snapshot) -> Difference | None:
        return self._of.get((one.sha256, other.sha256))

    def keep(self, one: Snapshot, other: Snapshot, found: Difference) -> None:
        self._of[one.sha256, other.sha256] = found
        while len(self._of) > KEPT:
            self._of.popitem(last=False)

    def rows(self, studio: Studio, snapshot: Snapshot, ids: tuple[str, ...]) -> dict[str, Example]:
        """Those rows of a snapshot; of a large one they take a moment to find, and the page asks often."""
        asked = (snapshot.sha256, ids)
        if asked not in self._rows:
            self._rows[asked] = snapshots.rows_of(studio, snapshot, ids)
            while len(self._rows) > KEPT:
                self._rows.popitem(last=False)
        return self._rows[asked]


# What is shown


def value_of(desk: Desk, differences: Differences) -> Value:
    def value(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
        every = studio.store.snapshots.of_project(at.project_id)
        offset = offset_of(asked, len(every), PAGE)
        used = snapshots.runs_of(studio, at.project_id)
        return {
            "total": len(every),
            "offset": offset,
            "snapshots": [_snapshot_value(s, used.get(s.sha256, [])) for s in every[offset : offset + PAGE]],
            "names": [{"id": s.id, "name": s.name, "rows": s.rows} for s in every],
            "counts": {
                name: dataset.count(studio, at.project_id, _rows(name, asked)) for name in ("approved", "shown")
            },
            "works": {kind: work_value(desk, at, kind) for kind in KINDS},
            "exported": _exported_value(desk, at.project_id),
            "diff": _diff_value(studio, at, asked, every, differences),
        }

    return value


def _snapshot_value(snapshot: Snapshot, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "name": snapshot.name,
        "sha256": snapshot.sha256,
        "rows": snapshot.rows,
        "sides": dict(snapshot.by_split),
        "author": snapshot.author,
        "at": snapshot.created_at.isoformat(),
        "runs": [run.number for run in runs],
    }


def _rows(name: str, asked: Asked) -> RowFilter:
    return asked["rows"] if name == "shown" else exports.APPROVED


def _exported_value(desk: Desk, project_id: str) -> dict[str, Any] | None:
    """The last export that was made: of which snapshot, whether it reads back, and where to get it."""
    work = desk.works.last(project_id, EXPORT)
    if work is None or not isinstance(work.result, tuple):
        return None
    snapshot_id, made = work.result
    written = made.written
    if not written.path.exists():
        return None
    return {
        "snapshot": snapshot_id,
        "format": written.format,
        "verified": made.is_verified,
        "differences": list(made.differences[:3]),
        "examples": written.examples,
        "skipped": dict(written.skipped),
        "sha256": written.sha256,
        "name": f"{written.path.name}.zip" if written.path.is_dir() else written.path.name,
        "href": desk.downloads.link([written.path]),
    }


def _diff_value(
    studio: Studio, at: Session, asked: Asked, every: Sequence[Snapshot], differences: Differences
) -> dict[str, Any] | None:
    """A page of what differs between the two snapshots that the browser compares, once that is known."""
    wanted = asked.get("compare") or {}
    pair = _pair(every, wanted)
    found = differences.get(*pair) if pair and is_same(at, asked) else None
    if pair is None or found is None:
        return None
    counts = {part: len(getattr(found, part)) for part in PARTS}
    part = wanted.get("part")
    if part not in PARTS or not counts[part]:
        part = next((name for name in PARTS if counts[name]), "changed")
    offset = offset_of({"offset": wanted.get("offset")}, counts[part], DIFF_PAGE)
    ids: tuple[str, ...] = getattr(found, part)[offset : offset + DIFF_PAGE]
    before = differences.rows(studio, pair[0], ids) if ids and part != "added" else {}
    after = differences.rows(studio, pair[1], ids) if ids and part != "removed" else {}
    return {
        "one": pair[0].id,
        "other": pair[1].id,
        "counts": counts,
        "part": part,
        "offset": offset,
        "rows": [_changed_value(before.get(id_), after.get(id_)) for id_ in ids],
    }


def _pair(every: Sequence[Snapshot], wanted: Mapping[str, Any]) -> tuple[Snapshot, Snapshot] | None:
    by_id = {snapshot.id: snapshot for snapshot in every}
    one, other = by_id.get(str(wanted.get("one"))), by_id.get(str(wanted.get("other")))
    return (one, other) if one and other else None


def _changed_value(before: Example | None, after: Example | None) -> dict[str, Any]:
    """A row of both, with the names of what differs besides its texts."""
    row = after or before
    assert row is not None
    names = ("status", "split", "aside", "tags", "rating", "note", "learn_answer", "rejected", "source", "extra")
    changed = [name for name in names if before and after and getattr(before, name) != getattr(after, name)]
    if before and after and before.messages[:-1] != after.messages[:-1]:
        changed.append("turns")
    return {
        "id": row.id,
        "before": row_value(before) if before else None,
        "after": row_value(after) if after else None,
        "fields": changed,
    }


# What is done


def gestures(desk: Desk, differences: Differences) -> dict[str, Gesture]:
    def take(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        name, rows = str(asked.get("name") or ""), _rows(str(asked.get("what")), asked)

        def run(work: Work) -> Snapshot:
            return snapshots.take(
                studio, at.project_id, name, rows, author, lambda *n: work.report("freezing", *n), work.cancelled
            )

        work = settled_soon(desk.works.start(at.project_id, TAKE, run, studio.closing))
        if work.error is not None:
            raise work.error
        return {"ok": True, "did": "taken" if isinstance(work.result, Snapshot) else ""}

    def export(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        snapshot, format_ = snapshots.get(studio, str(asked["id"])), _format(asked)
        plain = bool(asked.get("plain"))

        def run(work: Work) -> tuple[str, Exported]:
            out = snapshots.target(studio, snapshot, format_)
            return snapshot.id, snapshots.export(
                studio,
                snapshot,
                out,
                format_,
                plain=plain,
                # Each row goes by twice: once to be written, once to be compared.
                progress=lambda n, of: work.report("exporting" if 2 * n <= of else "comparing", n, of),
                cancelled=work.cancelled,
            )

        settled_soon(desk.works.start(at.project_id, EXPORT, run, studio.closing))
        return {"ok": True}

    def diff(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        pair = _pair(studio.store.snapshots.of_project(at.project_id), asked.get("compare") or {})
        if pair is None:
            raise InvalidInput("Choose two snapshots.", "Take one first.")
        if differences.get(*pair) is None:

            def run(work: Work) -> None:
                found = snapshots.diff(studio, *pair, lambda *n: work.report("differing", *n), work.cancelled)
                differences.keep(*pair, found)

            settled_soon(desk.works.start(at.project_id, DIFF, run, studio.closing))
        return {"ok": True}

    return {"look": look, "take": take, "export": export, "diff": diff, "cancel": cancel_gesture(desk, KINDS)}


def _format(asked: Asked) -> FormatName:
    for name in get_args(FormatName):
        if name == asked.get("format"):
            return name  # type: ignore[no-any-return]
    raise InvalidInput(Phrase("There is no format {format!r}.", format=asked.get("format")))
