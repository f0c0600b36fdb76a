"""Frozen sets of rows: named, hashed by their content, and exported byte for byte again at any time.

A snapshot is a file in the workspace, `snapshots/<sha256>.jsonl`, one row a line in canonical JSON, oldest first. It is
written under a temporary name and renamed, and never changed: the same rows always make the same file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from studio import exports, projects
from studio.context import Studio
from studio.errors import InvalidInput, NotFound, Phrase, WorkError
from studio.exports import Exported, Follow, Progress
from studio.formats import Card, FormatName
from studio.records import Example, Run, new_id, turns_from
from studio.rows import RowFilter, Snapshot
from studio.workspace import disk_errors

MAX_NAME = 100


@dataclass(frozen=True)
class Difference:
    """What one snapshot has and another has not, as ids of rows."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    """In both, but not the same."""


def take(
    studio: Studio,
    project_id: str,
    name: str,
    rows: RowFilter,
    author: str = "",
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Snapshot:
    """Freeze the rows that fit, as they are now, under a name.

    Raises:
        InvalidInput: no name, a name that is taken, or no row fits.
        Cancelled: before the end; nothing was frozen.
        DiskFull: nothing was written.
    """
    name = " ".join(name.split())[:MAX_NAME]
    if not name:
        raise InvalidInput("A snapshot needs a name.", "Such as: before the review.")
    if any(s.name == name for s in studio.store.snapshots.of_project(project_id)):
        raise InvalidInput(Phrase("There is a snapshot {name!r} already.", name=name), "Choose another name.")
    projects.get(studio, project_id)
    with studio.store.examples.frozen(project_id, rows) as frozen:
        if not len(frozen):
            raise InvalidInput("No row fits, so there is nothing to freeze.", "Approve some examples first.")
        follow = Follow(len(frozen), progress, cancelled or threading.Event())
        every = follow.through(e for batch in frozen.batches() for e in batch)
        return freeze(studio, project_id, name, every, author)


def free_name(studio: Studio, project_id: str, wanted: str) -> str:
    """The name, with a number behind it if another snapshot of the project has it."""
    taken = {snapshot.name for snapshot in studio.store.snapshots.of_project(project_id)}
    names = (wanted if n == 1 else f"{wanted} ({n})" for n in itertools.count(1))
    return next(name for name in names if name not in taken)


def freeze(studio: Studio, project_id: str, name: str, examples: Iterable[Example], author: str = "") -> Snapshot:
    """Write the examples to the snapshot's file and keep its name."""
    project = projects.get(studio, project_id)
    counted: dict[str, int] = {}

    def lines() -> Iterator[bytes]:
        for example in examples:
            side = "aside" if example.aside else example.split
            counted[side] = counted.get(side, 0) + 1
            yield _line(example)

    sha256 = _write(studio.workspace.snapshots, lines())
    snapshot = Snapshot(
        new_id("s"),
        project_id,
        name,
        sha256,
        sum(counted.values()),
        dict(sorted(counted.items())),
        project.name,
        project.language,
        author or studio.settings.author,
    )
    studio.store.snapshots.add(snapshot)
    return snapshot


def _write(folder: Path, lines: Iterable[bytes]) -> str:
    """Write lines to the file that is named by their hash, all of them or nothing; returns the hash."""
    digest = hashlib.sha256()
    with disk_errors("the snapshot"):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".writing.")
        try:
            with os.fdopen(handle, "wb") as out:
                for line in lines:
                    digest.update(line)
                    out.write(line)
                out.flush()
                os.fsync(out.fileno())
            os.replace(name, folder / f"{digest.hexdigest()}.jsonl")
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return digest.hexdigest()


def _line(example: Example) -> bytes:
    value = {
        "id": example.id,
        "version": example.version,
        "status": example.status,
        "messages": [turn.as_dict() for turn in example.messages],
        "answer": example.answer,
        "rejected": example.rejected,
        "split": example.split,
        "aside": example.aside,
        "group": example.group,
        "source": example.source,
        "message_id": example.message_id,
        "parent_id": example.parent_id,
        "extra": dict(example.extra),
        "answer_extra": dict(example.answer_extra),
        "learn_answer": example.learn_answer,
        "tags": list(example.tags),
        "rating": example.rating,
        "note": example.note,
        "author": example.author,
        "created_at": example.created_at.isoformat(),
    }
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _example(project_id: str, value: Mapping[str, Any]) -> Example:
    fields = dict(value)
    fields["messages"] = turns_from(fields["messages"])
    fields["tags"] = tuple(fields["tags"])
    fields["created_at"] = datetime.fromisoformat(fields["created_at"])
    return Example(project_id=project_id, **fields)


