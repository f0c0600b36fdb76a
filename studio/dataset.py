"""The rows of a project: looking, changing, and taking changes back. Every change is an action in the history."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any, Literal

from studio import projects, quality, splits
from studio.context import Studio
from studio.errors import Blocked, Conflict, InvalidInput, NotFound, Phrase
from studio.records import Example, Project, Status, Turn, new_id, now
from studio.rows import Action, ActionKind, Facets, Flag, RowFilter, Sort

MAX_TAG = 60
MAX_NOTE = 10_000
_KINDS: Mapping[Status, ActionKind] = {
    "approved": "approved",
    "rejected": "rejected",
    "draft": "drafted",
    "deleted": "deleted",
}


# Looking


def get(studio: Studio, example_id: str) -> Example:
    example = studio.store.examples.get(example_id)
    if example is None:
        raise NotFound(
            Phrase("There is no example {example}.", example=example_id), "List them with: studio examples list"
        )
    return example


def page(
    studio: Studio,
    project_id: str,
    rows: RowFilter,
    sort: Sort = "newest",
    limit: int = 25,
    offset: int = 0,
    most: int | None = None,
) -> list[Example]:
    """A stretch of the rows that fit; with `most`, of a very common word only the newest that many."""
    return studio.store.examples.page(project_id, rows, sort, limit, offset, most)


def count(studio: Studio, project_id: str, rows: RowFilter) -> int:
    return studio.store.examples.count(project_id, rows)


def facets(studio: Studio, project_id: str, rows: RowFilter | None = None, most: int | None = None) -> Facets:
    """How many of the rows that fit have each status, tag, author, source, side and flag; with `most`, of a very common
    word only the newest that many are counted, and the answer is `capped`."""
    return studio.store.examples.facets(project_id, rows or RowFilter(), most)


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


def dismiss_flag(studio: Studio, key: str, author: str = "", action_id: str = "") -> None:
    """Say that a flag is no defect; it stays dismissed when the scan is run again. As part of an action, it is open
    again when that is undone."""
    studio.store.flags.dismiss(key, author or studio.settings.author, action_id)


def reopen_flags(studio: Studio, keys: Sequence[str]) -> None:
    """Take back that these flags are no defects."""
    with studio.store.transaction():
        for key in keys:
            studio.store.flags.reopen(key)


@dataclass(frozen=True)
class Settled:
    """What settling a pair changed, for taking it back."""

    action_id: str | None
    """The action that rejected one of the two; None if both stay."""
    keys: tuple[str, ...]
    """The flags that are closed with it."""


def settle(
    studio: Studio,
    project_id: str,
    pair: tuple[str, str],
    key: str,
    keep: Literal["first", "second", "both"],
    author: str,
) -> Settled:
    """Of two rows that can't both be right, reject one or neither; the flag `key` is closed on both either way.

    Raises:
        InvalidInput: the flag is closed already.
    """
    with studio.store.transaction():
        found = flags(studio, project_id, pair)
        kinds = {flag.kind for some in found.values() for flag in some if flag.key == key}
        if not kinds:
            raise InvalidInput("This is settled already.")
        action_id = None
        if keep != "both":
            loser = get(studio, pair[1] if keep == "first" else pair[0])
            if loser.status != "rejected":
                action_id = set_status(studio, loser.id, "rejected", author).action_id
        keys = tuple(
            flag.key for some in found.values() for flag in some if flag.kind in kinds and flag.other_id in pair
        )
        for one in keys:
            dismiss_flag(studio, one, author, action_id or "")
        return Settled(action_id, keys)


# Adding


def add(studio: Studio, project_id: str, prompt: str, answer: str, author: str = "") -> Example:
    """Type in a row by hand; it arrives approved."""
    _require_texts(prompt, answer)
    require_unblocked(projects.get(studio, project_id), answer)
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
    onto: Action | None = None,
) -> Action:
    """Append rows, or versions of rows, as one action: all of them or none.

    onto: an action of this kind to go on with. Where something else was done in the project since, a new one is begun:
    what was done is in order, and can be gone back to, only if no action reaches over another.
    """
    action = _action(studio, project_id, kind, detail, author)
    with studio.store.transaction():
        if goes_on := onto is not None and studio.store.actions.of_project(project_id, 1)[0].id == onto.id:
            action = replace(action, id=onto.id)
        studio.store.examples.append([_entering(example, action.id) for example in examples])
        recorded = _record(studio, action, len(examples), [example.id for example in examples], goes_on=goes_on)
    quality.check_soon(studio, project_id, examples)
    return recorded


def _entering(example: Example, action_id: str) -> Example:
    # A new row on another side than training was put there on purpose; one made from another row goes with that.
    is_put = example.version == 1 and example.split != "train" and example.parent_id is None
    return replace(example, action_id=action_id, pinned=example.pinned or is_put)


def require_unblocked(project: Project, answer: str) -> None:
    """Raises:
    Blocked: a rule keeps this answer from being approved.
    """
    if reason := quality.blocked(project, answer):
        raise Blocked(reason)


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
    status: Status | None = None,
    author: str = "",
) -> Example:
    """Change a row: a new version of it. What is not given stays.

    Args:
        version: the version that was looked at.
        status: for "save and approve", which is one action and one undo.
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
            status=old.status if status is None else status,
        )
        if new == old:
            raise InvalidInput("The example is unchanged.")
        if new.status == "approved" and (new.answer, new.status) != (old.answer, old.status):
            require_unblocked(projects.get(studio, old.project_id), new.answer)
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
    action = add_rows(studio, old.project_id, [changed], kind, author=author)
    if projects.get(studio, old.project_id).shares is not None:
        # An edit can make it nearly the same as a row on another side.
        return get(studio, old.id)
    return replace(changed, action_id=action.id)


