"""Split and snapshots: which side the rows stand on, and the frozen sets that runs trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from studio.ui import data_snapshots, data_split
from studio.ui.session import Desk
from studio.ui.words import t


def build(desk: Desk, session: gr.State, shown: gr.State, table: Sequence[Any]) -> None:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    with gr.Tab(t("app.data.sets"), id="sets"), gr.Column(elem_classes="st-sets"):
        data_split.build(desk, session, table)
        data_snapshots.build(desk, session, shown)
