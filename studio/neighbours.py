"""The near rows of a row: candidates from the index, their texts from the store, the verdict from `near`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from studio.context import Studio
from studio.detectors import near
from studio.records import Split
from studio.store.sides import Place

CHUNK = 256
"""Rows whose candidates and texts are fetched together."""
AHEAD = 4
"""Candidates of each row whose texts are fetched together for a chunk; those of a row beyond, as they are needed."""
KEPT = 4096
"""Texts that are remembered."""

Located = tuple[Place, int, near.RowText]
"""A row, its turns before the answer, and what is compared of it."""
_Made = dict[int, NDArray[np.uint32]]
"""Sketches by content."""
Tick = Callable[[float], None]
"""Called with the share that is done; raises `Cancelled` where the user asked to stop."""


def index_of(
    studio: Studio,
    project_id: str,
    content_ids: Sequence[int],
    tick: Tick = lambda share: None,
    *,
    chunk: int = CHUNK,
) -> near.NearIndex:
    """The project's index with all these texts in it. Outside of a transaction nobody is kept from writing meanwhile;
    what was done stays when it is cancelled.

    Args:
        tick: called for each `chunk` of texts.
    """
    index = studio.near.get(project_id)
    if index is None:
        index = near.NearIndex()
        for ids, made in studio.store.sides.sketches(project_id, near.SCHEME, 2 * near.BANDS):
            index.add(ids, made)
    missing = [id_ for id_ in content_ids if id_ not in index]
    new: _Made = {}
    try:
        for start in range(0, len(missing), CHUNK):
            texts = _texts(studio, missing[start : start + CHUNK])
            for at in range(0, len(texts), chunk):
                tick(start / len(missing))
                new |= _sketched(texts[at : at + chunk])
            if len(new) >= KEPT:
                _add(studio, project_id, index, new)
                new = {}
    finally:
        _add(studio, project_id, index, new)
    return studio.near.setdefault(project_id, index)


def _texts(studio: Studio, content_ids: Sequence[int]) -> list[tuple[int, near.RowText]]:
    return [(id_, near.RowText.of(turns, answer)) for id_, turns, answer in studio.store.sides.texts(content_ids)]


def _sketched(texts: Sequence[tuple[int, near.RowText]]) -> _Made:
    made = near.sketches([text for _, text in texts]) if texts else ()
    return {id_: sketch for (id_, _), sketch in zip(texts, made, strict=True)}


def _add(studio: Studio, project_id: str, index: near.NearIndex, made: _Made) -> None:
    """Put those sketches into the index and the store that are not there yet."""
    fresh = [id_ for id_ in made if id_ not in index]
    if fresh:
        rows = np.stack([made[id_] for id_ in fresh])
        with studio.store.transaction():
            studio.store.sides.add_sketches(project_id, near.SCHEME, fresh, rows)
        index.add(fresh, rows)


def sketches_of(studio: Studio, project_id: str, content_ids: Sequence[int]) -> near.Sketches:
    """The sketches (n, 2 * BANDS) of texts that `index_of` has seen."""
    wanted = np.asarray(content_ids, np.int64)
    made = np.zeros((len(wanted), 2 * near.BANDS), np.uint32)
    is_missing = np.ones(len(wanted), bool)
    order = np.argsort(wanted)
    for ids, some in studio.store.sides.sketches(project_id, near.SCHEME, 2 * near.BANDS):
        at = np.searchsorted(ids, wanted[order])
        hit = (at < len(ids)) & (np.asarray(ids)[np.minimum(at, len(ids) - 1)] == wanted[order])
        made[order[hit]] = some[at[hit]]
        is_missing[order[hit]] = False
    # Made in a transaction that came to nothing: then the index alone knows them.
    places = {int(wanted[n]): n for n in np.flatnonzero(is_missing).tolist()}
    for id_, sketch in _sketched(_texts(studio, list(places))).items():
        made[places[id_]] = sketch
    return made


class Neighbours:
    """What one settlement knows of rows and texts."""

    def __init__(self, studio: Studio, project_id: str, *, index: near.NearIndex | None = None) -> None:
        """Make this inside a write transaction, where the project's index is read from the store on first use; or hand
        it an index that has every row, and know all of them.
        """
        self._studio, self._store, self._project_id = studio, studio.store.sides, project_id
        self._by_content: dict[int, Place | None] = {}
        self._by_n: dict[int, Place] = {}
        self._texts: OrderedDict[int, near.RowText] = OrderedDict()
        self._knows_all = index is not None
        if index is None and project_id not in studio.near:
            index_of(studio, project_id, [place.content_id for place in self._store.all(project_id)])
        self._index = index or studio.near[project_id]

    def know(self, places: Iterable[Place]) -> None:
        """Take these as they are, whatever the store says."""
        for place in places:
            self._by_n[place.n] = self._by_content[place.content_id] = place

    def renew(self, place: Place, now: Place, side: Split) -> None:
        """A known row is as `now` says, but for its side and whether it is aside."""
        if place.content_id != now.content_id:
            self._by_content[place.content_id] = None
            self._by_content[now.content_id] = place
        place.version, place.content_id, place.status = now.version, now.content_id, now.status
        place.split, place.pinned, place.group_key = side, now.pinned, now.group_key

    def known(self, place: Place) -> Place:
        """The one `Place` of this row."""
        return self._by_n.get(place.n, place)

    def all_known(self) -> Iterable[Place]:
        return self._by_n.values()

    def texts_of(self, places: Sequence[Place]) -> Iterator[list[Located]]:
        """The rows with their texts, a chunk at a time, in their order; new texts are put into the index."""
        for start in range(0, len(places), CHUNK):
            some = places[start : start + CHUNK]
            found = {
                content_id: (len(turns), near.RowText.of(turns, answer))
                for content_id, turns, answer in self._store.texts([place.content_id for place in some])
            }
            fresh = {id_: text for id_, (_, text) in found.items() if id_ not in self._index}
            if fresh:
                _add(self._studio, self._project_id, self._index, _sketched(list(fresh.items())))
            yield [(place, *found[place.content_id]) for place in some]

    def each_near(
        self,
        chunk: Sequence[Located],
        is_open: Callable[[Place, Place], bool],
        found: Callable[[Place, Place], bool],
        done: Callable[[Place], None] = lambda place: None,
        *,
        is_worth: Callable[[Place], bool] = lambda place: True,
        guess: Callable[[Place], Place | None] = lambda place: None,
    ) -> None:
        """Tell of the near rows of each row of a chunk, one row after the other.

        Args:
            is_open: whether it matters if the second is near the first; asked right before the two are compared.
            found: told of a near pair; True: the row's other neighbours don't matter.
            done: told when a row's neighbours were gone through.
            is_worth: whether a row can have a neighbour that matters; asked when it is its turn.
            guess: a row to compare it with first.
        """
        own = {place.content_id: text for place, _, text in chunk}
        ahead = self._ahead([each for each in chunk if is_worth(each[0]) and guess(each[0]) is None])
        first = [o for place, others in ahead.values() for o in others[:AHEAD] if is_open(place, o)]
        self._fetch(first, own)
        for place, _, text in chunk:
            if is_worth(place) and not self._is_settled_by(guess(place), place, text, own, is_open, found):
                others = ahead[place.n][1] if place.n in ahead else self._ahead([(place, 0, text)])[place.n][1]
                for number, other in enumerate(others):
                    if is_open(place, other):
                        self._fetch_from(others, number, place, own, is_open)
                        if self._is_near(text, other, own) and found(place, other):
                            break
            done(place)
        for text in own.values():
            text.forget()

    def _ahead(self, chunk: Sequence[Located]) -> dict[int, tuple[Place, list[Place]]]:
        """Of each row those that may be near it, the likeliest first."""
        candidates = [self._index.candidates(sketch) for sketch in near.sketches([text for _, _, text in chunk])]
        if not self._knows_all:
            self._look_up({id_ for ids in candidates for id_ in ids})
        return {
            place.n: (place, [o for id_ in ids if (o := self._by_content.get(id_)) is not None and o.n != place.n])
            for (place, _, _), ids in zip(chunk, candidates, strict=True)
        }

    def _is_settled_by(
        self,
        guess: Place | None,
        place: Place,
        text: near.RowText,
        own: Mapping[int, near.RowText],
        is_open: Callable[[Place, Place], bool],
        found: Callable[[Place, Place], bool],
    ) -> bool:
        if guess is None or not is_open(place, guess):
            return False
        self._fetch([guess], own)
        return self._is_near(text, guess, own) and found(place, guess)

    def _is_near(self, text: near.RowText, other: Place, own: Mapping[int, near.RowText]) -> bool:
        compared = own.get(other.content_id) or self._texts[other.content_id]
        is_near = text.is_near(compared)
        if other.content_id not in own:
            compared.forget()
        return is_near

    def _fetch_from(
        self,
        others: Sequence[Place],
        number: int,
        place: Place,
        own: Mapping[int, near.RowText],
        is_open: Callable[[Place, Place], bool],
    ) -> None:
        """Have the text of one of the others, and of some after it."""
        wanted = others[number].content_id
        if wanted not in own and wanted not in self._texts:
            self._fetch([o for o in others[number : number + 64] if is_open(place, o)], own)

    def fetched(self, places: Sequence[Place]) -> dict[int, near.RowText]:
        """The texts of rows by content."""
        ids = [place.content_id for place in places]
        return {id_: near.RowText.of(turns, answer) for id_, turns, answer in self._store.texts(ids)}

    def _look_up(self, content_ids: Iterable[int]) -> None:
        missing = [id_ for id_ in content_ids if id_ not in self._by_content]
        for place in self._store.of_contents(self._project_id, missing):
            known = self._by_n.setdefault(place.n, place)
            # A row that was registered has its present text already.
            self._by_content[place.content_id] = known if known.content_id == place.content_id else None
        for id_ in missing:
            self._by_content.setdefault(id_, None)

    def _fetch(self, places: Sequence[Place], own: Mapping[int, near.RowText]) -> None:
        missing = {p.content_id for p in places if p.content_id not in own and p.content_id not in self._texts}
        for content_id, turns, answer in self._store.texts(sorted(missing)):
            self._texts[content_id] = near.RowText.of(turns, answer)
        while len(self._texts) > max(KEPT, len(missing)):
            self._texts.popitem(last=False)
