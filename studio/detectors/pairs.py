"""Rows that are too much alike: exact duplicates, near-duplicates and contradictions.

Candidates come from equal prompts, from MinHash (`rensa`, locality-sensitive hashing over character n-grams) and, with
an encoder, from each prompt's nearest neighbours; `same.judge` decides. The later row of a pair carries the flag.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash, RMinHashLSH

from studio import reasons
from studio.detectors.same import FLOOR, SHORT, Judgement, Lexicon, Side, judge
from studio.detectors.text import CJK, content, gist, letters, plain, prompt_of, shingles
from studio.records import Example
from studio.rows import Flag

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
Tick = Callable[[float], None]
"""Called with the share that is done; raises `Cancelled` where the user asked to stop."""

PERMUTATIONS, BANDS = 60, 20
"""Twenty bands of three: two thirds of the pairs with a Jaccard similarity of 0.37 are candidates, most from 0.5 on."""
MOST = 20
"""Candidates looked at for one prompt, and rows for one question."""
NEIGHBOURS = 12
CELLS = 4_000_000
"""Similarities held in memory at once."""
DIMENSIONS = 128
"""Embeddings of many rows are projected to this size, for time and memory."""


def duplicates(examples: Sequence[Example]) -> tuple[list[Flag], list[Example]]:
    """Flags of rows that repeat an earlier one, letter case, width and spacing aside; and the rows that don't."""
    first: dict[tuple[str, ...], str] = {}
    flags, kept = [], []
    for example in examples:
        key = (*(f"{t.role} {plain(t.content)}" for t in example.messages), plain(example.answer))
        other = first.setdefault(key, example.id)
        if other == example.id:
            kept.append(example)
        else:
            flags.append(Flag(example.id, "duplicate", reasons.say("duplicate", "same"), other))
    return flags, kept


def near(examples: Sequence[Example], embed: Embed | None, tick: Tick) -> list[Flag]:
    """Flags of near-duplicates and contradictions among rows that are no exact duplicates."""
    lexicon = Lexicon.of(_texts(examples))
    asked: dict[str, list[int]] = defaultdict(list)
    for number, example in enumerate(examples):
        asked[letters(gist(prompt_of(example)))].append(number)
    groups = list(asked.values())
    found = _Found(examples, lexicon)
    for group in groups:
        for at, number in enumerate(group[1:], 1):
            for other in group[:at][:MOST]:
                found.look(other, number, 1.0)
    tick(0.1)
    prompts = [prompt_of(examples[group[0]]) for group in groups]
    said = _words(prompts)
    candidates = array("i"), array("i"), array("f")
    for source in (
        _hashed(prompts, lambda done: tick(0.1 + 0.3 * done)),
        _neighbours(prompts, embed, lambda done: tick(0.4 + 0.4 * done)) if embed else iter(()),
    ):
        for one, other, similarity in source:
            if not _may_be_alike(said[one], said[other], similarity):
                continue
            candidates[0].append(one)
            candidates[1].append(other)
            candidates[2].append(similarity)
    found.lexicon = lexicon.with_alternatives((prompts[a], prompts[b]) for a, b in zip(*candidates[:2], strict=True))
    for at, (one, other, similarity) in enumerate(zip(*candidates, strict=True)):
        if at % 2000 == 0:
            tick(0.8 + 0.2 * at / len(candidates[0]))
        for a in groups[one][:3]:
            for b in groups[other][:3]:
                found.look(min(a, b), max(a, b), similarity)
    return found.flags


def _words(prompts: Sequence[str]) -> list[frozenset[int]]:
    """The words that matter of each prompt, as numbers: equal words have one."""
    numbers: dict[str, int] = {}
    return [frozenset(numbers.setdefault(w, len(numbers)) for w in content(gist(p[:4000]))) for p in prompts]


def _may_be_alike(one: frozenset[int], other: frozenset[int], similarity: float) -> bool:
    """Whether a pair is worth a closer look: paraphrases share a word, and the same question differs in few."""
    shared = len(one & other)
    if similarity and shared:
        return True
    return max(len(one), len(other)) - shared <= 6 + min(len(one), len(other)) // 100


def judged(
    example: Example, neighbours: Sequence[Example], lexicon: Lexicon, similarities: Sequence[float]
) -> list[Flag]:
    """Flags of one row beside others, for the moment of saving."""
    flags = []
    for other, similarity in zip(neighbours, similarities, strict=True):
        verdict = _verdict(other, example, lexicon, similarity)
        if verdict:
            flags.append(Flag(example.id, verdict.kind, verdict.reason, other.id))
    return flags


