"""More examples: other wordings of approved questions, each looked at beside its source and approved or discarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from studio import augmentation, dataset, projects, quality
from studio.augmentation import Made
from studio.context import Studio
from studio.errors import InvalidInput
from studio.records import Example, Project
from studio.rows import RowFilter
from studio.ui import data_rows, words_reasons
from studio.ui.board import Asked, Board, Gesture, Reply, Value, look, offset_of, wire
from studio.ui.rows_table import row_value
from studio.ui.running import cancel_gesture, settled_soon, work_value
from studio.ui.session import QUIET, Desk, Session
from studio.ui.words import t
from studio.ui.work import Work
from studio.wordings import Wish

PAGE = 8
"""Drafts on one page."""
KIND = "augment"


class AugmentBoard(Board):
    """The methods with what they are good for, and the drafts that wait beside their sources."""

    scripts = ("board.js", "diff.js", "running.js", "augment.js")
    css_class = "st-augment"
    word_prefix = "app.augment."
    gestures = ("look", "make", "cancel", "approve", "discard", "undo", "table")


def build(desk: Desk, session: gr.State, shown: gr.State, table: Sequence[Any]) -> None:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    with gr.Tab(t("app.data.augment"), id="augment"):
        board = AugmentBoard(elem_id="augment")
    wire(desk, session, board, gestures(desk), value_of(desk), shown)

    def to_table(at: Session, event: gr.EventData) -> tuple[Any, ...]:
        waiting = augmentation.WAITING
        rows = {"sources": list(waiting.sources), "statuses": list(waiting.statuses)}
        if event._data.get("id"):
            rows = {"ids": [str(event._data["id"])]}
        return data_rows.showing(desk.studio, at, rows)

    board.listen("table", to_table, [session], list(table), **QUIET)


# What is shown


def value_of(desk: Desk) -> Value:
    def value(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
        project = projects.get(studio, at.project_id)
        total = dataset.count(studio, project.id, augmentation.WAITING)
        offset = offset_of(asked, total, PAGE)
        page = dataset.page(studio, project.id, augmentation.WAITING, "oldest", PAGE, offset)
        sources = augmentation.parents(studio, page)
        return {
            "language": project.language,
            "counts": {what: _count(studio, project.id, what, asked) for what in ("approved", "shown")},
            # Another one than before, or the same drafts would come.
            "seed": studio.store.actions.count(project.id, "augmented"),
            "work": work_value(desk, at, KIND),
            "made": _made_value(desk, project.id),
            "total": total,
            "offset": offset,
            "drafts": [_draft_value(draft, sources.get(draft.parent_id or ""), project, at.language) for draft in page],
        }

    return value


def _rows(what: str, asked: Asked) -> RowFilter | None:
    """Training rows, of all or of what the table shows; None: it shows none of them."""
    rows: RowFilter = asked["rows"] if what == "shown" else RowFilter()
    return replace(rows, splits=("train",)) if not rows.splits or "train" in rows.splits else None


def _count(studio: Studio, project_id: str, what: str, asked: Asked) -> int:
    rows = _rows(what, asked)
    return augmentation.count_sources(studio, project_id, rows) if rows else 0


def _made_value(desk: Desk, project_id: str) -> dict[str, Any] | None:
    """What came of the last making, as long as the studio is open."""
    work = desk.works.last(project_id, KIND)
    made = work.result if work is not None else None
    return {**vars(made)} if isinstance(made, Made) else None


def _draft_value(draft: Example, source: Example | None, project: Project, language: str) -> dict[str, Any]:
    how = draft.extra.get("augmentation")  # of an imported row it can be anything
    reason = quality.blocked(project, draft.answer)
    return {
        **row_value(draft),
        "method": how.get("method") if isinstance(how, dict) else None,
        "source_question": source.question if source else "",
        "source_answer": source.answer if source else "",
        "doubt": augmentation.doubt(draft, source),
        "blocked": words_reasons.say("rule", reason, language) if reason else "",
    }


# What is done


def gestures(desk: Desk) -> dict[str, Gesture]:
    def make(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        wish = Wish(asked["method"], int(asked.get("n") or 1), int(asked.get("seed") or 0))
        rows = _rows(str(asked.get("what")), asked)
        if rows is None:
            raise InvalidInput("There is no approved example to start from.", "Approve some, or choose others.")

        def run(work: Work) -> Made:
            def report(done: int, total: int) -> None:
                work.report("making", done, total)

            return augmentation.make(studio, at.project_id, rows, wish, report, work.cancelled, author)

        settled_soon(desk.works.start(at.project_id, KIND, run, studio.closing))
        return {"ok": True}

    return {
        "look": look, "make": make, "approve": approve, "discard": discard, "undo": undo,
        "cancel": cancel_gesture(desk, (KIND,)),
    }  # fmt: skip


def approve(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """One draft, or all that can be approved unseen."""
    if asked.get("id"):
        row = augmentation.approve(studio, str(asked["id"]), int(asked["version"]), author)
        return {"ok": True, "did": "approved", "n": 1, "undo": [row.action_id]}
    done = augmentation.approve_all(studio, at.project_id, author)
    wait_on = {"blocked": done.blocked, "doubtful": done.doubtful}
    return {"ok": True, "did": "approved", "n": done.action.rows, "undo": [done.action.id], **wait_on}


def discard(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """One draft, or all."""
    if asked.get("id"):
        row = dataset.set_status(studio, str(asked["id"]), "deleted", author, int(asked["version"]))
        return {"ok": True, "did": "discarded", "n": 1, "undo": [row.action_id]}
    action = augmentation.discard_all(studio, at.project_id, author)
    return {"ok": True, "did": "discarded", "n": action.rows, "undo": [action.id]}


def undo(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """Take back what is left of one action, or of those that a making came to."""
    refused: list[InvalidInput] = []
    for action_id in asked["actions"]:
        try:
            dataset.undo(studio, at.project_id, author, action_id=str(action_id))
        except InvalidInput as error:
            refused.append(error)
    if len(refused) == len(asked["actions"]):
        raise refused[0]
    return {"ok": True, "did": "undone"}
