"""What the expert does to an answer: each one is training data, a test, and a preference pair."""

from __future__ import annotations

from dataclasses import replace

from studio import conversation, dataset, projects
from studio.context import Studio
from studio.errors import InvalidInput, NotFound, Phrase
from studio.records import REASONS, Correction, Example, Message, Verdict, new_id, normalise, now

MAX_TEXT = 100_000


def save(
    studio: Studio,
    message_id: str,
    verdict: Verdict,
    text: str = "",
    reason: str = "",
    note: str = "",
    author: str = "",
) -> Correction:
    """Save what the expert thinks of an answer, and the example that follows from it, in one durable write.

    The model's own answer is never changed. Saving again appends: the latest one counts.

    Raises:
        InvalidInput: the corrected text is empty or the same as the answer, or the reason is unknown.
        NotFound: no such answer.
    """
    with studio.store.transaction():
        return _save(studio, message_id, verdict, text, reason, note, author)


def _save(
    studio: Studio, message_id: str, verdict: Verdict, text: str, reason: str, note: str, author: str
) -> Correction:
    message = studio.store.conversations.message(message_id)
    if message is None or message.role != "assistant":
        raise NotFound("This answer doesn't exist any more.", "Reload the page.")
    before = studio.store.conversations.correction_of(message_id)
    answer = text if verdict == "corrected" else message.text
    _check(message, before, verdict, answer, reason)
    project = projects.get(studio, conversation.get(studio, message.conversation_id).project_id)
    if verdict != "rejected":
        dataset.require_unblocked(project, answer)
    example = _example(studio, message, project.id, verdict, answer, before, author or studio.settings.author)
    correction = Correction(
        id=new_id("k"),
        message_id=message_id,
        project_id=project.id,
        example_id=example.id,
        verdict=verdict,
        original=message.text,
        text=answer,
        reason=reason,
        note=note.strip(),
        author=example.author,
    )
    detail = " · ".join(filter(None, (verdict, reason)))
    dataset.add_rows(
        studio,
        project.id,
        [example],
        "created" if example.version == 1 else "edited",
        detail=detail,
        author=example.author,
    )
    studio.store.conversations.add_correction(correction)
    return correction


def _check(message: Message, before: Correction | None, verdict: Verdict, answer: str, reason: str) -> None:
    if reason and reason not in REASONS:
        raise InvalidInput(
            Phrase("There is no reason {reason!r}.", reason=reason),
            Phrase("Use one of: {names}.", names=", ".join(REASONS)),
        )
    if verdict == "accepted" and not answer.strip():
        raise InvalidInput("An empty answer can't be accepted.", "Correct it instead.")
    if verdict != "corrected":
        return
    if not answer.strip():
        raise InvalidInput("The corrected answer is empty.", "Write the answer the model should give.")
    if len(answer) > MAX_TEXT:
        raise InvalidInput(
            Phrase("The corrected answer is too long: {n} characters.", n=len(answer)),
            Phrase("At most {most}.", most=MAX_TEXT),
        )
    current = before.text if before is not None and before.verdict == "corrected" else message.text
    if normalise(answer) == normalise(current):
        raise InvalidInput("The answer is unchanged.", "Change it, or press Accept if it is right.")


def _example(
    studio: Studio,
    message: Message,
    project_id: str,
    verdict: Verdict,
    answer: str,
    before: Correction | None,
    author: str,
) -> Example:
    """The row this correction makes, or the next version of the row the answer made before."""
    old = studio.store.examples.get(before.example_id) if before is not None and before.example_id else None
    path = _path_to(studio, message)
    project = projects.get(studio, project_id)
    if project.format == "instruction":
        path = path[-1:]
    blank = Example(new_id("e"), project_id, 0, "draft", (), "", source="chat", group=message.conversation_id)
    return replace(
        old or blank,
        version=old.version + 1 if old else 1,
        status="rejected" if verdict == "rejected" else "approved",
        messages=tuple(conversation.spoken(studio, path)),
        answer=answer,
        rejected=message.text if verdict == "corrected" else None,
        message_id=message.id,
        author=author,
        created_at=now(),
    )


def _path_to(studio: Studio, message: Message) -> list[Message]:
    by_id = {m.id: m for m in studio.store.conversations.messages(message.conversation_id)}
    path: list[Message] = []
    parent = message.parent_id
    while parent is not None and parent in by_id:
        path.append(by_id[parent])
        parent = by_id[parent].parent_id
    return path[::-1]
