"""Rows come in: typed by hand, or from a file or the Hub (`data_import`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import dataset, projects
from studio.ui import data_import
from studio.ui.session import QUIET, Desk, Session, author_of, guarded
from studio.ui.words import t


@dataclass(frozen=True)
class AddPart:
    tab: gr.Tab
    question: gr.Textbox
    answer: gr.Textbox
    add: gr.Button
    format: gr.Radio
    importing: data_import.ImportPart

    def changed(self, desk: Desk, session: gr.State) -> list[Any]:
        """Wire the part; returns the events after which there are other rows than before."""

        @guarded
        def add_row(request: gr.Request, at: Session, question: str, answer: str) -> tuple[str, str]:
            dataset.add(desk.studio, at.project_id, question, answer, author_of(request))
            return "", ""

        @guarded
        def set_format(at: Session, wanted: str) -> str:
            projects.set_format(desk.studio, at.project_id, wanted)
            return wanted

        self.format.input(set_format, [session, self.format], self.format, **QUIET).failure(
            lambda at: format_of(desk, at), [session], self.format, **QUIET
        )
        return [
            self.add.click(add_row, [session, self.question, self.answer], [self.question, self.answer], **QUIET),
            self.importing.wire(desk, session, self.tab),
        ]


def format_of(desk: Desk, at: Session) -> str:
    return projects.get(desk.studio, at.project_id).format


def build(desk: Desk, session: gr.State) -> AddPart:
    with gr.Tab(t("app.data.add"), id="add") as tab, gr.Row(elem_classes="st-columns"):
        with gr.Column(scale=2):
            gr.Markdown(t("app.examples.add_title"), elem_classes="st-heading")
            question = gr.Textbox(label=t("app.chat.question"), lines=2, max_lines=6, elem_id="add-question")
            answer = gr.Textbox(label=t("app.chat.answer"), lines=3, max_lines=10, elem_id="add-answer")
            add = gr.Button(t("app.examples.add"), size="sm", variant="primary", elem_id="add-row")
            gr.Markdown(t("app.examples.format_title"), elem_classes="st-heading")
            format_ = gr.Radio(
                [(t("app.examples.chat"), "chat"), (t("app.examples.instruction"), "instruction")],
                label=t("app.examples.format"),
                info=t("app.examples.format_info"),
                elem_id="project-format",
                elem_classes="st-lines",
            )
        with gr.Column(scale=3):
            importing = data_import.build(session)
    return AddPart(tab, question, answer, add, format_, importing)
