"""The split: the rule, the rows on each side, dealing them anew, and the rows set aside because they would leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from studio import dataset, projects, splits
from studio.context import Studio
from studio.rows import RowFilter, Shares
from studio.ui import data_rows
from studio.ui.board import Asked, Board, Reply, look, offset_of, wire
from studio.ui.rows_table import row_value
from studio.ui.session import QUIET, Desk, Session

PAGE = 5
"""Rows set aside on one page."""
ASIDE = RowFilter(splits=("aside",), statuses=("draft", "approved", "rejected"))


class SplitBoard(Board):
    """A bar of the sides, two sliders to deal by, and cards of the rows set aside."""

    scripts = ("board.js", "diff.js", "split_leaks.js", "split.js")
    css_class = "st-split"
    word_prefix = "app.split."
    gestures = ("look", "preview", "deal", "undo", "join", "edit", "bin", "table")


def build(desk: Desk, session: gr.State, table: Sequence[Any]) -> SplitBoard:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    board = SplitBoard(elem_id="split")
    wire(desk, session, board, GESTURES, value)

    def to_table(at: Session, event: gr.EventData) -> tuple[Any, ...]:
        side = str(event._data.get("side") or "aside")
        return data_rows.showing(desk.studio, at, {"splits": [side]})

    board.listen("table", to_table, [session], list(table), **QUIET)
    return board


# What is shown


def value(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
    shares = projects.get(studio, at.project_id).shares
    counts = splits.summary(studio, at.project_id)
    return {
        "sides": {**counts.rows, "aside": counts.aside},
        "shares": asdict(shares) if shares else None,
        "last": _last_value(studio, at.project_id),
        **_leaks(studio, at, asked),
    }


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


def preview(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    found = splits.preview(studio, at.project_id, _shares(asked))
    told = {"moved": found.moved, "trained_on": found.trained_on, "sides": dict(found.rows)}
    return {"ok": True, "preview": {**told, "none": bool(asked.get("none"))}}


def deal(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    done = splits.deal(studio, at.project_id, _shares(asked), author)
    return {"ok": True, "did": "dealt", "n": done.moved, "undo": done.action.id}


def undo(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    dataset.undo(studio, at.project_id, author, action_id=str(asked["action"]))
    return {"ok": True, "did": "undone"}


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


GESTURES = {
    "look": look, "preview": preview, "deal": deal, "undo": undo, "join": join, "edit": edit, "bin": bin_,
}  # fmt: skip
