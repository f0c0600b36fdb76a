"""The rows of a project on the screen: a table, the open row, and the keys that go through them."""

from __future__ import annotations

from typing import Any

from studio.ui.component import ScriptedHTML


class RowsTable(ScriptedHTML):
    """A table that the server pages, filters and sorts, with the open row beside it.

    Its value is made by `rows_view.value`. Its one event, `act`, carries `number`, `what`, the present `view` and what
    the gesture needs; the answer's `ack` repeats the number, with an error's text if it failed.
    """

    scripts = ("diff.js", "row_card.js", "rows.js")
    css_class = "st-rows"
    word_prefix = "app.rows."
    gestures = ("act",)

    def __init__(self, value: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(value or {"rows": [], "total": 0, "facets": {}}, **kwargs)
