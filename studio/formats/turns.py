"""Turns as other tools write them: OpenAI's and TRL's `role`/`content`, ShareGPT's `from`/`value`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from studio.errors import InvalidInput, Phrase
from studio.records import Role, Turn

ROLES: Mapping[str, Role] = {
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "function_call": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool", "function_response": "tool",
}  # fmt: skip
_TEXT_PARTS = {"text", "input_text", "output_text"}


def dumps(value: object) -> str:
    """Compact JSON, keys in their order. Whole numbers of any size are kept."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def loads(text: str, name: str) -> Any:
    """The value of a cell that holds JSON.

    Raises:
        InvalidInput: it doesn't.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(Phrase("`{column}` is not valid JSON", column=name)) from error


def check_depth(value: object) -> None:
    """Refuse what can't be saved again.

    Raises:
        InvalidInput: nested more than 250 levels deep, or a whole number of more than 64 bits.
    """
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise InvalidInput(Phrase("holds what can't be saved: {detail}", detail=str(error).lower())) from error


def read_turns(value: Any, name: str, *, learn: bool) -> list[Turn]:
    """Turns of a list in either dialect (or of its JSON, where a column must be text).

    Args:
        learn: whether other tools would train on its assistant turns; a `weight` of 0 overrules it.
    """
    if isinstance(value, str) and value[:1] == "[":
        value = loads(value, name)
    if not isinstance(value, list) or not value:
        raise InvalidInput(Phrase("`{column}` is not a list of turns", column=name))
    return [read_turn(turn, learn=learn) for turn in value]


def read_turn(turn: Any, *, learn: bool) -> Turn:
    if not isinstance(turn, Mapping):
        raise InvalidInput("a turn needs a `role` of system, user, assistant or tool")
    name, key = turn.get("role"), "content"
    if name is None:
        name, key = turn.get("from"), "value"
    role = ROLES.get(name) if isinstance(name, str) else None
    if name is None or role is None:
        raise InvalidInput("a turn needs a `role` of system, user, assistant or tool")
    content = turn.get(key)
    if len(turn) == 2 and isinstance(content, str) and name != "function_call":
        return Turn(role, content, True) if learn and role == "assistant" else Turn(role, content)
    return _read_rich_turn(turn, role, name, key, learn)


def _read_rich_turn(turn: Mapping[str, Any], role: Role, name: str, key: str, learn: bool) -> Turn:
    """A turn with tool calls, parts, a weight, or fields the studio has no name for."""
    content = turn.get(key)
    extra = {k: v for k, v in turn.items() if v is not None and k not in ("role", "from", "weight", key)}
    if name == "function_call":
        extra["tool_calls"], content = _read_calls(content), ""
    elif "tool_calls" not in extra and isinstance(extra.get("function_call"), Mapping):
        extra["tool_calls"] = [{"type": "function", "function": extra.pop("function_call")}]
    if not extra.get("tool_calls"):
        extra.pop("tool_calls", None)
    else:
        extra["tool_calls"] = [_as_openai(call) for call in _list(extra["tool_calls"], "tool_calls")]
    if isinstance(content, list):
        extra["content"], content = content, text_of(content)
    if content is None and "tool_calls" in extra:
        content = ""
    if not isinstance(content, str):
        raise InvalidInput(Phrase("`{field}` is missing" if content is None else "`{field}` is not text", field=key))
    if extra:
        check_depth(extra)
    return Turn(role, content, learn and role == "assistant" and turn.get("weight") != 0, extra)


def are_turns(value: Any) -> bool:
    """Whether a value is a list of turns, or their JSON in a column of text."""
    if isinstance(value, str) and value.startswith('[{"'):
        try:
            value = loads(value, "")
        except InvalidInput:
            return False
        names = [v.keys() if isinstance(v, dict) else set() for v in value]
        return all({"role", "content"} <= n or {"from", "value"} <= n for n in names)
    return isinstance(value, list)


def text_of(parts: Sequence[Any]) -> str:
    """The text of a list of content parts; pictures and the like say nothing."""
    texts = [p.get("text") for p in parts if isinstance(p, Mapping) and p.get("type") in _TEXT_PARTS]
    return "".join(t for t in texts if isinstance(t, str))


def _list(value: Any, name: str) -> list[Any]:
    value = loads(value, name) if isinstance(value, str) else value
    if not isinstance(value, list):
        raise InvalidInput(Phrase("`{column}` is not a list", column=name))
    return value


def _read_calls(value: Any) -> list[Any]:
    """ShareGPT's `function_call`: the JSON of a call, or of a list of them."""
    value = loads(value, "function_call") if isinstance(value, str) else value
    calls = value if isinstance(value, list) else [value]
    if not calls or not all(isinstance(call, Mapping) and isinstance(call.get("name"), str) for call in calls):
        raise InvalidInput("a function_call needs a `name` and `arguments`")
    return [{"type": "function", "function": dict(call)} for call in calls]


def _as_openai(call: Any) -> Any:
    """A tool call with its arguments as the JSON text OpenAI writes."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidInput("a tool call needs a `function` with a `name`")
    if isinstance(function.get("arguments"), str):
        return call
    return {**call, "function": {**function, "arguments": dumps(function.get("arguments") or {})}}


def calls_of(turn: Turn) -> list[tuple[str, Any]]:
    """Names and arguments of a turn's tool calls; the arguments as values where they are JSON."""
    calls = []
    for call in turn.extra.get("tool_calls") or ():
        function = call["function"]
        arguments = function.get("arguments")
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError:
            pass
        calls.append((function["name"], arguments))
    return calls


def check_order(turns: Sequence[Turn]) -> None:
    """Refuse a conversation that doesn't end with a question and its answer.

    Raises:
        InvalidInput: the last turns aren't that, or a system or tool turn stands where it can't.
    """
    for before, turn in zip((None, *turns), turns, strict=False):
        if turn.role == "tool" and (before is None or before.role not in ("assistant", "tool")):
            raise InvalidInput("a turn needs a `role` of system, user or assistant; tool only after a call")
        if turn.role == "system" and before is not None:
            raise InvalidInput("a system turn can only come first")
    if len(turns) < 2 or turns[-1].role != "assistant" or turns[-2].role not in ("user", "tool"):
        raise InvalidInput("the last turns must be a question (user) and its answer (assistant)")
    if turns[-2].role == "user" and not turns[-2].content.strip():
        raise InvalidInput("the question is empty")
    if not turns[-1].content.strip() and "tool_calls" not in turns[-1].extra:
        raise InvalidInput("the answer is empty")
