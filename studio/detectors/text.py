"""Text as the detectors compare it: plain form, courtesies left out, tokens, sentences, numbers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from studio.records import Example

KANA = re.compile(r"[ぁ-んァ-ヴ]")
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'、。）」]+|\S+@\S+\.\w+")

_COURTESY = re.compile(
    r"\b(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|thanks?(?: you)?(?: so much| very much| a lot)?"
    r"|many thanks|cheers|(?:kind |best |warm )?regards|in advance|please|pls|kindly|excuse me|sorry)\b"
    r"(?: there| all| team)?"
    r"|すみません(?:が)?|すいません|こんにちは|こんばんは|おはようございます|はじめまして|お世話になって(?:い|お)ります"
    r"|お世話になります|恐れ入ります(?:が)?|よろしくお願い(?:いた)?します|(?:お)?願い(?:いた)?します|ありがとうございます"
    r"|ありがとう|お手数ですが|あの[、,]|ええと[、,]"
)
_SPELLINGS = (
    ("下さい", "ください"),
    ("出来", "でき"),
    ("頂", "いただ"),
    ("有難う", "ありがとう"),
    ("宜しく", "よろしく"),
)
_TOKEN = re.compile(
    r"\d+(?:[.,:/-]\d+)*[a-z]*|[一-龯々〆ヶ]+|[ァ-ヴー]+|[ぁ-ん]+|[^\W\d_぀-ヿ一-龯]+(?:['’][^\W\d_]+)?\d*",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+|(?<=[。！？])[」』）]*|\n+")

FUNCTION = frozenset(
    "a an the this that these those my your his her its our their one some any i me we us you he she it they them is"
    " are am was were be been being do does did done have has had having can could may might will would shall should"
    " must to of in on at by for with from up out off as and or if then than so but about into onto over per also just"
    " there here tell know let say give get got go want need like what which whose please exactly currently now"
    " actually really kindly quick question anyone somebody someone something i'm i'd i've what's it's there's"
    " that's".split()
)
"""English words that say little of what is asked. Those that ask (when, where, who, how) or deny are not among them."""

NEGATION = re.compile(
    r"\b(?:is|are|was|were|wo|do|does|did|ca|could|would|should|has|have|had)n['’]?t\b|^no\b(?!\.?\s*\d)|\bnever\b"
    r"|\bnot\b|\bcannot\b|\bno longer\b|\bunable to\b|ませ[んぬ]|(?<![かし])ない(?!か)|なく(?:て|なり)|不可(?!能性)"
    r"|いいえ|かねます|いたしかね|不(?:能|可以|会|是)|没有"
)
_ASKING_JA = re.compile(r"いつ|どこ|だれ|誰|いくら|なぜ|どうやって|何時|何日|何歳|何人|何色|何曜日|まで|から")
_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_WORD_NUMBERS = {word: str(value) for value, word in enumerate(_COUNTING.split())}
_KANJI_NUMBERS = {w: str(n) for n, w in enumerate("〇一二三四五六七八九十")}
_UNITS = {
    "euro": "euro", "eur": "euro", "€": "euro", "dollar": "dollar", "usd": "dollar", "$": "dollar",
    "pound": "pound", "£": "pound", "yen": "yen", "円": "yen", "¥": "yen",
    "日": "day", "日間": "day", "週間": "week", "週": "week", "か月": "month", "ヶ月": "month", "カ月": "month",
    "年": "year", "年間": "year", "時間": "hour", "分": "minute", "グラム": "g", "キロ": "kg",
}  # fmt: skip
_WEEKDAYS = dict(zip("月火水木金土日", "monday tuesday wednesday thursday friday saturday sunday".split(), strict=True))
_WEEKDAY = re.compile(r"\b((?:mon|tues|wednes|thurs|fri|satur|sun)day)s?\b|([月火水木金土日])曜")
_TIME = re.compile(r"[0-2]?\d:[0-5]\d")
_NUMBER = re.compile(
    r"(?<![a-z\d])([€$£¥])?\s*(\d+(?:[.,:]\d+)*)(半)?\s*-?(か月|[一-龯ヶ]{1,3}|[ァ-ヴー]{1,6}|€|°?[a-z]+)?"
    rf"|\b({'|'.join(_COUNTING.split()[1:])})\b"
    r"[\s-]*(day|week|month|year|hour|minute|time|person|people|night|piece|item|copy|copies)?s?\b"
    r"|([一二三四五六七八九十])(日|週間|年|時|人|回|個|つ|割)|(半年|半日|半額|正午)"
)


def turns_of(example: Example) -> Iterator[tuple[str, str]]:
    """Every text of a row with the field it stands in: `messages[i]` and `answer`."""
    for number, turn in enumerate(example.messages):
        yield f"messages[{number}]", turn.content
    yield "answer", example.answer


def prompt_of(example: Example) -> str:
    """The prompt as one text, without a system turn."""
    return "\n".join(turn.content for turn in example.messages if turn.role != "system")


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """Letter case, width and spacing evened out."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=8192)
def gist(text: str) -> str:
    """The plain text without greetings and thanks and with one spelling of common Japanese words."""
    text = plain(text)
    for other, usual in _SPELLINGS:
        text = text.replace(other, usual)
    return _COURTESY.sub(" ", text)


_SIGNS = re.compile(r"[\W_]+")


def letters(text: str) -> str:
    """Letters and digits alone."""
    return _SIGNS.sub("", text)


def shingles(text: str, size: int = 4) -> set[str]:
    """Character n-grams of the letters, which need no word boundaries and so serve Japanese too."""
    text = letters(text)
    return {text[i : i + size] for i in range(max(1, len(text) - size + 1))}


@lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[str, ...]:
    """Words, or for Japanese runs of one script, in order."""
    return tuple(_TOKEN.findall(text))


@lru_cache(maxsize=8192)
def content(text: str) -> tuple[str, ...]:
    """The tokens of a gist that carry its matter, in order. Japanese hiragana runs are endings and particles: they stay
    out, except the words that ask and deny."""
    found = [
        t
        for t in tokens(text)
        if t not in FUNCTION and not ("ぁ" <= t[0] <= "ん") and (len(t) > 1 or not t.isascii() or t.isdigit())
    ]
    return (*found, *_ASKING_JA.findall(text), *(["\N{NOT SIGN}"] if is_negated(text) else []))


def is_negated(text: str) -> bool:
    """Whether a plain sentence denies. `ないか`, `ませんか` ask and don't."""
    return (
        NEGATION.search(re.sub(r"ませんか|ないですか|ないでしょうか|[すみ]{2}ません|すいません", "", text)) is not None
    )


def sentences(text: str) -> list[str]:
    return [s for part in _SENTENCE_END.split(text) if part and (s := part.strip())]


@lru_cache(maxsize=8192)
def numbers(text: str) -> frozenset[tuple[str, str]]:
    """The numbers of a plain text, each with its unit where that is a common one."""
    found = set()
    for english, japanese in _WEEKDAY.findall(text):
        found.add((english or _WEEKDAYS[japanese], "weekday"))
    for sign, digits, half, unit, word, of, kanji, counter, fixed in _NUMBER.findall(text):
        if digits:
            value = digits.replace(",", "").removesuffix(".00") + ("半" if half or "半" in unit else "")
            found.add(_in_days(value, "time" if _TIME.fullmatch(digits) else _unit(sign or unit)))
        elif word and (word != "one" or of):
            found.add(_in_days(_WORD_NUMBERS[word], of))
        elif kanji and (kanji, counter) != ("一", "日"):  # `a day`, as a rule
            found.add(_in_days(_KANJI_NUMBERS[kanji], _UNITS.get(counter, counter)))
        elif fixed:
            found.add(("12", "時") if fixed == "正午" else (fixed, ""))
    return frozenset(found)


def _in_days(value: str, unit: str) -> tuple[str, str]:
    """Weeks, months and years as days: 2 weeks are 14 days."""
    days = {"week": 7, "month": 30, "year": 365}.get(unit)
    return (str(days * int(value)), "day") if days and value.isdigit() else (value, unit)


def _unit(word: str) -> str:
    """A unit in one form; small words after a number are none."""
    if word in _UNITS:
        return _UNITS[word]
    if not word.isascii():
        known = next(
            (u for u in ("か月", "ヶ月", "カ月", "週間", "日間", "年間", "時間") if word.startswith(u)), word[:1]
        )
        return _UNITS.get(known, word.removesuffix("以内").removesuffix("半").removesuffix("後"))
    return "" if word in FUNCTION else _UNITS.get(word.removesuffix("s"), word.removesuffix("s"))


def unlike(
    one: Sequence[str], other: Sequence[str], is_rare: Callable[[str], bool] = lambda token: False
) -> tuple[list[str], list[str]]:
    """What each of two sequences of tokens has more than the other, slips of the finger aside.

    In short words a slip is told from another word only where `is_rare` says that the project has one of them nowhere
    else.
    """
    a, b = Counter(one), Counter(other)
    left, right = list((a - b).elements()), list((b - a).elements())
    for token in list(left):
        match = next((t for t in right if is_slip(token, t, is_rare=is_rare)), None)
        if match is not None:
            left.remove(token)
            right.remove(match)
    return [t for t in left if not _is_torn(t)], [t for t in right if not _is_torn(t)]


_POLITE = ("thanks", "thank", "cheers", "advance", "hello", "morning", "please", "regards", "there")


@lru_cache(maxsize=8192)
def _is_torn(token: str) -> bool:
    """`ym` for `my`, `hte` for `the`, `thansk` for `thanks`."""
    return any(is_one_edit(token, word, with_change=False) for word in _POLITE) or (
        1 < len(token) <= 5 and token.isascii() and token.isalpha() and "".join(sorted(token)) in _SORTED_FUNCTION
    )


_SORTED_FUNCTION = frozenset("".join(sorted(word)) for word in FUNCTION if 1 < len(word) <= 5)


def is_slip(one: str, other: str, *, is_rare: Callable[[str], bool] = lambda token: False) -> bool:
    """Whether two words may be one with a slip: a letter more, less, or two swapped. Digits make another word."""
    if one == other:
        return True
    if abs(len(one) - len(other)) > 1:
        return False
    if is_rare(one) != is_rare(other) and (one + other).isalpha() and is_one_edit(one, other, with_change=False):
        return True
    if any(c.isdigit() for c in one + other) or min(len(one), len(other)) < 4:
        return sorted(one) == sorted(other) and len(one) > 2 and not any(c.isdigit() for c in one)
    return is_one_edit(one, other, with_change=min(len(one), len(other)) >= 6)


def is_one_edit(one: str, other: str, *, with_change: bool = True) -> bool:
    """Whether one letter added or dropped, two swapped or (`with_change`) one changed makes `one` from `other`."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    if len(a) == len(b):
        swapped = len(a) > 1 and a[1] == b[0] and a[0] == b[1] and a[2:] == b[2:]
        return not a or swapped or (with_change and a[1:] == b[1:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]
