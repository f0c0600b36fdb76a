"""Training, validation and test: which side a row stands on, and that nothing leaks from one to another.

A row gets its side when it enters a project with `Shares`, from a stable hash of its group, and keeps it. A group is
made of rows that are nearly the same, rows of one conversation or one source, and augmented rows with the row they were
made from. A row that is nearly the same as rows on another side (an edit can make it so) is set aside until that is
over. Without `Shares` all rows are for training, and nothing is compared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from studio import projects, reasons
from studio.context import Studio
from studio.errors import InvalidInput, NotFound
from studio.neighbours import Neighbours
from studio.records import Project, Split, new_id
from studio.rows import Action, Flag, Shares
from studio.store.sides import Place

_WITHOUT_EFFECT = ("tagged", "rated", "noted")


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


@dataclass(frozen=True)
class Preview:
    """What dealing the rows would do."""

    moved: int
    """Rows that would change their side."""
    trained_on: int
    """Those of them that are for training, would be no more, and that an adapter has learned from."""
    rows: Mapping[str, int]
    """Rows by side afterwards; `aside` for those kept out of all."""


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


def deal(studio: Studio, project_id: str, shares: Shares | None, author: str = "") -> Deal:
    """Set how a project's rows are dealt, and deal all of them: one action, which can be undone.

    Without shares every row is for training again. Rows that came with a side keep it.
    """
    project = projects.get(studio, project_id)
    detail = f"{shares.validation:.0%} validation, {shares.test:.0%} test" if shares else "all for training"
    action = Action(new_id("h"), project.id, "split", 0, author or studio.settings.author, detail)
    with studio.store.transaction():
        work, _ = _dealt(studio, project.id, action, shares)
        moved, left = work.write(new_versions=True)
        action = replace(action, rows=moved)
        _record(studio, project, action, shares)
        return Deal(action, moved, studio.store.sides.trained_on(left), studio.store.sides.counts(project.id))


def preview(studio: Studio, project_id: str, shares: Shares | None) -> Preview:
    """What `deal` would do now; no row is changed."""
    project = projects.get(studio, project_id)
    with studio.store.transaction():
        # The transaction keeps the rows as they are; what it writes are sketches, which are true whatever comes of it.
        work, places = _dealt(studio, project.id, Action(new_id("h"), project.id, "split", 0), shares)
        moved, left = work.moved()
        counts = Counter("aside" if place.aside else place.split for place in places if place.status != "deleted")
        return Preview(len(moved), studio.store.sides.trained_on(left), dict(counts))


def _dealt(
    studio: Studio, project_id: str, action: Action, shares: Shares | None
) -> tuple[_Settlement, Sequence[Place]]:
    """Every row on the side it gets; nothing is written yet."""
    work = _Settlement(studio, project_id, action, everything=True)
    places = work.register(studio.store.sides.all(project_id))
    if shares is None:
        work.release_all(places)
    else:
        work.enter(places, shares)
    return work, places


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


def take_back(studio: Studio, target: Action, action: Action) -> Action:
    """Undo a dealing, in the transaction of `action`: the shares of before, and every row on its side of before. Rows
    that were added since are dealt again.

    Raises:
        InvalidInput: the rows were dealt again since.
    """
    if studio.store.sides.last_deal(target.project_id) != target.id:
        raise InvalidInput("The rows were dealt again since.", "Undo that first.")
    dealt = studio.store.sides.deal(target.id)
    assert dealt is not None
    shares, project = dealt[0], projects.get(studio, target.project_id)
    since = studio.store.sides.made_since(project.id, target.id)
    earlier = studio.store.sides.sides_before(project.id, target.id)
    work = _Settlement(studio, project.id, action)
    rows = work.register(studio.store.sides.all(project.id))
    for place in rows:
        place.split = earlier.get(place.n, place.split)
    if shares is None:
        work.release_all([place for place in rows if place.n in since])
        work.release_all(rows, sides=False)
    else:
        work.enter([place for place in rows if place.n in since], shares)
        work.look_again(rows)
    moved, _ = work.write(new_versions=True)
    action = replace(action, rows=moved)
    _record(studio, project, action, shares)
    return action


def join(studio: Studio, example_id: str, author: str = "") -> Action:
    """Settle a leak: move a row that was set aside to the side of the rows it is nearly the same as. Can be undone.

    Raises:
        InvalidInput: the row isn't aside, or its side came with it, or it is near to rows on both other sides.
    """
    with studio.store.transaction():
        example = studio.store.examples.get(example_id)
        if example is None:
            raise NotFound(f"There is no example {example_id}.", "Reload the page.")
        if not example.aside or example.pinned:
            raise InvalidInput("Only a row that was set aside can be moved.", "Edit it, or put the other in the bin.")
        action = Action(new_id("h"), example.project_id, "split", 1, author or studio.settings.author)
        work = _Settlement(studio, example.project_id, action)
        (place,) = work.register(studio.store.sides.of_ids(example.project_id, [example_id]))
        sides = {other.split for other in work.standing_near(place)}
        if len(sides) != 1:
            raise InvalidInput(
                "This row is nearly the same as rows on several sides.", "Edit it, or put the others in the bin."
            )
        place.split = sides.pop()
        action = replace(action, detail=f"joins {place.split}")
        work.look_again([place])
        work.release([place.id])
        work.write(new_versions=True)
        studio.store.actions.add(action)
        return action


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
    work = _Settlement(studio, project.id, action)
    work.register([change.place for change in changes])
    work.enter([change.place for change in changes if change.is_new], project.shares)
    again = [c.place for c in changes if not c.is_new and (c.is_back or c.is_reworded or c.is_moved)]
    work.look_again(again)
    gone = [c.place for c in changes if not c.is_new and c.place.status == "deleted"]
    work.release([place.id for place in (*again, *gone)])
    work.write()


@dataclass
class _Component:
    """Rows that enter together on one side."""

    members: list[Place]
    pinned: tuple[int, Split] | None = None
    """The oldest row that brought a side."""
    tied: tuple[int, Split] | None = None
    """The oldest row that stood before, of the same conversation or source, or the row these were made from."""
    near: dict[Split, int] = field(default_factory=dict)
    """By side, the oldest near row found there."""
    sides: frozenset[Split] = frozenset()
    """Sides that rows of it or near it are bound to."""

    def merge(self, other: _Component) -> None:
        self.members += other.members
        self.pinned = _older(self.pinned, other.pinned)
        self.tied = _older(self.tied, other.tied)
        for side, n in other.near.items():
            self.add_near(n, side)
        self.sides |= other.sides

    def add_near(self, n: int, side: Split) -> None:
        self.near[side] = min(n, self.near.get(side, n))
        self.sides |= {side}

    def side(self) -> Split | None:
        """The side this component has to take; None: it is free."""
        bound = self.pinned or self.tied
        if bound is not None:
            return bound[1]
        return min((n, side) for side, n in self.near.items())[1] if self.near else None


def _older(one: tuple[int, Split] | None, other: tuple[int, Split] | None) -> tuple[int, Split] | None:
    return min((each for each in (one, other) if each is not None), default=None)


class _Settlement:
    """The rows that one action touches on their way to a side. Rows are settled one after the other, each beside those
    that stand already, so that no two near ones can stand on two sides."""

    def __init__(self, studio: Studio, project_id: str, action: Action, *, everything: bool = False) -> None:
        """`everything`: all rows there are will enter."""
        self._studio, self._project_id, self._action = studio, project_id, action
        self._everything = everything
        self._neighbours = Neighbours(studio, project_id, is_complete=not everything)
        self._was: dict[int, tuple[Split, bool]] = {}
        self._pending: set[int] = set()
        """Rows that don't stand on a side yet."""
        self._leaks: dict[str, Flag | None] = {}
        self._components: dict[int, _Component] = {}
        self._position: dict[int, float] = {}

    def register(self, places: Sequence[Place]) -> Sequence[Place]:
        """Remember how rows stood; every row is known by one `Place` from here on."""
        for place in places:
            self._was.setdefault(place.n, (place.split, place.aside))
        self._neighbours.know(places)
        return places

    # Entering

    def enter(self, places: Sequence[Place], shares: Shares) -> None:
        """Give rows their side."""
        if not places:
            return
        self._components = {place.n: _Component([place]) for place in places}
        for place in places:
            if place.aside:
                place.aside, self._leaks[place.id] = False, None
            if place.pinned:
                component = self._components[place.n]
                component.pinned, component.sides = (place.n, place.split), frozenset({place.split})
        with_turns = self._link_near(places, shares)
        self._link_groups(places, with_turns)
        self._link_parents(places)
        in_conflict = []
        for component in {id(c): c for c in self._components.values()}.values():
            side = component.side() or shares.side(self._position[min(p.n for p in component.members)])
            for place in component.members:
                place.split = place.split if place.pinned else side
            if component.sides - {side}:
                in_conflict += component.members
        self.look_again(in_conflict)

    def _link_near(self, places: Sequence[Place], shares: Shares) -> set[int]:
        """Put near rows into one component; returns the rows with more than one turn before the answer."""
        several: set[int] = set()

        def is_open(place: Place, other: Place) -> bool:
            mine = self._components[place.n]
            if other.n in self._components:
                return self._components[other.n] is not mine
            return other.split not in mine.near

        def found(place: Place, other: Place) -> bool:
            if other.n in self._components:
                self._merge(place.n, other.n)
            else:
                self._components[place.n].add_near(other.n, other.split)
            return False

        for chunk in self._neighbours.texts_of(places):
            for place, turns, text in chunk:
                if turns > 1:
                    several.add(place.n)
                binds = place.group_key and (place.source != "chat" or turns > 1)
                self._position[place.n] = _position(shares.seed, place.group_key if binds else text.prompt)
            self._neighbours.each_near(chunk, is_open, found, known_only=self._everything)
        return several

    def _link_groups(self, places: Sequence[Place], several: Collection[int]) -> None:
        """Conversations and sources. Single questions of one conversation have nothing in common; a row of several
        turns has the earlier ones in its prompt."""
        groups: dict[str, list[Place]] = {}
        for place in places:
            if place.group_key:
                groups.setdefault(place.group_key, []).append(place)
        whole = {g for g, rows in groups.items() if any(p.source != "chat" or p.n in several for p in rows)}
        for group in whole:
            for place in groups[group][1:]:
                self._merge(groups[group][0].n, place.n)
        if self._everything:
            return
        for names, only_several in ((whole, False), (groups.keys() - whole, True)):
            stood = self._studio.store.sides.firsts_of_groups(
                self._project_id, sorted(names), self._action.id, several_turns=only_several
            )
            for group, first in stood.items():
                for place in groups[group]:
                    self._tie(place, first)

    def _link_parents(self, places: Sequence[Place]) -> None:
        made = [place for place in places if place.parent_id]
        parents = self._studio.store.sides.of_ids(self._project_id, sorted({p.parent_id for p in made if p.parent_id}))
        by_id = {parent.id: parent for parent in parents}
        for place in made:
            parent = by_id.get(place.parent_id or "")
            if parent is None:
                continue
            if parent.n in self._components:
                self._merge(place.n, parent.n)
            else:
                self._tie(place, parent)

    def _tie(self, place: Place, stood: Place) -> None:
        if stood.n not in self._components:
            side = self._neighbours.known(stood).split
            component = self._components[place.n]
            component.tied = _older(component.tied, (stood.n, side))
            component.sides |= {side}

    def _merge(self, one: int, other: int) -> None:
        a, b = self._components[one], self._components[other]
        if a is b:
            return
        if len(a.members) < len(b.members):
            a, b = b, a
        a.merge(b)
        for place in b.members:
            self._components[place.n] = a

    # Leaks

    def look_again(self, places: Sequence[Place]) -> None:
        """Decide for each of these rows whether it can stand on its side. Rows that stood before come first, then rows
        that brought their side, then the oldest."""
        rows = [place for place in places if place.status != "deleted"]
        rows.sort(key=lambda p: (self._was.get(p.n, (p.split, True))[1], not p.pinned, p.n))
        self._pending |= {place.n for place in rows}
        for chunk in self._neighbours.texts_of(rows):
            leaks: dict[int, Place] = {}

            def is_open(place: Place, other: Place, leaks: dict[int, Place] = leaks) -> bool:
                return place.n not in leaks and self._stands(other) and other.split != place.split

            def found(place: Place, other: Place, leaks: dict[int, Place] = leaks) -> bool:
                leaks[place.n] = other
                return True

            def done(place: Place, leaks: dict[int, Place] = leaks) -> None:
                self._decide(place, leaks.get(place.n))

            self._neighbours.each_near(chunk, is_open, found, done)

    def _decide(self, place: Place, leak: Place | None) -> None:
        self._pending.discard(place.n)
        self._was.setdefault(place.n, (place.split, place.aside))
        place.aside = leak is not None
        if leak is not None:
            reason = reasons.say("leak", "near", side=leak.split, own_side=place.split)
            self._leaks[place.id] = Flag(place.id, "leak", reason, leak.id)
        elif self._was[place.n][1]:
            self._leaks[place.id] = None

    def _stands(self, place: Place) -> bool:
        return not place.aside and place.status != "deleted" and place.n not in self._pending

    def standing_near(self, place: Place) -> list[Place]:
        """The near rows on other sides."""
        near: list[Place] = []

        def found(_: Place, other: Place) -> bool:
            near.append(other)
            return False

        for chunk in self._neighbours.texts_of([place]):
            self._neighbours.each_near(chunk, lambda p, o: self._stands(o) and o.split != p.split, found)
        return near

    def release(self, example_ids: Sequence[str]) -> None:
        """Look again at the rows that were set aside because of these."""
        waiting = self._studio.store.sides.set_aside_for(self._project_id, example_ids)
        known = [self._neighbours.known(place) for place in waiting]
        fresh = [place for place in known if place.aside and place.n not in self._pending]
        self.register(fresh)
        self.look_again(fresh)

    def release_all(self, places: Sequence[Place], *, sides: bool = True) -> None:
        """No sides any more: everything is for training that didn't bring a side, and nothing is aside."""
        for place in places:
            if sides and not place.pinned:
                place.split = "train"
            if place.aside:
                place.aside = False
                self._leaks[place.id] = None

    # Writing

    def write(self, *, new_versions: bool = False) -> tuple[int, list[str]]:
        """Write what changed: as part of the versions the action just made, or (`new_versions`) as new ones where the
        side changed. Returns how many rows moved, and the ids of those that are for training no more."""
        changed = [p for p in self._neighbours.all_known() if p.n in self._was and self._was[p.n] != (p.split, p.aside)]
        moved, left = self.moved() if new_versions else ([], [])
        if moved:
            self._studio.store.sides.move(moved, self._action.id, self._action.author, self._action.created_at)
        rest = changed if not moved else [p for p in changed if self._was[p.n][0] == p.split]
        self._studio.store.sides.set_in_place(rest)
        if self._leaks:
            flags = [flag for flag in self._leaks.values() if flag is not None]
            ids = list(self._leaks)
            self._studio.store.flags.replace(self._project_id, flags, kinds=("leak",), example_ids=ids)
        return len(moved), left

    def moved(self) -> tuple[list[Place], list[str]]:
        """The rows that change their side, and the ids of those among them that are for training no more."""
        known = [place for place in self._neighbours.all_known() if place.n in self._was]
        moved = [place for place in known if self._was[place.n][0] != place.split]
        return moved, [place.id for place in moved if self._was[place.n][0] == "train"]


def _position(seed: int, key: str) -> float:
    """Where a group lies in [0, 1): the same for the same seed and key, always."""
    digest = hashlib.blake2b(f"{seed}\x1f{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
