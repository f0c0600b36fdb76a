"""Corrections asked again, with an engine that knows some of the answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from studio import adapters, dataset, evaluation, projects
from studio.context import Studio
from studio.errors import Cancelled
from studio.jobdir import JobDir
from studio.model.encoding import TrainingRow
from studio.model.engine import EchoEngine, Prompt
from studio.records import Adapter, Example, Project, Run, Turn, new_id
from tests.test_encoding import WITH_TOOLS


class Pupil(EchoEngine):
    """Says `right` to whatever it was taught, and counts how often it was asked."""

    def __init__(self, taught: dict[str | None, set[str]]) -> None:
        super().__init__()
        self.taught = taught
        self.asked: list[tuple[str | None, str]] = []

    def answer(
        self, prompts: Sequence[Prompt], adapter: str | None, limits: Sequence[int], cancelled: threading.Event
    ) -> Iterator[tuple[int, str]]:
        # In no fixed order, as the protocol says.
        for index in reversed(range(len(prompts))):
            if cancelled.is_set():
                return
            question = prompts[index].text.rsplit("<user>", 1)[-1].split("\n<assistant>")[0]
            self.asked.append((adapter, question))
            yield index, "right" if question in self.taught.get(adapter, ()) else "wrong"


@pytest.fixture
def trained(studio: Studio, project: Project) -> Adapter:
    """An adapter trained on Q1, Q2 and Q3; T1 is a test row."""
    rows = [dataset.add(studio, project.id, f"Q{n}", "right") for n in (1, 2, 3)]
    studio.store.examples.append([replace(rows[0], id=new_id("e"), split="test", messages=(Turn("user", "T1"),))])
    run = Run(new_id("r"), project.id, 1, "", 3, {})
    studio.store.runs.add(run, rows)
    messages = [{"role": "system", "content": "As it was then."}]
    JobDir(studio.workspace.runs / run.id).write_spec(
        {},
        [
            {"example": e.id, "messages": [*messages, {"role": "user", "content": e.question}], "answer": e.answer}
            for e in rows
        ],
    )
    adapter = Adapter("a1", project.id, run.id, "v1", studio.engine.identity, "", "lora")
    studio.store.adapters.add(adapter)
    adapters.folder(studio, "a1").mkdir()
    return adapter


def use(studio: Studio, taught: dict[str | None, set[str]]) -> Pupil:
    studio._engine = Pupil(taught)
    return studio._engine


def test_what_was_learned_is_counted_with_the_base_beside_it(studio: Studio, trained: Adapter) -> None:
    use(studio, {"a1": {"Q1", "Q3", "T1"}, None: {"Q1", "Q2"}})
    score = evaluation.evaluate(studio, trained, threading.Event())
    assert score == adapters.score(studio, "a1")
    assert (score.learned, score.total, score.base_learned) == (2, 3, 2)
    assert (score.held_learned, score.held_total, score.base_held) == (1, 1, 0)
    assert score.broke == 1
    by_question = {r.prompt: r for r in studio.store.adapters.results("a1")}
    assert [by_question[q].is_right for q in ("Q1", "Q2", "Q3", "T1")] == [True, False, True, True]
    assert by_question["Q2"].base_answer == "right"
    assert by_question["T1"].split == "test"


def test_rows_are_asked_as_they_were_trained(studio: Studio, trained: Adapter, project: Project) -> None:
    """A row that was changed since, and another system prompt, don't change what the run is judged by."""
    pupil = use(studio, {})
    [first, *_] = studio.store.examples.find(project.id)
    dataset.edit(studio, first.id, prompt="Changed", answer="later")
    projects.update(studio, project.id, system_prompt="Now.")
    checks = evaluation._checks(studio, trained)
    assert [c.question for c in checks] == ["Q1", "Q2", "Q3", "T1"]
    assert checks[0].prompt.text.startswith("<system>As it was then.")
    assert checks[3].prompt.text.startswith("<system>Now.")
    assert checks[0].limit == len("right") + evaluation.SLACK_TOKENS
    assert pupil.asked == []


def test_the_base_is_asked_once(studio: Studio, trained: Adapter) -> None:
    pupil = use(studio, {None: {"Q1"}})
    evaluation.evaluate(studio, trained, threading.Event())
    pupil.asked.clear()
    score = evaluation.evaluate(studio, trained, threading.Event())
    assert {adapter for adapter, _ in pupil.asked} == {"a1"}
    assert score.base_learned == 1
    other = use(studio, {None: {"Q1", "Q2"}})
    other.identity = replace(other.identity, precision="nf4")
    assert evaluation.evaluate(studio, trained, threading.Event()).base_learned == 2, "another base is asked anew"


