"""The strip above every tab: what there is to train on, how training goes, what the last lesson brought."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from studio.ui.component import ScriptedHTML

State = Literal["idle", "ready", "training", "checking", "live", "failed", "loading"]


class Action(TypedDict, total=False):
    """One button; `confirm` is a question asked in the strip before the event is sent."""

    event: Literal["train", "cancel", "undo", "retry", "sample", "details"]
    label: str
    primary: bool
    confirm: str | None


class LoopValue(TypedDict, total=False):
    """The whole of what the strip shows; `progress` runs from 0 to 1, None where it isn't known."""

    state: State
    badge: str | None
    headline: str
    detail: str
    hint: str
    progress: float | None
    actions: list[Action]


class LoopBar(ScriptedHTML):
    """The loop bar: one sentence, a slim progress bar, at most a few buttons."""

    scripts = ("loop_bar.js",)
    css_class = "st-loop"
    word_prefix = "app.loop."
    gestures = ("train", "cancel", "undo", "retry", "sample", "details")

    def __init__(self, value: LoopValue | None = None, **kwargs: Any) -> None:
        super().__init__(value or {"state": "idle", "headline": "", "detail": "", "actions": []}, **kwargs)
