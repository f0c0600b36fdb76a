"""What an expert should look at: scans of a project's rows, the project's rules, and what every save is checked for.

Nothing is dropped or changed. A finding is a flag with its reason, open until the row's text changes or someone says
that it is fine.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from studio import beside, preflight, projects, rules
from studio.context import Studio
from studio.detectors.encoder import embed
from studio.detectors.forms import Balance, balance
from studio.detectors.scan import check_one, scan
from studio.detectors.topics import TopicMap, diversity
from studio.errors import Cancelled, InvalidInput, Phrase
from studio.records import Example, Project, new_id
from studio.rows import FLAG_KINDS, Beside, Flag, Notice, RowFilter, Rule, RuleKind

AT_ONCE = 200
"""Rows that are looked at one by one after a save; more of them wait for a scan."""
NOTICED, KEPT_NOTICES = 3, 200
SCANNED = 200_000
"""Most rows a scan holds in memory."""
MAPPED = 4_000
"""Most rows of a topic map; of more, every second, third … is taken."""
LOOKED_AT = RowFilter(statuses=("draft", "approved"))
"""The rows that a scan looks at: what is rejected needs no mending."""
KINDS_OF_SCAN = tuple(kind for kind in FLAG_KINDS if kind != "leak")
"""What a scan finds; leaks are found where rows are dealt to the sides of the split."""
_OF_ONE_ROW = ("empty", "too-long", "truncated", "language", "pii", "secret", "control-token", "rule")

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Scanned:
    """What a scan looked at and found."""

    rows: int
    flags: int
    by_kind: dict[str, int]
    """Rows with an open flag, by its kind."""


def scan_project(
    studio: Studio,
    project_id: str,
    progress: Progress = lambda share, what: None,
    cancelled: threading.Event | None = None,
) -> Scanned:
    """Look at every draft and approved row, and put what is found in place of what the last scan found.

    Raises:
        InvalidInput: there are too many rows to compare with each other.
        Cancelled: before the end; the flags stay as they were.
    """
    project = projects.get(studio, project_id)
    stop = cancelled or threading.Event()
    examples = _looked_at(studio, project_id)
    flags = scan(
        examples,
        language=project.language,
        context_tokens=studio.engine.context_length if studio.is_ready else None,
        count_tokens=(lambda example: preflight.token_view(studio, example).tokens) if studio.is_ready else None,
        embed=embed,
        progress=lambda share, what: progress(0.95 * share, what),
        cancelled=stop.is_set,
    )
    for example in examples:
        flags += rules.as_flags(project.rules, example)
    if stop.is_set():
        raise Cancelled("The scan was stopped.", "The flags stay as they were.")
    studio.store.flags.replace(project_id, flags, kinds=KINDS_OF_SCAN, example_ids=None)
    # Looked at by itself afterwards, a row would lose what only all of them together show.
    studio.unchecked.leave_out(project_id, {e.id: e.version for e in examples})
    progress(1.0, "done")
    return Scanned(len(examples), len(flags), studio.store.flags.counts(project_id))


def _looked_at(studio: Studio, project_id: str) -> list[Example]:
    total = studio.store.examples.count(project_id, LOOKED_AT)
    if total > SCANNED:
        raise InvalidInput(
            Phrase("A scan looks at no more than {most:,} rows; there are {total:,}.", most=SCANNED, total=total),
            "Split the project.",
        )
    return [e for batch in studio.store.examples.stream(project_id, LOOKED_AT) for e in batch]


@dataclass(frozen=True)
class Overview:
    """What a project is about, as far as its questions and short answers show."""

    rows: int
    """Draft and approved rows there were."""
    topics: TopicMap
    questions: Mapping[str, str]
    """Of each point of the map, by example id."""
    balance: Balance | None
    """None where most answers are no labels."""
    rare: tuple[str, ...]
    """Ids of the rows whose answer is a rare label."""


def overview(
    studio: Studio,
    project_id: str,
    progress: Progress = lambda share, what: None,
    cancelled: threading.Event | None = None,
    most: int = MAPPED,
) -> Overview:
    """The topic map of the draft and approved rows (of at most `most` of them), and the balance of short answers.

    Raises:
        InvalidInput: there are too many rows.
        Cancelled: before the end.
    """
    stop = cancelled or threading.Event()
    examples = _looked_at(studio, project_id)
    progress(0.1, "topics")
    mapped = examples[:: max(1, math.ceil(len(examples) / most))]
    topics = diversity(mapped, embed, cancelled=stop.is_set)
    balanced = balance(examples)
    rare = frozenset(balanced.rare) if balanced else frozenset[str]()
    progress(1.0, "done")
    return Overview(
        rows=len(examples),
        topics=topics,
        questions={e.id: e.question for e in mapped},
        balance=balanced,
        rare=tuple(e.id for e in examples if e.answer.strip() in rare),
    )


# On every save


def check_soon(studio: Studio, project_id: str, examples: Sequence[Example]) -> None:
    """Look at rows that were just saved once nobody has saved for a moment: a save never waits for it, and rows that
    are saved in a row are looked at together."""
    if len(examples) <= AT_ONCE and studio.unchecked.add(project_id, {e.id: e.version for e in examples}):
        studio.later(lambda: _check_when_quiet(studio))


def _check_when_quiet(studio: Studio) -> None:
    while (wait := studio.unchecked.wait_s(beside.QUIET_S, beside.AT_MOST_S)) > 0:
        if studio.closing.wait(wait):
            return
    for project_id, versions in studio.unchecked.take().items():
        _check(studio, project_id, versions)


def _check(studio: Studio, project_id: str, versions: Mapping[str, int]) -> None:
    examples = studio.store.examples.get_many(list(versions))
    if sum(e.version >= versions[e.id] for e in examples) < len(versions):
        with studio.store.transaction():
            # Whoever saves still holds this lock until the rows are there.
            pass
        examples = studio.store.examples.get_many(list(versions))
    if not examples:
        return
    project = projects.get(studio, project_id)
    own: list[Flag] = []
    for example in examples:
        if studio.closing.is_set():
            return
        own += [f for f in check_one(example, language=project.language) if f.kind in _OF_ONE_ROW]
        own += rules.as_flags(project.rules, example)
    try:
        found = beside.compare(studio, project, examples)
    except Cancelled:
        return
    pairs = list({b.flag.key: b.flag for b in found if b.flag is not None}.values())
    ids = [example.id for example in examples]
    new = {flag.key for flag in studio.store.flags.renew(project_id, own, _OF_ONE_ROW, pairs, ids)}
    for example in examples:
        worth = [b for b in found if b.example.id == example.id and (b.flag is None or b.flag.key in new)]
        if worth:
            _keep(studio, example, sorted(worth, key=lambda b: _URGENCY.index(b.kind)))
        else:
            _forget_older(studio, example)


_URGENCY = ("held-out", "contradiction", "duplicate", "near-duplicate")


def _keep(studio: Studio, example: Example, found: Sequence[Beside]) -> None:
    studio.noticed.pop(example.id, None)
    number = max((notice.number for notice in studio.noticed.values()), default=0) + 1
    studio.noticed[example.id] = Notice(number, tuple(found[:NOTICED]))
    while len(studio.noticed) > KEPT_NOTICES:
        studio.noticed.pop(next(iter(studio.noticed)))


def _forget_older(studio: Studio, example: Example) -> None:
    """What was noticed of an earlier text holds no longer."""
    notice = studio.noticed.get(example.id)
    if notice is not None and (notice.found[0].example.messages, notice.found[0].example.answer) != (
        example.messages,
        example.answer,
    ):
        studio.noticed.pop(example.id, None)


def notices(studio: Studio, project_id: str, example_ids: Sequence[str]) -> dict[str, Notice]:
    """What was noticed lately of rows as they were saved, as far as nobody has settled it."""
    noticed = {id_: studio.noticed[id_] for id_ in example_ids if id_ in studio.noticed}
    if not noticed:
        return {}
    flagged = {b.flag.example_id for notice in noticed.values() for b in notice.found if b.flag is not None}
    still = {flag.key for flags in studio.store.flags.of(project_id, list(flagged)).values() for flag in flags}
    left = {
        id_: replace(notice, found=tuple(b for b in notice.found if b.flag is None or b.flag.key in still))
        for id_, notice in noticed.items()
    }
    return {id_: notice for id_, notice in left.items() if notice.found}


# Rules


def add_rule(
    studio: Studio, project_id: str, kind: RuleKind, value: str, message: str = "", blocks: bool = False
) -> Rule:
    """Add a rule that every answer must keep to; the rows are looked at again soon.

    Raises:
        InvalidInput: it can't be used; the error says why.
    """
    rule = rules.validate(Rule(new_id("q"), kind, value.strip(), message.strip(), blocks))
    with studio.store.transaction():
        project = projects.get(studio, project_id)
        projects.update(studio, project_id, rules=(*project.rules, rule))
    studio.later(lambda: recheck_rules(studio, project_id))
    return rule


def remove_rule(studio: Studio, project_id: str, rule_id: str) -> None:
    """Raises:
    InvalidInput: no such rule.
    """
    with studio.store.transaction():
        project = projects.get(studio, project_id)
        kept = tuple(rule for rule in project.rules if rule.id != rule_id)
        if len(kept) == len(project.rules):
            raise InvalidInput("There is no such rule any more.", "Reload the page.")
        projects.update(studio, project_id, rules=kept)
    studio.later(lambda: recheck_rules(studio, project_id))


@dataclass(frozen=True)
class Breaking:
    """Which draft and approved rows break which rule, as far as the time allowed."""

    by_rule: Mapping[str, tuple[str, ...]]
    """Ids of the rows, oldest first, by the rule's id."""
    rows: int
    """Rows that were looked at, the oldest; fewer than `total` where the time ran out."""
    total: int


