"""What the studio's own components share: a static template that a script fills, and quiet event wiring."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.events import EventListener

from studio.ui import assets, words


class _WithoutStub(ComponentMeta):
    """Skips the one thing Gradio's metaclass does for a class without EVENTS: writing a .pyi beside its source."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        return ABCMeta.__new__(mcs, name, bases, attrs)


class ScriptedHTML(gr.HTML, metaclass=_WithoutStub):
    """A gr.HTML whose template never changes, so that focus, scrolling and half-typed text survive every update.

    Gradio re-renders a template only when the filled-in string differs; ours holds no placeholder. The scripts read
    `props.value` on each change and touch only the nodes that differ.
    """

    scripts: tuple[str, ...] = ()
    css_class = ""
    word_prefix = ""
    gestures: tuple[str, ...] = ()

    def __init__(self, value: Any = None, *, elem_classes: list[str] | str | None = None, **kwargs: Any) -> None:
        extra = [elem_classes] if isinstance(elem_classes, str) else list(elem_classes or [])
        ours = {
            "html_template": f'<div class="{self.css_class}"></div>',
            "js_on_load": assets.script("shared.js", *self.scripts),
            "apply_default_css": False,
            "elem_classes": list(dict.fromkeys([f"{self.css_class}-host", *extra])),
            "words": words.for_component(self.word_prefix),
        }
        # On `gr.skip()` and `gr.update()` Gradio builds the component again from what its first making was given.
        super().__init__(value, **{**kwargs, **ours})

    def listen(
        self, event: str, fn: Callable[..., Any] | None, inputs: Any = None, outputs: Any = None, **kw: Any
    ) -> Any:
        """Attach `fn` to one of the component's events with the defaults that suit a small gesture.

        `trigger_mode="multiple"` matters: Gradio's default drops a second event of a kind while the first is running,
        which would lose an Accept on one answer while another is being saved.

        Raises:
            ValueError: the component has no such event.
        """
        if event not in self.gestures:
            raise ValueError(f"{type(self).__name__} has no event {event!r}; it has {', '.join(self.gestures)}.")
        quiet: dict[str, Any] = {
            "trigger_mode": "multiple",
            "concurrency_limit": None,
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        # Not getattr(self, event): `page` is also a plain attribute of every Gradio block.
        return EventListener(event).listener(self, fn, inputs, outputs, **{**quiet, **kw})

    def __getattr__(self, name: str) -> Any:
        # gr.HTML looks for the name in the script, to offer it as an event; ours go through `listen`, and the search
        # through a long script would be made many times for every update.
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}

    def example_payload(self) -> Any:
        return {}

    def example_value(self) -> Any:
        return {}

    def preprocess(self, payload: Any) -> Any:
        return payload

    def postprocess(self, value: Any) -> Any:
        return value
