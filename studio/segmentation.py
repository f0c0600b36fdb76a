"""Text cut into words, each with what may be done to it without changing what the right answer is.

Protected are numbers (also in words), names, negations, words that bound a question ("only", "before", "every"),
question words, code, addresses and quotations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from studio import lexicon
from studio.lexicon import Language

_KANA = re.compile(r"[ぁ-ゖァ-ヺｦ-ﾝ]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_WHOLE = re.compile(
    r"```.*?```|`[^`\n]+`|\w+://[^\s、。」）)]+|www\.[^\s、。」）)]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\{[^{}\n]*\}|<[^<>\n]+>|“[^”\n]+”|\"[^\"\n]+\"|「[^」\n]+」|『[^』\n]+』",
    re.DOTALL | re.ASCII,
)
"""Code, addresses, placeholders, markup and quotations: one segment each, never changed."""
_ENGLISH = re.compile(r"[^\W_]+(?:['’\-./][^\W_]+)*", re.UNICODE)

NEGATIONS = frozenset(
    "no not never none nothing nobody nowhere neither nor without cannot hardly scarcely barely except unless".split()
)
_BOUNDS = frozenset(
    "only before after until till since during within above below under over between all every each any both "
    "either more most less least fewer few many much some first last next again always often once twice half "
    "double same other another else if than off out up down in into".split()
)
_NUMBERS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million "
    "second third fourth fifth dozen monday tuesday wednesday thursday friday saturday sunday january february "
    "march april june july august september october november december".split()
)
_ASKING = frozenset("who whom whose what which when where why how".split())
_SMALL = frozenset("a an the do does did is are am was were my your our their please just of at on so".split())
"""Words that random deletion may drop: without them a question still asks the same, as in a telegram."""
_SUBJECTS = frozenset("i you we it this that there".split())
"""They may go at the beginning only: "Forgot my password" is said, "Do wax skis?" is not."""
_OTHER_COMMON = frozenset(
    "be been have has had to with for me us them someone somebody something anyone anybody anything can could will "
    "would should shall must may might and or but he she they his her its from by about as".split()
)


@dataclass(frozen=True)
class Segment:
    """A stretch of text: a word, or what stands between words."""

    text: str
    is_word: bool = False
    is_protected: bool = False
    may_go: bool = False
    """Whether deletion may drop it."""
    is_small: bool = False
    """A function word: it carries grammar, not the topic."""
    is_negation: bool = False
    is_name: bool = False
    """A name, a number, code and the like: what a rewording may neither lose nor bring in."""
    synonyms: tuple[str, ...] = ()
    key: str = ""
    """The word as compared: dictionary form, or lower case."""


def language_of(text: str, default: str = "en") -> str:
    """`ja` where there are kana or mostly kanji; `en` for Latin letters, unless the project's language (`default`) is
    another one written in them."""
    if _KANA.search(text) or (default == "ja" and not _LATIN.search(text)):
        return "ja"
    return "en" if default == "ja" and _LATIN.search(text) else default


def segments(text: str, language: Language) -> list[Segment]:
    """The text in order; joined again, the segments' texts are the text."""
    found: list[Segment] = []
    position = 0
    for whole in _WHOLE.finditer(text):
        found += _words(text[position : whole.start()], language, found)
        found.append(Segment(whole.group(), is_word=True, is_protected=True, is_name=True, key=whole.group()))
        position = whole.end()
    return found + _words(text[position:], language, found)


def joined(parts: Sequence[Segment]) -> str:
    return "".join(part.text for part in parts)


def _words(text: str, language: Language, before: Sequence[Segment]) -> list[Segment]:
    if not text:
        return []
    return _japanese(text) if language == "ja" else _english(text, before)


# English


def _english(text: str, before: Sequence[Segment]) -> list[Segment]:
    found: list[Segment] = []
    position, previous = 0, next((s.key for s in reversed(before) if s.is_word), "")
    for match in _ENGLISH.finditer(text):
        if match.start() > position:
            between = text[position : match.start()]
            found.append(Segment(between))
            previous = "" if re.search(r"[.!?。？！:;\n]", between) else previous
        word = _english_word(match.group(), previous)
        if re.match(r" to\b", text[match.end() :]):
            word = replace(word, synonyms=())  # "need to" is not "require to"
        found.append(word)
        previous, position = match.group().casefold(), match.end()
    if position < len(text):
        found.append(Segment(text[position:]))
    return found


