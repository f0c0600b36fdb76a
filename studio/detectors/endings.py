"""Truncated answers: cut within a sentence, a code block, brackets or a list.

What is open is certain. A sentence without a full stop is not: people leave it out. So the last word decides: one
that can't end a sentence (`the`, `は`), half a word that the project has whole, or a word that ends no sentence of the
project though it occurs in many.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from studio import reasons
from studio.detectors.text import CJK, FENCED, KANA, URL, plain, sentences, tokens
from studio.records import Example
from studio.rows import Flag

_STOP = ".!?…。！？:：;)]}）」』】”\"'’»*`|>~♪☆★％%"
_EMOTICON = re.compile(r"(?<![\w)\]])[:;=]-?[()DP]|\([^\w\s]*\)|^\s*(?:\d+|[a-zA-Z])[.)]\s", re.MULTILINE)
_LETTERS = re.compile(r"[a-zß-ÿā-žά-ώа-яё]+")
_LOG = re.compile(r"^\W*\d+[:.]\d+|[0-9a-f]{6}$")
"""A line of a log."""
_DANGLING = re.compile(r"(?:^|\n)[ \t]*(?:\d+[.)]|[-*•・])[ \t]*$")
_COMMA = re.compile(r"[,、，;；・\-–—+=&/(（「『\[{]$")
_PAIRS = {")": "(", "]": "[", "}": "{", "）": "（", "」": "「", "』": "『", "】": "【"}
_NEVER_LAST = frozenset(
    "the a an of and or but with from by for into onto than their your our my its his these those such every each"
    " is are was were be been am has have had will would could should can may might must we they he she i if"
    " because while although whereas when where which who whose that as at to in on very more most per via between"
    " among".split()
)
_MAY_BE_LAST = frozenset(
    "is are was were be been am has have had will would could should can may might must in on to that we they he she i"
    " when where which who his more most at for by such each as with from".split()
)
"""Words of the list above that end a clause now and then (`what it is`, `come in`)."""
_PARTICLES = re.compile(
    r"(?:[はがをにで][\d,.]+|でき|お[一-龯ぁ-ん]{1,5}く|[てけで]く|[はがをにのへともや]|[でて](?!す)|から|まで|より|など|[ごお]|っ|ませ|まし|です?が|ので|のに|たり|れば|たら|しま|きま|りま|いま|えま|れま|ちま|みま|びま|せま|"
    r"けま|べま|めま|し)$"
)
_ENDS_JA = re.compile(
    r"(?:です|ます|でした|ました|ません|ください|下さい|だ|である|った|んだ|した|ない|たい|ね|よ|か|ん|こと|もの|ところ|まで|から)$"
)
_NOUN = re.compile(r"[一-龯ァ-ヴー]{2}$")
_MAY_END_JA = re.compile(r"[たるうくすつぬむぶぐい]$")


@dataclass(frozen=True)
class Habits:
    """How the sentences of a project end, counted over its answers."""

    words: Counter[str] = field(default_factory=Counter)
    last: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    """How often a word goes on after these letters, to recognise half of one."""

    @classmethod
    def of(cls, answers: Sequence[str]) -> Habits:
        words: Counter[str] = Counter()
        last: Counter[str] = Counter()
        for answer in answers:
            for sentence in sentences(FENCED.sub(" ", answer)):
                units = _units(sentence)
                words.update(units)
                couples = [] if CJK.search(sentence) else [f"{a} {b}" for a, b in pairwise(units)]
                words.update(couples)
                if sentence[-1] in ".!?。！？" and units:
                    last[units[-1]] += 1
                    last.update(couples[-1:])
        starts: Counter[str] = Counter()
        for word, count in words.items():
            if _LETTERS.fullmatch(word):
                for length in range(1, len(word)):
                    starts[word[:length]] += count
        return cls(words, last, starts)


def _units(sentence: str) -> list[str]:
    """Words, or for Japanese the pairs of neighbouring letters, without the stop."""
    text = plain(sentence).rstrip("".join(_STOP) + " ")
    if CJK.search(text[-2:]):
        return [text[i : i + 2] for i in range(len(text) - 1)]
    return ["#" if token[0].isdigit() else token for token in tokens(text)]


def truncated(example: Example, habits: Habits | None = None) -> Flag | None:
    """A flag where the answer seems cut off. Without `habits` only what is certain by itself is flagged."""
    answer = example.answer.rstrip()
    if not answer:
        return None
    reason = _open(answer) or _cut(answer, habits)
    if reason is None:
        return None
    return Flag(example.id, "truncated", reason, span=(max(0, len(answer) - 40), len(answer)))


def _say(name: str, **evidence: object) -> str:
    return reasons.say("truncated", name, **evidence)


def _open(answer: str) -> str | None:
    if answer.count("```") % 2:
        return _say("code")
    prose = _EMOTICON.sub(lambda m: " " * len(m[0]), FENCED.sub("", answer)) if "```" in answer else answer
    if _DANGLING.search(answer) and len(answer) > 4 and "\n" in answer:
        return _say("item")
    if _is_code(answer):
        return None
    mark = _unclosed(_EMOTICON.sub(lambda m: " " * len(m[0]), prose))
    if mark:
        return _say("bracket", mark=mark)
    if _COMMA.search(answer) and len(answer) > 12 and not answer.endswith("++") and not URL.search(answer.split()[-1]):
        return _say("mark", text=answer[-1])
    return None


def _unclosed(text: str) -> str:
    """The first bracket left open in the last 400 characters; an old one is a slip, not a cut."""
    left: list[tuple[str, int]] = []
    for at, char in enumerate(text):
        if char in _PAIRS.values():
            left.append((char, at))
        elif char in _PAIRS and left and left[-1][0] == _PAIRS[char]:
            left.pop()
    return next((char for char, at in reversed(left) if at > len(text) - 400 and "\n\n" not in text[at:]), "")


def _is_code(text: str) -> bool:
    """Whether the last lines read as program text rather than as prose."""
    tail = text[-300:]
    signs = sum(tail.count(sign) for sign in "{}();=<>_$\\|")
    return signs > 8 or signs / max(1, len(tail)) > 0.06


def _last_line(answer: str) -> str:
    return answer.rsplit("\n", 1)[-1].strip()


def _cut(answer: str, habits: Habits | None) -> str | None:
    last = _last_line(answer)
    is_item = re.match(r"(?:\d+[.)]|[-*•・#|>])\s*", last) is not None
    if answer[-1] in _STOP or not answer[-1].isalnum() or _is_code(answer) or URL.search(last.rsplit(" ", 1)[-1]):
        return None
    sentence = sentences(last)[-1]
    if KANA.search(sentence) or (KANA.search(answer) and CJK.search(sentence[-1])):
        return _cut_japanese(answer, sentence, is_item, habits)
    return _cut_spaced(answer, sentence, is_item, habits)


def _cut_spaced(answer: str, sentence: str, is_item: bool, habits: Habits | None) -> str | None:
    words = _units(sentence)
    if not words or len(_units(answer)) < 4:
        return None
    word = words[-1]
    ended = habits.last[word] if habits else 0
    if word in _NEVER_LAST and not ended and (word not in _MAY_BE_LAST or (habits and not is_item)):
        return _say("begins", text=word)
    if habits is None or is_item or not (word == "#" or _LETTERS.fullmatch(word)) or _LOG.search(_last_line(answer)):
        return None
    seen, is_name = habits.words[word], not sentence.split()[-1][0].islower() and word != "#"
    if (is_name and len(words) > 1) or (sentence.islower() and len(sentences(answer)) == 1):
        return None
    is_half = (len(word) == 1 and word not in "ai") or habits.starts[word] >= (1 if seen <= 1 else 5 * seen)
    if seen <= 3 and not ended and not is_name and word != "#" and is_half:
        return _say("half", text=word)
    if seen >= 4 and ended == 0 and word != "#":
        return _say("never_last", text=word, times=seen)
    two = " ".join(words[-2:])
    if habits.last[two] == 0 and habits.words[two] >= (3 if ended < 0.2 * seen else 5):
        return _say("never_last_two", text=two, times=habits.words[two])
    if (
        len(words) == 1
        and len(sentences(answer)) > 1
        and ended == 0
        and sentence[0].isalpha()
        and "\n" not in answer[-80:]
    ):
        return _say("one_word", text=word)
    return None


def _cut_japanese(answer: str, sentence: str, is_item: bool, habits: Habits | None) -> str | None:
    if len(answer) < 8 or is_item:
        return None
    tail = plain(sentence)
    has_stop = any(mark in answer for mark in "。！？")
    if (
        _PARTICLES.search(tail)
        and not re.search(r"(?:まで|から|もの|こと|など|より)$", tail)
        and (has_stop or len(tail) >= 8)
    ):
        return _say("goes_on", text=tail[-2:])
    pair = tail[-2:]
    if habits is None or not CJK.search(tail[-1]) or _ENDS_JA.search(tail) or habits.last[pair]:
        return None
    is_sentence = has_stop or re.search(r"[はがを]", tail) is not None
    if is_sentence and habits.words[pair] >= 3:
        return _say("never_last_two", text=pair, times=habits.words[pair])
    if has_stop and (not KANA.search(tail) or (not _MAY_END_JA.search(tail) and not _NOUN.search(tail))):
        return _say("no_stop", text=pair)
    return None
