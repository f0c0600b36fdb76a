"""When two rows are nearly the same, and how such rows are found among many.

One definition for flags and for the split. Two rows are near when their prompts are equal but for spacing, letter
case, width and punctuation, or when the character trigrams of their prompts, or of prompts and answers together, have a
Jaccard similarity of at least `NEAR`. Prompts that name other numbers (`room 12`, `room 13`) ask something else, unless
hardly anything but the number differs in a long text. Candidates come from MinHash (`rensa`) cut into bands: Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from studio.records import Turn

NEAR = 0.8
NEAR_WITH_OTHER_NUMBERS = 0.95
GRAM = 3
BANDS, IN_BAND = 48, 6
LEAST_BANDS = 2
"""Two of 48 bands of six: of pairs with a similarity of 0.8, one in 100,000 is missed; of those with 0.3, one in 1,500
is looked at in vain."""
SCHEME = f"{RMinHash.ALGORITHM_VERSION}-{GRAM}-{BANDS}x{IN_BAND}"
"""Sketches of another scheme can't be compared with these."""
TAIL = 1024
"""Rows that are looked through one by one before they are sorted in."""

Sketches = NDArray[np.uint32]
Ids = NDArray[np.int64]


class _Letters(dict[int, str | None]):
    """For `str.translate`: leaves out white space, punctuation and control characters."""

    def __missing__(self, code: int) -> str | None:
        kept = None if unicodedata.category(chr(code))[0] in "PZC" else chr(code)
        self[code] = kept
        return kept


_LETTERS = _Letters()


