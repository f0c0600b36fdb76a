"""Easy data augmentation: a question with words replaced, dropped or added, by chance and by seed.

After Wei and Zou, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks"
(EMNLP 2019, arXiv:1901.11196): synonym replacement, random deletion, random insertion of a synonym, with
n = max(1, 0.1 · words) changes. What differs, since here a question keeps its one right answer: protected words are
neither replaced nor dropped, and deletion drops function words only (the paper drops any word).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from studio.lexicon import Language
from studio.segmentation import Segment, joined, segments

ALPHA = 0.1
"""Share of the words that is changed (the paper's α; it names 0.1 as a good value)."""


def replace_synonyms(text: str, language: Language, rng: random.Random) -> str | None:
    """The text with some words replaced by synonyms; None if no word of it has one."""
    parts = segments(text, language)
    places = [i for i, part in enumerate(parts) if part.synonyms]
    if not places:
        return None
    for place in rng.sample(places, min(len(places), _changes(parts))):
        parts[place] = replace(parts[place], text=rng.choice(parts[place].synonyms))
    return joined(_with_articles(parts) if language == "en" else parts)


def delete_words(text: str, language: Language, rng: random.Random) -> str | None:
    """The text without some of its small words; None if it has none that may go."""
    parts = segments(text, language)
    places = [i for i, part in enumerate(parts) if part.may_go]
    if not places:
        return None
    for place in sorted(rng.sample(places, min(len(places), _changes(parts))), reverse=True):
        was_first = parts.pop(place).text[0].isupper()
        if language == "en" and place < len(parts) and parts[place].text.isspace():
            del parts[place]
        if was_first and place < len(parts):
            text = parts[place].text
            parts[place] = replace(parts[place], text=text[:1].upper() + text[1:])
    return joined(parts)


def insert_synonyms(text: str, language: Language, rng: random.Random) -> str | None:
    """The text with a synonym of one of its words put in at some place; None if no word has one."""
    parts = segments(text, language)
    sources = [part for part in parts if part.synonyms]
    if not sources:
        return None
    for _ in range(_changes(parts)):
        word = rng.choice(rng.choice(sources).synonyms)
        word = word[:1].lower() + word[1:] if language == "en" else word
        places = [i for i in range(1, len(parts)) if _may_stand(parts, i, language)]
        if not places:
            return None
        place = rng.choice(places)
        new = [Segment(word, is_word=True, is_protected=True)]
        parts[place:place] = [*new, Segment(" ")] if language == "en" else new
    return joined(_with_articles(parts) if language == "en" else parts)


METHODS: dict[str, Callable[[str, Language, random.Random], str | None]] = {
    "synonyms": replace_synonyms,
    "deletion": delete_words,
    "insertion": insert_synonyms,
}


def _changes(parts: Sequence[Segment]) -> int:
    return max(1, round(ALPHA * sum(part.is_word for part in parts)))


def _may_stand(parts: Sequence[Segment], place: int, language: Language) -> bool:
    """Whether a word can be put in before `parts[place]`: between two words, in Japanese after a particle."""
    if language == "ja":
        return parts[place - 1].may_go and parts[place].is_word
    return parts[place].is_word and parts[place - 1].text == " "


def _with_articles(parts: Sequence[Segment]) -> list[Segment]:
    """With "a" before a consonant and "an" before a vowel, where a changed word follows."""
    result = list(parts)
    for i in range(len(parts) - 2):
        following = parts[i + 2]
        is_new = following.text.casefold() != following.key
        if parts[i].text.casefold() in ("a", "an") and parts[i + 1].text == " " and is_new:
            article = "an" if following.text[0].casefold() in "aeiou" else "a"
            result[i] = replace(parts[i], text=article.capitalize() if parts[i].text[0].isupper() else article)
    return result
