"""Rows come in from a file or from the Hub: looked at, set right, looked through, then added all of them or none; or
the good ones, if that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.formats import FIELDS
from studio.ui.importing import ENCODINGS, KIND, META, Changes, Importing, Incoming
from studio.ui.session import LATEST, QUIET, Desk, Session, author_of, guarded
from studio.ui.words import t
from studio.ui.work import WorkPanel, panel

FILE_TYPES = [".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet"]
TEXTS = tuple(dict.fromkeys(name for part in zip(*FIELDS.values(), strict=True) for names in part for name in names))
"""The fields of all shapes; first those that some shape needs."""


@dataclass(frozen=True)
class ImportPart:
    file: gr.File
    limit: gr.HTML
    named: gr.Textbox
    fetch: gr.Button
    panel: WorkPanel
    report: gr.HTML
    rest: gr.Button
    preview: gr.Column
    """What is to be imported, and the buttons."""
    reading: gr.Column
    """How it is read."""
    about: gr.HTML
    go: gr.Button
    approved: gr.Checkbox
    shape: gr.Dropdown
    encoding: gr.Dropdown
    columns: Mapping[str, gr.Dropdown]
    """By our field: the column it is read from."""
    more: gr.Accordion
    table: gr.HTML
    incoming: gr.State

    @property
    def choices(self) -> list[gr.Dropdown]:
        """How the file is to be read."""
        return [self.shape, self.encoding, *self.columns.values()]

    @property
    def seen(self) -> list[Any]:
        """What a look at a file may change."""
        return [
            *(self.incoming, self.preview, self.reading, self.about, self.table),
            *self.choices,
            *(self.approved, self.report, self.go, self.rest),
            *self.panel.view,
        ]

    def wire(self, desk: Desk, session: gr.State, tab: gr.Tab) -> Any:
        """Wire the part, which is in `tab`; returns the event after which there may be more rows than before."""
        steps, view = Importing(desk, self), self.panel.view

        def go(*, skip_bad: bool) -> Callable[..., Changes]:
            @guarded
            def start(
                request: gr.Request, at: Session, now: Incoming | None, approve: bool, *chosen: str | None
            ) -> Changes:
                return steps.start(at, now, chosen, approve, author_of(request), skip_bad=skip_bad)

            return start

        gr.on([self.file.upload, self.file.clear], guarded(steps.look), [session, self.file], self.seen, **LATEST)
        gr.on(
            [dropdown.input for dropdown in self.choices],
            guarded(steps.arrange),
            [session, self.incoming, *self.choices],
            self.seen,
            **LATEST,
        )
        gr.on([self.fetch.click, self.named.submit], guarded(steps.fetch), [session, self.named], view, **QUIET)
        # What is chosen counts, though the rows may not be shown like that yet.
        asked = [session, self.incoming, self.approved, *self.choices]
        self.go.click(go(skip_bad=False), asked, view, **QUIET)
        self.rest.click(go(skip_bad=True), asked, view, **QUIET)
        self.panel.wire(desk, session, QUIET)
        for event in (session.change, tab.select):
            event(steps.progress, [session], view, **QUIET)
            event(steps.limit, [session], self.limit, **QUIET)
        return self.panel.mark.change(
            guarded(steps.ended),
            [session, self.incoming, self.panel.mark],
            [*self.seen, self.file, self.fetch],
            **QUIET,
        )


def build(session: gr.State) -> ImportPart:
    gr.Markdown(t("app.import.title"), elem_classes="st-heading")
    file = gr.File(label=t("app.import.file"), file_types=FILE_TYPES, height=150, elem_id="import-file")
    limit = gr.HTML("", elem_id="import-limit", elem_classes="st-plain")
    with gr.Row(elem_classes="st-beside"):
        named = gr.Textbox(
            label=t("app.import.hub"), info=t("app.import.hub_info"), placeholder="hf:owner/name", elem_id="import-hub"
        )
        fetch = gr.Button(t("app.import.fetch"), size="sm", elem_id="import-fetch", min_width=90)
    shown = panel(KIND)
    with gr.Column(visible=False, elem_id="import-preview", elem_classes="st-card") as preview:
        about = gr.HTML("", elem_id="import-about", elem_classes="st-plain")
        with gr.Row(elem_classes="st-import-do"):
            approved = gr.Checkbox(
                False, label=t("app.import.approved"), info=t("app.import.approved_info"), elem_id="import-approved"
            )
            rest = gr.Button(t("app.import.go"), variant="primary", visible=False, elem_id="import-go-rest", size="md")
            go = gr.Button(t("app.import.go"), variant="primary", elem_id="import-go", size="md")
    # Beside the button, and there too when nothing is to be imported any more.
    report = gr.HTML("", elem_id="import-report", elem_classes="st-plain")
    with gr.Column(visible=False, elem_id="import-reading", elem_classes="st-card") as reading:
        with gr.Row(elem_classes="st-fields"):
            shape = gr.Dropdown(
                [(t(f"app.import.shape.{name}"), name) for name in FIELDS],
                label=t("app.import.shape"),
                elem_id="import-shape",
            )
            encoding = gr.Dropdown(
                [(t(f"app.import.encoding.{name}"), name) for name in ENCODINGS],
                label=t("app.import.encoding"),
                elem_id="import-encoding",
            )
        with gr.Row(elem_classes="st-fields"):
            columns = {name: _column(name) for name in TEXTS}
        with gr.Accordion(t("app.import.more"), open=False) as more, gr.Row(elem_classes="st-fields"):
            columns |= {name: _column(name) for name in META}
        table = gr.HTML("", elem_id="import-table", elem_classes="st-plain")
    kept = gr.State(None)
    return ImportPart(
        file,
        limit,
        named,
        fetch,
        shown,
        report,
        rest,
        preview,
        reading,
        about,
        go,
        approved,
        shape,
        encoding,
        columns,
        more,
        table,
        kept,
    )


def _column(name: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], label=t(f"app.import.field.{name}"), visible=False, elem_id=f"import-column-{name}", min_width=150
    )
