"""The rows of a project: importing, reviewing, converting, and the samples to start with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio import projects
from studio.context import Studio
from studio.errors import ImportRejected, InvalidInput, NotFound, RowError
from studio.records import Example, Format, Project, Status, Turn, new_id, now
from studio.settings import data_dir

MAX_FILE_BYTES = 1_000_000_000
SHOWN_ERRORS = 20
_ALPACA = {"instruction", "input", "output", "system"}


@dataclass(frozen=True)
class ImportReport:
    """What an import did. It is all or nothing: with any bad row, nothing is added."""

    added: int
    skipped: int
    """Rows that were there already."""


@dataclass(frozen=True)
class Sample:
    """A small set to try the whole loop with."""

    key: str
    name: str
    language: str
    description: str
    rows: int
    held_out: int


def get(studio: Studio, example_id: str) -> Example:
    example = studio.store.examples.get(example_id)
    if example is None:
        raise NotFound(f"There is no example {example_id}.", "List them with: studio examples list")
    return example


def set_status(studio: Studio, example_id: str, status: Status, author: str = "") -> Example:
    """Approve or reject a row: a new version of it."""
    with studio.store.transaction():
        return _append(studio, replace(get(studio, example_id), status=status), author)


def edit(studio: Studio, example_id: str, prompt: str, answer: str, author: str = "") -> Example:
    """Change the last question and the answer of a row: a new version of it.

    Raises:
        InvalidInput: one of them is empty, or nothing changed.
    """
    if not prompt.strip() or not answer.strip():
        raise InvalidInput("An example needs a question and an answer.", "Fill in both.")
    with studio.store.transaction():
        old = get(studio, example_id)
        if prompt == old.question and answer == old.answer:
            raise InvalidInput("The example is unchanged.")
        messages = (*old.messages[:-1], Turn("user", prompt))
        return _append(studio, replace(old, messages=messages, answer=answer), author)


def _append(studio: Studio, example: Example, author: str) -> Example:
    changed = replace(example, version=example.version + 1, author=author or studio.settings.author, created_at=now())
    studio.store.examples.append([changed])
    return changed


def add(studio: Studio, project_id: str, prompt: str, answer: str, author: str = "") -> Example:
    """Type in a row by hand; it arrives approved."""
    if not prompt.strip() or not answer.strip():
        raise InvalidInput("An example needs a question and an answer.", "Fill in both.")
    example = Example(
        new_id("e"),
        projects.get(studio, project_id).id,
        1,
        "approved",
        (Turn("user", prompt),),
        answer,
        source="typed",
        author=author or studio.settings.author,
    )
    studio.store.examples.append([example])
    return example


# Converting


def as_instruction(example: Example) -> dict[str, Any]:
    """The row as `instruction`, `input`, `output` (and `system` if it brings its own).

    Raises:
        InvalidInput: it has several turns, which this format can't hold.
    """
    if not example.is_single_turn:
        raise InvalidInput(f"Example {example.id} has several turns.", "Instruction format holds one question.")
    instruction, input_ = example.question, ""
    given = example.extra.get("input")
    if isinstance(given, str) and given and example.question.endswith("\n\n" + given):
        instruction, input_ = example.question[: -len("\n\n" + given)], given
    row: dict[str, Any] = {"instruction": instruction, "input": input_, "output": example.answer}
    if example.messages[0].role == "system":
        row["system"] = example.messages[0].content
    return row


def as_messages(example: Example) -> dict[str, Any]:
    """The row as `messages`, the answer as the last turn."""
    return {"messages": [t.as_message() for t in example.turns]}


def as_row(example: Example, format_: Format) -> dict[str, Any]:
    return as_instruction(example) if format_ == "instruction" else as_messages(example)


# Importing


def import_file(
    studio: Studio, project_id: str, path: Path, *, approve: bool = False, author: str = ""
) -> ImportReport:
    """Add the rows of a JSON or JSON Lines file, Alpaca or `messages`. All of them or none.

    Raises:
        InvalidInput: the file can't be read or holds no rows.
        ImportRejected: some rows are bad; their numbers and reasons are in it.
    """
    project = projects.get(studio, project_id)
    examples, errors = [], []
    seen = {e.key() for e in studio.store.examples.find(project_id)}
    skipped = 0
    for number, row in _read(path):
        try:
            example = _from_row(project, row, approve, author or studio.settings.author)
        except InvalidInput as error:
            errors.append(RowError(number, str(error)))
            continue
        if (key := example.key()) in seen:
            skipped += 1
            continue
        seen.add(key)
        examples.append(example)
    if errors:
        shown = "; ".join(f"row {e.row}: {e.reason}" for e in errors[:SHOWN_ERRORS])
        more = f"; and {len(errors) - SHOWN_ERRORS} more" if len(errors) > SHOWN_ERRORS else ""
        raise ImportRejected(
            f"{len(errors)} rows of {path.name} can't be imported ({shown}{more}).",
            tuple(errors),
            "Nothing was imported. Mend these rows and import the file again.",
        )
    if not examples and not skipped:
        raise InvalidInput(f"{path.name} holds no rows.")
    studio.store.examples.append(examples)
    return ImportReport(len(examples), skipped)


def _read(path: Path) -> Iterator[tuple[int, Any]]:
    """(row number, row) of a file; for JSON Lines the number of the line. A row that is no JSON is an exception."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInput(f"{path.name} is larger than {MAX_FILE_BYTES // 10**9} GB.", "Split it.")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        bad_line = error.object[: error.start].count(b"\n") + 1
        raise InvalidInput(f"{path.name} is not UTF-8 text (line {bad_line}).", "Save it as UTF-8.") from error
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.") from error
    if not text.strip():
        raise InvalidInput(f"{path.name} is empty.")
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            row = _first_broken_row(text)
            raise ImportRejected(
                f"{path.name} is broken in row {row}: {error}.",
                (RowError(row, "not valid JSON"),),
                "Nothing was imported. Mend the file and import it again.",
            ) from error
        yield from enumerate(rows, 1)
        return
    # Not `splitlines`: a line separator such as U+2028 may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _row_of(line)


def _first_broken_row(text: str) -> int:
    """1-based number of the first row of a JSON list that can't be read."""
    decoder, position, row = json.JSONDecoder(), text.index("[") + 1, 1
    while True:
        position += len(text[position:]) - len(text[position:].lstrip(" \t\r\n,"))
        try:
            _, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return row
        row += 1


def _row_of(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return error


def _from_row(project: Project, row: Any, approve: bool, author: str) -> Example:
    if isinstance(row, Exception):
        raise InvalidInput("not valid JSON")
    if not isinstance(row, Mapping):
        raise InvalidInput("not an object with named fields")
    if "messages" in row:
        messages, answer = _from_messages(row["messages"])
        extra = {k: v for k, v in row.items() if k != "messages"}
    elif "instruction" in row or "output" in row:
        messages, answer = _from_alpaca(row)
        extra = {k: v for k, v in row.items() if k not in _ALPACA}
        if row.get("input"):
            extra["input"] = row["input"]
    else:
        names = ", ".join(map(str, list(row)[:6])) or "none"
        raise InvalidInput(f"needs `messages`, or `instruction` and `output` (found: {names})")
    if project.format == "instruction" and [t.role for t in messages if t.role != "system"] != ["user"]:
        raise InvalidInput("has several turns; this project keeps single questions")
    return Example(
        new_id("e"),
        project.id,
        1,
        "approved" if approve else "draft",
        tuple(messages),
        answer,
        source="import",
        extra=extra,
        author=author,
    )


def _from_alpaca(row: Mapping[str, Any]) -> tuple[list[Turn], str]:
    instruction, input_, output = _text(row, "instruction"), _text(row, "input", ""), _text(row, "output")
    question = f"{instruction}\n\n{input_}" if input_ else instruction
    if not question.strip():
        raise InvalidInput("`instruction` is empty")
    if not output.strip():
        raise InvalidInput("`output` is empty")
    system = _text(row, "system", "")
    return [*([Turn("system", system)] if system else []), Turn("user", question)], output


def _from_messages(value: Any) -> tuple[list[Turn], str]:
    if not isinstance(value, list) or not value:
        raise InvalidInput("`messages` is not a list of turns")
    turns = []
    for turn in value:
        if not isinstance(turn, Mapping) or turn.get("role") not in ("system", "user", "assistant"):
            raise InvalidInput("a turn needs a `role` of system, user or assistant")
        turns.append(Turn(turn["role"], _text(turn, "content")))
    if turns[-1].role != "assistant" or len(turns) < 2 or turns[-2].role != "user":
        raise InvalidInput("the last turns must be a question (user) and its answer (assistant)")
    if any(turn.role == "system" for turn in turns[1:]):
        raise InvalidInput("a system turn can only come first")
    if not turns[-2].content.strip():
        raise InvalidInput("the question is empty")
    if not turns[-1].content.strip():
        raise InvalidInput("the answer is empty")
    return turns[:-1], turns[-1].content


def _text(row: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise InvalidInput(f"`{key}` is missing" if value is None else f"`{key}` is not text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"`{key}` holds half a character (an unpaired surrogate)") from error
    return value


# Samples


def samples(folder: Path | None = None) -> list[Sample]:
    """The sets shipped in `data/samples/`."""
    found = []
    for path in sorted((folder or data_dir() / "samples").glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            Sample(
                path.stem,
                value["name"],
                value["language"],
                value["description"],
                len(value["rows"]),
                len(value["held_out"]),
            )
        )
    return found


def try_sample(studio: Studio, key: str) -> Project:
    """A project with a sample's corrections, approved, and its held-out rewordings as test rows. Made once."""
    path = data_dir() / "samples" / f"{key}.json"
    if key not in {s.key for s in samples()}:
        raise NotFound(f"There is no sample {key!r}.", f"There are: {', '.join(s.key for s in samples())}.")
    value = json.loads(path.read_text(encoding="utf-8"))
    if (existing := studio.store.projects.by_name(value["name"])) is not None:
        return existing
    with studio.store.transaction():
        project = projects.create(
            studio,
            value["name"],
            system_prompt=value["system_prompt"],
            format=value["format"],
            language=value["language"],
        )
        studio.store.examples.append(
            [
                Example(
                    new_id("e"),
                    project.id,
                    1,
                    "approved",
                    (Turn("user", row["prompt"]),),
                    row["answer"],
                    split="train" if part == "rows" else "test",
                    source="sample",
                    extra={"topic": row["topic"]},
                    author="sample",
                )
                for part in ("rows", "held_out")
                for row in value[part]
            ]
        )
    return project
