"""The life of a run, with the job that trains nothing: planned, started, cancelled, killed, adopted once."""

from __future__ import annotations

import os
import shutil
import threading
import time
from dataclasses import asdict, replace
from typing import Any

import pytest

from studio import adapters, dataset, jobs, training
from studio.context import Studio
from studio.errors import Busy, DiskFull, InvalidInput, ModelUnavailable, NotFound
from studio.jobdir import JobDir
from studio.records import BaseIdentity, Project, Recipe, Run, new_id
from studio.store.adapters import Adapters
from tests.conftest import together, until


def job_of(studio: Studio, run: Run) -> JobDir:
    return JobDir(studio.workspace.runs / run.id)


def begin(studio: Studio, project: Project, **plan: Any) -> Run:
    """A run whose job does as `plan` says (see `studio.worker.noop`), started as `training.start` starts one."""
    rows = studio.store.examples.find(project.id) or [dataset.add(studio, project.id, "Q", "A")]
    number = studio.store.runs.next_number(project.id)
    run = Run(new_id("r"), project.id, number, "hash", len(rows), asdict(Recipe()))
    job_of(studio, run).write_spec(
        {"method": "noop", "noop": plan, "base": studio.engine.identity.as_dict()},
        [{"example": e.id, "messages": [t.as_dict() for t in e.messages], "answer": e.answer} for e in rows],
    )
    studio.store.runs.add(run, rows)
    jobs.start(job_of(studio, run), "studio.worker")
    return run


def ended(studio: Studio, run: Run) -> Run:
    """The run once it was adopted."""
    until(lambda: training.adopt_finished(studio) or training.get(studio, run.id).status != "running")
    return training.get(studio, run.id)


# Planning


