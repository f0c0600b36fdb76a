"""What every command shares: opening the studio, printing an answer as text or as JSON, showing progress, Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from studio.settings import Settings


def print_value(options: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str) if options.json else text)


@contextlib.contextmanager
def opened(settings: Settings, purpose: str, *, with_model: bool = False) -> Iterator[Any]:
    """An open studio that is closed again, with the model loaded if asked for."""
    from studio.context import open_studio

    studio = open_studio(settings, purpose)
    try:
        if with_model:
            studio.load_engine(progress_bar())
        yield studio
    finally:
        studio.close()


def project_of(studio: Any, options: argparse.Namespace) -> Any:
    from studio import projects

    return projects.by_name(studio, options.project)


def filter_of(options: argparse.Namespace, default: Any) -> Any:
    """The filter the options name, with the statuses of `default` where they name none."""
    from studio.rows import RowFilter

    return RowFilter(
        text=options.search,
        statuses=tuple(options.status or default.statuses),
        tags=tuple(options.tag or ()),
        authors=tuple(options.by or ()),
        sources=tuple(options.source or ()),
        splits=tuple(options.split or ()),
        flags=tuple(options.flag or ()),
        least_rating=options.rating,
        since=options.since,
        until=options.until,
    )


@contextlib.contextmanager
def stoppable() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that work ends where nothing is left half done; a second one interrupts
    it wherever it is."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        print("Stopping …", file=sys.stderr)
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def tenths(done_what: str) -> Callable[[int, int], None]:
    """Says on standard error when another tenth of the work is done; of work that is done at once, nothing."""
    shown = 0

    def show(done: int, total: int) -> None:
        nonlocal shown
        tenth = 10 * done // max(1, total)
        if shown < tenth < 10 or (tenth == 10 and 0 < shown < 10):
            shown = tenth
            print(f"{10 * tenth:3} % {done_what}", file=sys.stderr, flush=True)

    return show


def progress_bar() -> Callable[[str, int, int], None]:
    """A line on standard error that shows stage and megabytes; a line per stage where that is not a terminal."""
    seen: dict[str, float] = {}

    def show(stage: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            if stage not in seen:
                seen[stage] = 0
                print(stage, file=sys.stderr)
            return
        moment = time.monotonic()
        if stage in seen and moment - seen[stage] < 0.1 and done < total:
            return
        seen[stage] = moment
        share = done / total if total else 0
        bar = "█" * round(30 * share) + "░" * (30 - round(30 * share)) if total else ""
        size = f" {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else ""
        print(f"\r\033[K{stage} {bar}{size}", end="" if total and done < total else "\n", file=sys.stderr, flush=True)

    return show
