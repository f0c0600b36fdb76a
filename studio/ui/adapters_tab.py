"""Lessons: which adapter is live, what each learned, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import adapters
from studio.records import Adapter
from studio.ui import present
from studio.ui.results import ResultList
from studio.ui.session import LATEST, QUIET, Desk, Session, guarded
from studio.ui.words import say, t

BASE = "base"


@dataclass(frozen=True)
class AdaptersTab:
    tab: gr.Tab
    choice: gr.Radio
    use: gr.Button
    back: gr.Button
    delete: gr.Button
    hint: gr.Markdown
    """Why a button can't be pressed."""
    asking: gr.Column
    """Asks before something is deleted."""
    question: gr.Markdown
    summary: gr.Markdown
    results: ResultList

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [
            self.choice, self.use, self.back, self.delete, self.hint, self.asking, self.question, self.summary,
            self.results,
        ]  # fmt: skip


def show(desk: Desk, at: Session, chosen: str | None = None) -> tuple[Any, ...]:
    """The list and what the chosen adapter (else the live one) learned, in the order of `AdaptersTab.view`."""
    live = adapters.live(desk.studio, at.project_id)
    found = desk.studio.store.adapters.all(at.project_id)
    pick = next((a for a in found if a.id == chosen), None) if chosen else live
    return (
        gr.update(choices=_choices(desk, at, found, live), value=pick.id if pick else BASE, visible=bool(found)),
        *_buttons(desk, at, found, pick, live),
        gr.update(visible=False),
        "",
        *(_learned(desk, at, pick) if pick else (say(at.language, _about_base(found)), {"rows": []})),
    )


def reopen(desk: Desk, at: Session, chosen: str | None) -> tuple[Any, ...]:
    """The same when the tab is opened: what was chosen stays, and is not said again, since meanwhile another may be."""
    if chosen != BASE and all(a.id != chosen for a in desk.studio.store.adapters.all(at.project_id)):
        return show(desk, at)
    choice, *rest = show(desk, at, chosen)
    del choice["value"]
    return choice, *rest


def _about_base(found: list[Adapter]) -> str:
    return "app.adapters.base_info" if found else "app.adapters.none"


def _choices(desk: Desk, at: Session, found: list[Adapter], live: Adapter | None) -> list[tuple[str, str]]:
    mark = " · " + say(at.language, "app.adapters.live")
    lines = [(_line(desk, at, a) + (mark if live and live.id == a.id else ""), a.id) for a in reversed(found)]
    return [*lines, (say(at.language, "app.adapters.base") + (mark if live is None else ""), BASE)]


def _line(desk: Desk, at: Session, adapter: Adapter) -> str:
    score = adapters.score(desk.studio, adapter.id)
    learned = f" · {score.learned} / {score.total}" if score else ""
    return f"{adapter.name} · {adapter.method}{learned}"


def _buttons(
    desk: Desk, at: Session, found: list[Adapter], pick: Adapter | None, live: Adapter | None
) -> tuple[Any, ...]:
    """Make live, go back, delete, and why one of them can't be pressed. Before the first lesson there are none."""

    def s(key: str, **values: object) -> str:
        return say(at.language, "app.adapters." + key, **values)

    base = s("base")
    before = adapters.previous(desk.studio, at.project_id) if live else None
    is_live = pick == live
    if is_live:
        hint = s("is_live", name=live.name) if live else s("base_is_live")
    else:
        hint = "" if pick else s("base_stays")
    shown = bool(found)
    return (
        gr.update(value=s("use_one", name=pick.name if pick else base), visible=shown, interactive=not is_live),
        gr.update(value=s("back_to", name=before.name if before else base), visible=shown and live is not None),
        gr.update(visible=shown, interactive=pick is not None and not is_live),
        gr.update(value=hint, visible=shown and bool(hint)),
    )


def _learned(desk: Desk, at: Session, adapter: Adapter) -> tuple[str, dict[str, Any]]:
    """What an adapter learned, in a few lines of Markdown and row by row."""

    def s(key: str, **values: object) -> str:
        return say(at.language, "app.adapters." + key, **values)

    score = adapters.score(desk.studio, adapter.id)
    lines = (
        f"### {adapter.name}",
        s("learned", learned=score.learned, total=score.total, broke=score.broke) if score else s("unchecked"),
        present.held_out(score, at.language),
        s(
            "lineage",
            method=adapter.method,
            base=adapter.base.model,
            precision=adapter.base.precision,
            when=adapter.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            sha=adapter.sha256[:12],
        ),
    )
    results = desk.studio.store.adapters.results(adapter.id)
    value = present.results_value(results, adapter.name, say(at.language, "app.chat.base"))
    return "\n\n".join(filter(None, lines)), value


def build(desk: Desk, session: gr.State) -> AdaptersTab:
    with (
        gr.Tab(t("app.adapters.tab"), id="adapters") as tab,
        gr.Column(elem_classes="st-tabpage"),
        gr.Row(elem_classes="st-columns"),
    ):
        with gr.Column(scale=1, min_width=260):
            gr.Markdown(t("app.adapters.list"), elem_classes="st-heading")
            choice = gr.Radio(
                [],
                label=t("app.adapters.list"),
                show_label=False,
                container=False,
                visible=False,
                elem_classes="st-conversations",
                elem_id="adapters",
            )
            with gr.Row():
                use = gr.Button("", size="sm", variant="primary", visible=False, elem_id="adapter-use")
                back = gr.Button("", size="sm", visible=False, elem_id="adapter-back")
                delete = gr.Button(t("app.adapters.delete"), size="sm", visible=False, elem_id="adapter-delete")
            hint = gr.Markdown("", visible=False, elem_classes="st-buttonhint", elem_id="adapter-hint")
            with gr.Column(visible=False, elem_classes="st-asking-group", elem_id="adapter-asking") as asking:
                question = gr.Markdown("")
                with gr.Row():
                    keep = gr.Button(t("app.adapters.keep"), size="sm", elem_id="adapter-keep")
                    sure = gr.Button(
                        t("app.adapters.delete_sure"), size="sm", variant="stop", elem_id="adapter-delete-sure"
                    )
        with gr.Column(scale=3, min_width=320):
            summary = gr.Markdown("", elem_id="adapter-summary")
            results = ResultList(elem_id="results")
    made = AdaptersTab(tab, choice, use, back, delete, hint, asking, question, summary, results)
    _wire(desk, session, made, keep, sure)
    return made


def _wire(desk: Desk, session: gr.State, made: AdaptersTab, keep: gr.Button, sure: gr.Button) -> None:
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
    def ask(at: Session, chosen: str) -> tuple[Any, ...]:
        name = adapters.get(desk.studio, chosen).name
        return gr.update(visible=True), say(at.language, "app.adapters.delete_confirm", name=name)

    @guarded
    def remove(at: Session, chosen: str) -> tuple[Any, ...]:
        adapters.delete(desk.studio, chosen)
        return show(desk, at)

    made.choice.input(lambda at, chosen: reopen(desk, at, chosen), [session, made.choice], made.view, **LATEST)
    made.use.click(activate, [session, made.choice], made.view, **QUIET)
    made.back.click(rollback, [session], made.view, **QUIET)
    made.delete.click(ask, [session, made.choice], [made.asking, made.question], **QUIET)
    keep.click(lambda at, chosen: show(desk, at, chosen), [session, made.choice], made.view, **QUIET)
    sure.click(remove, [session, made.choice], made.view, **QUIET)
