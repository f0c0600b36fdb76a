"""Something long, in a thread of its own: started by a button, watched by any tab, cancelled by one. Its end doesn't
depend on a browser that stays open."""

from __future__ import annotations

import html
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.errors import Busy, StudioError, WorkError
from studio.ui.words import say, t

if TYPE_CHECKING:
    from studio.ui.session import Desk, Session

log = logging.getLogger(__name__)
LOOK_EVERY_S = 0.4
_numbers = itertools.count(1)


@dataclass
class Work:
    """One thing that goes on, or how it ended."""

    closing: threading.Event
    number: int = field(default_factory=lambda: next(_numbers))
    cancelled: threading.Event = field(default_factory=threading.Event)
    stage: str = ""
    """What is done now, in words of the use case."""
    done: int = 0
    total: int = 0
    """0: not known."""
    result: Any = None
    error: StudioError | None = None
    is_running: bool = True
    gives_way: bool = False
    """Whether it is stopped when another of its kind is started."""

    def report(self, stage: str, done: int, total: int) -> None:
        """How far it is, as `studio.transfer.Progress`; a studio that closes stops it here."""
        self.stage, self.done, self.total = stage, done, total
        if self.closing.is_set():
            self.cancelled.set()

    def run(self, target: Callable[[Work], Any]) -> None:
        try:
            self.result = target(self)
        except StudioError as error:
            # Where it came from would keep all that was at hand there.
            error.__cause__ = error.__context__ = None
            self.error = error.with_traceback(None)
        except Exception:
            log.exception("Something long failed")
            self.error = WorkError("Something went wrong.", "Nothing was changed. The log has the details.")
        finally:
            self.is_running = False

    @property
    def mark(self) -> str:
        """Which work it is, and whether it runs."""
        return f"{self.number} {self.is_running}"


class Works:
    """What goes on, and what was the last of its kind, by project (an answer: by conversation) and kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[tuple[str, str], Work] = {}

    def start(
        self,
        project_id: str,
        kind: str,
        target: Callable[[Work], Any],
        closing: threading.Event,
        *,
        gives_way: bool = False,
    ) -> Work:
        """Run `target` in a thread. It is to tell `Work.report` how far it is, and to look at `Work.cancelled`.

        Args:
            gives_way: it is only a look, and is stopped when another of its kind is started.

        Raises:
            Busy: one of that kind goes on in this project.
        """
        with self._lock:
            current = self._of.get((project_id, kind))
            if current is not None and current.is_running:
                if not current.gives_way:
                    raise Busy("This is going on already in this project.", "Wait until it is done, or cancel it.")
                current.cancelled.set()
            work = self._of[project_id, kind] = Work(closing, gives_way=gives_way)
        threading.Thread(target=work.run, args=(target,), name=kind, daemon=True).start()
        return work

    def stop(self, kind: str, wait_s: float) -> None:
        """Cancel all of a kind, and wait until they have kept what there is, but no longer than that."""
        with self._lock:
            running = [work for (_, kind_), work in self._of.items() if kind_ == kind and work.is_running]
        for work in running:
            work.cancelled.set()
        end = time.monotonic() + wait_s
        while any(work.is_running for work in running) and time.monotonic() < end:
            time.sleep(0.02)

    def last(self, project_id: str, kind: str) -> Work | None:
        return self._of.get((project_id, kind))

    def forget(self, project_id: str, kind: str) -> None:
        """Nothing is to be said any more of what ended."""
        with self._lock:
            current = self._of.get((project_id, kind))
            if current is not None and not current.is_running:
                del self._of[project_id, kind]


@dataclass(frozen=True)
class WorkPanel:
    """A bar that shows how far something is, with a button that stops it; nothing while nothing goes on."""

    kind: str
    bar: gr.HTML
    cancel: gr.Button
    timer: gr.Timer
    mark: gr.State
    """Which work is shown and whether it runs: its `change` is the moment to show what came of it."""

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.bar, self.cancel, self.timer, self.mark]

    def show(self, desk: Desk, at: Session | None) -> tuple[Any, ...]:
        if at is None:
            return (gr.skip(),) * 4
        work = desk.works.last(at.project_id, self.kind)
        if work is None:
            return "", gr.update(visible=False), gr.Timer(active=False), ""
        return (
            bar_html(work, at.language) if work.is_running else "",
            gr.update(visible=work.is_running),
            gr.Timer(active=work.is_running),
            work.mark,
        )

    def wire(self, desk: Desk, session: gr.State, quiet: dict[str, Any]) -> None:
        def stop(at: Session) -> None:
            if work := desk.works.last(at.project_id, self.kind):
                work.cancelled.set()

        self.cancel.click(stop, [session], None, **quiet)
        self.timer.tick(lambda at: self.show(desk, at), [session], self.view, **quiet)


def panel(kind: str) -> WorkPanel:
    with gr.Row(elem_classes="st-work-row"):
        bar = gr.HTML("", elem_id=f"{kind}-progress", elem_classes="st-work-host")
        cancel = gr.Button(t("app.data.cancel"), size="sm", visible=False, elem_id=f"{kind}-cancel", min_width=90)
    return WorkPanel(kind, bar, cancel, gr.Timer(LOOK_EVERY_S, active=False), gr.State(""))


def bar_html(work: Work, language: str) -> str:
    """A progress bar with what is done now above it."""
    stage = stage_word(work.stage, language)
    if work.cancelled.is_set():
        stage = say(language, "app.work.stopping")
    share = min(1.0, work.done / work.total) if work.total else None
    percent = f"{100 * share:.0f} %" if share is not None else ""
    now = f' aria-valuenow="{100 * share:.0f}"' if share is not None else ""
    width = f' style="width: {100 * share:.1f}%"' if share is not None else ""
    return (
        f'<div class="st-work{"" if share is not None else " st-unknown"}">'
        f'<div class="st-work-line"><span>{html.escape(stage)}</span><span class="st-number">{percent}</span></div>'
        f'<div class="st-track" role="progressbar" aria-valuemin="0" aria-valuemax="100"{now}'
        f' aria-label="{html.escape(stage)}"><div class="st-fill"{width}></div></div></div>'
    )


_STAGES = {
    "Asking the Hub": "asking",
    "Downloading": "downloading",
    "Reading": "reading",
    "Uploading": "uploading",
    "Committing": "committing",
    "checking": "checking",
    "importing": "importing",
    "keeping": "keeping",
    "exporting": "exporting",
    "comparing": "comparing",
}


def stage_word(stage: str, language: str) -> str:
    """A stage in the reader's language, as far as it is known."""
    return say(language, f"app.work.{_STAGES[stage]}") if stage in _STAGES else stage or say(language, "app.work.begin")
