"""Whether two prompts ask the same, and whether two answers to one question say the same.

Both are decided by what differs, not by how much is alike: `Alder 2` and `Alder 3` make two questions of two lines that
are else equal, `can` and `can't` two answers.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import lru_cache

from studio import reasons
from studio.detectors.text import (
    CJK,
    FUNCTION,
    KANA,
    content,
    gist,
    is_negated,
    is_one_edit,
    is_slip,
    letters,
    numbers,
    plain,
    sentences,
    shingles,
    tokens,
    unlike,
)  # fmt: skip

FLOOR = 0.5
"""Below this cosine similarity two prompts are never taken for paraphrases."""
ALIKE = 0.62
"""From here on they may be; below only where the answers differ in hardly more than a number or a word."""
SHORT = 400
"""Longest prompt, in characters, that is compared by its meaning: what a long one asks is too small a part of it."""
CLOSE = 0.8
"""From here on their answers need no word in common to be compared by a number."""
AS_GOOD_AS_EQUAL = 0.97
LONG = 60
"""Answers of more content words than this always differ in some number; they are compared only where nearly equal."""


@dataclass(frozen=True)
class Side:
    """What is compared of a row."""

    id: str
    prompt: str
    answer: str


_WITHIN = re.compile(r"(?<=[a-z,;] )[A-Za-zÀ-ÿ]+")
"""A word that begins no sentence."""


@dataclass(frozen=True)
class Lexicon:
    """What a project's words are like: which are names, how rare each is."""

    names: frozenset[str] = frozenset()
    alternatives: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of each word or phrase, those that stand in its place in a prompt that is else the same: `jacket`, `trousers`."""
    seen: Mapping[str, int] = field(default_factory=dict)
    rows: int = 1

    @classmethod
    def of(cls, texts: Iterable[str]) -> Lexicon:
        capital: Counter[str] = Counter()
        small: Counter[str] = Counter()
        seen: Counter[str] = Counter()
        rows = 0
        for text in texts:
            rows += 1
            for word in _WITHIN.findall(text[:2000]):
                if not word.isupper():
                    (capital if word[0].isupper() else small)[word.casefold()] += 1
            seen.update(set(content(gist(text[:2000]))))
        names = {w for w, n in capital.items() if n >= 4 * small[w] and len(w) > 1 and w not in FUNCTION}
        return cls(frozenset(names), {}, seen, max(1, rows))

    def is_rare(self, word: str) -> bool:
        """Whether a project of some size has the word in one row only."""
        return self.rows >= 20 and self.seen.get(word, 0) <= 1

    def with_alternatives(self, prompts: Iterable[tuple[str, str]]) -> Lexicon:
        """A copy that knows what is put in another's place in these pairs of prompts."""
        found: dict[str, set[str]] = {}
        for one, other in prompts:
            swapped = substitution(gist(one), gist(other))
            if swapped and not is_slip(*swapped):
                found.setdefault(swapped[0], set()).add(swapped[1])
                found.setdefault(swapped[1], set()).add(swapped[0])
        return replace(self, alternatives={word: frozenset(others) for word, others in found.items()})

    def are_alternatives(self, one: str, other: str) -> bool:
        """Whether each of two gists names a thing in place of one that the other names."""
        for phrase in _phrases(one):
            for instead in self.alternatives.get(phrase, ()):
                if _has(other, instead) and not _has(one, instead) and not _has(other, phrase):
                    return True
        return False

    def weight(self, found: Iterable[str]) -> float:
        """How much the words say, in bits of rarity."""
        return sum(math.log2((self.rows + 1) / (self.seen.get(word, 0) + 0.5)) for word in found)


Differ = tuple[str, str]
"""What the one answer says, and what the other says in its place."""


@dataclass(frozen=True)
class Judgement:
    """What two rows are to each other: `near-duplicate` or `contradiction`, and why."""

    kind: str
    reason: str


def judge(one: Side, other: Side, lexicon: Lexicon, similarity: float = 0.0) -> Judgement | None:
    """What two rows are to each other. `similarity` is the cosine of the prompts' embeddings, 0 without an encoder."""
    is_near = is_same_question(one.prompt, other.prompt)
    if not is_near and not may_be_paraphrases(one, other, lexicon, similarity):
        return None
    differs = conflict(one, other, lexicon, None if is_near else similarity)
    if differs:
        asked = "same" if is_near else "alike"
        return Judgement("contradiction", reasons.say("contradiction", asked, one=differs[0], other=differs[1]))
    if (is_near or similarity >= AS_GOOD_AS_EQUAL) and (share := _overlap(one.answer, other.answer)) >= 0.7:
        return Judgement("near-duplicate", reasons.say("near-duplicate", "near", share=f"{share:.0%}"))
    return None


