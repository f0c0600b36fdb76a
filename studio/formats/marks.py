"""The column `studio`: what a format has no place for, as JSON text beside each row, so that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from studio.errors import InvalidInput, Phrase
from studio.formats.cells import split_tags
from studio.formats.draft import Draft
from studio.formats.turns import calls_of, loads
from studio.records import Example, Role, Split, Status, Turn, turns_from

COLUMN = "studio"
REJECTED = "rejected_answer"
"""The column of the rejected answer beside `messages`. TRL takes a column `rejected` for a side of a pair, and then
sometimes the whole row for plain text (`is_conversational` looks at any one of the columns it knows)."""
META = ("id", "status", "split", "tags", "rating", "note", "source", "author")
"""What CSV and Parquet show in columns of their own."""
_KNOWN = {"status": get_args(Status), "split": get_args(Split)}
_LINKS = ("group", "parent_id", "message_id", "aside")
_KINDS: Mapping[str, type] = {
    "version": int, "created_at": str, "group": str, "parent_id": str, "message_id": str, "aside": bool,
    "rejected": str, "learn": list, "learn_answer": bool, "extra": dict, "turns": dict, "after": list, "calls": bool,
    "part": str, "parts": int,
}  # fmt: skip
"""The marks besides `META`, and what each is."""


def marks_of(
    example: Example, native: Callable[[Turn], Turn], *, told: Sequence[str] = (), extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The marks of `example`.

    Args:
        native: a turn as it would be read back from the format alone.
        told: fields that have a column of their own.
        extra: the fields of `example.extra` that have none.
    """
    marks: dict[str, Any] = {k: v for k in META if k not in told and (v := getattr(example, k))}
    if "tags" in marks:
        marks["tags"] = list(example.tags)
    marks["version"] = example.version
    marks["created_at"] = example.created_at.isoformat()
    marks |= {k: v for k in _LINKS if (v := getattr(example, k))}
    if "rejected" not in told and example.rejected is not None:
        marks["rejected"] = example.rejected
    if len(example.messages) > 1 and any(t.role == "assistant" for t in example.messages):
        marks["learn"] = [i for i, t in enumerate(example.messages) if t.learn]
    if not example.learn_answer:
        marks["learn_answer"] = False
    if extra:
        marks["extra"] = dict(extra)
    if turns := {str(i): mark for i, t in enumerate(example.turns) if (mark := _turn_mark(t, native))}:
        marks["turns"] = turns
    return marks


def _turn_mark(turn: Turn, native: Callable[[Turn], Turn]) -> dict[str, Any]:
    """What `native` loses of a turn."""
    if not turn.extra:
        return {}
    read = native(turn)
    if read.content == turn.content and read.extra == turn.extra:
        return {}
    return {"content": turn.content, "extra": dict(turn.extra)}


def marks_from(cell: Any) -> dict[str, Any] | None:
    """The marks of a row, or None: the column is somebody else's.

    Raises:
        InvalidInput: they are the studio's, and not as it writes them.
    """
    if not isinstance(cell, str) or cell[:1] != "{":
        return None
    try:
        value = loads(cell, COLUMN)
    except InvalidInput:
        return None
    if not isinstance(value, dict) or not (type(value.get("version")) is int or value.keys() <= {*META, *_KINDS}):
        return None
    for name, kind in _KINDS.items():
        if name in value and type(value[name]) is not kind:
            raise _damaged(name)
    if value.keys() & {"part", "parts"} and not value.get("id"):
        raise _damaged("id")
    return value


def _damaged(name: str) -> InvalidInput:
    return InvalidInput(
        Phrase("`{column}` is damaged: {name} is not as the studio writes it", column=COLUMN, name=name)
    )


