"""Frozen rows: one file for the same rows, the same bytes at every export, and what differs between two."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from studio import dataset, projects, snapshots, splits, training
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput, NotFound, WorkError
from studio.formats import ENDINGS, FormatName
from studio.records import Example, Project, Turn, new_id
from studio.rows import FLAG_KINDS, Flag, RowFilter, Shares
from tests.conftest import until

APPROVED = RowFilter(statuses=("approved",))


@pytest.fixture
def rows(studio: Studio, project: Project) -> list[Example]:
    """Rows with everything a row can hold, among them half a character and a tool call."""
    call = {"tool_calls": [{"type": "function", "function": {"name": "look_up", "arguments": "{}"}}]}
    made = [
        Example(
            new_id("e"),
            project.id,
            1,
            "approved",
            (
                Turn("user", f"  Question {n}\n開館時間は？"),
                Turn("assistant", "Let me see.", n == 1, call if n == 2 else {}),
                Turn("user", "And then?"),
            ),
            f"Answer {n} — {'🙂' * n}",
            rejected="No." if n % 2 else None,
            extra={"topic": n, "id": "its own"},
            tags=("fees",) if n else (),
            rating=n + 1,
            note="Look again.",
            author="Aiko",
            learn_answer=n != 3,
        )
        for n in range(4)
    ]
    dataset.add_rows(studio, project.id, made, "imported", author="Aiko")
    return studio.store.examples.page(project.id, APPROVED, "oldest", 10)


def file_of(studio: Studio, sha256: str) -> Path:
    return studio.workspace.snapshots / f"{sha256}.jsonl"


# Taking


def test_the_same_rows_make_one_file_named_by_its_hash(studio: Studio, project: Project, rows: list[Example]) -> None:
    one = snapshots.take(studio, project.id, "  before the   review ", APPROVED, "Aiko")
    other = snapshots.take(studio, project.id, "again", APPROVED)
    assert (one.name, one.rows, one.by_split, one.author) == ("before the review", 4, {"train": 4}, "Aiko")
    assert one.sha256 == other.sha256
    assert [path.name for path in studio.workspace.snapshots.iterdir()] == [f"{one.sha256}.jsonl"]
    assert hashlib.sha256(file_of(studio, one.sha256).read_bytes()).hexdigest() == one.sha256
    assert [s.name for s in studio.store.snapshots.of_project(project.id)] == ["again", "before the review"]


def test_frozen_rows_come_back_as_they_were(studio: Studio, project: Project, rows: list[Example]) -> None:
    taken = snapshots.take(studio, project.id, "all", APPROVED)
    found = list(snapshots.examples(studio, taken))
    assert found == [replace(row, action_id="", pinned=False) for row in rows]
    assert snapshots.rows_of(studio, taken, [rows[2].id, "e_gone"]) == {rows[2].id: found[2]}


def test_half_a_character_survives(studio: Studio, project: Project) -> None:
    half = Example(new_id("e"), project.id, 1, "approved", (Turn("user", "What?"),), "half \ud83d of it")
    taken = snapshots.freeze(studio, project.id, "half", [half])
    assert [row.answer for row in snapshots.examples(studio, taken)] == [half.answer]


def test_what_cannot_be_frozen_is_refused(studio: Studio, project: Project, rows: list[Example]) -> None:
    with pytest.raises(InvalidInput, match="needs a name"):
        snapshots.take(studio, project.id, " \n", APPROVED)
    with pytest.raises(InvalidInput, match="nothing to freeze"):
        snapshots.take(studio, project.id, "none", RowFilter(statuses=("rejected",)))
    snapshots.take(studio, project.id, "once", APPROVED)
    with pytest.raises(InvalidInput, match="already"):
        snapshots.take(studio, project.id, "once", APPROVED)
    assert len(studio.store.snapshots.of_project(project.id)) == 1


def test_a_cancelled_freeze_leaves_nothing(studio: Studio, project: Project, rows: list[Example]) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        snapshots.take(studio, project.id, "half way", APPROVED, cancelled=stop)
    assert list(studio.workspace.snapshots.iterdir()) == []
    assert studio.store.snapshots.of_project(project.id) == []


def test_a_taken_name_gets_a_number(studio: Studio, project: Project, rows: list[Example]) -> None:
    assert snapshots.free_name(studio, project.id, "run 1") == "run 1"
    for name in ("run 1", "run 1 (2)"):
        snapshots.take(studio, project.id, name, APPROVED)
    assert snapshots.free_name(studio, project.id, "run 1") == "run 1 (3)"
    assert snapshots.free_name(studio, projects.create(studio, "Another").id, "run 1") == "run 1"


def test_a_snapshot_is_found_by_name_id_and_hash(studio: Studio, project: Project, rows: list[Example]) -> None:
    taken = snapshots.take(studio, project.id, "all", APPROVED)
    for name in ("all", taken.id, taken.sha256, taken.sha256[:8]):
        assert snapshots.named(studio, project.id, name) == taken
    with pytest.raises(NotFound):
        snapshots.named(studio, project.id, taken.sha256[:3])
    with pytest.raises(NotFound):
        snapshots.get(studio, "s_none")


# Comparing


def test_what_differs_between_two(studio: Studio, project: Project, rows: list[Example]) -> None:
    before = snapshots.take(studio, project.id, "before", APPROVED)
    dataset.edit(studio, rows[0].id, answer="Another answer.")
    dataset.edit(studio, rows[1].id, tags=["checked"])
    dataset.set_status(studio, rows[2].id, "deleted")
    new = dataset.add(studio, project.id, "A new question?", "Yes.")
    after = snapshots.take(studio, project.id, "after", APPROVED)
    found = snapshots.diff(studio, before, after)
    assert (found.added, found.removed) == ((new.id,), (rows[2].id,))
    assert set(found.changed) == {rows[0].id, rows[1].id}
    back = snapshots.diff(studio, after, before)
    assert (back.added, back.removed, set(back.changed)) == (found.removed, found.added, set(found.changed))
    same = snapshots.diff(studio, before, before)
    assert (same.added, same.removed, same.changed) == ((), (), ())


# Exporting


def bytes_of(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("format_", get_args(FormatName))
def test_an_export_has_the_same_bytes_after_everything_changed(
    studio: Studio, project: Project, rows: list[Example], format_: FormatName, tmp_path: Path
) -> None:
    taken = snapshots.take(studio, project.id, "all", APPROVED)
    first, second = (tmp_path / name / f"rows{ENDINGS[format_]}" for name in ("first", "second"))
    made = snapshots.export(studio, taken, first, format_)
    assert made.is_verified, made.differences
    projects.update(studio, project.id, name="By another name", language="ja")
    dataset.edit(studio, rows[0].id, answer="Something else.")
    dataset.set_status(studio, rows[1].id, "deleted")
    splits.deal(studio, project.id, Shares(0.3, 0.3))
    flags = [Flag(rows[2].id, "near-duplicate", "Nearly the same.", other_id=rows[3].id)]
    studio.store.flags.replace(project.id, flags, kinds=FLAG_KINDS, example_ids=None)
    again = snapshots.export(studio, taken, second, format_)
    assert bytes_of(second) == bytes_of(first)
    assert (again.written.sha256, again.is_verified) == (made.written.sha256, True)


def test_an_export_tells_how_far_it_is_and_stops(
    studio: Studio, project: Project, rows: list[Example], tmp_path: Path
) -> None:
    taken = snapshots.take(studio, project.id, "all", APPROVED)
    seen: list[tuple[int, int]] = []
    snapshots.export(studio, taken, tmp_path / "a.jsonl", "openai", progress=lambda *n: seen.append(n))
    assert seen[-1] == (8, 8), "each row goes by twice"
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        snapshots.export(studio, taken, tmp_path / "b.jsonl", "openai", cancelled=stop)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".jsonl"] == ["a.jsonl"]


def test_a_file_that_was_altered_is_refused(
    studio: Studio, project: Project, rows: list[Example], tmp_path: Path
) -> None:
    taken = snapshots.take(studio, project.id, "all", APPROVED)
    path = file_of(studio, taken.sha256)
    path.write_bytes(path.read_bytes().replace(b"Answer 0", b"Answer 9"))
    with pytest.raises(WorkError, match="was altered"):
        next(snapshots.examples(studio, taken))
    with pytest.raises(WorkError, match="was altered"):
        snapshots.export(studio, taken, tmp_path / "rows.jsonl", "openai")
    assert not (tmp_path / "rows.jsonl").exists()
    path.unlink()
    with pytest.raises(WorkError, match="can't be read"):
        snapshots.diff(studio, taken, taken)


def test_the_target_names_the_snapshot(studio: Studio, project: Project, rows: list[Example]) -> None:
    taken = snapshots.take(studio, project.id, "before/../the review", APPROVED)
    path = snapshots.target(studio, taken, "csv")
    assert path.parent == studio.workspace.exports
    assert path.name == "help-desk-before----the-review-csv.csv"


# Runs


def test_a_run_names_the_snapshot_it_trained_on(studio: Studio, project: Project, rows: list[Example]) -> None:
    run = training.start(studio, project.id)
    assert run.snapshot_name == f"run {run.number}"
    taken = snapshots.named(studio, project.id, run.snapshot_name)
    assert taken.sha256 == run.snapshot
    assert [row.id for row in snapshots.examples(studio, taken)] == [row.id for row in rows]
    assert {sha: [r.id for r in runs] for sha, runs in snapshots.runs_of(studio, project.id).items()} == {
        run.snapshot: [run.id]
    }
    training.cancel(studio, run.id)
    until(lambda: training.adopt_finished(studio) or training.get(studio, run.id).status != "running")


def test_comparing_two_says_how_far_it_is_and_can_be_stopped(studio: Studio, project: Project) -> None:
    made = [
        Example(new_id("e"), project.id, 1, "approved", (Turn("user", f"Question {n}?"),), f"Answer {n}.")
        for n in range(250)
    ]
    dataset.add_rows(studio, project.id, made, "imported")
    one = snapshots.take(studio, project.id, "one", APPROVED)
    dataset.edit(studio, made[7].id, answer="Another answer.")
    other = snapshots.take(studio, project.id, "other", APPROVED)
    seen: list[tuple[int, int]] = []
    assert snapshots.diff(studio, one, other, lambda *n: seen.append(n)).changed == (made[7].id,)
    assert seen[-1] == (500, 500)
    assert seen == sorted(seen)
    stop = threading.Event()
    with pytest.raises(Cancelled):
        snapshots.diff(studio, one, other, lambda done, total: stop.set() if done >= 100 else None, stop)
