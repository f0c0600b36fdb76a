"""Scans that are under way: each in a thread of its own, whose end depends on no browser."""

from __future__ import annotations

import itertools
import logging
import threading
from dataclasses import dataclass, field
from typing import Literal

from studio import quality
from studio.context import Studio
from studio.errors import Busy, Cancelled, StudioError

log = logging.getLogger(__name__)
_numbers = itertools.count(1)


@dataclass
class Scan:
    """One look at all rows of a project: where it stands, and what it found."""

    project_id: str
    number: int = field(default_factory=lambda: next(_numbers))
    state: Literal["running", "done", "cancelled", "failed"] = "running"
    share: float = 0.0
    what: str = "rows"
    """What is looked at now: a key of the words table."""
    error: str = ""
    found: quality.Scanned | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Scans:
    """The latest scan of each project, and the latest overview. An overview lives in memory only."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._scans: dict[str, Scan] = {}
        self._overviews: dict[str, tuple[int, quality.Overview]] = {}

    def latest(self, project_id: str) -> Scan | None:
        return self._scans.get(project_id)

    def overview(self, project_id: str) -> tuple[int, quality.Overview] | None:
        """The number of the scan that made it, and the overview."""
        return self._overviews.get(project_id)

    def start(self, project_id: str, *, with_flags: bool = True) -> Scan:
        """Begin to look for flags, then make the overview; without flags the overview alone.

        Raises:
            Busy: this project is being looked at already.
        """
        with self._lock:
            latest = self._scans.get(project_id)
            if latest is not None and latest.state == "running":
                raise Busy("These examples are being looked at already.", "Wait for the end, or cancel it.")
            scan = self._scans[project_id] = Scan(project_id)
        threading.Thread(target=self._run, args=(scan, with_flags), name="scan", daemon=True).start()
        return scan

    def cancel(self, project_id: str) -> None:
        scan = self._scans.get(project_id)
        if scan is not None:
            scan.cancelled.set()

    def _run(self, scan: Scan, with_flags: bool) -> None:
        try:
            self._look(scan, with_flags)
            scan.state = "done"
        except Cancelled:
            scan.state = "cancelled"
        except StudioError as error:
            scan.error, scan.state = str(error), "failed"
        except Exception as error:
            if not self._studio.closing.is_set():
                log.exception("A scan failed")
            scan.error, scan.state = str(error), "failed"

    def _look(self, scan: Scan, with_flags: bool) -> None:
        split = 0.85 if with_flags else 0.0

        def flags(share: float, what: str) -> None:
            self._tick(scan, split * share, what)

        def topics(share: float, what: str) -> None:
            self._tick(scan, split + (1 - split) * share, what)

        if with_flags:
            scan.found = quality.scan_project(self._studio, scan.project_id, flags, scan.cancelled)
        overview = quality.overview(self._studio, scan.project_id, topics, scan.cancelled)
        self._overviews[scan.project_id] = scan.number, overview

    def _tick(self, scan: Scan, share: float, what: str) -> None:
        scan.share = share
        scan.what = what if what != "done" else scan.what
        if self._studio.closing.is_set():
            scan.cancelled.set()
