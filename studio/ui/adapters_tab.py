"""Lessons: which adapter is live, what each learned, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import adapters
from studio.ui import present
from studio.ui.results import ResultList
from studio.ui.session import QUIET, Desk, Session, guarded
from studio.ui.words import say, t

BASE = "base"


@dataclass(frozen=True)
class AdaptersTab:
    tab: gr.Tab
    choice: gr.Radio
    summary: gr.Markdown
    results: ResultList

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.choice, self.summary, self.results]


def show(desk: Desk, at: Session, chosen: str | None = None) -> tuple[Any, ...]:
    """The list and what the chosen adapter (else the live one) learned, in the order of `AdaptersTab.view`."""
    live = adapters.live(desk.studio, at.project_id)
    found = desk.studio.store.adapters.all(at.project_id)
    mark = " · " + say(at.language, "app.adapters.live")
    choices = [
        (_line(desk, at, a.name, a.id, a.method) + (mark if live and live.id == a.id else ""), a.id)
        for a in reversed(found)
    ]
    choices.append((say(at.language, "app.adapters.base") + (mark if live is None else ""), BASE))
    known = {value for _, value in choices}
    pick = chosen if chosen in known else (live.id if live else BASE)
    adapter = next((a for a in found if a.id == pick), None)
    if adapter is None:
        return gr.update(choices=choices, value=pick), say(at.language, "app.adapters.base_info"), {"rows": []}
    results = desk.studio.store.adapters.results(adapter.id)
    score = adapters.score(desk.studio, adapter.id)
    summary = "\n\n".join(
        filter(
            None,
            (
                f"### {adapter.name}",
                say(at.language, "app.adapters.learned", learned=score.learned, total=score.total, broke=score.broke)
                if score
                else say(at.language, "app.adapters.unchecked"),
                present.held_out(score, at.language),
                say(
                    at.language,
                    "app.adapters.lineage",
                    method=adapter.method,
                    base=adapter.base.model,
                    precision=adapter.base.precision,
                    when=adapter.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
                    sha=adapter.sha256[:12],
                ),
            ),
        )
    )
    value = present.results_value(results, adapter.name, say(at.language, "app.chat.base"))
    return gr.update(choices=choices, value=pick), summary, value


def _line(desk: Desk, at: Session, name: str, adapter_id: str, method: str) -> str:
    score = adapters.score(desk.studio, adapter_id)
    learned = f" · {score.learned} / {score.total}" if score else ""
    return f"{name} · {method}{learned}"


def build(desk: Desk, session: gr.State) -> AdaptersTab:
    with gr.Tab(t("app.adapters.tab"), id="adapters") as tab, gr.Column(elem_classes="st-tabpage"):
        with gr.Row(elem_classes="st-columns"):
            with gr.Column(scale=1, min_width=260):
                gr.Markdown(t("app.adapters.list"), elem_classes="st-heading")
                choice = gr.Radio(
                    [],
                    label=t("app.adapters.list"),
                    show_label=False,
                    container=False,
                    elem_classes="st-conversations",
                    elem_id="adapters",
                )
                with gr.Row():
                    use = gr.Button(t("app.adapters.use"), size="sm", variant="primary", elem_id="adapter-use")
                    back = gr.Button(t("app.adapters.back"), size="sm", elem_id="adapter-back")
                    delete = gr.Button(t("app.adapters.delete"), size="sm", elem_id="adapter-delete")
            with gr.Column(scale=3, min_width=320):
                summary = gr.Markdown("", elem_id="adapter-summary")
                results = ResultList(elem_id="results")
    made = AdaptersTab(tab, choice, summary, results)

    @guarded
    def activate(at: Session, chosen: str | None) -> tuple[Any, ...]:
        if chosen:
            adapters.activate(desk.studio, at.project_id, None if chosen == BASE else chosen)
        return show(desk, at, chosen)

    @guarded
    def rollback(at: Session) -> tuple[Any, ...]:
        adapters.rollback(desk.studio, at.project_id)
        return show(desk, at)

    @guarded
    def remove(at: Session, chosen: str | None) -> tuple[Any, ...]:
        if chosen and chosen != BASE:
            adapters.delete(desk.studio, chosen)
        return show(desk, at)

    choice.input(lambda at, chosen: show(desk, at, chosen), [session, choice], made.view, **QUIET)
    use.click(activate, [session, choice], made.view, **QUIET)
    back.click(rollback, [session], made.view, **QUIET)
    delete.click(remove, [session, choice], made.view, **QUIET)
    return made
