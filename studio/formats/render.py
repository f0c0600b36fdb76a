"""Examples as the rows of each format, in the exact shapes other tools document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from studio.errors import InvalidInput
from studio.formats.cells import join_tags
from studio.formats.marks import COLUMN, META, REJECTED, marks_of
from studio.formats.parquet import Kind
from studio.formats.shape_readers import asked
from studio.formats.turn_rows import OPENAI, SHAREGPT, TRL, openai_turn, sharegpt_turn, text_only, trl_turn
from studio.formats.turns import are_turns, check_order, dumps
from studio.records import Example, Turn

FormatName = Literal[
    "alpaca", "sharegpt", "openai", "trl-messages", "trl-prompt-completion", "trl-dpo", "trl-kto", "csv", "parquet",
    "hf",
]  # fmt: skip
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
Row = dict[str, Any]

CSV_COLUMNS = (
    "id", "status", "split", "system", "history", "prompt", "completion", REJECTED, "tags", "rating", "note",
    "source", "author", COLUMN,
)  # fmt: skip
PLAIN_CSV_COLUMNS = ("system", "history", "prompt", "completion", REJECTED)
PARQUET_KINDS: Mapping[str, Kind] = {
    "id": "text", "status": "text", "split": "text", "messages": "turns", REJECTED: "text", "tags": "texts",
    "rating": "number", "note": "text", "source": "text", "author": "text", COLUMN: "text",
}  # fmt: skip
PLAIN_PARQUET_KINDS: Mapping[str, Kind] = {"messages": "turns", REJECTED: "text"}


class Unfit(Exception):
    """The example has no place in the format; the message is the reason, told with the number of such rows."""


def rows_of(format_: FormatName, example: Example, *, plain: bool = False) -> list[Row]:
    """The rows of `example`: one, except where a format needs several (KTO; TRL's prompt and completion).

    Raises:
        Unfit: the format can't hold it.
    """
    if not example.messages:
        raise Unfit("there is no question")
    if not example.answer.strip() and not example.answer_extra.get("tool_calls"):
        raise Unfit("the answer is empty")
    return _RENDERERS[format_](example, plain)


def losses(format_: FormatName, example: Example) -> list[str]:
    """What a format can't say of an example that it holds all the same."""
    found = []
    context_only = any(t.role == "assistant" and not t.learn for t in example.turns)
    if context_only and format_ in ("alpaca", "sharegpt", "trl-messages", "hf"):
        found.append("turns that are not to be learned can't be told apart in this format")
    if format_ == "sharegpt" and any(t.content.strip() and t.extra.get("tool_calls") for t in example.turns):
        found.append("text beside a tool call has no place in this format")
    return found


# Rows


def _marked(row: Row, plain: bool, marks: Callable[[], Row]) -> list[Row]:
    return [row if plain else {**row, COLUMN: dumps(marks())}]


def _tools_of(example: Example, *, as_text: bool = True) -> tuple[Row, Row]:
    """(the column `tools` if there are any, what else is extra)."""
    extra = dict(example.extra)
    tools = extra.get("tools")
    if not isinstance(tools, list) or not tools:
        return {}, extra
    del extra["tools"]
    return {"tools": dumps(tools) if as_text else tools}, extra


def _taught(example: Example) -> None:
    if not any(t.learn for t in example.turns if t.role == "assistant"):
        raise Unfit("nothing in it is to be learned")


def _without_system(example: Example) -> tuple[str, tuple[Turn, ...]]:
    first = example.messages[0]
    return (first.content, example.turns[1:]) if first.role == "system" else ("", example.turns)


def _alternating(turns: Sequence[Turn]) -> bool:
    """Whether a person (or a tool) and the assistant take turns, a person first."""
    asked = [t.role in ("user", "tool") for t in turns]
    return turns[0].role == "user" and asked == [i % 2 == 0 for i in range(len(turns))]


def instruction_of(example: Example) -> tuple[str, str]:
    """(instruction, input) as they were imported; the input is empty where there was none or it was edited."""
    given = example.extra.get("input")
    if isinstance(given, str) and given:
        instruction = example.question.removesuffix(given).removesuffix("\n\n")
        if asked(instruction, given) == example.question:
            return instruction, given
    return example.question, ""


def _alpaca(example: Example, plain: bool) -> list[Row]:
    _taught(example)
    system, turns = _without_system(example)
    if any(t.role == "tool" or t.extra.get("tool_calls") for t in turns):
        raise Unfit("it has tool calls, which Alpaca can't hold")
    if not _alternating(turns):
        raise Unfit("its turns don't alternate between user and assistant")
    instruction, input_ = instruction_of(example)
    row: Row = {"instruction": instruction, "input": input_, "output": example.answer}
    if system:
        row["system"] = system
    if len(turns) > 2:
        row["history"] = [[a.content, b.content] for a, b in zip(turns[:-2:2], turns[1:-2:2], strict=True)]
    extra = {k: v for k, v in example.extra.items() if not (k == "input" and input_)}
    return _marked(row, plain, lambda: marks_of(example, text_only, extra=extra))


def _sharegpt(example: Example, plain: bool) -> list[Row]:
    _taught(example)
    system, turns = _without_system(example)
    if not _alternating(turns):
        raise Unfit("its turns don't alternate, which LLaMA-Factory would drop")
    tools, extra = _tools_of(example)
    row: Row = {"conversations": [sharegpt_turn(t) for t in turns]}
    if system:
        row["system"] = system
    return _marked(row | tools, plain, lambda: marks_of(example, SHAREGPT, extra=extra))


def _openai(example: Example, plain: bool) -> list[Row]:
    tools, extra = _tools_of(example, as_text=False)
    row = {"messages": [openai_turn(t) for t in example.turns], **tools}
    return _marked(row, plain, lambda: marks_of(example, OPENAI, extra=extra))


def _trl_messages(example: Example, plain: bool) -> list[Row]:
    _taught(example)
    tools, extra = _tools_of(example)
    row = {"messages": [trl_turn(t) for t in example.turns], **tools}
    return _marked(row, plain, lambda: marks_of(example, TRL, extra=extra))


def _trl_prompt_completion(example: Example, plain: bool) -> list[Row]:
    """A row for every turn that is to be learned: TRL takes the loss on the completion only."""
    tools, extra = _tools_of(example)
    turns = example.turns
    learned = [i for i, t in enumerate(turns) if t.learn and t.role == "assistant" and _can_end(turns[: i + 1])]
    if not learned:
        raise Unfit("nothing in it is to be learned")
    messages = [trl_turn(t) for t in turns]
    rows: list[Row] = []
    for i in learned:
        row: Row = {"prompt": messages[:i], "completion": [messages[i]], **tools}
        if not plain and i != learned[-1]:
            row[COLUMN] = dumps({"id": example.id, "part": "turn"})
        elif not plain:
            marks = marks_of(example, TRL, extra=extra)
            if i < len(turns) - 1:
                marks["after"] = [t.as_dict() for t in turns[i + 1 :]]
            row[COLUMN] = dumps(marks)
        rows.append(row)
    return rows


def _can_end(turns: Sequence[Turn]) -> bool:
    """Whether turns are a row by themselves."""
    try:
        check_order(turns)
    except InvalidInput:
        return False
    return True


def _trl_dpo(example: Example, plain: bool) -> list[Row]:
    if not example.rejected:
        raise Unfit("it has no rejected answer")
    if example.status == "rejected":
        raise Unfit("its answer was rejected, so there is none to choose")
    tools, extra = _tools_of(example)
    row = {
        "prompt": [trl_turn(t) for t in example.messages],
        "chosen": [trl_turn(example.turns[-1])],
        "rejected": [{"role": "assistant", "content": example.rejected}],
        **tools,
    }
    return _marked(row, plain, lambda: marks_of(example, TRL, told=("rejected",), extra=extra))


def _trl_kto(example: Example, plain: bool) -> list[Row]:
    """A thumb up for the answer (down if the row is rejected), a thumb down for the rejected text."""
    tools, extra = _tools_of(example)
    prompt = [trl_turn(t) for t in example.messages]
    label = example.status != "rejected"
    rows: list[Row] = [{"prompt": prompt, "completion": [trl_turn(example.turns[-1])], "label": label, **tools}]
    if example.rejected:
        worse = {"role": "assistant", "content": example.rejected}
        rows.append({"prompt": prompt, "completion": [worse], "label": False, **tools})
    if not plain:
        marks = marks_of(example, TRL, told=("rejected",), extra=extra)
        if example.rejected:
            marks["parts"] = 2
            rows[1][COLUMN] = dumps({"id": example.id, "part": "rejected"})
        rows[0][COLUMN] = dumps(marks)
    return rows


def _csv(example: Example, plain: bool) -> list[Row]:
    system, turns = _without_system(example)
    *before, answer = turns
    last = before.pop() if before and before[-1].role == "user" and not before[-1].extra.get("tool_calls") else None
    row: Row = {
        "system": system,
        "history": dumps([openai_turn(t) for t in before]) if before else "",
        "prompt": _cell(last, plain) if last else "",
        "completion": _cell(answer, plain),
        REJECTED: example.rejected or "",
    }
    if plain:
        return [row]
    values = {name: getattr(example, name) for name in META}
    values["tags"] = join_tags(example.tags)
    texts = {name: "" if value is None else str(value) for name, value in values.items()}
    marks = marks_of(example, text_only, told=(*META, "rejected"), extra=example.extra)
    if answer.extra.get("tool_calls"):
        marks["calls"] = True
    return [{**texts, **row, COLUMN: dumps(marks)}]


def _cell(turn: Turn, plain: bool) -> str:
    """A turn as text; as the JSON of turns only where the text alone would be read wrongly."""
    if turn.extra.get("tool_calls") or (plain and are_turns(turn.content)):
        return dumps([trl_turn(turn)])
    return turn.content


def _parquet(example: Example, plain: bool) -> list[Row]:
    tools, extra = _tools_of(example)
    row: Row = {"messages": [trl_turn(t) for t in example.turns], REJECTED: example.rejected, **tools}
    if plain:
        return [row]
    values = {name: getattr(example, name) for name in META}
    values["tags"] = list(example.tags)
    return [{**values, **row, COLUMN: dumps(marks_of(example, TRL, told=(*META, "rejected"), extra=extra))}]


def _hf(example: Example, plain: bool) -> list[Row]:
    if example.aside:
        raise Unfit("it is kept out of every side of the split")
    return _trl_messages(example, plain)


_RENDERERS: Mapping[FormatName, Callable[[Example, bool], list[Row]]] = {
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "openai": _openai,
    "trl-messages": _trl_messages,
    "trl-prompt-completion": _trl_prompt_completion,
    "trl-dpo": _trl_dpo,
    "trl-kto": _trl_kto,
    "csv": _csv,
    "parquet": _parquet,
    "hf": _hf,
}


def llama_factory_rows(format_: FormatName, example: Example) -> list[Row]:
    """The rows of a preference format in the ShareGPT shape that LLaMA-Factory reads; none where it would drop them."""
    system, turns = _without_system(example)
    if not _alternating(turns):
        return []
    tools, _ = _tools_of(example)
    common = tools | ({"system": system} if system else {})
    conversation = [sharegpt_turn(t) for t in turns[:-1]]
    answer = sharegpt_turn(turns[-1])
    worse = {"from": "gpt", "value": example.rejected}
    if format_ == "trl-dpo":
        return [{"conversations": conversation, "chosen": answer, "rejected": worse, **common}]
    rows = [{"conversations": [*conversation, answer], "kto_tag": example.status != "rejected", **common}]
    if example.rejected:
        rows.append({"conversations": [*conversation, worse], "kto_tag": False, **common})
    return rows
