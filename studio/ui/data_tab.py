"""The Data tab: the rows first, and behind them what is done with all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.rows import RowFilter
from studio.ui import (
    data_add,
    data_augment,
    data_export,
    data_learn,
    data_quality,
    data_rows,
    data_rules,
    data_sets,
)
from studio.ui.rows_table import RowsTable
from studio.ui.session import QUIET, Desk, Session
from studio.ui.words import t


@dataclass(frozen=True)
class DataTab:
    tab: gr.Tab
    rows: RowsTable
    shown: gr.State
    """The filter of the table (`RowFilter`): what "what is shown" means to the other parts."""
    parts: gr.Tabs
    stamp: gr.State
    """Changes with the rows: for parts that count them."""
    add: data_add.AddPart
    learn: data_learn.LearnBoard

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.rows, self.add.format, self.stamp]


def show(desk: Desk, at: Session) -> tuple[Any, ...]:
    """The rows as they are now, in the order of `DataTab.view`; the page asks for its own filter by itself."""
    page = data_rows.page_value(desk.studio, at)
    return page, data_add.format_of(desk, at), json.dumps([at.project_id, page["facets"], page["last"]])


def build(desk: Desk, session: gr.State) -> DataTab:
    with gr.Tab(t("app.data.tab"), id="data") as tab, gr.Column(elem_classes="st-datapage"):
        # Not directly within tabs: Gradio would count them as one, and show the next one's name twice.
        shown, stamp = gr.State(RowFilter()), gr.State("")
        with gr.Tabs(elem_classes="st-subtabs", elem_id="data-parts") as parts:
            with gr.Tab(t("app.data.rows"), id="rows"):
                rows = RowsTable(elem_id="rows")
            table = [rows, shown, parts]
            add = data_add.build(desk, session)
            data_quality.build(desk, session, table)
            learn = data_learn.build(desk, session, table)
            data_rules.build(desk, session, table)
            data_sets.build(desk, session, shown, table)
            data_augment.build(desk, session, shown, table)
            data_export.build(desk, session, shown, stamp)
    made = DataTab(tab, rows, shown, parts, stamp, add, learn)
    data_rows.wire(desk, session, rows, shown)
    for event in add.changed(desk, session):
        event.success(lambda at: show(desk, at), [session], made.view, **QUIET)
    return made