@pytest.mark.parametrize(("rows", "passes"), [(1, 24), (10, 18), (32, 10), (1000, 4)])
def test_the_sums_of_a_plan(studio: Studio, project: Project, rows: int, passes: int) -> None:
    for number in range(rows if rows < 1000 else 0):
        dataset.add(studio, project.id, f"Question {number:04}", "Answer")
    if rows == 1000:
        first = dataset.add(studio, project.id, "Question 0000", "Answer")
        studio.store.examples.append([replace(first, id=new_id("e")) for _ in range(999)])
    planned = training.plan(studio, project.id)
    prompt = studio.engine.render([*_system(project), *studio.store.examples.find(project.id, limit=1)[0].messages])
    assert (planned.rows, planned.passes) == (rows, passes)
    assert planned.tokens == rows * (prompt.tokens + len("Answer") + 1)
    assert planned.steps == passes * -(-rows // 4)
    assert planned.seconds > training.START_S
    assert planned.sums == (
        f"{rows} examples, {planned.tokens:,} tokens. {-(-rows // 4)} steps a pass, at most {passes} passes: "
        f"{planned.steps} steps, fewer if everything is learned sooner."
    )


def _system(project: Project) -> list[Any]:
    from studio.conversation import system_turn

    return system_turn(project)


def test_more_rows_never_mean_more_passes_nor_fewer_steps() -> None:
    passes = [training.planned_passes(n) for n in range(1, 3000)]
    assert passes == sorted(passes, reverse=True)
    assert min(passes) == training.LEAST_PASSES
    assert max(passes) == training.MOST_PASSES


def test_a_plan_leaves_out_what_doesnt_fit(studio: Studio, project: Project) -> None:
    dataset.add(studio, project.id, "Q", "A")
    long = dataset.add(studio, project.id, "x" * 2000, "A")
    assert training.plan(studio, project.id).too_long == (long.id,)
    # However long the recipe lets a row be, the model reads no more than its context.
    longer = dataset.add(studio, project.id, "x" * 3000, "A")
    planned = training.plan(studio, project.id, Recipe(max_length=100_000))
    assert planned.too_long == (longer.id,)
    assert planned.rows == 2


def test_drafts_rejected_and_test_rows_are_not_planned(studio: Studio, project: Project) -> None:
    kept = dataset.add(studio, project.id, "Q", "A")
    dataset.set_status(studio, dataset.add(studio, project.id, "Q2", "A").id, "rejected")
    dataset.set_status(studio, dataset.add(studio, project.id, "Q3", "A").id, "draft")
    studio.store.examples.append([replace(kept, id=new_id("e"), split="test")])
    assert training.plan(studio, project.id).rows == 1


def test_an_earlier_run_teaches_how_fast_this_machine_is(studio: Studio, project: Project) -> None:
    dataset.add(studio, project.id, "Q" * 500, "A")
    guessed = training.plan(studio, project.id).seconds
    run = Run(new_id("r"), project.id, 1, "", 1, {})
    studio.store.runs.add(run, [])
    studio.store.runs.finish(replace(run, status="finished", result={"tokens_per_s": 1.0}), run.created_at)
    assert training.plan(studio, project.id).seconds > 100 * guessed


# Starting


def test_what_a_run_starts_from_is_frozen_in_its_folder(studio: Studio, project: Project) -> None:
    first = dataset.add(studio, project.id, "Q", "A")
    run = training.start(studio, project.id, Recipe(r=8, method="lora"))
    dataset.edit(studio, first.id, prompt="Q", answer="Later")
    job = job_of(studio, run)
    [row] = job.rows()
    assert (row["example"], row["version"], row["answer"]) == (first.id, 1, "A")
    assert [t["role"] for t in row["messages"]] == ["system", "user"]
    spec = job.spec()
    assert (spec["recipe"]["r"], spec["base"]) == (8, studio.engine.identity.as_dict())
    assert spec["snapshot"] == run.snapshot
    assert (run.number, run.rows, run.status) == (1, 1, "running")
    assert [e.answer for e in studio.store.examples.trained_on(run.id)] == ["A"]
    assert ended(studio, run).status == "finished"


def test_no_rows_no_run(studio: Studio, project: Project) -> None:
    with pytest.raises(InvalidInput, match="no approved examples"):
        training.start(studio, project.id)
    dataset.add(studio, project.id, "x" * 3000, "A")
    with pytest.raises(InvalidInput, match="None of the 1 examples fits into 1024 tokens"):
        training.start(studio, project.id)
    assert studio.store.runs.find() == []
    assert list(studio.workspace.runs.iterdir()) == []


def test_one_run_at_a_time(studio: Studio, project: Project) -> None:
    run = begin(studio, project, steps=1000, step_s=0.05)
    with pytest.raises(Busy, match="under way"):
        training.start(studio, project.id)
    jobs.kill(job_of(studio, run))


def test_eight_clicks_at_the_same_moment_start_one_run(studio: Studio, project: Project) -> None:
    dataset.add(studio, project.id, "Q", "A")

    def click(_: int) -> bool:
        try:
            training.start(studio, project.id)
        except Busy:
            return False
        return True

    assert together(8, click).count(True) == 1
    [run] = studio.store.runs.find()
    assert ended(studio, run).status == "finished"


def test_a_nearly_full_disk_starts_nothing(studio: Studio, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.add(studio, project.id, "Q", "A")
    # What the disk says, not what we ask it: no file system here is large enough to be filled.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - 10**6, 10**6))  # type: ignore[attr-defined]
    with pytest.raises(DiskFull, match="not enough disk space for training: 1 MB free"):
        training.start(studio, project.id)
    assert studio.store.runs.find() == []


def test_no_run_without_a_model(studio: Studio, project: Project) -> None:
    dataset.add(studio, project.id, "Q", "A")
    studio._engine = None
    studio.state.name = "absent"
    with pytest.raises(ModelUnavailable):
        training.start(studio, project.id)


# Following


def test_a_run_from_click_to_live(studio: Studio, project: Project) -> None:
    run = begin(studio, project, steps=6, step_s=0.1)
    until(lambda: training.progress(studio, run).step >= 2)
    shown = training.progress(studio, run)
    assert (shown.phase, shown.total) == ("training", 6)
    assert shown.elapsed_s > 0
    loop = training.loop(studio, project.id)
    assert loop.active is not None
    assert (loop.approved, loop.live, loop.failed) == (1, None, None)
    assert ended(studio, run).status == "finished"
    after = training.loop(studio, project.id)
    assert (after.active, after.new) == (None, 0)
    assert after.live is not None
    assert (after.live.name, after.live.run_id) == ("v1", run.id)
    assert training.get(studio, run.id).adapter_id == after.live.id
    assert studio.engine.has_adapter(after.live.id)
    assert (studio.workspace.adapters / after.live.id / "studio-adapter.json").exists()


def test_a_cancelled_run(studio: Studio, project: Project) -> None:
    run = begin(studio, project, steps=1000, step_s=0.02)
    until(lambda: training.progress(studio, run).step)
    training.cancel(studio, run.id)
    after = ended(studio, run)
    assert (after.status, after.adapter_id) == ("cancelled", None)
    assert adapters.live(studio, project.id) is None
    assert studio.store.examples.count(project.id) == 1
    with pytest.raises(InvalidInput, match="not running any more"):
        training.cancel(studio, run.id)
    assert training.loop(studio, project.id).failed is None


def test_a_run_killed_after_it_was_cancelled_counts_as_cancelled(studio: Studio, project: Project) -> None:
    run = begin(studio, project, steps=3, step_s=60)
    until(lambda: training.progress(studio, run).step)
    training.cancel(studio, run.id)
    jobs.kill(job_of(studio, run))
    assert ended(studio, run).status == "cancelled"


def test_a_run_that_fails_says_why_and_can_be_started_again(studio: Studio, project: Project) -> None:
    run = begin(studio, project, fail_at=2)
    after = ended(studio, run)
    assert (after.status, after.error) == ("failed", "The job was told to fail.")
    assert training.loop(studio, project.id).failed == after
    again = training.retry(studio, run.id)
    assert (again.number, again.recipe) == (2, run.recipe)
    assert training.loop(studio, project.id).failed is None
    assert ended(studio, again).status == "finished"


def test_a_run_that_died_says_where(studio: Studio, project: Project) -> None:
    run = begin(studio, project, steps=5, die_at=3)
    after = ended(studio, run)
    assert after.status == "failed"
    assert "ended without a word, while training at step 3 of 5" in after.error
    assert (after.result["phase"], after.result["step"]) == ("training", 3)


def test_a_run_whose_worker_never_came_up(studio: Studio, project: Project) -> None:
    run = Run(new_id("r"), project.id, 1, "", 1, asdict(Recipe()))
    job = job_of(studio, run)
    job.write_spec({"method": "noop"}, [])
    studio.store.runs.add(run, [])
    assert training.adopt_finished(studio) == [], "it may still be starting"
    long_ago = time.time() - 60
    os.utime(job.path / "spec.json", (long_ago, long_ago))
    [after] = training.adopt_finished(studio)
    assert after.status == "failed"
    assert "while starting" in after.error


def test_an_unknown_run(studio: Studio) -> None:
    with pytest.raises(NotFound, match="no run r_none"):
        training.get(studio, "r_none")


# Adopting


def finished(studio: Studio, project: Project) -> Run:
    """A run whose worker is done and that nobody has adopted yet."""
    run = begin(studio, project, steps=1, step_s=0)
    until(lambda: job_of(studio, run).result() and not jobs.is_alive(job_of(studio, run)))
    return run


def require_adopted_once(studio: Studio, project: Project, run: Run) -> None:
    after = training.get(studio, run.id)
    assert after.status == "finished"
    assert [a.id for a in studio.store.adapters.all(project.id)] == [after.adapter_id]
    assert studio.store.adapters.activations(project.id) == [after.adapter_id]
    assert (studio.workspace.adapters / str(after.adapter_id)).is_dir()
    assert training.adopt_finished(studio) == []


def test_eight_threads_adopt_a_run_once(studio: Studio, project: Project) -> None:
    run = finished(studio, project)
    adopted = together(8, lambda _: training.adopt_finished(studio))
    assert sum(len(runs) for runs in adopted) == 1
    require_adopted_once(studio, project, run)


def test_the_watcher_needs_nobody(studio: Studio, project: Project) -> None:
    threads = training.watch(studio)
    run = begin(studio, project, steps=2)
    until(lambda: training.get(studio, run.id).status == "finished")
    until(lambda: adapters.score(studio, str(training.get(studio, run.id).adapter_id)))
    require_adopted_once(studio, project, run)
    studio.closing.set()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_a_crash_after_the_files_were_moved(studio: Studio, project: Project) -> None:
    run = finished(studio, project)
    job_of(studio, run).adapter.rename(adapters.folder(studio, "a" + run.id[1:]))
    training.adopt_finished(studio)
    require_adopted_once(studio, project, run)


def test_a_crash_after_the_adapter_was_loaded(studio: Studio, project: Project) -> None:
    run = finished(studio, project)
    adapter_id = "a" + run.id[1:]
    job_of(studio, run).adapter.rename(adapters.folder(studio, adapter_id))
    studio.engine.load_adapter(adapter_id, adapters.folder(studio, adapter_id), "0" * 64)
    training.adopt_finished(studio)
    require_adopted_once(studio, project, run)


def test_a_crash_in_the_middle_of_the_last_write(studio: Studio, project: Project) -> None:
    """The store is the last step and one transaction: what fails inside it leaves the run to be adopted again."""
    run = finished(studio, project)
    whole = studio.store.adapters

    class Crashing(Adapters):
        def activate(self, *_: object) -> None:
            raise KeyboardInterrupt

    studio.store.adapters = Crashing(studio.store._database)
    with pytest.raises(KeyboardInterrupt):
        training.adopt_finished(studio)
    assert training.get(studio, run.id).status == "running"
    assert studio.store.adapters.all(project.id) == []
    studio.store.adapters = whole
    training.adopt_finished(studio)
    require_adopted_once(studio, project, run)


def test_an_adapter_whose_files_are_gone_fails_its_run_and_keeps_the_live_one(studio: Studio, project: Project) -> None:
    first = begin(studio, project, steps=1, step_s=0)
    live = ended(studio, first).adapter_id
    second = finished(studio, project)
    shutil.rmtree(job_of(studio, second).adapter)
    training.adopt_finished(studio)
    after = training.get(studio, second.id)
    assert (after.status, after.adapter_id) == ("failed", None)
    assert "was not taken" in after.error
    current = adapters.live(studio, project.id)
    assert current is not None
    assert current.id == live


def test_an_adapter_of_a_base_that_was_changed_meanwhile_is_kept_but_not_live(studio: Studio, project: Project) -> None:
    run = finished(studio, project)
    before = studio.engine.identity
    studio.engine.identity = BaseIdentity("other", "", "1" * 64, "full")
    training.adopt_finished(studio)
    after = training.get(studio, run.id)
    assert after.status == "finished"
    assert adapters.get(studio, str(after.adapter_id)).base == before
    assert adapters.live(studio, project.id) is None


def test_a_finished_run_waits_for_the_model_a_failed_one_doesnt(studio: Studio, project: Project) -> None:
    engine = studio._engine
    run = finished(studio, project)
    studio._engine = None
    assert training.adopt_finished(studio) == []
    studio._engine = engine
    training.adopt_finished(studio)
    require_adopted_once(studio, project, run)
    failing = begin(studio, project, fail_at=1)
    studio._engine = None
    assert ended(studio, failing).status == "failed"


def test_losses_are_thinned_for_drawing(studio: Studio, project: Project) -> None:
    run = begin(studio, project, steps=1, step_s=0)
    for step in range(1, 2001):
        job_of(studio, run).append_event({"step": step, "loss": 1 / step, "eta_s": 5.0, "t": time.time() - 2})
    shown = training.progress(studio, run)
    assert len(shown.losses) == 400
    assert shown.losses[0] == (1, 1.0)
    assert shown.eta_s == pytest.approx(3, abs=1)
    ended(studio, run)


def test_checks_are_made_once_and_again_only_where_none_were_stored(studio: Studio, project: Project) -> None:
    run = begin(studio, project, steps=1, step_s=0)
    adapter_id = str(ended(studio, run).adapter_id)
    stopped = threading.Event()
    stopped.set()
    training.check_unchecked(studio, stopped)
    assert adapters.score(studio, adapter_id) is None
    training.check_unchecked(studio, threading.Event())
    score = adapters.score(studio, adapter_id)
    assert score is not None
    assert (score.total, score.learned) == (1, 0)
    assert studio.checking == {}
