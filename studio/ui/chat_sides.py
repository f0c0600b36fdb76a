"""Beside the chat: projects and conversations on the left, what the model is asked with on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import samples
from studio.ui import shots
from studio.ui.session import Desk
from studio.ui.words import t

LIVE, BASE, BOTH = "live", "base", "both"
"""What answers, where it is no adapter by its id."""


@dataclass(frozen=True)
class Left:
    """Projects, samples and conversations."""

    project: gr.Dropdown
    new_name: gr.Textbox
    create: gr.Button
    sample: gr.Dropdown
    try_sample: gr.Button
    new: gr.Button
    search: gr.Textbox
    conversations: gr.Radio


def left_side() -> Left:
    gr.Markdown(t("app.chat.project"), elem_classes="st-heading")
    project = gr.Dropdown([], label=t("app.chat.project"), show_label=False, container=False, elem_id="project")
    with gr.Accordion(t("app.chat.more_projects"), open=False):
        new_name = gr.Textbox(label=t("app.chat.new_project"), max_lines=1, elem_id="new-project")
        create = gr.Button(t("app.chat.create"), size="sm")
        sample = gr.Dropdown(
            [(s.name, s.key) for s in samples.samples()],
            label=t("app.chat.sample"),
            value=samples.samples()[-1].key,
            elem_id="sample",
        )
        try_sample = gr.Button(t("app.chat.try_sample"), size="sm", elem_id="try-sample")
    gr.Markdown(t("app.chat.conversations"), elem_classes="st-heading")
    new = gr.Button(t("app.chat.new"), size="sm", elem_id="new-conversation")
    search = gr.Textbox(
        label=t("app.chat.search"),
        placeholder=t("app.chat.search"),
        show_label=False,
        container=False,
        max_lines=1,
        elem_id="search-conversations",
    )
    conversations = gr.Radio(
        [], label=t("app.chat.conversations"), show_label=False, container=False, elem_classes="st-conversations"
    )
    return Left(project, new_name, create, sample, try_sample, new, search, conversations)


@dataclass(frozen=True)
class Differs:
    """Shown while the system prompt differs from what another page made of it, to choose between the two."""

    group: gr.Column
    theirs: gr.Textbox
    keep_mine: gr.Button
    take_theirs: gr.Button


@dataclass(frozen=True)
class Right:
    """What the model is asked with."""

    system: gr.Textbox
    differs: Differs
    shots_changed: gr.State
    answer_with: gr.Dropdown
    rendered: gr.Accordion
    tokens: gr.Markdown
    exact: gr.Textbox
    refresh: gr.Button
    settings: list[Any]
    """The sampling: temperature, top-p, most tokens, repetition penalty, seed, whether it is a plain completion."""


def right_side(desk: Desk, session: gr.State) -> Right:
    gr.Markdown(t("app.chat.prompt"), elem_classes="st-heading")
    system = gr.Textbox(label=t("app.chat.system"), lines=3, max_lines=12, elem_id="system")
    differs = _differs()
    shots_changed = gr.State(0.0)
    with gr.Accordion(t("app.chat.shots"), open=False, elem_id="shots"):
        shots.build(desk, session, shots_changed)
    answer_with = gr.Dropdown([("", LIVE)], value=LIVE, label=t("app.chat.answer_with"), elem_id="answer-with")
    with gr.Accordion(t("app.chat.rendered"), open=False, elem_id="rendered") as rendered:
        tokens = gr.Markdown("")
        exact = gr.Textbox(label=t("app.chat.exact"), lines=6, max_lines=20, interactive=False, elem_id="exact")
        refresh = gr.Button(t("app.chat.refresh"), size="sm")
    with gr.Accordion(t("app.chat.sampling"), open=False, elem_id="sampling"):
        settings = [
            gr.Slider(0, 2, 0, step=0.05, label=t("app.chat.temperature"), info=t("app.chat.temperature_info")),
            gr.Slider(0.05, 1, 1, step=0.05, label=t("app.chat.top_p")),
            gr.Slider(1, 1024, 200, step=1, label=t("app.chat.max_tokens")),
            gr.Slider(1, 1.5, 1, step=0.01, label=t("app.chat.repetition")),
            gr.Number(None, label=t("app.chat.seed"), precision=0),
            gr.Checkbox(False, label=t("app.chat.completion"), info=t("app.chat.completion_info")),
        ]
    return Right(system, differs, shots_changed, answer_with, rendered, tokens, exact, refresh, settings)


def _differs() -> Differs:
    with gr.Column(visible=False, elem_classes="st-asking-group", elem_id="system-differs") as group:
        theirs = gr.Textbox(label=t("app.chat.system_theirs"), lines=2, max_lines=12, interactive=False)
        with gr.Row():
            mine = gr.Button(t("app.chat.keep_mine"), size="sm", elem_id="system-mine", min_width=44)
            take = gr.Button(t("app.chat.take_theirs"), size="sm", elem_id="system-theirs", min_width=44)
    return Differs(group, theirs, mine, take)
