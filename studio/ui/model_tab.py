"""Which base answers, and the machine it runs on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import Busy, StudioError
from studio.model.catalogue import ModelEntry, load_catalogue, resolve
from studio.model.probe import probe
from studio.model.pull import locate
from studio.ui.session import LATEST, QUIET, Desk, Session, guarded
from studio.ui.told import error_text
from studio.ui.words import say, t


@dataclass(frozen=True)
class ModelTab:
    tab: gr.Tab
    choice: gr.Dropdown
    about: gr.Markdown
    machine: gr.Markdown
    cancel: gr.Button

    @property
    def view(self) -> list[Any]:
        """What `show` fills."""
        return [self.choice, self.about, self.machine, self.cancel]


def show(desk: Desk, at: Session, chosen: str | None) -> tuple[Any, ...]:
    """The model in use; what was chosen or typed stays, and is not said again, since meanwhile it may be another."""
    name = chosen or desk.studio.model_name
    is_loading = desk.studio.state.name == "loading"
    return (
        gr.skip() if chosen else name, describe(desk, at, name), machine_text(desk, at), gr.update(visible=is_loading)
    )  # fmt: skip


def describe(desk: Desk, at: Session, name: str) -> str:
    """A model in a few lines of Markdown."""
    try:
        entry = resolve(name.strip())
    except StudioError as error:
        return error_text(at.language, error)

    def s(key: str, **values: Any) -> str:
        return say(at.language, "app.model." + key, **values)

    here = s("here") if locate(entry, desk.studio.workspace.models) else s("not_here")
    lines = [f"### {entry.name}", here]
    if entry.parameters:
        lines.append(
            s("size", parameters=f"{entry.parameters / 1e6:,.0f}", context=f"{entry.context:,}")
            + (" · " + ", ".join(entry.languages) if entry.languages else "")
        )
    lines.append(_licence(entry, s))
    if note := (entry.note_ja if at.language == "ja" else "") or entry.note:
        lines.append(note)
    return "\n\n".join(lines)


def _licence(entry: ModelEntry, s: Any) -> str:
    if not entry.licence:
        return str(s("licence_unknown"))
    use = {True: s("commercial"), False: s("not_commercial"), None: ""}[entry.commercial]
    return " · ".join(filter(None, (s("licence", name=entry.licence), use, s("gated") if entry.gated else "")))


def machine_text(desk: Desk, at: Session) -> str:
    machine, compute = probe(), desk.studio.compute
    gpu = f" · {machine.gpu}" if machine.gpu else ""
    return say(
        at.language,
        "app.model.machine_text",
        cpu=machine.cpu,
        cores=machine.cores,
        ram=f"{machine.ram_total / 1e9:.0f}",
        gpu=gpu,
        device=compute.device,
        dtype=compute.dtype,
        workspace=_short(desk.studio.workspace.root),
    )


def _short(path: Path) -> str:
    """A path as people write it: `~/studio`."""
    try:
        return str("~" / path.relative_to(Path.home()))
    except ValueError:
        return str(path)


def build(desk: Desk, session: gr.State) -> ModelTab:
    catalogue = load_catalogue()
    with (
        gr.Tab(t("app.model.tab"), id="model") as tab,
        gr.Column(elem_classes="st-tabpage"),
        gr.Row(elem_classes="st-columns"),
    ):
        with gr.Column():
            gr.Markdown(t("app.model.title"), elem_classes="st-heading")
            choice = gr.Dropdown(
                [(entry.name, key) for key, entry in catalogue.items()],
                label=t("app.model.choice"),
                info=t("app.model.choice_info"),
                allow_custom_value=True,
                elem_id="model-choice",
            )
            about = gr.Markdown("", elem_id="model-about")
            with gr.Row():
                use = gr.Button(t("app.model.use"), variant="primary", size="sm", elem_id="model-use")
                cancel = gr.Button(t("app.model.cancel"), size="sm", visible=False)
        with gr.Column():
            gr.Markdown(t("app.model.machine"), elem_classes="st-heading")
            machine = gr.Markdown("")
    made = ModelTab(tab, choice, about, machine, cancel)

    @guarded
    def choose(at: Session, name: str) -> tuple[Any, ...]:
        resolve(name.strip())
        if desk.studio.state.name == "loading":
            raise Busy("A model is being loaded already.", "Wait for it, or cancel it.")
        load_in_background(desk, name.strip())
        return say(at.language, "app.model.loading"), gr.update(visible=True)

    choice.change(lambda at, name: describe(desk, at, name or ""), [session, choice], about, **LATEST)
    use.click(choose, [session, choice], [about, cancel], **QUIET)
    cancel.click(desk.studio.cancel_loading.set, None, None, **QUIET)
    return made


def load_in_background(desk: Desk, name: str | None = None) -> None:
    """Load a model (None: the one in use) while the page stays usable; the bar above the tabs shows how it goes."""

    def work() -> None:
        try:
            if name is None:
                desk.studio.load_engine()
            else:
                desk.studio.choose_model(name)
        except StudioError:
            return  # the studio's state says why, and the bar shows it

    threading.Thread(target=work, name="load model", daemon=True).start()
