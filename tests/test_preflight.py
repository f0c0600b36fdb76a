"""What is said before a run is what the run does: the real worker's counts beside the app's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from studio import dataset, preflight, projects, training
from studio.context import Studio
from studio.errors import InvalidInput, ModelUnavailable
from studio.jobdir import JobDir
from studio.model.encoding import EncodedExample, Note, TrainingRow
from studio.model.engine import EchoEngine
from studio.model.hf_engine import HFEngine
from studio.model.template import load_tokenizer
from studio.records import Example, Project, Recipe, Turn, new_id
from studio.store.examples import Examples
from tests.conftest import together, until

LIMIT = 80


def example(project: Project, *turns: Turn, answer: str = "At nine.", **fields: Any) -> Example:
    return Example(new_id("e"), project.id, 1, "approved", turns, answer, **fields)


def asked(question: str) -> Turn:
    return Turn("user", question)


def said(text: str, learn: bool = False) -> Turn:
    return Turn("assistant", text, learn)


@pytest.fixture
def desk(tiny_studio: Studio) -> Project:
    return projects.create(tiny_studio, "Help desk", system_prompt="You are a clerk.")


class Rows(Examples):
    """Examples as they were made, none of their fields lost."""

    rows: Sequence[Example] = ()

    def find(self, *args: Any, **kwargs: Any) -> list[Example]:
        return list(self.rows)

    def stamp(self, project_id: str) -> str:
        return str(hash(tuple((e.id, e.version) for e in self.rows)))


def hold(studio: Studio, *rows: Example) -> None:
    store = Rows(studio.store._database)
    store.rows = rows
    studio.store.examples = store


def mixed(project: Project) -> dict[str, Example]:
    long = "why " * 40
    return {
        "short": example(project, asked("When?")),
        "japanese": example(project, asked("開館時間は？"), answer="9時です🎌。"),
        "long question": example(project, asked(long)),
        "long answer": example(project, asked("Why?"), answer=long),
        "marked": example(project, asked("When?"), said("At nine.", True), asked("Why?"), answer="So."),
        "some marked": example(
            project, asked("a"), said("b", True), asked("c"), said("d"), asked("e"), said("f", True), asked("g")
        ),
        "context only": example(project, asked("When?"), said("At nine.", True), asked("Why?"), learn_answer=False),
        "nothing to learn": example(project, asked("When?"), said("At nine."), asked("Why?"), learn_answer=False),
        "empty": example(project, asked("When?"), answer=" "),
        "long with a marked turn": example(project, asked("When?"), said("At nine.", True), asked(long)),
    }


# A view of one row


def test_a_view_is_the_rendered_template_and_shows_what_is_learned(tiny_studio: Studio, desk: Project) -> None:
    talk = example(desk, asked("開館は？<|im_end|>"), said("9時半🎌。", True), asked("Why?"), said("No."), asked("Ok?"))
    view = preflight.token_view(tiny_studio, talk)
    tokenizer = load_tokenizer(tiny_studio.model_path)
    turns = [Turn("system", "You are a clerk."), *talk.turns]
    rendered = tokenizer.apply_chat_template([t.as_message() for t in turns], tokenize=False)
    assert "".join(run.text for run in view.runs) == rendered.removesuffix("\n")
    assert [run.text for run in view.runs if run.kind == "learned"] == ["9時半🎌。<|im_end|>", "At nine.<|im_end|>"]
    specials = {run.text for run in view.runs if run.kind == "special"}
    assert specials == {"<|im_start|>", "<|im_end|>"}
    assert "user\n開館は？<|im_end|>" in [run.text for run in view.runs if run.kind == "prompt"], "typed, so text"
    assert view.tokens == sum(run.tokens for run in view.runs)
    assert view.loss_tokens == sum(run.tokens for run in view.runs if run.kind == "learned")
    assert (view.cut_tokens, view.left_out, view.sentence, view.notes) == (0, None, "", ())
    assert view.limit == 256, "no more than the model reads"


def test_a_view_of_a_row_that_is_cut_is_whole_wherever_the_cut_falls(tiny_studio: Studio, desk: Project) -> None:
    row = example(desk, asked("開館時間は？"), answer="9時半です🎌🎌。月曜は休館です🎌🎌。")
    whole = preflight.token_view(tiny_studio, row)
    first = whole.tokens - whole.loss_tokens
    for limit in range(first + 1, whole.tokens):
        view = preflight.token_view(tiny_studio, row, Recipe(max_length=limit, excess_length_strategy="truncate"))
        text = "".join(run.text for run in view.runs)
        assert text == "".join(run.text for run in whole.runs)
        assert not any("\ufffd" in run.text for run in view.runs)
        cut = [run for run in view.runs if run.kind == "cut"]
        assert sum(run.tokens for run in cut) == view.cut_tokens == whole.tokens - limit
        assert view.loss_tokens == sum(run.tokens for run in view.runs if run.kind == "learned")
        assert view.loss_tokens == whole.loss_tokens - view.cut_tokens
        # Left out, nothing of it is learned.
        dropped = preflight.token_view(tiny_studio, row, Recipe(max_length=limit))
        assert (dropped.left_out, dropped.loss_tokens) == ("too-long", 0)
        assert dropped.sentence == f"It has {whole.tokens} tokens, and at most {limit} fit."
        assert {run.kind for run in dropped.runs} == {"prompt", "special", "cut"}


def test_a_view_says_why_a_row_is_left_out(tiny_studio: Studio, desk: Project) -> None:
    recipe = Recipe(max_length=LIMIT, excess_length_strategy="truncate")
    views = {name: preflight.token_view(tiny_studio, row, recipe) for name, row in mixed(desk).items()}
    assert {name: view.left_out for name, view in views.items() if view.left_out} == {
        "long question": "too-long",
        "nothing to learn": "nothing-to-learn",
        "empty": "empty",
    }
    assert "lies beyond the 80 that fit" in views["long question"].sentence
    assert all(bool(view.sentence) == (view.left_out is not None) for view in views.values())
    no_turns = preflight.token_view(tiny_studio, example(desk))
    assert (no_turns.left_out, no_turns.runs) == ("empty", ())


def test_notes_name_turns_as_the_row_counts_them(tiny_studio: Studio, desk: Project) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "hours", "arguments": "{}"}}
    row = example(
        desk,
        asked("When?"),
        Turn("assistant", "Let me look.", extra={"tool_calls": [call]}),
        Turn("tool", "9", extra={"tool_call_id": "c"}),
        extra={"tools": [{"type": "function", "function": {"name": "hours"}}]},
    )
    notes = preflight.token_view(tiny_studio, row).notes
    assert notes == (Note("tools-ignored"), Note("tool-calls-ignored", 1))
    assert all(preflight.NOTES[note.kind] for note in notes)


def test_without_a_model_there_is_no_view(studio: Studio, project: Project) -> None:
    row = dataset.add(studio, project.id, "Q", "A")
    studio._engine = None
    studio.state.name = "absent"
    with pytest.raises(ModelUnavailable):
        preflight.token_view(studio, row)
    with pytest.raises(ModelUnavailable):
        preflight.report(studio, project.id)
    assert preflight.count(studio, project, Recipe()).rows == 1, "the plan is estimated"


# A report on all rows


@pytest.mark.parametrize("strategy", ["drop", "truncate"])
def test_the_counts_are_those_of_the_worker(tiny_studio: Studio, desk: Project, strategy: Any) -> None:
    rows = mixed(desk)
    hold(tiny_studio, *rows.values())
    recipe = Recipe(
        method="lora", max_passes=1, max_length=LIMIT, excess_length_strategy=strategy, stop_when_learned=False
    )
    report = preflight.report(tiny_studio, desk.id, recipe)
    planned = training.plan(tiny_studio, desk.id, recipe)
    run = training.start(tiny_studio, desk.id, recipe)
    [after] = until(lambda: training.adopt_finished(tiny_studio), 120)
    assert (after.id, after.status, after.error) == (run.id, "finished", "")
    result = JobDir(tiny_studio.workspace.runs / run.id).result()
    assert result is not None
    assert result["loss_tokens_by_row"] == report.loss_tokens_by_row
    assert result["left_out"] == {row.example_id: row.reason for row in report.left_out}
    assert (result["rows"], result["row_tokens"]) == (report.rows, report.tokens) == (planned.rows, planned.tokens)
    assert (result["loss_tokens"], result["cut_tokens"]) == (report.loss_tokens, report.cut_tokens)
    assert result["train_tokens"] == report.tokens, "one pass reads each kept token once"
    assert planned.left_out == report.left_out
    assert tuple(result["too_long"]) == report.too_long == planned.too_long
    assert "loss_tokens_by_row" not in after.result, "it stays in the run's folder"
    names = {row.id: name for name, row in rows.items()}
    long = {"drop": {"long question", "long answer", "long with a marked turn"}, "truncate": {"long question"}}
    assert {names[id_] for id_ in report.too_long} == long[strategy]
    cut = {"drop": set(), "truncate": {"long answer", "long with a marked turn"}}
    assert {names[id_] for id_ in report.cut} == cut[strategy]
    assert {names[row.example_id] for row in report.left_out} == long[strategy] | {"nothing to learn", "empty"}
    assert result["unchecked"] == 3, "context only, nothing to learn, empty"
    # The same numbers in the views.
    views = {id_: preflight.token_view(tiny_studio, row, recipe) for id_, row in zip(names, rows.values(), strict=True)}
    assert {id_: v.loss_tokens for id_, v in views.items() if not v.left_out} == report.loss_tokens_by_row


def test_marks_and_tools_reach_the_run(tiny_studio: Studio, desk: Project) -> None:
    tools = [{"type": "function", "function": {"name": "hours"}}]
    call = {"id": "c", "type": "function", "function": {"name": "hours", "arguments": "{}"}}
    row = example(
        desk,
        asked("When?"),
        said("At nine.", True),
        asked("Why?"),
        learn_answer=False,
        answer_extra={"tool_calls": [call]},
        extra={"tools": tools},
    )
    hold(tiny_studio, row)
    run = training.start(tiny_studio, desk.id, Recipe(method="lora", max_passes=1))
    [written] = JobDir(tiny_studio.workspace.runs / run.id).rows()
    assert (written["example"], written["learn_answer"], written["tools"]) == (row.id, False, tools)
    assert written["answer_extra"] == {"tool_calls": [call]}
    assert [turn.get("learn", False) for turn in written["messages"]] == [False, False, True, False]
    until(lambda: training.adopt_finished(tiny_studio), 120)


def test_nothing_to_learn_starts_nothing(studio: Studio, project: Project) -> None:
    hold(studio, example(project, asked("Q"), learn_answer=False))
    with pytest.raises(InvalidInput, match="nothing to learn in any of the 1 examples"):
        training.start(studio, project.id)


class Counting(EchoEngine):
    """Counts the rows it encodes."""

    encoded = 0

    def encode(self, rows: Sequence[TrainingRow]) -> list[EncodedExample]:
        self.encoded += len(rows)
        return super().encode(rows)


def test_a_row_is_counted_once(studio: Studio, project: Project) -> None:
    engine = Counting()
    studio._engine = engine
    rows = [dataset.add(studio, project.id, f"Q{n}", "A") for n in range(5)]
    for _ in range(3):
        training.plan(studio, project.id)
    assert preflight.report(studio, project.id, Recipe(max_length=32)).limit == 32
    assert engine.encoded == 5
    dataset.edit(studio, rows[0].id, "Q0", "Longer")
    dataset.add(studio, project.id, "Q6", "A")
    assert preflight.report(studio, project.id).rows == 6
    assert engine.encoded == 7, "the changed row and the new one"
    projects.update(studio, project.id, system_prompt="Another.")
    preflight.report(studio, project.id)
    assert engine.encoded == 13
    other = Counting()
    other.identity = replace(other.identity, model="other")
    studio._engine = other
    preflight.report(studio, project.id)
    assert other.encoded == 6


def test_chats_and_reports_share_the_tokenizer(tiny_studio: Studio, desk: Project) -> None:
    """Reading typed control tokens as text switches the whole tokenizer over for a moment."""
    engine = tiny_studio.engine
    assert isinstance(engine, HFEngine)
    typed = TrainingRow((asked("Say <|im_end|> and <|im_start|>"),), said("A", True))
    plain = TrainingRow((asked("When?"),), said("A", True))
    expected = [engine.encode([one])[0].ids for one in (typed, plain)]

    def work(number: int) -> bool:
        one = (typed, plain)[number % 2]
        return all(engine.encode([one])[0].ids == expected[number % 2] for _ in range(50))

    assert all(together(4, work))
