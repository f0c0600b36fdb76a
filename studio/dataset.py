"""The rows of a project: looking, changing, and taking changes back. Every change is an action in the history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import EllipsisType
from typing import Any

from studio import projects, splits
from studio.context import Studio
from studio.errors import Conflict, ImportRejected, InvalidInput, NotFound, RowError
from studio.records import Example, Format, Project, Status, Turn, new_id, now
from studio.rows import Action, ActionKind, Facets, Flag, RowFilter, Sort

MAX_FILE_BYTES = 1_000_000_000
SHOWN_ERRORS = 20
_ALPACA = {"instruction", "input", "output", "system"}
MAX_TAG = 60
MAX_NOTE = 10_000
_KINDS: Mapping[Status, ActionKind] = {
    "approved": "approved",
    "rejected": "rejected",
    "draft": "drafted",
    "deleted": "deleted",
}


@dataclass(frozen=True)
class ImportReport:
    """What an import did. It is all or nothing: with any bad row, nothing is added."""

    added: int
    skipped: int
    """Rows that were there already."""


# Looking


def get(studio: Studio, example_id: str) -> Example:
    example = studio.store.examples.get(example_id)
    if example is None:
        raise NotFound(f"There is no example {example_id}.", "List them with: studio examples list")
    return example


def page(
    studio: Studio, project_id: str, rows: RowFilter, sort: Sort = "newest", limit: int = 25, offset: int = 0
) -> list[Example]:
    """A stretch of the rows that fit."""
    return studio.store.examples.page(project_id, rows, sort, limit, offset)


def count(studio: Studio, project_id: str, rows: RowFilter) -> int:
    return studio.store.examples.count(project_id, rows)


def facets(studio: Studio, project_id: str, rows: RowFilter | None = None) -> Facets:
    """How many of the rows that fit have each status, tag, author, source, side and flag."""
    return studio.store.examples.facets(project_id, rows or RowFilter())


def timeline(studio: Studio, example_id: str) -> list[tuple[Example, Action | None]]:
    """Every version of a row with the action that made it, newest first; none for rows of an older studio."""
    versions = studio.store.examples.versions(example_id)
    actions = studio.store.actions.get_many([version.action_id for version in versions])
    return [(version, actions.get(version.action_id)) for version in reversed(versions)]


def history(studio: Studio, project_id: str, limit: int = 50, offset: int = 0) -> list[Action]:
    """What was done in a project, newest first."""
    return studio.store.actions.of_project(project_id, limit, offset)


def flags(studio: Studio, project_id: str, example_ids: Sequence[str]) -> dict[str, list[Flag]]:
    """The open flags of rows."""
    return studio.store.flags.of(project_id, example_ids)


def dismiss_flag(studio: Studio, key: str, author: str = "") -> None:
    """Say that a flag is no defect; it stays dismissed when the scan is run again."""
    studio.store.flags.dismiss(key, author or studio.settings.author)


# Adding


def add(studio: Studio, project_id: str, prompt: str, answer: str, author: str = "") -> Example:
    """Type in a row by hand; it arrives approved."""
    _require_texts(prompt, answer)
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
    add_rows(studio, project_id, [example], "created", author=author)
    return get(studio, example.id)


def add_rows(
    studio: Studio,
    project_id: str,
    examples: Sequence[Example],
    kind: ActionKind,
    *,
    detail: str = "",
    author: str = "",
) -> Action:
    """Append rows, or versions of rows, as one action: all of them or none."""
    action = _action(studio, project_id, kind, detail, author)
    with studio.store.transaction():
        studio.store.examples.append([_entering(example, action.id) for example in examples])
        return _record(studio, action, len(examples), [example.id for example in examples])


def _entering(example: Example, action_id: str) -> Example:
    # A new row on another side than training was put there on purpose; one made from another row goes with that.
    is_put = example.version == 1 and example.split != "train" and example.parent_id is None
    pinned = example.pinned or is_put
    return replace(example, action_id=action_id, pinned=pinned)


# Changing one row


def edit(
    studio: Studio,
    example_id: str,
    version: int | None = None,
    *,
    messages: Sequence[Turn] | None = None,
    prompt: str | None = None,
    answer: str | None = None,
    learn_answer: bool | None = None,
    tags: Sequence[str] | None = None,
    rating: int | EllipsisType | None = ...,
    note: str | None = None,
    author: str = "",
) -> Example:
    """Change a row: a new version of it. What is not given stays.

    Args:
        version: the version that was looked at.
        prompt: the last question alone; `messages` all turns before the answer.
        rating: 1 to 5, or None to take it away.

    Raises:
        Conflict: somebody changed the row since `version`; the error carries the row as it is now.
        InvalidInput: a text is empty, a value can't be used, or nothing changed.
    """
    with studio.store.transaction():
        old = get(studio, example_id)
        _require_version(old, version)
        turns = tuple(messages) if messages is not None else old.messages
        if prompt is not None:
            turns = (*turns[:-1], replace(turns[-1], content=prompt))
        new = replace(
            old,
            messages=turns,
            answer=old.answer if answer is None else answer,
            learn_answer=old.learn_answer if learn_answer is None else learn_answer,
            tags=old.tags if tags is None else _checked_tags(tags),
            rating=old.rating if rating is ... else _checked_rating(rating),
            note=old.note if note is None else _checked_note(note),
        )
        if new == old:
            raise InvalidInput("The example is unchanged.")
        return _append(studio, old, new, _kind_of(old, new), author)


def _kind_of(old: Example, new: Example) -> ActionKind:
    if replace(new, tags=old.tags) == old:
        return "tagged"
    if replace(new, rating=old.rating) == old:
        return "rated"
    if replace(new, note=old.note) == old:
        return "noted"
    _require_texts(new.question, new.answer)
    return "edited"


def _append(studio: Studio, old: Example, new: Example, kind: ActionKind, author: str) -> Example:
    author = author or studio.settings.author
    changed = replace(new, version=old.version + 1, author=author, created_at=now())
    add_rows(studio, old.project_id, [changed], kind, author=author)
    return get(studio, old.id)


def _require_texts(prompt: str, answer: str) -> None:
    if not prompt.strip() or not answer.strip():
        raise InvalidInput("An example needs a question and an answer.", "Fill in both.")


def _checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    cleaned = sorted({" ".join(tag.split()) for tag in tags} - {""})
    for tag in cleaned:
        if len(tag) > MAX_TAG:
            raise InvalidInput(f"The tag {tag[:20]!r}… is too long.", f"At most {MAX_TAG} characters.")
    return tuple(cleaned)


def _checked_rating(rating: int | None) -> int | None:
    if rating is not None and rating not in (1, 2, 3, 4, 5):
        raise InvalidInput(f"A rating can't be {rating!r}.", "Give 1 (poor) to 5 (excellent).")
    return rating


def _checked_note(note: str) -> str:
    if len(note) > MAX_NOTE:
        raise InvalidInput(f"The note is too long: {len(note)} characters.", f"At most {MAX_NOTE}.")
    return note.strip()


def set_status(
    studio: Studio, example_id: str, status: Status, author: str = "", version: int | None = None
) -> Example:
    """Approve, reject, draft or bin a row: a new version of it, unless it is so already.

    Raises:
        Conflict: somebody changed the row since `version`, the one that was looked at.
    """
    kind = _status_kind(status)
    with studio.store.transaction():
        old = get(studio, example_id)
        _require_version(old, version)
        return old if old.status == status else _append(studio, old, replace(old, status=status), kind, author)


def _require_version(row: Example, version: int | None) -> None:
    if version is not None and version != row.version:
        raise Conflict(
            f"{row.author or 'Somebody'} changed this example meanwhile.", row, "Compare the two and choose."
        )


# Changing many


def set_statuses(studio: Studio, project_id: str, rows: RowFilter, status: Status, author: str = "") -> Action:
    """Approve, reject, draft or bin every row that fits; those that are so already stay as they are.

    Raises:
        InvalidInput: no such status, or no row changes.
    """
    return _revise(studio, project_id, rows, {"status": status}, _status_kind(status), author)


def _status_kind(status: Status) -> ActionKind:
    if status not in _KINDS:
        raise InvalidInput(f"There is no status {status!r}.", f"Use one of: {', '.join(_KINDS)}.")
    return _KINDS[status]


def tag(
    studio: Studio,
    project_id: str,
    rows: RowFilter,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    author: str = "",
) -> Action:
    """Add and remove tags on every row that fits."""
    added, removed = _checked_tags(add), _checked_tags(remove)
    if not added and not removed:
        raise InvalidInput("No tag was given.", "Type one.")
    detail = " ".join([*(f"+{t}" for t in added), *(f"-{t}" for t in removed)])
    action = _action(studio, project_id, "tagged", detail, author)
    with studio.store.transaction():
        changed = studio.store.examples.retag(
            project_id, rows, added, removed, action.id, action.author, action.created_at
        )
        return _record(studio, action, changed)


def _revise(
    studio: Studio, project_id: str, rows: RowFilter, changes: Mapping[str, Any], kind: ActionKind, author: str
) -> Action:
    action = _action(studio, project_id, kind, "", author)
    with studio.store.transaction():
        changed = studio.store.examples.revise(project_id, rows, changes, action.id, action.author, action.created_at)
        return _record(studio, action, changed)


# Taking back


def undo(studio: Studio, project_id: str, author: str = "", action_id: str | None = None) -> Action:
    """Take back an action, by default the newest that was not taken back yet; rows that changed since are left alone.

    Undoing an undo brings its changes back.

    Raises:
        InvalidInput: there is nothing to take back.
    """
    with studio.store.transaction():
        target = studio.store.actions.get(action_id) if action_id else studio.store.actions.undoable(project_id)
        if target is None or target.project_id != project_id:
            raise InvalidInput("There is nothing to undo.")
        if studio.store.actions.undone_by(target.id) is not None:
            raise InvalidInput("This was undone already.")
        action = replace(_action(studio, project_id, "undone", target.kind, author), undoes=target.id)
        if splits.is_deal(studio, target):
            return splits.take_back(studio, target, action)
        restored, later = studio.store.examples.revert(
            project_id, target.id, action.id, action.author, action.created_at, sides=_moves_sides(studio, target)
        )
        if later:
            action = replace(action, detail=f"{target.kind}; {later} changed since and stay")
        return _record(studio, action, restored)


def _moves_sides(studio: Studio, action: Action | None) -> bool:
    """Whether an action moved rows to another side, or undid such a one."""
    while action is not None and action.undoes is not None:
        action = studio.store.actions.get(action.undoes)
    return action is not None and action.kind == "split"


def restore(studio: Studio, example_id: str, version: int, author: str = "") -> Example:
    """Give a row the state of an earlier version, as a new version."""
    with studio.store.transaction():
        old = get(studio, example_id)
        if not 1 <= version < old.version:
            raise InvalidInput(f"The example has no earlier version {version}.", "Choose one from its history.")
        action = _action(studio, old.project_id, "restored", f"version {version}", author)
        studio.store.examples.restore(example_id, version, action.id, action.author, action.created_at)
        _record(studio, action, 1, [example_id])
        return get(studio, example_id)


def restore_all(studio: Studio, project_id: str, action_id: str, author: str = "") -> Action:
    """Bring every row of a project back to how it was right after an action; rows made later go to the bin."""
    with studio.store.transaction():
        target = studio.store.actions.get(action_id)
        if target is None or target.project_id != project_id:
            raise NotFound("There is no such moment in this project's history.", "Choose one from the history.")
        action = _action(studio, project_id, "restored", f"to {target.created_at:%Y-%m-%d %H:%M:%S} UTC", author)
        changed = studio.store.examples.restore_all(project_id, target.id, action.id, action.author, action.created_at)
        return _record(studio, action, changed)


def _action(studio: Studio, project_id: str, kind: ActionKind, detail: str, author: str) -> Action:
    return Action(new_id("h"), project_id, kind, 0, author or studio.settings.author, detail)


def _record(studio: Studio, action: Action, rows: int, example_ids: Sequence[str] = ()) -> Action:
    """Write the action, and settle on which side of the split its rows stand; in the transaction that changed them."""
    if not rows:
        raise InvalidInput("Nothing changed.", "The rows are like that already, or none was chosen.")
    action = replace(action, rows=rows)
    studio.store.actions.add(action)
    splits.settle(studio, action, example_ids)
    return action


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
    seen = studio.store.examples.keys(project_id)
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
    if examples:
        add_rows(studio, project_id, examples, "imported", detail=path.name, author=author)
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
