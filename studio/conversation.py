"""Chatting: a tree of immutable messages, of which one path is shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from studio import adapters, projects
from studio.context import Studio
from studio.errors import InvalidInput, NotFound, Phrase
from studio.model.engine import Prompt, Request
from studio.records import Conversation, Correction, Message, Project, Sampling, Turn, new_id, now

TITLE_LENGTH = 60
COMPLETION_STOP = ("\nQ:", "\n\n")


@dataclass(frozen=True)
class AskOptions:
    """How the next answer is to be given."""

    adapters: tuple[str | None, ...] = (None,)
    """One adapter id (None: the base), or two to see both answers."""
    sampling: Sampling = field(default_factory=Sampling)
    is_completion: bool = False
    """Continue plain text instead of applying the chat template: for base models."""


@dataclass(frozen=True)
class Shown:
    """A message as it stands in the path that is shown."""

    message: Message
    correction: Correction | None
    index: int
    """1-based place among its siblings."""
    count: int
    partner: Shown | None = None
    """The other answer of the same "ask both"."""


@dataclass(frozen=True)
class Preview:
    """The exact prompt the model would read, and how much room it takes."""

    text: str
    tokens: int
    context: int
    room: int
    """Tokens left for the answer."""


def start(studio: Studio, project_id: str) -> Conversation:
    conversation = Conversation(new_id("c"), projects.get(studio, project_id).id)
    studio.store.conversations.add(conversation)
    return conversation


def get(studio: Studio, conversation_id: str) -> Conversation:
    conversation = studio.store.conversations.get(conversation_id)
    if conversation is None:
        raise NotFound("This conversation doesn't exist.", "Start a new one.")
    return conversation


def find(studio: Studio, project_id: str, text: str = "") -> list[Conversation]:
    """Conversations of a project, newest first, that contain `text` in the title or any message."""
    return studio.store.conversations.find(project_id, text.strip())


def rename(studio: Studio, conversation_id: str, title: str) -> None:
    studio.store.conversations.set_title(conversation_id, title.strip()[:TITLE_LENGTH])


def view(studio: Studio, conversation_id: str) -> list[Shown]:
    """The path from the first message to the chosen leaf."""
    conversation = get(studio, conversation_id)
    messages = studio.store.conversations.messages(conversation_id)
    latest = {c.message_id: c for c in studio.store.conversations.corrections(conversation_id)}
    shown: list[Shown] = []
    for message in _path(messages, conversation.leaf_id):
        siblings = [m for m in messages if m.parent_id == message.parent_id]
        entry = _shown(message, siblings, latest)
        if message.pair:
            partner = next((m for m in siblings if m.pair == message.pair and m.id != message.id), None)
            if partner:
                entry = replace(entry, partner=_shown(partner, siblings, latest))
        shown.append(entry)
    return shown


def _shown(message: Message, siblings: Sequence[Message], latest: dict[str, Correction]) -> Shown:
    # A pair is one place among the siblings: paging goes from retry to retry.
    places: list[str] = []
    for sibling in siblings:
        if (key := sibling.pair or sibling.id) not in places:
            places.append(key)
    return Shown(message, latest.get(message.id), places.index(message.pair or message.id) + 1, len(places))


def _path(messages: Sequence[Message], leaf_id: str | None) -> list[Message]:
    by_id = {m.id: m for m in messages}
    path: list[Message] = []
    while leaf_id is not None and leaf_id in by_id:
        path.append(by_id[leaf_id])
        leaf_id = by_id[leaf_id].parent_id
    return path[::-1]


def ask(studio: Studio, conversation_id: str, text: str, author: str = "") -> Message:
    """Save a question at the end of the path shown.

    Raises:
        InvalidInput: nothing was typed.
    """
    conversation = get(studio, conversation_id)
    return _add_question(studio, conversation, text, conversation.leaf_id, author)


def edit(studio: Studio, message_id: str, text: str, author: str = "") -> Message:
    """Ask a question again in other words: a sibling of the question, shown instead of it."""
    old = _message(studio, message_id)
    if old.role != "user":
        raise InvalidInput("Only questions are edited this way.", "Correct an answer with Correct.")
    return _add_question(studio, get(studio, old.conversation_id), text, old.parent_id, author)


def _add_question(studio: Studio, conversation: Conversation, text: str, parent_id: str | None, author: str) -> Message:
    if not text.strip():
        raise InvalidInput("There is nothing to ask yet.", "Type a question first.")
    message = Message(new_id("m"), conversation.id, parent_id, "user", text, author=author or studio.settings.author)
    with studio.store.transaction():
        studio.store.conversations.add_message(message)
        studio.store.conversations.set_leaf(conversation.id, message.id)
        if not conversation.title:
            studio.store.conversations.set_title(conversation.id, " ".join(text.split())[:TITLE_LENGTH])
    return message


def undo(studio: Studio, conversation_id: str) -> str:
    """Take the last question and its answers out of view; they stay in the tree. Returns the question's text."""
    conversation = get(studio, conversation_id)
    path = _path(studio.store.conversations.messages(conversation_id), conversation.leaf_id)
    question = next((m for m in reversed(path) if m.role == "user"), None)
    if question is None:
        raise InvalidInput("There is nothing to undo.")
    studio.store.conversations.set_leaf(conversation_id, question.parent_id)
    return question.text


