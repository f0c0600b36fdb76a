"""Rules that every answer of a project must keep to: checked on save, on import and on what the model answers.

What counts as what:

* `must_contain`, `must_not_contain`: the text anywhere in the answer; letter case, width (ＡＢ and AB) and runs of
  white space make no difference. It need not be a whole word: "refund" is contained in "refunds".
* `max_words`: as word processors count. A word between spaces counts one, with its hyphens and apostrophes; every
  Japanese or Chinese character counts one, since there are no spaces to go by; punctuation does not count.
* `regex`: must match somewhere in the answer; anchor it with ^ and $ to mean the whole. `^(?!.*word)` forbids a word.
* `json_schema`: the whole answer must be JSON, without a code fence, and fit the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import regex
from jsonschema import validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.jsonschema import EMPTY_REGISTRY

from studio import reasons
from studio.errors import InvalidInput, Phrase
from studio.records import Example, normalise
from studio.rows import Flag, Rule, RuleKind

TIMEOUT_S = 0.1
"""Longest search for one pattern; after that the answer counts as breaking the rule, with a message that says so."""
MAX_PATTERN = 2_000
MAX_VALUE = 100_000
_PROBES = ("a" * 40 + "!", "1" * 40 + "!", "あ" * 40 + "!", " " * 40 + "!", "ab" * 20 + "!", "a b" * 14 + "!")
"""Texts on which patterns with nested repetition take exponential time."""
_WORD = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー々〆〇]|[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+"
    r"(?:[-'’.,·_][[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+)*",
    regex.V1,
)
_NAMED = ("properties", "$defs", "definitions", "dependentSchemas")
_PLAIN = ("enum", "const", "default", "examples", "required", "dependentRequired")


@dataclass(frozen=True)
class Broken:
    """One rule that an answer breaks."""

    rule: Rule
    message: str
    """The expert's own words, or one of the English sentences of `reasons`."""
    span: tuple[int, int] | None = None
    """Where in the answer: characters from, to."""


def broken(rules: Sequence[Rule], answer: str) -> list[Broken]:
    """The rules that an answer breaks, in their order. Raises nothing: a rule that can't be used counts as broken."""
    return [found for rule in rules if (found := _check(rule, answer)) is not None]


def as_flags(rules: Sequence[Rule], example: Example) -> list[Flag]:
    """The flags (kind `rule`) of a row's answer."""
    return [Flag(example.id, "rule", b.message, span=b.span) for b in broken(rules, example.answer)]


def count_words(text: str) -> int:
    """Words as `max_words` counts them (see above)."""
    return sum(1 for _ in _WORD.finditer(text))


def _broken(rule: Rule, name: str, span: tuple[int, int] | None = None, **evidence: object) -> Broken:
    return Broken(rule, rule.message.strip() or reasons.say("rule", name, **evidence), span)


def _check(rule: Rule, answer: str) -> Broken | None:
    match rule.kind:
        case "must_contain":
            return None if _folded(rule.value) in _folded(answer) else _broken(rule, "must_contain", text=rule.value)
        case "must_not_contain":
            if _folded(rule.value) not in _folded(answer):
                return None
            return _broken(rule, "must_not_contain", _find(rule.value, answer), text=rule.value)
        case "max_words":
            return _check_words(rule, answer)
        case "regex":
            return _check_pattern(rule, answer)
        case _:
            return _check_json(rule, answer)


# Text


def _folded(text: str) -> str:
    return normalise(text).casefold()


def _find(wanted: str, text: str) -> tuple[int, int] | None:
    """Where `wanted` stands in `text`, both folded; places are those of the text as it is."""
    folded, places = "", list[int]()
    for cluster in regex.finditer(r"\s+|\X", text):
        piece = " " if cluster.group().isspace() else _folded(cluster.group())
        folded += piece
        places += [cluster.start()] * len(piece)
    sought = _folded(wanted)
    start = folded.find(sought)
    if start < 0 or not sought:
        return None
    end = start + len(sought)
    return places[start], places[end] if end < len(places) else len(text)


def _check_words(rule: Rule, answer: str) -> Broken | None:
    try:
        most = int(rule.value)
    except ValueError:
        most = 0
    words = count_words(answer)
    if words <= most:
        return None
    first_over = next((m.start() for n, m in enumerate(_WORD.finditer(answer)) if n == most), len(answer))
    return _broken(rule, "max_words", (first_over, len(answer)), words=words, limit=most)


# Patterns


