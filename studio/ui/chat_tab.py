"""The first screen: ask, correct, ask again."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from studio import adapters, conversation, corrections, projects, quality, samples
from studio.conversation import AskOptions
from studio.errors import Busy, Conflict, InvalidInput, StudioError
from studio.records import Sampling
from studio.ui import present
from studio.ui.chat_sides import BASE, BOTH, LIVE, Left, Right, left_side, right_side
from studio.ui.session import LATEST, QUIET, Desk, Session, author_of, guarded, with_conversation
from studio.ui.shell import PanelToggles
from studio.ui.thread import Thread
from studio.ui.told import error_text
from studio.ui.words import say, t
from studio.ui.work import Work

FRAME_S = 0.08
"""Shortest time between two updates of an answer being written."""

COMPOSED = """(now, {sent, undone}) => {
  if (sent) return now.startsWith(sent) ? now.slice(sent.length) : now;
  return now.trim() ? now : undone;
}"""
"""Empties the composer of what was sent, or puts an undone question back. The page does it, since only the page knows
what has been typed meanwhile."""


@dataclass(frozen=True)
class ChatTab:
    """The components other tabs and the page need."""

    thread: Thread
    toggles: PanelToggles
    conversations: gr.Radio
    project: gr.Dropdown
    answer_with: gr.Dropdown
    system: gr.Textbox
    given: gr.JSON
    """The project and the system prompt that the page was given with it. Kept in the page: whatever the server holds by
    now, it belongs to what stands in the field."""
    shots_changed: gr.State
    box: gr.Textbox
    taken: gr.JSON
    """What the last gesture took out of the composer, or is to be put back there."""
    mark: gr.State
    """Changes when the thread is to be shown anew, and followed while an answer is being written."""

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
            self.given,
            self.shots_changed,
            self.mark,
        ]


# Reading


def show(desk: Desk, session: Session) -> tuple[Any, ...]:
    """Everything the tab shows of a session, in the order of `ChatTab.view`; from now on the page shows this."""
    answering = answer_choices(desk, session)
    if session.now.project_id != session.project_id:
        answering["value"] = LIVE  # what was chosen belongs to the other project
    session.open()
    project = projects.get(desk.studio, session.project_id)
    return (
        thread(desk, session),
        {"title": _title(desk, session)},
        conversation_list(desk, session),
        gr.update(choices=[(p.name, p.id) for p in desk.studio.store.projects.all()], value=session.project_id),
        answering,
        project.system_prompt,
        {"project": project.id, "prompt": project.system_prompt},
        time.time(),
        mark(desk, session),
    )


@dataclass(frozen=True)
class Writing:
    """An answer as far as it is written; of two sides, both."""

    adapters: tuple[str | None, ...]
    texts: tuple[str, ...]


def thread(desk: Desk, session: Session) -> dict[str, Any]:
    """What the page shows by now, with the answer that is being written in it or could not be given."""
    session = session.now
    work = desk.answer(session.conversation_id)
    # Asked before the store is: an answer that is no longer being written is in there.
    is_busy = work is not None and work.is_running
    names = _names(desk, session)
    shown = conversation.view(desk.studio, session.conversation_id) if session.conversation_id else []
    saved = [entry.correction.example_id for entry in shown if entry.correction and entry.correction.example_id]
    value = present.thread_value(
        shown,
        names,
        session.language,
        empty=None if shown else _empty(desk, session),
        refused=session.page.refused,
        notices=quality.notices(desk.studio, session.project_id, saved),
    )
    value["busy"] = is_busy
    if work is not None and work.result and shown and shown[-1].message.role == "user":
        labels = [names(adapter_id) for adapter_id in work.result.adapters]
        if is_busy:
            value["messages"] += present.streaming_messages(work.result.texts, labels)
        elif work.error:
            value["messages"].append(present.error_message(work.error, labels[0], session.language))
    return value


def mark(desk: Desk, session: Session) -> str:
    """Changes when an answer is begun or ends, and when something new is noticed of a saved row."""
    work = desk.answer(session.now.conversation_id)
    noticed = max((notice.number for notice in desk.studio.noticed.copy().values()), default="")
    return f"{work.mark if work else ''} {noticed}".strip()


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


def begin(desk: Desk, conversation_id: str, options: AskOptions, pose: Callable[[str], object]) -> None:
    """Pose a question and have it answered in a thread of its own, whatever becomes of the page.

    Raises:
        Busy: an answer is being written in this conversation; nothing is asked.
    """

    def write(work: Work) -> object:
        work.result = Writing(options.adapters, ("",) * len(options.adapters))
        for texts in conversation.reply(desk.studio, conversation_id, options, work.cancelled):
            work.result = Writing(options.adapters, texts)
            work.report("", 0, 0)
        return work.result

    with desk.asking:
        current = desk.answer(conversation_id)
        if current is not None and current.is_running:
            raise Busy("An answer is still being written.", "Wait until it is done, or stop it.")
        pose(conversation_id)
        desk.works.start(conversation_id, "answer", write, desk.studio.closing)


def follow(desk: Desk, session: Session) -> Iterator[dict[str, Any]]:
    """Thread values as long as an answer is being written in what the page shows, which may be another conversation
    after each. The last is one that was still right when it had been sent."""
    shown: dict[str, Any] = {}
    while (value := thread(desk, session)) != shown or value["busy"]:
        if value != shown:
            yield value
        shown = value
        if value["busy"]:
            time.sleep(FRAME_S)


def keep_prompt(desk: Desk, given: dict[str, str], text: str) -> dict[str, str]:
    """Save the system prompt if it was changed on this page. Returns what the page has been given by now.

    Raises:
        Conflict: it was changed elsewhere too.
    """
    if text != given["prompt"]:
        projects.change_system_prompt(desk.studio, given["project"], given["prompt"], text)
    return {**given, "prompt": text}


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
                stop = gr.Button(t("app.chat.stop"), size="sm", elem_id="stop", min_width=44, scale=0)
        with gr.Column(elem_classes="st-side st-side-right", min_width=0):
            right = right_side(desk, session)
    tab = ChatTab(
        thread=chat,
        toggles=toggles,
        conversations=left.conversations,
        project=left.project,
        answer_with=right.answer_with,
        system=right.system,
        given=gr.JSON({"project": "", "prompt": ""}, visible="hidden"),
        shots_changed=right.shots_changed,
        box=box,
        taken=gr.JSON(visible="hidden"),
        mark=gr.State(""),
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

    differs = right.differs
    choosing = [tab.given, differs.group, differs.theirs]

    def kept(at: Session, given: dict[str, str], text: str, seen: str) -> tuple[Any, ...]:
        """Save `text` in the place of `seen`; what stands there instead is shown to choose between the two."""
        try:
            return keep_prompt(desk, {**given, "prompt": seen}, text), gr.update(visible=False), ""
        except Conflict as error:
            return gr.skip(), gr.update(visible=True), error.current  # given anew, it would count as changed

    @guarded
    def save_system(at: Session, given: dict[str, str], text: str) -> tuple[Any, ...]:
        return kept(at, given, text, given["prompt"])

    @guarded
    def take_theirs(at: Session, given: dict[str, str]) -> tuple[Any, ...]:
        theirs = projects.get(desk.studio, given["project"]).system_prompt
        return {**given, "prompt": theirs}, gr.update(visible=False), "", theirs

    for event in (right.rendered.expand, right.refresh.click):
        event(preview, [session, tab.box, tab.answer_with, *right.settings], [right.tokens, right.exact], **QUIET)
    tab.system.blur(save_system, [session, tab.given, tab.system], choosing, **LATEST)
    differs.keep_mine.click(guarded(kept), [session, tab.given, tab.system, differs.theirs], choosing, **QUIET)
    differs.take_theirs.click(take_theirs, [session, tab.given], [*choosing, tab.system], **QUIET)
    # Another project, or one that was opened anew, has a prompt of its own.
    tab.given.change(lambda: gr.update(visible=False), None, differs.group, **QUIET)


def _wire_asking(desk: Desk, session: gr.State, tab: ChatTab, stop: gr.Button, settings: list[Any]) -> None:
    """Each gesture writes what was asked and begins the answer, which then streams into the thread alone.

    In one event, every other output would be made anew for every word.
    """
    prepared = [session, tab.given, tab.thread, tab.toggles, tab.conversations, tab.mark]

    def opened(
        at: Session, pose: Callable[[str], object], given: dict[str, str], system: str, *answering: Any
    ) -> tuple[Any, ...]:
        # Typing a system prompt and asking at once must not lose the prompt.
        given = keep_prompt(desk, given, system)
        at = with_conversation(desk.studio, at)
        begin(desk, str(at.conversation_id), _options(desk, at, *answering), pose)
        at.open()
        return (
            at, given, thread(desk, at), {"title": _title(desk, at)}, conversation_list(desk, at), mark(desk, at)
        )  # fmt: skip

    def asking(text: str, request: gr.Request) -> Callable[[str], object]:
        if not text.strip():
            raise InvalidInput("There is nothing to ask yet.", "Type a question first.")
        return lambda conversation_id: conversation.ask(desk.studio, conversation_id, text, author_of(request))

    @guarded
    def send(request: gr.Request, at: Session, text: str, *shown: Any) -> tuple[Any, ...]:
        return (*opened(at, asking(text, request), *shown), {"sent": text})

    @guarded
    def suggest(request: gr.Request, evt: gr.EventData, at: Session, *shown: Any) -> tuple[Any, ...]:
        return opened(at, asking(evt._data["text"], request), *shown)

    @guarded
    def retry(evt: gr.EventData, at: Session, *shown: Any) -> tuple[Any, ...]:
        def go_back(_: str) -> None:
            if evt._data["id"] != "failed":
                conversation.go_back_to(desk.studio, evt._data["id"])

        return opened(at, go_back, *shown)

    @guarded
    def edit(request: gr.Request, evt: gr.EventData, at: Session, *shown: Any) -> tuple[Any, ...]:
        def reword(_: str) -> None:
            conversation.edit(desk.studio, evt._data["id"], evt._data["text"], author_of(request))

        return opened(at, reword, *shown)

    @guarded
    def followed(at: Session) -> Iterator[dict[str, Any]]:
        yield from follow(desk, at)

    shown = [tab.given, tab.system, tab.answer_with, *settings]
    sent = tab.box.submit(send, [session, tab.box, *shown], [*prepared, tab.taken], **QUIET)
    sent.success(None, [tab.box, tab.taken], tab.box, js=COMPOSED, **QUIET)
    tab.thread.listen("suggest", suggest, [session, *shown], prepared)
    tab.thread.listen("retry", retry, [session, *shown], prepared)
    tab.thread.listen("edit", edit, [session, *shown], prepared)
    tab.mark.change(followed, [session], tab.thread, **{**LATEST, "concurrency_limit": 16})
    stop.click(lambda at: desk.stop(at.conversation_id), [session], None, queue=False, **QUIET)


def _wire_judging(desk: Desk, session: gr.State, tab: ChatTab) -> None:
    def save(at: Session, verdict: Any, data: dict[str, Any], author: str) -> dict[str, Any]:
        message_id = data["id"]
        at.page.refused.pop(message_id, None)
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
            # The browser is told only of values that differ: a second refusal must not look like the first.
            at.page.refused[message_id] = {"error": error_text(at.language, error), "attempt": time.time_ns()}
            return thread(desk, at)
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
        return thread(desk, at), {"undone": text}

    tab.thread.listen("accept", accept, [session], tab.thread)
    tab.thread.listen("correct", correct, [session], tab.thread)
    tab.thread.listen("reject", reject, [session], tab.thread)
    tab.thread.listen("page", page, [session], tab.thread)
    undone = tab.thread.listen("undo", undo, [session], [tab.thread, tab.taken])
    undone.success(None, [tab.box, tab.taken], tab.box, js=COMPOSED, **QUIET)


def _wire_choosing(desk: Desk, session: gr.State, tab: ChatTab, left: Left) -> None:
    everything = [session, *tab.view]

    def go(at: Session) -> tuple[Any, ...]:
        return (at, *show(desk, at))

    def chosen(by: Any, at: Session) -> tuple[Any, ...]:
        """The same where `by` says what was chosen: it is not said back, since meanwhile it may be another."""
        shown = go(at)
        del shown[everything.index(by)]["value"]
        return shown

    @guarded
    def choose_project(at: Session, project_id: str) -> tuple[Any, ...]:
        return chosen(
            tab.project, replace(at, project_id=projects.get(desk.studio, project_id).id, conversation_id=None)
        )

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
        return chosen(tab.conversations, replace(at, conversation_id=conversation.get(desk.studio, conversation_id).id))

    tab.project.input(choose_project, [session, tab.project], everything, **LATEST)
    left.create.click(make_project, [session, left.new_name], [*everything, left.new_name], **QUIET)
    left.try_sample.click(start_sample, [session, left.sample], everything, **QUIET)
    tab.conversations.input(choose_conversation, [session, tab.conversations], everything, **LATEST)
    left.new.click(lambda at: go(replace(at, conversation_id=None)), [session], everything, **QUIET)
    left.search.change(
        lambda at, text: conversation_list(desk, at, text), [session, left.search], tab.conversations, **LATEST
    )
