"""Training, validation and test: which side a row stands on, and that nothing leaks from one to another.

A row gets its side when it enters a project with `Shares`, from a stable hash of its group, and keeps it. A group is
made of rows that are nearly the same, rows of one conversation or one source, and augmented rows with the row they were
made from. A row that is nearly the same as rows on another side (an edit can make it so) is set aside until that is
over. Without `Shares` all rows are for training, and nothing is compared.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from studio import projects
from studio.context import Studio
from studio.errors import Busy, Cancelled, InvalidInput, NotFound, Phrase
from studio.records import Example, Project, Split, new_id, now
from studio.rows import Action, Shares
from studio.settlement import Settlement
from studio.store.sides import Place

_WITHOUT_EFFECT = ("tagged", "rated", "noted")
TRIES = 3
PARTS = 1000
"""What dealing is divided into, to say how far it is."""
NOTED = 0.01
"""A share that differs by less from what was asked for is as asked for."""
LARGE = 5
"""Rows of a group that can make shares uneven, at least."""
SHOWN = 3
"""Groups that are named one by one."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Uneven:
    """A side that got another share than was asked for, and why."""

    side: Split
    asked: float
    got: float
    """Both as shares of the rows that stand on a side."""
    pinned: int
    """Rows that came with this side."""
    alike: tuple[int, ...]
    """The sizes of large groups of near-identical rows that made it so, the largest first: here where there are too
    many rows, on other sides where too few."""
    grouped: tuple[int, ...]
    """The same of groups that one source, one conversation or one original holds together."""
    groups: int
    """Groups that were dealt in all: of few, chance makes uneven shares."""


@dataclass(frozen=True)
class Deal:
    """What dealing the rows did."""

    action: Action
    moved: int
    """Rows that changed their side."""
    trained_on: int
    """Those of them that were for training, are no more, and that an adapter has learned from."""
    rows: Mapping[str, int]
    """Rows by side; `aside` for those kept out of all."""
    uneven: tuple[Uneven, ...] = ()


@dataclass(frozen=True)
class Preview:
    """What dealing the rows would do."""

    moved: int
    """Rows that would change their side."""
    trained_on: int
    """Those of them that are for training, would be no more, and that an adapter has learned from."""
    rows: Mapping[str, int]
    """Rows by side afterwards; `aside` for those kept out of all."""
    uneven: tuple[Uneven, ...] = ()


@dataclass(frozen=True)
class Summary:
    """How the rows of a project stand, and by which rule."""

    rows: Mapping[str, int]
    """Rows by side, those in the bin left out."""
    aside: int
    rule: str
    """In one sentence, in English."""


def summary(studio: Studio, project_id: str) -> Summary:
    """Counts by side and the rule in words."""
    shares = projects.get(studio, project_id).shares
    rows = studio.store.sides.counts(project_id)
    return Summary(
        {side: rows.get(side, 0) for side in ("train", "validation", "test")}, rows.get("aside", 0), rule(shares)
    )


def rule(shares: Shares | None) -> str:
    """The rule in one sentence."""
    if shares is None:
        return "All rows are for training, except those that came with another side."
    return (
        f"{shares.validation:.0%} of the groups are for validation, {shares.test:.0%} for test, the rest for training,"
        f" by a hash of seed {shares.seed} and the group; near-duplicates, a conversation's rows, a source's rows and"
        " augmented rows with the row they were made from are one group; rows that came with a side keep it."
    )


# Dealing


