"""Rows that hold nothing but texts: most rows of most large files. They are read without making objects of each."""

from __future__ import annotations

from typing import Any, NamedTuple

from studio.formats.shape_readers import ShapeName, asked

_TURN = {"role", "content"}


class Plain(NamedTuple):
    """A row without tools, parts, marks or fields of its own; `draft_of` makes the same of it."""

    shape: ShapeName
    turns: list[dict[str, Any]]
    """The prompt as `Turn.as_dict` has it."""
    answer: str
    input: str = ""
    """Alpaca's `input`, which is kept beside the question it is part of."""


def plain_of(row: Any) -> Plain | None:
    """The row if it is plain and good; None: `draft_of` shall look at it, and say what is wrong with it."""
    if type(row) is not dict:
        return None
    if "instruction" in row:
        return _alpaca(row)
    if "messages" in row:
        return _messages(row["messages"]) if len(row) == 1 else None
    if len(row) == 2 and "prompt" in row:
        return _pair(row["prompt"], row.get("completion"))
    return None


def _alpaca(row: dict[str, Any]) -> Plain | None:
    known = 2
    instruction, output = row["instruction"], row.get("output")
    input_ = system = ""
    if "input" in row:
        known += 1
        input_ = row["input"]
    if "system" in row:
        known += 1
        system = row["system"]
    if known != len(row) or not (type(instruction) is type(output) is type(input_) is type(system) is str):
        return None
    question = asked(instruction, input_)
    if not question.strip() or not output.strip():
        return None
    turns = [{"role": "system", "content": system}] if system else []
    turns.append({"role": "user", "content": question})
    return Plain("alpaca", turns, output, input_)


def _messages(messages: Any) -> Plain | None:
    if type(messages) is not list or len(messages) < 2:
        return None
    turns = []
    for turn in messages:
        if type(turn) is not dict or turn.keys() != _TURN or type(turn["content"]) is not str:
            return None
        role = turn["role"]
        if role == "assistant":
            turns.append({"role": role, "content": turn["content"], "learn": True})
        elif role == "user" or (role == "system" and not turns):
            turns.append({"role": role, "content": turn["content"]})
        else:
            return None
    answer, question = turns.pop(), turns[-1]
    if answer["role"] != "assistant" or question["role"] != "user":
        return None
    if not question["content"].strip() or not answer["content"].strip():
        return None
    return Plain("messages", turns, answer["content"])


def _pair(prompt: Any, completion: Any) -> Plain | None:
    if not (type(prompt) is type(completion) is str) or prompt[:1] == "[" or completion[:1] == "[":
        return None
    if not prompt.strip() or not completion.strip():
        return None
    return Plain("prompt-completion", [{"role": "user", "content": prompt}], completion)
