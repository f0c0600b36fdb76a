"""The few-shot pairs of a project: edit, reorder, remove, add, take from the saved examples."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from studio import projects
from studio.errors import NotFound
from studio.records import Shot
from studio.ui.session import LATEST, QUIET, Desk, Session, guarded
from studio.ui.words import t


def build(desk: Desk, session: gr.State, changed: gr.State) -> None:
    """`changed` gets a new value whenever the pairs are others, and has them drawn anew when it does."""

    @gr.render(inputs=[session], triggers=[changed.change])  # type: ignore[untyped-decorator]
    def listed(at: Session | None) -> None:
        shots = _shots_of(desk, at) if at else []
        for place in range(len(shots)):
            _pair(desk, session, changed, shots, place)

    with gr.Column(elem_classes="st-shot"):
        question = gr.Textbox(label=t("app.chat.question"), lines=1, max_lines=4, elem_id="shot-question")
        reply = gr.Textbox(label=t("app.chat.answer"), lines=1, max_lines=6, elem_id="shot-answer")
        add = gr.Button(t("app.chat.add_shot"), size="sm", elem_id="shot-add")
    saved = gr.Dropdown(
        [], label=t("app.chat.from_saved"), filterable=True, interactive=True, value=None, elem_id="shot-saved"
    )

    @guarded
    def append(at: Session, prompt: str, text: str) -> tuple[float, str, str]:
        with desk.studio.shots:
            return _keep(desk, at, [*_shots_of(desk, at), Shot(prompt, text)]), "", ""

    @guarded
    def choices(at: Session) -> Any:
        found = desk.studio.store.examples.find(
            at.project_id, status="approved", split="train", limit=200, newest_first=True
        )
        return gr.update(choices=[(e.question[:80], e.id) for e in found if e.is_single_turn])

    @guarded
    def take(at: Session, example_id: str | None) -> tuple[Any, Any]:
        if not example_id:
            return gr.skip(), gr.skip()
        projects.take_shot(desk.studio, at.project_id, example_id)
        return time.time(), gr.update(value=None)

    add.click(append, [session, question, reply], [changed, question, reply], **QUIET)
    saved.focus(choices, [session], saved, **QUIET)
    saved.input(take, [session, saved], [changed, saved], **QUIET)


def _shots_of(desk: Desk, at: Session) -> list[Shot]:
    return list(projects.get(desk.studio, at.project_id).shots)


def _keep(desk: Desk, at: Session, shots: list[Shot]) -> float:
    projects.set_shots(desk.studio, at.project_id, tuple(shots))
    return time.time()


def _pair(desk: Desk, session: gr.State, changed: gr.State, shots: list[Shot], place: int) -> None:
    """One pair, and what can be done with it."""
    shot = shots[place]
    known: list[Shot] = [shot]  # as this page shows it; another page may have moved, changed or removed it meanwhile
    with gr.Column(elem_classes="st-shot"):
        question = gr.Textbox(shot.prompt, label=t("app.chat.question"), lines=1, max_lines=4, interactive=True)
        reply = gr.Textbox(shot.answer, label=t("app.chat.answer"), lines=1, max_lines=6, interactive=True)
        with gr.Row():
            up = gr.Button(t("app.chat.shot_up"), size="sm", min_width=40, interactive=place > 0)
            down = gr.Button(t("app.chat.shot_down"), size="sm", min_width=40, interactive=place < len(shots) - 1)
            remove = gr.Button(t("app.chat.shot_remove"), size="sm", min_width=40)

    def found(now: list[Shot]) -> int:
        if known[0] in now[place : place + 1]:
            return place
        if known[0] in now:
            return now.index(known[0])
        raise NotFound(
            "This few-shot example was changed or removed on another page.",
            "Load this page again to see them as they are.",
        )

    def keep(at: Session, edited: Shot, by: int = 0) -> None:
        """Keep what was typed, moved by so many places. A click that ends the typing comes together with the end of the
        typing: the click does both, whichever is first."""
        with desk.studio.shots:
            if known and (by or edited != known[0]):
                now = _shots_of(desk, at)
                old = found(now)
                del now[old]
                now.insert(max(0, old + by), edited)
                _keep(desk, at, now)
                known[0] = edited

    @guarded
    def edit(at: Session, prompt: str, text: str) -> None:
        keep(at, Shot(prompt, text))

    @guarded
    def move(at: Session, prompt: str, text: str, by: int) -> float:
        keep(at, Shot(prompt, text), by)
        return time.time()

    @guarded
    def drop(at: Session) -> float:
        with desk.studio.shots:
            if known:
                now = _shots_of(desk, at)
                del now[found(now)]
                _keep(desk, at, now)
                known.clear()
        return time.time()

    typed = [session, question, reply]
    for field in (question, reply):
        field.blur(edit, typed, None, **LATEST)
    up.click(lambda *pair: move(*pair, -1), typed, changed, **QUIET)
    down.click(lambda *pair: move(*pair, 1), typed, changed, **QUIET)
    remove.click(drop, [session], changed, **QUIET)
