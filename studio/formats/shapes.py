"""The shapes rows come in: which columns make one, and how a row in it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from studio.errors import InvalidInput, Phrase
from studio.formats.draft import Draft
from studio.formats.marks import COLUMN, META, REJECTED, marks_from, meta_of, with_marks
from studio.formats.shape_readers import READERS, ShapeName, label_of
from studio.formats.turns import check_depth

FIELDS: Mapping[ShapeName, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "messages": (("messages",), ("system", "tools", "chosen", "rejected", "label")),
    "sharegpt": (("conversations",), ("system", "tools", "chosen", "rejected", "label")),
    "alpaca": (
        ("instruction", "output"),
        ("input", "system", "history", "tools", "chosen", "rejected", "label"),
    ),
    "prompt-completion": (("prompt", "completion"), ("system", "history", "rejected", "tools")),
    "dpo": (("prompt", "chosen", "rejected"), ("system", "tools")),
    "preference": (("chosen", "rejected"), ("system", "tools")),
    "kto": (("prompt", "completion", "label"), ("system", "history", "tools")),
    "openai-preference": (("input", "preferred_output", "non_preferred_output"), ()),
}
"""Each shape's fields: those it needs, those it may have. In any shape the fields of `META` may be mapped too."""
_ALSO = {"label": "kto_tag", "rejected": REJECTED}
"""Our field → the name LLaMA-Factory, or the studio itself, has for it in shapes whose own it isn't."""
_GUESSES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "query", "instruction", "problem", "input", "質問", "問題"),
    "completion": ("completion", "answer", "response", "output", "solution", "回答", "答え"),
}