def page(studio: Studio, message_id: str, delta: int) -> None:
    """Show the sibling `delta` places on, with what followed it."""
    message = _message(studio, message_id)
    messages = studio.store.conversations.messages(message.conversation_id)
    siblings = [m for m in messages if m.parent_id == message.parent_id]
    groups = list(dict.fromkeys(m.pair or m.id for m in siblings))
    place = groups.index(message.pair or message.id) + delta
    if not 0 <= place < len(groups):
        return
    leaf = next(m for m in siblings if (m.pair or m.id) == groups[place])
    while children := [m for m in messages if m.parent_id == leaf.id]:
        leaf = children[-1]
    studio.store.conversations.set_leaf(message.conversation_id, leaf.id)


def go_back_to(studio: Studio, message_id: str) -> None:
    """Make a message the end of the path, so that the next `reply` answers it again (a retry)."""
    message = _message(studio, message_id)
    leaf = message.parent_id if message.role == "assistant" else message.id
    studio.store.conversations.set_leaf(message.conversation_id, leaf)


def continue_from(studio: Studio, message_id: str) -> None:
    """Make a message the end of the path: the next question follows it."""
    message = _message(studio, message_id)
    conversation = get(studio, message.conversation_id)
    path = _path(studio.store.conversations.messages(conversation.id), conversation.leaf_id)
    if message.id not in {m.id for m in path}:
        studio.store.conversations.set_leaf(conversation.id, message.id)


def reply(
    studio: Studio, conversation_id: str, options: AskOptions, cancelled: threading.Event
) -> Iterator[tuple[str, ...]]:
    """Answer the last question of the path, word by word; yields the text of each side so far.

    What was written is saved when the answer ends, is stopped, fails, or the reader goes away.

    Raises:
        InvalidInput: there is no open question, or the prompt doesn't fit the context.
        Busy, ModelUnavailable, AdapterRejected: the model or an adapter is not to be had.
    """
    conversation = get(studio, conversation_id)
    path = _path(studio.store.conversations.messages(conversation_id), conversation.leaf_id)
    if not path or path[-1].role != "user":
        raise InvalidInput("There is no open question.", "Type a question first.")
    project = projects.get(studio, conversation.project_id)
    engine = studio.engine
    prompt = _prompt(studio, project, path, options)
    sampling = _fit(prompt, options.sampling, engine.context_length)
    for adapter_id in options.adapters:
        if adapter_id is not None:
            adapters.ensure_loaded(studio, adapter_id)
    stop = COMPLETION_STOP if options.is_completion or not engine.has_chat_template else ()
    texts = [""] * len(options.adapters)
    state = "failed"
    try:
        request = Request(prompt, sampling, options.adapters, stop)
        for piece in engine.stream(request, cancelled):
            texts[piece.side] += piece.text
            yield tuple(texts)
        state = "stopped" if cancelled.is_set() else "complete"
    except GeneratorExit:
        state = "stopped"
        raise
    finally:
        if any(texts) or state == "complete":
            _save_answers(studio, path[-1], options, prompt, sampling, texts, state)


