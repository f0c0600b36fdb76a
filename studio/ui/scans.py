"""Scans of whole projects: in a thread each, with the overview that follows. An overview lives in memory only."""

from __future__ import annotations

from typing import Any

from studio import quality
from studio.errors import Cancelled
from studio.ui.session import Desk
from studio.ui.told import error_text
from studio.ui.work import Work

KIND = "scan"
PARTS = 1000
"""What a scan is divided into, to say how far it is."""
FLAGS = 0.85
"""Share of the time that goes to flags; the rest to the overview."""


class Scans:
    """The latest scan of each project, and the latest overview."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._overviews: dict[str, tuple[int, quality.Overview]] = {}

    def overview(self, project_id: str) -> tuple[int, quality.Overview] | None:
        """The number of the work that made it, and the overview."""
        return self._overviews.get(project_id)

    def latest(self, project_id: str) -> Work | None:
        return self._desk.works.last(project_id, KIND)

    def start(self, project_id: str, *, with_flags: bool = True) -> Work:
        """Begin to look for flags, then make the overview; without flags the overview alone.

        Raises:
            Busy: this project is being looked at already.
        """

        def look(work: Work) -> quality.Scanned | None:
            return self._look(work, project_id, with_flags)

        return self._desk.works.start(project_id, KIND, look, self._desk.studio.closing)

    def cancel(self, project_id: str) -> None:
        if work := self.latest(project_id):
            work.cancelled.set()

    def value(self, project_id: str, language: str) -> dict[str, Any] | None:
        """The latest scan as the browser takes it."""
        work = self.latest(project_id)
        if work is None:
            return None
        return {
            "number": work.number,
            "state": _state(work),
            "share": work.done / PARTS,
            "what": work.stage or "rows",
            "error": error_text(language, work.error) if work.error else "",
            "rows": work.result.rows if work.result else None,
        }

    def _look(self, work: Work, project_id: str, with_flags: bool) -> quality.Scanned | None:
        studio, before = self._desk.studio, FLAGS if with_flags else 0.0

        def flags(share: float, what: str) -> None:
            _report(work, before * share, what)

        def topics(share: float, what: str) -> None:
            _report(work, before + (1 - before) * share, what)

        found = quality.scan_project(studio, project_id, flags, work.cancelled) if with_flags else None
        self._overviews[project_id] = work.number, quality.overview(studio, project_id, topics, work.cancelled)
        return found


def _report(work: Work, share: float, what: str) -> None:
    work.report(what if what != "done" else work.stage, round(PARTS * share), PARTS)


def _state(work: Work) -> str:
    if work.is_running:
        return "stopping" if work.cancelled.is_set() else "running"
    if isinstance(work.error, Cancelled):
        return "cancelled"
    return "failed" if work.error else "done"
