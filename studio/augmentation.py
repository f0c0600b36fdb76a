"""More questions for the answers an expert approved: drafts made from rows, for the expert to approve or reject.

Only the last question of a row is reworded; its answer stays. Every draft names its source, says how it was made, and
belongs to its source's group, so that both stay on one side of the split.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from studio import adapters, dataset, eda, projects, rewording
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput, NotFound, Phrase
from studio.lexicon import Language
from studio.records import Example, Turn, content_hash, new_id
from studio.rewording import TONGUES, Fault
from studio.rows import RowFilter
from studio.segmentation import language_of

Method = Literal["paraphrase", "back-translation", "synonyms", "deletion", "insertion"]
MODEL_METHODS = ("paraphrase", "back-translation")
"""Methods that ask the model; they take seconds a row."""
MAX_PER_ROW = 20
TRIES = 3
"""Rewordings asked for or drawn per draft wanted: most are copies, or the filter refuses them."""
FEW_ROWS, MANY_ROWS = 4, 200
"""Rows whose drafts are made together, by the model and by word lists."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """One rewording of a row's question, usable or not."""

    source: Example
    text: str
    fault: Fault | None
    number: int
    """Which try of the row it was; with the seed it gives the same text again."""


@dataclass(frozen=True)
class _Task:
    """The part of a row that is reworded, and what is set behind it again."""

    source: Example
    question: str
    tail: str
    language: Language


def propose(
    studio: Studio,
    example_ids: Sequence[str],
    method: Method,
    n: int = 1,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
    *,
    held_out: bool = False,
    adapter_id: str | None = None,
    author: str = "",
) -> list[Example]:
    """At most `n` drafts per row, in the order of the rows; nothing is stored. The same seed gives the same texts.

    `held_out`: whether validation and test rows may be sources; their drafts go to their side.
    `adapter_id`: which adapter rewords; None is the base, which is better at it than one trained to answer.

    Raises:
        InvalidInput: a row can't be a source (not approved, held out, of another kind or language), or no such method.
        NotFound: no such row.
        Cancelled: stopped before the end.
        Busy, ModelUnavailable: a model method, and the model is not to be had.
    """
    tasks = _tasks(studio, example_ids, method, n, held_out)
    drafts: list[Example] = []
    left = {task.source.id: n for task in tasks}
    stop = cancelled or threading.Event()
    for candidate in candidates(studio, tasks, method, n * TRIES, seed, progress, stop, adapter_id):
        if candidate.fault is None and left[candidate.source.id]:
            left[candidate.source.id] -= 1
            drafts.append(_draft(candidate, method, seed, adapter_id, author or studio.settings.author))
    return drafts


def keep(studio: Studio, drafts: Sequence[Example]) -> list[Example]:
    """Store drafts that `propose` made; they wait for approval like any other.

    Raises:
        InvalidInput: one is no draft made here, or its source is gone or has changed sides meanwhile.
    """
    parents = {parent.id: parent for parent in studio.store.examples.get_many([d.parent_id or "" for d in drafts])}
    for draft in drafts:
        parent = parents.get(draft.parent_id or "")
        if parent is None or draft.status != "draft" or draft.source != "augmented":
            raise InvalidInput("This is no draft made from a row.", "Make the drafts again.")
        if (parent.project_id, parent.split) != (draft.project_id, draft.split):
            raise InvalidInput(
                Phrase("Example {example} has changed sides.", example=parent.id), "Make the drafts again."
            )
    if drafts:
        dataset.add_rows(studio, drafts[0].project_id, drafts, "augmented", author=drafts[0].author)
    return list(drafts)


@dataclass(frozen=True)
class Sources:
    """Rows that drafts can be made from."""

    ids: tuple[str, ...]
    left_out: int
    """Rows that fit the filter and can't be: not approved, held out, or not ending with a question in plain text."""


def sources(studio: Studio, project_id: str, rows: RowFilter) -> Sources:
    """Those of the rows that `propose` takes, oldest first."""
    language = projects.get(studio, project_id).language
    ids, left_out = [], 0
    for batch in studio.store.examples.stream(project_id, rows):
        for example in batch:
            if _is_source(example, language):
                ids.append(example.id)
            else:
                left_out += 1
    return Sources(tuple(ids), left_out)


def _is_source(example: Example, language: str) -> bool:
    try:
        _task_of(example, language, held_out=False)
    except InvalidInput:
        return False
    return True