def _english_word(word: str, previous: str) -> Segment:
    key = word.casefold().replace("’", "'")
    is_negation = key in NEGATIONS or key.endswith("n't")
    is_common = common_english(key)
    is_name = not re.fullmatch(r"[A-Z]?[a-z'’\-]+|I", word) or (word[0].isupper() and bool(previous) and word != "I")
    # The first word of a sentence has a capital whatever it is.
    is_name = is_name or (word[0].isupper() and not is_common)
    is_fixed = is_negation or is_name or key in _BOUNDS | _NUMBERS | _ASKING
    is_small = key in _SMALL | _SUBJECTS | _OTHER_COMMON
    return Segment(
        word,
        is_word=True,
        is_protected=is_fixed,
        may_go=not is_fixed and (key in _SMALL or (key in _SUBJECTS and not previous)),
        is_small=is_small or key in _ASKING | _BOUNDS,
        is_negation=is_negation,
        is_name=is_name or key in _NUMBERS,
        synonyms=() if is_fixed or is_small else lexicon.english(word, previous),
        key=key,
    )


def common_english(key: str) -> bool:
    """Whether a word (lower case) is known to be English."""
    grammar = _SMALL | _SUBJECTS | _OTHER_COMMON | _BOUNDS | _NUMBERS | _ASKING | NEGATIONS
    return key in grammar or lexicon.known_english(key)


def stem(key: str) -> str:
    """A word without its regular ending, to see whether two texts speak of the same things."""
    for cut in ("'s", "ing", "ies", "ied", "es", "ed", "s", "e", "y"):
        if key.endswith(cut) and len(key) - len(cut) >= 3:
            return key.removesuffix(cut)
    return key


# Japanese


@cache
def _tokenizer() -> Any:
    """Sudachi with its small dictionary; loaded at first use, in a few hundredths of a second."""
    from sudachipy import dictionary

    return dictionary.Dictionary(dict="small").tokenizer()


def _japanese(text: str) -> list[Segment]:
    # Sudachi takes at most about 49,000 bytes at a time.
    lines = [chunk for line in text.splitlines(keepends=True) for chunk in _chunks(line)]
    found = [segment for line in lines for segment in _japanese_line(line)]
    return _with_synonyms(found)


def _chunks(line: str, size: int = 8_000) -> list[str]:
    return [line[i : i + size] for i in range(0, len(line), size)]


def _japanese_line(line: str) -> list[Segment]:
    found = []
    for token in _tokenizer().tokenize(line):
        text, (kind, detail, use, *_) = line[token.begin() : token.end()], token.part_of_speech()
        if not text:
            continue
        plain = token.normalized_form()
        is_word = kind not in ("補助記号", "空白", "記号")
        is_negation = plain in ("ない", "無い", "ず", "ぬ", "まい") or (kind == "接頭辞" and plain in "非不無未")
        is_name = "固有名詞" in (detail, use) or bool(_LATIN.search(text)) or any(c.isdigit() for c in text)
        is_fixed = is_word and (is_negation or is_name or detail == "数詞" or kind in ("代名詞", "接頭辞", "接尾辞"))
        is_small = kind in ("助詞", "助動詞") or detail in ("非自立可能", "助動詞語幹")
        found.append(
            Segment(
                text,
                is_word=is_word,
                is_protected=is_fixed,
                may_go=kind == "助詞" and detail in ("係助詞", "格助詞") and text in ("は", "を", "が"),
                is_small=is_small,
                is_negation=is_negation,
                is_name=is_name or detail == "数詞",
                key=token.dictionary_form() if kind in ("動詞", "形容詞") else plain,
                # Filled by `_with_synonyms`, once the neighbours are known; until then the part of speech.
                synonyms=("サ変" if use == "サ変可能" else "名詞",) if kind in ("名詞", "接尾辞", "接頭辞") else (),
            )
        )
    return found


def _with_synonyms(found: Sequence[Segment]) -> list[Segment]:
    """Runs of nouns are one word: 会議 in 会議室 is not replaced, 駐車 + 場 is looked up as 駐車場."""
    result: list[Segment] = []
    position = 0
    while position < len(found):
        end = position
        while end < len(found) and found[end].synonyms:
            end += 1
        if end == position:
            result.append(found[position])
            position += 1
            continue
        run, after = found[position:end], found[end].key if end < len(found) else ""
        result += _noun(run, after)
        position = end
    return result


def _noun(run: Sequence[Segment], after: str) -> list[Segment]:
    whole = joined(run)
    has_fixed = any(s.is_protected and s.text not in _SUFFIXES for s in run)
    others = () if has_fixed else lexicon.japanese(whole)
    if after in ("する", "為る", "できる", "出来る"):
        others = tuple(other for other in others if _is_verbal(other))
    if not others:
        return [replace(s, synonyms=()) for s in run]
    return [Segment(whole, is_word=True, key=whole, synonyms=others)]


_SUFFIXES = frozenset("場 室 館 所 者 員 日 料 費 機 書 券 口 係 先 物 方".split())
"""Endings that only make a longer noun."""


def _is_verbal(noun: str) -> bool:
    """Whether する can follow, as in 予約する."""
    return bool(_tokenizer().tokenize(noun)[-1].part_of_speech()[2] == "サ変可能")
