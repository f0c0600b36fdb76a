"""The conversation on the screen: answers with their verdicts, and the editor that corrects them in place."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from studio.ui.component import ScriptedHTML

Verdict = Literal["accepted", "corrected", "rejected"]


class Correction(TypedDict, total=False):
    """`html` is optional: without it the corrected text is shown as plain text."""

    text: str
    reason: str
    note: str
    html: str


class Siblings(TypedDict):
    """Position among the alternatives to a message, counted from 1."""

    index: int
    count: int


class Notice(TypedDict):
    """What the saved answer is beside another row; `open` is the label of the way to the two (`ids`)."""

    kind: str
    text: str
    ids: list[str]
    open: str


class Message(TypedDict, total=False):
    """One message; only `id`, `role` and `text` or `html` are required.

    `attempt` is any number that differs from one failed save to the next: without it the browser can't tell a second
    refusal in the same words from the first.
    """

    id: str
    role: Literal["user", "assistant"]
    text: str
    html: str
    label: str
    verdict: Verdict | None
    reason: str | None
    correction: Correction | None
    siblings: Siblings | None
    streaming: bool
    error: str | None
    attempt: int
    side: Literal["left", "right"] | None
    notices: list[Notice]


class Empty(TypedDict):
    """What a conversation without messages shows."""

    title: str
    body: str
    suggestions: list[str]


class ThreadValue(TypedDict, total=False):
    """The whole of what the component shows."""

    messages: list[Message]
    busy: bool
    empty: Empty | None


class Thread(ScriptedHTML):
    """A chat thread whose every answer can be accepted, corrected in place, rejected or asked again."""

    scripts = ("diff.js", "drafts.js", "editor.js", "message.js", "thread.js")
    css_class = "st-thread"
    word_prefix = "app.thread."
    gestures = ("accept", "correct", "reject", "retry", "page", "edit", "undo", "suggest", "noticed")

    def __init__(self, value: ThreadValue | None = None, **kwargs: Any) -> None:
        super().__init__(value or {"messages": [], "busy": False, "empty": None}, **kwargs)
