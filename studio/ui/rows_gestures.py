"""What each gesture of the table of rows does: one call of a use case each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from studio import dataset, projects
from studio.errors import Conflict, InvalidInput, StudioError
from studio.records import Example
from studio.rows import RowFilter
from studio.ui import rows_view
from studio.ui.session import Desk, Session

Sent = Mapping[str, Any]


def act(desk: Desk, at: Session, author: str, sent: Sent) -> dict[str, Any]:
    """Do what the page asks, and show the rows as they are then.

    A refusal is part of the answer: the page keeps what was typed, and knows which gesture it belongs to.
    """
    view, open_id = dict(sent.get("view") or {}), sent.get("open")
    ack: dict[str, Any] = {"number": sent.get("number")}
    try:
        gesture = _GESTURES.get(str(sent.get("what")))
        if gesture is None:
            raise InvalidInput("The page asked for something unknown.", "Reload it.")
        gesture(desk, at, author, sent)
        if "next" in sent:
            open_id = sent["next"]
            if sent.get("at_end"):
                view["page"] = int(view.get("page") or 0) + 1
                open_id = rows_view.first_id(desk, at, view) or open_id
    except Conflict as error:
        ack |= {"error": str(error), "conflict": _theirs(error.current)}
    except StudioError as error:
        ack["error"] = str(error)
    return rows_view.value(desk, at, view, open_id, ack)


def _theirs(row: object) -> dict[str, Any] | None:
    if not isinstance(row, Example):
        return None
    return {"answer": row.answer, "question": row.question, "version": row.version, "author": row.author}


def _look(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    """Nothing changes: another page, filter or row is looked at."""


def _meant(at: Session, sent: Sent) -> RowFilter:
    """The rows of a bulk action."""
    if sent.get("all"):
        return rows_view.filter_of(sent.get("view") or {})
    ids = tuple(map(str, sent.get("ids") or ()))
    if not ids:
        raise InvalidInput("No row was chosen.", "Tick some rows first.")
    return RowFilter(ids=ids)


def _own(desk: Desk, at: Session, sent: Sent, key: str = "id") -> Example:
    """The row a gesture names, if it is of this project."""
    row = dataset.get(desk.studio, str(sent.get(key)))
    if row.project_id != at.project_id:
        raise InvalidInput("This example belongs to another project.", "Reload the page.")
    return row


def _status(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    dataset.set_status(desk.studio, _own(desk, at, sent).id, sent["status"], author, sent.get("version"))


def _edit(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    row = _own(desk, at, sent)
    dataset.edit(
        desk.studio,
        row.id,
        sent.get("version"),
        messages=rows_view.turns_of(sent.get("messages") or (), row),
        answer=str(sent.get("answer", "")),
        learn_answer=bool(sent.get("learn_answer", True)),
        author=author,
    )


def _tags(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    dataset.edit(desk.studio, _own(desk, at, sent).id, tags=_names(sent.get("tags") or ()), author=author)


def _names(tags: Any) -> list[str]:
    parts = re.split(r"[,、]", tags) if isinstance(tags, str) else [str(tag) for tag in tags]
    return [part.strip() for part in parts if part.strip()]


def _rating(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    row = _own(desk, at, sent)
    if row.rating != sent.get("rating"):
        dataset.edit(desk.studio, row.id, rating=sent.get("rating"), author=author)


def _note(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    dataset.edit(desk.studio, _own(desk, at, sent).id, note=str(sent.get("note", "")), author=author)


def _status_all(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    dataset.set_statuses(desk.studio, at.project_id, _meant(at, sent), sent["status"], author)


def _tag_all(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    """Typed as "new, -old": a minus takes a tag away."""
    names = _names(sent.get("tags") or "")
    add = [name for name in names if not name.startswith("-")]
    remove = [name[1:] for name in names if name.startswith("-")]
    dataset.tag(desk.studio, at.project_id, _meant(at, sent), add, remove, author)


def _undo(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    dataset.undo(desk.studio, at.project_id, author)


def _restore(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    dataset.restore(desk.studio, _own(desk, at, sent).id, int(sent["version"]), author)


def _dismiss(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    dataset.dismiss_flag(desk.studio, str(sent["key"]), author)


def _settle(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    """Of two rows that contradict each other one is kept; the other is rejected."""
    with desk.studio.store.transaction():
        dataset.set_status(desk.studio, _own(desk, at, sent, "drop").id, "rejected", author)
        dataset.dismiss_flag(desk.studio, str(sent["key"]), author)


def _goal(desk: Desk, at: Session, author: str, sent: Sent) -> None:
    projects.update(desk.studio, at.project_id, goal=max(0, int(sent.get("goal") or 0)))


_GESTURES: Mapping[str, Callable[[Desk, Session, str, Sent], None]] = {
    "look": _look,
    "open": _look,
    "status": _status,
    "edit": _edit,
    "tags": _tags,
    "rating": _rating,
    "note": _note,
    "status_all": _status_all,
    "tag_all": _tag_all,
    "undo": _undo,
    "restore": _restore,
    "dismiss": _dismiss,
    "settle": _settle,
    "goal": _goal,
}
