"""Which of very many rows belong together because a chain of near rows joins them.

Comparing each with each takes hours where thousands are alike. Two things spare nearly all of it: rows that are in one
set already need no comparison, and of rows that name other numbers only those can be near whose sketches agree in most
bands.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from studio.detectors.near import BANDS, LEAST_BANDS, Ids, RowText, Sketches, counted

BANDS_WITH_OTHER_NUMBERS = 20
"""Of 48 bands of six, rows with a similarity of 0.95 share fewer once in a million times."""
TOGETHER = 256
"""Pairs whose texts are fetched together."""
KEPT = 4096
"""Texts that are remembered."""

Fetch = Callable[[Sequence[int]], Mapping[int, RowText]]
"""The texts of some rows, by their place."""
Tick = Callable[[float], None]
"""Called with the share that is done; raises `Cancelled` where the user asked to stop."""


class Sets:
    """Disjoint sets of the numbers below n. Of two that are joined the smaller one's numbers get another label."""

    def __init__(self, n: int) -> None:
        self.labels: Ids = np.arange(n)
        self._members: dict[int, list[int]] = {}

    def join(self, one: int, other: int) -> None:
        a, b = int(self.labels[one]), int(self.labels[other])
        if a == b:
            return
        left, right = self._members.get(a, [a]), self._members.get(b, [b])
        if len(left) < len(right):
            a, b, left, right = b, a, right, left
        self.labels[right] = a
        self._members.pop(b, None)
        left.extend(right)
        self._members[a] = left

    def several(self) -> list[list[int]]:
        """The sets of more than one number."""
        return list(self._members.values())


def linked(made: Sketches, prompts: Ids, numbers: Ids, fetch: Fetch, tick: Tick = lambda share: None) -> Sets:
    """Sets of rows in which each is near another one.

    Args:
        made: sketches (n, 2 * BANDS).
        prompts, numbers: of each row, a hash of its prompt's letters, and of the numbers in it (n).
    """
    sets = Sets(len(made))
    for rows in _equal(prompts):
        for row in rows[1:]:
            sets.join(rows[0], row)
    compare = _Compare(sets, fetch)
    for band in range(2 * BANDS):
        tick(0.5 * band / (2 * BANDS))
        compare.all(_with_the_first(made, band, sets.labels, numbers), tick=lambda: tick(0.5 * band / (2 * BANDS)))  # noqa: B023
    rest = _Rest(made, sets, numbers)
    for at, row in enumerate(rest.rows):
        if at % 64 == 0:
            tick(0.5 + 0.5 * at / len(rest.rows))
        compare.all(rest.candidates(row), tick=lambda: tick(0.5 + 0.5 * at / len(rest.rows)))  # noqa: B023
    tick(1.0)
    return sets


def _equal(keys: Ids) -> Iterator[list[int]]:
    """Places with the same key, where there are several."""
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order])) + 1
    for start, end in zip([0, *bounds.tolist()], [*bounds.tolist(), len(order)], strict=True):
        if end - start > 1:
            yield order[start:end].tolist()


def _with_the_first(made: Sketches, band: int, labels: Ids, numbers: Ids) -> list[tuple[int, int]]:
    """Of the rows that share a band, each with the first: what is alike nearly always falls together here."""
    column = made[:, band]
    order = np.argsort(column, kind="stable")
    hashes = column[order]
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])) if len(order) else order
    firsts = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    is_open = labels[order] != labels[firsts]
    one, other = firsts[is_open], order[is_open]
    half = slice(0, BANDS) if band < BANDS else slice(BANDS, 2 * BANDS)
    shared = np.array((made[one, half] == made[other, half]).sum(1))
    may = _may_be_near(shared, numbers[one] == numbers[other])
    return list(zip(one[may].tolist(), other[may].tolist(), strict=True))


