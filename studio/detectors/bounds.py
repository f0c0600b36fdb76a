"""What one row shows by itself: nothing said, too much said, control tokens within the text."""

from __future__ import annotations

import re

from studio import reasons
from studio.detectors.text import turns_of
from studio.records import Example
from studio.rows import Flag

_CONTROL = re.compile(
    r"<[|｜][A-Za-z0-9_▁./ -]{1,40}[|｜]>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>"
    r"|<(?:bos|eos|pad|unk|mask|sep|cls)>|</s>|\[(?:BOS|EOS|PAD|UNK|MASK|SEP|CLS)\]|<\|?end_?of_?text\|?>"
    r"|<(?:im_start|im_end)>|^#{2,3} (?:Instruction|Response|Input):",
    re.MULTILINE,
)
_STRUCK = re.compile(r"<s>[^<]{1,400}</s>")
"""In HTML, <s> strikes text out."""
_NOTHING = re.compile(
    r"[\s\u200b-\u200f\u2060\ufeff\u00ad.…_-]*|n/?a|none|null|nan|todo|tbd|<?no ?(?:input|output)>?", re.IGNORECASE
)


def empty(example: Example) -> Flag | None:
    """A flag where question or answer say nothing."""
    if example.answer_extra.get("tool_calls"):
        return None
    if not example.answer.strip("\u200b\u200c\u200d\u2060\ufeff \n\t\r\u3000"):
        return Flag(example.id, "empty", reasons.say("empty", "answer"))
    if _NOTHING.fullmatch(example.answer):
        reason = reasons.say("empty", "says_only", text=example.answer.strip())
        return Flag(example.id, "empty", reason, span=(0, len(example.answer)))
    for number, turn in enumerate(example.messages):
        if turn.role == "user" and not turn.content.strip() and not turn.extra:
            return Flag(example.id, "empty", reasons.say("empty", "question"), field=f"messages[{number}]")
    if not example.messages:
        return Flag(example.id, "empty", reasons.say("empty", "no_question"), field="messages[0]")
    return None


def too_long(example: Example, tokens: int, context_tokens: int) -> Flag | None:
    """A flag where a row of `tokens` tokens doesn't fit and would be cut or left out in training."""
    if tokens <= context_tokens:
        return None
    return Flag(example.id, "too-long", reasons.say("too-long", "tokens", tokens=tokens, limit=context_tokens))


def control_tokens(example: Example) -> list[Flag]:
    """One flag for each text that holds what a chat template means to put there itself."""
    flags = []
    for field, text in turns_of(example):
        if not any(mark in text for mark in "<[#"):
            continue
        match = _CONTROL.search(_STRUCK.sub(lambda m: " " * len(m[0]), text))
        if match:
            reason = reasons.say("control-token", "mark", text=match[0])
            flags.append(Flag(example.id, "control-token", reason, span=match.span(), field=field))
    return flags
