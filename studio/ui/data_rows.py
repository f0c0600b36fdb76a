"""What the gestures of the table of rows do: each asks one use case, and answers with the rows as they are then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import gradio as gr

from studio import dataset, projects
from studio.context import Studio
from studio.errors import Blocked, Conflict, InvalidInput, Phrase, StudioError
from studio.records import Example, Status
from studio.rows import Action, RowFilter, Sort
from studio.ui import words_reasons
from studio.ui.board import require_same
from studio.ui.rows_table import (
    SORTS,
    Reply,
    RowsTable,
    RowsValue,
    action_value,
    facets_value,
    filter_from,
    row_value,
    timeline_value,
)
from studio.ui.session import Desk, Session, author_of
from studio.ui.told import error_text
from studio.ui.words import say

log = logging.getLogger(__name__)

MOST_ROWS = 100
"""Rows of one page, at most."""
MOST_HITS = 10_000
"""Of a word that stands in more texts, the newest this many are shown; bulk actions and exports take all."""
Gesture = Callable[[Studio, Session, Mapping[str, Any], str], Reply]


def wire(desk: Desk, session: gr.State, table: RowsTable, shown: gr.State) -> None:
    """`shown` is kept at the filter of the table: for exports and everything else that means "what is shown"."""

    def page(at: Session | None, event: gr.EventData) -> tuple[Any, ...]:
        if at is None:
            return gr.skip(), gr.skip()
        value = page_value(desk.studio, at, event._data)
        return value, filter_from(value["view"]["filter"])

    def open_(at: Session, event: gr.EventData) -> RowsValue:
        return open_value(desk.studio, at, event._data)

    table.listen("page", page, [session], [table, shown])
    table.listen("open", open_, [session], table)
    for event, gesture in GESTURES.items():
        table.listen(event, _handler(desk, gesture), [session], table)


def _handler(desk: Desk, gesture: Gesture) -> Callable[..., RowsValue]:
    """The boundary at which errors become answers: the browser must know which of its changes was refused."""

    def handle(at: Session, request: gr.Request, event: gr.EventData) -> RowsValue:
        data = event._data
        base: Reply = {"ok": False, "creating": gesture is create}
        if "id" in data:
            base["id"] = data["id"]
        try:
            require_same(at, data)
            reply = gesture(desk.studio, at, data, author_of(request))
        except Conflict as error:
            reply = {"ok": False, "text": _changed_by(at, error), **_theirs(error)}
        except Blocked as error:
            reason = words_reasons.say("rule", error.reason, at.language)
            reply = {"ok": False, "text": say(at.language, "app.rows.blocked", reason=reason)}
        except StudioError as error:
            reply = {"ok": False, "text": error_text(at.language, error)}
        except Exception:
            log.exception("A change of rows failed")
            reply = {"ok": False, "text": say(at.language, "app.rows.failed")}
        return state_value(desk.studio, at, data, {**base, **reply})

    return handle


def _changed_by(at: Session, error: Conflict) -> str:
    name = error.current.author if isinstance(error.current, Example) else ""
    return say(at.language, "app.rows.changed_since", name=name or say(at.language, "app.rows.somebody"))


def _theirs(error: Conflict) -> Reply:
    return {"theirs": row_value(error.current, cut=False)} if isinstance(error.current, Example) else {}


# Looking


def page_value(studio: Studio, at: Session, asked: Mapping[str, Any] | None = None) -> RowsValue:
    """One page of the table; without a question, the first of all rows."""
    asked = asked or {}
    project_id = at.project_id
    same_project = asked.get("project") == project_id
    view = asked.get("view") or {} if same_project else {}
    rows, sort = filter_from(view.get("filter") or {}), _sort(view)
    limit = max(1, min(int(view.get("limit") or 25), MOST_ROWS))
    counts = _counts(studio, project_id, rows)
    most = MOST_HITS if counts["facets"]["capped"] else None
    offset = max(0, min(int(view.get("offset") or 0), max(0, counts["total"] - 1)))
    found = dataset.page(studio, project_id, rows, sort, limit, offset, most)
    return {
        "project": project_id,
        "seq": int(asked.get("seq") or 0),
        "page": True,
        "view": {"filter": dict(view.get("filter") or {}), "sort": sort, "offset": offset},
        "rows": _values(studio, at, found),
        **counts,
    }


def showing(studio: Studio, at: Session, rows: Mapping[str, Any]) -> tuple[Any, ...]:
    """The table with a filter that another part chose, the filter, and the part of the tab that holds the table."""
    value = page_value(studio, at, {"project": at.project_id, "view": {"filter": dict(rows)}})
    return value, filter_from(rows), gr.Tabs(selected="rows")


def open_value(studio: Studio, at: Session, asked: Mapping[str, Any]) -> RowsValue:
    """The rows shown, and of the open one what the list doesn't hold: its whole text, its history, its partners."""
    project_id = at.project_id
    value: RowsValue = {
        "project": project_id,
        "seq": int(asked.get("seq") or 0),
        "rows": _shown(studio, at, asked),
    }
    row = studio.store.examples.get(str(asked.get("id") or ""))
    if row is not None and row.project_id == project_id:
        flags = dataset.flags(studio, project_id, [row.id]).get(row.id, [])
        others = studio.store.examples.get_many([flag.other_id for flag in flags if flag.other_id])
        value["detail"] = {
            "id": row.id,
            "version": row.version,
            "row": row_value(row, flags, at.language, cut=False),
            "timeline": timeline_value(dataset.timeline(studio, row.id)),
            "others": {other.id: row_value(other, cut=False) for other in others},
        }
    return value


