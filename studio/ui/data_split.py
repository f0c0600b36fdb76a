"""The split: the rule, the rows on each side, dealing them anew, and the rows set aside because they would leak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from studio import dataset, projects, splits
from studio.context import Studio
from studio.rows import Action, RowFilter, Shares
from studio.ui import data_rows
from studio.ui.board import Asked, Board, Gesture, Reply, Value, look, offset_of, wire
from studio.ui.rows_table import row_value
from studio.ui.running import cancel_gesture, settled_soon, work_value
from studio.ui.session import QUIET, Desk, Session
from studio.ui.work import Work

PAGE = 5
"""Rows set aside on one page."""
PREVIEW, DEAL = "split-preview", "split-deal"
KINDS = (PREVIEW, DEAL)
ASIDE = RowFilter(splits=("aside",), statuses=("draft", "approved", "rejected"))


class SplitBoard(Board):
    """A bar of the sides, two sliders to deal by, and cards of the rows set aside."""

    scripts = ("board.js", "diff.js", "running.js", "split_leaks.js", "split.js")
    css_class = "st-split"
    word_prefix = "app.split."
    gestures = ("look", "preview", "deal", "undo", "cancel", "put_off", "join", "edit", "bin", "table")


def build(desk: Desk, session: gr.State, table: Sequence[Any]) -> SplitBoard:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    board = SplitBoard(elem_id="split")
    wire(desk, session, board, gestures(desk), value_of(desk))

    def to_table(at: Session, event: gr.EventData) -> tuple[Any, ...]:
        side = str(event._data.get("side") or "aside")
        return data_rows.showing(desk.studio, at, {"splits": [side]})

    board.listen("table", to_table, [session], list(table), **QUIET)
    return board


# What is shown


def value_of(desk: Desk) -> Value:
    def value(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
        shares = projects.get(studio, at.project_id).shares
        counts = splits.summary(studio, at.project_id)
        return {
            "sides": {**counts.rows, "aside": counts.aside},
            "shares": asdict(shares) if shares else None,
            "last": _last_value(studio, at.project_id),
            "works": {kind: work_value(desk, at, kind) for kind in KINDS},
            "preview": _preview_value(desk, at),
            "done": _done_value(desk, at),
            **_leaks(studio, at, asked),
        }

    return value


def _preview_value(desk: Desk, at: Session) -> dict[str, Any] | None:
    """What dealing would do, as it was found last and nobody said yes or no to it yet."""
    work = desk.works.last(at.project_id, PREVIEW)
    if work is None or not isinstance(work.result, Previewed):
        return None
    shares, found = work.result.shares, work.result.found
    return {
        "number": work.number,
        "none": shares is None,
        "shares": _hundredths(shares) if shares else None,
        "moved": found.moved,
        "trained_on": found.trained_on,
        "sides": dict(found.rows),
        "uneven": [_uneven_value(each) for each in found.uneven],
    }


def _hundredths(shares: Shares) -> dict[str, int]:
    return {"validation": round(100 * shares.validation), "test": round(100 * shares.test), "seed": shares.seed}


def _uneven_value(found: splits.Uneven) -> dict[str, Any]:
    return {**asdict(found), "alike": _named(found.alike), "grouped": _named(found.grouped)}


def _named(sizes: Sequence[int]) -> dict[str, Any]:
    """The largest groups one by one, the others together."""
    rest = sizes[splits.SHOWN :]
    return {"sizes": list(sizes[: splits.SHOWN]), "more": sum(rest), "groups": len(rest)}


def _done_value(desk: Desk, at: Session) -> dict[str, Any] | None:
    """What the last dealing, or taking back of one, did."""
    work = desk.works.last(at.project_id, DEAL)
    if work is None or not isinstance(work.result, Action):
        return None
    action = work.result
    did = "undone" if action.undoes else "dealt"
    return {"number": work.number, "did": did, "n": action.rows, "undo": action.id if did == "dealt" else None}


def _last_value(studio: Studio, project_id: str) -> dict[str, Any] | None:
    """The dealing that holds now, for saying who did it and taking it back."""
    action = splits.last_deal(studio, project_id)
    if action is None:
        return None
    return {
        "id": action.id,
        "author": action.author,
        "at": action.created_at.isoformat(),
        "rows": action.rows,
        "is_undo": action.undoes is not None,
    }


def _leaks(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
    """The rows set aside, oldest first, a page of them, each with the row it is near to."""
    total = dataset.count(studio, at.project_id, ASIDE)
    offset = offset_of(asked, total, PAGE)
    rows = dataset.page(studio, at.project_id, ASIDE, "oldest", PAGE, offset) if total else []
    flags = dataset.flags(studio, at.project_id, [row.id for row in rows])
    near = {row.id: next((f.other_id for f in flags.get(row.id, []) if f.kind == "leak"), None) for row in rows}
    others = {other.id: other for other in studio.store.examples.get_many([id_ for id_ in near.values() if id_])}
    cards = []
    for row in rows:
        other = others.get(near[row.id] or "")
        cards.append(
            {
                **row_value(row),
                "pinned": row.pinned,
                "other": row_value(other) if other else None,
            }
        )
    return {"total": total, "offset": offset, "leaks": cards}


# What is done


def _shares(asked: Asked) -> Shares | None:
    """As the sliders stand, in hundredths; none: everything is for training."""
    if asked.get("none"):
        return None
    return Shares(int(asked["validation"]) / 100, int(asked["test"]) / 100, int(asked.get("seed") or 0))


@dataclass(frozen=True)
class Previewed:
    shares: Shares | None
    found: splits.Preview


def gestures(desk: Desk) -> dict[str, Gesture]:
    def long(at: Session, kind: str, run: Callable[[Work], Any]) -> Reply:
        work = settled_soon(desk.works.start(at.project_id, kind, run, desk.studio.closing))
        if work.error is not None:
            desk.works.forget(at.project_id, kind)
            raise work.error
        return {"ok": True}

    def preview(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        shares = _shares(asked)

        def run(work: Work) -> Previewed:
            return Previewed(shares, splits.preview(studio, at.project_id, shares, _reports(work), work.cancelled))

        return long(at, PREVIEW, run)

    def deal(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        shares = _shares(asked)

        def run(work: Work) -> Action:
            return splits.deal(studio, at.project_id, shares, author, _reports(work), work.cancelled).action

        desk.works.forget(at.project_id, PREVIEW)
        return long(at, DEAL, run)

    def undo(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        action_id = str(asked["action"])

        def run(work: Work) -> Action:
            return dataset.undo(studio, at.project_id, author, action_id, _reports(work), work.cancelled)

        return long(at, DEAL, run)

    def put_off(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        """Nothing is dealt: what was found is forgotten."""
        desk.works.forget(at.project_id, PREVIEW)
        return {"ok": True}

    own = {"preview": preview, "deal": deal, "undo": undo, "put_off": put_off}
    return {**own, "look": look, "join": join, "edit": edit, "bin": bin_, "cancel": cancel_gesture(desk, KINDS)}


def _reports(work: Work) -> splits.Progress:
    """Thousandths say nothing to a reader, so the bar stands without a count."""
    return lambda done, total: work.report("dealing", done, total)


def join(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """Put a row that was set aside on the side of the row it is near to."""
    action = splits.join(studio, str(asked["id"]), author)
    return {"ok": True, "did": "joined", "undo": action.id}


def edit(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    row = dataset.edit(
        studio, str(asked["id"]), asked["version"], prompt=asked["question"], answer=asked["answer"], author=author
    )
    return {"ok": True, "did": "still_aside" if row.aside else "settled", "undo": row.action_id}


def bin_(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    row = dataset.set_status(studio, str(asked["id"]), "deleted", author, version=asked["version"])
    return {"ok": True, "did": "binned", "undo": row.action_id}
