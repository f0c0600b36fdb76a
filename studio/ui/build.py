"""The page: the bar, the tabs, and the wiring between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from studio import adapters, samples, training
from studio.ui import adapters_tab, chat_tab, data_learn, data_rows, data_tab, model_tab, present, train_tab
from studio.ui.loop_bar import LoopBar
from studio.ui.session import QUIET, Desk, Session, guarded, open_session
from studio.ui.words import t

TICK_S = 1.0
TRAIN_TAB = 2
"""Place of the Train tab in the row of tabs."""


def build(desk: Desk) -> gr.Blocks:
    """The whole interface over an open studio."""
    page: gr.Blocks
    with (
        gr.Blocks(fill_height=True, fill_width=True, title="Correction Studio", analytics_enabled=False) as page,
        gr.Column(elem_classes="st-page"),
    ):
        session = gr.State(None)
        # Ids only, so that a reload comes back to the same conversation; the fixed key survives a restart of the app.
        remembered = gr.BrowserState({}, storage_key="studio-session", secret="ids-only")  # noqa: S106
        loop = LoopBar(elem_id="loop-bar")
        with gr.Tabs(elem_classes="st-tabs", elem_id="tabs") as tabs:
            with gr.Tab(t("app.chat.tab"), id="chat"):
                chat = chat_tab.build(desk, session)
            data = data_tab.build(desk, session)
            train = train_tab.build(desk, session)
            lessons = adapters_tab.build(desk, session)
            model = model_tab.build(desk, session)
        _wire_bar(desk, session, loop, tabs, chat)
        _wire_tabs(desk, session, remembered, data, train, lessons, model)
        _wire_left_out(desk, session, tabs, data, train)
        _wire_noticed(desk, session, tabs, chat, data)
        live_mark = _wire_clock(desk, session, loop, tabs, chat, train, lessons)

        @guarded
        def begin(kept: dict[str, Any] | None, request: gr.Request) -> tuple[Any, ...]:
            at = open_session(desk.studio, kept, request)
            return at, loop_value(desk, at), _live_mark(desk, at), *chat_tab.show(desk, at)

        page.load(begin, [remembered], [session, loop, live_mark, *chat.view], **QUIET)
        session.change(
            lambda at: {"project": at.project_id, "conversation": at.conversation_id} if at else {},
            [session],
            remembered,
            **QUIET,
        )
    return page


def loop_value(desk: Desk, at: Session) -> dict[str, Any]:
    studio = desk.studio
    return present.loop_value(training.loop(studio, at.project_id), studio.state, studio.is_ready, at.language)


def _wire_bar(desk: Desk, session: gr.State, loop: LoopBar, tabs: gr.Tabs, chat: chat_tab.ChatTab) -> None:
    @guarded
    def train(at: Session) -> dict[str, Any]:
        training.start(desk.studio, at.project_id)
        return loop_value(desk, at)

    @guarded
    def cancel(at: Session) -> dict[str, Any]:
        train_tab.cancel_run(desk, at)
        return loop_value(desk, at)

    @guarded
    def retry(at: Session) -> dict[str, Any]:
        if desk.studio.is_ready:
            train_tab.retry_run(desk, at)
        else:
            model_tab.load_in_background(desk)
        return loop_value(desk, at)

    @guarded
    def undo(at: Session) -> tuple[Any, ...]:
        adapters.rollback(desk.studio, at.project_id)
        return loop_value(desk, at), chat_tab.answer_choices(desk, at)

    @guarded
    def sample(at: Session) -> tuple[Any, ...]:
        matching = [s for s in samples.samples() if s.language == at.language]
        project = samples.try_sample(desk.studio, (matching or samples.samples())[0].key)
        at = replace(at, project_id=project.id, conversation_id=None)
        return at, loop_value(desk, at), *chat_tab.show(desk, at)

    @guarded
    def details(at: Session) -> Any:
        is_running = bool(desk.studio.store.runs.find(at.project_id, status="running"))
        return gr.Tabs(selected="train" if is_running else "adapters")

    loop.listen("train", train, [session], loop)
    loop.listen("cancel", cancel, [session], loop)
    loop.listen("retry", retry, [session], loop)
    loop.listen("undo", undo, [session], [loop, chat.answer_with])
    loop.listen("sample", sample, [session], [session, loop, *chat.view])
    loop.listen("details", details, [session], tabs)


def _wire_tabs(
    desk: Desk,
    session: gr.State,
    remembered: gr.BrowserState,
    data: data_tab.DataTab,
    train: train_tab.TrainTab,
    lessons: adapters_tab.AdaptersTab,
    model: model_tab.ModelTab,
) -> None:
    """A tab reads the store when it is opened, which may be before the page has its session."""

    def opening(show: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        @guarded
        def shown(request: gr.Request, at: Session | None, kept: dict[str, Any] | None, *rest: Any) -> tuple[Any, ...]:
            return show(desk, at or open_session(desk.studio, kept, request), *rest)

        return shown

    at = [session, remembered]
    data.tab.select(opening(data_tab.show), at, data.view, **QUIET)
    train.tab.select(opening(train_tab.show), [*at, *train.recipe], train.view, **QUIET)
    lessons.tab.select(opening(adapters_tab.reopen), [*at, lessons.choice], lessons.view, **QUIET)
    model.tab.select(opening(model_tab.show), [*at, model.choice], model.view, **QUIET)


def _wire_left_out(
    desk: Desk, session: gr.State, tabs: gr.Tabs, data: data_tab.DataTab, train: train_tab.TrainTab
) -> None:
    """From the plan to the rows it leaves out, under the same recipe."""

    @guarded
    def show(at: Session, *recipe: Any) -> tuple[Any, ...]:
        value = data_learn.under(desk.studio, at, train_tab.recipe_from(*recipe))
        return value, gr.Tabs(selected="data"), gr.Tabs(selected="learn")

    train.left_out.click(show, [session, *train.recipe], [data.learn, tabs, data.parts], **QUIET)


def _wire_noticed(desk: Desk, session: gr.State, tabs: gr.Tabs, chat: chat_tab.ChatTab, data: data_tab.DataTab) -> None:
    """From what was noticed of a saved answer to the two rows."""

    @guarded
    def show(at: Session, event: gr.EventData) -> tuple[Any, ...]:
        rows = {"ids": [str(id_) for id_ in event._data["ids"]]}
        return *data_rows.showing(desk.studio, at, rows), gr.Tabs(selected="data")

    chat.thread.listen("noticed", show, [session], [data.rows, data.shown, data.parts, tabs])


def _wire_clock(
    desk: Desk,
    session: gr.State,
    loop: LoopBar,
    tabs: gr.Tabs,
    chat: chat_tab.ChatTab,
    train: train_tab.TrainTab,
    lessons: adapters_tab.AdaptersTab,
) -> gr.State:
    """Once a moment: read the state, and show what changed. Returns the mark of what is live.

    Gradio makes every output of an event anew, so a tick has few; the rest follows from the marks, when they change.
    """
    live_mark, run_mark, open_tab = gr.State(""), gr.State(""), gr.State(0)

    def choose(event: gr.SelectData) -> int:
        return int(event.index)

    def tick(at: Session | None, opened: int) -> tuple[Any, ...]:
        if at is None or desk.studio.closing.is_set():
            return (gr.skip(),) * 4
        runs = desk.studio.store.runs.find(at.project_id, limit=1)
        run = ""
        if runs:
            # Step by step only for someone who looks: drawing the curve costs more than all the rest of a tick.
            watched = opened == TRAIN_TAB and runs[0].status == "running"
            run = f"{runs[0].id} {runs[0].status} {training.progress(desk.studio, runs[0]).step if watched else ''}"
        return loop_value(desk, at), _live_mark(desk, at), run, chat_tab.mark(desk, at)

    def follow_live(at: Session | None, chosen: str | None) -> tuple[Any, ...]:
        if at is None:
            return (gr.skip(),) * (1 + len(lessons.view))
        # Lessons that nobody has opened yet are read when somebody does.
        shown = adapters_tab.show(desk, at) if chosen else (gr.skip(),) * len(lessons.view)
        return (chat_tab.answer_choices(desk, at), *shown)

    def follow_run(at: Session | None, *recipe: Any) -> tuple[Any, ...]:
        return train_tab.show(desk, at, *recipe) if at else (gr.skip(),) * len(train.view)

    tabs.select(choose, None, open_tab, **QUIET)
    gr.Timer(TICK_S).tick(tick, [session, open_tab], [loop, live_mark, run_mark, chat.mark], **QUIET)
    live_mark.change(follow_live, [session, lessons.choice], [chat.answer_with, *lessons.view], **QUIET)
    run_mark.change(follow_run, [session, *train.recipe], train.view, **QUIET)
    return live_mark


def _live_mark(desk: Desk, at: Session) -> str:
    """Changes when another adapter answers, and when what it learned is known."""
    live = adapters.live(desk.studio, at.project_id)
    is_checked = live is not None and adapters.score(desk.studio, live.id) is not None
    return f"{at.project_id} {live.id if live else ''} {is_checked}"
