"""What a row that was just saved is beside the others: the same, nearly the same, against one, or one kept for testing.

The others are found by the sketches that the split knows them by; where a project has none yet they are made once, a
few at a time. What only a scan finds (the same question in quite other words) is left to the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from studio.context import Studio
from studio.detectors.near import RowText, sketches
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
QUIET_S, AT_MOST_S = 0.3, 5.0
"""What is found out of saved rows is begun when nobody has saved for so long, and after so long in any case."""
_CHUNK, _REST_S = 16, 0.002
"""Texts that are sketched at once, and the time that is left to others after them."""


def compare(studio: Studio, project: Project, examples: Sequence[Example]) -> list[Beside]:
    """What rows of a project are beside all others; nothing where there are too many to compare.

    Raises:
        Cancelled: the studio is being closed.
    """
    looked_at = [example for example in examples if example.status in ("draft", "approved")]
    candidates = _candidates(studio, project, looked_at) if looked_at else {}
    places = studio.store.sides.of_contents(project.id, sorted({id_ for ids in candidates.values() for id_ in ids}))
    others = {other.id: other for other in studio.store.examples.get_many([p.id for p in places])} if places else {}
    by_content = {place.content_id: others[place.id] for place in places if place.id in others}
    found: list[Beside] = []
    for example in looked_at:
        near = [by_content[id_] for id_ in candidates[example.id] if id_ in by_content]
        near = [other for other in near if other.id != example.id and other.status in ("draft", "approved")]
        found += _beside(project, example, near[:MOST])
    return found


def _candidates(studio: Studio, project: Project, examples: Sequence[Example]) -> Mapping[str, Sequence[int]]:
    """Of each row the contents that may be near it, the likeliest first."""
    index = studio.near.get(project.id)
    # Of a project that is split, every row is put into the index as it is saved.
    if index is None or project.shares is None:
        contents = studio.store.sides.contents(project.id, COMPARED)
        if contents is None:
            return {example.id: () for example in examples}
        index = index_of(studio, project.id, contents, _leisurely(studio), chunk=_CHUNK)
    made = sketches([RowText.of(example.messages, example.answer) for example in examples])
    return {e.id: index.candidates(sketch)[: 2 * MOST] for e, sketch in zip(examples, made, strict=True)}


def _leisurely(studio: Studio) -> Callable[[float], None]:
    def tick(share: float) -> None:
        if studio.closing.is_set():
            raise Cancelled("The studio is being closed.")
        # Whoever saves just now comes first.
        studio.closing.wait(max(_REST_S, studio.unchecked.wait_s(QUIET_S, AT_MOST_S)))

    return tick


def _beside(project: Project, example: Example, near: Sequence[Example]) -> list[Beside]:
    found = []
    for other in near:
        # The later row carries the flag, as in a scan.
        one, late = sorted((example, other), key=lambda e: number_of(e.id))
        flags = [
            f for f in check_one(late, [one], language=project.language) if f.kind in PAIRS and f.other_id == one.id
        ]
        found += [Beside(flag.kind, example, other, flag) for flag in flags]
    if not example.pinned:
        text = RowText.of(example.messages, example.answer)
        held_out = [
            o for o in near if o.split in _HELD_OUT and not o.aside and text.is_near(RowText.of(o.messages, o.answer))
        ]
        found += [Beside("held-out", example, other, _leak(project, example, other)) for other in held_out[:1]]
    return found


def _leak(project: Project, example: Example, other: Example) -> Flag | None:
    """Where rows are dealt to sides, the split itself takes care that nothing leaks."""
    if project.shares is not None or example.split != "train":
        return None
    reason = f"Nearly the same as a row for {other.split}, which it gives away once it is trained on."
    return Flag(example.id, "leak", reason, other.id)