class _Found:
    """Flags of pairs, each pair looked at once and no row told more than three times the same."""

    def __init__(self, examples: Sequence[Example], lexicon: Lexicon) -> None:
        self.examples, self.lexicon = examples, lexicon
        self.flags: list[Flag] = []
        self._told: defaultdict[tuple[int, str], int] = defaultdict(int)
        self._done: dict[tuple[int, int], float] = {}

    def look(self, one: int, other: int, similarity: float) -> None:
        before = self._done.get((one, other), -1.0)
        if before >= 1.0 or before >= similarity or self._told[other, ""] > 5:
            return
        verdict = _verdict(self.examples[one], self.examples[other], self.lexicon, similarity)
        if verdict is None:
            if similarity:
                self._done[one, other] = similarity
            return
        self._done[one, other] = 1.0
        if self._told[other, verdict.kind] < 3:
            self._told[other, verdict.kind] += 1
            self._told[other, ""] += 1
            self.flags.append(Flag(self.examples[other].id, verdict.kind, verdict.reason, self.examples[one].id))


def _verdict(one: Example, other: Example, lexicon: Lexicon, similarity: float) -> Judgement | None:
    found = judge(_side(one), _side(other), lexicon, similarity)
    # That a row is nearly the same as the one it was made from is what it was made for.
    if found and found.kind == "near-duplicate" and (one.parent_id or one.id) == (other.parent_id or other.id):
        return None
    return found


def _side(example: Example) -> Side:
    return Side(example.id, prompt_of(example), example.answer)


def _texts(examples: Sequence[Example]) -> Iterator[str]:
    for example in examples:
        yield f"{prompt_of(example)}\n{example.answer}"


def _hashed(prompts: Sequence[str], tick: Tick) -> Iterator[tuple[int, int, float]]:
    """Pairs of prompts whose n-grams have much in common; yields (earlier, later, 0)."""
    index = RMinHashLSH(threshold=0.37, num_perm=PERMUTATIONS, num_bands=BANDS)
    digests = np.zeros((len(prompts), PERMUTATIONS), dtype=np.uint32)
    for number, prompt in enumerate(prompts):
        if number % 500 == 0:
            tick(number / max(1, len(prompts)))
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update(sorted(_grams(prompt)))
        digests[number] = sketch.digest()
        near = np.array(sorted(index.query(sketch)), dtype=np.int64)
        if len(near) > MOST:
            alike = (digests[near] == digests[number]).sum(1)
            near = near[np.argsort(-alike, kind="stable")[:MOST]]
        for other in near.tolist():
            yield other, number, 0.0
        index.insert(number, sketch)


def _matter(prompt: str) -> str:
    text = gist(prompt[:4000])
    return "".join(content(text)) or letters(text)


def _grams(prompt: str) -> set[str]:
    matter = _matter(prompt)
    return shingles(matter, 2 if CJK.search(matter) else 3)


def _neighbours(prompts: Sequence[str], embed: Embed, tick: Tick) -> Iterator[tuple[int, int, float]]:
    """Pairs of prompts with like embeddings: each prompt's nearest, block by block. Yields (earlier, later, cosine)."""
    places = [number for number, prompt in enumerate(prompts) if len(prompt) <= SHORT]
    vectors = embedded([prompts[place] for place in places], embed, lambda done: tick(0.6 * done))
    count = min(NEIGHBOURS, len(places) - 1)
    size = max(16, min(512, CELLS // max(1, len(places))))
    for start in range(0, len(places) if count > 0 else 0, size):
        tick(0.6 + 0.4 * start / len(places))
        block = vectors[start : start + size] @ vectors.T
        block[np.arange(len(block)), start + np.arange(len(block))] = -1.0
        nearest = np.argpartition(-block, count - 1, axis=1)[:, :count]
        for row, columns in enumerate(nearest):
            for column in sorted(int(c) for c in columns):
                similarity = float(block[row, column])
                if similarity >= FLOOR:
                    one, other = sorted((places[start + row], places[column]))
                    yield one, other, similarity


def embedded(texts: Sequence[str], embed: Embed, tick: Tick) -> NDArray[np.float32]:
    """Unit vectors (n, d) of the texts, made in batches; from 20,000 on with `DIMENSIONS` (axes of the first batch)."""
    parts: list[NDArray[np.float32]] = []
    basis: NDArray[np.float32] | None = None
    for start in range(0, len(texts), 2000):
        tick(start / len(texts))
        part = np.asarray(embed([gist(t[:1000]) for t in texts[start : start + 2000]]), dtype=np.float32)
        if len(texts) >= 20_000 and part.shape[1] > DIMENSIONS:
            if basis is None:
                basis = np.ascontiguousarray(np.linalg.svd(part, full_matrices=False)[2][:DIMENSIONS].T)
            part = part @ basis
        parts.append(part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9))
    return np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)