def _require_texts(prompt: str, answer: str) -> None:
    if not prompt.strip() or not answer.strip():
        raise InvalidInput("An example needs a question and an answer.", "Fill in both.")


def _checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    cleaned = sorted({" ".join(tag.split()) for tag in tags} - {""})
    for tag in cleaned:
        if len(tag) > MAX_TAG:
            raise InvalidInput(
                Phrase("The tag {tag!r}… is too long.", tag=tag[:20]),
                Phrase("At most {most} characters.", most=MAX_TAG),
            )
    return tuple(cleaned)


def _checked_rating(rating: int | None) -> int | None:
    if rating is not None and rating not in (1, 2, 3, 4, 5):
        raise InvalidInput(Phrase("A rating can't be {rating!r}.", rating=rating), "Give 1 (poor) to 5 (excellent).")
    return rating


def _checked_note(note: str) -> str:
    if len(note) > MAX_NOTE:
        raise InvalidInput(
            Phrase("The note is too long: {n} characters.", n=len(note)), Phrase("At most {most}.", most=MAX_NOTE)
        )
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
        if status == "approved":
            require_unblocked(projects.get(studio, old.project_id), old.answer)
        return old if old.status == status else _append(studio, old, replace(old, status=status), kind, author)


def _require_version(row: Example, version: int | None) -> None:
    if version is not None and version != row.version:
        raise Conflict(
            Phrase("{who} changed this example meanwhile.", who=row.author or Phrase("Somebody")),
            row,
            "Compare the two and choose.",
        )


# Changing many


def set_statuses(studio: Studio, project_id: str, rows: RowFilter, status: Status, author: str = "") -> Action:
    """Approve, reject, draft or bin every row that fits; those that are so already stay as they are.

    Raises:
        InvalidInput: no such status, or no row changes.
    """
    kind, detail = _status_kind(status), ""
    if status == "approved" and (fits := _unblocked(studio, project_id, rows)) is not None:
        rows, blocked = fits
        detail = f"{blocked} break a rule and stay as they are" if blocked else ""
    return _revise(studio, project_id, rows, {"status": status}, kind, author, detail)


def _unblocked(studio: Studio, project_id: str, rows: RowFilter) -> tuple[RowFilter, int] | None:
    """Those of the rows that no rule keeps from being approved, and how many others there are; None without such a
    rule."""
    project = projects.get(studio, project_id)
    if not any(rule.blocks for rule in project.rules):
        return None
    found = [e for batch in studio.store.examples.stream(project_id, rows) for e in batch]
    ids = tuple(e.id for e in found if not quality.blocked(project, e.answer))
    if not ids:
        raise InvalidInput("A rule keeps every one of these from being approved.", "Look at them one by one.")
    return RowFilter(ids=ids), len(found) - len(ids)


