"""How turns become tokens: the one place both the chat and the trainer use, so that what is asked later is what was
trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from studio.errors import InvalidInput, ModelUnavailable, Phrase
from studio.records import Turn, content_hash

FALLBACK = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'Question: ' + message['content'] + '\n' }}"
    "{% elif message['role'] == 'tool' %}{{ 'Result: ' + message['content'] + '\n' }}"
    "{% else %}{{ 'Answer: ' + message['content'] + eos_token + '\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"
)
"""For base models that come without a chat template; saved beside every adapter trained with it."""

Chat = tuple[Sequence[Turn], Any]
"""Turns, and the tools the model may call: a list of JSON schemas, the JSON text of one, or None."""
_REFUSALS = (TemplateError, TypeError, ValueError, LookupError, AttributeError)
"""What a template's own program may end with."""


def load_tokenizer(path: Path) -> Any:
    """The tokenizer of a model folder, with a pad token and a chat template in any case."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            Phrase("The tokenizer in {path} can't be read: {reason}.", path=path, reason=str(error))
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def template_of(tokenizer: Any) -> str:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return str(template or FALLBACK)


def template_hash(tokenizer: Any) -> str:
    return content_hash(template_of(tokenizer))[:16]


def control_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of the tokens that mark turns and never stand for text."""
    added = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def encode_prompt(tokenizer: Any, messages: Sequence[Turn], tools: Any = None) -> list[int]:
    """Ids of the turns and the opening of the answer.

    Raises:
        InvalidInput: the template refuses these turns, or the tools can't be read.
    """
    [ids] = apply_all(tokenizer, [(messages, tools)], add_generation_prompt=True)
    if isinstance(ids, InvalidInput):
        raise ids
    return ids


def apply_all(tokenizer: Any, chats: Sequence[Chat], *, add_generation_prompt: bool) -> list[list[int] | InvalidInput]:
    """Ids of each chat, or why the template refuses it. Chats without tools are encoded in one call."""
    plain = [i for i, (turns, tools) in enumerate(chats) if turns and not tools]
    found: dict[int, list[int]] = {}
    try:
        if len(plain) > 1:
            messages = [[_message(turn) for turn in chats[i][0]] for i in plain]
            found = dict(zip(plain, _apply(tokenizer, messages, None, add_generation_prompt), strict=True))
    except _REFUSALS:
        pass  # one by one, to see which
    return [
        found[i] if i in found else _apply_one(tokenizer, chat, add_generation_prompt) for i, chat in enumerate(chats)
    ]


def _apply_one(tokenizer: Any, chat: Chat, add_generation_prompt: bool) -> list[int] | InvalidInput:
    turns, tools = chat
    if not turns:
        return InvalidInput("There is nothing to render: the row has no turns.")
    try:
        schemas = read_tools(tools)
        try:
            return _apply(tokenizer, [[_message(turn) for turn in turns]], schemas, add_generation_prompt)[0]
        except _REFUSALS:
            # Some templates want the arguments of a call as the text they were given in.
            return _apply(tokenizer, [[turn.as_message() for turn in turns]], schemas, add_generation_prompt)[0]
    except InvalidInput as error:
        return error
    except _REFUSALS as error:
        return InvalidInput(
            Phrase("The model's chat template refuses it: {reason}.", reason=str(error)),
            "Change the turns, or their order.",
        )


def render_text(tokenizer: Any, turns: Sequence[Turn]) -> str:
    """What the template writes for whole turns, before it is tokenised; empty if it refuses them."""
    try:
        return str(
            tokenizer.apply_chat_template(
                [_message(turn) for turn in turns],
                chat_template=template_of(tokenizer),
                tokenize=False,
                enable_thinking=False,
            )
        )
    except _REFUSALS:
        return ""


def read_tools(value: Any) -> list[dict[str, Any]] | None:
    """A row's tools as templates take them; rows from files may hold them as JSON text.

    Raises:
        InvalidInput: they are no list of objects.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InvalidInput("The row's tools can't be read as JSON.", "Correct its field `tools`.") from error
    if not value:
        return None
    if not (isinstance(value, list | tuple) and all(isinstance(tool, dict) for tool in value)):
        raise InvalidInput("The row's tools are no list of JSON objects.", "Correct its field `tools`.")
    return list(value)


def _message(turn: Turn) -> dict[str, Any]:
    """A turn as templates read it: a call's arguments as an object, where OpenAI has the object's JSON text."""
    message = turn.as_message()
    if isinstance(calls := message.get("tool_calls"), list | tuple):
        message["tool_calls"] = [_call(call) for call in calls]
    return message


def _call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": arguments}} if isinstance(arguments, dict) else call


def _apply(
    tokenizer: Any, chats: Sequence[Sequence[dict[str, Any]]], tools: Any, add_generation_prompt: bool
) -> list[list[int]]:
    encoded = tokenizer.apply_chat_template(
        list(chats),
        tools=tools,
        chat_template=template_of(tokenizer),
        add_generation_prompt=add_generation_prompt,
        tokenize=True,
        # Without it, "<|im_end|>" typed by a user would end the turn.
        sanitize_control_tokens=True,
        enable_thinking=False,
    )
    return [list(ids) for ids in encoded["input_ids"]]


def split_text(tokenizer: Any, ids: Sequence[int], bounds: Sequence[int]) -> list[str]:
    """The text of `ids`, cut at the positions `bounds`; joined, the pieces are the text of all.

    A character whose tokens lie on both sides of a bound belongs to the later piece.
    """

    def decode(part: Sequence[int]) -> str:
        return str(tokenizer.decode(list(part), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    whole, cuts = decode(ids), [0, *bounds, len(ids)]
    pieces = [decode(ids[start:end]) for start, end in pairwise(cuts)]
    if "".join(pieces) == whole:
        return pieces
    places = [0, *accumulate((_common(decode(ids[:bound]), whole) for bound in bounds), max), len(whole)]
    return [whole[start:end] for start, end in pairwise(places)]


def _common(text: str, whole: str) -> int:
    """Length of the longest beginning that both share."""
    if whole.startswith(text):
        return len(text)
    return next((i for i, (a, b) in enumerate(zip(text, whole, strict=False)) if a != b), len(whole))
