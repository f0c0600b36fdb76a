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
_GUESSES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("prompt", "question", "query", "instruction", "problem", "input", "質問", "問題"), ("prompt",)),
    (("completion", "answer", "response", "output", "solution", "回答", "答え"), ("completion",)),
)


@dataclass(frozen=True)
class Shape:
    """How the rows of a file are to be read."""

    name: ShapeName
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our field → the file's column, for the fields that are called otherwise in the file; empty: none is read for it,
    and a column of that name is kept as it is."""


def detect(row: Any) -> Shape | None:
    """The shape a row says it has by its column names; None if they say nothing."""
    if not isinstance(row, Mapping):
        return None
    tag = {"label": "kto_tag"} if isinstance(row.get("kto_tag"), bool) and "label" not in row else {}
    name: ShapeName
    if "preferred_output" in row and "input" in row:
        name, tag = "openai-preference", {}
    elif "chosen" in row and "rejected" in row:
        pairs = not isinstance(row["chosen"], list)
        if pairs and ("messages" in row or "conversations" in row):
            name = "messages" if "messages" in row else "sharegpt"
        elif "instruction" in row:
            name = "alpaca"
        else:
            name = "dpo" if "prompt" in row else "preference"
    elif "messages" in row:
        name = "messages"
    elif "conversations" in row:
        name = "sharegpt"
    elif "prompt" in row and "completion" in row:
        name = "kto" if label_of(row) is not None else "prompt-completion"
    elif "instruction" in row or "output" in row:
        name = "alpaca"
    else:
        return None
    if REJECTED in row and "rejected" not in row and "rejected" in FIELDS[name][1]:
        tag["rejected"] = REJECTED
    return Shape(name, tag)


def guess(columns: Sequence[str]) -> Shape | None:
    """What a table of question and answer under other names probably means: to be shown, not to be taken for sure."""
    found = {}
    lower = {name.lower().strip(): name for name in reversed(columns)}
    for names, (ours,) in _GUESSES:
        if (name := next((lower[n] for n in names if n in lower), None)) is None:
            return None
        found[ours] = name
    return Shape("prompt-completion", {ours: name for ours, name in found.items() if ours != name})


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
    fields = [name for part in FIELDS[shape.name] for name in part]
    renamed = {name: column for name, column in shape.columns.items() if name in fields and column in row}
    core = {name: row.pop(column) for name, column in renamed.items()}
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
