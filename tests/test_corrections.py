from __future__ import annotations

from collections.abc import Callable

import pytest

from studio import conversation, corrections, projects
from studio.context import Studio
from studio.errors import InvalidInput, NotFound
from studio.records import Correction, Message, Project, Turn
from tests.conftest import together

Asked = Callable[..., Message]


def test_a_correction_is_training_data_a_test_and_a_pair(studio: Studio, asked: Asked, project: Project) -> None:
    answer = asked("Hello")
    saved = corrections.save(
        studio, answer.id, "corrected", "Good day.", reason="tone", note=" too short ", author="ann"
    )
    assert saved == studio.store.conversations.correction_of(answer.id)
    assert (saved.original, saved.text, saved.reason) == ("You said: Hello", "Good day.", "tone")
    assert (saved.note, saved.author, saved.message_id) == ("too short", "ann", answer.id)
    [row] = studio.store.examples.find(project.id)
    assert (row.id, row.version, row.status, row.split) == (saved.example_id, 1, "approved", "train")
    assert row.messages == (Turn("user", "Hello"),)
    assert (row.answer, row.rejected) == ("Good day.", "You said: Hello")
    assert (row.source, row.message_id, row.author) == ("chat", answer.id, "ann")
    assert studio.store.conversations.message(answer.id) == answer, "the answer itself is never changed"


def test_an_accepted_answer_is_learned_as_it_is(studio: Studio, asked: Asked, project: Project) -> None:
    corrections.save(studio, asked("Hello").id, "accepted")
    [row] = studio.store.examples.find(project.id)
    assert (row.status, row.answer, row.rejected) == ("approved", "You said: Hello", None)


def test_a_rejected_answer_is_kept_but_not_learned(studio: Studio, asked: Asked, project: Project) -> None:
    corrections.save(studio, asked("Hello").id, "rejected", reason="unsafe")
    [row] = studio.store.examples.find(project.id)
    assert (row.status, row.answer) == ("rejected", "You said: Hello")
    assert studio.store.examples.find(project.id, status="approved") == []


@pytest.mark.parametrize("text", ["", "  \n", "You said: Hello", " You  said:\nHello "])
def test_an_empty_or_unchanged_text_is_no_correction(studio: Studio, asked: Asked, project: Project, text: str) -> None:
    answer = asked("Hello")
    with pytest.raises(InvalidInput, match=r"empty|unchanged"):
        corrections.save(studio, answer.id, "corrected", text)
    assert studio.store.examples.find(project.id) == []
    assert studio.store.conversations.correction_of(answer.id) is None


def test_a_text_that_is_far_too_long_or_a_reason_that_isnt_one(studio: Studio, asked: Asked) -> None:
    answer = asked("Hello")
    with pytest.raises(InvalidInput, match="too long"):
        corrections.save(studio, answer.id, "corrected", "x" * (corrections.MAX_TEXT + 1))
    with pytest.raises(InvalidInput, match="no reason 'boring'"):
        corrections.save(studio, answer.id, "rejected", reason="boring")


def test_only_answers_can_be_corrected(studio: Studio, asked: Asked) -> None:
    answer = asked("Hello")
    assert answer.parent_id is not None
    for message_id in (answer.parent_id, "m_none"):
        with pytest.raises(NotFound):
            corrections.save(studio, message_id, "corrected", "No")


def test_correcting_again_makes_the_next_version(
    studio: Studio, corrected: Callable[..., Correction], project: Project
) -> None:
    first = corrected("Hello", "Good day.")
    second = corrections.save(studio, first.message_id, "corrected", "Good morning.", author="bob")
    assert second.example_id == first.example_id
    assert studio.store.conversations.correction_of(first.message_id) == second
    [row] = studio.store.examples.find(project.id)
    assert (row.version, row.answer, row.rejected) == (2, "Good morning.", "You said: Hello")
    assert [v.answer for v in studio.store.examples.versions(row.id)] == ["Good day.", "Good morning."]
    with pytest.raises(InvalidInput, match="unchanged"):
        corrections.save(studio, first.message_id, "corrected", "Good morning.")


def test_a_change_of_mind_counts_and_forgets_nothing(
    studio: Studio, corrected: Callable[..., Correction], project: Project
) -> None:
    first = corrected("Hello", "Good day.")
    corrections.save(studio, first.message_id, "rejected")
    assert studio.store.examples.find(project.id)[0].status == "rejected"
    corrections.save(studio, first.message_id, "accepted")
    [row] = studio.store.examples.find(project.id)
    assert (row.status, row.answer, row.rejected, row.version) == ("approved", "You said: Hello", None, 3)
    corrections.save(studio, first.message_id, "corrected", "Good day.")
    assert studio.store.examples.find(project.id)[0].answer == "Good day."


def test_any_turn_of_a_conversation_can_be_corrected(studio: Studio, asked: Asked, project: Project) -> None:
    first = asked("One")
    second = asked("Two", first.conversation_id)
    asked("Three", first.conversation_id)
    corrections.save(studio, second.id, "corrected", "Dos")
    corrections.save(studio, first.id, "corrected", "Uno")
    rows = {row.answer: row for row in studio.store.examples.find(project.id)}
    assert rows["Uno"].messages == (Turn("user", "One"),)
    assert rows["Dos"].messages == (Turn("user", "One"), Turn("assistant", "You said: One"), Turn("user", "Two"))
    # Corrected once more, the row's history holds the correction of the earlier turn.
    corrections.save(studio, second.id, "corrected", "Dos.")
    assert studio.store.examples.find(project.id, text="Dos.")[0].messages[1] == Turn("assistant", "Uno")


def test_the_path_of_a_retry_is_its_own(studio: Studio, asked: Asked, project: Project) -> None:
    first = asked("One")
    conversation.edit(studio, str(first.parent_id), "Other")
    chat = first.conversation_id
    import threading

    list(conversation.reply(studio, chat, conversation.AskOptions(), threading.Event()))
    corrections.save(studio, first.id, "corrected", "Uno")
    assert studio.store.examples.find(project.id)[0].messages == (Turn("user", "One"),)


def test_an_instruction_project_keeps_one_question(studio: Studio, asked: Asked, project: Project) -> None:
    projects.set_format(studio, project.id, "instruction")
    first = asked("One")
    second = asked("Two", first.conversation_id)
    corrections.save(studio, second.id, "corrected", "Dos")
    [row] = studio.store.examples.find(project.id)
    assert row.messages == (Turn("user", "Two"),)


def test_two_experts_at_the_same_moment_both_count(studio: Studio, asked: Asked, project: Project) -> None:
    answer = asked("Hello")
    together(6, lambda n: corrections.save(studio, answer.id, "corrected", f"Answer {n}", author=f"expert {n}"))
    [row] = studio.store.examples.find(project.id)
    versions = studio.store.examples.versions(row.id)
    assert [v.version for v in versions] == [1, 2, 3, 4, 5, 6]
    latest = studio.store.conversations.correction_of(answer.id)
    assert latest is not None
    assert latest.text == row.answer
