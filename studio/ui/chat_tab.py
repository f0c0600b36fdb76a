"""The first screen: ask, correct, ask again."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from studio import adapters, conversation, corrections, projects, quality, samples
from studio.conversation import AskOptions
from studio.errors import InvalidInput, StudioError
from studio.records import Sampling
from studio.ui import present
from studio.ui.chat_sides import BASE, BOTH, LIVE, Left, Right, left_side, right_side
from studio.ui.session import QUIET, Desk, Session, author_of, guarded, with_conversation
from studio.ui.shell import PanelToggles
from studio.ui.thread import Thread
from studio.ui.told import error_text
from studio.ui.words import say, t

FRAME_S = 0.08
"""Shortest time between two updates of an answer being written."""


@dataclass(frozen=True)
class ChatTab:
    """The components other tabs and the page need."""

    thread: Thread
    toggles: PanelToggles
    conversations: gr.Radio
    project: gr.Dropdown
    answer_with: gr.Dropdown
    system: gr.Textbox
    shots_changed: gr.State
    box: gr.Textbox

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [
            self.thread,
            self.toggles,
            self.conversations,
            self.project,
            self.answer_with,
            self.system,
            self.shots_changed,
        ]


# Reading


def show(desk: Desk, session: Session) -> tuple[Any, ...]:
    """Everything the tab shows of a session, in the order of `ChatTab.view`."""
    project = projects.get(desk.studio, session.project_id)
    return (
        thread(desk, session),
        {"title": _title(desk, session)},
        conversation_list(desk, session),
        gr.update(choices=[(p.name, p.id) for p in desk.studio.store.projects.all()], value=session.project_id),
        answer_choices(desk, session),
        project.system_prompt,
        time.time(),
    )


def thread(desk: Desk, session: Session, **more: Any) -> dict[str, Any]:
    shown = conversation.view(desk.studio, session.conversation_id) if session.conversation_id else []
    saved = [entry.correction.example_id for entry in shown if entry.correction and entry.correction.example_id]
    return present.thread_value(
        shown,
        _names(desk, session),
        session.language,
        empty=_empty(desk, session),
        notices=quality.notices(desk.studio, session.project_id, saved),
        **more,
    )


def notice_mark(desk: Desk, session: Session) -> str | None:
    """Changes when something new is noticed of a saved row; None while an answer is being written, which must not be
    disturbed."""
    if desk.is_answering(session.conversation_id):
        return None
    return str(max((notice.number for notice in desk.studio.noticed.copy().values()), default=0))


def _names(desk: Desk, session: Session) -> present.Names:
    base = say(session.language, "app.chat.base")
    known = {a.id: a.name for a in desk.studio.store.adapters.all(session.project_id)}
    return lambda adapter_id: base if adapter_id is None else known.get(adapter_id, adapter_id)


def _empty(desk: Desk, session: Session) -> dict[str, Any]:
    tests = desk.studio.store.examples.find(session.project_id, split="test", limit=3)
    return {
        "title": say(session.language, "app.chat.empty_title"),
        "body": say(session.language, "app.chat.empty_body"),
        "suggestions": [e.question for e in tests],
    }


def _title(desk: Desk, session: Session) -> str:
    title = conversation.get(desk.studio, session.conversation_id).title if session.conversation_id else ""
    return title or say(session.language, "app.chat.new")


def conversation_list(desk: Desk, session: Session, search: str = "") -> Any:
    found = conversation.find(desk.studio, session.project_id, search)
    choices = [(c.title or say(session.language, "app.chat.new"), c.id) for c in found]
    shown = session.conversation_id if session.conversation_id in {c.id for c in found} else None
    return gr.update(choices=choices, value=shown)


def answer_choices(desk: Desk, session: Session) -> Any:
    """Live, base, both, then every adapter; what was chosen stays chosen."""
    live = adapters.live(desk.studio, session.project_id)
    name = live.name if live else say(session.language, "app.chat.base")
    choices = [
        (say(session.language, "app.chat.live_choice", name=name), LIVE),
        (say(session.language, "app.chat.base"), BASE),
    ]
    if live is not None:
        choices.append((say(session.language, "app.chat.both", name=name), BOTH))
    choices += [(a.name, a.id) for a in desk.studio.store.adapters.all(session.project_id)]
    return gr.update(choices=choices)


def _options(desk: Desk, session: Session, answer_with: str, *settings: Any) -> AskOptions:
    temperature, top_p, max_tokens, repetition_penalty, seed, is_completion = settings
    live = adapters.live(desk.studio, session.project_id)
    chosen: tuple[str | None, ...]
    if answer_with == BOTH and live is not None:
        chosen = (None, live.id)
    elif answer_with in (LIVE, BOTH):
        chosen = (live.id if live else None,)
    else:
        chosen = (None if answer_with == BASE else answer_with,)
    sampling = Sampling(
        temperature=float(temperature),
        top_p=float(top_p),
        max_tokens=int(max_tokens),
        repetition_penalty=float(repetition_penalty),
        seed=None if seed in (None, "") else int(seed),
    )
    return AskOptions(chosen, sampling, bool(is_completion))


# Answering


def answer(desk: Desk, session: Session, answer_with: str, *settings: Any) -> Iterator[dict[str, Any]]:
    """Thread values while the open question of the conversation is being answered."""
    assert session.conversation_id is not None
    names = _names(desk, session)
    label = ""
    event = desk.begin(session.conversation_id)
    try:
        options = _options(desk, session, answer_with, *settings)
        labels = [names(a) for a in options.adapters]
        label = labels[0]
        # The store is asked once: while words arrive, nothing else in the conversation changes.
        before = thread(desk, session)

        def frame(texts: Sequence[str]) -> dict[str, Any]:
            messages = [*before["messages"], *present.streaming_messages(texts, labels)]
            return {"messages": messages, "busy": True, "empty": None}

        yield frame([""] * len(labels))
        shown = 0.0
        for texts in conversation.reply(desk.studio, session.conversation_id, options, event):
            if time.monotonic() - shown >= FRAME_S:
                shown = time.monotonic()
                yield frame(texts)
        yield thread(desk, session)
    except StudioError as error:
        value = thread(desk, session)
        value["messages"].append(present.error_message(error, label, session.language))
        yield value
    finally:
        desk.end(session.conversation_id, event)


def build(desk: Desk, session: gr.State) -> ChatTab:
    """Lay out the tab and wire what concerns it alone."""
    with gr.Row(elem_classes="st-shell"):
        with gr.Column(elem_classes="st-side st-side-left", min_width=0):
            left = left_side()
        with gr.Column(elem_classes="st-centre", min_width=0):
            toggles = PanelToggles({"title": ""})
            chat = Thread(elem_id="thread")
            with gr.Row(elem_classes="st-composer"):
                box = gr.Textbox(
                    label=t("app.chat.ask"),
                    placeholder=t("app.chat.ask"),
                    show_label=False,
                    container=False,
                    lines=1,
                    max_lines=8,
                    submit_btn=True,
                    stop_btn=False,
                    autofocus=True,
                    elem_id="composer",
                )
                stop = gr.Button("■", size="sm", visible=False, elem_id="stop", min_width=44, scale=0)
        with gr.Column(elem_classes="st-side st-side-right", min_width=0):
            right = right_side(desk, session)
    tab = ChatTab(
        thread=chat,
        toggles=toggles,
        conversations=left.conversations,
        project=left.project,
        answer_with=right.answer_with,
        system=right.system,
        shots_changed=right.shots_changed,
        box=box,
    )
    _wire_asking(desk, session, tab, stop, right.settings)
    _wire_judging(desk, session, tab)
    _wire_choosing(desk, session, tab, left)
    _wire_prompt(desk, session, tab, right)
    return tab


def _wire_prompt(desk: Desk, session: gr.State, tab: ChatTab, right: Right) -> None:
    """The system prompt is kept, and what the model will read is shown, when asked for."""

    @guarded
    def preview(at: Session, draft: str, choice: str, *values: Any) -> tuple[str, str]:
        options = _options(desk, at, choice, *values)
        seen = conversation.preview(desk.studio, at.conversation_id, at.project_id, draft, options)
        count = say(at.language, "app.chat.tokens", n=f"{seen.tokens:,}", context=f"{seen.context:,}")
        if not seen.room:
            count += " ⚠ " + say(at.language, "app.chat.no_room")
        return count, seen.text

    @guarded
    def save_system(at: Session, text: str) -> None:
        projects.update(desk.studio, at.project_id, system_prompt=text)

    for event in (right.rendered.expand, right.refresh.click):
        event(preview, [session, tab.box, tab.answer_with, *right.settings], [right.tokens, right.exact], **QUIET)
    tab.system.blur(save_system, [session, tab.system], None, **QUIET)


def _wire_asking(desk: Desk, session: gr.State, tab: ChatTab, stop: gr.Button, settings: list[Any]) -> None:
    """Each gesture first writes what was asked, then streams the answer into the thread alone.

    In one event, every other output would be made anew for every word.
    """
    prepared = [session, tab.thread, tab.toggles, tab.conversations, stop]

    def opened(at: Session) -> tuple[Any, ...]:
        return at, thread(desk, at), {"title": _title(desk, at)}, conversation_list(desk, at), gr.update(visible=True)

    def ask(at: Session, text: str, system: str, author: str) -> tuple[Any, ...]:
        if not text.strip():
            raise InvalidInput("There is nothing to ask yet.", "Type a question first.")
        keep_system(at, system)
        at = with_conversation(desk.studio, at)
        conversation.ask(desk.studio, at.conversation_id or "", text, author)
        return opened(at)

    def keep_system(at: Session, system: str) -> None:
        # Typing a system prompt and asking at once must not lose the prompt.
        if system != projects.get(desk.studio, at.project_id).system_prompt:
            projects.update(desk.studio, at.project_id, system_prompt=system)

    @guarded
    def send(at: Session, system: str, text: str, request: gr.Request) -> tuple[Any, ...]:
        return (*ask(at, text, system, author_of(request)), "")

    @guarded
    def suggest(at: Session, system: str, evt: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        return ask(at, evt._data["text"], system, author_of(request))

    @guarded
    def retry(at: Session, system: str, evt: gr.EventData) -> tuple[Any, ...]:
        keep_system(at, system)
        if evt._data["id"] != "failed":
            conversation.go_back_to(desk.studio, evt._data["id"])
        return opened(at)

    @guarded
    def edit(at: Session, system: str, evt: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        keep_system(at, system)
        conversation.edit(desk.studio, evt._data["id"], evt._data["text"], author_of(request))
        return opened(at)

    @guarded
    def stream(at: Session, answer_with: str, *values: Any) -> Iterator[dict[str, Any]]:
        yield from answer(desk, at, answer_with, *values)

    inputs = [session, tab.system]
    for event in (
        tab.box.submit(send, [*inputs, tab.box], [*prepared, tab.box], **QUIET),
        tab.thread.listen("suggest", suggest, inputs, prepared),
        tab.thread.listen("retry", retry, inputs, prepared),
        tab.thread.listen("edit", edit, inputs, prepared),
    ):
        event.success(
            stream, [session, tab.answer_with, *settings], tab.thread, **{**QUIET, "concurrency_limit": 16}
        ).then(lambda: gr.update(visible=False), None, stop, **QUIET)
    stop.click(lambda at: desk.stop(at.conversation_id), [session], None, queue=False, **QUIET)


def _wire_judging(desk: Desk, session: gr.State, tab: ChatTab) -> None:
    def save(at: Session, verdict: Any, data: dict[str, Any], author: str) -> dict[str, Any]:
        message_id = data["id"]
        try:
            conversation.continue_from(desk.studio, message_id)
            corrections.save(
                desk.studio,
                message_id,
                verdict,
                text=data.get("text") or "",
                reason=data.get("reason") or "",
                note=data.get("note") or "",
                author=author,
            )
        except StudioError as error:
            value = thread(desk, at, errors={message_id: error_text(at.language, error)})
            for message in value["messages"]:
                if message["id"] == message_id:
                    # The browser is told only of values that differ: a second refusal must not look like the first.
                    message["attempt"] = time.time_ns()
            return value
        total = desk.studio.store.examples.count(at.project_id)
        fresh = desk.studio.store.examples.count_new(at.project_id)
        gr.Success(html.escape(say(at.language, f"app.chat.{verdict}", n=total, new=fresh)), duration=4)
        return thread(desk, at)

    @guarded
    def accept(at: Session, evt: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return save(at, "accepted", evt._data, author_of(request))

    @guarded
    def correct(at: Session, evt: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return save(at, "corrected", evt._data, author_of(request))

    @guarded
    def reject(at: Session, evt: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return save(at, "rejected", evt._data, author_of(request))

    @guarded
    def page(at: Session, evt: gr.EventData) -> dict[str, Any]:
        conversation.page(desk.studio, evt._data["id"], int(evt._data["delta"]))
        return thread(desk, at)

    @guarded
    def undo(at: Session) -> tuple[Any, ...]:
        text = conversation.undo(desk.studio, at.conversation_id or "")
        return thread(desk, at), text

    tab.thread.listen("accept", accept, [session], tab.thread)
    tab.thread.listen("correct", correct, [session], tab.thread)
    tab.thread.listen("reject", reject, [session], tab.thread)
    tab.thread.listen("page", page, [session], tab.thread)
    tab.thread.listen("undo", undo, [session], [tab.thread, tab.box])


def _wire_choosing(desk: Desk, session: gr.State, tab: ChatTab, left: Left) -> None:
    everything = [session, *tab.view]

    def go(at: Session) -> tuple[Any, ...]:
        return (at, *show(desk, at))

    @guarded
    def choose_project(at: Session, project_id: str) -> tuple[Any, ...]:
        return go(replace(at, project_id=projects.get(desk.studio, project_id).id, conversation_id=None))

    @guarded
    def make_project(at: Session, name: str) -> tuple[Any, ...]:
        project = projects.create(desk.studio, name, language=at.language)
        return (*go(replace(at, project_id=project.id, conversation_id=None)), "")

    @guarded
    def start_sample(at: Session, key: str) -> tuple[Any, ...]:
        project = samples.try_sample(desk.studio, key)
        return go(replace(at, project_id=project.id, conversation_id=None))

    @guarded
    def choose_conversation(at: Session, conversation_id: str) -> tuple[Any, ...]:
        return go(replace(at, conversation_id=conversation.get(desk.studio, conversation_id).id))

    tab.project.input(choose_project, [session, tab.project], everything, **QUIET)
    left.create.click(make_project, [session, left.new_name], [*everything, left.new_name], **QUIET)
    left.try_sample.click(start_sample, [session, left.sample], everything, **QUIET)
    tab.conversations.input(choose_conversation, [session, tab.conversations], everything, **QUIET)
    left.new.click(lambda at: go(replace(at, conversation_id=None)), [session], everything, **QUIET)
    left.search.change(
        lambda at, text: conversation_list(desk, at, text), [session, left.search], tab.conversations, **QUIET
    )
