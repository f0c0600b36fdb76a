"""The table of rows with the open row beside it: triage by keyboard, editing in place, filters, bulk changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from studio.records import Example
from studio.rows import Action, Facets, Flag, RowFilter, Sort
from studio.ui import words_reasons
from studio.ui.component import ScriptedHTML

CUT_AFTER = 6_000
"""Characters of a row that the list holds; the open row brings the rest."""
TIMELINE = 50
TIMELINE_CHARS = 200_000
_TUPLES = ("statuses", "tags", "authors", "sources", "splits", "flags", "ids")
SORTS: tuple[Sort, ...] = ("newest", "oldest", "changed", "longest", "shortest", "rating", "question")


class View(TypedDict, total=False):
    """What the table shows: `filter` has the fields of `RowFilter`, moments as ISO 8601 texts."""

    filter: dict[str, Any]
    sort: Sort
    offset: int
    limit: int


class Reply(TypedDict, total=False):
    """What became of the thing asked under the value's `seq`.

    `text` says why it was refused; `theirs` is the row as another person left it; `action` what was done;
    `show` a row to go to.
    """

    ok: bool
    id: str
    text: str
    theirs: dict[str, Any]
    action: dict[str, Any]
    show: str
    creating: bool


class RowsValue(TypedDict, total=False):
    """An answer to the browser.

    `rows` is always there: the page asked for (`page` is true), or the rows shown, as they are now. The rest is given
    where it may have changed.
    """

    project: str
    seq: int
    page: bool
    view: View
    rows: list[dict[str, Any]]
    total: int
    facets: dict[str, Any]
    goal: int
    last: dict[str, Any] | None
    detail: dict[str, Any]
    reply: Reply


class RowsTable(ScriptedHTML):
    """The rows of a project. Each gesture carries `seq`, `view`, `shown` (ids) and what it is about."""

    scripts = (
        "diff.js",
        "marked.js",
        "drafts.js",
        "rows_state.js",
        "rows_bar.js",
        "rows_list.js",
        "rows_open.js",
        "rows_edit.js",
        "rows.js",
    )
    css_class = "st-rows"
    word_prefix = "app.rows."
    gestures = (
        "page", "open", "status", "edit", "restore", "dismiss", "settle", "bulk", "undo", "create", "goal",
    )  # fmt: skip

    def __init__(self, value: RowsValue | None = None, **kwargs: Any) -> None:
        super().__init__(value or {}, **kwargs)


# Values as the browser reads and writes them


def filter_from(value: Mapping[str, Any]) -> RowFilter:
    """A filter as the browser wrote it; what it doesn't know is left out."""
    known: dict[str, Any] = {name: tuple(map(str, value[name])) for name in _TUPLES if value.get(name)}
    known |= {name: datetime.fromisoformat(value[name]) for name in ("since", "until") if value.get(name)}
    least = value.get("least_rating")
    return RowFilter(text=str(value.get("text") or ""), least_rating=int(least) if least else None, **known)


def row_value(
    row: Example, flags: Sequence[Flag] = (), language: str = "en", *, gone: bool = False, cut: bool = True
) -> dict[str, Any]:
    """A row for the table. A long one is cut, unless `cut` is false; `gone`: it no longer fits the filter."""
    is_cut = cut and sum(len(turn.content) for turn in row.turns) > CUT_AFTER
    turns = [turn.as_dict() for turn in row.turns]
    if is_cut:
        turns = [{**turn, "content": turn["content"][:500]} for turn in turns[-2:]]
    return {
        "id": row.id,
        "version": row.version,
        "status": row.status,
        "turns": [{"learn": False, **turn} for turn in turns],
        "question": turns[-2]["content"] if len(turns) > 1 else "",
        "answer": turns[-1]["content"],
        "rejected": None if is_cut else row.rejected,
        "learn_answer": row.learn_answer,
        "split": row.split,
        "aside": row.aside,
        "source": row.source,
        "author": row.author,
        "created_at": row.created_at.isoformat(),
        "tags": list(row.tags),
        "rating": row.rating,
        "note": row.note,
        "flags": [flag_value(flag, language) for flag in flags],
        "gone": gone,
        "cut": is_cut,
    }


def flag_value(flag: Flag, language: str) -> dict[str, Any]:
    return {
        "key": flag.key,
        "kind": flag.kind,
        "reason": words_reasons.say(flag.kind, flag.reason, language),
        "other_id": flag.other_id,
        "span": list(flag.span) if flag.span else None,
        "field": flag.field,
    }


def action_value(action: Action | None) -> dict[str, Any] | None:
    if action is None:
        return None
    return {
        "id": action.id,
        "kind": action.kind,
        "rows": action.rows,
        "detail": action.detail,
        "undoes": action.undoes,
    }


def facets_value(facets: Facets, approved: int) -> dict[str, Any]:
    """Counts for the menus; `approved` counts the whole project, for the goal."""
    return {**facets.as_dict(), "approved": approved}


def timeline_value(timeline: Sequence[tuple[Example, Action | None]]) -> list[dict[str, Any]]:
    """The versions of a row, newest first, as far as they fit one message."""
    entries: list[dict[str, Any]] = []
    chars = 0
    for row, action in timeline[:TIMELINE]:
        chars += len(row.question) + len(row.answer)
        if entries and chars > TIMELINE_CHARS:
            break
        entries.append(
            {
                "version": row.version,
                "kind": action.kind if action else "",
                "detail": action.detail if action else "",
                "author": row.author,
                "at": row.created_at.isoformat(),
                "status": row.status,
                "question": row.question,
                "answer": row.answer,
                "tags": list(row.tags),
                "rating": row.rating,
                "note": row.note,
                "split": row.split,
                "learns": [row.learn_answer, *(turn.learn for turn in row.messages)],
            }
        )
    return entries
