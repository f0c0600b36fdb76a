"""What each command of the command line does: one use case each, its answer printed as text or as JSON.

Imports wait until a command needs them: `studio --help` must not load torch, and only `serve` loads Gradio.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from studio.console import opened, print_value, progress_bar, project_of
from studio.errors import InvalidInput, RunFailed
from studio.settings import Settings


def serve(options: argparse.Namespace, settings: Settings) -> None:
    from studio.ui.serving import serve

    serve(settings)
    # Everything is closed. FastAPI's caches hold the studio to the very end, so that at Python's own taking down
    # DuckDB's binding would print a page about what leaked. After SIGTERM uvicorn leaves without it, too.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def doctor(options: argparse.Namespace, settings: Settings) -> None:
    from studio.context import Studio
    from studio.model.catalogue import resolve
    from studio.model.probe import compute, probe, versions
    from studio.model.pull import locate
    from studio.workspace import Workspace, read_json

    machine = probe()
    chosen = compute(machine, settings.dtype)
    workspace = Workspace(settings.workspace)
    name = (read_json(workspace.root / "model.json") or {}).get("model") or settings.model
    found = locate(resolve(name), workspace.models)
    value = {
        "machine": asdict(machine),
        "compute": asdict(chosen),
        "versions": versions(),
        "workspace": str(workspace.root),
        "owner": (read_json(workspace.root / "owner.json") if workspace.root.exists() else None),
        "model": name,
        "model_folder": str(found) if found else None,
        "precision": settings.precision,
        "offline": settings.offline,
    }
    del Studio
    gpu = f", GPU {machine.gpu}" if machine.gpu else ""
    lines = [
        f"Machine    {machine.cpu}, {machine.cores} cores, {machine.ram_total / 1e9:.0f} GB{gpu}",
        f"Computes   on {chosen.device} in {chosen.dtype}: {chosen.reason}",
        f"Workspace  {workspace.root}",
        f"Model      {name}: {found or 'not fetched yet (studio models pull)'}",
        "Versions   " + ", ".join(f"{k} {v}" for k, v in versions().items()),
    ]
    print_value(options, value, "\n".join(lines))


def models_list(options: argparse.Namespace, settings: Settings) -> None:
    from studio.model.catalogue import load_catalogue
    from studio.model.pull import locate
    from studio.workspace import Workspace

    models = Workspace(settings.workspace).models
    rows = [
        {**asdict(entry), "fetched": locate(entry, models) is not None, "default": key == settings.model}
        for key, entry in load_catalogue().items()
    ]
    text = "\n".join(
        f"{'*' if r['default'] else ' '} {r['key']:28} {r['parameters'] / 1e6:6.0f}M  "
        f"{','.join(r['languages'][:4]):12} {r['licence']:14} {'fetched' if r['fetched'] else ''}"
        for r in rows
    )
    print_value(options, rows, text)


def models_pull(options: argparse.Namespace, settings: Settings) -> None:
    from studio.model.catalogue import resolve
    from studio.model.pull import locate, pull
    from studio.workspace import Workspace

    entry = resolve(options.name or settings.model)
    workspace = Workspace(settings.workspace)
    folder = locate(entry, workspace.models)
    if folder is None:
        workspace.create()
        folder = pull(
            entry,
            workspace.models,
            offline=settings.offline,
            hub_url=settings.hub_url,
            index_url=settings.index_url,
            progress=progress_bar(),
            cancelled=lambda: False,
        )
    print_value(options, {"model": entry.key, "folder": str(folder)}, f"{entry.key} is in {folder}")


def projects_list(options: argparse.Namespace, settings: Settings) -> None:
    with opened(settings, "projects list") as studio:
        rows = [
            {
                "id": p.id,
                "name": p.name,
                "format": p.format,
                "language": p.language,
                "examples": studio.store.examples.count(p.id),
            }
            for p in studio.store.projects.all()
        ]
        print_value(options, rows, "\n".join(f"{r['name']}  ({r['format']}, {r['examples']} examples)" for r in rows))


def projects_create(options: argparse.Namespace, settings: Settings) -> None:
    from studio import projects

    with opened(settings, "projects create") as studio:
        project = projects.create(studio, options.name, system_prompt=options.system, format=options.format)
        print_value(options, {"id": project.id, "name": project.name}, f"Project {project.name} is ready.")


def projects_sample(options: argparse.Namespace, settings: Settings) -> None:
    from studio import samples

    with opened(settings, "projects sample") as studio:
        project = samples.try_sample(studio, options.key)
        count = studio.store.examples.count(project.id)
        print_value(
            options,
            {"id": project.id, "name": project.name, "examples": count},
            f"Project {project.name} has {count} examples. Train it with: studio train --project {project.name!r}",
        )


def chat(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters
    from studio.conversation import chat_turns
    from studio.model.engine import Request
    from studio.records import Sampling, Turn

    if not options.prompt.strip():
        raise InvalidInput("There is nothing to ask.", "Give a question.")
    sampling = Sampling(options.temperature, max_tokens=options.max_tokens, seed=options.seed)
    with opened(settings, "chat", with_model=True) as studio:
        project = project_of(studio, options)
        adapter = (
            adapters.named(studio, project.id, options.adapter)
            if options.adapter
            else adapters.live(studio, project.id)
        )
        if adapter is not None:
            adapters.ensure_loaded(studio, adapter.id)
        if options.system is not None:
            from dataclasses import replace

            project = replace(project, system_prompt=options.system)
        prompt = studio.engine.render(chat_turns(project, [Turn("user", options.prompt)]))
        if prompt.tokens >= studio.engine.context_length:
            raise InvalidInput(
                f"The prompt has {prompt.tokens} tokens; the model reads at most {studio.engine.context_length}.",
                "Shorten it.",
            )
        pieces = []
        for piece in studio.engine.stream(
            Request(prompt, sampling, (adapter.id if adapter else None,)), threading.Event()
        ):
            pieces.append(piece.text)
            if not options.json:
                print(piece.text, end="", flush=True)
        answer = "".join(pieces)
        tokens = studio.engine.render_text(answer).tokens if answer else 0
        value = {"answer": answer, "adapter": adapter.name if adapter else "base", "tokens": tokens}
        print_value(options, value, "")


def train(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters, evaluation, training
    from studio.records import Recipe

    changes = {}
    for item in options.settings:
        key, sign, text = item.partition("=")
        if not sign:
            raise InvalidInput(f"--set {item} has no value.", "Write --set key=value.")
        changes[key.strip()] = text.strip()
    if options.method:
        changes["method"] = options.method
    recipe = Recipe().with_settings(changes)
    with opened(settings, "train", with_model=True) as studio:
        training.adopt_finished(studio)
        project = project_of(studio, options)
        run = training.start(studio, project.id, recipe)
        _follow(studio, run)
        run = training.get(studio, run.id)
        value: dict[str, Any] = {
            "run": run.id,
            "adapter": None,
            "status": run.status,
            "learned": 0,
            "total": run.rows,
            "seconds": run.seconds,
        }
        if run.adapter_id:
            adapter = adapters.get(studio, run.adapter_id)
            score = evaluation.evaluate(studio, adapter, threading.Event())
            value |= {
                "adapter": adapter.id,
                "name": adapter.name,
                "learned": score.learned,
                "total": score.total,
                "base_learned": score.base_learned,
                "held_learned": score.held_learned,
                "held_total": score.held_total,
                "base_held": score.base_held,
                "train_seconds": run.result.get("train_s"),
            }
        if run.status != "finished":
            if options.json:
                print(json.dumps(value, ensure_ascii=False))
            raise RunFailed(run.error or f"The run is {run.status}.")
        print_value(options, value, _lesson(value))


def _lesson(value: dict[str, Any]) -> str:
    held = f"; of {value['held_total']} rewordings {value['held_learned']} (base {value['base_held']})"
    return (
        f"{value['name']} is live: learned {value['learned']} of {value['total']} (base {value['base_learned']})"
        f"{held if value['held_total'] else ''}. {value['seconds']:.0f} s."
    )


def _follow(studio: Any, run: Any) -> None:
    """Show a run on standard error until it ended; Ctrl-C cancels it."""
    from studio import training

    last = ""
    try:
        while not training.adopt_finished(studio):
            time.sleep(0.2)
            p = training.progress(studio, run)
            line = f"{p.phase}" + (f", step {p.step} of {p.total}, {p.learned} of {p.of} learned" if p.total else "")
            if line != last:
                end = "" if sys.stderr.isatty() else "\n"
                print(f"\r\033[K{line}" if not end else line, end=end, file=sys.stderr, flush=True)
                last = line
    except KeyboardInterrupt:
        training.cancel(studio, run.id)
        while not training.adopt_finished(studio):
            time.sleep(0.2)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _run_value(run: Any) -> dict[str, Any]:
    value = asdict(run)
    value["created_at"], value["finished_at"] = str(run.created_at), str(run.finished_at or "")
    return value


def runs_list(options: argparse.Namespace, settings: Settings) -> None:
    from studio import training

    with opened(settings, "runs list") as studio:
        training.adopt_finished(studio)
        runs = studio.store.runs.find(project_of(studio, options).id)
        lines = (
            f"{r.id}  {r.status:9} {r.rows} rows  {r.seconds or 0:.0f} s  {r.snapshot_name}  {r.error}" for r in runs
        )
        text = "\n".join(line.rstrip() for line in lines)
        print_value(options, [_run_value(r) for r in runs], text)


def runs_show(options: argparse.Namespace, settings: Settings) -> None:
    from studio import training

    with opened(settings, "runs show") as studio:
        training.adopt_finished(studio)
        value = _run_value(training.get(studio, options.id))
        print_value(options, value, json.dumps(value, ensure_ascii=False, indent=2))


def runs_cancel(options: argparse.Namespace, settings: Settings) -> None:
    from studio import training

    with opened(settings, "runs cancel") as studio:
        training.adopt_finished(studio)
        training.cancel(studio, options.id)
        print_value(options, {"run": options.id, "asked": True}, "The run was asked to stop.")


def ask_again(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters, evaluation

    with opened(settings, "eval", with_model=True) as studio:
        project = project_of(studio, options)
        adapter = (
            adapters.named(studio, project.id, options.adapter)
            if options.adapter
            else adapters.live(studio, project.id)
        )
        if adapter is None:
            raise InvalidInput("The base model is live; it was taught nothing yet.", "Train first: studio train")
        score = evaluation.evaluate(studio, adapter, threading.Event())
        rows = [
            {**asdict(r), "right": r.is_right, "base_right": r.is_base_right}
            for r in studio.store.adapters.results(adapter.id)
        ]
        value = {"adapter": adapter.id, "learned": score.learned, "total": score.total, "rows": rows}
        marks = "\n".join(f"{'✓' if r['right'] else '✗'} {r['prompt'][:60]}" for r in rows)
        print_value(options, value, f"{marks}\nlearned {score.learned} of {score.total} (base {score.base_learned})")


def adapters_list(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with opened(settings, "adapters list") as studio:
        project = project_of(studio, options)
        live = adapters.live(studio, project.id)
        rows = []
        for adapter in studio.store.adapters.all(project.id):
            score = adapters.score(studio, adapter.id)
            rows.append(
                {
                    "id": adapter.id,
                    "name": adapter.name,
                    "live": live is not None and live.id == adapter.id,
                    "method": adapter.method,
                    "run": adapter.run_id,
                    "learned": score.learned if score else None,
                    "total": score.total if score else None,
                }
            )
        text = "\n".join(
            f"{'*' if r['live'] else ' '} {r['name']:6} {r['id']}  {r['method']:6} "
            f"learned {r['learned']} of {r['total']}"
            for r in rows
        )
        print_value(options, rows, text or "There are no adapters yet; the base answers.")


def adapters_show(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with opened(settings, "adapters show") as studio:
        adapter = adapters.named(studio, project_of(studio, options).id, options.id)
        if adapter is None:
            raise InvalidInput("The base model is no adapter.")
        score = adapters.score(studio, adapter.id)
        value = {**asdict(adapter), "score": asdict(score) if score else None}
        print_value(options, value, json.dumps(value, ensure_ascii=False, indent=2, default=str))


def adapters_activate(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with opened(settings, "adapters activate", with_model=True) as studio:
        project = project_of(studio, options)
        adapter = adapters.named(studio, project.id, options.id)
        adapters.activate(studio, project.id, adapter.id if adapter else None)
        name = adapter.name if adapter else "base"
        print_value(options, {"live": adapter.id if adapter else None, "name": name}, f"{name} is live.")


def adapters_rollback(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with opened(settings, "adapters rollback", with_model=True) as studio:
        adapter = adapters.rollback(studio, project_of(studio, options).id)
        name = adapter.name if adapter else "base"
        print_value(options, {"live": adapter.id if adapter else None, "name": name}, f"{name} is live again.")


def adapters_delete(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with opened(settings, "adapters delete") as studio:
        adapter = adapters.named(studio, project_of(studio, options).id, options.id)
        if adapter is None:
            raise InvalidInput("The base model can't be deleted.")
        adapters.delete(studio, adapter.id)
        print_value(options, {"deleted": adapter.id}, f"{adapter.name} was deleted.")
