"""What the studio's errors and reasons say, in the language of the page."""

from __future__ import annotations

import re

from studio.errors import Blocked, Phrase, StudioError
from studio.ui import words_errors, words_reasons

OURS = {"detail", "fault", "instead", "kind", "label", "phase", "reason", "side", "terms", "them", "then", "what"}
"""What the values of a phrase are called that are texts of the studio, or of what it is built on."""
STORED = (
    "The training process ended without a word, {where}.",
    "while {phase} at step {step} of {total}",
    "while {phase}",
)
"""Templates of what a run's record says of its end."""


def told(language: str, text: str) -> str:
    """What an error or a reason says in one language; in English while `words_errors` has no other words for it."""
    words = words_errors.JA.get(text.template if isinstance(text, Phrase) else text) if language == "ja" else None
    if words is None:
        return str(text)
    if not isinstance(text, Phrase):
        return words
    # What somebody named themselves stays as it is, also where it is called as something of ours.
    return words.format(
        **{
            key: told(language, value)
            if isinstance(value, Phrase) or (key in OURS and isinstance(value, str))
            else value
            for key, value in text.values.items()
        }
    )


def error_text(language: str, error: StudioError) -> str:
    """What happened, and what to do."""
    message = error.message
    if isinstance(error, Blocked):
        reason = words_reasons.say("rule", error.reason, language)
        message = Phrase("This can't be approved: {reason}", reason=reason)
    return f"{told(language, message)} {told(language, error.hint)}".strip()


def stored_error(language: str, text: str) -> str:
    """An error that was stored as one text, what happened and what to do: told as far as it is known."""
    for end in (*(found.end() - 1 for found in re.finditer(r"[.?!] ", text)), len(text)):
        message, hint = _read_again(text[:end]), _read_again(text[end:].lstrip())
        if message is not None and hint is not None:
            return f"{told(language, message)} {told(language, hint)}".strip()
    return text


def _read_again(text: str) -> str | None:
    """A text that `words_errors` knows, a phrase where it is filled in; None if it is none."""
    if not text or text in words_errors.JA:
        return text
    for template in STORED:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(template))
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return Phrase(template, **{key: _read_again(value) or value for key, value in found.groupdict().items()})
    return None
