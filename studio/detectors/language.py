"""Answers in another language than the project's, by `py3langid` (BSD, 97 languages, 4.6 MB) and by script.

What a text quotes, names, counts or links to is left out first. A question that names a language asks for it, and a
language in which many whole rows are written is one of the project's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from studio import reasons
from studio.detectors.text import FENCED, KANA, URL, prompt_of
from studio.records import Example
from studio.rows import Flag

OWN_SHARE = 0.15
"""From this share of whole rows on, a language is one of the project's own."""
MARGIN = 12.0
"""How much likelier (natural logarithm) the other language must be."""
_COMMON = tuple(
    "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv ms nl no pl pt ro ru sk sl sr sv sw ta"
    " th tl tr uk ur vi zh".split()
)
_NAMES = re.compile(
    r"\b(?:translat\w*|arabic|bulgarian|bengali|catalan|czech|danish|german|greek|english|spanish|estonian|persian|farsi"
    r"|finnish|french|hebrew|hindi|croatian|hungarian|indonesian|italian|japanese|korean|lithuanian|latvian|malay|dutch"
    r"|norwegian|polish|portuguese|romanian|russian|slovak|slovene|serbian|swedish|swahili|tamil|thai|tagalog|turkish"
    r"|ukrainian|urdu|vietnamese|chinese|mandarin|latin)\b|[一-龯ァ-ヴー]語|翻訳|訳して|英訳|和訳",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“«„][^\"”»“\n]{1,200}[\"”»“]|「[^」]*」|『[^』]*』|`[^`]*`|'[^'\n]{3,80}'(?!\w)")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LABELS = {
    "en": "English", "ja": "Japanese", "de": "German", "fr": "French", "es": "Spanish",
    "it": "Italian", "nl": "Dutch", "pt": "Portuguese", "zh": "Chinese", "ko": "Korean",
    "ru": "Russian", "pl": "Polish", "sv": "Swedish",
}  # fmt: skip
_SCRIPTS = (
    ("ko", re.compile(r"[가-힣]")), ("ru", re.compile(r"[а-яё]", re.IGNORECASE)), ("th", re.compile(r"[ก-๙]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")), ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")), ("el", re.compile(r"[α-ωά-ώ]", re.IGNORECASE)), ("ja", KANA),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
)  # fmt: skip
_OF_SCRIPT = {"ru": {"ru", "uk", "bg", "sr"}, "ar": {"ar", "fa", "ur"}, "hi": {"hi", "bn", "ta"}}


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(_COMMON))
    return identifier


def own_languages(examples: Sequence[Example], language: str) -> frozenset[str]:
    """The project's language and those in which a good share of whole rows is written."""
    step = max(1, len(examples) // 500)
    sample = examples[::step]
    whole = Counter(
        told
        for e in sample
        if (told := detect(e.answer, language)) != language and _asked_in(prompt_of(e), language) == told
    )
    return frozenset({language, *(code for code, n in whole.items() if n >= OWN_SHARE * len(sample) and n >= 5)})


def other_language(example: Example, language: str, own: frozenset[str] = frozenset()) -> Flag | None:
    """A flag where the answer is in another language than the project and nobody asked for that."""
    prompt = prompt_of(example)
    told = detect(example.answer, language)
    if told == language or _NAMES.search(prompt) or _NAMES.search(_system(example)):
        return None
    asked = _asked_in(prompt, language)
    if told in own and (asked == told or not prompt.strip()):
        return None
    name, expected = _LABELS.get(told, told), _LABELS.get(language, language)
    where = "row" if asked == told else "answer"
    return Flag(example.id, "language", reasons.say("language", where, told=name, expected=expected))


def _system(example: Example) -> str:
    return " ".join(turn.content for turn in example.messages if turn.role == "system")


def _asked_in(prompt: str, expected: str) -> str:
    """The language of a prompt; a few signs of another script are enough."""
    script = _script(_prose(prompt), fewest=1)
    return script if script and expected not in _OF_SCRIPT.get(script, {script}) else detect(prompt, expected)


def detect(text: str, expected: str) -> str:
    """The language of a text; `expected` where nothing certain speaks against it."""
    prose = _prose(text[:4000])
    script = _script(prose)
    if script and expected not in _OF_SCRIPT.get(script, {script}):
        return script
    if script:
        return expected if expected in _OF_SCRIPT.get(script, {script}) else script
    words = [w for i, w in enumerate(_WORD.findall(prose)) if i == 0 or not w[0].isupper()]
    if expected in ("ja", "ko", "zh", "th", "ru", "ar", "he", "hi", "el") and len(words) >= 2:
        return _rank(" ".join(words))[0][0] if sum(map(len, words)) >= 8 and not _is_list(text) else expected
    if len(words) < 3 or sum(map(len, words)) < 10:
        return expected
    ranked = _rank(" ".join(words))
    score = dict(ranked).get(expected)
    best, top = ranked[0]
    return best if score is not None and best != expected and top - score > MARGIN else expected


def _rank(text: str) -> list[tuple[str, float]]:
    return [(str(code), float(score)) for code, score in _identifier().rank(text)]


def _prose(text: str) -> str:
    for pattern in (FENCED, URL, _QUOTED):
        text = pattern.sub(" ", text)
    return text


def _script(text: str, fewest: int = 4) -> str:
    """The language that the script alone tells, where it makes up a third of the letters and `fewest`; else empty."""
    total = sum(c.isalpha() for c in text)
    for code, pattern in _SCRIPTS:
        count = len(pattern.findall(text))
        if code == "ja" and count and (count >= 4 or count * 8 >= total):
            return "ja"
        if count >= fewest and count * 3 >= total:
            return code if code != "zh" or count >= min(6, 2 * fewest) else ""
    return ""


def _is_list(text: str) -> bool:
    """A command, a code, a name: no sentence."""
    return not re.search(r"\s", text.strip()) or not re.search(r"[.!?]|\b(?:the|is|are|we|you|and|to|of)\b", text)
