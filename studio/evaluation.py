"""Every correction is also a test: after training each one is asked again, and the base beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studio import adapters, conversation, projects
from studio.context import Studio
from studio.errors import Cancelled
from studio.jobdir import JobDir
from studio.model.encoding import EncodedExample, TrainingRow
from studio.model.engine import Prompt
from studio.records import Adapter, CheckResult, Example, Project, Score, Split, Turn, content_hash

SLACK_TOKENS = 8
"""Answers longer than the expected one by more than this are wrong anyway; no need to write them out."""


@dataclass(frozen=True)
class _Check:
    example_id: str
    split: Split
    question: str
    expected: str
    prompt: Prompt
    limit: int


def evaluate(
    studio: Studio,
    adapter: Adapter,
    cancelled: threading.Event,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Score:
    """Ask an adapter's training corrections and the project's test rows again under greedy decoding, and store all.

    Raises:
        Cancelled: stopped before the end; nothing is stored.
    """
    adapters.ensure_loaded(studio, adapter.id)
    checks = _checks(studio, adapter)
    total = 2 * len(checks)
    answers = _ask(studio, checks, adapter.id, cancelled, lambda n: progress(n, total))
    base = _ask_base(studio, checks, cancelled, lambda n: progress(len(checks) + n, total))
    results = [
        CheckResult(c.example_id, c.split, c.question, c.expected, answers[i], base[i]) for i, c in enumerate(checks)
    ]
    studio.store.adapters.save_results(adapter.id, results)
    # Without a single check there is nothing stored to count.
    return adapters.score(studio, adapter.id) or Score(
        adapter.id, 0, 0, 0, 0, 0, 0, 0, adapters.unchecked(studio, adapter)
    )


def _checks(studio: Studio, adapter: Adapter) -> list[_Check]:
    """The rows of the run as it saw them, then the test rows of the project.

    A row whose answer is context only, or can't be learned for another reason than its length, is no check.
    """
    project = projects.get(studio, adapter.project_id)
    rows = JobDir(studio.workspace.runs / adapter.run_id).rows()
    asked: list[tuple[str, Split, TrainingRow]] = [(r["example"], "train", TrainingRow.from_dict(r)) for r in rows]
    held = studio.store.examples.find(project.id, split="test", status="approved")
    asked += [(example.id, "test", training_row(project, example)) for example in held]
    encoded = studio.engine.encode([row for _, _, row in asked])
    return [_check(studio, *one, tokens) for one, tokens in zip(asked, encoded, strict=True) if tokens.learns_answer]


def training_row(project: Project, example: Example) -> TrainingRow:
    """A row of the dataset as it is trained and asked again."""
    answer = example.turns[-1]
    return TrainingRow(
        tuple(training_turns(conversation.system_turn(project), example.messages)), answer, example.extra.get("tools")
    )


def training_turns(system: Sequence[Turn], messages: Sequence[Turn]) -> list[Turn]:
    """A row's prompt as it is trained and asked again: the project's system turn, unless the row has its own."""
    has_own = bool(messages) and messages[0].role == "system"
    return list(messages) if has_own else [*system, *messages]


def _check(studio: Studio, example_id: str, split: Split, row: TrainingRow, encoded: EncodedExample) -> _Check:
    prompt = studio.engine.render(row.messages, row.tools)
    expected = row.answer.content if not row.answer.extra.get("tool_calls") else _written(studio, encoded)
    limit = studio.engine.render_text(expected).tokens + SLACK_TOKENS
    return _Check(example_id, split, row.messages[-1].content, expected, prompt, limit)


def _written(studio: Studio, encoded: EncodedExample) -> str:
    """An answer as the model would write it: calls of tools are text by then."""
    ids = [id_ for id_ in encoded.ids[encoded.prompt_tokens :] if id_ not in studio.engine.control_ids]
    return "".join(studio.engine.split_text(ids, ()))


def _ask(
    studio: Studio,
    checks: Sequence[_Check],
    adapter_id: str | None,
    cancelled: threading.Event,
    progress: Callable[[int], None],
) -> list[str]:
    answers: dict[int, str] = {}
    for index, text in studio.engine.answer(
        [c.prompt for c in checks], adapter_id, [c.limit for c in checks], cancelled
    ):
        answers[index] = text
        progress(len(answers))
    if len(answers) < len(checks):
        raise Cancelled("The check was stopped before its end.", "It starts again with the app.")
    return [answers[i] for i in range(len(checks))]


def _ask_base(
    studio: Studio, checks: Sequence[_Check], cancelled: threading.Event, progress: Callable[[int], None]
) -> list[str]:
    """The base's answers; those it gave before are read from the store."""
    base = studio.engine.identity.key
    keys = [content_hash([base, list(c.prompt.ids), c.limit]) for c in checks]
    known = dict(studio.store.adapters.base_answers(keys))
    missing = [i for i, key in enumerate(keys) if key not in known]
    if missing:
        fresh = _ask(studio, [checks[i] for i in missing], None, cancelled, progress)
        new = {keys[i]: text for i, text in zip(missing, fresh, strict=True)}
        studio.store.adapters.save_base_answers(new)
        known.update(new)
    progress(len(checks))
    return [known[key] for key in keys]
