"""The rows that were saved: look, search, approve, reject, edit, import."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from studio import dataset, projects
from studio.records import Example
from studio.ui.results import DiffView
from studio.ui.session import QUIET, Desk, Session, author_of, guarded
from studio.ui.words import say, t

PAGE = 25
HEADERS = ("app.chat.question", "app.chat.answer", "app.examples.status", "app.examples.source")


@dataclass(frozen=True)
class ExamplesTab:
    tab: gr.Tab
    table: gr.Dataframe
    ids: gr.State
    """Ids of the rows of the page shown, in their order."""
    count: gr.Markdown
    page: gr.State
    search: gr.Textbox
    status: gr.Dropdown
    format: gr.Radio

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.table, self.ids, self.count, self.page, self.format]


def show(desk: Desk, at: Session, search: str = "", status: str = "", page: int = 0) -> tuple[Any, ...]:
    """One page of the table, in the order of `ExamplesTab.view`."""
    text, wanted = search.strip(), status or None
    total = desk.studio.store.examples.count(at.project_id, status=wanted, text=text)
    page = max(0, min(page, (total - 1) // PAGE if total else 0))
    found = desk.studio.store.examples.find(
        at.project_id, status=wanted, text=text, limit=PAGE, offset=page * PAGE, newest_first=True
    )
    first = page * PAGE + 1 if total else 0
    count = say(at.language, "app.examples.count", first=first, last=page * PAGE + len(found), total=total)
    rows = [_row(e, at.language) for e in found]
    project = projects.get(desk.studio, at.project_id)
    headers = [
        say(at.language, key)
        for key in ("app.chat.question", "app.chat.answer", "app.examples.status", "app.examples.source")
    ]
    return {"headers": headers, "data": rows}, [e.id for e in found], count, page, project.format


def _row(example: Example, language: str) -> list[str]:
    status = say(language, f"app.examples.{example.status}")
    if example.split == "test":
        status += " · " + say(language, "app.examples.test")
    turns = sum(turn.role == "user" for turn in example.messages)
    question = example.question if turns == 1 else f"[{turns}] {example.question}"
    return [question, example.answer, status, say(language, f"app.examples.source.{example.source}")]


def build(desk: Desk, session: gr.State) -> ExamplesTab:
    with gr.Tab(t("app.examples.tab"), id="examples") as tab, gr.Column(elem_classes="st-tabpage"):
        with gr.Row(elem_classes="st-toolbar"):
            search = gr.Textbox(
                placeholder=t("app.examples.search"),
                label=t("app.examples.search"),
                show_label=False,
                container=False,
                max_lines=1,
                scale=3,
                elem_id="examples-search",
            )
            status = gr.Dropdown(
                [
                    (t("app.examples.any"), ""),
                    (t("app.examples.approved"), "approved"),
                    (t("app.examples.draft"), "draft"),
                    (t("app.examples.rejected"), "rejected"),
                ],
                value="",
                label=t("app.examples.status"),
                show_label=False,
                container=False,
                min_width=160,
                elem_id="examples-status",
            )
        table = gr.Dataframe(
            headers=["", "", "", ""],
            datatype="str",
            type="array",
            interactive=False,
            wrap=True,
            max_height=560,
            column_widths=["32%", "36%", "20%", "12%"],
            show_label=False,
            buttons=[],
            elem_id="examples-table",
        )
        with gr.Row(elem_classes="st-toolbar"):
            count = gr.Markdown("")
            earlier = gr.Button("‹", size="sm", min_width=44, scale=0)
            later = gr.Button("›", size="sm", min_width=44, scale=0)
        ids, page, chosen = gr.State([]), gr.State(0), gr.State(None)
        with gr.Column(visible=False, elem_classes="st-card") as card:
            diff = DiffView(None, elem_id="example-diff", visible=False)
            question = gr.Textbox(label=t("app.chat.question"), lines=2, max_lines=8, elem_id="example-question")
            answer = gr.Textbox(label=t("app.chat.answer"), lines=2, max_lines=12, elem_id="example-answer")
            with gr.Row():
                approve = gr.Button(t("app.examples.approve"), size="sm", elem_id="example-approve")
                reject = gr.Button(t("app.examples.reject"), size="sm", elem_id="example-reject")
                save = gr.Button(t("app.examples.save"), size="sm", variant="primary", elem_id="example-save")
        with gr.Row(elem_classes="st-columns"):
            with gr.Column():
                gr.Markdown(t("app.examples.add_title"), elem_classes="st-heading")
                new_question = gr.Textbox(label=t("app.chat.question"), lines=1, max_lines=6)
                new_answer = gr.Textbox(label=t("app.chat.answer"), lines=1, max_lines=8)
                add = gr.Button(t("app.examples.add"), size="sm")
            with gr.Column():
                gr.Markdown(t("app.examples.import_title"), elem_classes="st-heading")
                file = gr.File(
                    label=t("app.examples.file"), file_types=[".json", ".jsonl"], height=140, elem_id="import-file"
                )
                approved = gr.Checkbox(True, label=t("app.examples.import_approved"))
                imported = gr.Markdown("", elem_id="import-report")
            with gr.Column():
                gr.Markdown(t("app.examples.format_title"), elem_classes="st-heading")
                format_ = gr.Radio(
                    [(t("app.examples.chat"), "chat"), (t("app.examples.instruction"), "instruction")],
                    label=t("app.examples.format"),
                    info=t("app.examples.format_info"),
                    elem_id="project-format",
                )
    made = ExamplesTab(tab, table, ids, count, page, search, status, format_)
    inputs = [session, search, status, page]

    def table_of(at: Session, text: str, wanted: str, number: int) -> tuple[Any, ...]:
        return show(desk, at, text, wanted, number)

    for event in (search.change, status.input):
        event(lambda at, text, wanted: show(desk, at, text, wanted), [session, search, status], made.view, **QUIET)
    earlier.click(lambda at, text, wanted, number: table_of(at, text, wanted, number - 1), inputs, made.view, **QUIET)
    later.click(lambda at, text, wanted, number: table_of(at, text, wanted, number + 1), inputs, made.view, **QUIET)

    opened = [card, diff, question, answer, chosen]

    def opening(example: Example, language: str) -> tuple[Any, ...]:
        before = (
            {
                "before": example.rejected,
                "after": example.answer,
                "before_label": say(language, "app.examples.model_said"),
                "after_label": say(language, "app.examples.expert_said"),
            }
            if example.rejected is not None
            else None
        )
        shown = gr.update(value=before, visible=before is not None)
        return gr.update(visible=True), shown, example.question, example.answer, example.id

    @guarded
    def choose(evt: gr.SelectData, at: Session, shown: list[str]) -> tuple[Any, ...]:
        if evt.index[0] >= len(shown):
            return (gr.skip(),) * 5
        return opening(dataset.get(desk.studio, shown[evt.index[0]]), at.language)

    @guarded
    def approve_row(request: gr.Request, example_id: str, *where: Any) -> tuple[Any, ...]:
        dataset.set_status(desk.studio, example_id, "approved", author_of(request))
        return table_of(*where)

    @guarded
    def reject_row(request: gr.Request, example_id: str, *where: Any) -> tuple[Any, ...]:
        dataset.set_status(desk.studio, example_id, "rejected", author_of(request))
        return table_of(*where)

    @guarded
    def change(request: gr.Request, example_id: str, prompt: str, text: str, *where: Any) -> tuple[Any, ...]:
        example = dataset.edit(desk.studio, example_id, prompt=prompt, answer=text, author=author_of(request))
        gr.Success(say(where[0].language, "app.examples.saved"), duration=3)
        return (*table_of(*where), *opening(example, where[0].language))

    @guarded
    def append(request: gr.Request, prompt: str, text: str, *where: Any) -> tuple[Any, ...]:
        dataset.add(desk.studio, where[0].project_id, prompt, text, author_of(request))
        return (*table_of(*where), "", "")

    @guarded
    def take_file(request: gr.Request, path: str | None, approve: bool, *where: Any) -> tuple[Any, ...]:
        if path is None:
            return (*table_of(*where), gr.skip())
        report = dataset.import_file(
            desk.studio, where[0].project_id, Path(path), approve=approve, author=author_of(request)
        )
        text = say(where[0].language, "app.examples.imported", added=report.added, skipped=report.skipped)
        return (*table_of(*where), html.escape(text))

    @guarded
    def reformat(at: Session, wanted: str) -> Any:
        try:
            projects.set_format(desk.studio, at.project_id, wanted)
        finally:
            # A refusal must leave the choice as it is, and not as it was clicked.
            now = projects.get(desk.studio, at.project_id).format
        return now

    table.select(choose, [session, ids], opened, **QUIET)
    approve.click(approve_row, [chosen, *inputs], made.view, **QUIET)
    reject.click(reject_row, [chosen, *inputs], made.view, **QUIET)
    save.click(change, [chosen, question, answer, *inputs], [*made.view, *opened], **QUIET)
    add.click(append, [new_question, new_answer, *inputs], [*made.view, new_question, new_answer], **QUIET)
    file.upload(take_file, [file, approved, *inputs], [*made.view, imported], **QUIET)
    format_.input(reformat, [session, format_], format_, **QUIET)
    return made
