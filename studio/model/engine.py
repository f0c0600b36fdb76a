"""What answers prompts: the protocol, and an engine without weights for trying the interface."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from studio.errors import AdapterRejected, Phrase
from studio.model.encoding import EncodedExample, Marks, Reason, TrainingRow
from studio.records import BaseIdentity, Sampling, Turn, content_hash


@dataclass(frozen=True)
class Prompt:
    """A prompt exactly as the model reads it."""

    ids: tuple[int, ...]
    text: str
    template_hash: str

    @property
    def tokens(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Request:
    """One question to one adapter, or to two in one batch. `adapters` holds ids; None is the base."""

    prompt: Prompt
    sampling: Sampling
    adapters: tuple[str | None, ...] = (None,)
    stop: tuple[str, ...] = ()
    """The answer ends before any of these strings."""


@dataclass(frozen=True)
class Piece:
    """A stretch of new text for one side of a request."""

    side: int
    text: str


@dataclass
class EngineState:
    """Where loading stands; read by the interface."""

    name: str = "absent"
    """absent, loading, ready or failed"""
    detail: str = ""
    done: int = 0
    total: int = 0
    error: Exception | None = field(default=None, repr=False)


class Engine(Protocol):
    """Answers prompts with the base or any loaded adapter. Safe to call from several threads."""

    identity: BaseIdentity
    context_length: int
    has_chat_template: bool
    control_ids: frozenset[int]
    """Tokens that mark turns and never stand for text."""

    def render(self, messages: Sequence[Turn], tools: Any = None) -> Prompt:
        """Chat template applied, ready for an answer. Control tokens in the turns' text are read as plain text.

        Raises:
            InvalidInput: the template refuses these turns.
        """

    def render_text(self, text: str) -> Prompt:
        """Plain text to be continued."""

    def encode(self, rows: Sequence[TrainingRow]) -> list[EncodedExample]:
        """Whole rows as the trainer reads them."""

    def split_text(self, ids: Sequence[int], bounds: Sequence[int]) -> list[str]:
        """The text of `ids` cut at the positions `bounds`; a character cut in two belongs to the later piece."""

    def stream(self, request: Request, cancelled: threading.Event) -> Iterator[Piece]:
        """Answer as it is written. Ends early once `cancelled` is set. Holds one adapter from first to last token."""

    def answer(
        self, prompts: Sequence[Prompt], adapter: str | None, limits: Sequence[int], cancelled: threading.Event
    ) -> Iterator[tuple[int, str]]:
        """Greedy answers in batches, as (index, text), in no fixed order; gives way to `stream`.
        `limits`: most new tokens, one per prompt."""

    def load_adapter(self, adapter_id: str, folder: Path, sha256: str) -> None:
        """Check an adapter's files and load it beside the base; nothing to do if it is there already.

        Raises:
            AdapterRejected: a check failed; nothing that was loaded before changed.
        """

    def has_adapter(self, adapter_id: str) -> bool: ...

    def drop_adapter(self, adapter_id: str) -> None: ...


class EchoEngine:
    """A working engine without weights: it says what was asked. For trying the interface and for tests."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.identity = BaseIdentity("echo", "1", "0" * 64, "full")
        self.context_length = 2048
        self.has_chat_template = True
        self.control_ids: frozenset[int] = frozenset()
        self.delay_s = delay_s
        self._adapters: set[str] = set()

    def render(self, messages: Sequence[Turn], tools: Any = None) -> Prompt:
        return self.render_text(self._text(messages) + "<assistant>")

    def _text(self, turns: Sequence[Turn]) -> str:
        return "".join(f"<{t.role}>{t.content}\n" for t in turns)

    def render_text(self, text: str) -> Prompt:
        return Prompt(tuple(ord(c) for c in text), text, content_hash("echo")[:16])

    def encode(self, rows: Sequence[TrainingRow]) -> list[EncodedExample]:
        return [self._encode(row) for row in rows]

    def _encode(self, row: TrainingRow) -> EncodedExample:
        spans = []
        for place, turn in enumerate(row.turns):
            if turn.role == "assistant" and turn.learn and turn.content.strip():
                start = len(self._text(row.turns[:place])) + len("<assistant>")
                spans.append((start, start + len(turn.content) + 1))
        problem: Reason | None = None
        if not spans:
            problem = "empty" if row.answer.learn else "nothing-to-learn"
        ids = tuple(ord(c) for c in self._text(row.turns))
        prompt_tokens = len(ids) - len(row.answer.content) - 1
        return EncodedExample(ids, prompt_tokens, Marks(len(ids), tuple(spans), problem))

    def split_text(self, ids: Sequence[int], bounds: Sequence[int]) -> list[str]:
        cuts = [0, *bounds, len(ids)]
        return ["".join(map(chr, ids[start:end])) for start, end in pairwise(cuts)]

    def _reply(self, prompt: Prompt, adapter: str | None) -> str:
        question = prompt.text.rsplit("<user>", 1)[-1].split("\n<assistant>")[0]
        return f"You said: {question}" if adapter is None else f"Lesson says: {question}"

    def stream(self, request: Request, cancelled: threading.Event) -> Iterator[Piece]:
        for side, adapter in enumerate(request.adapters):
            words = self._reply(request.prompt, adapter).split(" ")[: request.sampling.max_tokens]
            for number, word in enumerate(words):
                if cancelled.is_set():
                    return
                time.sleep(self.delay_s)
                yield Piece(side, f" {word}" if number else word)

    def answer(
        self, prompts: Sequence[Prompt], adapter: str | None, limits: Sequence[int], cancelled: threading.Event
    ) -> Iterator[tuple[int, str]]:
        for index, prompt in enumerate(prompts):
            if cancelled.is_set():
                return
            yield index, self._reply(prompt, adapter)

    def load_adapter(self, adapter_id: str, folder: Path, sha256: str) -> None:
        if not folder.is_dir():
            raise AdapterRejected(Phrase("The adapter's folder {name} is missing.", name=folder.name))
        self._adapters.add(adapter_id)

    def has_adapter(self, adapter_id: str) -> bool:
        return adapter_id in self._adapters

    def drop_adapter(self, adapter_id: str) -> None:
        self._adapters.discard(adapter_id)
