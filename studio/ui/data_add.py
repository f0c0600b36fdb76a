"""Rows come in: typed by hand, or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from studio import dataset, imports, projects
from studio.ui.session import QUIET, Desk, Session, author_of, guarded
from studio.ui.words import say, t


@dataclass(frozen=True)
class AddPart:
    question: gr.Textbox
    answer: gr.Textbox
    add: gr.Button
    file: gr.File
    approved: gr.Checkbox
    report: gr.Markdown
    format: gr.Radio

    def changed(self, desk: Desk, session: gr.State) -> list[Any]:
        """Wire the part; returns the events after which there are other rows than before."""

        @guarded
        def add_row(request: gr.Request, at: Session, question: str, answer: str) -> tuple[str, str]:
            dataset.add(desk.studio, at.project_id, question, answer, author_of(request))
            return "", ""

        @guarded
        def import_file(request: gr.Request, at: Session, file: str | None, approve: bool) -> tuple[Any, str]:
            if not file:
                return gr.skip(), gr.skip()
            report = imports.import_file(
                desk.studio, at.project_id, Path(file), approve=approve, author=author_of(request)
            )
            said = say(at.language, "app.examples.imported", added=report.added, skipped=report.skipped)
            return None, said

        @guarded
        def set_format(at: Session, wanted: str) -> str:
            projects.set_format(desk.studio, at.project_id, wanted)
            return wanted

        self.format.input(set_format, [session, self.format], self.format, **QUIET).failure(
            lambda at: format_of(desk, at), [session], self.format, **QUIET
        )
        return [
            self.add.click(add_row, [session, self.question, self.answer], [self.question, self.answer], **QUIET),
            self.file.upload(import_file, [session, self.file, self.approved], [self.file, self.report], **QUIET),
        ]


def format_of(desk: Desk, at: Session) -> str:
    return projects.get(desk.studio, at.project_id).format


def build(desk: Desk, session: gr.State) -> AddPart:
    with gr.Tab(t("app.data.add"), id="add"), gr.Row(elem_classes="st-columns"):
        with gr.Column():
            gr.Markdown(t("app.examples.add_title"), elem_classes="st-heading")
            question = gr.Textbox(label=t("app.chat.question"), lines=2, max_lines=6, elem_id="add-question")
            answer = gr.Textbox(label=t("app.chat.answer"), lines=3, max_lines=10, elem_id="add-answer")
            add = gr.Button(t("app.examples.add"), size="sm", variant="primary", elem_id="add-row")
        with gr.Column():
            gr.Markdown(t("app.examples.import_title"), elem_classes="st-heading")
            file = gr.File(
                label=t("app.examples.file"), file_types=[".json", ".jsonl"], height=160, elem_id="import-file"
            )
            approved = gr.Checkbox(True, label=t("app.examples.import_approved"))
            report = gr.Markdown("", elem_id="import-report")
        with gr.Column():
            gr.Markdown(t("app.examples.format_title"), elem_classes="st-heading")
            format_ = gr.Radio(
                [(t("app.examples.chat"), "chat"), (t("app.examples.instruction"), "instruction")],
                label=t("app.examples.format"),
                info=t("app.examples.format_info"),
                elem_id="project-format",
            )
    return AddPart(question, answer, add, file, approved, report, format_)
