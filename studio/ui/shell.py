"""The frame of the chat tab: two side panels that collapse on a desk and slide over the chat on a phone."""

from __future__ import annotations

from typing import Any

from studio.ui.component import ScriptedHTML


class PanelToggles(ScriptedHTML):
    """Buttons that open and close the side panels of the surrounding `.st-shell`; no server is asked.

    Value: `{"title": str}`, a heading between the two buttons, such as the conversation's name.
    """

    scripts = ("shell.js",)
    css_class = "st-toggles"
    word_prefix = "app.shell."

    def __init__(self, value: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(value or {"title": ""}, **kwargs)
