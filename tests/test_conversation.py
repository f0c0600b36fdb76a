from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from studio import conversation, corrections, projects
from studio.context import Studio
from studio.conversation import AskOptions
from studio.errors import InvalidInput, NotFound
from studio.model.engine import EchoEngine
from studio.records import Message, Project, Sampling, Shot, Turn

Asked = Callable[..., Message]


def texts(studio: Studio, conversation_id: str) -> list[str]:
    return [shown.message.text for shown in conversation.view(studio, conversation_id)]


def reply(studio: Studio, conversation_id: str, **options: object) -> list[tuple[str, ...]]:
    return list(conversation.reply(studio, conversation_id, AskOptions(**options), threading.Event()))  # type: ignore[arg-type]


def lesson(studio: Studio, project: Project) -> str:
    """An adapter that the echo engine can answer with."""
    from studio.records import Adapter

    adapter = Adapter("a1", project.id, "r1", "v1", studio.engine.identity, "", "lora")
    studio.store.adapters.add(adapter)
    (studio.workspace.adapters / "a1").mkdir()
    return adapter.id


def test_a_question_and_its_answer_are_kept_as_they_were(studio: Studio, project: Project) -> None:
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "  What time is it?\n", author="ann")
    pieces = reply(studio, chat.id, sampling=Sampling(temperature=0.5, seed=7))
    assert pieces[-1] == ("You said:   What time is it?\n",)
    assert all(b[0].startswith(a[0]) for a, b in itertools.pairwise(pieces))
    question, answer = (shown.message for shown in conversation.view(studio, chat.id))
    assert (question.role, question.text, question.author) == ("user", "  What time is it?\n", "ann")
    assert (answer.role, answer.text, answer.parent_id) == ("assistant", pieces[-1][0], question.id)
    assert (answer.state, answer.adapter_id, answer.model, answer.pair) == ("complete", None, "echo", None)
    assert answer.prompt == "<system>You are a clerk.\n<user>  What time is it?\n\n<assistant>"
    assert answer.template_hash
    assert (answer.sampling["temperature"], answer.sampling["seed"]) == (0.5, 7)
    assert conversation.get(studio, chat.id).title == "What time is it?"


def test_nothing_typed_is_no_question(studio: Studio, project: Project) -> None:
    chat = conversation.start(studio, project.id)
    with pytest.raises(InvalidInput, match="nothing to ask"):
        conversation.ask(studio, chat.id, " \n")
    with pytest.raises(InvalidInput, match="no open question"):
        reply(studio, chat.id)
    assert conversation.view(studio, chat.id) == []


def test_an_answered_question_isnt_answered_twice_by_accident(studio: Studio, asked: Asked) -> None:
    answer = asked("Hello")
    with pytest.raises(InvalidInput, match="no open question"):
        reply(studio, answer.conversation_id)


def test_a_retry_is_a_sibling_and_can_be_paged(studio: Studio, asked: Asked) -> None:
    first = asked("Hello")
    chat = first.conversation_id
    conversation.go_back_to(studio, first.id)
    reply(studio, chat)
    shown = conversation.view(studio, chat)[-1]
    assert shown.message.id != first.id
    assert shown.message.parent_id == first.parent_id
    assert (shown.index, shown.count) == (2, 2)
    conversation.page(studio, shown.message.id, -1)
    assert conversation.view(studio, chat)[-1].message == first
    conversation.page(studio, first.id, -1)
    assert conversation.view(studio, chat)[-1].message == first
    conversation.page(studio, first.id, 1)
    assert conversation.view(studio, chat)[-1].message == shown.message


def test_paging_back_shows_what_followed(studio: Studio, asked: Asked) -> None:
    first = asked("One")
    chat = first.conversation_id
    asked("Two", chat)
    asked("Three", chat)
    whole = texts(studio, chat)
    conversation.go_back_to(studio, first.id)
    reply(studio, chat)
    assert len(texts(studio, chat)) == 2
    conversation.page(studio, conversation.view(studio, chat)[-1].message.id, -1)
    assert texts(studio, chat) == whole


def test_an_edited_question_is_a_sibling_too(studio: Studio, asked: Asked) -> None:
    answer = asked("Hello")
    chat = answer.conversation_id
    old = conversation.view(studio, chat)[0].message
    conversation.edit(studio, old.id, "Good morning")
    reply(studio, chat)
    assert texts(studio, chat) == ["Good morning", "You said: Good morning"]
    assert conversation.view(studio, chat)[0].count == 2
    conversation.page(studio, conversation.view(studio, chat)[0].message.id, -1)
    assert texts(studio, chat) == ["Hello", "You said: Hello"]
    with pytest.raises(InvalidInput, match="Only questions"):
        conversation.edit(studio, answer.id, "no")