def letters(text: str) -> str:
    """The text without letter case, width, spacing and punctuation; of mere punctuation, the text."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return plain.translate(_LETTERS) or " ".join(plain.split())


def grams(text: str) -> frozenset[str]:
    """Character n-grams, which need no word boundaries and so serve Japanese too; a shorter text is one."""
    return frozenset(text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1)))


@dataclass(frozen=True)
class RowText:
    """What is compared of a row. The n-grams are made when they are first asked for and kept."""

    prompt: str
    """`letters` of all turns before the answer, but system turns."""
    answer: str
    numbers: tuple[str, ...]
    """The numbers in the prompt, sorted."""

    @classmethod
    def of(cls, messages: Iterable[Turn], answer: str) -> RowText:
        prompt = "\n".join(turn.content for turn in messages if turn.role != "system")
        numbers = re.findall(r"\d+", unicodedata.normalize("NFKC", prompt))
        return cls(letters(prompt), letters(answer), tuple(sorted(numbers)))

    @cached_property
    def _prompt_grams(self) -> frozenset[str]:
        return grams(self.prompt)

    @cached_property
    def _whole_grams(self) -> frozenset[str]:
        return grams(self.prompt + self.answer)

    def is_near(self, other: RowText) -> bool:
        return self.likeness(other) > 0

    def likeness(self, other: RowText) -> float:
        """How much alike two rows are that are near, up to 1; 0 for rows that are not."""
        if self.prompt == other.prompt:
            return 1.0
        least = NEAR if self.numbers == other.numbers else NEAR_WITH_OTHER_NUMBERS
        found = max(
            jaccard(self._prompt_grams, other._prompt_grams, least),
            jaccard(self._whole_grams, other._whole_grams, least),
        )
        return found if found >= least else 0.0

    def forget(self) -> None:
        """Drop the n-grams: they take many times the space of the text."""
        vars(self).pop("_prompt_grams", None)
        vars(self).pop("_whole_grams", None)


def jaccard(one: frozenset[str], other: frozenset[str], least: float) -> float:
    """The share of what two sets have that they have in common; 0 where their sizes alone put it below `least`."""
    if min(len(one), len(other)) < least * max(len(one), len(other)):
        return 0.0
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def sketches(texts: Sequence[RowText]) -> Sketches:
    """MinHash band hashes (n, 2 * BANDS): of the prompts, then of prompts with answers."""
    sets = [list(part) for text in texts for part in (grams(text.prompt), grams(text.prompt + text.answer))]
    digests = RMinHash.digests_from_token_sets(sets, BANDS * IN_BAND, 42)
    rows = np.array(digests, dtype=np.uint64).reshape(len(sets), BANDS, IN_BAND)
    mixed = np.tile(np.arange(BANDS, dtype=np.uint64), (len(sets), 1))
    for i in range(IN_BAND):
        mixed = np.bitwise_xor(mixed, rows[:, :, i]) * np.uint64(0x9E3779B97F4A7C15)
        mixed = np.bitwise_xor(mixed, np.right_shift(mixed, np.uint64(29)))
    high: Sketches = np.right_shift(mixed, np.uint64(32)).astype(np.uint32)
    return high.reshape(len(texts), 2 * BANDS)


class NearIndex:
    """Sketches by an id of the caller's; finds those that may be near. Entries are never taken out. Safe to use from
    several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: list[int] = []
        self._slots: dict[int, int] = {}
        self._sorted = tuple((np.zeros(0, np.uint32), np.zeros(0, np.uint32)) for _ in range(2))
        self._tail = np.zeros((TAIL, 2 * BANDS), np.uint32)
        self._in_tail = 0

    def __contains__(self, id_: int) -> bool:
        return id_ in self._slots

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Sequence[int], made: Sketches) -> None:
        """Ids that are there already keep their sketch."""
        with self._lock:
            fresh = []
            for i, id_ in enumerate(ids):
                if id_ not in self._slots:
                    fresh.append(i)
                    self._slots[int(id_)] = len(self._ids)
                    self._ids.append(int(id_))
            self._keep(made[fresh])

    def _keep(self, made: Sketches) -> None:
        if self._in_tail + len(made) > TAIL:
            self._sort_in(np.concatenate([self._tail[: self._in_tail], made]))
            self._in_tail = 0
        else:
            self._tail[self._in_tail : self._in_tail + len(made)] = made
            self._in_tail += len(made)

    def _sort_in(self, made: Sketches) -> None:
        first = len(self._ids) - len(made)
        slots = np.repeat(np.arange(first, len(self._ids), dtype=np.uint32), BANDS)
        merged = []
        for half, (hashes, owners) in enumerate(self._sorted):
            new = made[:, half * BANDS : (half + 1) * BANDS].ravel()
            order = np.argsort(new, kind="stable")
            places = np.searchsorted(hashes, new[order])
            merged.append((np.insert(hashes, places, new[order]), np.insert(owners, places, slots[order])))
        self._sorted = tuple(merged)

    def candidates(self, sketch: NDArray[np.uint32]) -> list[int]:
        """Ids that may be near, the likeliest first; the sketch's own id among them."""
        with self._lock:
            return self._candidates(sketch)

    def _candidates(self, sketch: NDArray[np.uint32]) -> list[int]:
        slots, matches = [], []
        tail = self._tail[: self._in_tail] == sketch
        first = len(self._ids) - self._in_tail
        for half, (hashes, owners) in enumerate(self._sorted):
            bands = slice(half * BANDS, (half + 1) * BANDS)
            found = np.concatenate([_owners(hashes, owners, sketch[bands]), _repeated(tail[:, bands], first)])
            if len(found):
                owner, count = counted(found, len(self._ids))
                slots.append(owner[count >= LEAST_BANDS])
                matches.append(count[count >= LEAST_BANDS])
        if not slots:
            return []
        every, counts = np.concatenate(slots), np.concatenate(matches)
        ordered = every[np.argsort(-counts, kind="stable")]
        return [self._ids[slot] for slot in dict.fromkeys(ordered.tolist())]


def _owners(hashes: Sketches, owners: Sketches, bands: Sketches) -> Ids:
    """Who has each of the bands, as often as they share one."""
    start, end = np.searchsorted(hashes, bands, "left"), np.searchsorted(hashes, bands, "right")
    parts = [owners[a:b] for a, b in zip(start.tolist(), end.tolist(), strict=True) if a < b]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


def _repeated(equal: NDArray[np.bool_], first: int) -> Ids:
    found = np.nonzero(equal)[0]
    return (found + first).astype(np.int64)


def counted(found: Ids, among: int) -> tuple[Ids, Ids]:
    """The different ones of numbers below `among`, in order, and how often each occurs."""
    if len(found) < among // 8:
        owner, count = np.unique(found, return_counts=True)
        return owner, count
    every = np.bincount(found)
    owner = np.nonzero(every)[0]
    return owner, every[owner]
