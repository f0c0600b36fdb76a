"""What flags say: every sentence is read back with its evidence, and is there in Japanese."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import studio
from studio import reasons
from studio.detectors import credentials, forms, language, same
from studio.rows import FLAG_KINDS
from studio.ui import words_reasons

SOURCE = Path(studio.__file__).parent
FLAGGING = [f for f in SOURCE.rglob("*.py") if f.parent.name == "detectors" or "Flag(" in f.read_text(encoding="utf-8")]
EVERY = [(kind, name) for kind, named in reasons.SENTENCES.items() for name in named]


def evidence_of(sentence: str) -> dict[str, str]:
    """Something for every place; what a row says may hold any sign."""
    said = "a “b” / c.\nd"
    return {place: (reasons.things(place) or (said,))[0] for place in re.findall(r"{(\w+)}", sentence)}


def test_every_sentence_is_in_japanese() -> None:
    assert reasons.SENTENCES.keys() == set(FLAG_KINDS)
    for kind, named in reasons.SENTENCES.items():
        assert words_reasons.JA[kind].keys() == named.keys(), kind
        for name, sentence in named.items():
            places = set(re.findall(r"{(\w+)}", sentence))
            assert set(re.findall(r"{(\w+)}", words_reasons.JA[kind][name])) <= places, (kind, name)
    assert words_reasons.THINGS.keys() == {thing for things in reasons.THINGS.values() for thing in things}


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_sentence_is_read_back_and_said_in_japanese(kind: str, name: str) -> None:
    evidence = evidence_of(reasons.SENTENCES[kind][name])
    reason = reasons.say(kind, name, **evidence)
    assert reasons.read(kind, reason) == (name, evidence)
    assert words_reasons.say(kind, reason, "en") == reason
    said = words_reasons.say(kind, reason, "ja")
    assert re.search("[ぁ-んァ-ヴ]|：", said), said
    assert said != reason


def sentences_in(source: str) -> Iterator[str]:
    """Texts that look like a sentence and are neither a docstring nor the words of an error."""
    tree = ast.parse(source)
    aside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node)}
    aside |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in aside or not isinstance(node, ast.JoinedStr | ast.Constant):
            continue
        text = ast.unparse(node).lstrip("f").strip("'\"")
        if re.match(r"[A-Z].* .*[.!]$", text):
            yield text


@pytest.mark.parametrize("file", FLAGGING, ids=lambda file: file.name)
def test_no_reason_is_written_where_japanese_would_not_find_it(file: Path) -> None:
    if file.parent.name == "detectors":
        assert not list(sentences_in(file.read_text(encoding="utf-8")))
    flags = [
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Flag"
    ]
    assert not [f.lineno for f in flags if isinstance(f.args[2], ast.JoinedStr | ast.Constant)]


def test_a_sentence_of_its_own_would_be_found() -> None:
    assert list(sentences_in('def f(x):\n    """Says what."""\n    return f"The answer holds {x}."')) == [
        "The answer holds {x}."
    ]


def test_everything_that_detectors_name_has_a_word() -> None:
    found = {credentials._PLAIN_NAMES.get(p.secret_type, p.secret_type) for p in credentials._plugins()}
    assert found <= set(reasons.things("what"))
    assert set(language._LABELS.values()) <= set(reasons.things("told"))
    assert set(forms._NAMES.values()) <= set(reasons.things("odd"))
    assert {unit for unit in same._SAID_UNITS.values() if unit} <= set(reasons.things("one"))


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        ("truncated", "The answer ends with the word 'the', which begins something.", "「the」で終わって"),
        ("truncated", "No other sentence ends with 'on 7', which occurs 4 times.", "「on 7」はほかに4回"),
        ("contradiction", "The same question has another answer: 7 / 10.", "「7」と「10」"),
        ("contradiction", "A question alike (0.81) has another answer: 12 / 15 kg.", "「12」と「15 kg」"),
        ("rule", "The answer is not JSON: Expecting value: line 1 column 3 (char 2).", "1行目の3文字目"),
        ("language", "The answer is in German; the project is in English.", "回答がドイツ語です"),
    ],
)
def test_flags_of_before_are_read_too(kind: str, reason: str, said: str) -> None:
    assert said in words_reasons.say(kind, reason, "ja")


def test_a_reason_in_the_experts_own_words_stays() -> None:
    assert words_reasons.say("rule", "Write it as a number.", "ja") == "Write it as a number."
    assert words_reasons.say("contradiction", "Something else.", "ja") == "Something else."


def test_units_are_named_in_japanese() -> None:
    reason = reasons.say("contradiction", "same", one="14 days", other="21 days, 3 kg")
    assert words_reasons.say("contradiction", reason, "ja").endswith("：「14日」と「21日、3 kg」。")
