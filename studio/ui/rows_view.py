"""What the table of rows shows, read from the store; and what its gestures ask for, as values of the studio."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

from studio import dataset, projects
from studio.errors import InvalidInput
from studio.records import Example, Turn
from studio.rows import Action, Flag, RowFilter, Sort
from studio.ui.session import Desk, Session

PAGE = 25
SHOWN_TAGS = 50
_FIELDS = ("statuses", "flags", "tags", "splits", "sources", "authors")
_LONG = 400
"""Characters of a text in the table; the open row shows all."""


def filter_of(view: Mapping[str, Any]) -> RowFilter:
    """The filter of a view as the page keeps it.

    Raises:
        InvalidInput: a date can't be read.
    """
    lists: dict[str, Any] = {name: tuple(map(str, view.get(name) or ())) for name in _FIELDS}
    rating = view.get("least_rating")
    return RowFilter(
        text=str(view.get("text") or ""),
        least_rating=int(rating) if rating else None,
        since=_day(view.get("since")),
        until=_day(view.get("until")),
        **lists,
    )


def _day(text: Any) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date.", "Write it as 2026-01-31.") from error


def sort_of(view: Mapping[str, Any]) -> Sort:
    name = view.get("sort", "newest")
    return name if name in get_args(Sort) else "newest"


def value(
    desk: Desk, at: Session, view: Mapping[str, Any], open_id: str | None, ack: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One page of the rows a view shows, and the open row whole."""
    rows, store = filter_of(view), desk.studio.store
    facets = store.examples.facets(at.project_id, rows)
    last = max(0, (facets.total - 1) // PAGE)
    page = min(max(0, int(view.get("page") or 0)), last)
    found = store.examples.page(at.project_id, rows, sort_of(view), PAGE, page * PAGE)
    flags = store.flags.of(at.project_id, [example.id for example in found])
    project = projects.get(desk.studio, at.project_id)
    undo = store.actions.undoable(at.project_id)
    return {
        "view": {**view, "page": page, "sort": sort_of(view)},
        "rows": [_line(example, flags.get(example.id, ())) for example in found],
        "total": facets.total,
        "size": PAGE,
        "facets": {**facets.as_dict(), "tags": dict(list(facets.tags.items())[:SHOWN_TAGS])},
        "goal": {"done": store.examples.count(at.project_id, status="approved"), "goal": project.goal},
        "open": opened(desk, at, open_id, facets.tags) if open_id else None,
        "undo": {"kind": undo.kind, "rows": undo.rows} if undo else None,
        "ack": dict(ack or {}),
    }


def first_id(desk: Desk, at: Session, view: Mapping[str, Any]) -> str | None:
    """The first row of a view's page."""
    offset = int(view.get("page") or 0) * PAGE
    found = desk.studio.store.examples.page(at.project_id, filter_of(view), sort_of(view), 1, offset)
    return found[0].id if found else None


def _line(example: Example, flags: Sequence[Flag]) -> dict[str, Any]:
    return {
        "id": example.id,
        "question": example.question[:_LONG],
        "answer": example.answer[:_LONG],
        "turns": sum(turn.role == "user" for turn in example.messages),
        "status": example.status,
        "tags": list(example.tags),
        "flags": list(dict.fromkeys(flag.kind for flag in flags)),
        "rating": example.rating,
        "split": _side(example),
        "source": example.source,
        "author": example.author,
        "changed": example.created_at.isoformat(),
    }


def _side(example: Example) -> str:
    return "aside" if example.aside else example.split


def opened(desk: Desk, at: Session, example_id: str, known_tags: Mapping[str, int]) -> dict[str, Any] | None:
    """A row with its turns, flags and history; None if it doesn't exist or belongs elsewhere."""
    example = desk.studio.store.examples.get(example_id)
    if example is None or example.project_id != at.project_id:
        return None
    flags = desk.studio.store.flags.of(at.project_id, [example_id]).get(example_id, [])
    others = {e.id: e for e in desk.studio.store.examples.get_many([f.other_id for f in flags if f.other_id])}
    return {
        **_line(example, flags),
        "version": example.version,
        "question": example.question,
        "answer": example.answer,
        "messages": [_turn(turn) for turn in example.messages],
        "learn_answer": example.learn_answer,
        "answer_tools": _tools(example.turns[-1]),
        "rejected": example.rejected,
        "note": example.note,
        "known_tags": list(known_tags)[:SHOWN_TAGS],
        "flags": [_flag(flag, others) for flag in flags],
        "timeline": [_entry(*entry) for entry in dataset.timeline(desk.studio, example_id)],
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role, "content": turn.content, "learn": turn.learn, "tools": _tools(turn)}


def _tools(turn: Turn) -> str:
    calls = turn.extra.get("tool_calls")
    return json.dumps(calls, ensure_ascii=False, indent=1) if calls else ""


def _flag(flag: Flag, others: Mapping[str, Example]) -> dict[str, Any]:
    other = others.get(flag.other_id or "")
    return {
        "key": flag.key,
        "kind": flag.kind,
        "reason": flag.reason,
        "field": flag.field,
        "span": list(flag.span) if flag.span else None,
        "other": {"id": other.id, "question": other.question, "answer": other.answer} if other else None,
    }


def _entry(version: Example, action: Action | None) -> dict[str, Any]:
    text = "\n".join(f"{turn.role}: {turn.content}" for turn in version.turns)
    return {
        "version": version.version,
        "kind": action.kind if action else "created",
        "author": action.author if action else version.author,
        "detail": action.detail if action else "",
        "at": version.created_at.isoformat(),
        "text": text,
        "status": version.status,
        "tags": list(version.tags),
        "rating": version.rating,
        "note": version.note,
    }


def turns_of(sent: Sequence[Mapping[str, Any]], row: Example) -> tuple[Turn, ...]:
    """The turns of a row with the texts and marks the page sent back; what else they hold stays.

    Raises:
        InvalidInput: they are not this row's turns.
    """
    if [turn.get("role") for turn in sent] != [turn.role for turn in row.messages]:
        raise InvalidInput("These turns are not this example's.", "Reload the page.")
    return tuple(
        Turn(old.role, str(new.get("content", "")), bool(new.get("learn")), old.extra)
        for new, old in zip(sent, row.messages, strict=True)
    )
