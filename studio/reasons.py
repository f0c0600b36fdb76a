"""What a flag says: one English sentence with its evidence, made here and read back here.

A reason is stored as the sentence it was when the flag was found. `read` finds the sentence and its evidence again, so
that the interface can say it in another language, also for flags that were stored long ago. `studio.ui.words_reasons`
has every sentence and every word of `THINGS` in Japanese.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

SENTENCES: Mapping[str, Mapping[str, str]] = {
    "duplicate": {"same": "The same question and answer as another row."},
    "near-duplicate": {"near": "Nearly the same question, and answers that agree in {share} of the text."},
    "contradiction": {
        "same": "The same question has two answers: “{one}” and “{other}”.",
        "alike": "A question much like another has two answers: “{one}” and “{other}”.",
        # As it was said before; such flags are stored until the next scan.
        "same_before": "The same question has another answer: {one} / {other}.",
        "alike_before": "A question alike ({similarity}) has another answer: {one} / {other}.",
    },
    "empty": {
        "answer": "The answer is empty.",
        "says_only": "The answer says only “{text}”.",
        "question": "The question is empty.",
        "no_question": "There is no question.",
    },
    "too-long": {"tokens": "The row has {tokens} tokens; {limit} fit."},
    "truncated": {
        "code": "A code block is opened and not closed.",
        "item": "The answer ends with the mark of a list item that has no text.",
        "bracket": "The bracket {mark} is not closed.",
        "begins": "The answer ends with the word “{text}”, which begins something.",
        "half": "The answer ends with “{text}”, which is half of a longer word used elsewhere.",
        "never_last": "No other sentence ends with “{text}”, which occurs {times} times, and the full stop is missing.",
        "never_last_two": "No other sentence ends with “{text}”, which occurs {times} times.",
        "one_word": "The last sentence is the one word “{text}”.",
        "goes_on": "The answer ends with “{text}”, after which a sentence goes on.",
        "no_stop": "The last sentence ends with “{text}” and has no full stop, unlike those before it.",
        "mark": "The answer ends with “{text}”.",
    },
    "language": {
        "row": "The whole row is in {told}; the project is in {expected}.",
        "answer": "The answer is in {told}; the project is in {expected}.",
    },
    "format": {
        "form": "The answer is {odd}; {share} of the others are {usual}.",
        "end": "The answer ends with {odd}; {share} of the others end with {usual}.",
        "start": "The answer begins with {odd}; {share} of the others begin with {usual}.",
        "label": "The label is spelled “{own}”; {times} others are spelled “{usual_label}”.",
    },
    "pii": {"found": "{what}: {text}"},
    "secret": {"found": "{what}: {text}…"},
    "control-token": {"mark": "The text holds “{text}”, which a chat template uses to mark turns."},
    "rule": {
        "must_contain": "The answer must contain “{text}”.",
        "must_not_contain": "The answer must not contain “{text}”.",
        "max_words": "The answer has {words} words; at most {limit} are allowed.",
        "regex": "The answer doesn't fit the pattern {text}.",
        "regex_slow": "The pattern {text} took too long on this answer; make it simpler.",
        "json": "The answer is not JSON.",
        "json_fence": "The answer is not JSON: leave out the ``` around it.",
        "json_place": "The answer is not JSON: line {line}, character {character} doesn't fit.",
        "schema_required": "The answer's JSON has no “{text}” at {place}.",
        "schema_type": "The answer's JSON must have a value of type {type} at {place}.",
        "schema_enum": "The answer's JSON has none of the allowed values at {place}.",
        "schema_extra": "The answer's JSON has a field that is not allowed at {place}.",
        "schema": "The answer's JSON doesn't fit the schema at {place} ({keyword}): {error}.",
        "schema_unusable": "The rule's schema can't be used: {error}.",
        "json_before": "The answer is not JSON: {error}: line {line} column {character} (char {at}).",
        "schema_before": "The answer's JSON doesn't fit the schema: {error}.",
    },
    "leak": {
        "near": "Nearly the same as a row for {side}; it is kept out of {own_side} until one is changed.",
        "given_away": "Nearly the same as a row for {side}, which it gives away once it is trained on.",
    },
}
"""By the kind of flag, then by a name. No sentence of a kind is read as another one that stands below it."""

THINGS: Mapping[str, tuple[str, ...]] = {
    "told": (
        "English", "Japanese", "German", "French", "Spanish", "Italian", "Dutch", "Portuguese", "Chinese", "Korean",
        "Russian", "Polish", "Swedish",
    ),
    "odd": (
        "JSON", "code", "a table", "a list", "a word or two", "text", "a full stop", "no full stop", "a capital letter",
        "a small letter",
    ),
    "what": (
        "E-mail address", "Telephone number", "Card number", "Bank account (IBAN)", "Social security number",
        "My Number (個人番号)", "Postal address", "IP address", "API key", "Password", "Password in a web address",
        "Sign-in token (JWT)", "Private Key", "AWS Access Key", "Artifactory Credentials",
        "Azure Storage Account access key", "Discord Bot Token", "GitHub Token", "GitLab Token", "Mailchimp Access Key",
        "NPM tokens", "OpenAI Token", "PyPI Token", "SendGrid API Key", "Slack Token", "Square OAuth Secret",
        "Stripe Access Key", "Telegram Bot Token", "Twilio API Key",
    ),
    "one": ("not", "days", "hours", "minutes", "euros", "dollars", "pounds", "yen"),
    "side": ("train", "validation", "test"),
    "type": ("string", "number", "integer", "boolean", "array", "object", "null"),
    "place": ("the top level",),
}  # fmt: skip
"""The words that evidence is named with, by the first place in a sentence that they fill."""

_FILLED_LIKE = {"expected": "told", "usual": "odd", "other": "one", "own_side": "side"}


def say(kind: str, name: str, **evidence: object) -> str:
    """The sentence in English."""
    return SENTENCES[kind][name].format(**evidence)


def read(kind: str, reason: str) -> tuple[str, dict[str, str]] | None:
    """Which sentence of a kind a reason is, and its evidence; None if it is in somebody's own words."""
    for name, pattern in _patterns(kind):
        if match := pattern.fullmatch(reason):
            return name, match.groupdict()
    return None


def things(place: str) -> tuple[str, ...]:
    """The words that may stand in one place of a sentence, as `{told}`; none where it holds what a row says."""
    return THINGS.get(_FILLED_LIKE.get(place, place), ())


@cache
def _patterns(kind: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, _pattern(text)) for name, text in SENTENCES.get(kind, {}).items())


def _pattern(sentence: str) -> re.Pattern[str]:
    # Before, evidence stood between the quotation marks of Python.
    text = re.sub("[“”]", lambda mark: f"[{mark[0]}'\"]", re.escape(sentence))
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", text), re.DOTALL)