def offers(
    studio: Studio,
    project_id: str,
    example_ids: Sequence[str],
    method: Method,
    n: int = 1,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
    author: str = "",
) -> Iterator[list[Example]]:
    """What `propose` makes, a few rows at a time, so that stopping keeps what there is; without what is in the project
    already. Progress counts rows.

    Raises:
        InvalidInput, NotFound, Cancelled, Busy, ModelUnavailable: as `propose`.
    """
    known = studio.store.examples.keys(project_id)
    size = FEW_ROWS if method in MODEL_METHODS else MANY_ROWS
    for start in range(0, len(example_ids), size):
        some = example_ids[start : start + size]

        def report(done: int, total: int, start: int = start, count: int = len(some)) -> None:
            progress(start + count * done // max(total, 1), len(example_ids))

        drafts = propose(studio, some, method, n, seed, report, cancelled, author=author)
        yield [draft for draft in drafts if draft.key() not in known]


# Sources


def _tasks(studio: Studio, example_ids: Sequence[str], method: str, n: int, held_out: bool) -> list[_Task]:
    if method not in get_args(Method):
        raise InvalidInput(
            Phrase("There is no method {method!r}.", method=method),
            Phrase("There are: {names}.", names=", ".join(get_args(Method))),
        )
    if not 1 <= n <= MAX_PER_ROW:
        raise InvalidInput(
            Phrase("{n} drafts per row can't be made.", n=n), Phrase("Choose 1 to {most}.", most=MAX_PER_ROW)
        )
    if not example_ids:
        raise InvalidInput("No rows were chosen.", "Choose the rows to make drafts from.")
    wanted = list(dict.fromkeys(example_ids))
    found = studio.store.examples.get_many(wanted)
    if missing := set(wanted) - {source.id for source in found}:
        raise NotFound(Phrase("There is no example {example}.", example=min(missing)), "Reload the table.")
    languages = {id_: projects.get(studio, id_).language for id_ in {source.project_id for source in found}}
    return [_task_of(source, languages[source.project_id], held_out) for source in found]


def _task_of(source: Example, project_language: str, held_out: bool) -> _Task:
    if source.status != "approved":
        raise InvalidInput(
            Phrase("Example {example} is not approved.", example=source.id),
            "Approve it first: drafts take over its answer.",
        )
    if source.aside or (source.split != "train" and not held_out):
        side = Phrase("kept aside") if source.aside else Phrase("held out for {side}", side=source.split)
        raise InvalidInput(
            Phrase("Example {example} is {side}.", example=source.id, side=side),
            "Choose training rows, or ask for drafts on the held-out side.",
        )
    if not source.messages or source.messages[-1].role != "user" or "content" in source.messages[-1].extra:
        raise InvalidInput(
            Phrase("Example {example} does not end with a question in plain text.", example=source.id),
            "Choose other rows.",
        )
    question, tail = source.question, ""
    given = source.extra.get("input")
    if isinstance(given, str) and given and question.endswith("\n\n" + given):
        tail = "\n\n" + given
    question = question.removesuffix(tail) if tail else question
    language = language_of(question, project_language)
    if language == "ja":
        return _Task(source, question, tail, "ja")
    if language == "en":
        return _Task(source, question, tail, "en")
    raise InvalidInput(
        Phrase(
            "Drafts can be made in English and Japanese, and the project's language is {language}.", language=language
        ),
        "Type rewordings by hand, or set the project's language if it is another one.",
    )


# Candidates


def candidates(
    studio: Studio,
    tasks: Sequence[_Task],
    method: Method,
    tries: int,
    seed: int,
    progress: Progress,
    cancelled: threading.Event,
    adapter_id: str | None = None,
) -> Iterator[Candidate]:
    """Every rewording that was tried, `tries` a row, row by row, with what speaks against it."""
    if method in MODEL_METHODS:
        if adapter_id is not None:
            adapters.ensure_loaded(studio, adapter_id)
        ask = _ask_paraphrases if method == "paraphrase" else _ask_translations
        texts = ask(studio, tasks, tries, seed, progress, cancelled, adapter_id)
    else:
        texts = _change_words(tasks, method, tries, seed, progress, cancelled)
    by_task = [texts[i : i + tries] for i in range(0, len(texts), tries)]
    for task, found in zip(tasks, by_task, strict=True):
        taken: set[str] = set()
        for number, text in enumerate(found):
            fault = _fault(task, text, method, taken)
            if fault is None:
                taken.add(rewording.bare(text))
            yield Candidate(task.source, text + task.tail, fault, number)


def _fault(task: _Task, text: str, method: Method, taken: set[str]) -> Fault | None:
    if method in MODEL_METHODS:
        return rewording.fault(task.question, text, task.source.answer, task.language, taken)
    # Changed words leave the rest as it is; only nothing changed, or the same change twice, is of no use.
    bare = rewording.bare(text)
    return "empty" if not bare else "copy" if bare in taken or bare == rewording.bare(task.question) else None


def _rng(seed: int, method: str, task: _Task, number: int, *more: str) -> random.Random:
    """Chance that depends on what is asked, not on ids: the same rows give the same drafts in another workspace."""
    return random.Random(content_hash([seed, method, task.question, number, *more]))  # noqa: S311 - no secret


def _change_words(
    tasks: Sequence[_Task], method: Method, tries: int, seed: int, progress: Progress, cancelled: threading.Event
) -> list[str]:
    texts: list[str] = []
    for done, task in enumerate(tasks, 1):
        if cancelled.is_set():
            raise Cancelled("Making drafts was stopped.", "Nothing was stored.")
        for number in range(tries):
            changed = eda.METHODS[method](task.question, task.language, _rng(seed, method, task, number))
            texts.append(changed or "")
        progress(done, len(tasks))
    return texts


def _ask_paraphrases(
    studio: Studio,
    tasks: Sequence[_Task],
    tries: int,
    seed: int,
    progress: Progress,
    cancelled: threading.Event,
    adapter_id: str | None,
) -> list[str]:
    jobs = [(task, number) for task in tasks for number in range(tries)]
    prompts = [
        rewording.paraphrase_prompt(task.question, task.language, _rng(seed, "paraphrase", task, number))
        for task, number in jobs
    ]
    asked = [task.question for task, _ in jobs]
    return _answers(studio, prompts, asked, lambda done: progress(done, len(jobs)), cancelled, adapter_id)


def _ask_translations(
    studio: Studio,
    tasks: Sequence[_Task],
    tries: int,
    seed: int,
    progress: Progress,
    cancelled: threading.Event,
    adapter_id: str | None,
) -> list[str]:
    jobs = [(task, number) for task in tasks for number in range(tries)]
    texts = [task.question for task, _ in jobs]
    for leg in ("there", "back"):
        prompts = []
        for (task, number), text in zip(jobs, texts, strict=True):
            own, detour = TONGUES[task.language]
            source, target = (own, detour) if leg == "there" else (detour, own)
            rng = _rng(seed, "back-translation", task, number, leg)
            # An empty translation gives an empty rewording; the engine still has to be asked something.
            prompts.append(rewording.translation_prompt(text or "-", source, target, rng))
        passed = 0 if leg == "there" else len(jobs)

        def report(done: int, passed: int = passed) -> None:
            progress(passed + done, 2 * len(jobs))

        asked = [task.question for task, _ in jobs]
        texts = _answers(studio, prompts, asked, report, cancelled, adapter_id)
    return texts


def _answers(
    studio: Studio,
    prompts: Sequence[Sequence[Turn]],
    asked: Sequence[str],
    progress: Callable[[int], None],
    cancelled: threading.Event,
    adapter_id: str | None,
) -> list[str]:
    """The model's answers, cleaned; at most about half as long again as what was asked."""
    engine = studio.engine
    limits = [engine.render_text(text).tokens * 3 // 2 + 8 for text in asked]
    rendered = [engine.render(turns) for turns in prompts]
    # The same prompt twice (few examples to draw from) is asked once.
    first = {prompt.ids: i for i, prompt in reversed(list(enumerate(rendered)))}
    unique = sorted(first.values())
    if too_long := next(
        (p for p, n in zip(rendered, limits, strict=True) if p.tokens + n > engine.context_length), None
    ):
        raise InvalidInput(
            Phrase(
                "A question takes {n} tokens with its prompt; the model reads {most}.",
                n=too_long.tokens,
                most=engine.context_length,
            ),
            "Leave out the longest rows.",
        )
    texts: dict[int, str] = {}
    for index, text in engine.answer([rendered[i] for i in unique], adapter_id, [limits[i] for i in unique], cancelled):
        texts[unique[index]] = rewording.cleaned(text)
        progress(len(texts) * len(prompts) // len(unique))
    if len(texts) < len(unique):
        raise Cancelled("Making drafts was stopped.", "Nothing was stored.")
    return [texts[first[prompt.ids]] for prompt in rendered]


def _draft(candidate: Candidate, method: Method, seed: int, adapter_id: str | None, author: str) -> Example:
    source = candidate.source
    last = replace(source.messages[-1], content=candidate.text)
    made: dict[str, str | int] = {"method": method, "seed": seed, "try": candidate.number}
    if method in MODEL_METHODS:
        made["adapter"] = adapter_id or "base"
    return Example(
        new_id("e"),
        source.project_id,
        1,
        "draft",
        (*source.messages[:-1], last),
        source.answer,
        split=source.split,
        source="augmented",
        extra={**source.extra, "augmentation": made},
        author=author,
        answer_extra=source.answer_extra,
        learn_answer=source.learn_answer,
        tags=source.tags,
        group=source.group or source.id,
        parent_id=source.id,
    )
