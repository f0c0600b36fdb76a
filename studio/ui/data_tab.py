"""The Data tab: the rows first, and behind them what is done with all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.ui import data_add, rows_gestures, rows_view
from studio.ui.rows_table import RowsTable
from studio.ui.session import QUIET, Desk, Session, author_of, guarded
from studio.ui.words import t


@dataclass(frozen=True)
class DataTab:
    tab: gr.Tab
    rows: RowsTable
    add: data_add.AddPart

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.rows, self.add.format]


def show(desk: Desk, at: Session, shown: dict[str, Any] | None = None) -> tuple[Any, ...]:
    """The rows as they are now, in the view the page had, in the order of `DataTab.view`."""
    shown = shown or {}
    opened = (shown.get("open") or {}).get("id")
    value = rows_view.value(desk, at, shown.get("view") or {}, opened)
    return value, data_add.format_of(desk, at)


def build(desk: Desk, session: gr.State) -> DataTab:
    with (
        gr.Tab(t("app.data.tab"), id="data") as tab,
        gr.Column(elem_classes="st-datapage"),
        gr.Tabs(elem_classes="st-subtabs", elem_id="data-parts"),
    ):
        with gr.Tab(t("app.data.rows"), id="rows"):
            rows = RowsTable(elem_id="rows")
        add = data_add.build(desk, session)
    made = DataTab(tab, rows, add)

    @guarded
    def act(request: gr.Request, event: gr.EventData, at: Session) -> dict[str, Any]:
        return rows_gestures.act(desk, at, author_of(request), event._data)

    rows.listen("act", act, [session], rows)
    for event in add.changed(desk, session):
        event.success(lambda at, shown: show(desk, at, shown), [session, rows], made.view, **QUIET)
    return made
