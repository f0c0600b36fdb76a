"""What a row of a file says of an example: everything an `Example` holds that doesn't depend on the project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import orjson
import xxhash

from studio.records import Example, Split, Status, Turn, new_id, now


@dataclass(frozen=True, slots=True)
class Draft:
    """One row as read. What the file doesn't say is None or empty, and left to whoever imports it."""

    messages: tuple[Turn, ...]
    """The prompt, with a system turn only if the row brings one."""
    answer: str
    rejected: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    answer_extra: Mapping[str, Any] = field(default_factory=dict)
    learn_answer: bool = True
    id: str = ""
    """The row's id in the studio that wrote the file; empty for a file from elsewhere."""
    version: int | None = None
    status: Status | None = None
    split: Split | None = None
    tags: tuple[str, ...] = ()
    rating: int | None = None
    note: str = ""
    source: str = ""
    author: str = ""
    group: str = ""
    aside: bool = False
    parent_id: str | None = None
    message_id: str | None = None
    created_at: datetime | None = None

    @property
    def is_single_turn(self) -> bool:
        return [t.role for t in self.messages if t.role != "system"] == ["user"]

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The whole row: the prompt, then the answer as the last turn."""
        return (*self.messages, Turn("assistant", self.answer, self.learn_answer, self.answer_extra))

    def as_example(self, project_id: str, *, status: Status = "draft", author: str = "") -> Example:
        """A first version for `project_id`; `status` and `author` count where the file says nothing."""
        return Example(
            self.id or new_id("e"),
            project_id,
            1,
            self.status or status,
            self.messages,
            self.answer,
            self.rejected,
            self.split or "train",
            self.source or "import",
            self.message_id,
            self.extra,
            self.author or author,
            self.created_at or now(),
            self.answer_extra,
            self.learn_answer,
            self.tags,
            self.rating,
            self.note,
            self.group,
            self.aside,
            self.parent_id,
            pinned=self.split is not None,
        )

    def digest(self) -> int:
        """64 bits of a hash: those of equal drafts are equal, but for numbers such as 1 and 1.0."""
        try:
            text = orjson.dumps(self, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # Whole numbers of more than 64 bits.
            text = json.dumps(asdict(self), sort_keys=True, default=str).encode("utf-8", "surrogatepass")
        return xxhash.xxh3_64_intdigest(text)

    @classmethod
    def of(cls, example: Example) -> Draft:
        """What a file that loses nothing says of `example`."""
        return cls(
            example.messages,
            example.answer,
            example.rejected,
            example.extra,
            example.answer_extra,
            example.learn_answer,
            example.id,
            example.version,
            example.status,
            example.split,
            example.tags,
            example.rating,
            example.note,
            example.source,
            example.author,
            example.group,
            example.aside,
            example.parent_id,
            example.message_id,
            example.created_at,
        )
