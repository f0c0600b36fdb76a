"""What one browser tab looks at, and the one boundary at which the studio's errors become Gradio's."""

from __future__ import annotations

import functools
import html
import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from studio import conversation, projects
from studio.context import Studio
from studio.errors import NotFound, StudioError, WorkError
from studio.ui.downloads import Downloads
from studio.ui.told import error_text
from studio.ui.work import Work, Works

log = logging.getLogger(__name__)

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""How nearly every event is wired: no veil over the page, not callable from outside, as many at once as come."""
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
"""The same for what somebody chooses: of several choices in a row the last one counts. By default Gradio drops what
comes while the one before is being worked on."""


@dataclass
class Page:
    """What one page of the browser shows now. What began earlier on the page knows only what it showed then."""

    session: Session | None = None
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Verdicts that could not be saved, by message id: why, until the next try."""


@dataclass(frozen=True)
class Session:
    """Ids only: the store holds the rest, so that any number of tabs agree."""

    project_id: str
    conversation_id: str | None = None
    language: str = "en"
    page: Page = field(default_factory=Page, repr=False, compare=False)

    @property
    def now(self) -> Session:
        """What the page shows by now."""
        return self.page.session or self

    def open(self) -> None:
        """From now on the page shows this."""
        self.page.session, self.page.refused = self, {}


@dataclass
class Desk:
    """What the tabs are handed: the studio, long work (an answer is one), and links to exports."""

    studio: Studio
    works: Works = field(default_factory=Works)
    asking: threading.Lock = field(default_factory=threading.Lock)
    """Held from the look whether a conversation is being answered until its next answer is begun."""

    @functools.cached_property
    def downloads(self) -> Downloads:
        return Downloads(self.studio.workspace.exports)

    def answer(self, conversation_id: str | None) -> Work | None:
        """The answer being written in a conversation, or how the last one ended."""
        return self.works.last(conversation_id or "", "answer")

    def stop(self, conversation_id: str | None) -> None:
        if work := self.answer(conversation_id):
            work.cancelled.set()


def language_of(request: gr.Request | None) -> str:
    """`ja` if the browser prefers Japanese, else `en`."""
    accepted = request.headers.get("accept-language", "") if request is not None else ""
    return "ja" if accepted.lower().startswith("ja") else "en"


def author_of(request: gr.Request | None) -> str:
    """The name someone logged in with; empty on a private app."""
    return str(getattr(request, "username", None) or "")


def open_session(studio: Studio, remembered: dict[str, Any] | None, request: gr.Request) -> Session:
    """Where this browser was last time, as far as that still exists."""
    remembered = remembered or {}
    language = language_of(request)
    try:
        project = projects.get(studio, str(remembered.get("project")))
    except NotFound:
        return Session((studio.store.projects.last_used() or projects.default(studio)).id, None, language)
    try:
        found = conversation.get(studio, str(remembered.get("conversation")))
    except NotFound:
        return Session(project.id, None, language)
    return Session(project.id, found.id if found.project_id == project.id else None, language)


def with_conversation(studio: Studio, session: Session) -> Session:
    """The session with a conversation to write into; one is made when the first question is asked."""
    if session.conversation_id is not None:
        return session
    return replace(session, conversation_id=conversation.start(studio, session.project_id).id)


def as_gradio(error: StudioError, language: str = "en") -> gr.Error:
    # Gradio shows the text as HTML.
    return gr.Error(html.escape(error_text(language, error)), duration=12, print_exception=False)


def guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Show the studio's own errors, and any other as one sentence; the log has the rest. They are in the language of
    the session, if the handler is handed one."""

    def translate(error: Exception, arguments: tuple[Any, ...]) -> gr.Error:
        if isinstance(error, gr.Error):
            return error
        if not isinstance(error, StudioError):
            log.error("A handler failed", exc_info=error)
            error = WorkError("Something went wrong.", "Nothing was changed. The log has the details.")
        return as_gradio(error, next((a.language for a in arguments if isinstance(a, Session)), "en"))

    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generate(*arguments: Any, **named: Any) -> Iterator[Any]:
            try:
                yield from handler(*arguments, **named)
            except Exception as error:
                raise translate(error, arguments) from error

        return generate

    @functools.wraps(handler)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return handler(*arguments, **named)
        except Exception as error:
            raise translate(error, arguments) from error

    return call
