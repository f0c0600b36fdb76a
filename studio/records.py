"""The nouns of the studio as frozen values. They neither render nor query."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from studio.errors import InvalidInput, Phrase

if TYPE_CHECKING:
    from studio.rows import Rule, Shares

Role = Literal["system", "user", "assistant", "tool"]
Verdict = Literal["accepted", "corrected", "rejected"]
Status = Literal["draft", "approved", "rejected", "deleted"]
Format = Literal["instruction", "chat"]
Split = Literal["train", "validation", "test"]
RunStatus = Literal["running", "finished", "failed", "cancelled"]

REASONS = ("wrong fact", "tone", "format", "unsafe", "incomplete", "other")


_clock = threading.Lock()
_last_ns = 0


def new_id(prefix: str) -> str:
    """An id that sorts by time of creation: prefix, 64 bits of nanoseconds, 24 random bits.

    No two of one process have the same nanoseconds, and a clock that is set back doesn't turn their order around.
    """
    global _last_ns
    with _clock:
        _last_ns = max(time.time_ns(), _last_ns + 1)
        moment = _last_ns
    return f"{prefix}_{moment:016x}{os.urandom(3).hex()}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Many ids at once, one nanosecond after the other."""
    global _last_ns
    with _clock:
        first = max(time.time_ns(), _last_ns + 1)
        _last_ns = first + count - 1
    bits = os.urandom(3 * count).hex()
    return [f"{prefix}_{first + i:016x}{bits[6 * i : 6 * i + 6]}" for i in range(count)]


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


def content_hash(value: object) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def normalise(text: str) -> str:
    """Text as compared by the exact-match score: NFKC, runs of white space as one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def is_same_answer(expected: str, answer: str) -> bool:
    """Whether `answer` equals `expected` after `normalise` (normalised exact match; letter case counts)."""
    return normalise(expected) == normalise(answer)


def _require(claim: bool, message: str) -> None:
    if not claim:
        raise InvalidInput(message)


@dataclass(frozen=True)
class Turn:
    """One turn of a prompt: who speaks and what is said."""

    role: Role
    content: str
    learn: bool = False
    """Whether an assistant's turn before the answer is trained on too. (The answer has `Example.learn_answer`.)"""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else the turn's message holds, in OpenAI's words: `tool_calls`, `tool_call_id`, `name`, or `content` where
    that was a list of parts; `Turn.content` then is their text."""

    def as_dict(self) -> dict[str, Any]:
        """As stored; what has its default is left out."""
        value: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.learn:
            value["learn"] = True
        if self.extra:
            value["extra"] = dict(self.extra)
        return value

    def as_message(self) -> dict[str, Any]:
        """As a chat template reads it: role, text, and the tool fields where there are any."""
        named = {k: v for k, v in self.extra.items() if k in ("tool_calls", "tool_call_id", "name")}
        return {"role": self.role, "content": self.content, **named}


def turns_from(rows: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """Turns as `Turn.as_dict` wrote them."""
    return tuple(Turn(row["role"], row["content"], bool(row.get("learn")), row.get("extra") or {}) for row in rows)


@dataclass(frozen=True)
class Shot:
    """A few-shot pair shown to the model before the question."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Project:
    """One job to teach."""

    id: str
    name: str
    system_prompt: str = ""
    guidelines: str = ""
    format: Format = "chat"
    language: str = "en"
    shots: tuple[Shot, ...] = ()
    created_at: datetime = field(default_factory=now)
    rules: tuple[Rule, ...] = ()
    """What every answer must keep to."""
    shares: Shares | None = None
    """How rows are dealt to training, validation and test; None: all are for training."""
    goal: int = 0
    """Approved rows to aim for; 0: no goal."""


@dataclass(frozen=True)
class Conversation:
    id: str
    project_id: str
    title: str = ""
    leaf_id: str | None = None
    """The message at the end of the path that is shown."""
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. `temperature` 0 is greedy decoding."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    seed: int | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        _require(0 <= self.temperature <= 5, "The temperature must lie between 0 and 5.")
        _require(0 < self.top_p <= 1, "Top-p must lie above 0 and at most at 1.")
        _require(1 <= self.max_tokens <= 8192, "The answer's length must lie between 1 and 8192 tokens.")
        _require(0.5 <= self.repetition_penalty <= 2, "The repetition penalty must lie between 0.5 and 2.")

    def as_dict(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "repetition_penalty": self.repetition_penalty,
        }


