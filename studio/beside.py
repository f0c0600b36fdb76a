"""What a row that was just saved is beside the others: the same, nearly the same, against one, or one kept for testing.

The others are found by the sketches that the split knows them by; where a project has none yet they are made once, a
few at a time. What only a scan finds (the same question in quite other words) is left to the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from studio import reasons
from studio.context import Studio
from studio.detectors.near import NearIndex, RowText, sketches
from studio.detectors.scan import check_one
from studio.errors import Cancelled
from studio.neighbours import index_of
from studio.records import Example, Project
from studio.rows import Beside, Flag
from studio.store.stored import number_of

COMPARED = 200_000
"""Rows of a project whose sketches are made for this. Of a larger one that is split they are there anyway."""
MOST = 24
"""Rows that are looked at beside one, the likeliest."""
PAIRS = ("duplicate", "near-duplicate", "contradiction")
_HELD_OUT = ("validation", "test")
_LOOKED_AT = ("draft", "approved")
QUIET_S, AT_MOST_S = 0.3, 30.0
"""What is found out of saved rows is begun when nobody has saved for so long, and after so long in any case."""
_CHUNK, _REST_S = 16, 0.002
"""Texts that are sketched at once, and the time that is left to others after them."""


def compare(studio: Studio, project: Project, examples: Sequence[Example]) -> list[Beside]:
    """What rows of a project are beside all others; nothing where there are too many to compare.

    Raises:
        Cancelled: the studio is being closed.
    """
    looked_at = [example for example in examples if example.status in _LOOKED_AT]
    index = _index(studio, project) if looked_at else None
    if index is None:
        return []
    # A question may be kept for testing by itself, and be asked here after others.
    asked = [(e, e) for e in looked_at]
    asked += [(e, replace(e, messages=e.messages[-1:])) for e in looked_at if not e.is_single_turn]
    texts = [RowText.of(alone.messages, alone.answer) for _, alone in asked]
    candidates = [index.candidates(sketch)[: 2 * MOST] for sketch in sketches(texts)]
    places = studio.store.sides.of_contents(project.id, sorted({id_ for ids in candidates for id_ in ids}))
    others = {other.id: other for other in studio.store.examples.get_many([p.id for p in places])} if places else {}
    by_content = {p.content_id: others[p.id] for p in places if p.id in others and others[p.id].status in _LOOKED_AT}
    found: list[Beside] = []
    for (example, alone), text, ids in zip(asked, texts, candidates, strict=True):
        near = [by_content[id_] for id_ in ids if id_ in by_content and by_content[id_].id != example.id][:MOST]
        if alone is example:
            found += _pairs(project, example, near)
        found += _held_out(project, example, text, near, may_leak=alone is example)
    return found


def _index(studio: Studio, project: Project) -> NearIndex | None:
    index = studio.near.get(project.id)
    # Of a project that is split, every row is put into the index as it is saved.
    if index is not None and project.shares is not None:
        return index
    contents = studio.store.sides.contents(project.id, COMPARED)
    return None if contents is None else index_of(studio, project.id, contents, _leisurely(studio), chunk=_CHUNK)


def _leisurely(studio: Studio) -> Callable[[float], None]:
    def tick(share: float) -> None:
        if studio.closing.is_set():
            raise Cancelled("The studio is being closed.")
        # Whoever saves just now comes first.
        studio.closing.wait(max(_REST_S, studio.unchecked.wait_s(QUIET_S, AT_MOST_S)))

    return tick


def _pairs(project: Project, example: Example, near: Sequence[Example]) -> list[Beside]:
    found = []
    for other in near:
        # The later row carries the flag, as in a scan.
        one, late = sorted((example, other), key=lambda e: number_of(e.id))
        flags = check_one(late, [one], language=project.language)
        found += [Beside(f.kind, example, other, f) for f in flags if f.kind in PAIRS and f.other_id == one.id]
    return found


def _held_out(
    project: Project, example: Example, text: RowText, near: Sequence[Example], *, may_leak: bool
) -> list[Beside]:
    for other in () if example.pinned else near:
        if other.split in _HELD_OUT and not other.aside and text.is_near(RowText.of(other.messages, other.answer)):
            return [Beside("held-out", example, other, _leak(project, example, other) if may_leak else None)]
    return []


def _leak(project: Project, example: Example, other: Example) -> Flag | None:
    """Where rows are dealt to sides, the split itself takes care that nothing leaks."""
    if project.shares is not None or example.split != "train":
        return None
    return Flag(example.id, "leak", reasons.say("leak", "given_away", side=other.split), other.id)