@dataclass(frozen=True)
class Shape:
    """How the rows of a file are to be read."""

    name: ShapeName
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our field → the file's column, for the fields that are called otherwise in the file; empty: none is read for it,
    and a column of that name is kept as it is."""


def fields_of(name: ShapeName) -> tuple[str, ...]:
    """The fields of a shape, those it needs first."""
    needed, others = FIELDS[name]
    return (*needed, *others)


def detect(row: Any) -> Shape | None:
    """The shape a row says it has by its column names; None if they say nothing. See `with_known` for the rest."""
    if not isinstance(row, Mapping):
        return None
    name: ShapeName
    columns: dict[str, str] = {}
    if "preferred_output" in row and "input" in row:
        name = "openai-preference"
    elif "chosen" in row and "rejected" in row:
        pairs = not isinstance(row["chosen"], list)
        if pairs and ("messages" in row or "conversations" in row):
            name = "messages" if "messages" in row else "sharegpt"
        elif "instruction" in row:
            name = "alpaca"
        elif "prompt" in row:
            name = "dpo"
        elif asked := _question_of(row):
            name, columns = "dpo", {"prompt": asked}
        else:
            name = "preference"
    elif "messages" in row:
        name = "messages"
    elif "conversations" in row:
        name = "sharegpt"
    elif "prompt" in row and "completion" in row:
        has_label = label_of(row, numbers=True) is not None or "label" in _also(row, "kto")
        name = "kto" if has_label else "prompt-completion"
    elif "instruction" in row and ("output" in row or guess(tuple(row)) is None):
        name = "alpaca"
    else:
        return None
    return Shape(name, columns)


def _question_of(row: Mapping[str, Any]) -> str | None:
    """The column of the question to two answers that are texts."""
    if not (isinstance(row["chosen"], str) and isinstance(row["rejected"], str)):
        return None
    column = _guessed("prompt", tuple(row))
    return column if column and isinstance(row[column], str) and row[column].strip() else None


def _also(row: Mapping[str, Any], name: ShapeName) -> dict[str, str]:
    """The fields that the row has under another name that is known."""
    found = {ours: theirs for ours, theirs in _ALSO.items() if theirs in row and ours not in row}
    if "label" in found and label_of({"label": row["kto_tag"]}, numbers=True) is None:
        del found["label"]
    return {ours: theirs for ours, theirs in found.items() if ours in fields_of(name)}


def with_known(shape: Shape, row: Any) -> Shape:
    """The shape with what a row has under other names that are known, unless that was told otherwise."""
    if not isinstance(row, Mapping):
        return shape
    found = _also(row, shape.name)
    more = {k: v for k, v in found.items() if k not in shape.columns and v not in shape.columns.values()}
    return replace(shape, columns={**shape.columns, **more}) if more else shape


def guess(columns: Sequence[str]) -> Shape | None:
    """What a table of question and answer under other names probably means: to be shown, not to be taken for sure."""
    asked, answer = (_guessed(field, columns) for field in _GUESSES)
    if asked is None or answer is None:
        return None
    if asked.lower().strip() == "instruction":
        return _named("alpaca", {"instruction": asked, "output": answer})
    return _named("prompt-completion", {"prompt": asked, "completion": answer})


def _guessed(field: str, columns: Sequence[str]) -> str | None:
    lower = {name.lower().strip(): name for name in reversed(columns) if isinstance(name, str)}
    return next((lower[name] for name in _GUESSES[field] if name in lower), None)


def _named(name: ShapeName, columns: Mapping[str, str]) -> Shape:
    return Shape(name, {ours: theirs for ours, theirs in columns.items() if ours != theirs})


def told(
    found: Shape | None, columns: Sequence[str], name: ShapeName | None = None, fields: Mapping[str, str] | None = None
) -> Shape | None:
    """What a person says of a file, and for the rest what was found or guessed; None: that doesn't make a shape.

    Args:
        found: see `Preview.shape`.
        columns: the file's.
        name: the shape that was chosen; None: the one that was found, or that fits the fields.
        fields: our field → the file's column, as in `Shape.columns`.

    Raises:
        InvalidInput: there is no such field.
    """
    fields = fields or {}
    known = {*META, *(ours for shape in FIELDS for ours in fields_of(shape))}
    if unknown := sorted(fields.keys() - known):
        raise InvalidInput(
            Phrase("There is no field {field!r}.", field=unknown[0]),
            Phrase("There are: {names}.", names=", ".join(sorted(known))),
        )
    has = {*columns, *fields, *(found.columns if found else ())}
    if name is None and found is not None and fields.keys() <= {*fields_of(found.name), *META}:
        name = found.name
    if name is None:
        fit = [
            shape
            for shape in FIELDS
            if has.issuperset(FIELDS[shape][0]) and fields.keys() <= {*fields_of(shape), *META}
        ]
        if not fit:
            return None
        fit.sort(key=lambda shape: len(FIELDS[shape][0]), reverse=True)
        name = fit[0]
    own, before = fields_of(name), found.columns if found else {}
    kept = {ours: column for ours, column in before.items() if ours in own and column not in fields.values()}
    return Shape(name, kept | dict(fields))


def draft_of(row: Any, shape: Shape | None = None, *, shown: Sequence[str] = ()) -> Draft:
    """A row as a draft; without a shape, in the one its columns say.

    Args:
        shown: columns of `META` that count even without the studio's own column.

    Raises:
        InvalidInput: it can't be read; the message is the reason.
    """
    if not isinstance(row, dict):
        raise InvalidInput("not an object with named fields")
    if shape is None and (shape := detect(row)) is None:
        names = ", ".join(map(str, list(row)[:6])) or "–"
        raise InvalidInput(Phrase("needs `messages`, or `instruction` and `output` (found: {names})", names=names))
    shape = with_known(shape, row)
    if COLUMN in row or shape.columns or shown:
        try:
            return _with_columns(row, shape, shown)
        except InvalidInput as error:
            if isinstance(error.message, Phrase):
                raise InvalidInput(error.message.with_columns(shape.columns)) from error
            raise
    return READERS[shape.name](row)


def _with_columns(row: dict[str, Any], shape: Shape, shown: Sequence[str]) -> Draft:
    """A row with columns of other names, or with the studio's own."""
    row = dict(row)
    marks = marks_from(row.get(COLUMN))
    if marks is not None:
        del row[COLUMN]
        shown = META
    meta = {name: row.pop(shape.columns.get(name, name)) for name in META if _is_meta(name, row, shape, shown)}
    fields = fields_of(shape.name)
    renamed = {name: column for name, column in shape.columns.items() if name in fields and column in row}
    core = {name: row.pop(column) for name, column in renamed.items()}
    if "label" in renamed and (label := label_of(core, numbers=True)) is not None:
        core["label"] = label
    core |= {
        name: row.pop(name) for name in fields if name not in core and name in row and shape.columns.get(name) != ""
    }
    if marks is not None:
        _keep_texts(core, marks)
    draft = READERS[shape.name](core)
    if row:
        check_depth(row)
        draft = replace(draft, extra={**row, **draft.extra})
    if marks is not None:
        return with_marks(draft, marks, meta)
    return replace(draft, **meta_of(meta)) if meta else draft


def _keep_texts(core: dict[str, Any], marks: Mapping[str, Any]) -> None:
    """Our own columns of text are text, even where it looks like the JSON of turns."""
    for name, role in (("prompt", "user"), ("completion", "assistant")):
        text = core.get(name)
        if isinstance(text, str) and text and not (role == "assistant" and "calls" in marks):
            core[name] = [{"role": role, "content": text}]


def _is_meta(name: str, row: Mapping[str, Any], shape: Shape, shown: Sequence[str]) -> bool:
    return shape.columns[name] in row if name in shape.columns else name in shown and name in row
