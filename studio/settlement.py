"""How rows come to stand on a side of the split: all of them when they are dealt, some of them after every action.

Rows are settled one after the other, each beside those that stand already, so that no two near ones can stand on two
sides.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from studio import reasons
from studio.context import Studio
from studio.detectors.linking import linked
from studio.detectors.near import RowText, Sketches
from studio.neighbours import Neighbours, Tick, index_of, sketches_of
from studio.records import Split
from studio.rows import Action, Flag, Shares
from studio.store.sides import Place


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
    alike: int = 1
    """Rows in it that a chain of near rows joins, where all rows were looked at; of several such, the most."""

    def merge(self, other: _Component) -> None:
        self.members += other.members
        self.pinned = _older(self.pinned, other.pinned)
        self.tied = _older(self.tied, other.tied)
        for side, n in other.near.items():
            self.add_near(n, side)
        self.sides |= other.sides
        self.alike = max(self.alike, other.alike)

    def add_near(self, n: int, side: Split) -> None:
        self.near[side] = min(n, self.near.get(side, n))
        self.sides |= {side}

    @property
    def standing(self) -> list[Place]:
        """Those of its rows that stand on a side."""
        return [place for place in self.members if place.status != "deleted" and not place.aside]

    @property
    def stands(self) -> Split:
        """The side it is on, those of its rows that brought another aside."""
        return next((place for place in self.members if not place.pinned), self.members[0]).split

    def side(self) -> Split | None:
        """The side this component has to take; None: it is free."""
        bound = self.pinned or self.tied
        if bound is not None:
            return bound[1]
        return min((n, side) for side, n in self.near.items())[1] if self.near else None


def _older(one: tuple[int, Split] | None, other: tuple[int, Split] | None) -> tuple[int, Split] | None:
    return min((each for each in (one, other) if each is not None), default=None)


class Settlement:
    """The rows that one action touches on their way to a side."""

    def __init__(self, studio: Studio, project_id: str, action: Action) -> None:
        """For some of the rows. Make this inside the action's transaction."""
        self._begin(studio, project_id, action, Neighbours(studio, project_id))

    def _begin(self, studio: Studio, project_id: str, action: Action, neighbours: Neighbours) -> None:
        self._studio, self._project_id, self.action = studio, project_id, action
        self.groups: list[_Component] = []
        """Where all rows were dealt: what stands together with what."""
        self._neighbours = neighbours
        self._is_whole = False
        self._read: tuple[str, Any] = ("", None)
        self._several: Collection[int] = ()
        self._was: dict[int, tuple[Split, bool]] = {}
        self._pending: set[int] = set()
        """Rows that don't stand on a side yet."""
        self._leaks: dict[str, Flag | None] = {}
        self._components: dict[int, _Component] = {}
        self._position: dict[int, float] = {}
        self._clusters: _Clusters | None = None
        self._tick: Tick = lambda share: None

    @classmethod
    def of_all(
        cls, studio: Studio, project_id: str, action: Action, shares: Shares | None, tick: Tick
    ) -> tuple[Settlement, list[Place]]:
        """For every row as it is now, with all that takes long done: nobody is kept from writing meanwhile, and nothing
        is written. `catch_up` takes in what became of the rows meanwhile, inside the action's transaction.

        Args:
            shares: those the rows are to be dealt by; None: they needn't be compared.
        """
        work = cls.__new__(cls)
        stamp, places = studio.store.examples.stamp(project_id), studio.store.sides.all(project_id)
        contents = [place.content_id for place in places]
        index = index_of(studio, project_id, contents if shares else [], lambda share: tick(0.5 * share))
        work._begin(studio, project_id, action, Neighbours(studio, project_id, index=index))
        work._is_whole, work._read = True, (stamp, studio.store.sides.as_table(places))
        work._tick = lambda share: tick(0.9 + 0.1 * share)
        work.register(places)
        if shares is not None:
            found = _surveyed(work._neighbours, places, shares, lambda share: tick(0.5 + 0.15 * share))
            work._position, work._several = found.position, found.several
            made = sketches_of(studio, project_id, contents)
            labels = found.linked(made, work._neighbours, places, lambda share: tick(0.65 + 0.25 * share))
            work._clusters = _Clusters(labels)
        return work, places

    def register(self, places: Sequence[Place]) -> Sequence[Place]:
        """Remember how rows stood; every row is known by one `Place` from here on."""
        for place in places:
            self._was.setdefault(place.n, (place.split, place.aside))
        self._neighbours.know(places)
        return places

    def catch_up(self, shares: Shares | None) -> None:
        """Take in the rows that were added or changed since `of_all`, as if that had come after. Inside the action's
        transaction."""
        stamp, read = self._read
        if self._studio.store.examples.stamp(self._project_id) == stamp:
            return
        changed = self._studio.store.sides.differing(self._project_id, read)
        self._clusters, self._tick = None, lambda share: None
        new, again, gone = [], [], []
        for now in changed:
            mine = self._neighbours.known(now)
            self._was[now.n] = (now.split, now.aside)
            if mine is now:
                new.append(now)
                continue
            is_gone = now.status == "deleted" != mine.status
            is_moved = now.pinned and now.split != mine.split
            if is_gone:
                gone.append(mine)
            elif is_moved or now.content_id != mine.content_id or mine.status == "deleted" != now.status:
                again.append(mine)
            self._neighbours.renew(mine, now, now.split if is_moved else mine.split)
        self.register(new)
        if shares is None:
            self.release_all(new)
            return
        self.enter(new, shares)
        touched = {place.id for place in (*again, *gone)}
        waiting = [id_ for id_, flag in self._leaks.items() if flag is not None and flag.other_id in touched]
        self.look_again([*again, *self._of_ids(waiting)])

    def _of_ids(self, example_ids: Sequence[str]) -> list[Place]:
        found = self._studio.store.sides.of_ids(self._project_id, example_ids)
        return [self._neighbours.known(place) for place in found]

    def follow(self, places: Sequence[Place]) -> list[Place]:
        """Put what was made from these rows, and what was made from that, on their side; returns what moved."""
        moved: list[Place] = []
        sources = {place.id: place for place in places}
        while sources:
            found = self._studio.store.sides.made_from(self._project_id, list(sources))
            known = [self._neighbours.known(place) for place in found]
            made = [p for p in known if not p.pinned and p.split != sources[str(p.parent_id)].split]
            self.register(made)
            for place in made:
                place.split = sources[str(place.parent_id)].split
            moved += made
            sources = {place.id: place for place in made}
        return moved

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
        if self._clusters is not None and len(places) == self._clusters.rows:
            for cluster in self._clusters.several():
                for n in cluster[1:]:
                    self._merge(cluster[0], n)
                self._components[cluster[0]].alike = len(cluster)
            self._link_groups(places, self._several)
        else:
            with_turns = self._link_near(places, shares)
            self._link_groups(places, with_turns, also_with_those_here=True)
        self._link_parents(places)
        in_conflict = []
        components = list({id(c): c for c in self._components.values()}.values())
        if self._clusters is not None:
            self.groups = components
        for component in components:
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
                self._position[place.n] = _position_of(place, turns, text, shares)
            self._neighbours.each_near(chunk, is_open, found)
        return several

    def _link_groups(
        self, places: Sequence[Place], several: Collection[int], *, also_with_those_here: bool = False
    ) -> None:
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
        if not also_with_those_here:
            return
        for names, only_several in ((whole, False), (groups.keys() - whole, True)):
            stood = self._studio.store.sides.firsts_of_groups(
                self._project_id, sorted(names), self.action.id, several_turns=only_several
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
        rows = [place for place in {place.n: place for place in places}.values() if place.status != "deleted"]
        rows.sort(key=lambda p: (self._was.get(p.n, (p.split, True))[1], not p.pinned, p.n))
        self._pending |= {place.n for place in rows}
        clusters = self._clusters
        if clusters is not None:
            clusters.forget(rows)
        for number, chunk in enumerate(self._neighbours.texts_of(rows)):
            self._tick(number * len(chunk) / len(rows))
            leaks: dict[int, Place] = {}

            def is_open(place: Place, other: Place, leaks: dict[int, Place] = leaks) -> bool:
                return place.n not in leaks and self._stands(other) and other.split != place.split

            def found(place: Place, other: Place, leaks: dict[int, Place] = leaks) -> bool:
                leaks[place.n] = other
                return True

            def done(place: Place, leaks: dict[int, Place] = leaks) -> None:
                self._decide(place, leaks.get(place.n))
                if clusters is not None:
                    clusters.decided(place, leaks.get(place.n))

            if clusters is None:
                self._neighbours.each_near(chunk, is_open, found, done)
            else:
                self._neighbours.each_near(
                    chunk, is_open, found, done, is_worth=clusters.is_worth, guess=clusters.guess
                )

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
            self._studio.store.sides.move(moved, self.action.id, self.action.author, self.action.created_at)
        rest = changed if not moved else [p for p in changed if self._was[p.n][0] == p.split]
        self._studio.store.sides.set_in_place(rest)
        if self._leaks or self._is_whole:
            flags = [flag for flag in self._leaks.values() if flag is not None]
            ids = None if self._is_whole else list(self._leaks)
            self._studio.store.flags.replace(self._project_id, flags, kinds=("leak",), example_ids=ids)
        return len(moved), left

    def moved(self) -> tuple[list[Place], list[str]]:
        """The rows that change their side, and the ids of those among them that are for training no more."""
        known = [place for place in self._neighbours.all_known() if place.n in self._was]
        moved = [place for place in known if self._was[place.n][0] != place.split]
        return moved, [place.id for place in moved if self._was[place.n][0] == "train"]


class _Clusters:
    """Rows that chains of near rows join. Outside of its cluster a row is near to nothing, which spares comparisons."""

    def __init__(self, labels: Mapping[int, int]) -> None:
        """`labels`: of each row, the same for all of one cluster."""
        self._labels = labels
        self._standing: dict[int, Counter[Split]] = {}
        """By cluster, its rows that were decided to stand."""
        self._counted: dict[int, Split] = {}
        self._leaks: dict[tuple[int, Split], Place] = {}

    @property
    def rows(self) -> int:
        return len(self._labels)

    def several(self) -> list[list[int]]:
        """Clusters of more than one row, each row by its number, the oldest first."""
        found: dict[int, list[int]] = {}
        for n, label in sorted(self._labels.items()):
            found.setdefault(label, []).append(n)
        return [rows for rows in found.values() if len(rows) > 1]

    def forget(self, places: Sequence[Place]) -> None:
        """They don't stand any more."""
        for place in places:
            side = self._counted.pop(place.n, None)
            if side is not None:
                self._standing[self._labels[place.n]][side] -= 1

    def decided(self, place: Place, leak: Place | None) -> None:
        label = self._labels[place.n]
        if leak is not None:
            self._leaks[label, place.split] = leak
        else:
            self._standing.setdefault(label, Counter())[place.split] += 1
            self._counted[place.n] = place.split

    def is_worth(self, place: Place) -> bool:
        """Whether a row of its cluster stands on another side."""
        standing = self._standing.get(self._labels[place.n], Counter[Split]())
        return any(n for side, n in standing.items() if side != place.split)

    def guess(self, place: Place) -> Place | None:
        """The row that the one before was near to."""
        return self._leaks.get((self._labels[place.n], place.split))


@dataclass
class _Survey:
    """What the texts of all rows say."""

    position: dict[int, float]
    several: set[int]
    """Rows with more than one turn before the answer."""
    prompts: list[int]
    numbers: list[int]
    """Of each row, a hash of its prompt's letters, and of the numbers in it."""

    def linked(self, made: Sketches, neighbours: Neighbours, places: Sequence[Place], tick: Tick) -> dict[int, int]:
        """Of each row the label of its cluster."""

        def fetch(rows: Sequence[int]) -> dict[int, RowText]:
            texts = neighbours.fetched([places[row] for row in rows])
            return {row: texts[places[row].content_id] for row in rows}

        sets = linked(made, np.array(self.prompts, np.int64), np.array(self.numbers, np.int64), fetch, tick)
        return {place.n: label for place, label in zip(places, sets.labels.tolist(), strict=True)}


def _surveyed(neighbours: Neighbours, places: Sequence[Place], shares: Shares, tick: Tick) -> _Survey:
    found = _Survey({}, set(), [], [])
    for chunk in neighbours.texts_of(places):
        tick(len(found.prompts) / len(places))
        for place, turns, text in chunk:
            if turns > 1:
                found.several.add(place.n)
            found.position[place.n] = _position_of(place, turns, text, shares)
            found.prompts.append(_hashed(text.prompt))
            found.numbers.append(_hashed(" ".join(text.numbers)))
    return found


def _position_of(place: Place, turns: int, text: RowText, shares: Shares) -> float:
    binds = place.group_key and (place.source != "chat" or turns > 1)
    return _position(shares.seed, place.group_key if binds else text.prompt)


def _position(seed: int, key: str) -> float:
    """Where a group lies in [0, 1): the same for the same seed and key, always."""
    digest = hashlib.blake2b(f"{seed}\x1f{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _hashed(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