def test_undo_gives_the_question_back_and_forgets_nothing(studio: Studio, asked: Asked) -> None:
    chat = asked("One").conversation_id
    asked("Two", chat)
    assert conversation.undo(studio, chat) == "Two"
    assert texts(studio, chat) == ["One", "You said: One"]
    assert conversation.undo(studio, chat) == "One"
    assert texts(studio, chat) == []
    with pytest.raises(InvalidInput, match="nothing to undo"):
        conversation.undo(studio, chat)
    assert len(studio.store.conversations.messages(chat)) == 4


def test_both_answers_stand_side_by_side(studio: Studio, project: Project) -> None:
    adapter = lesson(studio, project)
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "Hello")
    pieces = reply(studio, chat.id, adapters=(None, adapter))
    assert pieces[-1] == ("You said: Hello", "Lesson says: Hello")
    shown = conversation.view(studio, chat.id)[-1]
    assert shown.partner is not None
    assert {shown.message.adapter_id, shown.partner.message.adapter_id} == {None, adapter}
    assert shown.message.pair == shown.partner.message.pair
    assert (shown.index, shown.count) == (1, 1), "a pair is one place among the siblings"


def test_the_conversation_goes_on_from_the_chosen_side(studio: Studio, project: Project) -> None:
    adapter = lesson(studio, project)
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "Hello")
    reply(studio, chat.id, adapters=(None, adapter))
    shown = conversation.view(studio, chat.id)[-1]
    assert shown.partner is not None
    for side in (shown.message, shown.partner.message):
        conversation.continue_from(studio, side.id)
        assert conversation.view(studio, chat.id)[-1].message == side


def test_an_adapter_that_isnt_there_is_refused_before_anything_is_saved(studio: Studio, asked: Asked) -> None:
    chat = asked("Hello").conversation_id
    conversation.ask(studio, chat, "Again")
    with pytest.raises(NotFound):
        reply(studio, chat, adapters=("a_none",))
    assert texts(studio, chat)[-1] == "Again"


@pytest.mark.parametrize("wanted", ["parking", "PARKING", "駐車場", "二時間"])
def test_search_in_both_languages(studio: Studio, asked: Asked, project: Project, wanted: str) -> None:
    english = asked("Is there Parking nearby?").conversation_id
    japanese = asked("駐車場はありますか。二時間です。").conversation_id
    asked("Opening hours?")
    found = [c.id for c in conversation.find(studio, project.id, f" {wanted} ")]
    assert found == [english if wanted.isascii() else japanese]


def test_all_conversations_newest_first_without_empty_ones(studio: Studio, asked: Asked, project: Project) -> None:
    ids = [asked(text).conversation_id for text in ("One", "Two", "Three")]
    conversation.start(studio, project.id)
    assert [c.id for c in conversation.find(studio, project.id)] == ids[::-1]
    assert conversation.find(studio, "p_other") == []


def test_a_new_title_is_found(studio: Studio, asked: Asked, project: Project) -> None:
    chat = asked("Hello").conversation_id
    conversation.rename(studio, chat, f"  Greetings {'x' * 100}")
    assert conversation.find(studio, project.id, "greetings")[0].id == chat
    assert len(conversation.get(studio, chat).title) == conversation.TITLE_LENGTH


def test_a_stopped_answer_is_kept(studio: Studio, project: Project) -> None:
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "one two three four")
    cancelled = threading.Event()
    for text in conversation.reply(studio, chat.id, AskOptions(), cancelled):
        if "one" in text[0]:
            cancelled.set()
    answer = conversation.view(studio, chat.id)[-1].message
    assert (answer.text, answer.state) == ("You said: one", "stopped")


def test_what_was_written_is_kept_when_the_reader_goes_away(studio: Studio, project: Project) -> None:
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "one two three four")
    stream = conversation.reply(studio, chat.id, AskOptions(), threading.Event())
    next(stream)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    answer = conversation.view(studio, chat.id)[-1].message
    assert (answer.text, answer.state) == ("You said:", "stopped")


