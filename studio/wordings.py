"""Other wordings of the questions of rows: by asking the model, or by changing words.

Most of what is tried is of no use: a copy, an answer, something else. Only what nothing speaks against comes out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

from studio import eda, rewording
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput, Phrase
from studio.lexicon import Language
from studio.records import Example, Turn, content_hash
from studio.rewording import TONGUES
from studio.rows import Method
from studio.segmentation import language_of

MODEL_METHODS = ("paraphrase", "back-translation")
"""Methods that ask the model; they take seconds a row."""
MAX_PER_ROW = 20
TRIES = 3
"""Rewordings asked for or drawn per draft wanted."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wish:
    """What kind of drafts, and how many of a row at most."""

    method: Method
    n: int = 1
    seed: int = 0
    """The same seed gives the same texts."""
    adapter_id: str | None = None
    """Which adapter rewords; None is the base, which is better at it than one trained to answer."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise InvalidInput(
                Phrase("There is no method {method!r}.", method=self.method),
                Phrase("There are: {names}.", names=", ".join(get_args(Method))),
            )
        if not 1 <= self.n <= MAX_PER_ROW:
            raise InvalidInput(
                Phrase("{n} drafts per example can't be made.", n=self.n),
                Phrase("Choose 1 to {most}.", most=MAX_PER_ROW),
            )

    @property
    def asks_model(self) -> bool:
        return self.method in MODEL_METHODS

    @property
    def tries(self) -> int:
        return self.n * TRIES

    @property
    def mark(self) -> dict[str, str | int]:
        """What a draft says of how it was made."""
        mark: dict[str, str | int] = {"method": self.method, "seed": self.seed}
        return {**mark, "adapter": self.adapter_id or "base"} if self.asks_model else mark


@dataclass
class Task:
    """A row whose question is to be reworded."""

    source: Example
    question: str
    tail: str
    """What stands behind the question and stays."""
    language: Language
    left: int
    """Drafts that are still wanted."""
    taken: set[str] = field(default_factory=set)
    """The wordings there are, as `rewording.bare` makes them."""


@dataclass(frozen=True)
class Wording:
    """What a question can be in other words."""

    task: Task
    text: str
    number: int
    """Which try of the row it was; with the seed it gives the same text again."""


def task_of(source: Example, project_language: str, wish: Wish) -> Task | None:
    """None: it can't be reworded, since it doesn't end with a question in plain text, in English or Japanese."""
    if not source.messages or source.messages[-1].role != "user" or "content" in source.messages[-1].extra:
        return None
    question, tail = source.question, ""
    given = source.extra.get("input")
    if isinstance(given, str) and given and question.endswith("\n\n" + given):
        tail = "\n\n" + given
    question = question.removesuffix(tail)
    language = language_of(question, project_language)
    if language == "ja":
        return Task(source, question, tail, "ja", wish.n)
    return Task(source, question, tail, "en", wish.n) if language == "en" else None


def tried(
    studio: Studio, tasks: Sequence[Task], wish: Wish, progress: Progress, stop: threading.Event
) -> Iterator[Wording]:
    """The wordings that nothing speaks against, row by row.

    Raises:
        Cancelled: `stop` was set.
        Busy, ModelUnavailable: a model method, and the model is not to be had.
    """
    ask = {"paraphrase": _ask_paraphrases, "back-translation": _ask_translations}.get(wish.method, _change_words)
    texts = ask(studio, tasks, wish, progress, stop)
    for place, task in enumerate(tasks):
        for number, text in enumerate(texts[place * wish.tries : (place + 1) * wish.tries]):
            if not _is_fault(task, text, wish):
                task.taken.add(rewording.bare(text))
                yield Wording(task, text + task.tail, number)


def _is_fault(task: Task, text: str, wish: Wish) -> bool:
    if wish.asks_model:
        return rewording.fault(task.question, text, task.source.answer, task.language, task.taken) is not None
    # Changed words leave the rest as it is; only nothing changed, or the same change twice, is of no use.
    bare = rewording.bare(text)
    return not bare or bare in task.taken or bare == rewording.bare(task.question)


def _rng(wish: Wish, task: Task, number: int, *more: str) -> random.Random:
    """Chance that depends on what is asked, not on ids: the same rows give the same drafts in another workspace."""
    return random.Random(content_hash([wish.seed, wish.method, task.question, number, *more]))  # noqa: S311 - no secret


def _change_words(
    studio: Studio, tasks: Sequence[Task], wish: Wish, progress: Progress, stop: threading.Event
) -> list[str]:
    texts: list[str] = []
    for done, task in enumerate(tasks, 1):
        if stop.is_set():
            raise _stopped()
        for number in range(wish.tries):
            changed = eda.METHODS[wish.method](task.question, task.language, _rng(wish, task, number))
            texts.append(changed or "")
        progress(done, len(tasks))
    return texts


def _ask_paraphrases(
    studio: Studio, tasks: Sequence[Task], wish: Wish, progress: Progress, stop: threading.Event
) -> list[str]:
    jobs = [(task, number) for task in tasks for number in range(wish.tries)]
    prompts = [rewording.paraphrase_prompt(t.question, t.language, _rng(wish, t, number)) for t, number in jobs]
    asked = [task.question for task, _ in jobs]
    return _answers(studio, prompts, asked, lambda done: progress(done, len(jobs)), stop, wish.adapter_id)


def _ask_translations(
    studio: Studio, tasks: Sequence[Task], wish: Wish, progress: Progress, stop: threading.Event
) -> list[str]:
    jobs = [(task, number) for task in tasks for number in range(wish.tries)]
    asked = [task.question for task, _ in jobs]
    texts = asked
    for leg in ("there", "back"):
        prompts = []
        for (task, number), text in zip(jobs, texts, strict=True):
            own, detour = TONGUES[task.language]
            source, target = (own, detour) if leg == "there" else (detour, own)
            # An empty translation gives an empty rewording; the engine still has to be asked something.
            prompts.append(rewording.translation_prompt(text or "-", source, target, _rng(wish, task, number, leg)))
        passed = 0 if leg == "there" else len(jobs)

        def report(done: int, passed: int = passed) -> None:
            progress(passed + done, 2 * len(jobs))

        texts = _answers(studio, prompts, asked, report, stop, wish.adapter_id)
    return texts


def _answers(
    studio: Studio,
    prompts: Sequence[Sequence[Turn]],
    asked: Sequence[str],
    progress: Callable[[int], None],
    stop: threading.Event,
    adapter_id: str | None,
) -> list[str]:
    """The model's answers, cleaned; at most about half as long again as what was asked. Empty where that is too long
    for the model."""
    engine = studio.engine
    limits = [engine.render_text(text).tokens * 3 // 2 + 8 for text in asked]
    rendered = [engine.render(turns) for turns in prompts]
    # The same prompt twice (few examples to draw from) is asked once.
    first = {prompt.ids: i for i, prompt in reversed(list(enumerate(rendered)))}
    unique = [i for i in sorted(first.values()) if rendered[i].tokens + limits[i] <= engine.context_length]
    texts: dict[int, str] = {}
    for index, text in engine.answer([rendered[i] for i in unique], adapter_id, [limits[i] for i in unique], stop):
        texts[unique[index]] = rewording.cleaned(text)
        progress(len(texts) * len(prompts) // len(unique))
    if len(texts) < len(unique):
        raise _stopped()
    return [texts.get(first[prompt.ids], "") for prompt in rendered]


def _stopped() -> Cancelled:
    return Cancelled("Making drafts was stopped.", "What was made by then stays.")