def get(studio: Studio, snapshot_id: str) -> Snapshot:
    snapshot = studio.store.snapshots.get(snapshot_id)
    if snapshot is None:
        raise NotFound("There is no such snapshot.", "List them with: studio snapshots list")
    return snapshot


def named(studio: Studio, project_id: str, name: str) -> Snapshot:
    """The snapshot of that name, id or hash (its beginning is enough)."""
    for snapshot in studio.store.snapshots.of_project(project_id):
        if name in (snapshot.id, snapshot.name) or (len(name) >= 6 and snapshot.sha256.startswith(name)):
            return snapshot
    raise NotFound(Phrase("There is no snapshot {name!r}.", name=name), "List them with: studio snapshots list")


def examples(studio: Studio, snapshot: Snapshot) -> Iterator[Example]:
    """The rows as they were frozen, oldest first.

    Raises:
        WorkError: the file is missing or was altered.
    """
    for line in _lines(studio, snapshot):
        yield _example(snapshot.project_id, _read(line))


def rows_of(studio: Studio, snapshot: Snapshot, example_ids: Collection[str]) -> dict[str, Example]:
    """Those of the frozen rows, by id."""
    found: dict[str, Example] = {}
    if not example_ids:
        return found
    # Looking for an id in a line is many times as fast as reading the line.
    wanted = re.compile("|".join(re.escape(id_) for id_ in example_ids).encode())
    for line in _lines(studio, snapshot):
        if wanted.search(line) and (value := _read(line))["id"] in example_ids:
            found[value["id"]] = _example(snapshot.project_id, value)
            if len(found) == len(example_ids):
                break
    return found


def _lines(studio: Studio, snapshot: Snapshot) -> Iterator[bytes]:
    path = studio.workspace.snapshots / f"{snapshot.sha256}.jsonl"
    _verify(path, snapshot)
    with path.open("rb") as file:
        yield from file


def _read(line: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(line.decode("utf-8", "surrogatepass"))
    return value


def _id(line: bytes) -> str:
    try:
        return str(orjson.loads(line)["id"])
    except orjson.JSONDecodeError:
        return str(_read(line)["id"])  # half a character


def _verify(path: Path, snapshot: Snapshot) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WorkError(
            Phrase("The file of snapshot {name!r} can't be read: {reason}.", name=snapshot.name, reason=error.strerror)
        ) from error
    if found != snapshot.sha256:
        raise WorkError(
            Phrase("The file of snapshot {name!r} was altered.", name=snapshot.name),
            "Restore it from a copy; its name is its SHA-256.",
        )


def diff(
    studio: Studio,
    one: Snapshot,
    other: Snapshot,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Difference:
    """What `other` has and `one` has not, and the reverse; rows are known by their id.

    Args:
        progress: called with rows gone through and rows in all, of both.

    Raises:
        Cancelled: before the end.
        WorkError: the file of one is missing or was altered.
    """
    follow = Follow(one.rows + other.rows, progress, cancelled or threading.Event())
    # A line is canonical: the same row always makes the same one.
    before, after = (
        {_id(line): _short_hash(line) for line in follow.through(_lines(studio, snapshot))} for snapshot in (one, other)
    )
    return Difference(
        tuple(id_ for id_ in after if id_ not in before),
        tuple(id_ for id_ in before if id_ not in after),
        tuple(id_ for id_, hash_ in after.items() if before.get(id_, hash_) != hash_),
    )


def _short_hash(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


def runs_of(studio: Studio, project_id: str) -> dict[str, list[Run]]:
    """By SHA-256 of a snapshot, the runs that trained on those rows, newest first."""
    used: dict[str, list[Run]] = {}
    for run in studio.store.runs.find(project_id):
        used.setdefault(run.snapshot, []).append(run)
    return used


def target(studio: Studio, snapshot: Snapshot, format_: FormatName) -> Path:
    """Where its export goes when nobody says."""
    return exports.target(studio, projects.get(studio, snapshot.project_id), format_, snapshot.name)


def export(
    studio: Studio,
    snapshot: Snapshot,
    out: Path,
    format_: FormatName,
    *,
    plain: bool = False,
    license: str = "",
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Exported:
    """Write a snapshot in any format; the same snapshot always gives the same bytes.

    Raises:
        Cancelled: before the end; what `out` was before is still there.
        WorkError: the snapshot's file is missing or was altered.
    """
    follow = Follow(2 * snapshot.rows, progress, cancelled or threading.Event())
    # Nothing of the project, the rows or the studio as they are now: they change, and a snapshot doesn't.
    card = Card(
        snapshot.project_name,
        (snapshot.language,),
        license or None,
        split_rule=f"as the rows stood in the snapshot {snapshot.name!r}",
    )
    return exports.write_verified(format_, lambda: examples(studio, snapshot), out, follow, plain=plain, card=card)
