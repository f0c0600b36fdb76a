"""What a dataset is about: topics with a title, a place for each row on a plane, its nearest neighbours, thin topics.

k-means over embeddings of the prompts, started by k-means++ with a fixed seed; titles are the terms that stand out in a
topic (class-based TF-IDF, Grootendorst 2022); the plane is that of the topics' centres (their first two principal
axes). Without an encoder the prompts' character n-grams serve: they see like words, not like meaning.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from studio.detectors.pairs import Embed, embedded
from studio.detectors.text import content, gist, prompt_of, shingles
from studio.errors import Cancelled
from studio.records import Example

MOST_TOPICS = 24
SAMPLE = 5000
"""Rows that the centres are fitted on; all rows are then given to them."""
STARTS, ROUNDS = 5, 30
THIN = 0.3
"""A topic with less than this share of an even one is thin."""

_ASKING = frozenset("when where who why how many much long old いつ どこ だれ 誰 いくら なぜ まで から".split())

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Topic:
    title: str
    size: int
    is_thin: bool
    x: float
    y: float
    """Its centre on the plane."""


@dataclass(frozen=True)
class Point:
    """A row on the plane."""

    example_id: str
    topic: int
    """Index into `TopicMap.topics`."""
    x: float
    y: float


@dataclass(frozen=True)
class TopicMap:
    topics: tuple[Topic, ...]
    """Largest first."""
    points: tuple[Point, ...]
    """In the order of the rows."""
    vectors: Vectors = field(repr=False)
    """Unit vectors (n, d)."""

    @property
    def thin(self) -> tuple[Topic, ...]:
        return tuple(topic for topic in self.topics if topic.is_thin)

    def neighbours(self, example_id: str, count: int = 5) -> list[tuple[str, float]]:
        """The rows nearest to one, with the cosine similarity, nearest first."""
        own = next((n for n, point in enumerate(self.points) if point.example_id == example_id), None)
        if own is None:
            return []
        similarity = self.vectors @ self.vectors[own]
        order = np.argsort(-similarity, kind="stable")[: count + 1]
        return [(self.points[n].example_id, float(similarity[n])) for n in order if n != own][:count]


def diversity(
    examples: Sequence[Example],
    embed: Embed | None = None,
    *,
    topics: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TopicMap:
    """The topic map of the rows' prompts. The same rows give the same map.

    Args:
        topics: how many; None: the square root of half the rows, at most `MOST_TOPICS`.

    Raises:
        Cancelled: `cancelled` said so.
    """

    def tick(share: float) -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("The topic map was stopped.")

    prompts = [prompt_of(example) for example in examples]
    vectors = embedded(prompts, embed, tick) if embed else _by_letters(prompts, tick)
    if not len(vectors):
        return TopicMap((), (), vectors)
    count = topics or max(1, min(MOST_TOPICS, round(math.sqrt(len(prompts) / 2))))
    centres = _centres(vectors[:: max(1, len(vectors) // SAMPLE)], count, tick)
    labels = _nearest(vectors, centres)
    order = [label for label, _ in Counter(labels.tolist()).most_common()]
    plane = _plane(centres)
    places, spots = (vectors - centres.mean(0)) @ plane, (centres - centres.mean(0)) @ plane
    titles = _titles(prompts, labels)
    even = len(prompts) / len(order)
    made = [(label, int((labels == label).sum())) for label in order]
    found = tuple(Topic(titles[label], n, n < THIN * even, *map(float, spots[label])) for label, n in made)
    rank = {label: place for place, label in enumerate(order)}
    points = tuple(
        Point(example.id, rank[int(label)], float(x), float(y))
        for example, label, (x, y) in zip(examples, labels, places, strict=True)
    )
    return TopicMap(found, points, vectors)


def _by_letters(texts: Sequence[str], tick: Callable[[float], None], size: int = 512) -> Vectors:
    """Unit vectors (n, `size`) of the texts' character n-grams, hashed and weighed by their rarity."""
    counts = np.zeros((len(texts), size), dtype=np.float32)
    for number, text in enumerate(texts):
        if number % 1000 == 0:
            tick(number / len(texts))
        for gram in shingles("".join(content(gist(text[:1000]))) or text[:1000], 3):
            counts[number, zlib.crc32(gram.encode()) % size] += 1
    seen = (counts > 0).sum(0)
    vectors = np.log1p(counts) * np.log((1 + len(texts)) / (1 + seen)).astype(np.float32)
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def _centres(vectors: Vectors, count: int, tick: Callable[[float], None]) -> Vectors:
    """Centres (k, d) of spherical k-means: the best of several starts."""
    found = [_converged(vectors, _start(vectors, count, seed), tick) for seed in range(STARTS)]
    return max(found, key=lambda centres: float((vectors @ centres.T).max(1).sum()))


def _start(vectors: Vectors, count: int, seed: int) -> Vectors:
    """Rows that lie apart, by k-means++ (Arthur and Vassilvitskii 2007)."""
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(vectors)))]
    distance = 1 - vectors @ vectors[chosen[0]]
    while len(chosen) < min(count, len(vectors)):
        weight = np.maximum(distance, 0).astype(np.float64)
        if weight.sum() <= 1e-9:
            break
        chosen.append(int(rng.choice(len(vectors), p=weight / weight.sum())))
        distance = np.minimum(distance, 1 - vectors @ vectors[chosen[-1]])
    return vectors[chosen]


def _converged(vectors: Vectors, centres: Vectors, tick: Callable[[float], None]) -> Vectors:
    for turn in range(ROUNDS):
        tick(turn / ROUNDS)
        labels = _nearest(vectors, centres)
        moved = centres.copy()
        for label in range(len(centres)):
            members = vectors[labels == label]
            if len(members):
                moved[label] = members.mean(0)
                moved[label] /= max(float(np.linalg.norm(moved[label])), 1e-9)
        if np.allclose(moved, centres, atol=1e-5):
            break
        centres = moved
    return centres


def _nearest(vectors: Vectors, centres: Vectors) -> NDArray[np.int64]:
    nearest: NDArray[np.int64] = (vectors @ centres.T).argmax(1)
    return nearest


def _plane(centres: Vectors) -> Vectors:
    """Two axes (d, 2) along which the centres differ most; their signs are fixed."""
    axes = np.zeros((centres.shape[1], 2), dtype=np.float32)
    found = np.linalg.svd(centres - centres.mean(0), full_matrices=False)[2][:2]
    for number, axis in enumerate(found):
        axes[:, number] = axis * (1 if axis[np.abs(axis).argmax()] > 0 else -1)
    return axes


def _titles(prompts: Sequence[str], labels: NDArray[np.int64]) -> dict[int, str]:
    """For each topic the three words that its prompts have far more often than others."""
    inside: dict[int, Counter[str]] = {}
    everywhere: Counter[str] = Counter()
    for prompt, label in zip(prompts, labels.tolist(), strict=True):
        words = {word for word in content(gist(prompt[:400])) if len(word) > 1 and not word[0].isdigit()} - _ASKING
        inside.setdefault(label, Counter()).update(words)
        everywhere.update(words)
    titles = {}
    for label, counts in inside.items():
        size = sum(counts.values())
        score = {w: n / size * math.log(1 + len(prompts) / everywhere[w]) for w, n in counts.items()}
        best = sorted(score, key=lambda w: (-score[w], w))[:3]
        titles[label] = ", ".join(best) or "(no words)"
    return titles
