"""How a row is stored: an `Example` as columns of `contents` and `row_versions`, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from studio.records import Example, Turn, turns_from
from studio.store.database import Add, Row, as_stored, as_utc

HEAD = 40
"""Characters of a question that are kept beside its version, for sorting."""
BATCH = 10_000
"""Rows read or written at once where there may be a million of them."""

STATE = (
    "n, id, version, project_id, content_id, status, split, aside, group_key, source, message_id, parent_id, author,"
    " tags, rating, note, learn_answer, head, chars, action_id, created_at, pinned"
)
STATE_COLUMNS = tuple(name.strip() for name in STATE.split(","))
TEXTS = "messages, answer, rejected, extra, answer_extra"
EXAMPLE_COLUMNS = ", ".join([f"v.{name}" for name in STATE_COLUMNS] + [f"c.{name}" for name in TEXTS.split(", ")])
CONTENT = "id, messages, answer, rejected, extra, answer_extra, key"


def number_of(example_id: str) -> int:
    """The number a row is found by: the moment in its id, in nanoseconds; of other ids, 60 bits of a hash."""
    try:
        return int(example_id[2:18], 16) if len(example_id) >= 18 else _hashed(example_id)
    except ValueError:
        return _hashed(example_id)


PAIR_KEY = "md5_number_lower(c.key || chr(31) || c.rejected)"
"""`pair_key` in SQL, of the contents `c`."""


def pair_key(key: int, rejected: str) -> int:
    """64 bits of a hash of a pair: of its `Example.key`, which is of what is asked and answered, and of the rejected
    answer."""
    said = f"{key}\x1f{rejected}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.md5(said, usedforsecurity=False).digest()[8:], "little")


def _hashed(example_id: str) -> int:
    return int(hashlib.md5(example_id.encode(), usedforsecurity=False).hexdigest()[:15], 16)


def as_json(value: Any) -> str:
    """Compact JSON, the same text for the same value."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Whole numbers of more than 64 bits, and half a character.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _object(value: Mapping[str, Any]) -> str:
    return as_json(dict(value)) if value else "{}"


def example_of(row: Row) -> Example:
    return Example(
        id=row["id"],
        project_id=row["project_id"],
        version=row["version"],
        status=row["status"],
        messages=_turns(row["messages"]),
        answer=row["answer"],
        rejected=row["rejected"],
        split=row["split"],
        source=row["source"],
        message_id=row["message_id"],
        extra=_from_json(row["extra"]),
        author=row["author"],
        created_at=as_utc(row["created_at"]),
        answer_extra=_from_json(row["answer_extra"]),
        learn_answer=row["learn_answer"],
        tags=tuple(json.loads(row["tags"])) if row["tags"] != "[]" else (),
        rating=row["rating"],
        note=row["note"],
        group=row["group_key"],
        aside=row["aside"],
        parent_id=row["parent_id"],
        action_id=row["action_id"],
        pinned=row["pinned"],
    )


def _from_json(text: str) -> dict[str, Any]:
    return json.loads(text) if text != "{}" else {}


def _turns(text: str) -> tuple[Turn, ...]:
    # The faster of the two makes floats of whole numbers of more than 64 bits; only `extra` can hold any.
    return turns_from(json.loads(text) if '"extra":' in text else orjson.loads(text))


def content_of(example: Example) -> list[Any]:
    """The row's text as stored, without the content's id."""
    messages = as_json([turn.as_dict() for turn in example.messages])
    extra, answer_extra = _object(example.extra), _object(example.answer_extra)
    return [messages, example.answer, example.rejected, extra, answer_extra, example.key()]


def is_same_text(stored: Row, content: Sequence[Any]) -> bool:
    """Whether a stored text is the same; that of an older studio has spaces in its JSON."""
    fields = ("messages", "answer", "rejected", "extra", "answer_extra")
    return all(
        stored[name] == value
        or (name in ("messages", "extra", "answer_extra") and as_json(json.loads(stored[name])) == value)
        for name, value in zip(fields, content, strict=False)
    )


def state_of(example: Example, content_id: int) -> list[Any]:
    return [
        number_of(example.id),
        example.id,
        example.version,
        example.project_id,
        content_id,
        example.status,
        example.split,
        example.aside,
        example.group,
        example.source,
        example.message_id,
        example.parent_id,
        example.author,
        as_json(sorted(set(example.tags))) if example.tags else "[]",
        example.rating,
        example.note,
        example.learn_answer,
        example.question[:HEAD],
        sum(len(turn.content) for turn in example.messages) + len(example.answer),
        example.action_id,
        as_stored(example.created_at),
        example.pinned,
    ]


def insert_new(add: Add, first: int, examples: Sequence[Example]) -> int:
    """Insert first versions, their contents numbered from `first` on; returns that."""
    import pyarrow as pa

    contents = zip(*([first + i, *content_of(e)] for i, e in enumerate(examples)), strict=True)
    states = zip(*([*state_of(e, first + i), True] for i, e in enumerate(examples)), strict=True)
    types = {"rating": pa.int8(), "rejected": pa.string(), "message_id": pa.string(), "parent_id": pa.string()}
    for table, names, columns in (("contents", CONTENT, contents), ("row_versions", f"{STATE}, is_current", states)):
        named = {n.strip(): column for n, column in zip(names.split(","), columns, strict=True)}
        add(table, pa.table({n: pa.array(column, types.get(n)) for n, column in named.items()}))
    return first
