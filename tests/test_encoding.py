"""Which tokens of a row get loss, under templates of every kind, and what becomes of rows that are too long."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.model.encoding import (
    IGNORED,
    EncodedExample,
    Fit,
    Marks,
    Note,
    TrainingRow,
    encode_example,
    encode_examples,
    fit,
)
from studio.model.template import load_tokenizer, split_text
from studio.records import Turn
from tests.conftest import CHATML
from tests.test_template import NO_END, THINKING

LAST_TWO = CHATML.replace("for message in messages", "for message in messages[-2:]")
SYSTEM_LAST = (
    "{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'user' and loop.last or (loop.revindex == 2 and not add_generation_prompt) %}{{ system }}"
    "{% endif %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ALTERNATING = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WITH_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n' + tools | tojson + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}"
    "{{ '<call>' + call['function']['name'] + ' ' + call['function']['arguments'] | tojson + '</call>' }}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CALLS_AS_TEXT = WITH_TOOLS.replace("call['function']['arguments'] | tojson", "call['function']['arguments']")
GENERATION = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
)
CALL = {"id": "c1", "type": "function", "function": {"name": "hours", "arguments": '{"day": "月"}'}}
TOOLS = [{"type": "function", "function": {"name": "hours", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def shared(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def row(*texts: str, learn: tuple[int, ...] = (), learn_answer: bool = True, system: str = "S") -> TrainingRow:
    """System turn, then user and assistant in turn; `learn` counts the assistant's turns before the answer from 0."""
    turns = [Turn("system", system)]
    for place, text in enumerate(texts[:-1]):
        turns.append(Turn("assistant" if place % 2 else "user", text, bool(place % 2 and place // 2 in learn)))
    return TrainingRow(tuple(turns), Turn("assistant", texts[-1], learn_answer))


def learned(tokenizer: Any, encoded: EncodedExample) -> list[str]:
    return [tokenizer.decode(encoded.ids[start:end]) for start, end in encoded.marks.learned]


TALK = ("When do you open?", "At nine.", "And close?", "At five.", "Sundays?", "Never.")


@pytest.mark.parametrize("template", [CHATML, WITH_TOOLS, GENERATION + "{% if add_generation_prompt %}"
                                      "{{ '<|im_start|>assistant\n' }}{% endif %}"])  # fmt: skip
@pytest.mark.parametrize(
    ("marked", "answer", "expected"),
    [
        ((), True, ["Never.<|im_end|>"]),
        ((0,), True, ["At nine.<|im_end|>", "Never.<|im_end|>"]),
        ((0, 1), True, ["At nine.<|im_end|>", "At five.<|im_end|>", "Never.<|im_end|>"]),
        ((1,), False, ["At five.<|im_end|>"]),
    ],
)
def test_exactly_what_is_marked_gets_loss(
    tokenizer: Any, template: str, marked: tuple[int, ...], answer: bool, expected: list[str]
) -> None:
    tokenizer.chat_template = template
    encoded = encode_example(tokenizer, row(*TALK, learn=marked, learn_answer=answer))
    assert learned(tokenizer, encoded) == expected
    assert encoded.marks.notes == ()
    assert encoded.learns_answer == answer
    labels = encoded.labels()
    assert sum(label != IGNORED for label in labels) == encoded.marks.loss_tokens
    assert all(label in (IGNORED, id_) for label, id_ in zip(labels, encoded.ids, strict=True))
    # What is marked changes nothing about what is read.
    assert encoded.ids == encode_example(tokenizer, row(*TALK)).ids


def test_templates_without_an_end_of_turn(tokenizer: Any) -> None:
    tokenizer.chat_template = NO_END
    encoded = encode_example(tokenizer, row(*TALK, learn=(0,)))
    assert learned(tokenizer, encoded) == ["At nine.\n", "Never.\n<|im_end|>"]


def test_the_fallback_template(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    encoded = encode_example(tokenizer, row(*TALK, learn=(0, 1)))
    assert learned(tokenizer, encoded) == [" At nine.<|im_end|>", " At five.<|im_end|>", " Never.<|im_end|>"]


@pytest.mark.parametrize("template", [THINKING, LAST_TWO, SYSTEM_LAST])
def test_a_template_that_writes_earlier_turns_differently_learns_the_answer_and_says_so(
    tokenizer: Any, template: str
) -> None:
    tokenizer.chat_template = template
    encoded = encode_example(tokenizer, row(*TALK, learn=(0, 1)))
    assert learned(tokenizer, encoded) == ["Never.<|im_end|>"]
    assert {Note("turn-not-learned", 2), Note("turn-not-learned", 4)} <= set(encoded.marks.notes)
    alone = encode_example(tokenizer, row(*TALK, learn=(0, 1), learn_answer=False))
    assert alone.marks.problem == "nothing-to-learn"


def test_texts_that_the_template_leaves_out_are_named(tokenizer: Any) -> None:
    tokenizer.chat_template = LAST_TWO
    notes = encode_example(tokenizer, row(*TALK, system="Be brief.")).marks.notes
    assert notes == tuple(Note("text-changed", place) for place in (0, 1, 2, 3, 4))


TURN_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() and "\ue000" not in text and "\ue001" not in text
)


@given(st.lists(TURN_TEXT, min_size=2, max_size=6).filter(lambda texts: len(texts) % 2 == 0))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_tokens_are_those_that_transformers_marks_as_the_assistants(shared: Any, texts: list[str]) -> None:
    """An independent count: the template's own `generation` marks, which most models' templates lack."""
    one = row(*texts, learn=(0, 1, 2))
    encoded = encode_example(shared, one)
    theirs = shared.apply_chat_template(
        [turn.as_message() for turn in one.turns], chat_template=GENERATION, return_assistant_tokens_mask=True
    )
    end = len(encoded.ids)
    assert list(encoded.ids) == theirs["input_ids"][:end]
    assert [int(label != IGNORED) for label in encoded.labels()] == theirs["assistant_masks"][:end]


def test_a_row_may_begin_with_the_assistant(tokenizer: Any) -> None:
    greeting = TrainingRow(
        (Turn("assistant", "Hello!", learn=True), Turn("user", "Hi")), Turn("assistant", "So?", True)
    )
    encoded = encode_example(tokenizer, greeting)
    assert learned(tokenizer, encoded) == ["So?<|im_end|>"]
    assert encoded.marks.notes == (Note("turn-not-learned", 0),)


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (row("Q", ""), "empty"),
        (row("Q", " \n"), "empty"),
        (row("A"), "empty"),
        (TrainingRow((), Turn("assistant", "A", True)), "empty"),
        (row("Q", "A", learn_answer=False), "nothing-to-learn"),
        (row("Q", "A", "Q2", "A2", learn_answer=False), "nothing-to-learn"),
        (row("", "A"), None),
        (row("Q", "A", "Q2", "", learn=(0,)), None),
        (row("Q", "", "Q2", "A", learn=(0,), learn_answer=False), "nothing-to-learn"),
    ],
)
def test_rows_without_anything_to_learn(tokenizer: Any, one: TrainingRow, problem: str | None) -> None:
    encoded = encode_example(tokenizer, one)
    assert encoded.marks.problem == problem
    assert bool(encoded.marks.learned) == (problem is None)


def test_a_row_that_the_template_refuses_is_told_and_the_others_are_encoded(tokenizer: Any) -> None:
    tokenizer.chat_template = ALTERNATING
    good = TrainingRow((Turn("user", "Q"),), Turn("assistant", "A", True))
    bad = TrainingRow((Turn("user", "Q"), Turn("user", "Q2")), Turn("assistant", "A", True))
    first, second, third = encode_examples(tokenizer, [good, bad, good])
    assert first == third == encode_example(tokenizer, good)
    assert first.marks.problem is None
    assert second.marks.problem == "template"
    assert "Roles must alternate" in second.marks.detail


# Tools


def called(**changes: Any) -> TrainingRow:
    turns = (
        Turn("user", "When?"),
        Turn("assistant", "", learn=True, extra={"tool_calls": [CALL]}),
        Turn("tool", '{"opens": 9}', extra={"tool_call_id": "c1"}),
    )
    return replace(TrainingRow(turns, Turn("assistant", "At nine.", True), TOOLS), **changes)


@pytest.mark.parametrize("template", [WITH_TOOLS, CALLS_AS_TEXT])
def test_tools_and_their_calls_are_rendered_and_learned(tokenizer: Any, template: str) -> None:
    tokenizer.chat_template = template
    encoded = encode_example(tokenizer, called())
    arguments = '{"day": "月"}'
    assert learned(tokenizer, encoded) == [f"<call>hours {arguments}</call><|im_end|>", "At nine.<|im_end|>"]
    assert '"name": "hours"' in tokenizer.decode(encoded.ids[: encoded.prompt_tokens])
    assert encoded.marks.notes == ()
    # Rows from files may hold the list as JSON text.
    assert encode_example(tokenizer, called(tools=json.dumps(TOOLS))) == encoded


def test_a_template_that_knows_no_tools_is_told_of(tokenizer: Any) -> None:
    encoded = encode_example(tokenizer, called())
    # A call that isn't written would be learned as saying nothing.
    assert encoded.marks.notes == (
        Note("tools-ignored"),
        Note("tool-calls-ignored", 1),
        Note("turn-not-learned", 1),
    )
    assert learned(tokenizer, encoded) == ["At nine.<|im_end|>"]
    answer = Turn("assistant", "", True, {"tool_calls": [CALL]})
    assert encode_example(tokenizer, called(answer=answer, messages=called().messages[:1])).marks.problem == "empty"


@pytest.mark.parametrize("tools", ["[not json", ["hours"], {"name": "hours"}])
def test_tools_that_cant_be_read_are_no_guess(tokenizer: Any, tools: Any) -> None:
    marks = encode_example(tokenizer, called(tools=tools)).marks
    assert marks.problem == "template"
    assert "tools" in marks.detail


def test_a_row_survives_the_way_to_the_worker() -> None:
    answer = Turn("assistant", "", False, {"tool_calls": [CALL]})
    one = called(messages=(Turn("system", "S"), *called().messages), answer=answer)
    assert TrainingRow.from_dict(one.as_dict()) == one
    plain = TrainingRow.from_dict({"messages": [{"role": "user", "content": "Q"}], "answer": "A"})
    assert plain == TrainingRow((Turn("user", "Q"),), Turn("assistant", "A", True))
    assert plain.as_dict() == {"messages": [{"role": "user", "content": "Q"}], "answer": "A"}


# Length


@pytest.mark.parametrize(
    ("limit", "strategy", "expected"),
    [
        (20, "drop", Fit(20, ((5, 8), (15, 20)))),
        (19, "drop", Fit(0, left_out="too-long")),
        (20, "truncate", Fit(20, ((5, 8), (15, 20)))),
        (17, "truncate", Fit(17, ((5, 8), (15, 17)), cut=3)),
        (15, "truncate", Fit(15, ((5, 8),), cut=5)),
        (6, "truncate", Fit(6, ((5, 6),), cut=14)),
        (5, "truncate", Fit(0, left_out="too-long")),
    ],
)
def test_rows_that_are_too_long_are_left_out_or_cut(limit: int, strategy: str, expected: Fit) -> None:
    marks = Marks(20, ((5, 8), (15, 20)))
    assert fit(marks, limit, strategy) == expected
    encoded = EncodedExample(tuple(range(20)), 15, marks)
    if expected.left_out is None:
        labels = encoded.cut(expected).labels()
        assert len(labels) == expected.tokens
        assert sum(label != IGNORED for label in labels) == expected.loss_tokens


def test_a_problem_is_no_question_of_length() -> None:
    assert fit(Marks(5, problem="empty"), 100, "truncate").left_out == "empty"


# Text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_text_cut_between_any_tokens_is_whole_when_joined(shared: Any, text: str, data: st.DataObject) -> None:
    ids = shared(text + "開館🎌", add_special_tokens=False)["input_ids"]
    bounds = sorted(data.draw(st.sets(st.integers(1, len(ids) - 1))))
    pieces = split_text(shared, ids, bounds)
    assert len(pieces) == len(bounds) + 1
    assert "".join(pieces) == text + "開館🎌"
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)