def _save_answers(
    studio: Studio,
    question: Message,
    options: AskOptions,
    prompt: Prompt,
    sampling: Sampling,
    texts: Sequence[str],
    state: str,
) -> None:
    pair = new_id("x") if len(texts) > 1 else None
    with studio.store.transaction():
        for adapter_id, text in zip(options.adapters, texts, strict=True):
            message = Message(
                new_id("m"),
                question.conversation_id,
                question.id,
                "assistant",
                text.strip() if options.is_completion else text,
                adapter_id=adapter_id,
                model=studio.engine.identity.model,
                prompt=prompt.text,
                template_hash=prompt.template_hash,
                sampling=sampling.as_dict(),
                state=state,  # type: ignore[arg-type]
                pair=pair,
                created_at=now(),
            )
            studio.store.conversations.add_message(message)
        studio.store.conversations.set_leaf(question.conversation_id, message.id)


def preview(studio: Studio, conversation_id: str | None, project_id: str, draft: str, options: AskOptions) -> Preview:
    """The prompt as it would be sent with `draft` as the next question."""
    path: list[Message] = []
    if conversation_id:
        conversation = get(studio, conversation_id)
        path = _path(studio.store.conversations.messages(conversation_id), conversation.leaf_id)
    if draft.strip():
        path = [*path, Message("draft", conversation_id or "", None, "user", draft)]
    elif path and path[-1].role == "assistant":
        path = path[:-1]
    prompt = _prompt(studio, projects.get(studio, project_id), path, options)
    context = studio.engine.context_length
    return Preview(prompt.text, prompt.tokens, context, max(0, context - prompt.tokens))


def _prompt(studio: Studio, project: Project, path: Sequence[Message], options: AskOptions) -> Prompt:
    if project.format == "instruction":
        # Every question of an instruction project stands alone, as its rows do.
        path = path[-1:]
    turns = spoken(studio, path)
    if options.is_completion:
        return studio.engine.render_text(completion_text(project, turns))
    return studio.engine.render(chat_turns(project, turns))


def spoken(studio: Studio, path: Sequence[Message]) -> list[Turn]:
    """A path as turns, with corrected answers in place of what the model said."""
    turns = []
    for message in path:
        correction = studio.store.conversations.correction_of(message.id) if message.role == "assistant" else None
        is_corrected = correction is not None and correction.verdict == "corrected"
        turns.append(Turn(message.role, correction.text if correction and is_corrected else message.text))
    return turns


def chat_turns(project: Project, turns: Sequence[Turn]) -> list[Turn]:
    """System prompt, few-shot pairs, then the turns."""
    shots = [t for s in project.shots for t in (Turn("user", s.prompt), Turn("assistant", s.answer))]
    return [*system_turn(project), *shots, *turns]


def system_turn(project: Project) -> list[Turn]:
    return [Turn("system", project.system_prompt)] if project.system_prompt.strip() else []


def completion_text(project: Project, turns: Sequence[Turn]) -> str:
    """The few-shot prompt of a base model: instructions, then `Q:`/`A:` pairs, the last answer left open."""
    pairs = [(s.prompt, s.answer) for s in project.shots]
    lines = [project.system_prompt.strip()] if project.system_prompt.strip() else []
    lines += [f"Q: {question}\nA: {answer}" for question, answer in pairs]
    for turn in turns:
        lines.append(f"Q: {turn.content}\nA:" if turn.role == "user" else f" {turn.content}")
    return "\n\n".join(lines).replace("A:\n\n ", "A: ")


def _fit(prompt: Prompt, sampling: Sampling, context: int) -> Sampling:
    room = context - prompt.tokens
    if room < 1:
        raise InvalidInput(
            Phrase("The prompt has {n} tokens; the model reads at most {most}.", n=prompt.tokens, most=context),
            "Shorten the question, remove few-shot examples, or start a new conversation.",
        )
    return sampling if sampling.max_tokens <= room else replace(sampling, max_tokens=room)


def _message(studio: Studio, message_id: str) -> Message:
    message = studio.store.conversations.message(message_id)
    if message is None:
        raise NotFound("This message doesn't exist.", "Reload the page.")
    return message
