from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from studio.detectors.linking import Sets, linked
from studio.detectors.near import RowText, sketches
from studio.errors import Cancelled
from studio.records import Turn

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Counting(RowText):
    """Counts how often two texts are compared."""

    compared = 0

    def is_near(self, other: RowText) -> bool:
        Counting.compared += 1
        return super().is_near(other)


def number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def link(texts: Sequence[RowText], **more: Any) -> Sets:
    def fetch(rows: Sequence[int]) -> Mapping[int, RowText]:
        return {row: texts[row] for row in rows}

    prompts = np.array([number(text.prompt) for text in texts], np.int64)
    numbers = np.array([number(" ".join(text.numbers)) for text in texts], np.int64)
    return linked(sketches(texts), prompts, numbers, fetch, **more)


def row(question: str, answer: str = "Yes.") -> RowText:
    return Counting.of([Turn("user", question)], answer)


def varied(rng: random.Random, text: str, most: int) -> str:
    signs = list(text)
    for _ in range(rng.randrange(most + 1)):
        signs[rng.randrange(len(signs))] = rng.choice(LETTERS)
    return "".join(signs)


@pytest.mark.parametrize("seed", range(6))
def test_the_sets_are_those_of_comparing_each_with_each(seed: int) -> None:
    rng = random.Random(seed)
    words = ["".join(rng.choices(LETTERS, k=rng.randint(3, 8))) for _ in range(60)]
    stems = [" ".join(rng.sample(words, rng.randint(4, 9))) for _ in range(25)]
    texts = [
        row(varied(rng, rng.choice(stems), 4) + rng.choice(("", "", f" {rng.randrange(5)}")), rng.choice(words))
        for _ in range(220)
    ]
    expected = Sets(len(texts))
    for one, other in combinations(range(len(texts)), 2):
        if texts[one].is_near(texts[other]):
            expected.join(one, other)
    found = link(texts)
    assert {tuple(sorted(s)) for s in found.several()} == {tuple(sorted(s)) for s in expected.several()}
    assert len(found.several()) > 10


def test_thousands_that_are_all_alike_are_hardly_compared() -> None:
    rng = random.Random(1)
    stem = " ".join("".join(rng.choices(LETTERS, k=6)) for _ in range(25))
    texts = [row(varied(rng, stem, 4), str(n)) for n in range(1500)]
    Counting.compared = 0
    (only,) = link(texts).several()
    assert len(only) == 1500
    assert Counting.compared < 2 * 1500, "of more than a million pairs"


def test_rows_that_differ_in_their_number_alone_are_hardly_compared() -> None:
    texts = [row(f"What does the thing called number {n * 7919 % 100_003} cost?", str(n)) for n in range(800)]
    Counting.compared = 0
    assert link(texts).several() == []
    assert Counting.compared < 20 * 800


def test_it_says_how_far_it_is_and_stops() -> None:
    texts = [row(f"Is it {word}?") for word in ("here", "there", "hers", "heres", "theirs")]
    shares: list[float] = []
    link(texts, tick=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    def stop(share: float) -> None:
        if share > 0.3:
            raise Cancelled("Stop.")

    with pytest.raises(Cancelled):
        link(texts, tick=stop)


def test_nothing_is_linked_to_nothing() -> None:
    assert link([]).several() == []
    assert link([row("Is it open?")]).several() == []
