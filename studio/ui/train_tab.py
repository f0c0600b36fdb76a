"""What a run would do, how it goes, and the runs before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd

from studio import training
from studio.errors import StudioError
from studio.jobdir import JobDir
from studio.records import Recipe, Run
from studio.ui import present
from studio.ui.session import QUIET, Desk, Session, guarded
from studio.ui.told import error_text, stored_error
from studio.ui.words import say, t

SHOWN_RUNS = 50
COLUMNS = ("status", "method", "rows", "snapshot", "learned", "time", "when", "note")


@dataclass(frozen=True)
class TrainTab:
    tab: gr.Tab
    plan: gr.Markdown
    left_out: gr.Button
    """Leads to the rows that would be left out; there only if there are any."""
    start: gr.Button
    latest: Latest
    past: Past
    recipe: tuple[Any, ...]
    """The inputs `recipe_from` reads, in its order."""

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.plan, self.left_out, self.start, *self.latest.view, *self.past.view]


@dataclass(frozen=True)
class Latest:
    """The latest run; not on the page before the first one."""

    column: gr.Column
    status: gr.Markdown
    plot: gr.LinePlot
    cancel: gr.Button
    retry: gr.Button

    @property
    def view(self) -> list[Any]:
        return [self.column, self.status, self.plot, self.cancel, self.retry]


@dataclass(frozen=True)
class Past:
    """All runs, and the log of the latest; not on the page before the first one."""

    column: gr.Column
    runs: gr.Dataframe
    log: gr.Textbox

    @property
    def view(self) -> list[Any]:
        return [self.column, self.runs, self.log]


def show(desk: Desk, at: Session, *recipe: Any) -> tuple[Any, ...]:
    """The state of training, in the order of `TrainTab.view`. Reads only."""
    runs = desk.studio.store.runs.find(at.project_id, limit=SHOWN_RUNS)
    is_running = bool(runs) and runs[0].status == "running"
    return (
        *_planned(desk, at, recipe_from(*recipe), is_running),
        *_latest_value(desk, at, runs[0] if runs else None),
        *_past_value(desk, at, runs),
    )


def _planned(desk: Desk, at: Session, recipe: Recipe, is_running: bool) -> tuple[Any, ...]:
    """What the next run would do, the way to what it leaves out, and the button to start it."""
    try:
        planned = training.plan(desk.studio, at.project_id, recipe)
    except StudioError as error:
        return error_text(at.language, error), gr.update(visible=False), gr.update(interactive=not is_running)
    return (
        present.plan_text(planned, at.language),
        gr.update(visible=bool(planned.left_out)),
        gr.update(interactive=bool(planned.rows) and not is_running),
    )


def _latest_value(desk: Desk, at: Session, run: Run | None) -> tuple[Any, ...]:
    if run is None:
        hidden = gr.update(visible=False)
        return hidden, "", hidden, hidden, hidden
    progress = training.progress(desk.studio, run)
    is_running = run.status == "running"
    return (
        gr.update(visible=True),
        present.progress_text(progress, at.language),
        gr.update(value=_plot(progress.losses), visible=bool(progress.losses)),
        gr.update(visible=is_running),
        gr.update(visible=not is_running),
    )


def _past_value(desk: Desk, at: Session, runs: list[Run]) -> tuple[Any, ...]:
    headers = ["#", *(say(at.language, f"app.train.column.{name}") for name in COLUMNS)]
    log = JobDir(desk.studio.workspace.runs / runs[0].id).log_tail() if runs else ""
    return gr.update(visible=bool(runs)), {"headers": headers, "data": [_row(run, at.language) for run in runs]}, log


def _plot(losses: tuple[tuple[int, float], ...]) -> pd.DataFrame:
    return pd.DataFrame(losses, columns=["step", "loss"])


def _row(run: Run, language: str) -> list[Any]:
    learned = f"{run.result.get('learned', '')} / {run.result.get('of', run.rows)}" if run.result else ""
    return [
        run.number,
        say(language, f"app.train.phase.{run.status}"),
        str(run.recipe.get("method", "")),
        run.rows,
        run.snapshot_name,
        learned,
        present.clock(run.seconds) if run.seconds else "",
        run.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        stored_error(language, run.error),
    ]


def recipe_from(
    method: str,
    rank: float,
    learning_rate: float,
    batch_size: float,
    passes: float | None,
    seed: float | None,
    max_length: float | None,
    excess: str,
) -> Recipe:
    return Recipe(
        method=method,  # type: ignore[arg-type]
        r=int(rank),
        lora_alpha=2 * int(rank),
        learning_rate=float(learning_rate),
        batch_size=int(batch_size),
        max_passes=int(passes) if passes else None,
        seed=int(seed or 0),
        max_length=int(max_length or Recipe().max_length),
        excess_length_strategy=excess,  # type: ignore[arg-type]
    )


def build(desk: Desk, session: gr.State) -> TrainTab:
    with gr.Tab(t("app.train.tab"), id="train") as tab, gr.Column(elem_classes="st-tabpage"):
        with gr.Row(elem_classes="st-columns"):
            with gr.Column():
                gr.Markdown(t("app.train.next"), elem_classes="st-heading")
                plan = gr.Markdown("", elem_id="plan")
                left_out = gr.Button(
                    t("app.train.see_left_out"), size="sm", variant="secondary", visible=False, elem_id="see-left-out"
                )
                recipe = _recipe_form()
                start = gr.Button(t("app.train.start"), variant="primary", elem_id="train-start")
            latest = _latest()
        past = _past()
    made = TrainTab(tab, plan, left_out, start, latest, past, recipe)
    _wire(desk, session, made)
    return made


def _recipe_form() -> tuple[Any, ...]:
    """The inputs of a recipe, in the order of `recipe_from`."""
    default = Recipe()
    method = gr.Radio(
        [(t("app.train.qlora"), "qlora"), (t("app.train.lora"), "lora")],
        value=default.method,
        label=t("app.train.method"),
        info=t("app.train.method_info"),
        elem_id="method",
    )
    with gr.Accordion(t("app.train.advanced"), open=False):
        rank = gr.Slider(1, 128, default.r, step=1, label=t("app.train.rank"), info=t("app.train.rank_info"))
        rate = gr.Number(default.learning_rate, label=t("app.train.rate"), info=t("app.train.rate_info"))
        batch = gr.Slider(1, 32, default.batch_size, step=1, label=t("app.train.batch"))
        passes = gr.Number(None, label=t("app.train.passes"), info=t("app.train.passes_info"), precision=0)
        length = gr.Number(
            default.max_length,
            label=t("app.train.max_length"),
            info=t("app.train.max_length_info"),
            precision=0,
            elem_id="max-length",
        )
        excess = gr.Radio(
            [(t("app.train.excess.drop"), "drop"), (t("app.train.excess.truncate"), "truncate")],
            value=default.excess_length_strategy,
            label=t("app.train.excess"),
            info=t("app.train.excess_info"),
            elem_id="excess",
        )
        seed = gr.Number(0, label=t("app.chat.seed"), precision=0)
    return method, rank, rate, batch, passes, seed, length, excess


def _latest() -> Latest:
    with gr.Column(visible=False) as column:
        gr.Markdown(t("app.train.latest"), elem_classes="st-heading")
        status = gr.Markdown("", elem_id="run-status")
        plot = gr.LinePlot(
            _plot(()),
            x="step",
            y="loss",
            x_title="step",
            y_title="loss",
            height=220,
            show_label=False,
            buttons=[],
            visible=False,
            elem_id="loss",
        )
        with gr.Row():
            cancel = gr.Button(t("app.train.cancel"), size="sm", visible=False, elem_id="train-cancel")
            retry = gr.Button(t("app.train.retry"), size="sm", visible=False, elem_id="train-retry")
    return Latest(column, status, plot, cancel, retry)


def _past() -> Past:
    with gr.Column(visible=False) as column:
        gr.Markdown(t("app.train.runs"), elem_classes="st-heading")
        runs = gr.Dataframe(
            headers=["#", *COLUMNS],
            column_widths=["5%", "11%", "9%", "9%", "12%", "10%", "8%", "15%", "21%"],
            type="array",
            interactive=False,
            wrap=True,
            max_height=360,
            show_label=False,
            buttons=[],
            elem_id="runs",
        )
        with gr.Accordion(t("app.train.log"), open=False):
            log = gr.Textbox(label=t("app.train.log"), show_label=False, lines=8, max_lines=20, interactive=False)
    return Past(column, runs, log)


def _wire(desk: Desk, session: gr.State, made: TrainTab) -> None:
    inputs = [session, *made.recipe]

    @guarded
    def begin(at: Session, *recipe: Any) -> tuple[Any, ...]:
        training.start(desk.studio, at.project_id, recipe_from(*recipe))
        return show(desk, at, *recipe)

    @guarded
    def stop(at: Session, *recipe: Any) -> tuple[Any, ...]:
        cancel_run(desk, at)
        return show(desk, at, *recipe)

    @guarded
    def again(at: Session, *recipe: Any) -> tuple[Any, ...]:
        retry_run(desk, at)
        return show(desk, at, *recipe)

    made.start.click(begin, inputs, made.view, **QUIET)
    made.latest.cancel.click(stop, inputs, made.view, **QUIET)
    made.latest.retry.click(again, inputs, made.view, **QUIET)
    method, _, _, batch, passes, _, length, excess = made.recipe
    for field in (method, batch, passes, length, excess):
        field.change(lambda *a: show(desk, *a), inputs, made.view, **QUIET)


def cancel_run(desk: Desk, at: Session) -> None:
    """Stop what is being trained in this project, if anything."""
    for run in desk.studio.store.runs.find(at.project_id, status="running"):
        training.cancel(desk.studio, run.id)


def retry_run(desk: Desk, at: Session) -> None:
    """Start the latest run of this project again."""
    runs = desk.studio.store.runs.find(at.project_id, limit=1)
    if runs:
        training.retry(desk.studio, runs[0].id)
    else:
        training.start(desk.studio, at.project_id)