def test_an_answer_that_was_stopped_before_its_first_word_leaves_the_question_open(
    studio: Studio, project: Project
) -> None:
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "Hello")
    cancelled = threading.Event()
    cancelled.set()
    assert list(conversation.reply(studio, chat.id, AskOptions(), cancelled)) == []
    assert texts(studio, chat.id) == ["Hello"]
    assert reply(studio, chat.id)[-1] == ("You said: Hello",)


def test_a_prompt_longer_than_the_context_is_refused(studio: Studio, project: Project) -> None:
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "x" * studio.engine.context_length)
    with pytest.raises(InvalidInput, match=r"The prompt has \d+ tokens; the model reads at most 2048"):
        reply(studio, chat.id)
    assert len(texts(studio, chat.id)) == 1


def test_a_long_prompt_leaves_less_room_for_the_answer(studio: Studio, project: Project) -> None:
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "x" * 2000)
    reply(studio, chat.id, sampling=Sampling(max_tokens=256))
    used = len(conversation.view(studio, chat.id)[-1].message.prompt)
    assert conversation.view(studio, chat.id)[-1].message.sampling["max_tokens"] == 2048 - used < 256


def test_a_chat_project_sends_the_whole_path_an_instruction_project_one_question(
    studio: Studio, project: Project, asked: Asked
) -> None:
    chat = asked("One").conversation_id
    second = asked("Two", chat)
    assert second.prompt.count("<user>") == 2
    assert "<assistant>You said: One" in second.prompt
    projects.set_format(studio, project.id, "instruction")
    third = asked("Three", chat)
    assert third.prompt == "<system>You are a clerk.\n<user>Three\n<assistant>"


def test_few_shot_pairs_stand_between_system_and_question(studio: Studio, project: Project, asked: Asked) -> None:
    projects.set_shots(studio, project.id, (Shot("1+1", "2"), Shot("2+2", "4")))
    assert asked("3+3").prompt == (
        "<system>You are a clerk.\n<user>1+1\n<assistant>2\n<user>2+2\n<assistant>4\n<user>3+3\n<assistant>"
    )


def test_later_prompts_hold_the_correction_instead_of_the_answer(studio: Studio, asked: Asked) -> None:
    first = asked("One")
    corrections.save(studio, first.id, "corrected", "Uno")
    second = asked("Two", first.conversation_id)
    assert "<assistant>Uno\n" in second.prompt
    assert "You said: One" not in second.prompt
    corrections.save(studio, first.id, "accepted")
    assert "<assistant>You said: One\n" in asked("Three", first.conversation_id).prompt


def test_plain_completion(studio: Studio, project: Project) -> None:
    projects.set_shots(studio, project.id, (Shot("1+1", "2"),))
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "3+3")
    reply(studio, chat.id, is_completion=True)
    assert conversation.view(studio, chat.id)[-1].message.prompt == "You are a clerk.\n\nQ: 1+1\nA: 2\n\nQ: 3+3\nA:"


def test_completion_of_several_turns(project: Project) -> None:
    turns = [Turn("user", "One"), Turn("assistant", "Uno"), Turn("user", "Two")]
    assert conversation.completion_text(project, turns) == "You are a clerk.\n\nQ: One\nA: Uno\n\nQ: Two\nA:"


def test_the_preview_is_the_prompt_that_will_be_sent(studio: Studio, project: Project, asked: Asked) -> None:
    first = asked("One")
    chat = first.conversation_id
    preview = conversation.preview(studio, chat, project.id, "Two", AskOptions())
    assert preview.text == asked("Two", chat).prompt
    assert preview.tokens == len(preview.text)
    assert preview.room == preview.context - preview.tokens
    fresh = conversation.preview(studio, None, project.id, "One", AskOptions())
    assert fresh.text == first.prompt


def test_an_engine_that_fails_in_the_middle_leaves_what_it_said(studio: Studio, project: Project) -> None:
    class Failing(EchoEngine):
        def stream(self, request, cancelled):  # type: ignore[no-untyped-def]
            yield next(iter(super().stream(request, cancelled)))
            raise RuntimeError("broken")

    studio._engine = Failing()
    chat = conversation.start(studio, project.id)
    conversation.ask(studio, chat.id, "Hello")
    with pytest.raises(RuntimeError, match="broken"):
        reply(studio, chat.id)
    answer = conversation.view(studio, chat.id)[-1].message
    assert (answer.text, answer.state) == ("You", "failed")


def test_what_doesnt_exist_is_named(studio: Studio) -> None:
    with pytest.raises(NotFound):
        conversation.get(studio, "c_none")
    with pytest.raises(NotFound):
        conversation.page(studio, "m_none", 1)
