"""A turn as other tools write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from studio.formats.turns import dumps, read_turn, text_of
from studio.records import Turn


def openai_turn(turn: Turn) -> dict[str, Any]:
    """OpenAI's chat message: parts where it came as parts, `weight` 0 where it isn't to be learned."""
    parts = turn.extra.get("content")
    is_current = isinstance(parts, list) and text_of(parts) == turn.content
    message = {**turn.as_message(), "content": parts if is_current else turn.content}
    return message if turn.role != "assistant" or turn.learn else {**message, "weight": 0}


def trl_turn(turn: Turn) -> dict[str, Any]:
    """A message as a chat template wants it: the arguments of tool calls are values, not text."""
    if not turn.extra:
        return {"role": turn.role, "content": turn.content}
    message = turn.as_message()
    if "tool_calls" in message:
        message["tool_calls"] = [_with_values(call) for call in message["tool_calls"]]
    return message


def _with_values(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        arguments = orjson.loads(function["arguments"])
    except (KeyError, orjson.JSONDecodeError):
        return dict(call)
    return {**call, "function": {**function, "arguments": arguments}}


def sharegpt_turn(turn: Turn) -> dict[str, Any]:
    calls = turn.extra.get("tool_calls")
    if calls:
        plain = [{k: _with_values(call)["function"].get(k) for k in ("name", "arguments")} for call in calls]
        return {"from": "function_call", "value": dumps(plain[0] if len(plain) == 1 else plain)}
    names = {"user": "human", "assistant": "gpt", "tool": "observation", "system": "system"}
    return {"from": names[turn.role], "value": turn.content}


def _read_back(render: Callable[[Turn], dict[str, Any]]) -> Callable[[Turn], Turn]:
    """A turn as it is read from what `render` wrote."""
    return lambda turn: read_turn(render(turn), learn=True)


OPENAI, TRL, SHAREGPT = _read_back(openai_turn), _read_back(trl_turn), _read_back(sharegpt_turn)


def text_only(turn: Turn) -> Turn:
    return Turn(turn.role, turn.content)