def is_same_question(one: str, other: str) -> bool:
    """Whether two prompts differ only in courtesies, small words, spelling and slips of the finger."""
    a, b = gist(one), gist(other)
    bare = letters(a), letters(b)
    if bare[0] == bare[1]:
        return True
    if _digits(a) != _digits(b):
        return False
    if min(map(len, bare)) >= 8 and is_negated(a) == is_negated(b) and is_one_edit(*bare, with_change=False):
        return True
    if abs(len(bare[0]) - len(bare[1])) > 0.5 * max(map(len, bare)) + 12:
        return False
    if CJK.search(a) and CJK.search(b):
        return _is_same_japanese(a, b)
    said = content(a), content(b)
    if sum((Counter(said[0]) - Counter(said[1])).values()) > 4 + min(map(len, said)) // 100:
        return False
    left, right = unlike(*said)
    if not left and not right:
        return bool(said[0]) and _order(*said) >= 0.6
    if is_one_edit("".join(said[0]), "".join(said[1]), with_change=False) and min(map(len, said)) >= 2:
        return True
    allowed = min(map(len, said)) // 100
    return max(len(left), len(right)) <= allowed and "¬" not in left + right


def _is_one_frame(one: str, other: str) -> bool:
    """Whether two answers are nearly equal, their numbers aside."""
    a, b = (re.sub(r"\d+(?:[.,:]\d+)*", "#", gist(text)) for text in (one, other))
    return _overlap(a, b) >= 0.75


