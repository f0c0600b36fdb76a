"""How turns become tokens: the one place both the chat and the trainer use, so that what is asked later is what was
trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import ModelUnavailable
from studio.records import Turn, content_hash

FALLBACK = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'Question: ' + message['content'] + '\n' }}"
    "{% else %}{{ 'Answer: ' + message['content'] + eos_token + '\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"
)
"""For base models that come without a chat template; saved beside every adapter trained with it."""


@dataclass(frozen=True)
class EncodedExample:
    """Token ids of prompt and answer; the loss is taken on `ids[prompt_tokens:]`."""

    ids: tuple[int, ...]
    prompt_tokens: int


def load_tokenizer(path: Path) -> Any:
    """The tokenizer of a model folder, with a pad token and a chat template in any case."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"The tokenizer in {path} can't be read: {error}.") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def template_of(tokenizer: Any) -> str:
    return str(tokenizer.chat_template or FALLBACK)


def template_hash(tokenizer: Any) -> str:
    return content_hash(template_of(tokenizer))[:16]


def encode_prompt(tokenizer: Any, messages: Sequence[Turn]) -> list[int]:
    """Ids of the turns and the opening of the answer."""
    return _apply(tokenizer, messages, add_generation_prompt=True)


def encode_example(tokenizer: Any, messages: Sequence[Turn], answer: str) -> EncodedExample:
    """Ids of the turns and the answer up to its end-of-turn token."""
    prompt = encode_prompt(tokenizer, messages)
    whole = _apply(tokenizer, [*messages, Turn("assistant", answer)], add_generation_prompt=False)
    eos = tokenizer.eos_token_id
    if whole[: len(prompt)] == prompt:
        completion = whole[len(prompt) :]
        if eos in completion:
            # What the template writes after the end of the turn is never generated.
            completion = completion[: len(completion) - completion[::-1].index(eos)]
    else:
        # Templates that open the answer differently from how they close it (thinking models).
        text = answer if answer[:1].isspace() or tokenizer.chat_template else " " + answer
        completion = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not completion or completion[-1] != eos:
        completion = [*completion, eos]
    return EncodedExample(tuple(prompt + completion), len(prompt))


def _apply(tokenizer: Any, messages: Sequence[Turn], *, add_generation_prompt: bool) -> list[int]:
    encoded = tokenizer.apply_chat_template(
        [turn.as_message() for turn in messages],
        chat_template=template_of(tokenizer),
        add_generation_prompt=add_generation_prompt,
        tokenize=True,
        # Without it, "<|im_end|>" typed by a user would end the turn.
        sanitize_control_tokens=True,
        enable_thinking=False,
    )
    return list(encoded["input_ids"])
