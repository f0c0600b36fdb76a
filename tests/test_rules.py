"""Rules that answers must keep to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import InvalidInput
from studio.records import Example, Turn
from studio.rows import Rule
from studio.rules import as_flags, as_json, broken, count_words, from_json, validate

SCHEMA = json.dumps(
    {
        "type": "object",
        "required": ["days"],
        "properties": {"days": {"type": "integer", "minimum": 1}, "code": {"type": "string", "pattern": "^[A-Z]+$"}},
        "additionalProperties": False,
    }
)
CIRCLE = '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}'
TEXT = st.text(min_size=1).filter(str.strip)


def rule(kind: str, value: str, message: str = "") -> Rule:
    return Rule("r1", kind, value, message)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "value", "kept", "breaks"),
    [
        ("must_contain", "refund", "A Refunds desk.", "We return it."),
        ("must_contain", "60 days", "within 60\n days", "within 6 0 days"),
        ("must_contain", "ガイド", "ﾂｱｰｶﾞｲﾄﾞです", "カイトです"),
        ("must_not_contain", "sorry", "Certainly.", "We are SORRY."),
        ("must_not_contain", "無料", "有料です", "駐車は無料です"),
        ("max_words", "4", "We don't open on-site.", "We do not open on-site."),
        ("max_words", "8", "開館は9時半です。", "開館は、9時半からです。"),
        ("regex", r"\d+ euros", "It costs 35 euros.", "It costs much."),
        ("regex", r"^(?!.*sorry)", "Certainly.", "So sorry."),
        ("regex", r"です。$", "休館です。", "休館ですよ"),
        ("json_schema", SCHEMA, ' {"days": 3, "code": "AB"}\n', '{"days": 0}'),
        ("json_schema", SCHEMA, '{"days": 3}', '{"days": 3, "code": "ab"}'),
        ("json_schema", SCHEMA, '{"days": 3}', '{"days": 3, "more": 1}'),
        ("json_schema", SCHEMA, '{"days": 3}', '```json\n{"days": 3}\n```'),
        ("json_schema", '{"type": "number"}', "3", "NaN"),
    ],
)
def test_an_answer_keeps_or_breaks_a_rule(kind: str, value: str, kept: str, breaks: str) -> None:
    asked = validate(rule(kind, value))
    assert broken([asked], kept) == []
    (found,) = broken([asked], breaks)
    assert found.rule == asked
    assert found.message.startswith("The answer")


def test_the_place_is_that_of_the_answer_as_written() -> None:
    answer = "この ＷＩＦＩ　ｶﾞｲﾄﾞ です"
    (found,) = broken([rule("must_not_contain", "wifi ガイド")], answer)
    assert found.span is not None
    assert answer[slice(*found.span)] == "ＷＩＦＩ　ｶﾞｲﾄﾞ"
    (found,) = broken([rule("max_words", "2")], "one two three, four")
    assert found.span == (8, 19)


def test_words_are_counted_as_word_processors_do() -> None:
    assert count_words("Don't stop: it's 4.50 euros — e-mail us!") == 7
    assert count_words("コーヒーを飲む") == 7
    assert count_words("館内のWi-Fiは無料です。") == 9
    assert count_words("한국어는 띄어쓰기가 있다") == 3
    assert count_words(" \n。、!") == 0


def test_the_experts_own_words_are_what_is_said() -> None:
    (found,) = broken([rule("must_contain", "§", "Cite the clause.")], "No.")
    assert found.message == "Cite the clause."


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("poem", "x", "no rule 'poem'"),
        ("must_contain", " \n", "empty"),
        ("must_contain", "x" * 100_001, "Shorten"),
        ("max_words", "ten", "whole number"),
        ("max_words", "0", "whole number"),
        ("max_words", "9" * 5000, "whole number"),
        ("regex", "[a", "unterminated character set"),
        ("regex", "(a|aa)+$", "repetition inside a repetition"),
        ("regex", ".*", "fits every answer"),
        ("regex", "a" * 2_001, "Split it"),
        ("json_schema", "{", "not JSON"),
        ("json_schema", "[]", "is an object"),
        ("json_schema", '{"type": "objekt"}', "no valid JSON schema"),
        ("json_schema", '{"$ref": "https://example.org/schema"}', "doesn't hold"),
        ("json_schema", '{"$ref": "#/$defs/gone"}', "doesn't hold"),
        ("json_schema", CIRCLE, "circle"),
        ("json_schema", '{"properties": {"a": {"pattern": "(a|aa)+$"}}}', "repetition inside a repetition"),
        ("json_schema", '{"patternProperties": {"(a|aa)+$": {}}}', "under properties"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused_with_a_way_out(kind: str, value: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        validate(rule(kind, value))
    assert says in str(refused.value)
    assert refused.value.hint
    assert broken([rule(kind, value)], "x") is not None  # one that was stored all the same does no harm


def test_names_of_fields_are_not_taken_for_keywords() -> None:
    schema = '{"properties": {"pattern": {"type": "string"}, "id": {"type": "string"}}, "enum": [{"$ref": "x"}, {}]}'
    assert broken([validate(rule("json_schema", schema))], "{}") == []


def test_a_pattern_that_never_ends_is_cut_short() -> None:
    slow = rule("regex", "(x|xx)+$")
    (found,) = broken([slow], "x" * 60 + "!")
    assert "took too long" in found.message
    nested = rule("json_schema", '{"items": {"pattern": "(x|xx)+$"}}')
    assert len(broken([nested], json.dumps(["x" * 60 + "!"]))) == 1


def test_a_deep_answer_is_broken_and_raises_nothing() -> None:
    (found,) = broken([rule("json_schema", SCHEMA)], "[" * 100_000)
    assert found.message == "The answer is not JSON."


def test_flags_name_the_row_and_tell_two_rules_apart() -> None:
    example = Example("e1", "p", 1, "draft", (Turn("user", "When?"),), "Sorry, no idea.")
    rules = [rule("must_not_contain", "sorry"), rule("must_not_contain", "idea"), rule("max_words", "5")]
    flags = as_flags(rules, example)
    assert [(f.kind, f.example_id, f.span) for f in flags] == [("rule", "e1", (0, 5)), ("rule", "e1", (10, 14))]
    assert len({f.key for f in flags}) == 2


def test_rules_written_by_hand_are_read_and_checked() -> None:
    rules = from_json(
        '[{"kind": "max_words", "value": 120}, {"id": "x", "kind": "regex", "value": "a", "blocks": true}]'
    )
    assert rules == (Rule("r1", "max_words", "120"), Rule("x", "regex", "a", blocks=True))
    (schema,) = from_json('[{"kind": "json_schema", "value": {"type": "object"}}]')
    assert broken([schema], "[]")
    for text, says in (
        ("{", "not JSON"),
        ("{}", "not a list"),
        ('[{"kind": "regex"}]', "Rule 1 needs"),
        ('[{"kind": "max_words", "value": 3}, {"kind": "regex", "value": "["}]', "Rule 2: The pattern"),
    ):
        with pytest.raises(InvalidInput, match=says):
            from_json(text)


KINDS = st.sampled_from(["must_contain", "must_not_contain", "max_words", "regex", "json_schema"])


@given(st.lists(st.tuples(KINDS, st.text(max_size=12), st.text(max_size=5)), max_size=4), st.text(max_size=60))
def test_no_rule_and_no_answer_raises(rules: list[tuple[str, str, str]], answer: str) -> None:
    for found in broken([rule(*r) for r in rules], answer):
        assert found.message
        assert found.span is None or 0 <= found.span[0] <= found.span[1] <= len(answer)


@given(st.text(min_size=1, max_size=6).filter(str.strip), st.text(max_size=40))
def test_an_answer_breaks_exactly_one_of_a_rule_and_its_opposite(value: str, answer: str) -> None:
    assert len(broken([rule("must_contain", value), rule("must_not_contain", value)], answer)) == 1


@given(st.lists(st.builds(Rule, TEXT, st.just("must_contain"), TEXT, st.text(), st.booleans())))
def test_rules_come_back_as_they_were_written(rules: list[Rule]) -> None:
    assert list(from_json(as_json(rules))) == rules