@lru_cache(maxsize=256)
def _pattern(text: str) -> regex.Pattern[str] | None:
    try:
        return regex.compile(text) if len(text) <= MAX_PATTERN else None
    except (regex.error, OverflowError, RecursionError, MemoryError, ValueError):
        return None


def _matches(pattern: regex.Pattern[str], text: str) -> bool | None:
    """Whether it matches somewhere; None if that could not be found out in `TIMEOUT_S`."""
    try:
        return pattern.search(text, timeout=TIMEOUT_S) is not None
    except TimeoutError:
        return None


def _check_pattern(rule: Rule, answer: str) -> Broken | None:
    pattern = _pattern(rule.value)
    found = _matches(pattern, answer) if pattern else False
    if found:
        return None
    return _broken(rule, "regex_slow" if found is None else "regex", text=rule.value)


# JSON


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_json(rule: Rule, answer: str) -> Broken | None:
    try:
        value = json.loads(answer, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return _no_json(rule, answer, error)
    try:
        error_ = next(_schema(rule.value).iter_errors(value), None)
    except (InvalidInput, RecursionError, ArithmeticError) as error:
        return _broken(rule, "schema_unusable", error=str(error).rstrip("."))
    return None if error_ is None else _misfit(rule, error_)


def _no_json(rule: Rule, answer: str, error: Exception) -> Broken:
    if not isinstance(error, json.JSONDecodeError):
        return _broken(rule, "json")
    span = (error.pos, len(answer))
    if answer.lstrip().startswith("```"):
        return _broken(rule, "json_fence", span)
    return _broken(rule, "json_place", span, line=error.lineno, character=error.colno)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | dict) else []


def _misfit(rule: Rule, error: ValidationError) -> Broken:
    place = error.json_path.removeprefix("$").removeprefix(".") or "the top level"
    match error.validator:
        case "required":
            lacking = [str(name) for name in _listed(error.validator_value) if name not in _listed(error.instance)]
            return _broken(rule, "schema_required", text=lacking[0] if lacking else "", place=place)
        case "type" if isinstance(error.validator_value, str):
            return _broken(rule, "schema_type", place=place, type=error.validator_value)
        case "enum" | "const":
            return _broken(rule, "schema_enum", place=place)
        case "additionalProperties":
            return _broken(rule, "schema_extra", place=place)
        case keyword:
            return _broken(rule, "schema", place=place, keyword=keyword, error=error.message[:300])


