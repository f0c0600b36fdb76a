"""The shapes rows come in: which columns make one, and how a row in it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from studio.errors import InvalidInput
from studio.formats.draft import Draft
from studio.formats.marks import COLUMN, META, marks_from, meta_of, with_marks
from studio.formats.turns import check_depth, check_order, loads, read_turn, read_turns
from studio.records import Turn

ShapeName = Literal[
    "messages", "sharegpt", "alpaca", "prompt-completion", "dpo", "preference", "kto", "openai-preference"
]
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
    """Our field → the file's column, for the fields that are called otherwise in the file."""


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
        name = "kto" if _label(row) is not None else "prompt-completion"
    elif "instruction" in row or "output" in row:
        name = "alpaca"
    else:
        return None
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
        names = ", ".join(map(str, list(row)[:6])) or "none"
        raise InvalidInput(f"needs `messages`, or `instruction` and `output` (found: {names})")
    if COLUMN in row or shape.columns or shown:
        return _with_columns(row, shape, shown)
    return _READERS[shape.name](row)


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
    core |= {name: row.pop(name) for name in fields if name not in core and name in row}
    if marks is not None:
        _keep_texts(core, marks)
    draft = _READERS[shape.name](core)
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


# Reading each shape


def _draft(
    row: Mapping[str, Any], known: set[str], turns: list[Turn], rejected: str | None = None, **more: Any
) -> Draft:
    """The draft of whole turns, the answer last; what `known` doesn't name is kept."""
    check_order(turns)
    answer = turns.pop()
    extra = {k: v for k, v in row.items() if k not in known}
    if extra:
        check_depth(extra)
        if isinstance(tools := extra.get("tools"), str) and tools[:1] == "[":
            extra["tools"] = loads(tools, "tools")
        if "tools" in extra and not extra["tools"]:
            del extra["tools"]
    extra |= more.pop("extra", {})
    return Draft(tuple(turns), answer.content, rejected, extra, answer.extra, answer.learn, **more)


def _alpaca(row: dict[str, Any]) -> Draft:
    pairs = "chosen" in row and "output" not in row
    instruction, output = _text(row, "instruction"), _text(row, "chosen" if pairs else "output")
    input_, system = _text(row, "input", ""), _text(row, "system", "")
    question = f"{instruction}\n\n{input_}" if input_ else instruction
    if not question.strip():
        raise InvalidInput("`instruction` is empty")
    if not output.strip():
        raise InvalidInput(f"`{'chosen' if pairs else 'output'}` is empty")
    known = {"instruction", "input", "output", "system"}
    turns = [Turn("system", system)] if system else []
    if "history" in row:
        known.add("history")
        turns += _history(row["history"], learn=not pairs)
    turns += [Turn("user", question), Turn("assistant", output, True)]
    rejected = None
    if "rejected" in row and ("chosen" in row or row["rejected"] is None or isinstance(row["rejected"], str)):
        known |= {"chosen", "rejected"}
        rejected = _text(row, "rejected", "") or None
    more: dict[str, Any] = {"extra": {"input": input_}} if input_ else {}
    return _draft(row, known | _verdict(row, more), turns, rejected, **more)


def _conversation(column: str) -> Callable[[dict[str, Any]], Draft]:
    def read(row: dict[str, Any]) -> Draft:
        pairs = "chosen" in row and "rejected" in row
        turns = read_turns(row.get(column), column, learn=not pairs)
        known, rejected = {column}, None
        if pairs:
            known |= {"chosen", "rejected"}
            answer, worse = _side(row, "chosen"), _side(row, "rejected")
            turns, rejected = _pair([*turns, *answer], [*turns, *worse])
        elif row.get("rejected") is None or isinstance(row["rejected"], str):
            known.add("rejected")
            rejected = row.get("rejected") or None
        more: dict[str, Any] = {}
        known |= _verdict(row, more)
        return _draft(row, known | {"system"}, [*_system(row, turns), *turns], rejected, **more)

    return read


def _prompt_completion(row: dict[str, Any]) -> Draft:
    known, rejected = {"prompt", "completion"}, None
    turns = _prompt(row, known)
    turns += _completion(row.get("completion"), "completion")
    if row.get("rejected") is None or isinstance(row["rejected"], str):
        known.add("rejected")
        rejected = row.get("rejected") or None
    more: dict[str, Any] = {}
    return _draft(row, known | _verdict(row, more), turns, rejected, **more)


def _dpo(row: dict[str, Any]) -> Draft:
    if isinstance(chosen := row.get("chosen"), list) and len(chosen) > 1 and not isinstance(row.get("prompt"), list):
        # Some data sets repeat the whole conversation on both sides and give the prompt as a text beside it.
        return _preference(row)
    known = {"prompt", "chosen", "rejected"}
    prompt = _prompt(row, known)
    turns, rejected = _pair([*prompt, *_side(row, "chosen")], [*prompt, *_side(row, "rejected")])
    return _draft(row, known, turns, rejected)


