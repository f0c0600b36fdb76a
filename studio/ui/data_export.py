"""Rows leave: in a format, approved ones or what the table shows, read again before anyone calls it verified; and on to
the Hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import dataset, exports, projects
from studio.errors import InvalidInput
from studio.exports import Exported
from studio.formats import FormatName
from studio.rows import RowFilter
from studio.ui import outgoing
from studio.ui.session import QUIET, Desk, Session, guarded
from studio.ui.words import say, t
from studio.ui.work import Work, WorkPanel, panel

KIND, PUSH = "export", "push"
FORMATS: tuple[FormatName, ...] = (
    "trl-messages", "trl-prompt-completion", "trl-dpo", "trl-kto", "openai", "alpaca", "sharegpt", "csv", "parquet",
    "hf",
)  # fmt: skip
LICENCES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "other")
"""The Hub's own names of the commonest; any other can be typed."""


@dataclass(frozen=True)
class ExportPart:
    tab: gr.Tab
    format: gr.Radio
    scope: gr.Radio
    plain: gr.Checkbox
    licence: gr.Dropdown
    count: gr.HTML
    go: gr.Button
    panel: WorkPanel
    result: gr.HTML
    push: gr.Column
    dataset_id: gr.Textbox
    private: gr.Checkbox
    push_go: gr.Button
    push_panel: WorkPanel
    pushed: gr.HTML

    def wire(self, desk: Desk, session: gr.State, shown: gr.State, stamp: gr.State) -> None:
        """`shown` holds the filter of the table; `stamp` changes with the rows."""
        part = self
        choice = [session, self.format, self.scope, shown]

        @guarded
        def count(at: Session | None, format_: FormatName, scope: str, rows: RowFilter) -> tuple[Any, ...]:
            if at is None:
                return gr.skip(), gr.skip()
            wanted = _wanted(format_, scope, rows)
            facets = dataset.facets(desk.studio, at.project_id, wanted)
            return (
                outgoing.count_html(facets, format_, is_all=wanted == RowFilter(), language=at.language),
                gr.update(visible=format_ == "hf"),
            )

        @guarded
        def show(at: Session | None, *chosen: Any) -> tuple[Any, ...]:
            return *count(at, *chosen), *part.panel.show(desk, at), *part.push_panel.show(desk, at)

        @guarded
        def go(
            at: Session, format_: FormatName, scope: str, rows: RowFilter, plain: bool, licence: str | None
        ) -> tuple[Any, ...]:
            wanted = _wanted(format_, scope, rows)
            if not dataset.count(desk.studio, at.project_id, wanted):
                raise InvalidInput(say(at.language, "app.export.nothing"))

            def run(work: Work) -> Exported:
                return _export(desk, at.project_id, format_, wanted, plain, (licence or "").strip(), work)

            desk.works.forget(at.project_id, PUSH)
            desk.works.start(at.project_id, KIND, run, desk.studio.closing)
            return part.panel.show(desk, at) + part.push_panel.show(desk, at)

        @guarded
        def push(at: Session, dataset_id: str, private: bool) -> tuple[Any, ...]:
            made = _last(desk, at)
            if made is None:
                raise InvalidInput(say(at.language, "app.export.push_first"))
            studio = desk.studio
            desk.works.start(
                at.project_id,
                PUSH,
                lambda work: exports.push(
                    studio,
                    made.written,
                    dataset_id.strip(),
                    private=private,
                    progress=work.report,
                    cancelled=work.cancelled.is_set,
                ),
                studio.closing,
            )
            return part.push_panel.show(desk, at)

        for change in (self.format.change, self.scope.change, shown.change, stamp.change):
            change(count, choice, [self.count, self.licence], **QUIET)
        everything = [self.count, self.licence, *self.panel.view, *self.push_panel.view]
        for event in (session.change, self.tab.select):
            event(show, choice, everything, **QUIET)
        self.go.click(go, [*choice, self.plain, self.licence], [*self.panel.view, *self.push_panel.view], **QUIET)
        self.push_go.click(push, [session, self.dataset_id, self.private], self.push_panel.view, **QUIET)
        self.panel.wire(desk, session, QUIET)
        self.push_panel.wire(desk, session, QUIET)
        self.panel.mark.change(lambda at: _result(desk, at), [session], [self.result, self.push, self.go], **QUIET)
        self.push_panel.mark.change(lambda at: _pushed(desk, at), [session], [self.pushed, self.push_go], **QUIET)


def _wanted(format_: FormatName, scope: str, shown: RowFilter) -> RowFilter:
    return shown if scope == "shown" else exports.default_filter(format_)