def state_value(studio: Studio, at: Session, asked: Mapping[str, Any], reply: Reply) -> RowsValue:
    """The rows shown as they are now, the counts, and what became of what was asked."""
    rows = filter_from((asked.get("view") or {}).get("filter") or {})
    return {
        "project": at.project_id,
        "seq": int(asked.get("seq") or 0),
        "rows": _shown(studio, at, asked),
        "reply": reply,
        **_counts(studio, at.project_id, rows),
    }


def _sort(view: Mapping[str, Any]) -> Sort:
    return next((sort for sort in SORTS if sort == view.get("sort")), "newest")


def _shown(studio: Studio, at: Session, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    ids = [str(id_) for id_ in (asked.get("shown") or [])[:MOST_ROWS]]
    if not ids:
        return []
    rows = filter_from((asked.get("view") or {}).get("filter") or {})
    wanted = tuple(id_ for id_ in ids if not rows.ids or id_ in rows.ids)
    # Without a status asked for, the bin is left out; with ids alone it would not be.
    statuses: tuple[Status, ...] = rows.statuses or ("draft", "approved", "rejected")
    fitting = dataset.page(studio, at.project_id, replace(rows, ids=wanted, statuses=statuses), limit=len(ids))
    staying = {row.id for row in fitting} if wanted else set()
    found = [row for row in studio.store.examples.get_many(ids) if row.project_id == at.project_id]
    return _values(studio, at, found, gone={row.id for row in found} - staying)


def _values(
    studio: Studio, at: Session, rows: Sequence[Example], gone: frozenset[str] | set[str] = frozenset()
) -> list[dict[str, Any]]:
    flags = dataset.flags(studio, at.project_id, [row.id for row in rows])
    return [row_value(row, flags.get(row.id, []), at.language, gone=row.id in gone) for row in rows]


def _counts(studio: Studio, project_id: str, rows: RowFilter) -> RowsValue:
    """How many rows fit, and for each menu how many would with another choice in it."""
    facets = dataset.facets(studio, project_id, rows, MOST_HITS)
    counted = facets_value(facets, dataset.count(studio, project_id, RowFilter(statuses=("approved",))))
    for name in ("statuses", "authors", "sources", "splits", "flags"):
        if getattr(rows, name):
            others: dict[str, Any] = {name: ()}
            counted[name] = dataset.facets(studio, project_id, replace(rows, **others), MOST_HITS).as_dict()[name]
    return {
        "total": facets.total,
        "facets": counted,
        "goal": projects.get(studio, project_id).goal,
        "last": action_value(studio.store.actions.undoable(project_id)),
    }


# Changing


def status(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    dataset.set_status(studio, data["id"], data["status"], author, version=data["version"])
    return {"ok": True}


def edit(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    """What is named in `data` of: question, answer, status, tags, rating, note, learn_answer, learn (turn → yes)."""
    changes: dict[str, Any] = {k: data[k] for k in ("answer", "status", "tags", "note", "learn_answer") if k in data}
    if "rating" in data:
        changes["rating"] = data["rating"]
    if "question" in data:
        changes["prompt"] = data["question"]
    if "learn" in data:
        marks = {int(index): bool(learn) for index, learn in data["learn"].items()}
        turns = dataset.get(studio, data["id"]).messages
        changes["messages"] = [replace(turn, learn=marks.get(n, turn.learn)) for n, turn in enumerate(turns)]
    dataset.edit(studio, data["id"], data["version"], author=author, **changes)
    return {"ok": True}


def restore(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    current = dataset.get(studio, data["id"])
    if current.version != data["version"]:
        raise Conflict("The example was changed meanwhile.", current)
    dataset.restore(studio, data["id"], int(data["to"]), author)
    return {"ok": True}


def dismiss(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    dataset.dismiss_flag(studio, data["key"], author)
    return {"ok": True}


def settle(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    """Of two rows that can't both be right, reject one or neither; the finding is settled on both either way."""
    choices: Mapping[str, Literal["first", "second", "both"]] = {"this": "first", "that": "second", "both": "both"}
    if data["keep"] not in choices:
        raise InvalidInput(Phrase("There is no choice {choice!r}.", choice=data["keep"]))
    pair = (data["id"], data["other"])
    dataset.settle(studio, at.project_id, pair, data["key"], choices[data["keep"]], author)
    return {"ok": True}


def bulk(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    """The checked rows, or all that the filter shows."""
    if data.get("all"):
        rows = filter_from((data.get("view") or {}).get("filter") or {})
    else:
        rows = RowFilter(ids=tuple(map(str, data.get("ids") or ())))
        if not rows.ids:
            raise InvalidInput("No example is selected.", "Select some first.")
    if data["what"] == "tag":
        action = dataset.tag(
            studio, at.project_id, rows, data.get("add") or (), data.get("remove") or (), author=author
        )
    else:
        action = dataset.set_statuses(studio, at.project_id, rows, data["what"], author)
    return {"ok": True, **_did(action)}


def undo(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    action = dataset.undo(studio, at.project_id, author)
    shown = studio.store.examples.get_many([str(id_) for id_ in (data.get("shown") or [])[:MOST_ROWS]])
    changed = [row.id for row in shown if row.action_id == action.id]
    reply: Reply = {"ok": True, **_did(action)}
    return {**reply, "show": changed[0]} if changed else reply


def create(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    row = dataset.add(studio, at.project_id, data["question"], data["answer"], author)
    return {"ok": True, "show": row.id}


def set_goal(studio: Studio, at: Session, data: Mapping[str, Any], author: str) -> Reply:
    projects.update(studio, at.project_id, goal=max(0, min(int(data["goal"]), 1_000_000)))
    return {"ok": True}


def _did(action: Action) -> Reply:
    return {"action": action_value(action) or {}}


GESTURES: Mapping[str, Gesture] = {
    "status": status,
    "edit": edit,
    "restore": restore,
    "dismiss": dismiss,
    "settle": settle,
    "bulk": bulk,
    "undo": undo,
    "create": create,
    "goal": set_goal,
}