def _preference(row: dict[str, Any]) -> Draft:
    """Two whole conversations that part at the last answer; as texts, where their letters part (as TRL does it)."""
    chosen, rejected = row.get("chosen"), row.get("rejected")
    known = {"chosen", "rejected", "system"}
    if isinstance(chosen, str) and isinstance(rejected, str):
        length = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), len(rejected))
        prompt = chosen[:length].removesuffix(" ")
        turns = [Turn("user", prompt), Turn("assistant", chosen[len(prompt) :], True)]
        return _draft(row, known, [*_system(row, turns), *turns], rejected[len(prompt) :] or None)
    better, worse = (read_turns(row.get(name), name, learn=False) for name in ("chosen", "rejected"))
    turns, text = _pair(better, worse)
    return _draft(row, known, [*_system(row, turns), *turns], text)


def _openai_preference(row: dict[str, Any]) -> Draft:
    given = row.get("input")
    if not isinstance(given, Mapping):
        raise InvalidInput("`input` is not an object with `messages`")
    prompt = read_turns(given.get("messages"), "input.messages", learn=False)
    better, worse = (
        read_turns(row.get(name), name, learn=False) for name in ("preferred_output", "non_preferred_output")
    )
    turns, rejected = _pair([*prompt, *better], [*prompt, *worse])
    more: dict[str, Any] = {"extra": {"tools": given["tools"]}} if given.get("tools") else {}
    return _draft(row, {"input", "preferred_output", "non_preferred_output"}, turns, rejected, **more)


_READERS: Mapping[ShapeName, Callable[[dict[str, Any]], Draft]] = {
    "messages": _conversation("messages"),
    "sharegpt": _conversation("conversations"),
    "alpaca": _alpaca,
    "prompt-completion": _prompt_completion,
    "kto": _prompt_completion,
    "dpo": _dpo,
    "preference": _preference,
    "openai-preference": _openai_preference,
}


# Parts of rows


def _text(row: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise InvalidInput(f"`{key}` is missing" if value is None else f"`{key}` is not text")
    return value


def _system(row: Mapping[str, Any], turns: Sequence[Turn]) -> list[Turn]:
    """The system turn of a column beside the conversation."""
    text = _text(row, "system", "")
    if text and turns[0].role == "system":
        raise InvalidInput("has two system texts")
    return [Turn("system", text)] if text else []


def _history(value: Any, *, learn: bool) -> list[Turn]:
    """Earlier turns: Alpaca's pairs of question and answer, or messages."""
    value = loads(value, "history") if isinstance(value, str) and value else value or []
    if not isinstance(value, list):
        raise InvalidInput("`history` is not a list")
    turns: list[Turn] = []
    for pair in value:
        if isinstance(pair, Mapping):
            turns.append(read_turn(pair, learn=learn))
        elif isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair):
            turns += [Turn("user", pair[0]), Turn("assistant", pair[1], learn)]
        else:
            raise InvalidInput("`history` is not a list of pairs of question and answer")
    return turns


def _prompt(row: Mapping[str, Any], known: set[str]) -> list[Turn]:
    """The turns of `prompt` (a text or a list), after `system` and `history` where there are such columns.

    Nobody else trains on the answers in a prompt, so they aren't marked to be learned.
    """
    value, turns = row.get("prompt"), []
    if row.get("history") is None or isinstance(row["history"], list) or str(row["history"])[:1] in ("[", ""):
        known.add("history")
        turns = _history(row.get("history"), learn=False)
    if _are_turns(value):
        turns += read_turns(value, "prompt", learn=False)
    elif not (value in (None, "") and turns and turns[-1].role == "tool"):
        turns.append(Turn("user", _text(row, "prompt")))
    known.add("system")
    return [*_system(row, turns), *turns]


def _completion(value: Any, name: str) -> list[Turn]:
    if _are_turns(value):
        return read_turns(value, name, learn=True)
    return [Turn("assistant", _text({name: value}, name), True)]


def _are_turns(value: Any) -> bool:
    """Whether a value is a list of turns, or their JSON in a column of text."""
    if isinstance(value, str) and value.startswith('[{"'):
        try:
            value = loads(value, "")
        except InvalidInput:
            return False
        names = [v.keys() if isinstance(v, dict) else set() for v in value]
        return all({"role", "content"} <= n or {"from", "value"} <= n for n in names)
    return isinstance(value, list)


def _side(row: Mapping[str, Any], name: str) -> list[Turn]:
    """One side of a pair: a text, a turn, or a list of turns."""
    value = row.get(name)
    return [read_turn(value, learn=True)] if isinstance(value, Mapping) else _completion(value, name)


def _pair(better: list[Turn], worse: list[Turn]) -> tuple[list[Turn], str | None]:
    """The turns that end with the better answer, and the text of the worse one.

    Raises:
        InvalidInput: more than the last answer differs.
    """
    if [(t.role, t.content) for t in better[:-1]] != [(t.role, t.content) for t in worse[:-1]]:
        raise InvalidInput("`chosen` and `rejected` differ in more than the last answer")
    answer, other = better[-1], worse[-1]
    if other.role != "assistant":
        raise InvalidInput("`rejected` does not end with an answer")
    if not other.content and other.extra:
        raise InvalidInput("`rejected` has no text")
    return [*better[:-1], replace(answer, learn=True)], other.content or None


def _label(row: Mapping[str, Any]) -> bool | None:
    """The thumb of a KTO row; a table of texts writes it in words."""
    value = row.get("label")
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _verdict(row: Mapping[str, Any], more: dict[str, Any]) -> set[str]:
    """Columns used up by a label; a thumb down makes the row a rejected one."""
    label = _label(row)
    if label is False:
        more["status"] = "rejected"
    return set() if label is None else {"label"}