@dataclass(frozen=True)
class Message:
    """One immutable message. A retry is a sibling (same parent), never an overwrite."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    text: str
    author: str = ""
    adapter_id: str | None = None
    """The adapter that gave the answer; None for the base model."""
    model: str = ""
    prompt: str = ""
    """The rendered prompt the answer was given to, exactly as tokenised."""
    template_hash: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    state: Literal["complete", "stopped", "failed"] = "complete"
    pair: str | None = None
    """Answers given by "ask both" in one batch share this mark."""
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Correction:
    """What the expert did to one answer. Appended, never changed; the latest one of a message counts."""

    id: str
    message_id: str
    project_id: str
    example_id: str | None
    verdict: Verdict
    original: str
    text: str
    reason: str = ""
    note: str = ""
    author: str = ""
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Example:
    """A row of the dataset at one version: prompt turns, oldest first, and the answer to learn to the last of them."""

    id: str
    project_id: str
    version: int
    status: Status
    messages: tuple[Turn, ...]
    """Without a system turn unless the row brings its own; else the project's is used."""
    answer: str
    rejected: str | None = None
    """An answer that was given to the same prompt and is worse: with it the row is a preference pair."""
    split: Split = "train"
    source: str = "chat"
    """Where the row came from: chat, typed, import, sample, augmented."""
    message_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of an imported row that the studio has no name for, `tools` among them; kept for export."""
    author: str = ""
    """Who made this version."""
    created_at: datetime = field(default_factory=now)
    """When this version was made."""
    answer_extra: Mapping[str, Any] = field(default_factory=dict)
    """What the answer's message holds besides its text, as in `Turn.extra`."""
    learn_answer: bool = True
    """Whether the answer itself is trained on."""
    tags: tuple[str, ...] = ()
    rating: int | None = None
    """1 (poor) to 5 (excellent), by an expert."""
    note: str = ""
    group: str = ""
    """Rows of one group share a side of the split; empty: the row is a group of its own."""
    aside: bool = False
    """Kept out of every side, since it is nearly the same as a row on another one."""
    parent_id: str | None = None
    """The row this one was made from by augmentation."""
    action_id: str = ""
    """The action that made this version."""
    pinned: bool = False
    """The side came with the row, from a file or a sample, and no dealing changes it."""

    @property
    def question(self) -> str:
        """The last user turn."""
        return self.messages[-1].content if self.messages else ""

    @property
    def is_single_turn(self) -> bool:
        return [t.role for t in self.messages if t.role != "system"] == ["user"]

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The whole row: the prompt, then the answer as the last turn."""
        return (*self.messages, Turn("assistant", self.answer, self.learn_answer, self.answer_extra))

    def key(self) -> int:
        """64 bits of a hash (BLAKE2b, signed) of what is asked and answered: two rows with one key are duplicates."""
        parts = []
        for turn in self.turns:
            tools = json.dumps(turn.as_message(), sort_keys=True) if turn.extra else ""
            parts.append(f"{turn.role}\x1f{turn.content}\x1f{tools}\x1e")
        return key_of("".join(parts))


def key_of(said: str) -> int:
    """`Example.key` of turns, each written as role, content and tools with a unit separator after the first two and a
    record separator at its end."""
    digest = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


@dataclass(frozen=True)
class BaseIdentity:
    """Which numbers an adapter was trained against."""

    model: str
    """Hub id, or the name of a local folder."""
    revision: str
    sha256: str
    """Of the weight files."""
    precision: str
    """`nf4` or `full`: see docs/decisions/0002."""

    def as_dict(self) -> dict[str, str]:
        return {
            "model": self.model,
            "revision": self.revision,
            "sha256": self.sha256,
            "precision": self.precision,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> BaseIdentity:
        return cls(*(str(value.get(k, "")) for k in ("model", "revision", "sha256", "precision")))

    @property
    def key(self) -> str:
        return content_hash(self.as_dict())[:16]


@dataclass(frozen=True)
class Recipe:
    """Method and hyperparameters of a run; validated, frozen, saved with it."""

    method: Literal["qlora", "lora"] = "qlora"
    r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    learning_rate: float = 1e-3
    batch_size: int = 4
    max_passes: int | None = None
    """Most passes over the rows; None: from the number of rows (see `training.plan`)."""
    max_length: int = 1024
    """Longest row, in tokens of prompt and answer together."""
    excess_length_strategy: Literal["drop", "truncate"] = "drop"
    """What becomes of a longer row: it is left out, or its end is cut off (axolotl's word)."""
    warmup: float = 0.05
    """Share of the first planned steps over which the learning rate rises."""
    weight_decay: float = 0.0
    seed: int = 0
    stop_when_learned: bool = True

    def __post_init__(self) -> None:
        _require(
            self.method in ("qlora", "lora"),
            Phrase("There is no method {method!r}; use qlora or lora.", method=self.method),
        )
        _require(1 <= self.r <= 256, "The rank r must lie between 1 and 256.")
        _require(1 <= self.lora_alpha <= 1024, "lora_alpha must lie between 1 and 1024.")
        _require(0 <= self.lora_dropout < 1, "lora_dropout must lie between 0 and 1.")
        _require(0 < self.learning_rate <= 0.1, "The learning rate must lie above 0 and at most at 0.1.")
        _require(1 <= self.batch_size <= 256, "The batch size must lie between 1 and 256.")
        _require(self.max_passes is None or 1 <= self.max_passes <= 1000, "max_passes must lie between 1 and 1000.")
        _require(16 <= self.max_length <= 131072, "max_length must lie between 16 and 131072 tokens.")
        _require(
            self.excess_length_strategy in ("drop", "truncate"),
            Phrase("excess_length_strategy can't be {text!r}; use drop or truncate.", text=self.excess_length_strategy),
        )
        _require(0 <= self.warmup < 1, "warmup must lie between 0 and 1.")
        _require(0 <= self.weight_decay < 1, "weight_decay must lie between 0 and 1.")

    def with_settings(self, settings: Mapping[str, str]) -> Recipe:
        """A copy with `key=value` texts read into the fields' own types.

        Raises:
            InvalidInput: no such field, or the text can't be read as its type.
        """
        changes: dict[str, Any] = {}
        for key, text in settings.items():
            if key not in self.__dataclass_fields__:
                raise InvalidInput(
                    Phrase("A recipe has no setting {key!r}.", key=key),
                    Phrase("There are: {names}.", names=", ".join(self.__dataclass_fields__)),
                )
            changes[key] = _read_setting(key, text, getattr(self, key))
        return replace(self, **changes)


def _read_setting(key: str, text: str, current: object) -> Any:
    try:
        if isinstance(current, bool):
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if isinstance(current, float):
            return float(text)
        if isinstance(current, int) or key == "max_passes":
            return int(text)
        return text
    except (ValueError, KeyError) as error:
        raise InvalidInput(Phrase("{key} can't be {text!r}.", key=key, text=text)) from error


@dataclass(frozen=True)
class Run:
    """One training job; its folder is its record, this is the index entry."""

    id: str
    project_id: str
    number: int
    snapshot: str
    rows: int
    recipe: Mapping[str, Any]
    status: RunStatus = "running"
    adapter_id: str | None = None
    error: str = ""
    seconds: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=now)
    finished_at: datetime | None = None
    snapshot_name: str = ""
    """Names the frozen rows it trained on; `snapshot` is their SHA-256."""


@dataclass(frozen=True)
class Adapter:
    """What a run produced, with its lineage."""

    id: str
    project_id: str
    run_id: str
    name: str
    base: BaseIdentity
    sha256: str
    method: str
    created_at: datetime = field(default_factory=now)
    is_deleted: bool = False


@dataclass(frozen=True)
class CheckResult:
    """One check asked again: what was expected, what the adapter and what the base answered (greedy decoding)."""

    example_id: str
    split: Split
    prompt: str
    expected: str
    answer: str
    base_answer: str

    @property
    def is_right(self) -> bool:
        return is_same_answer(self.expected, self.answer)

    @property
    def is_base_right(self) -> bool:
        return is_same_answer(self.expected, self.base_answer)


@dataclass(frozen=True)
class Score:
    """Counts of one evaluation. `total` and `learned` are the training corrections; `held_*` the test rows."""

    adapter_id: str
    learned: int
    total: int
    base_learned: int
    held_learned: int
    held_total: int
    base_held: int
    broke: int
    """Checks that came out right before this adapter and are wrong with it."""
    unchecked: int = 0
    """Rows of the run that are no check, since their answer is context only or couldn't be learned."""