def _may_be_near(shared: NDArray[np.int64], is_same_number: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(shared >= np.where(is_same_number, LEAST_BANDS, BANDS_WITH_OTHER_NUMBERS))


class _Compare:
    """Compares pairs, each once, and joins those that are near."""

    def __init__(self, sets: Sets, fetch: Fetch) -> None:
        self._sets, self._fetch = sets, fetch
        self._texts: OrderedDict[int, RowText] = OrderedDict()
        self._apart: set[tuple[int, int]] = set()

    def all(self, pairs: Sequence[tuple[int, int]], tick: Callable[[], None]) -> None:
        for start in range(0, len(pairs), TOGETHER):
            if start:
                tick()
            some = [pair for pair in pairs[start : start + TOGETHER] if self._is_open(pair)]
            self._get({row for pair in some for row in pair})
            for one, other in some:
                if not self._is_open((one, other)):
                    continue
                if self._texts[one].is_near(self._texts[other]):
                    self._sets.join(one, other)
                else:
                    self._apart.add((min(one, other), max(one, other)))
            while len(self._texts) > KEPT:
                self._texts.popitem(last=False)

    def _is_open(self, pair: tuple[int, int]) -> bool:
        one, other = pair
        return bool(self._sets.labels[one] != self._sets.labels[other]) and ((min(pair), max(pair)) not in self._apart)

    def _get(self, rows: Iterable[int]) -> None:
        missing = []
        for row in rows:
            if row in self._texts:
                self._texts.move_to_end(row)
            else:
                missing.append(row)
        self._texts.update(self._fetch(missing))


class _Rest:
    """What is left to compare, found exactly: rows of different sets that share a band.

    Of the rows that share one, those of the largest set need not ask: whoever is in another one asks for them.
    """

    def __init__(self, made: Sketches, sets: Sets, numbers: Ids) -> None:
        self._made, self._sets, self._numbers = made, sets, numbers
        asking = np.zeros(len(made), bool)
        halves: list[tuple[list[Sketches], list[Ids]]] = [([], []), ([], [])]
        for band in range(2 * BANDS):
            hashes, owners, asks = _mixed(made[:, band], sets.labels)
            asking[owners[asks]] = True
            halves[band >= BANDS][0].append(hashes)
            halves[band >= BANDS][1].append(owners)
        self._halves = []
        for kept in halves:
            hashes, owners = np.concatenate(kept[0]), np.concatenate(kept[1])
            order = np.argsort(hashes, kind="stable")
            self._halves.append((hashes[order], owners[order]))
        self.rows: list[int] = np.flatnonzero(asking).tolist()

    def candidates(self, row: int) -> list[tuple[int, int]]:
        """The row with those of other sets that may be near it, the likeliest first."""
        labels = self._sets.labels
        found: list[tuple[int, int]] = []
        for half, (hashes, owners) in enumerate(self._halves):
            bands = self._made[row, half * BANDS : (half + 1) * BANDS]
            start, end = np.searchsorted(hashes, bands, "left"), np.searchsorted(hashes, bands, "right")
            parts = [owners[a:b] for a, b in zip(start.tolist(), end.tolist(), strict=True) if a < b]
            if not parts:
                continue
            owner = np.concatenate(parts)
            others, shared = counted(owner[labels[owner] != labels[row]], len(labels))
            may = _may_be_near(shared, self._numbers[others] == self._numbers[row])
            found += zip((-shared[may]).tolist(), others[may].tolist(), strict=True)
        return [(row, other) for _, other in sorted(found)]


def _mixed(column: Sketches, labels: Ids) -> tuple[Sketches, Ids, NDArray[np.bool_]]:
    """Of the rows that share a band with a row of another set: the band's hash, the row, and whether it has to ask."""
    order = np.lexsort((labels, column))
    hashes, sets = column[order], labels[order]
    if not len(order):
        return hashes, order, np.zeros(0, bool)
    new_hash = np.concatenate([[True], hashes[1:] != hashes[:-1]])
    runs = np.flatnonzero(new_hash | np.concatenate([[True], sets[1:] != sets[:-1]]))
    sizes = np.diff(np.append(runs, len(order)))
    first_runs = np.flatnonzero(new_hash[runs])
    runs_each = np.diff(np.append(first_runs, len(runs)))
    largest = np.repeat(np.maximum.reduceat(sizes, first_runs), runs_each)
    is_largest = np.zeros(len(runs), bool)
    # Of several of that size, the first.
    candidates = np.flatnonzero(sizes == largest)
    bucket = np.repeat(np.arange(len(first_runs)), runs_each)[candidates]
    is_largest[candidates[np.unique(bucket, return_index=True)[1]]] = True
    is_mixed = np.repeat(np.repeat(runs_each > 1, runs_each), sizes)
    asks = np.repeat(~is_largest, sizes)
    return hashes[is_mixed], order[is_mixed], asks[is_mixed]