def _export(
    desk: Desk, project_id: str, format_: FormatName, rows: RowFilter, plain: bool, licence: str, work: Work
) -> Exported:
    studio = desk.studio
    out = exports.target(studio, projects.get(studio, project_id), format_)
    return exports.export(
        studio,
        project_id,
        out,
        format_,
        rows,
        plain=plain,
        license=licence,
        # Each row goes by twice: once to be written, once to be compared.
        progress=lambda done, total: work.report("exporting" if 2 * done <= total else "comparing", done, total),
        cancelled=work.cancelled,
    )


def _last(desk: Desk, at: Session) -> Exported | None:
    """The last export of the project, if it is a dataset folder that can be pushed."""
    work = desk.works.last(at.project_id, KIND)
    made = work.result if work is not None and not work.is_running else None
    return made if isinstance(made, Exported) and made.is_verified and made.written.format == "hf" else None


def _result(desk: Desk, at: Session | None) -> tuple[Any, ...]:
    work = desk.works.last(at.project_id, KIND) if at else None
    if at is None or work is None:
        return "", gr.update(visible=False), gr.update(interactive=True)
    if work.is_running:
        return "", gr.update(visible=False), gr.update(interactive=False)
    made = work.result
    said = (
        outgoing.exported_html(made, desk.downloads, desk.studio.workspace.root, at.language)
        if isinstance(made, Exported)
        else outgoing.failed_html(work.error, at.language)
    )
    return said, gr.update(visible=_last(desk, at) is not None), gr.update(interactive=True)


def _pushed(desk: Desk, at: Session | None) -> tuple[Any, ...]:
    work = desk.works.last(at.project_id, PUSH) if at else None
    if at is None or work is None:
        return "", gr.update(interactive=True)
    if work.is_running:
        return "", gr.update(interactive=False)
    said = (
        outgoing.failed_html(work.error, at.language) if work.error else outgoing.pushed_html(work.result, at.language)
    )
    return said, gr.update(interactive=True)


def build(desk: Desk, session: gr.State, shown: gr.State, stamp: gr.State) -> ExportPart:
    """`shown` holds the filter of the table; `stamp` changes with the rows."""
    with gr.Tab(t("app.data.export"), id="export") as tab, gr.Row(elem_classes="st-columns"):
        with gr.Column(scale=3):
            gr.Markdown(t("app.export.title"), elem_classes="st-heading")
            format_ = gr.Radio(
                [(t(f"app.export.format.{name}"), name) for name in FORMATS],
                value="trl-messages",
                label=t("app.export.format"),
                elem_id="export-format",
                elem_classes="st-lines",
            )
        with gr.Column(scale=2):
            gr.Markdown(t("app.export.what"), elem_classes="st-heading")
            scope = gr.Radio(
                [(t("app.export.approved"), "approved"), (t("app.export.shown"), "shown")],
                value="approved",
                label=t("app.export.scope"),
                elem_id="export-scope",
                elem_classes="st-lines",
            )
            plain = gr.Checkbox(
                False, label=t("app.export.plain"), info=t("app.export.plain_info"), elem_id="export-plain"
            )
            licence = gr.Dropdown(
                list(LICENCES),
                value=None,
                allow_custom_value=True,
                visible=False,
                label=t("app.export.licence"),
                info=t("app.export.licence_info"),
                elem_id="export-licence",
            )
            count = gr.HTML("", elem_id="export-count", elem_classes="st-plain")
            go = gr.Button(t("app.export.go"), variant="primary", elem_id="export-go")
            work = panel(KIND)
            result = gr.HTML("", elem_id="export-result", elem_classes="st-plain")
            with gr.Column(visible=False, elem_classes="st-card", elem_id="export-push") as push:
                gr.Markdown(t("app.export.push_title"), elem_classes="st-heading")
                dataset_id = gr.Textbox(
                    label=t("app.export.push_id"),
                    info=t("app.export.push_info"),
                    placeholder="owner/name",
                    elem_id="export-push-id",
                )
                private = gr.Checkbox(True, label=t("app.export.private"), info=t("app.export.private_info"))
                push_go = gr.Button(t("app.export.push"), elem_id="export-push-go")
                push_work = panel(PUSH)
                pushed = gr.HTML("", elem_id="export-pushed", elem_classes="st-plain")
    made = ExportPart(
        tab, format_, scope, plain, licence, count, go, work, result, push, dataset_id, private, push_go, push_work,
        pushed,
    )  # fmt: skip
    made.wire(desk, session, shown, stamp)
    return made
