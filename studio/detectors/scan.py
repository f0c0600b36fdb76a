"""All detectors over all rows of a project, and those that are cheap over one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from studio.detectors import pairs
from studio.detectors.bounds import control_tokens, empty, too_long
from studio.detectors.credentials import secrets
from studio.detectors.endings import Habits, truncated
from studio.detectors.forms import uneven
from studio.detectors.language import other_language, own_languages
from studio.detectors.pairs import Embed
from studio.detectors.personal import personal
from studio.detectors.same import Lexicon
from studio.detectors.text import prompt_of
from studio.errors import Cancelled
from studio.records import Example
from studio.rows import Flag

CountTokens = Callable[[Example], int]
Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is looked for."""


def scan(
    examples: Sequence[Example],
    *,
    language: str = "en",
    context_tokens: int | None = None,
    count_tokens: CountTokens | None = None,
    embed: Embed | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Flag]:
    """Every flag of the rows, in their order. The same rows give the same flags.

    Args:
        language: the project's.
        context_tokens: tokens that fit; with it `count_tokens` must be given.
        embed: unit vectors (n, d) of n texts; without it paraphrased questions are not compared.

    Raises:
        Cancelled: `cancelled` said so; it is asked every few hundred rows.
    """

    def tick(share: float, what: str) -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("The scan was stopped.", "Flags found before it stay as they were.")
        if progress is not None:
            progress(share, what)

    flags: list[Flag] = []
    habits = Habits.of([e.answer for e in _sample(examples)])
    own = own_languages(examples, language)
    for number, example in enumerate(examples):
        if number % 200 == 0:
            tick(0.4 * number / max(1, len(examples)), "rows")
        flags += _alone(example, language, own, habits)
        if context_tokens is not None and count_tokens is not None:
            flags += _kept(too_long(example, count_tokens(example), context_tokens))
    tick(0.4, "form")
    flags += uneven(examples)
    tick(0.45, "duplicates")
    same, others = pairs.duplicates(examples)
    flags += same
    flags += pairs.near(others, embed, lambda share: tick(0.5 + 0.5 * share, "near-duplicates and contradictions"))
    tick(1.0, "done")
    place = {example.id: number for number, example in enumerate(examples)}
    return sorted(flags, key=lambda f: (place[f.example_id], f.kind, f.field, f.other_id or ""))


def check_one(
    example: Example,
    neighbours: Sequence[Example] = (),
    *,
    language: str = "en",
    context_tokens: int | None = None,
    count_tokens: CountTokens | None = None,
    similarities: Sequence[float] = (),
) -> list[Flag]:
    """The flags of one row as it is saved: what it shows by itself, and beside `neighbours` (rows with a like question,
    as the search finds them). A few milliseconds.

    Args:
        similarities: the cosine of each neighbour's prompt with this row's, where they are known.
    """
    flags = _alone(example, language, frozenset({language}), None)
    if context_tokens is not None and count_tokens is not None:
        flags += _kept(too_long(example, count_tokens(example), context_tokens))
    known = list(similarities) or [0.0] * len(neighbours)
    beside = [(row, alike) for row, alike in zip(neighbours, known, strict=True) if row.id != example.id]
    others = [row for row, _ in beside]
    same, distinct = pairs.duplicates([*others, example])
    flags += [flag for flag in same if flag.example_id == example.id]
    if others and any(row.id == example.id for row in distinct):
        lexicon = Lexicon.of(f"{prompt_of(row)}\n{row.answer}" for row in [*others, example])
        flags += pairs.judged(example, others, lexicon, [alike for _, alike in beside])
    return flags


def _alone(example: Example, language: str, own: frozenset[str], habits: Habits | None) -> list[Flag]:
    """What a row shows by itself."""
    nothing = empty(example)
    if nothing is not None:
        return [nothing, *control_tokens(example)]
    return [
        *control_tokens(example),
        *personal(example, language),
        *secrets(example),
        *_kept(truncated(example, habits)),
        *_kept(other_language(example, language, own)),
    ]


def _kept(flag: Flag | None) -> list[Flag]:
    return [] if flag is None else [flag]


def _sample(examples: Sequence[Example]) -> Sequence[Example]:
    """At most 20,000 rows, evenly spread: enough to know how a project writes."""
    return examples[:: max(1, len(examples) // 20_000)]
