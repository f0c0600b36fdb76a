"""One click trains: freeze a snapshot, start a worker, watch its folder, adopt what it made, exactly once."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from studio import adapters, evaluation, jobs, preflight, projects, snapshots
from studio.context import Studio
from studio.errors import AdapterRejected, Busy, Cancelled, InvalidInput, NotFound, Phrase, StudioError
from studio.jobdir import JobDir
from studio.records import Adapter, BaseIdentity, Project, Recipe, Run, Score, new_id, now

log = logging.getLogger(__name__)

REFERENCE_ROWS = 32
REFERENCE_PASSES = 10
LEAST_PASSES, MOST_PASSES = 4, 24
START_S = 10.0
"""Importing the libraries, loading the base, saving: measured for 135M parameters on two cores."""
FLOPS_PER_S = {"cuda": 2e13, "cpu": 1.9e11}
"""Arithmetic a run was seen to reach; replaced by the project's own earlier runs as soon as there are any."""
ADAPTER_BYTES = 200 * 1024**2


@dataclass(frozen=True)
class Plan:
    """What a run would do, before it is started."""

    rows: int
    tokens: int
    """Of prompts and answers together, one pass."""
    passes: int
    """At most; training stops as soon as every row comes out right."""
    steps: int
    seconds: float
    too_long: tuple[str, ...]
    """Ids of examples that don't fit and would be left out."""
    left_out: tuple[preflight.LeftOut, ...] = ()
    """All that would be left out, for whatever reason."""

    @property
    def sums(self) -> str:
        """The arithmetic behind the plan, in words."""
        per_pass = self.steps // max(self.passes, 1)
        return (
            f"{self.rows} examples, {self.tokens:,} tokens. {per_pass} steps a pass, at most {self.passes} passes: "
            f"{self.steps} steps, fewer if everything is learned sooner."
        )


@dataclass(frozen=True)
class Progress:
    """Where a run stands, read from its folder."""

    run: Run
    phase: str = "starting"
    step: int = 0
    total: int = 0
    learned: int = 0
    of: int = 0
    loss: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None
    elapsed_s: float = 0.0
    losses: tuple[tuple[int, float], ...] = ()
    """(step, loss), at most 400 of them."""


@dataclass(frozen=True)
class Loop:
    """Everything the bar above the tabs says."""

    project: Project
    new: int
    """Approved rows that the last finished run didn't see."""
    approved: int
    live: Adapter | None
    score: Score | None
    active: Progress | None
    checking: tuple[int, int] | None
    failed: Run | None
    """The latest run, if it failed and was not followed by another."""
    plan: Plan | None


def planned_passes(rows: int) -> int:
    """Most passes over `rows` examples.

    Small sets need more passes, since a pass has fewer steps; the number falls with the square root, so that 10 rows
    get about 55 steps at batch 4 and 1,000 rows 1,000.
    """
    passes = round(REFERENCE_PASSES * math.sqrt(REFERENCE_ROWS / max(rows, 1)))
    return min(max(passes, LEAST_PASSES), MOST_PASSES)


def plan(studio: Studio, project_id: str, recipe: Recipe | None = None) -> Plan:
    """Size a run to the approved rows and to this machine."""
    recipe = recipe or Recipe()
    report = preflight.count(studio, projects.get(studio, project_id), recipe)
    passes = recipe.max_passes or planned_passes(report.rows)
    steps = passes * math.ceil(report.rows / recipe.batch_size)
    seconds = START_S + report.tokens * passes * 0.8 / _tokens_per_s(studio)
    return Plan(report.rows, report.tokens, passes, steps, seconds, report.too_long, report.left_out)


def _tokens_per_s(studio: Studio) -> float:
    for run in studio.store.runs.find(status="finished", limit=1):
        if speed := run.result.get("tokens_per_s"):
            return max(float(speed), 1.0)
    return FLOPS_PER_S["cpu"] / (6 * 135e6)


