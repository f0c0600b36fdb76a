"""Where the interface's scripts and styles lie, and how a component gets its script."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@cache
def script(*names: str) -> str:
    """Join script files into one `js_on_load` body; gr.HTML runs it as a function, so there is no module loading."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