def test_progress_goes_up_to_the_end(studio: Studio, trained: Adapter) -> None:
    use(studio, {})
    told: list[tuple[int, int]] = []
    evaluation.evaluate(studio, trained, threading.Event(), lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (8, 8)


def test_a_check_that_was_stopped_stores_nothing(studio: Studio, trained: Adapter) -> None:
    use(studio, {})
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        evaluation.evaluate(studio, trained, cancelled, lambda done, total: cancelled.set())
    assert studio.store.adapters.results("a1") == []


def test_a_rows_own_system_turn_wins() -> None:
    own = (Turn("system", "own"), Turn("user", "Q"))
    assert evaluation.training_turns([Turn("system", "project's")], own) == list(own)
    assert evaluation.training_turns([Turn("system", "S")], own[1:]) == [Turn("system", "S"), Turn("user", "Q")]
    assert evaluation.training_turns([], ()) == []


def test_an_example_of_the_test_split_that_isnt_approved_is_no_check(
    studio: Studio, trained: Adapter, project: Project
) -> None:
    draft = Example(new_id("e"), project.id, 1, "draft", (Turn("user", "T2"),), "right", split="test")
    studio.store.examples.append([draft])
    use(studio, {})
    assert evaluation.evaluate(studio, trained, threading.Event()).held_total == 1


def rewrite(studio: Studio, adapter: Adapter, *rows: dict[str, Any]) -> None:
    """Other rows in the folder of the adapter's run, and a result as the worker writes it."""
    JobDir(studio.workspace.runs / adapter.run_id).write_spec(
        {}, [{"example": f"e{n}", "messages": [{"role": "user", "content": f"Q{n}"}], **r} for n, r in enumerate(rows)]
    )
    run = studio.store.runs.get(adapter.run_id)
    assert run is not None
    unlearned = sum(not row.get("learn_answer", True) or not row["answer"].strip() for row in rows)
    studio.store.runs.finish(replace(run, status="finished", result={"unchecked": unlearned}), run.created_at)


def test_a_row_whose_answer_is_not_learned_is_no_check_and_is_counted(studio: Studio, trained: Adapter) -> None:
    first = {"role": "user", "content": "Q"}
    marked = [first, {"role": "assistant", "content": "A", "learn": True}, first]
    rewrite(
        studio,
        trained,
        {"answer": "right"},
        {"answer": "right", "messages": marked, "learn_answer": False},
        {"answer": "right", "messages": marked},
        {"answer": " "},
    )
    use(studio, {"a1": {"Q0", "Q"}})
    score = evaluation.evaluate(studio, trained, threading.Event())
    assert (score.learned, score.total, score.unchecked) == (2, 2, 2)
    assert {r.example_id for r in studio.store.adapters.results("a1") if r.split == "train"} == {"e0", "e2"}


def test_a_run_without_a_single_check(studio: Studio, trained: Adapter, project: Project) -> None:
    rewrite(studio, trained, {"answer": "right", "learn_answer": False})
    [held] = studio.store.examples.find(project.id, split="test")
    studio.store.examples.append([replace(held, version=2, status="rejected")])
    use(studio, {})
    score = evaluation.evaluate(studio, trained, threading.Event())
    assert (score.learned, score.total, score.held_total, score.unchecked) == (0, 0, 0, 1)


def test_a_call_of_a_tool_is_expected_as_it_is_written(tiny_studio: Studio) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "hours", "arguments": '{"day": "月"}'}}
    tools = [{"type": "function", "function": {"name": "hours"}}]
    row = TrainingRow((Turn("user", "When?"),), Turn("assistant", "", True, {"tool_calls": [call]}), tools)
    tiny_studio.engine._tokenizer.chat_template = WITH_TOOLS  # type: ignore[attr-defined]
    [encoded] = tiny_studio.engine.encode([row])
    check = evaluation._check(tiny_studio, "e1", "train", row, encoded)
    assert check.expected == '<call>hours {"day": "月"}</call>'
    assert '"name": "hours"' in check.prompt.text
    assert check.prompt.ids == encoded.ids[: encoded.prompt_tokens]