def start(studio: Studio, project_id: str, recipe: Recipe | None = None) -> Run:
    """Freeze the approved rows into a run folder and start the worker; returns at once.

    Raises:
        InvalidInput: no approved rows, or none fits.
        Busy: this project is being trained already, or the model is not ready.
        DiskFull: not enough space for an adapter.
    """
    with _starting:
        return _start(studio, projects.get(studio, project_id), recipe or Recipe())


_starting = threading.Lock()


def _start(studio: Studio, project: Project, recipe: Recipe) -> Run:
    engine = studio.engine
    examples = preflight.training_examples(studio, project.id)
    if not examples:
        raise InvalidInput(
            "There are no approved examples to train on.", "Correct or accept some answers first, or approve examples."
        )
    if studio.store.runs.find(status="running"):
        raise Busy("A training run is under way.", "Wait for it, or cancel it.")
    planned = plan(studio, project.id, recipe)
    if not planned.rows:
        raise _none_left(planned, min(recipe.max_length, engine.context_length))
    studio.workspace.require_space(ADAPTER_BYTES, "training")
    rows = [{"example": e.id, "version": e.version, **evaluation.training_row(project, e).as_dict()} for e in examples]
    number = studio.store.runs.next_number(project.id)
    name = snapshots.free_name(studio, project.id, f"run {number}")
    snapshot = snapshots.freeze(studio, project.id, name, examples)
    run = Run(
        id=new_id("r"),
        project_id=project.id,
        number=number,
        snapshot=snapshot.sha256,
        snapshot_name=snapshot.name,
        rows=len(rows),
        recipe=asdict(recipe),
    )
    job = JobDir(studio.workspace.runs / run.id)
    job.write_spec(_spec(studio, run, recipe, planned, engine.context_length), rows)
    studio.store.runs.add(run, examples)
    jobs.start(job, "studio.worker")
    return run


def _none_left(planned: Plan, limit: int) -> InvalidInput:
    if planned.too_long:
        return InvalidInput(
            Phrase("None of the {n} examples fits into {most} tokens.", n=len(planned.left_out), most=limit),
            "Shorten them, or raise max_length.",
        )
    return InvalidInput(
        Phrase("There is nothing to learn in any of the {n} examples.", n=len(planned.left_out)),
        planned.left_out[0].sentence,
    )


def _spec(studio: Studio, run: Run, recipe: Recipe, planned: Plan, context_length: int) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "run": run.id,
        "method": recipe.method,
        "recipe": asdict(recipe),
        "passes": planned.passes,
        "snapshot": run.snapshot,
        "base": studio.engine.identity.as_dict(),
        "base_path": str(studio.model_path),
        "parameters": _parameters(studio),
        "context_length": context_length,
        "device": studio.compute.device,
        "dtype": studio.compute.dtype,
        "created_at": run.created_at.isoformat(),
    }
    if studio.settings.engine == "echo":
        # Without weights there is nothing to train; the whole life of a run is walked all the same.
        spec["method"] = "noop"
    return spec


def _parameters(studio: Studio) -> int:
    files = studio.model_path.glob("*.safetensors")
    return sum(path.stat().st_size for path in files) // 4


def get(studio: Studio, run_id: str) -> Run:
    run = studio.store.runs.get(run_id)
    if run is None:
        raise NotFound(Phrase("There is no run {run}.", run=run_id), "List them with: studio runs list")
    return run


def progress(studio: Studio, run: Run) -> Progress:
    """Where a run stands now. Reads files only; the same answer in every browser."""
    return _progress(run, JobDir(studio.workspace.runs / run.id).events())