def with_marks(draft: Draft, marks: Mapping[str, Any], shown: Mapping[str, Any]) -> Draft:
    """The draft with its marks; texts are the file's own, so that what was edited there counts.

    Args:
        shown: columns that stand beside the marks and are named as in `META`.

    Raises:
        InvalidInput: a value can't be used.
    """
    changes: dict[str, Any] = meta_of({**{k: marks[k] for k in META if k in marks}, **shown})
    changes |= {k: marks[k] for k in (*_LINKS, "version", "learn_answer") if k in marks}
    if "created_at" in marks:
        try:
            changes["created_at"] = datetime.fromisoformat(marks["created_at"])
        except ValueError as error:
            raise InvalidInput(Phrase("`{column}` is not a time", column="created_at")) from error
    if draft.rejected is None and "rejected" in marks:
        changes["rejected"] = marks["rejected"]
    if "extra" in marks:
        changes["extra"] = {**draft.extra, **marks["extra"]}
    if "after" in marks:
        # The row stood for a turn before the answer; the rest of the conversation is in the marks.
        *after, answer = _turns_after(marks["after"])
        turns = (*draft.turns, *after)
        changes |= {"answer": answer.content, "answer_extra": answer.extra}
        draft = replace(draft, messages=turns)
    turns = draft.messages
    if "learn" in marks:
        turns = tuple(replace(t, learn=t.role == "assistant" and i in marks["learn"]) for i, t in enumerate(turns))
    if turn_marks := marks.get("turns"):
        turns = tuple(_marked(t, turn_marks.get(str(i))) for i, t in enumerate(turns))
        answer_turn = Turn("assistant", changes.get("answer", draft.answer), True, draft.answer_extra)
        answer_turn = _marked(answer_turn, turn_marks.get(str(len(turns))))
        if "after" not in marks:
            changes |= {"answer": answer_turn.content, "answer_extra": answer_turn.extra}
    return replace(draft, messages=turns, **changes)


def _turns_after(rows: list[Any]) -> tuple[Turn, ...]:
    """Turns as `Turn.as_dict` wrote them, the answer last."""
    if not rows or not all(map(_is_turn, rows)) or rows[-1]["role"] != "assistant":
        raise _damaged("after")
    return turns_from(rows)


def _is_turn(row: Any) -> bool:
    try:
        (turn,) = turns_from([row])
        calls_of(turn)
    except (AttributeError, KeyError, TypeError):
        return False
    return turn.role in get_args(Role) and isinstance(turn.content, str) and isinstance(turn.extra, dict)


def _marked(turn: Turn, mark: Any) -> Turn:
    """The turn as it was in the studio, unless it was changed in the file."""
    if mark is None:
        return turn
    if not isinstance(mark, dict) or not _is_turn({**mark, "role": turn.role}):
        raise _damaged("turns")
    marked = Turn(turn.role, mark["content"], turn.learn, mark.get("extra") or {})
    calls = calls_of(turn)
    is_same = calls == calls_of(marked) and not turn.content if calls else turn.content == marked.content
    return marked if is_same or (calls and calls == calls_of(marked)) else turn


def meta_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Status, split, tags and so on, from text or from typed columns.

    Raises:
        InvalidInput: a value is none of those there are.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if value is None or value == "":
            continue
        if name == "tags":
            found["tags"] = tuple(map(str, value)) if isinstance(value, list) else split_tags(str(value))
        elif name == "rating":
            found["rating"] = _rating(value)
        else:
            found[name] = str(value)
            known = _KNOWN.get(name)
            if known is not None and found[name] not in known:
                raise InvalidInput(
                    Phrase(
                        "`{column}` is {value}; it must be one of {known}",
                        column=name,
                        value=repr(value),
                        known=", ".join(known),
                    )
                )
    return found


def _rating(value: Any) -> int:
    try:
        rating = int(float(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise _no_rating(value) from error
    if not 1 <= rating <= 5:
        raise _no_rating(value)
    return rating


def _no_rating(value: Any) -> InvalidInput:
    said = Phrase("`{column}` is {value}; it must be a number from 1 to 5", column="rating", value=repr(value))
    return InvalidInput(said)