def _matches_in_time(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """The keyword `pattern`; jsonschema's own would run for ever on a bad one."""
    pattern = _pattern(wanted)
    if isinstance(instance, str) and (pattern is None or not _matches(pattern, instance)):
        yield ValidationError(f"{instance!r} does not match {wanted!r}")


@lru_cache(maxsize=64)
def _schema(text: str) -> Any:
    """A validator of the schema in `text`. References lead nowhere but into the schema itself.

    Raises:
        InvalidInput: it is no schema, or one that can't be used here.
    """
    try:
        schema = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            Phrase("The schema is not JSON: {reason}.", reason=str(error)), "Mend it, or paste it again."
        ) from error
    if not isinstance(schema, dict):
        raise InvalidInput("A JSON schema is an object.", 'For example: {"type": "object", "required": ["answer"]}.')
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        reason = error.message if isinstance(error, SchemaError) else "it is nested too deeply"
        raise InvalidInput(
            Phrase("This is no valid JSON schema: {reason}.", reason=reason), "Mend it, or paste it again."
        ) from error
    for key, value in _keywords(schema):
        _refuse_keyword(schema, key, value)
    extend: Any = validators.extend  # it has no types
    validator = extend(kind, {"pattern": _matches_in_time})(schema, registry=EMPTY_REGISTRY)
    try:
        probe: Any
        for probe in ({}, [], ""):
            next(validator.iter_errors(probe), None)
    except RecursionError as error:
        raise InvalidInput("The schema's references go round in a circle.", "Say what they are.") from error
    return validator


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every keyword of a schema and the schemas in it; names of fields and plain values are none."""
    if isinstance(schema, list):
        for part in schema:
            yield from _keywords(part)
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        yield key, value
        if key in _NAMED and isinstance(value, dict):
            yield from _keywords(list(value.values()))
        elif key not in _PLAIN:
            yield from _keywords(value)


def _refuse_keyword(schema: Mapping[str, Any], key: str, value: Any) -> None:
    if key in ("patternProperties", "unevaluatedProperties", "$dynamicRef", "$recursiveRef", "$id", "id"):
        raise InvalidInput(
            Phrase("{key} can't be used in a rule's schema.", key=key), "Name the fields under properties instead."
        )
    if key == "pattern":
        _validate_pattern(value)
    if key == "$ref":
        target: Any = schema
        for part in value.removeprefix("#").strip("/").split("/") if value.startswith("#") else ():
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) and name else None
        if not value.startswith("#/") or not isinstance(target, dict | bool):
            raise InvalidInput(
                Phrase("The schema refers to {value}, which it doesn't hold.", value=value), "Put it under $defs."
            )


# Making rules


def validate(rule: Rule) -> Rule:
    """The rule, if it can be used.

    Raises:
        InvalidInput: it can't; says what to do.
    """
    if rule.kind not in get_args(RuleKind):
        raise InvalidInput(
            Phrase("There is no rule {kind!r}.", kind=rule.kind),
            Phrase("There are: {names}.", names=", ".join(get_args(RuleKind))),
        )
    if not rule.value.strip():
        raise InvalidInput("The rule is empty.", "Write what it looks for.")
    if len(rule.value) > MAX_VALUE:
        raise InvalidInput(Phrase("The rule has more than {most} characters.", most=MAX_VALUE), "Shorten it.")
    if rule.kind == "max_words":
        _validate_number(rule.value)
    elif rule.kind == "regex":
        _validate_pattern(rule.value)
    elif rule.kind == "json_schema":
        _schema(rule.value)
    return rule


def _validate_number(text: str) -> None:
    if not (text.strip().isdecimal() and 1 <= int(text[:12]) <= 1_000_000):
        raise InvalidInput(
            Phrase("{text!r} is no number of words.", text=text), "Give a whole number from 1 on, such as 120."
        )


def _validate_pattern(text: str) -> None:
    if len(text) > MAX_PATTERN:
        raise InvalidInput(
            Phrase("The pattern has more than {most} characters.", most=MAX_PATTERN), "Split it into several rules."
        )
    try:
        regex.compile(text)
    except regex.error as error:
        raise InvalidInput(
            Phrase("The pattern can't be read: {reason}.", reason=str(error)),
            "To look for plain text, use must_contain.",
        ) from error
    except (OverflowError, RecursionError, MemoryError, ValueError) as error:
        raise InvalidInput("The pattern is too large.", "Use smaller numbers of repetitions.") from error
    pattern = regex.compile(text)
    if any(_matches(pattern, probe) is None for probe in _PROBES):
        raise InvalidInput(
            "The pattern takes too long on some answers.", "Avoid a repetition inside a repetition, such as (a+)+."
        )
    # Where nothing ties a pattern to a place, one that fits the empty text fits every text.
    if pattern.fullmatch("") and not regex.search(r"[\^$]|\\[bBAZGmM]|\(\?[=!<>]", text):
        raise InvalidInput("The pattern fits every answer.", "Name something that must be there.")


def as_json(rules: Sequence[Rule]) -> str:
    """Rules as text, to store or to hand on."""
    return json.dumps([vars(rule) for rule in rules], ensure_ascii=False)


def from_json(text: str) -> tuple[Rule, ...]:
    """Rules as `as_json` wrote them, or as someone wrote by hand.

    Raises:
        InvalidInput: not a list of rules, or one of them can't be used; says which.
    """
    hint = 'Give a list such as [{"id": "r1", "kind": "must_contain", "value": "refund"}].'
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(Phrase("The rules are not JSON: {reason}.", reason=str(error)), hint) from error
    if not isinstance(rows, list):
        raise InvalidInput("The rules are not a list.", hint)
    return tuple(_from_row(number, row, hint) for number, row in enumerate(rows, 1))


def _from_row(number: int, row: Any, hint: str) -> Rule:
    if not isinstance(row, dict) or not {"kind", "value"} <= row.keys() <= {"id", "kind", "value", "message", "blocks"}:
        raise InvalidInput(Phrase("Rule {number} needs kind and value.", number=number), hint)
    value = row["value"] if isinstance(row["value"], str) else json.dumps(row["value"], ensure_ascii=False)
    rule = Rule(
        str(row.get("id") or f"r{number}"), row["kind"], value, str(row.get("message") or ""), row.get("blocks") is True
    )
    try:
        return validate(rule)
    except InvalidInput as error:
        raise InvalidInput(
            Phrase("Rule {number}: {reason}", number=number, reason=error.message), error.hint
        ) from error