def _progress(run: Run, events: list[dict[str, Any]]) -> Progress:
    merged: dict[str, Any] = {}
    for event in events:
        merged.update(event)
    losses = [(int(e["step"]), float(e["loss"])) for e in events if "loss" in e]
    thin = max(1, math.ceil(len(losses) / 400))
    end = run.finished_at or now()
    eta = merged.get("eta_s")
    if eta is not None:
        eta = max(0.0, eta - (time.time() - merged.get("t", time.time())))
    return Progress(
        run=run,
        phase=str(merged.get("phase", "starting")) if run.status == "running" else run.status,
        step=int(merged.get("step", 0)),
        total=int(merged.get("total", 0)),
        learned=int(merged.get("learned", 0)),
        of=int(merged.get("of", run.rows)),
        loss=merged.get("loss"),
        tokens_per_s=merged.get("tokens_per_s"),
        eta_s=eta,
        elapsed_s=max(0.0, (end - run.created_at).total_seconds()),
        losses=tuple(losses[::thin]),
    )


def cancel(studio: Studio, run_id: str) -> None:
    """Ask a run to stop; it does so within a step. The rows and the live adapter stay as they are."""
    run = get(studio, run_id)
    if run.status != "running":
        raise InvalidInput(Phrase("Run {run} is not running any more.", run=run.number))
    jobs.cancel(JobDir(studio.workspace.runs / run.id))


def retry(studio: Studio, run_id: str) -> Run:
    """Start again with the recipe of an earlier run, on the rows as they are now."""
    run = get(studio, run_id)
    return start(studio, run.project_id, Recipe(**run.recipe))


def adopt_finished(studio: Studio) -> list[Run]:
    """Bring every run that ended into the store. Idempotent: called by the watcher, at start-up, by anyone.

    Returns the runs that were brought in by this call.
    """
    adopted = []
    for run in reversed(studio.store.runs.find(status="running")):
        ended = _adopt(studio, run)
        if ended is not None:
            adopted.append(ended)
    return adopted


_adopting = threading.Lock()


def _adopt(studio: Studio, run: Run) -> Run | None:
    with _adopting:
        job = JobDir(studio.workspace.runs / run.id)
        is_alive = jobs.is_alive(job)
        # Read after asking: a worker that was alive a moment ago may have written its result since.
        result = job.result()
        if result is None:
            if is_alive:
                return None
            result = _result_of_the_dead(job)
        current = studio.store.runs.get(run.id)
        if current is None or current.status != "running":
            return None
        if result["status"] == "finished":
            # Without a model its adapter can't be checked yet.
            return _register(studio, run, job, result) if studio.is_ready else None
        ended = replace(
            run,
            status="cancelled" if result["status"] == "cancelled" else "failed",
            error=" ".join(filter(None, (result.get("error", ""), result.get("hint", "")))),
            seconds=result.get("seconds"),
            result=result,
            finished_at=now(),
        )
        studio.store.runs.finish(ended, now())
        return ended


def _result_of_the_dead(job: JobDir) -> dict[str, Any]:
    events = job.events()
    last: dict[str, Any] = {}
    for event in events:
        last.update(event)
    phase, step = last.get("phase", "starting"), last.get("step", 0)
    where = f"while {phase} at step {step} of {last.get('total', '?')}" if step else f"while {phase}"
    if job.is_cancel_asked():
        return {"status": "cancelled", "error": "The run was cancelled.", "phase": phase, "step": step}
    return {
        "status": "failed",
        "error": f"The training process ended without a word, {where}.",
        "hint": "It may have run out of memory or been stopped from outside. Try again.",
        "phase": phase,
        "step": step,
    }


