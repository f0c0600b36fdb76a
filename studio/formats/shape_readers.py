"""How a row in each shape reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from studio.errors import InvalidInput, Phrase
from studio.formats.draft import Draft
from studio.formats.turns import are_turns, check_depth, check_order, loads, read_turn, read_turns
from studio.records import Turn

ShapeName = Literal[
    "messages", "sharegpt", "alpaca", "prompt-completion", "dpo", "preference", "kto", "openai-preference"
]


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
    question = asked(instruction, input_)
    if not question.strip():
        raise InvalidInput(Phrase("`{column}` is empty", column="instruction"))
    if not output.strip():
        raise InvalidInput(Phrase("`{column}` is empty", column="chosen" if pairs else "output"))
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


def _kto(row: dict[str, Any]) -> Draft:
    label = label_of(row, numbers=True)
    if label is None:
        if (value := row.get("label")) is None:
            raise InvalidInput(Phrase("`{column}` is missing", column="label"))
        said = Phrase("`{column}` is {value}; it must be true or false", column="label", value=repr(value))
        raise InvalidInput(said)
    return _prompt_completion({**row, "label": label})


def _openai_preference(row: dict[str, Any]) -> Draft:
    given = row.get("input")
    if not isinstance(given, Mapping):
        raise InvalidInput(Phrase("`{column}` is not an object with `messages`", column="input"))
    prompt = read_turns(given.get("messages"), "input.messages", learn=False)
    better, worse = (
        read_turns(row.get(name), name, learn=False) for name in ("preferred_output", "non_preferred_output")
    )
    turns, rejected = _pair([*prompt, *better], [*prompt, *worse], ("preferred_output", "non_preferred_output"))
    more: dict[str, Any] = {"extra": {"tools": given["tools"]}} if given.get("tools") else {}
    return _draft(row, {"input", "preferred_output", "non_preferred_output"}, turns, rejected, **more)


READERS: Mapping[ShapeName, Callable[[dict[str, Any]], Draft]] = {
    "messages": _conversation("messages"),
    "sharegpt": _conversation("conversations"),
    "alpaca": _alpaca,
    "prompt-completion": _prompt_completion,
    "kto": _kto,
    "dpo": _dpo,
    "preference": _preference,
    "openai-preference": _openai_preference,
}


# Parts of rows


def asked(instruction: str, input_: str) -> str:
    """The question of an Alpaca row: its two parts, or the one that is filled."""
    if not input_:
        return instruction
    return f"{instruction}\n\n{input_}" if instruction.strip() else input_


def _text(row: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise InvalidInput(Phrase("`{column}` is missing" if value is None else "`{column}` is not text", column=key))
    return value


def _filled(row: Mapping[str, Any], key: str) -> str:
    text = _text(row, key)
    if not text.strip():
        raise InvalidInput(Phrase("`{column}` is empty", column=key))
    return text


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
        raise InvalidInput(Phrase("`{column}` is not a list", column="history"))
    turns: list[Turn] = []
    for pair in value:
        if isinstance(pair, Mapping):
            turns.append(read_turn(pair, learn=learn))
        elif isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair):
            turns += [Turn("user", pair[0]), Turn("assistant", pair[1], learn)]
        else:
            raise InvalidInput(Phrase("`{column}` is not a list of pairs of question and answer", column="history"))
    return turns


def _prompt(row: Mapping[str, Any], known: set[str]) -> list[Turn]:
    """The turns of `prompt` (a text or a list), after `system` and `history` where there are such columns.

    Nobody else trains on the answers in a prompt, so they aren't marked to be learned.
    """
    value, turns = row.get("prompt"), []
    if row.get("history") is None or isinstance(row["history"], list) or str(row["history"])[:1] in ("[", ""):
        known.add("history")
        turns = _history(row.get("history"), learn=False)
    if are_turns(value):
        turns += read_turns(value, "prompt", learn=False)
    elif not (value in (None, "") and turns and turns[-1].role == "tool"):
        turns.append(Turn("user", _filled(row, "prompt")))
    known.add("system")
    return [*_system(row, turns), *turns]


def _completion(value: Any, name: str) -> list[Turn]:
    if are_turns(value):
        return read_turns(value, name, learn=True)
    return [Turn("assistant", _filled({name: value}, name), True)]


def _side(row: Mapping[str, Any], name: str) -> list[Turn]:
    """One side of a pair: a text, a turn, or a list of turns."""
    value = row.get(name)
    if isinstance(value, Mapping):
        return [read_turn(value, learn=True)]
    # An empty worse answer is none.
    return [Turn("assistant", "", True)] if name == "rejected" and value == "" else _completion(value, name)


def _pair(
    better: list[Turn], worse: list[Turn], names: tuple[str, str] = ("chosen", "rejected")
) -> tuple[list[Turn], str | None]:
    """The turns that end with the better answer, and the text of the worse one.

    Raises:
        InvalidInput: more than the last answer differs; it tells of the columns in `names`.
    """
    if [(t.role, t.content) for t in better[:-1]] != [(t.role, t.content) for t in worse[:-1]]:
        raise InvalidInput(
            Phrase(
                "`{column}` and `{column_2}` differ in more than the last answer", column=names[0], column_2=names[1]
            )
        )
    answer, other = better[-1], worse[-1]
    if other.role != "assistant":
        raise InvalidInput(Phrase("`{column}` does not end with an answer", column=names[1]))
    if not other.content and other.extra:
        raise InvalidInput(Phrase("`{column}` has no text", column=names[1]))
    return [*better[:-1], replace(answer, learn=True)], other.content or None


def label_of(row: Mapping[str, Any], *, numbers: bool = False) -> bool | None:
    """The thumb of a KTO row; a table of texts writes it in words.

    Args:
        numbers: whether 0 and 1 are thumbs too; elsewhere they may be anything, such as a class.
    """
    value = row.get("label")
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    if isinstance(value, bool) or (numbers and isinstance(value, int | float) and value in (0, 1)):
        return bool(value)
    return None


def _verdict(row: Mapping[str, Any], more: dict[str, Any]) -> set[str]:
    """Columns used up by a label; a thumb down makes the row a rejected one."""
    label = label_of(row)
    if label is False:
        more["status"] = "rejected"
    return set() if label is None else {"label"}