def breaking(studio: Studio, project_id: str, checked: Sequence[Rule], within_s: float = 1.5) -> Breaking:
    """The rows that break rules, added already or only thought of."""
    end = time.monotonic() + within_s
    found: dict[str, list[str]] = {rule.id: [] for rule in checked}
    total = studio.store.examples.count(project_id, LOOKED_AT)
    rows = 0
    for batch in studio.store.examples.stream(project_id, LOOKED_AT, batch=500) if checked else ():
        for example in batch:
            for broken in rules.broken(checked, example.answer):
                found[broken.rule.id].append(example.id)
            rows += 1
            if time.monotonic() > end:
                return Breaking({id_: tuple(ids) for id_, ids in found.items()}, rows, total)
    return Breaking({id_: tuple(ids) for id_, ids in found.items()}, rows, total)


def recheck_rules(studio: Studio, project_id: str) -> int:
    """Hold every row against the rules again; returns how many break one."""
    project = projects.get(studio, project_id)
    flags: list[Flag] = []
    for batch in studio.store.examples.stream(project_id, RowFilter()):
        for example in batch:
            flags += rules.as_flags(project.rules, example)
    studio.store.flags.replace(project_id, flags, kinds=("rule",), example_ids=None)
    return len({flag.example_id for flag in flags})


def blocked(project: Project, answer: str) -> str:
    """Why an answer can't be approved: what the first blocking rule that it breaks says; empty if nothing stands in
    the way."""
    found = rules.broken([rule for rule in project.rules if rule.blocks], answer)
    return found[0].message if found else ""