def _register(studio: Studio, run: Run, job: JobDir, result: Mapping[str, Any]) -> Run:
    """Move the adapter into place, load it, and write run, adapter and activation together.

    If another base was chosen since the run started, the adapter is kept for its own base and does not go live.
    """
    adapter_id = "a" + run.id[1:]
    target = adapters.folder(studio, adapter_id)
    if not target.exists() and job.adapter.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(job.adapter, target)
    adapter = Adapter(
        id=adapter_id,
        project_id=run.project_id,
        run_id=run.id,
        name=f"v{run.number}",
        base=BaseIdentity.from_dict(job.spec().get("base", {})),
        sha256=str(result["sha256"]),
        method=str(run.recipe["method"]),
    )
    ended = replace(
        run,
        status="finished",
        adapter_id=adapter.id,
        seconds=result.get("seconds"),
        result={k: v for k, v in result.items() if k != "loss_tokens_by_row"},  # stays in the run's folder
        finished_at=now(),
    )
    fits = adapter.base == studio.engine.identity
    try:
        if fits:
            studio.engine.load_adapter(adapter.id, target, adapter.sha256)
    except AdapterRejected as error:
        ended = replace(ended, status="failed", error=f"The new adapter was not taken: {error}", adapter_id=None)
        studio.store.runs.finish(ended, now())
        return ended
    with studio.store.transaction():
        studio.store.adapters.add(adapter)
        studio.store.runs.finish(ended, now())
        if fits:
            studio.store.adapters.activate(run.project_id, adapter.id, "trained")
    return ended


def check_unchecked(studio: Studio, cancelled: threading.Event) -> None:
    """Ask again what every finished run taught, where that hasn't been done yet."""
    for run in studio.store.runs.find(status="finished", limit=20):
        adapter = studio.store.adapters.get(run.adapter_id or "")
        if adapter is None or adapter.is_deleted or adapter.base != studio.engine.identity:
            continue
        if studio.store.adapters.results(adapter.id) or cancelled.is_set():
            continue
        if adapters.live(studio, adapter.project_id) != adapter:
            continue

        def show(done: int, total: int, adapter_id: str = adapter.id) -> None:
            studio.checking[adapter_id] = (done, total)

        try:
            show(0, run.rows)
            evaluation.evaluate(studio, adapter, cancelled, show)
        finally:
            studio.checking.pop(adapter.id, None)


WATCH_S, IDLE_S = 0.2, 1.0
"""Pause between two looks at the runs: while one is under way, and while none is."""


def watch(studio: Studio) -> list[threading.Thread]:
    """Adopt and check in the background until the studio closes. Needs no browser."""
    adopted = threading.Event()

    def adopt() -> float:
        if adopt_finished(studio):
            adopted.set()
        return WATCH_S if studio.store.runs.find(status="running", limit=1) else IDLE_S

    def check() -> float:
        check_unchecked(studio, studio.closing)
        # One look at start, for what a crash left unchecked; then whenever a run was adopted.
        while not studio.closing.is_set() and not adopted.wait(IDLE_S):
            pass
        adopted.clear()
        return 0.0

    def repeat(work: Callable[[], float]) -> None:
        pause_s = 0.0
        while not studio.closing.wait(pause_s):
            pause_s = WATCH_S
            if not studio.is_ready:
                continue
            try:
                pause_s = work()
            except Cancelled:
                continue
            except Exception:
                # The watcher must outlive whatever one run did; it looks again in a moment.
                log.exception("Watching the runs failed")
                pause_s = 5.0

    threads = [
        threading.Thread(target=repeat, args=(work,), name=work.__name__, daemon=True) for work in (adopt, check)
    ]
    for thread in threads:
        thread.start()
    return threads


def loop(studio: Studio, project_id: str) -> Loop:
    """What the bar above the tabs shows for a project."""
    project = projects.get(studio, project_id)
    runs = studio.store.runs.find(project_id, limit=1)
    last = runs[0] if runs else None
    live = adapters.live(studio, project_id)
    active = progress(studio, last) if last is not None and last.status == "running" else None
    new = studio.store.examples.count_new(project_id)
    approved = studio.store.examples.count(project_id, status="approved", split="train")
    try:
        planned = plan(studio, project_id) if new and active is None and studio.is_ready else None
    except StudioError:
        planned = None
    return Loop(
        project=project,
        new=new,
        approved=approved,
        live=live,
        score=adapters.score(studio, live.id) if live else None,
        active=active,
        checking=studio.checking.get(live.id) if live else None,
        failed=last if last is not None and last.status == "failed" else None,
        plan=planned,
    )
