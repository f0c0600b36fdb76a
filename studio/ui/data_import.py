"""Rows come in from a file or from the Hub: looked at, set right, then added all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from studio import imports, sources
from studio.errors import InvalidInput
from studio.formats import FIELDS, Preview, Shape
from studio.sources import Source
from studio.ui import incoming
from studio.ui.session import QUIET, Desk, Session, author_of, guarded
from studio.ui.words import say, t
from studio.ui.work import Work, WorkPanel, panel

KIND = "import"
FILE_TYPES = [".json", ".jsonl", ".csv", ".tsv", ".parquet"]
META = ("tags", "status", "split", "rating", "note", "source", "author")
"""Fields that any shape may take from columns."""
TEXTS = tuple(dict.fromkeys(name for part in zip(*FIELDS.values(), strict=True) for names in part for name in names))
"""The fields of all shapes; first those that some shape needs."""


@dataclass(frozen=True)
class Incoming:
    """What is on screen to be imported, and how it is to be read."""

    source: Source
    shape: Shape | None = None
    """None: each row as its own columns say."""


@dataclass(frozen=True)
class ImportPart:
    file: gr.File
    named: gr.Textbox
    fetch: gr.Button
    preview: gr.Column
    about: gr.HTML
    shape: gr.Dropdown
    columns: Mapping[str, gr.Dropdown]
    """By our field: the column it is read from."""
    more: gr.Accordion
    table: gr.HTML
    approved: gr.Checkbox
    go: gr.Button
    panel: WorkPanel
    report: gr.HTML
    incoming: gr.State

    @property
    def looked(self) -> list[Any]:
        """What a look at a file fills."""
        return [self.incoming, self.preview, self.about, self.shape, self.table, self.go, *self.columns.values()]

    def wire(self, desk: Desk, session: gr.State, tab: gr.Tab) -> Any:
        """Wire the part, which is in `tab`; returns the event after which there may be more rows than before."""
        part = self

        @guarded
        def look(at: Session, file: str | None) -> tuple[Any, ...]:
            if not file:
                return _nothing()
            return *_look(desk, at, Incoming(Source(((None, Path(file)),)))), ""

        @guarded
        def choose(at: Session, now: Incoming | None, name: str) -> tuple[Any, ...]:
            if now is None:
                return (gr.skip(),) * len(part.looked)
            shape = next((Shape(known) for known in FIELDS if known == name), None)
            return _look(desk, at, replace(now, shape=shape))

        @guarded
        def arrange(at: Session, now: Incoming | None, name: str, *columns: str) -> tuple[Any, ...]:
            shape = _shape_of(name, dict(zip(part.columns, columns, strict=True)))
            if now is None or shape is None:
                return (gr.skip(),) * 3
            preview = imports.preview(desk.studio, now.source.first, shape)
            now = replace(now, shape=shape)
            return now, incoming.about_html(preview, now.source, at.language), incoming.table_html(preview, at.language)

        @guarded
        def fetch(at: Session, named: str) -> tuple[Any, ...]:
            if not named.strip():
                raise InvalidInput(say(at.language, "app.import.name_one"))
            studio = desk.studio
            desk.works.start(
                at.project_id,
                KIND,
                lambda work: sources.from_hub(studio, named, work.report, work.cancelled.is_set),
                studio.closing,
            )
            return part.panel.show(desk, at)

        @guarded
        def go(request: gr.Request, at: Session, now: Incoming | None, approve: bool) -> tuple[Any, ...]:
            if now is None:
                raise InvalidInput(say(at.language, "app.import.nothing"))
            author = author_of(request)
            desk.works.start(
                at.project_id,
                KIND,
                lambda work: _import(desk, at.project_id, now, approve, author, work),
                desk.studio.closing,
            )
            return part.panel.show(desk, at)

        @guarded
        def ended(at: Session | None, now: Incoming | None) -> tuple[Any, ...]:
            """What came of it: a dataset to look at, a report, or errors under what is still on screen."""
            kept = (gr.skip(),) * len(part.looked)
            work = desk.works.last(at.project_id, KIND) if at else None
            if at is None or work is None:
                return *kept, gr.skip(), ""
            if work.is_running:
                return *kept, gr.skip(), ""
            if isinstance(work.result, Source):
                return *_look(desk, at, Incoming(work.result)), gr.skip(), ""
            said = incoming.report_html(work.result, work.error, at.language)
            if work.error is not None:
                return *kept, gr.skip(), said
            return *_nothing()[:-1], None, said

        self.file.upload(look, [session, self.file], [*self.looked, self.report], **QUIET)
        self.file.clear(_nothing, None, [*self.looked, self.report], **QUIET)
        self.shape.input(choose, [session, self.incoming, self.shape], self.looked, **QUIET)
        gr.on(
            [dropdown.input for dropdown in self.columns.values()],
            arrange,
            [session, self.incoming, self.shape, *self.columns.values()],
            [self.incoming, self.about, self.table],
            **QUIET,
        )
        gr.on([self.fetch.click, self.named.submit], fetch, [session, self.named], self.panel.view, **QUIET)
        self.go.click(go, [session, self.incoming, self.approved], self.panel.view, **QUIET)
        self.panel.wire(desk, session, QUIET)
        for event in (session.change, tab.select):
            event(lambda at: part.panel.show(desk, at), [session], self.panel.view, **QUIET)
        self.panel.mark.change(lambda at: _is_running(desk, at), [session], [self.go, self.fetch], **QUIET)
        return self.panel.mark.change(ended, [session, self.incoming], [*self.looked, self.file, self.report], **QUIET)


def _is_running(desk: Desk, at: Session | None) -> tuple[Any, Any]:
    work = desk.works.last(at.project_id, KIND) if at else None
    is_free = work is None or not work.is_running
    return gr.update(interactive=is_free), gr.update(interactive=is_free)


def _import(desk: Desk, project_id: str, now: Incoming, approve: bool, author: str, work: Work) -> imports.ImportReport:
    return imports.import_files(
        desk.studio,
        project_id,
        now.source.files,
        shape=now.shape,
        approve=approve,
        author=author,
        source=now.source.name,
        progress=lambda done, total: work.report("importing" if done < total else "keeping", done, total),
        cancelled=work.cancelled,
    )


# Looking


def _nothing() -> tuple[Any, ...]:
    """No file on screen, and no report."""
    columns = (gr.update(),) * (len(TEXTS) + len(META))
    return None, gr.update(visible=False), "", gr.update(value=None), "", gr.update(), *columns, ""


def _look(desk: Desk, at: Session, now: Incoming) -> tuple[Any, ...]:
    """The first rows as they read, in the order of `ImportPart.looked`."""
    preview = imports.preview(desk.studio, now.source.first, now.shape)
    if now.shape is None and not preview.is_sure:
        # A guess, or nothing at all: what is on screen is what will be done.
        now = replace(now, shape=preview.shape)
    return (
        now,
        gr.update(visible=True),
        incoming.about_html(preview, now.source, at.language),
        gr.update(value=preview.shape.name if preview.shape else None),
        incoming.table_html(preview, at.language),
        gr.update(interactive=preview.shape is not None),
        *_columns(preview),
    )


def _columns(preview: Preview) -> list[Any]:
    """For each of our fields, the column it is read from; fields of other shapes are hidden."""
    shape = preview.shape
    fields = [name for part in FIELDS[shape.name] for name in part] if shape else []
    choices = [("—", ""), *((column, column) for column in preview.columns)]
    updates = []
    for name in (*TEXTS, *META):
        own = name if name in fields and name in preview.columns else ""
        value = shape.columns.get(name, own) if shape else ""
        updates.append(
            gr.update(choices=choices, value=value, visible=name in fields or (name in META and bool(fields)))
        )
    return updates


def _shape_of(name: str, columns: Mapping[str, str]) -> Shape | None:
    """The shape that the choices on screen describe."""
    known = next((known for known in FIELDS if known == name), None)
    if known is None:
        return None
    fields = [field for part in FIELDS[known] for field in part]
    changed = {field: columns[field] or "" for field in fields if (columns[field] or "") != field}
    return Shape(known, changed | {field: columns[field] for field in META if columns[field]})


def build(session: gr.State) -> ImportPart:
    gr.Markdown(t("app.import.title"), elem_classes="st-heading")
    file = gr.File(label=t("app.import.file"), file_types=FILE_TYPES, height=150, elem_id="import-file")
    with gr.Row(elem_classes="st-beside"):
        named = gr.Textbox(
            label=t("app.import.hub"), info=t("app.import.hub_info"), placeholder="hf:owner/name", elem_id="import-hub"
        )
        fetch = gr.Button(t("app.import.fetch"), size="sm", elem_id="import-fetch", min_width=90)
    with gr.Column(visible=False, elem_id="import-preview", elem_classes="st-card") as preview:
        about = gr.HTML("", elem_id="import-about", elem_classes="st-plain")
        shape = gr.Dropdown(
            [(t(f"app.import.shape.{name}"), name) for name in FIELDS],
            label=t("app.import.shape"),
            elem_id="import-shape",
        )
        with gr.Row(elem_classes="st-fields"):
            columns = {name: _column(name) for name in TEXTS}
        with gr.Accordion(t("app.import.more"), open=False) as more, gr.Row(elem_classes="st-fields"):
            columns |= {name: _column(name) for name in META}
        table = gr.HTML("", elem_id="import-table", elem_classes="st-plain")
        approved = gr.Checkbox(True, label=t("app.import.approved"), info=t("app.import.approved_info"))
        go = gr.Button(t("app.import.go"), variant="primary", elem_id="import-go")
    shown = panel(KIND)
    report = gr.HTML("", elem_id="import-report", elem_classes="st-plain")
    kept = gr.State(None)
    return ImportPart(
        file, named, fetch, preview, about, shape, columns, more, table, approved, go, shown, report, kept
    )


def _column(name: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], label=t(f"app.import.field.{name}"), visible=False, elem_id=f"import-column-{name}", min_width=150
    )