def deal(
    studio: Studio,
    project_id: str,
    shares: Shares | None,
    author: str = "",
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Deal:
    """Set how a project's rows are dealt, and deal all of them: one action, which can be undone.

    Without shares every row is for training again. Rows that came with a side keep it. Rows are saved by others while
    this compares them; what was saved meanwhile is dealt at the end.

    Raises:
        Cancelled: before the end; no row was moved.
    """
    project = projects.get(studio, project_id)
    detail = f"{shares.validation:.0%} validation, {shares.test:.0%} test" if shares else "all for training"
    action = Action(new_id("h"), project.id, "split", 0, author or studio.settings.author, detail)

    def arrange(work: Settlement, places: list[Place]) -> None:
        _arrange(work, places, shares)

    with _settled(studio, action, shares, arrange, progress, cancelled) as (work, action):
        moved, left = work.write(new_versions=True)
        action = replace(action, rows=moved)
        _record(studio, projects.get(studio, project.id), action, shares)
        counts = studio.store.sides.counts(project.id)
        return Deal(action, moved, studio.store.sides.trained_on(left), counts, _uneven(work, shares, counts))


def preview(
    studio: Studio,
    project_id: str,
    shares: Shares | None,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Preview:
    """What `deal` would do now; no row is changed.

    Raises:
        Cancelled: before the end.
    """
    project = projects.get(studio, project_id)
    action = Action(new_id("h"), project.id, "split", 0)
    follow = _Follow(progress, cancelled)
    work, places = Settlement.of_all(studio, project.id, action, shares, follow.tick)
    _arrange(work, places, shares)
    moved, left = work.moved()
    counts = Counter("aside" if place.aside else place.split for place in places if place.status != "deleted")
    follow.tick(1.0)
    return Preview(len(moved), studio.store.sides.trained_on(left), dict(counts), _uneven(work, shares, counts))


def _arrange(work: Settlement, places: list[Place], shares: Shares | None) -> None:
    """Every row on the side it gets; nothing is written yet."""
    if shares is None:
        work.release_all(places)
    else:
        work.enter(places, shares)


@contextmanager
def _settled(
    studio: Studio,
    action: Action,
    shares: Shares | None,
    arrange: Callable[[Settlement, list[Place]], None],
    progress: Progress,
    cancelled: threading.Event | None,
) -> Iterator[tuple[Settlement, Action]]:
    """All rows arranged, in the transaction of the action, which is still to be written; and the action as of then.

    Comparing takes long, so it is done before, on the rows as they are when it begins; in the transaction only those
    are looked at that changed meanwhile. Where the rows were dealt by somebody else meanwhile, it begins anew.
    """
    follow = _Follow(progress, cancelled)
    for _ in range(TRIES):
        dealt = studio.store.sides.last_deal(action.project_id)
        work, places = Settlement.of_all(studio, action.project_id, action, shares, follow.tick)
        arrange(work, places)
        with studio.store.transaction():
            follow.tick(1.0)
            if studio.store.sides.last_deal(action.project_id) == dealt:
                # Histories are read in the order of the actions' ids.
                work.action = replace(action, id=new_id("h"), created_at=now())
                work.catch_up(shares)
                yield work, work.action
                return
    raise Busy("Somebody else keeps dealing these rows.", "Try again in a moment.")


class _Follow:
    """Says how far it is, in thousandths, and stops where that was asked for."""

    def __init__(self, progress: Progress, cancelled: threading.Event | None) -> None:
        self._progress, self._cancelled = progress, cancelled

    def tick(self, share: float) -> None:
        self._progress(round(PARTS * share), PARTS)
        if self._cancelled is not None and self._cancelled.is_set():
            raise Cancelled("Dealing was cancelled.", "No example was moved.")


def _uneven(work: Settlement, shares: Shares | None, counts: Mapping[str, int]) -> tuple[Uneven, ...]:
    """The sides whose share is not what was asked for, and what made it so."""
    total = sum(n for side, n in counts.items() if side != "aside")
    if shares is None or not total:
        return ()
    found = []
    groups = work.groups
    wanted: Mapping[Split, float] = {"validation": shares.validation, "test": shares.test}
    for side, asked in wanted.items():
        got = counts.get(side, 0) / total
        if abs(got - asked) < NOTED or abs(got - asked) * total < 2:
            continue
        least = max(LARGE, abs(got - asked) * total / 4)
        large = [
            group
            for group in groups
            if (group.stands == side) == (got > asked) and not group.pinned and len(group.standing) >= least
        ]
        sizes = [(len(group.standing), group.alike * 2 > len(group.members)) for group in large]
        found.append(
            Uneven(
                side,
                asked,
                got,
                sum(place.pinned and place.split == side for group in groups for place in group.standing),
                tuple(sorted((n for n, is_alike in sizes if is_alike), reverse=True)),
                tuple(sorted((n for n, is_alike in sizes if not is_alike), reverse=True)),
                len(groups),
            )
        )
    return tuple(found)


def reason(uneven: Uneven) -> str:
    """Why a side got another share than was asked for, in one English sentence."""
    found = []
    for sizes, what in ((uneven.alike, "near-identical rows"), (uneven.grouped, "rows of one source or conversation")):
        found += [f"{n:,} {what} stay together" for n in sizes[:SHOWN]]
        if len(sizes) > SHOWN:
            found.append(f"{sum(sizes[SHOWN:]):,} more {what} stay together, in {len(sizes) - SHOWN} groups")
    if uneven.pinned:
        found.append(f"{uneven.pinned:,} rows came with this side")
    if not found:
        found.append(f"by chance: {uneven.groups:,} groups were dealt")
    head = f"Asked {uneven.asked:.0%} {uneven.side}, got {_percent(uneven.got)}: "
    return head + "; ".join(found) + "."


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def last_deal(studio: Studio, project_id: str) -> Action | None:
    """The dealing that holds now, or the taking back of one; None if the rows were never dealt."""
    action_id = studio.store.sides.last_deal(project_id)
    return studio.store.actions.get(action_id) if action_id else None


def _record(studio: Studio, project: Project, action: Action, shares: Shares | None) -> None:
    studio.store.actions.add(action)
    studio.store.sides.add_deal(action.id, project.id, project.shares, shares)
    studio.store.projects.update(replace(project, shares=shares))


def is_deal(studio: Studio, action: Action) -> bool:
    """Whether an action dealt all rows, or took that back."""
    return studio.store.sides.deal(action.id) is not None


def take_back(
    studio: Studio,
    target: Action,
    action: Action,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Action:
    """Undo a dealing: the shares of before, and every row on its side of before. Rows that were added since are dealt
    again.

    Raises:
        InvalidInput: the rows were dealt again since.
        Cancelled: before the end; no row was moved.
    """
    _require_last(studio, target)
    dealt = studio.store.sides.deal(target.id)
    assert dealt is not None
    shares = dealt[0]

    def arrange(work: Settlement, places: list[Place]) -> None:
        since = studio.store.sides.made_since(target.project_id, target.id)
        earlier = studio.store.sides.sides_before(target.project_id, target.id)
        for place in places:
            place.split = earlier.get(place.n, place.split)
        new = [place for place in places if place.n in since]
        if shares is None:
            work.release_all(new)
            work.release_all(places, sides=False)
        else:
            work.enter(new, shares)
            work.look_again(places)

    with _settled(studio, action, shares, arrange, progress, cancelled) as (work, action):
        _require_last(studio, target)
        moved, _ = work.write(new_versions=True)
        action = replace(action, rows=moved)
        _record(studio, projects.get(studio, target.project_id), action, shares)
        return action


def _require_last(studio: Studio, target: Action) -> None:
    if studio.store.actions.undone_by(target.id) is not None:
        raise InvalidInput("This was undone already.")
    if studio.store.sides.last_deal(target.project_id) != target.id:
        raise InvalidInput("The rows were dealt again since.", "Undo that first.")


def join(studio: Studio, example_id: str, author: str = "") -> Action:
    """Settle a leak: move a row that was set aside, and what was made from it, to the side of the rows it is nearly the
    same as. Can be undone.

    Raises:
        InvalidInput: the row isn't aside, or its side came with it, or it is near to rows on both other sides, or rows
            that it has to stand with are on another.
    """
    with studio.store.transaction():
        example = studio.store.examples.get(example_id)
        if example is None:
            raise NotFound(Phrase("There is no example {example}.", example=example_id), "Reload the page.")
        if not example.aside or example.pinned:
            raise InvalidInput("Only a row that was set aside can be moved.", "Edit it, or put the other in the bin.")
        action = Action(new_id("h"), example.project_id, "split", 1, author or studio.settings.author)
        work = Settlement(studio, example.project_id, action)
        (place,) = work.register(studio.store.sides.of_ids(example.project_id, [example_id]))
        sides = {other.split for other in work.standing_near(place)}
        if len(sides) != 1:
            raise InvalidInput(
                "This row is nearly the same as rows on several sides.", "Edit it, or put the others in the bin."
            )
        place.split = sides.pop()
        _require_free(studio, example)
        action = replace(action, detail=f"joins {place.split}")
        moved = [place, *work.follow([place])]
        work.look_again(moved)
        work.release([p.id for p in moved])
        work.write(new_versions=True)
        action = replace(action, rows=len(moved))
        studio.store.actions.add(action)
        return action


def _require_free(studio: Studio, example: Example) -> None:
    """Raises:
    InvalidInput: the row has to stand together with another on its side.
    """
    with_it = studio.store.sides.of_group_of(example.project_id, example.id)
    if example.parent_id:
        with_it += studio.store.sides.of_ids(example.project_id, [example.parent_id])
    if any(other.split == example.split and other.status != "deleted" for other in with_it):
        raise InvalidInput(
            "This row stays with the others of its conversation or source, or with the one it was made from.",
            "Edit it, or put the one it is nearly the same as in the bin.",
        )


# Every other action


def settle(studio: Studio, action: Action, example_ids: Sequence[str] = ()) -> None:
    """Give the rows an action added their side, and set aside what would leak now; in the action's own transaction.

    Args:
        example_ids: the rows it changed, where they are known.
    """
    if action.kind in _WITHOUT_EFFECT:
        return
    project = studio.store.projects.get(action.project_id)
    if project is None or project.shares is None:
        return
    changes = studio.store.sides.changes(project.id, action.id, example_ids)
    work = Settlement(studio, project.id, action)
    work.register([change.place for change in changes])
    work.enter([change.place for change in changes if change.is_new], project.shares)
    again = [c.place for c in changes if not c.is_new and (c.is_back or c.is_reworded or c.is_moved)]
    work.look_again(again)
    gone = [c.place for c in changes if not c.is_new and c.place.status == "deleted"]
    work.release([place.id for place in (*again, *gone)])
    work.write()
