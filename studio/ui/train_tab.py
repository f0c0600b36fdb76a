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
from studio.ui.words import say, t

SHOWN_RUNS = 50
COLUMNS = ("status", "method", "rows", "snapshot", "learned", "time", "when", "note")


@dataclass(frozen=True)
class TrainTab:
    tab: gr.Tab
    plan: gr.Markdown
    left_out: gr.Button
    """Leads to the rows that would be left out; there only if there are any."""
    status: gr.Markdown
    plot: gr.LinePlot
    runs: gr.Dataframe
    log: gr.Textbox
    recipe: tuple[Any, ...]
    """The inputs `recipe_from` reads, in its order."""

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.plan, self.left_out, self.status, self.plot, self.runs, self.log]


def show(desk: Desk, at: Session, *recipe: Any) -> tuple[Any, ...]:
    """The state of training, in the order of `TrainTab.view`. Reads only."""
    runs = desk.studio.store.runs.find(at.project_id, limit=SHOWN_RUNS)
    try:
        planned = training.plan(desk.studio, at.project_id, recipe_from(*recipe))
        plan, left_out = present.plan_text(planned, at.language), gr.update(visible=bool(planned.left_out))
    except StudioError as error:
        plan, left_out = str(error), gr.update(visible=False)
    headers = ["#", *(say(at.language, f"app.train.column.{name}") for name in COLUMNS)]
    if not runs:
        return plan, left_out, say(at.language, "app.train.none"), _plot(()), {"headers": headers, "data": []}, ""
    progress = training.progress(desk.studio, runs[0])
    log = JobDir(desk.studio.workspace.runs / runs[0].id).log_tail()
    rows = [_row(run, at.language) for run in runs]
    table = {"headers": headers, "data": rows}
    return plan, left_out, present.progress_text(progress, at.language), _plot(progress.losses), table, log


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
        run.error,
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
    default = Recipe()
    with gr.Tab(t("app.train.tab"), id="train") as tab, gr.Column(elem_classes="st-tabpage"):
        with gr.Row(elem_classes="st-columns"):
            with gr.Column():
                gr.Markdown(t("app.train.next"), elem_classes="st-heading")
                plan = gr.Markdown("", elem_id="plan")
                left_out = gr.Button(
                    t("app.train.see_left_out"), size="sm", variant="secondary", visible=False, elem_id="see-left-out"
                )
                method = gr.Radio(
                    [(t("app.train.qlora"), "qlora"), (t("app.train.lora"), "lora")],
                    value=default.method,
                    label=t("app.train.method"),
                    info=t("app.train.method_info"),
                    elem_id="method",
                )
                with gr.Accordion(t("app.train.advanced"), open=False):
                    rank = gr.Slider(
                        1, 128, default.r, step=1, label=t("app.train.rank"), info=t("app.train.rank_info")
                    )
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
                start = gr.Button(t("app.train.start"), variant="primary", elem_id="train-start")
            with gr.Column():
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
                    elem_id="loss",
                )
                with gr.Row():
                    cancel = gr.Button(t("app.train.cancel"), size="sm", elem_id="train-cancel")
                    retry = gr.Button(t("app.train.retry"), size="sm", elem_id="train-retry")
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
    recipe = (method, rank, rate, batch, passes, seed, length, excess)
    made = TrainTab(tab, plan, left_out, status, plot, runs, log, recipe)
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

    start.click(begin, inputs, made.view, **QUIET)
    cancel.click(stop, inputs, made.view, **QUIET)
    retry.click(again, inputs, made.view, **QUIET)
    for field in (method, batch, passes, length, excess):
        field.change(lambda *a: show(desk, *a), inputs, made.view, **QUIET)
    return made


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
