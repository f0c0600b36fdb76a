"""`kill -9` at the worst moments: nothing that was saved is lost, and a run ends exactly once.

Each killed process comes from a fork server that has imported the studio already, so that a hundred take seconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from studio import (
    adapters,
    augmentation,
    conversation,
    corrections,
    dataset,
    exports,
    formats,
    imports,
    jobs,
    projects,
    training,
)
from studio.context import Studio, open_studio
from studio.errors import InvalidInput
from studio.jobdir import JobDir
from studio.records import Run, Status, new_id
from studio.rows import RowFilter
from studio.settings import Settings
from studio.wordings import Wish
from tests.conftest import together, until

CORRECTIONS = 100
LANES = 4
"""Workspaces that are killed side by side: most of the time is waiting for the disk."""
MOMENTS_S = (0.0, 0.03, 0.08, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5)
"""After the click. Starting the worker takes about 0.3 s, its steps 0.5 s, and adopting follows."""

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(["studio.training", "studio.corrections", "tests.conftest"])


def opened(workspace: Path) -> Studio:
    studio = open_studio(Settings(workspace=workspace, engine="echo"), "to be killed")
    studio.load_engine()
    return studio


def killed(target: Any, *arguments: Any, after_s: float = 0.0) -> Any:
    """Run `target(*arguments, pipe)` in a process, and kill it `after_s` after it said something; returns what."""
    ours, theirs = forkserver.Pipe()
    process = forkserver.Process(target=target, args=(*arguments, theirs))
    process.start()
    theirs.close()
    assert ours.poll(60), "the process never came to the point"
    said = ours.recv()
    time.sleep(after_s)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
    process.join()
    ours.close()
    return said


# Corrections


def correct_one(workspace: Path, number: int, pipe: Connection) -> None:
    studio = opened(workspace)
    chat = conversation.start(studio, projects.default(studio).id)
    conversation.ask(studio, chat.id, f"Question {number}")
    for _ in conversation.reply(studio, chat.id, conversation.AskOptions(), threading.Event()):
        pass
    answer = conversation.view(studio, chat.id)[-1].message
    saved = corrections.save(studio, answer.id, "corrected", f"修正 {number}")
    pipe.send((saved.id, saved.example_id))
    time.sleep(60)


@pytest.mark.e2e
def test_a_hundred_kills_right_after_saving_lose_no_correction(tmp_path: Path) -> None:
    lanes = [tmp_path / f"lane{n}" for n in range(LANES)]

    def kill_many(lane: int) -> list[Any]:
        return [killed(correct_one, lanes[lane], number) for number in range(CORRECTIONS // LANES)]

    for lane, saved in zip(lanes, together(LANES, kill_many), strict=True):
        require_all_kept(lane, saved)


def require_all_kept(workspace: Path, saved: list[Any]) -> None:
    studio = opened(workspace)
    project = projects.default(studio)
    rows = {e.id: e for e in studio.store.examples.find(project.id)}
    assert len(rows) == len(saved) == CORRECTIONS // LANES
    for number, (correction_id, example_id) in enumerate(saved):
        assert rows[example_id].answer == f"修正 {number}"
        assert rows[example_id].rejected == f"You said: Question {number}"
        assert rows[example_id].message_id is not None
        correction = studio.store.conversations.correction_of(rows[example_id].message_id)
        assert correction is not None
        assert correction.id == correction_id
    studio.close()


# Runs


def start_run(workspace: Path, pipe: Connection) -> None:
    """Start a run and watch it, as the app does."""
    studio = opened(workspace)
    project = projects.default(studio)
    dataset.add(studio, project.id, "Question", "Answer")
    run = training.start(studio, project.id)
    pipe.send(run.id)
    training.watch(studio)
    time.sleep(60)


def ended(studio: Studio, run_id: str) -> Run:
    until(lambda: training.adopt_finished(studio) or training.get(studio, run_id).status != "running")
    return training.get(studio, run_id)


@pytest.mark.e2e
@pytest.mark.parametrize("after_s", MOMENTS_S)
def test_a_run_ends_once_whenever_the_app_is_killed(tmp_path: Path, after_s: float) -> None:
    run_id = killed(start_run, tmp_path, after_s=after_s)
    studio = opened(tmp_path)
    project = projects.default(studio)
    run = ended(studio, run_id)
    assert (run.status, run.error) == ("finished", "")
    [adapter] = studio.store.adapters.all(project.id)
    assert adapters.live(studio, project.id) == adapter
    assert studio.store.adapters.activations(project.id) == [adapter.id]
    assert [p.name for p in studio.workspace.adapters.iterdir()] == [adapter.id]
    assert training.adopt_finished(studio) == []
    assert [r.id for r in studio.store.runs.find()] == [run_id]
    assert studio.store.examples.count_new(project.id) == 0
    studio.close()


@pytest.mark.e2e
def test_app_and_worker_killed_together_leave_a_failed_run_and_a_next_one_works(tmp_path: Path) -> None:
    run_id = killed(start_run, tmp_path)
    jobs.kill(JobDir(tmp_path / "runs" / run_id))
    studio = opened(tmp_path)
    run = ended(studio, run_id)
    assert run.status == "failed"
    assert "ended without a word" in run.error
    again = training.retry(studio, run_id)
    assert ended(studio, again.id).status == "finished"
    studio.close()


def start_to_import(workspace: Path, file: Path, pipe: Connection) -> None:
    studio = opened(workspace)
    project = projects.default(studio)
    pipe.send(project.id)
    imports.import_file(studio, project.id, file, approve=True)
    time.sleep(60)


@pytest.mark.e2e
def test_an_import_that_is_killed_adds_all_rows_or_none(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f'{{"instruction": "Question {n}", "output": "Answer"}}\n' for n in range(2000)))
    counts = set()
    for number, after_s in enumerate((0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 3.0)):
        workspace = tmp_path / f"w{number}"
        project_id = killed(start_to_import, workspace, file, after_s=after_s)
        studio = opened(workspace)
        counts.add(studio.store.examples.count(project_id))
        studio.close()
        shutil.rmtree(workspace)
    assert counts == {0, 2000}


def start_to_export(workspace: Path, format_: formats.FormatName, pipe: Connection) -> None:
    studio = opened(workspace)
    project = projects.default(studio)
    pipe.send(project.id)
    exports.export(studio, project.id, exports.target(studio, project, format_), format_)
    time.sleep(60)


@pytest.mark.e2e
@pytest.mark.parametrize("format_", ["trl-kto", "hf"])
def test_an_export_that_is_killed_is_there_whole_or_not_at_all(tmp_path: Path, format_: formats.FormatName) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f'{{"instruction": "Question {n}", "output": "Answer"}}\n' for n in range(2000)))
    studio = opened(tmp_path / "w")
    project = projects.default(studio)
    imports.import_file(studio, project.id, file, approve=True)
    studio.close()
    out = exports.target(studio, project, format_)
    counts = []
    for after_s in (0.0, 0.05, 0.1, 0.2, 0.4, 5.0, 0.3):
        killed(start_to_export, tmp_path / "w", format_, after_s=after_s)
        source = out / "data" / "sft" if format_ == "hf" else out
        counts.append(sum(1 for _ in formats.read(source)) if out.exists() else 0)
    assert set(counts) == {0, 2000}
    assert counts[-2:] == [2000, 2000], "the one before stays while a new one is written"
    studio = opened(tmp_path / "w")
    assert exports.export(studio, project.id, out, format_).is_verified
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []
    studio.close()


def start_to_augment(workspace: Path, pipe: Connection) -> None:
    """Make drafts, saved twenty at a time; says when the first are saved."""
    augmentation.MANY_ROWS = 20
    studio = opened(workspace)
    project = projects.default(studio)
    has_told = False

    def tell(done: int, total: int) -> None:
        nonlocal has_told
        if done > 20 and not has_told:
            has_told = True
            pipe.send(project.id)

    augmentation.make(studio, project.id, RowFilter(), Wish("deletion"), tell)
    time.sleep(60)


@pytest.mark.e2e
def test_drafts_that_were_made_before_a_kill_stay_and_the_next_making_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    row = '{{"instruction": "Where is the house number {0}?", "output": "In street {0}."}}\n'
    file.write_text("".join(row.format(n) for n in range(400)))
    workspace = tmp_path / "w"
    studio = opened(workspace)
    project_id = projects.default(studio).id
    imports.import_file(studio, project_id, file, approve=True)
    studio.close()
    counts = [0]
    for after_s in (0.0, 0.02, 0.05):
        killed(start_to_augment, workspace, after_s=after_s)
        studio = opened(workspace)
        drafts = studio.store.examples.page(project_id, augmentation.WAITING, "oldest", 1000)
        actions = [action for action in dataset.history(studio, project_id) if action.kind == "augmented"]
        assert sum(action.rows for action in actions) == len(drafts)
        assert {draft.action_id for draft in drafts} == {action.id for action in actions}
        assert len({draft.parent_id for draft in drafts}) == len(drafts), "no source was reworded again"
        counts.append(len(drafts))
        studio.close()
    assert counts == sorted(counts)
    assert 0 < counts[1] < 400, "the kill came too late to show anything"
    assert counts[1] % 20 == 0
    studio = opened(workspace)
    made = augmentation.make(studio, project_id, RowFilter(), Wish("deletion"))
    assert (made.drafts, made.sources) == (400 - counts[-1], 400)
    studio.close()


def start_to_change_all(workspace: Path, pipe: Connection) -> None:
    """One action after the other on every row; says when the first one begins."""
    studio = opened(workspace)
    project = projects.default(studio)
    pipe.send(project.id)
    statuses: tuple[Status, ...] = ("approved", "rejected")
    while True:
        for status in statuses:
            with contextlib.suppress(InvalidInput):  # they are so already
                dataset.set_statuses(studio, project.id, RowFilter(), status)
            dataset.tag(studio, project.id, RowFilter(), [new_id("t")])


@pytest.mark.e2e
def test_a_bulk_action_that_is_killed_changes_all_rows_or_none(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f'{{"instruction": "Question {n}", "output": "Answer"}}\n' for n in range(3000)))
    workspace = tmp_path / "w"
    studio = opened(workspace)
    project_id = projects.default(studio).id
    imports.import_file(studio, project_id, file)
    studio.close()
    seen = 0
    for after_s in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6):
        killed(start_to_change_all, workspace, after_s=after_s)
        studio = opened(workspace)
        rows = studio.store.examples.page(project_id, RowFilter(), "oldest", 10_000)
        assert len(rows) == 3000
        assert len({(e.status, e.tags, e.version, e.action_id) for e in rows}) == 1, "half an action"
        [newest] = dataset.history(studio, project_id, 1)
        assert (newest.id, newest.rows) == (rows[0].action_id, 3000)
        seen = max(seen, rows[0].version)
        studio.close()
    assert seen > 3, "no action came to its end"
