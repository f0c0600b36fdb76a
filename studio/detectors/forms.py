"""Answers whose form differs from nearly all the others of a project, and the balance of short answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studio import reasons
from studio.records import Example
from studio.rows import Flag

NEARLY_ALL = 0.95
FEWEST = 20
"""Answers that must have a form in common before another one stands out."""
_LIST = re.compile(r"^\s*(?:[-*•・]|\d+[.)])\s+\S", re.MULTILINE)
_TABLE = re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE)
_NAMES = {
    "json": "JSON",
    "code": "code",
    "table": "a table",
    "list": "a list",
    "label": "a word or two",
    "sentence": "text",
    "stop": "a full stop",
    "bare": "no full stop",
    "upper": "a capital letter",
    "lower": "a small letter",
}


def form(answer: str) -> str:
    """What an answer is: json, code, table, list, label, sentence or text."""
    text = answer.strip()
    if text[:1] in "{[" and text[-1:] in "}]":
        try:
            json.loads(text)
        except ValueError:
            pass
        else:
            return "json"
    if text.startswith("```") and text.endswith("```"):
        return "code"
    if len(_TABLE.findall(text)) >= 2:
        return "table"
    if len(_LIST.findall(text)) >= 2:
        return "list"
    if len(text) <= 30 and len(text.split()) <= 3 and text[-1:] not in ".!?。！？":
        return "label"
    return "text" if "\n" in text else "sentence"


def _broad(answer: str) -> str:
    """One line or several lines of text are one form when forms are compared."""
    return "sentence" if form(answer) == "text" else form(answer)


def _stop(answer: str) -> str:
    text = answer.rstrip()
    if form(answer) != "sentence" or len(text) < 30 or (not text[-1:].isalnum() and text[-1:] not in ".。"):
        return ""
    return "stop" if text[-1] in ".。" else "bare"


def _capital(answer: str) -> str:
    first = answer.lstrip()[:1]
    if form(answer) != "sentence" or not first.isalpha() or first.upper() == first.lower():
        return ""
    # `iPhone` is written so wherever it stands.
    return "lower" if answer.split()[0].islower() else "upper"


_FEATURES: tuple[tuple[Callable[[str], str], str], ...] = (
    (_broad, "form"),
    (_stop, "end"),
    (_capital, "start"),
)


def uneven(examples: Sequence[Example]) -> list[Flag]:
    """Flags of answers whose form, end or first letter is not that of nearly all others, and of odd labels."""
    flags: dict[str, Flag] = {}
    answered = [e for e in examples if e.answer.strip()]
    for feature, name in _FEATURES:
        values = [feature(e.answer) for e in answered]
        counts = Counter(v for v in values if v)
        if not counts:
            continue
        usual, most = counts.most_common(1)[0]
        total = sum(counts.values())
        if most < FEWEST or most < NEARLY_ALL * total or most == total:
            continue
        for example, value in zip(answered, values, strict=True):
            if value and value != usual and example.id not in flags:
                said = {"odd": _NAMES[value], "usual": _NAMES[usual], "share": f"{most / total:.0%}"}
                flags[example.id] = Flag(example.id, "format", reasons.say("format", name, **said))
    return [*flags.values(), *(f for f in _spellings(answered) if f.example_id not in flags)]


def _spellings(examples: Sequence[Example]) -> list[Flag]:
    """Labels that differ from a commoner one only in letter case or spacing."""
    labels: dict[str, Counter[str]] = {}
    for example in examples:
        if form(example.answer) == "label":
            labels.setdefault("".join(example.answer.casefold().split()), Counter())[example.answer.strip()] += 1
    flags = []
    for example in examples:
        spelled = labels.get("".join(example.answer.casefold().split()))
        if not spelled or len(spelled) < 2 or form(example.answer) != "label":
            continue
        usual, most = spelled.most_common(1)[0]
        own = example.answer.strip()
        if own != usual and most >= 3 * spelled[own] and most >= 5:
            reason = reasons.say("format", "label", own=own, times=most, usual_label=usual)
            flags.append(Flag(example.id, "format", reason, span=(0, len(example.answer))))
    return flags


@dataclass(frozen=True)
class Balance:
    """How often each label is the answer in a project that classifies."""

    labels: tuple[tuple[str, int], ...]
    """Most frequent first."""
    rare: tuple[str, ...]
    """Labels with less than a fifth of an even share."""

    @property
    def ratio(self) -> float:
        """How many times the most frequent label outnumbers the rarest."""
        return self.labels[0][1] / self.labels[-1][1]


def balance(examples: Sequence[Example]) -> Balance | None:
    """The labels and their counts, or None where most answers are no labels out of a small set."""
    short = Counter(e.answer.strip() for e in examples if form(e.answer) == "label")
    repeated = {label: n for label, n in short.items() if n > 1}
    covered = sum(repeated.values())
    if len(repeated) < 2 or covered < 0.8 * len(examples) or len(repeated) > max(2, covered / 5):
        return None
    ordered = tuple(sorted(short.items(), key=lambda item: (-item[1], item[0])))
    even = sum(short.values()) / len(short)
    return Balance(ordered, tuple(label for label, n in ordered if n < 0.2 * even))
