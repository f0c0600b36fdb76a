"""Synonyms of single words, English and Japanese, from two files in `data/thesaurus/` (sources and licences there).

The files hold only words with one main sense, and synonyms that are in use in that same sense: nothing here looks at
the sentence to tell senses apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from studio.errors import InvalidInput, Phrase
from studio.settings import data_dir

Language = Literal["en", "ja"]

_IRREGULAR = frozenset(
    "be begin bring build buy call choose come cut do draw drink drive eat fall feel fight find fly forget get "
    "give go grow have hear hide hit hold hurt keep know lay lead leave lend let lie lose make mean meet pay put "
    "read ride ring rise run say see seek sell send set shake shoot shut sing sit sleep speak spend spread stand "
    "steal strike swear swim take teach tear tell think throw understand wake wear win write".split()
)
"""Verbs whose past is not made with -ed; they are left alone there."""
_VERB_COMES_AFTER = frozenset(
    "i you we they to can could will would shall should must may might do does did don't doesn't didn't please "
    "can't someone anyone and or".split()
)


@dataclass(frozen=True)
class Entry:
    """A word of the thesaurus."""

    kind: str
    """Part of speech: n noun, v verb, a adjective, r adverb."""
    synonyms: tuple[str, ...]


@cache
def entries(language: Language) -> dict[str, Entry]:
    """The thesaurus of a language, by word as a dictionary lists it.

    Raises:
        InvalidInput: the file is not there.
    """
    path = data_dir() / "thesaurus" / f"{language}.tsv"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidInput(
            Phrase("The thesaurus {file} can't be read: {reason}.", file=path.name, reason=error.strerror),
            "Install again.",
        ) from error
    rows = (line.split("\t") for line in lines)
    return {word: Entry(kind, tuple(others.split("|"))) for word, kind, others in rows}


def english(word: str, before: str) -> tuple[str, ...]:
    """Synonyms of an English word in the form and letter case it has in the text.

    `before`: the word before it ("" at the beginning); it tells "to repair" from "a repair".
    """
    after_verb_sign = before.casefold() in _VERB_COMES_AFTER
    found: list[str] = []
    for lemma, ending in _lemmas(word.casefold()):
        entry = entries("en").get(lemma)
        if entry is None:
            continue
        if entry.kind == "v" and ending != "ed" and not after_verb_sign and before:
            continue
        if entry.kind == "n" and after_verb_sign and before.casefold() not in ("and", "or"):
            continue
        if ending and entry.kind not in ("nv" if ending == "s" else "v"):
            continue
        if lemma in _IRREGULAR and ending == "ed":
            continue
        found += [inflected for other in entry.synonyms if (inflected := _inflect(other, ending, entry.kind))]
        break
    return tuple(f[0].upper() + f[1:] if word[0].isupper() else f for f in found)


def _lemmas(word: str) -> Iterator[tuple[str, str]]:
    """(dictionary form, ending) as they may be, the word itself first."""
    yield word, ""
    for ending, cuts in (
        ("s", (("ies", "y"), ("es", ""), ("s", ""))),
        ("ed", (("ied", "y"), ("ed", ""), ("d", ""))),
        ("ing", (("ing", ""), ("ing", "e"))),
    ):
        for cut, put in cuts:
            if word.endswith(cut) and len(word) > len(cut) + 2:
                stem = word.removesuffix(cut) + put
                yield stem, ending
                if ending != "s" and re.search(r"([bdgmnprt])\1$", stem):
                    yield stem[:-1], ending


def _inflect(word: str, ending: str, kind: str) -> str | None:
    """A synonym with an ending; None where that is not regular."""
    if not ending:
        return word
    if " " in word and kind != "n":
        return None
    if ending == "s":
        if re.search(r"[^aeiou]y$", word):
            return word[:-1] + "ies"
        if re.search(r"(man|foot|tooth|child|person|mouse|goose|fe?|is|us|um)$", word):
            return None
        return word + ("es" if re.search(r"(s|x|z|ch|sh)$", word) else "s")
    if word in _IRREGULAR and ending == "ed":
        return None
    if word.endswith("e") and not word.endswith("ee"):
        return word[:-1] + ("ed" if ending == "ed" else "ing")
    if ending == "ed" and re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ied"
    if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", word):
        return word + word[-1] + ending
    return word + ending


def japanese(word: str) -> tuple[str, ...]:
    """Synonyms of a Japanese noun. Verbs and adjectives are left out: they would have to be inflected."""
    entry = entries("ja").get(word)
    return entry.synonyms if entry is not None and entry.kind == "n" else ()


def known_english(word: str) -> bool:
    """Whether the thesaurus has the word in any form."""
    return any(lemma in entries("en") for lemma, _ in _lemmas(word.casefold()))
