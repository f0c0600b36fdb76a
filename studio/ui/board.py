"""What the boards of the Data tab share: a gesture is one use case, answered with the board as it is then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from studio.context import Studio
from studio.errors import InvalidInput, StudioError
from studio.rows import RowFilter
from studio.ui.component import ScriptedHTML
from studio.ui.session import Desk, Session, author_of
from studio.ui.told import error_text
from studio.ui.words import say

log = logging.getLogger(__name__)

Asked = Mapping[str, Any]
"""What the browser sends: `seq`, the `project` it shows, its view, and what the gesture is about."""
Reply = Mapping[str, object]
"""What became of a gesture: `ok`, and `text` where it was refused; `undo` where it can be taken back."""
Gesture = Callable[[Studio, Session, Asked, str], Reply]
"""Handed the studio, who looks at what, what was asked, and the author."""
Value = Callable[[Studio, Session, Asked], dict[str, Any]]


class Board(ScriptedHTML):
    """A component that asks for its own value whenever it comes into sight, and again after each gesture."""


def wire(
    desk: Desk,
    session: gr.State,
    board: Board,
    gestures: Mapping[str, Gesture],
    value: Value,
    shown: gr.State | None = None,
) -> None:
    """`shown`: the filter of the table, if the board is to know it, as `rows` of what is asked."""
    for event in board.gestures:
        if event not in gestures:
            continue
        handle = _handler(desk, gestures[event], value)
        if shown is None:
            board.listen(event, handle, [session], board)
        else:
            board.listen(event, _with_rows(handle), [session, shown], board)


def _with_rows(handle: Callable[..., Any]) -> Callable[..., Any]:
    def handle_rows(at: Session | None, rows: RowFilter, request: gr.Request, event: gr.EventData) -> Any:
        event._data = {**event._data, "rows": rows}
        return handle(at, request, event)

    return handle_rows


def look(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """Nothing is changed."""
    return {"ok": True}


def _handler(desk: Desk, gesture: Gesture, value: Value) -> Callable[..., Any]:
    """The boundary at which errors become answers: the browser must know which of its gestures was refused."""

    def handle(at: Session | None, request: gr.Request, event: gr.EventData) -> Any:
        if at is None:
            return gr.skip()
        asked: Asked = event._data
        base = {"seq": int(asked.get("seq") or 0), "project": at.project_id}
        try:
            if gesture is not look:
                require_same(at, asked)
            reply = gesture(desk.studio, at, asked, author_of(request))
            return {**base, **value(desk.studio, at, asked), "reply": reply}
        except StudioError as error:
            return {
                **base,
                **_still(desk, at, asked, value),
                "reply": {"ok": False, "text": error_text(at.language, error)},
            }
        except Exception:
            log.exception("A gesture failed")
            return {**base, "reply": {"ok": False, "text": say(at.language, "app.rows.failed")}}

    return handle


def _still(desk: Desk, at: Session, asked: Asked, value: Value) -> dict[str, Any]:
    try:
        return value(desk.studio, at, asked)
    except StudioError:
        return {}


def is_same(at: Session, asked: Asked) -> bool:
    """Whether what was asked is about the project that is shown; else the browser starts anew."""
    return asked.get("project") in (None, at.project_id)


def require_same(at: Session, asked: Asked) -> None:
    """Raises:
    InvalidInput: what was asked is about another project than the one that is shown.
    """
    if not is_same(at, asked):
        raise InvalidInput("Another project was opened meanwhile.", "Look at this one first.")


def offset_of(asked: Asked, total: int, page: int) -> int:
    """Where a list's page begins: as asked, but not behind its end."""
    wanted = max(0, int(asked.get("offset") or 0))
    return min(wanted, max(0, total - 1)) // page * page
