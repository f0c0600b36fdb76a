"""Will it be learned? What training makes of each row, with the trainer's own figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import gradio as gr

from studio import dataset, preflight
from studio.context import Studio
from studio.errors import Busy, InvalidInput, ModelUnavailable
from studio.model.encoding import Reason
from studio.records import Example, Recipe
from studio.rows import RowFilter
from studio.ui import data_rows
from studio.ui.board import Asked, Board, is_same, look, offset_of, wire
from studio.ui.session import QUIET, Desk, Session
from studio.ui.told import error_text
from studio.ui.words import t

PAGE = 12
LISTS = ("left_out", "cut", "noted", "learned")


class LearnBoard(Board):
    """The totals, the rows of one of `LISTS`, and the open row as it is tokenised."""

    scripts = ("board.js", "learn.js")
    css_class = "st-learn"
    word_prefix = "app.learn."
    gestures = ("look", "table")


def build(desk: Desk, session: gr.State, table: Sequence[Any]) -> LearnBoard:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    with gr.Tab(t("app.data.learn"), id="learn"):
        board = LearnBoard(elem_id="learn")
    wire(desk, session, board, {"look": look}, value)

    def to_table(at: Session, event: gr.EventData) -> tuple[Any, ...]:
        return data_rows.showing(desk.studio, at, {"ids": [str(event._data["id"])]})

    board.listen("table", to_table, [session], list(table), **QUIET)
    return board


def under(studio: Studio, at: Session, recipe: Recipe) -> dict[str, Any]:
    """The board under another part's recipe, which it keeps to from then on."""
    asked = {"max_length": recipe.max_length, "excess_length_strategy": recipe.excess_length_strategy}
    return {"project": at.project_id, "adopt": True, **value(studio, at, asked)}


def recipe_of(asked: Asked) -> Recipe:
    """The trainer's defaults, but for what the board lets one try out.

    Raises:
        InvalidInput: a number that can't be used.
    """
    settings = {key: str(asked[key]) for key in ("max_length", "excess_length_strategy") if asked.get(key)}
    return Recipe().with_settings(settings)


def value(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
    try:
        recipe, problem = recipe_of(asked), ""
    except InvalidInput as error:
        recipe, problem = Recipe(), error_text(at.language, error)
    shared = {
        "problem": problem,
        "max_length": recipe.max_length,
        "excess_length_strategy": recipe.excess_length_strategy,
    }
    try:
        report = preflight.report(studio, at.project_id, recipe)
    except (Busy, ModelUnavailable) as error:
        return {**shared, "waiting": error_text(at.language, error), "may_come": isinstance(error, Busy)}
    return {
        **shared,
        "totals": _totals(studio, at.project_id, report),
        **_list(studio, at, asked, report),
        "open": _open_value(studio, at, str(asked.get("open") or ""), recipe) if is_same(at, asked) else None,
    }


def _totals(studio: Studio, project_id: str, report: preflight.Report) -> dict[str, Any]:
    by_reason = {reason: sum(1 for row in report.left_out if row.reason == reason) for reason in get_args(Reason)}
    approved = dataset.count(studio, project_id, RowFilter(statuses=("approved",)))
    return {
        "rows": report.rows,
        "tokens": report.tokens,
        "loss_tokens": report.loss_tokens,
        "limit": report.limit,
        "left_out": len(report.left_out),
        "reasons": {reason: n for reason, n in by_reason.items() if n},
        "cut": len(report.cut),
        "cut_tokens": report.cut_tokens,
        "noted": len({id_ for id_, _ in report.noted}),
        "kept_back": approved - report.rows - len(report.left_out),
    }


def _list(studio: Studio, at: Session, asked: Asked, report: preflight.Report) -> dict[str, Any]:
    """A page of one list; without a choice, of the first that has rows."""
    noted: dict[str, list[str]] = {}
    for id_, note in report.noted:
        noted.setdefault(id_, []).append(note.kind)
    reasons = {row.example_id: row for row in report.left_out}
    ids = {
        "left_out": list(reasons),
        "cut": list(report.cut),
        "noted": list(noted),
        "learned": list(report.loss_tokens_by_row),
    }
    wanted = str(asked.get("list") or "") if is_same(at, asked) else ""
    name = wanted if ids.get(wanted) else next((name for name in LISTS if ids[name]), "learned")
    offset = offset_of(asked, len(ids[name]), PAGE) if wanted == name else 0
    rows = {row.id: row for row in studio.store.examples.get_many(ids[name][offset : offset + PAGE])}
    return {
        "list": name,
        "offset": offset,
        "total": len(ids[name]),
        "rows": [
            {
                **_row_value(rows[id_]),
                "reason": reasons[id_].reason if id_ in reasons else "",
                "sentence": reasons[id_].sentence if id_ in reasons else "",
                "loss_tokens": report.loss_tokens_by_row.get(id_),
                "notes": sorted(set(noted.get(id_, []))),
            }
            for id_ in ids[name][offset : offset + PAGE]
            if id_ in rows
        ],
    }


def _row_value(row: Example) -> dict[str, Any]:
    return {
        "id": row.id,
        "question": " ".join(row.question.split())[:300],
        "answer": " ".join(row.answer.split())[:300],
    }


def _open_value(studio: Studio, at: Session, example_id: str, recipe: Recipe) -> dict[str, Any] | None:
    row = studio.store.examples.get(example_id) if example_id else None
    if row is None or row.project_id != at.project_id:
        return None
    view = preflight.token_view(studio, row, recipe)
    return {
        **_row_value(row),
        "runs": [[run.kind, run.text, run.tokens] for run in view.runs],
        "tokens": view.tokens,
        "loss_tokens": view.loss_tokens,
        "cut_tokens": view.cut_tokens,
        "limit": view.limit,
        "reason": view.left_out or "",
        "sentence": view.sentence,
        "notes": [[note.kind, note.turn] for note in view.notes],
        "not_trained": row.status != "approved" or row.split != "train" or row.aside,
    }