def _order(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    return SequenceMatcher(None, one[:200], other[:200], autojunk=False).ratio()


def _digits(text: str) -> list[str]:
    return sorted(re.findall(r"\d+", text))


def _is_same_japanese(a: str, b: str) -> bool:
    """Kanji and katakana must be the same signs; hiragana between them may differ, save words that ask or deny."""
    signs = [Counter(c for c in text if c.isalnum() and not "ぁ" <= c <= "ん") for text in (a, b)]
    if signs[0] != signs[1] or sum(signs[0].values()) < 2:
        return False
    asks = [sorted(w for w in content(text) if "ぁ" <= w[0] <= "ん" or w == "¬") for text in (a, b)]
    return (
        asks[0] == asks[1] and SequenceMatcher(None, letters(a)[:400], letters(b)[:400], autojunk=False).ratio() >= 0.6
    )


def may_be_paraphrases(one: Side, other: Side, lexicon: Lexicon, similarity: float) -> bool:
    """Whether two prompts are alike and nothing speaks against their asking the same: they name the same names and
    numbers, share a word that matters, and are not one sentence with another thing put in."""
    is_alike = similarity >= ALIKE
    if similarity < FLOOR:
        return False
    a, b = gist(one.prompt), gist(other.prompt)
    if _digits(a) != _digits(b) or max(len(a), len(b)) > SHORT:
        return False
    said = set(content(a)), set(content(b))
    shared = [w for w in said[0] & said[1] if not _ASKS.fullmatch(w) and len(w) > 1]
    if not shared or ("¬" in said[0]) != ("¬" in said[1]) or substitution(a, b) is not None:
        return False
    left, right = unlike(sorted(said[0]), sorted(said[1]))
    if any(word in lexicon.names for word in (*left, *right)) or _name_other_things(a, left, right):
        return False
    if (not is_alike and not _is_specific(shared, (*left, *right), lexicon)) or lexicon.are_alternatives(a, b):
        return False
    return is_alike or _is_one_frame(one.answer, other.answer)


def _is_specific(shared: list[str], others: tuple[str, ...], lexicon: Lexicon) -> bool:
    """Whether what two prompts share is no commoner than what they don't: `Switzerland` is, `day` is not."""
    heaviest = max((lexicon.weight([w]) for w in others if lexicon.seen.get(w, 0) > 1), default=0.0)
    return max(lexicon.weight([w]) for w in shared) >= 0.8 * heaviest


def _name_other_things(text: str, left: list[str], right: list[str]) -> bool:
    """In Japanese: foreign words on both sides, or one in Latin letters on either, that the other prompt lacks."""
    if not CJK.search(text):
        return False
    foreign = [[w for w in side if re.match(r"[a-zァ-ヴ]", w) and len(w) > 2] for side in (left, right)]
    return all(foreign) or any(w.isascii() for side in foreign for w in side)


_ASKS = re.compile(r"when|where|who|why|how|many|much|long|old|[いだど][つれこ]|いくら|なぜ|まで|から|誰|何.|¬")


_REQUEST = re.compile(r"[をが]?\s*(?:教えて\s*(?:ください)?|知りたい\s*(?:です)?)")


def substitution(a: str, b: str) -> tuple[str, str] | None:
    """The two things of two gists that are one frame around them: `wash the (jacket)`, `wash the (trousers)`. Small
    words in what differs mean that the wording differs, not the thing."""
    is_japanese = CJK.search(a) is not None
    if is_japanese:
        one, other = (tuple(letters(_REQUEST.sub("", text))) for text in (a, b))
    else:
        one, other = tokens(a), tokens(b)
    most = min(len(one), len(other))
    start = next((i for i in range(most) if one[i] != other[i]), most)
    end = next((i for i in range(most - start) if one[-1 - i] != other[-1 - i]), most - start)
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    if start + end < 0.5 * most or not left or not right or max(len(left), len(right)) > (24 if is_japanese else 6):
        return None
    left, right = (side[1:] if side[0] in FUNCTION else side for side in (left, right))
    if not left or not right:
        return None
    if is_japanese and end < 0.3 * most and start >= end:
        return None  # the thing stands first in Japanese, and what is asked of it last
    if is_japanese and all(sum("ぁ" <= c <= "ん" for c in side) > 0.5 * len(side) for side in (left, right)):
        return None
    if not is_japanese and any(w in FUNCTION for side in (left, right) for w in side):
        return None
    join = "" if is_japanese else " "
    return join.join(left), join.join(right)


def _phrases(text: str) -> Iterator[str]:
    """The words and short phrases of a gist, as `substitution` gives them."""
    if CJK.search(text):
        bare = letters(text)[:200]
        yield from (bare[i : i + n] for i in range(len(bare)) for n in range(1, 13) if i + n <= len(bare))
        return
    words = tokens(text)[:60]
    yield from (" ".join(words[i : i + n]) for i in range(len(words)) for n in range(1, 5) if i + n <= len(words))


def _has(text: str, phrase: str) -> bool:
    return phrase in letters(text) if CJK.search(text) else f" {phrase} " in f" {' '.join(tokens(text))} "


def conflict(one: Side, other: Side, lexicon: Lexicon, similarity: float | None = None) -> Differ | None:
    """What two answers to one question say against each other, or None where they may well say the same.

    A number, a negation or a word that is put in another's place counts; other words for the same don't. `similarity`
    is given where the questions are only paraphrases: then numbers must be of one unit and the answers of one matter.
    """
    is_paraphrased = similarity is not None
    a, b = gist(one.answer), gist(other.answer)
    bare = letters(a), letters(b)
    if bare[0] == bare[1] or not all(bare) or (_is_slip_of_answer(a, b) and similarity is None):
        return None
    said = content(a), content(b)
    if max(map(len, said)) > LONG and _overlap(one.answer, other.answer) < 0.8:
        return None
    asked = gist(one.prompt) + "\n" + gist(other.prompt)
    relevant = _relevant(one.answer, asked), _relevant(other.answer, asked)
    is_one_matter = not is_paraphrased or _is_one_matter(
        *relevant, set(content(gist(one.prompt))) & set(content(gist(other.prompt)))
    )
    counted = _numbers(relevant[0], asked), _numbers(relevant[1], asked)
    if is_one_matter or (similarity or 0.0) >= _close(one.prompt, other.prompt):
        every = counted if is_paraphrased else (_numbers(a, asked), _numbers(b, asked))
        if differ := _numbers_differ(*every, is_paraphrased):
            return differ
    if is_one_matter and is_negated(relevant[0]) != is_negated(relevant[1]):
        return _short(relevant[0]), _short(relevant[1])
    if counted[0] and counted[1]:
        return None
    if not is_one_matter and (similarity or 0.0) < CLOSE:
        return None
    return _words_differ(said, set(content(asked)), lexicon, is_paraphrased, a, b)


def _close(one: str, other: str) -> float:
    """The similarity that `CLOSE` asks for; more in Japanese where only one of the two says from or until when."""
    limits = [set(re.findall("から|まで", text)) for text in (one, other)]
    return CLOSE if limits[0] == limits[1] else AS_GOOD_AS_EQUAL


def _is_slip_of_answer(a: str, b: str) -> bool:
    """Whether two answers differ by one letter added, dropped or swapped, and neither in a number nor in denying."""
    one, other = letters(a), letters(b)
    if min(len(one), len(other)) < 12 or _digits(a) != _digits(b) or is_negated(a) != is_negated(b):
        return False
    return is_one_edit(one, other, with_change=False)


def _numbers(text: str, asked: str) -> dict[str, set[str]]:
    """Values by unit, without the numbers that the question named."""
    found: dict[str, set[str]] = {}
    known = numbers(asked)
    values = {value for value, _ in known}
    for value, unit in numbers(text):
        if (value, unit) not in known and (value not in values or unit in ("day", "euro", "yen", "dollar", "pound")):
            found.setdefault(unit, set()).add(value)
    return found


def _numbers_differ(a: dict[str, set[str]], b: dict[str, set[str]], is_paraphrased: bool) -> Differ | None:
    for unit in sorted(a.keys() & b.keys()):
        if not (unit == "" and is_paraphrased) and a[unit] - b[unit] and b[unit] - a[unit]:
            return _measures({unit: a[unit] - b[unit]}), _measures({unit: b[unit] - a[unit]})
    if is_paraphrased or not a or not b or a.keys() & b.keys():
        return None
    every = set().union(*a.values()), set().union(*b.values())
    if every[0] == every[1] or (every[0] & every[1] and (len(every[0]) > 1 or len(every[1]) > 1)):
        return None
    return _measures(a), _measures(b)


def _words_differ(
    said: tuple[tuple[str, ...], tuple[str, ...]],
    asked: set[str],
    lexicon: Lexicon,
    is_paraphrased: bool,
    a: str,
    b: str,
) -> Differ | None:
    """Content words that stand against each other, in short answers or in the same frame."""
    if CJK.search(a) and not KANA.search(a + b) and max(len(a), len(b)) > 12:
        return None  # Chinese has no spaces between words: what differs can't be told from other wording
    own = [[w for w in side if w not in asked] for side in said]
    left, right = unlike(own[0], own[1], is_rare=lexicon.is_rare)
    if not left or not right:
        return None
    if all(any(w in lexicon.names for w in side) for side in (left, right)):
        named = [", ".join(w for w in side if w in lexicon.names) for side in (left, right)]
        return named[0], named[1]
    shared = set(own[0]) & set(own[1])
    shown = _listed(left), _listed(right)
    if max(map(len, own)) <= 3 and not shared and not is_paraphrased:
        return shown
    frame = SequenceMatcher(None, tokens(a)[:200], tokens(b)[:200], autojunk=False).ratio()
    if frame >= 0.5 and max(len(left), len(right)) <= 4:
        return shown
    least = min(lexicon.weight(set(side)) for side in own)
    if is_paraphrased or max(map(len, own)) > 25 or lexicon.weight(shared) > 0.2 * least:
        return None
    return shown


@lru_cache(maxsize=8192)
def _relevant(answer: str, asked: str) -> str:
    """The sentence of an answer that has most in common with the question; of equals, the first."""
    found = [plain(s) for s in sentences(answer)] or [""]
    words = set(content(asked)) | shingles(asked, 3)
    return max(found, key=lambda s: (len(words & (set(content(s)) | shingles(s, 3))) / (10 + len(s)), -found.index(s)))


def _overlap(one: str, other: str) -> float:
    """Jaccard similarity of the character n-grams, or how much of the shorter the longer contains if that is not far
    shorter."""
    if is_one_edit(letters(plain(one)), letters(plain(other))):
        return 1.0
    short, long = sorted((letters(plain(one)), letters(plain(other))), key=len)
    if len(short) >= 6 and (long.startswith(short) or long.endswith(short)):
        return max(0.7, len(short) / len(long))
    a, b = shingles(plain(one), 3), shingles(plain(other), 3)
    common, least = len(a & b), min(len(a), len(b))
    contained = common / least if least >= 0.3 * max(len(a), len(b)) and least >= 8 else 0.0
    return max(common / len(a | b), contained if contained >= 0.85 else 0.0)


def _is_one_matter(one: str, other: str, thing: set[str]) -> bool:
    """Whether two sentences say something of one kind: besides the thing asked of, half of the shorter one's words are
    the other's too."""
    a, b = ({w for w in content(s) if len(w) > 1 and not w[0].isdigit()} - thing - _units(s) for s in (one, other))
    if not a or not b:
        return _overlap(one, other) >= 0.6
    return 2 * len(a & b) >= min(len(a), len(b))


def _units(sentence: str) -> set[str]:
    """The words after numbers."""
    return {word for found in re.findall(r"\d\s*([^\W\d_ぁ-ん]+)", sentence) for word in (found, found[:1])}


def _listed(words: Sequence[str]) -> str:
    return ", ".join("not" if word == "\N{NOT SIGN}" else word for word in words[:3])


def _measures(values: Mapping[str, set[str]]) -> str:
    """Numbers with their units, as they are said."""
    return ", ".join(f"{v} {_SAID_UNITS.get(u, u)}".strip() for u in sorted(values) for v in sorted(values[u])[:4])


_SAID_UNITS = {
    "weekday": "", "time": "", "day": "days", "hour": "hours", "minute": "minutes", "euro": "euros",
    "dollar": "dollars", "pound": "pounds",
}  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"