def _status_kind(status: Status) -> ActionKind:
    if status not in _KINDS:
        raise InvalidInput(
            Phrase("There is no status {status!r}.", status=status),
            Phrase("Use one of: {names}.", names=", ".join(_KINDS)),
        )
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
        changed = studio.store.revisions.retag(
            project_id, rows, added, removed, action.id, action.author, action.created_at
        )
        return _record(studio, action, changed)


def _revise(
    studio: Studio,
    project_id: str,
    rows: RowFilter,
    changes: Mapping[str, Any],
    kind: ActionKind,
    author: str,
    detail: str = "",
) -> Action:
    action = _action(studio, project_id, kind, detail, author)
    with studio.store.transaction():
        changed = studio.store.revisions.revise(project_id, rows, changes, action.id, action.author, action.created_at)
        return _record(studio, action, changed)


# Taking back


def undo(
    studio: Studio,
    project_id: str,
    author: str = "",
    action_id: str | None = None,
    progress: splits.Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Action:
    """Take back an action, by default the newest that was not taken back yet; rows that changed since are left alone.

    Undoing an undo brings its changes back. Only of a dealing `progress` and `cancelled` are asked: it can take long.

    Raises:
        InvalidInput: there is nothing to take back.
        Cancelled: before the end; nothing was changed.
    """
    with studio.store.transaction():
        target = studio.store.actions.get(action_id) if action_id else studio.store.actions.undoable(project_id)
        if target is None or target.project_id != project_id:
            raise InvalidInput("There is nothing to undo.")
        if studio.store.actions.undone_by(target.id) is not None:
            raise InvalidInput("This was undone already.")
        action = replace(_action(studio, project_id, "undone", target.kind, author), undoes=target.id)
        if not splits.is_deal(studio, target):
            restored, later = studio.store.revisions.revert(
                project_id, target.id, action.id, action.author, action.created_at, sides=_moves_sides(studio, target)
            )
            studio.store.flags.reopen_of(target.id)
            if later:
                action = replace(action, detail=f"{target.kind}; {later} changed since and stay")
            return _record(studio, action, restored)
    return splits.take_back(studio, target, action, progress, cancelled)


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
            raise InvalidInput(
                Phrase("The example has no earlier version {version}.", version=version), "Choose one from its history."
            )
        action = _action(studio, old.project_id, "restored", f"version {version}", author)
        studio.store.revisions.restore(example_id, version, action.id, action.author, action.created_at)
        _record(studio, action, 1, [example_id])
        return get(studio, example_id)


def restore_all(studio: Studio, project_id: str, action_id: str, author: str = "") -> Action:
    """Bring every row of a project back to how it was right after an action; rows made later go to the bin."""
    with studio.store.transaction():
        target = studio.store.actions.get(action_id)
        if target is None or target.project_id != project_id:
            raise NotFound("There is no such moment in this project's history.", "Choose one from the history.")
        action = _action(studio, project_id, "restored", f"to {target.created_at:%Y-%m-%d %H:%M:%S} UTC", author)
        changed = studio.store.revisions.restore_all(project_id, target.id, action.id, action.author, action.created_at)
        return _record(studio, action, changed)


def _action(studio: Studio, project_id: str, kind: ActionKind, detail: str, author: str) -> Action:
    return Action(new_id("h"), project_id, kind, 0, author or studio.settings.author, detail)


def record_import(studio: Studio, action: Action) -> None:
    """Write the action of an import, in the transaction that added its rows."""
    _record(studio, action, action.rows)


def _record(
    studio: Studio, action: Action, rows: int, example_ids: Sequence[str] = (), *, goes_on: bool = False
) -> Action:
    """Write the action, or how it goes on, and settle on which side of the split its rows stand; in the transaction
    that changed them."""
    if not rows:
        raise InvalidInput("Nothing changed.", "The rows are like that already, or none was chosen.")
    action = replace(action, rows=rows)
    if goes_on:
        studio.store.actions.extend(action.id, rows)
    else:
        studio.store.actions.add(action)
    splits.settle(studio, action, example_ids)
    return action


# Converting


def as_messages(example: Example) -> dict[str, Any]:
    """The row as `messages`, the answer as the last turn."""
    return {"messages": [t.as_message() for t in example.turns]}
