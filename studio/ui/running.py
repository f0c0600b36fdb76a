"""Long work as the boards of the Data tab show it: how far it is, how it ended, and a button that stops it."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from studio.context import Studio
from studio.errors import Cancelled, InvalidInput, Phrase
from studio.ui.board import Asked, Gesture, Reply
from studio.ui.session import Desk, Session
from studio.ui.told import error_text
from studio.ui.work import Work

SOON_S = 0.6
"""What is done within this time is answered at once, without a bar that only flickers."""


def settled_soon(work: Work) -> Work:
    """The work, after a moment in which most of it ends."""
    end = time.monotonic() + SOON_S
    while work.is_running and time.monotonic() < end:
        time.sleep(0.01)
    return work


def work_value(desk: Desk, at: Session, kind: str) -> dict[str, Any] | None:
    """What goes on or went on last, for `workRow` of running.js."""
    work = desk.works.last(at.project_id, kind)
    if work is None:
        return None
    was_stopped = isinstance(work.error, Cancelled)
    return {
        "number": work.number,
        "running": work.is_running,
        "stopping": work.is_running and work.cancelled.is_set(),
        "stage": work.stage,
        "done": work.done,
        "total": work.total,
        "cancelled": was_stopped or (not work.is_running and work.cancelled.is_set()),
        "error": error_text(at.language, work.error) if work.error is not None and not was_stopped else "",
    }


def cancel_gesture(desk: Desk, kinds: Collection[str]) -> Gesture:
    """Stops the work of the kind that was asked."""

    def cancel(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        kind = str(asked.get("kind"))
        if kind not in kinds:
            raise InvalidInput(Phrase("There is nothing of the kind {kind!r}.", kind=kind))
        if (work := desk.works.last(at.project_id, kind)) is not None:
            work.cancelled.set()
        return {"ok": True}

    return cancel
