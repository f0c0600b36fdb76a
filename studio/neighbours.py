"""The near rows of a row: candidates from the index, their texts from the store, the verdict from `near`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence

from studio.context import Studio
from studio.detectors import near
from studio.store.sides import Place

CHUNK = 256
"""Rows whose candidates and texts are fetched together."""
AHEAD = 4
"""Candidates of each row whose texts are fetched together for a chunk; those of a row beyond, as they are needed."""
KEPT = 4096
"""Texts that are remembered."""

Located = tuple[Place, int, near.RowText]
"""A row, its turns before the answer, and what is compared of it."""


class Neighbours:
    """What one settlement knows of rows and texts."""

    def __init__(self, studio: Studio, project_id: str, *, is_complete: bool = True) -> None:
        """The project's index is read from the store on first use. Make this inside a write transaction.

        Args:
            is_complete: every row has to be in the index from the beginning.
        """
        self._store, self._project_id = studio.store.sides, project_id
        self._by_content: dict[int, Place | None] = {}
        self._by_n: dict[int, Place] = {}
        self._texts: OrderedDict[int, near.RowText] = OrderedDict()
        if project_id not in studio.near:
            self._index = near.NearIndex()
            for ids, made in self._store.sketches(project_id, near.SCHEME, 2 * near.BANDS):
                self._index.add(ids, made)
            if is_complete:
                missing = [place for place in self._store.all(project_id) if place.content_id not in self._index]
                for _ in self.texts_of(missing):
                    pass
            studio.near[project_id] = self._index
        self._index = studio.near[project_id]

    def know(self, places: Iterable[Place]) -> None:
        """Take these as they are, whatever the store says."""
        for place in places:
            self._by_n[place.n] = self._by_content[place.content_id] = place

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
            fresh = [content_id for content_id in found if content_id not in self._index]
            if fresh:
                made = near.sketches([found[content_id][1] for content_id in fresh])
                self._index.add(fresh, made)
                self._store.add_sketches(self._project_id, near.SCHEME, fresh, made)
            yield [(place, *found[place.content_id]) for place in some]

    def each_near(
        self,
        chunk: Sequence[Located],
        is_open: Callable[[Place, Place], bool],
        found: Callable[[Place, Place], bool],
        done: Callable[[Place], None] = lambda place: None,
        *,
        known_only: bool = False,
    ) -> None:
        """Tell of the near rows of each row of a chunk, one row after the other.

        Args:
            is_open: whether it matters if the second is near the first; asked right before the two are compared.
            found: told of a near pair; True: the row's other neighbours don't matter.
            done: told when a row's neighbours were gone through.
            known_only: no other rows count than those that are known already.
        """
        own = {place.content_id: text for place, _, text in chunk}
        made = near.sketches([text for _, _, text in chunk])
        candidates = [self._index.candidates(sketch) for sketch in made]
        if not known_only:
            self._look_up({id_ for ids in candidates for id_ in ids})
        others = [
            [other for id_ in ids if (other := self._by_content.get(id_)) is not None and other.n != place.n]
            for (place, _, _), ids in zip(chunk, candidates, strict=True)
        ]
        ahead = [
            o for (place, _, _), each in zip(chunk, others, strict=True) for o in each[:AHEAD] if is_open(place, o)
        ]
        self._fetch(ahead, own)
        for (place, _, text), each in zip(chunk, others, strict=True):
            for number, other in enumerate(each):
                if not is_open(place, other):
                    continue
                if other.content_id not in own and other.content_id not in self._texts:
                    self._fetch([o for o in each[number : number + 64] if is_open(place, o)], own)
                compared = own.get(other.content_id) or self._texts[other.content_id]
                is_near = text.is_near(compared)
                if compared is not text and other.content_id not in own:
                    compared.forget()
                if is_near and found(place, other):
                    break
            done(place)
        for text in own.values():
            text.forget()

    def _look_up(self, content_ids: Iterable[int]) -> None:
        missing = [id_ for id_ in content_ids if id_ not in self._by_content]
        for place in self._store.of_contents(self._project_id, missing):
            known = self._by_n.setdefault(place.n, place)
            # A row that was registered has its present text already.
            self._by_content[place.content_id] = known if known.content_id == place.content_id else None
        for id_ in missing:
            self._by_content.setdefault(id_, None)

    def _fetch(self, places: Sequence[Place], own: dict[int, near.RowText]) -> None:
        missing = {p.content_id for p in places if p.content_id not in own and p.content_id not in self._texts}
        for content_id, turns, answer in self._store.texts(sorted(missing)):
            self._texts[content_id] = near.RowText.of(turns, answer)
        while len(self._texts) > max(KEPT, len(missing)):
            self._texts.popitem(last=False)
