"""The command line: each command calls one use case.

With `--json` the last line of standard output is one JSON value. Exit status 0: done; 1: the work failed; 2: the
request was wrong. Errors are one sentence and a hint, on standard error.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput, RunFailed, StudioError
from studio.settings import Settings

Handler = Callable[[argparse.Namespace, Settings], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    logging.basicConfig(level=os.environ.get("STUDIO_LOG", "WARNING"), format="%(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in `jobs.child_environment`; torch isn't loaded yet
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env(
            workspace=options.workspace,
            model=getattr(options, "model", None),
            port=getattr(options, "port", None),
            host=getattr(options, "host", None),
            engine=getattr(options, "engine", None),
        )
        options.run(options, settings)
    except StudioError as error:
        print(f"studio: {error.message} {error.hint}".rstrip(), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("studio: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="studio", description="Teach a language model by correcting it.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--workspace", type=Path, metavar="DIR", help="where state lives (default: ./workspace)")
    common.add_argument("--project", metavar="NAME", help="which project (default: the first one)")
    common.add_argument("--json", action="store_true", help="print one JSON value as the last line")
    common.add_argument("--model", help="catalogue key, Hub id or folder")
    common.add_argument("--engine", choices=("hf", "echo"), help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Handler, help_: str, group: Any = commands) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = group.add_parser(name, help=help_, description=help_, parents=[common])
        command.set_defaults(run=run)
        return command

    def group(name: str, help_: str) -> Any:
        return commands.add_parser(name, help=help_).add_subparsers(required=True, metavar="COMMAND")

    serve = add("serve", _serve, "start the app in the browser")
    serve.add_argument("--host")
    serve.add_argument("--port", type=int)
    add("doctor", _doctor, "show this machine, the versions and the workspace")

    models = group("models", "base models")
    add("list", _models_list, "list the catalogue", models)
    pull = add("pull", _models_pull, "fetch a model into the workspace", models)
    pull.add_argument("name", nargs="?", help="catalogue key, Hub id or folder (default: the model in use)")

    projects = group("projects", "projects")
    add("list", _projects_list, "list the projects", projects)
    create = add("create", _projects_create, "make a project", projects)
    create.add_argument("name")
    create.add_argument("--system", default="", help="system prompt")
    create.add_argument("--format", choices=("instruction", "chat"), default="chat")
    sample = add("sample", _projects_sample, "make a project from a shipped sample", projects)
    sample.add_argument("key")

    chat = add("chat", _chat, "ask one question")
    chat.add_argument("prompt")
    chat.add_argument("--adapter", help="an adapter's id or name, or `base` (default: the live one)")
    chat.add_argument("--system", help="system prompt instead of the project's")
    chat.add_argument("--temperature", type=float, default=0.0)
    chat.add_argument("--max-tokens", type=int, default=256)
    chat.add_argument("--seed", type=int)

    import_ = add("import", _import, "add the rows of a JSON or JSON Lines file")
    import_.add_argument("file", type=Path)
    import_.add_argument("--approve", action="store_true", help="rows arrive approved")

    examples = group("examples", "examples")
    listing = add("list", _examples_list, "list the examples", examples)
    listing.add_argument("--status", choices=("draft", "approved", "rejected"))
    listing.add_argument("--search", default="", metavar="TEXT")
    add("show", _examples_show, "show one example", examples).add_argument("id")
    for name, status in (("approve", "approved"), ("reject", "rejected")):
        command = add(name, _examples_status, f"{name} examples", examples)
        command.add_argument("id", nargs="+")
        command.set_defaults(status=status)

    train = add("train", _train, "train an adapter on the approved examples")
    train.add_argument("--method", choices=("qlora", "lora"))
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")

    runs = group("runs", "training runs")
    add("list", _runs_list, "list the runs", runs)
    add("show", _runs_show, "show one run", runs).add_argument("id")
    add("cancel", _runs_cancel, "ask a run to stop", runs).add_argument("id")

    evaluate = add("eval", _eval, "ask the corrections again")
    evaluate.add_argument("--adapter", help="an adapter's id or name (default: the live one)")

    adapters = group("adapters", "adapters")
    add("list", _adapters_list, "list the adapters", adapters)
    add("show", _adapters_show, "what an adapter learned", adapters).add_argument("id")
    add("activate", _adapters_activate, "let an adapter (or `base`) answer", adapters).add_argument("id")
    add("rollback", _adapters_rollback, "go back to what was live before", adapters)
    add("delete", _adapters_delete, "remove an adapter's files", adapters).add_argument("id")
    return parser


def _print(options: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str) if options.json else text)


def _open(settings: Settings, purpose: str) -> Any:
    from studio.context import open_studio

    return open_studio(settings, purpose)


class _opened:  # noqa: N801 - reads as a function in `with`
    """An open studio that is closed again, with the model loaded if asked for."""

    def __init__(self, settings: Settings, purpose: str, *, with_model: bool = False) -> None:
        self._settings, self._purpose, self._with_model = settings, purpose, with_model

    def __enter__(self) -> Any:
        self._studio = _open(self._settings, self._purpose)
        try:
            if self._with_model:
                self._studio.load_engine(_progress_bar())
        except BaseException:
            self._studio.close()
            raise
        return self._studio

    def __exit__(self, *_: object) -> None:
        self._studio.close()


def _project(studio: Any, options: argparse.Namespace) -> Any:
    from studio import projects

    return projects.by_name(studio, options.project)


def _progress_bar() -> Callable[[str, int, int], None]:
    """A line on standard error that shows stage and megabytes; a line per stage where that is not a terminal."""
    seen: dict[str, float] = {}

    def show(stage: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            if stage not in seen:
                seen[stage] = 0
                print(stage, file=sys.stderr)
            return
        moment = time.monotonic()
        if stage in seen and moment - seen[stage] < 0.1 and done < total:
            return
        seen[stage] = moment
        share = done / total if total else 0
        bar = "█" * round(30 * share) + "░" * (30 - round(30 * share)) if total else ""
        size = f" {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else ""
        print(f"\r\033[K{stage} {bar}{size}", end="" if total and done < total else "\n", file=sys.stderr, flush=True)

    return show


def _serve(options: argparse.Namespace, settings: Settings) -> None:
    from studio.ui.serving import serve

    serve(settings)


def _doctor(options: argparse.Namespace, settings: Settings) -> None:
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
    _print(options, value, "\n".join(lines))


def _models_list(options: argparse.Namespace, settings: Settings) -> None:
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
    _print(options, rows, text)


def _models_pull(options: argparse.Namespace, settings: Settings) -> None:
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
            progress=_progress_bar(),
            cancelled=lambda: False,
        )
    _print(options, {"model": entry.key, "folder": str(folder)}, f"{entry.key} is in {folder}")


def _projects_list(options: argparse.Namespace, settings: Settings) -> None:
    with _opened(settings, "projects list") as studio:
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
        _print(options, rows, "\n".join(f"{r['name']}  ({r['format']}, {r['examples']} examples)" for r in rows))


def _projects_create(options: argparse.Namespace, settings: Settings) -> None:
    from studio import projects

    with _opened(settings, "projects create") as studio:
        project = projects.create(studio, options.name, system_prompt=options.system, format=options.format)
        _print(options, {"id": project.id, "name": project.name}, f"Project {project.name} is ready.")


def _projects_sample(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with _opened(settings, "projects sample") as studio:
        project = dataset.try_sample(studio, options.key)
        count = studio.store.examples.count(project.id)
        _print(
            options,
            {"id": project.id, "name": project.name, "examples": count},
            f"Project {project.name} has {count} examples. Train it with: studio train --project {project.name!r}",
        )


def _chat(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters
    from studio.conversation import chat_turns
    from studio.model.engine import Request
    from studio.records import Sampling, Turn

    if not options.prompt.strip():
        raise InvalidInput("There is nothing to ask.", "Give a question.")
    sampling = Sampling(options.temperature, max_tokens=options.max_tokens, seed=options.seed)
    with _opened(settings, "chat", with_model=True) as studio:
        project = _project(studio, options)
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
        _print(options, value, "")


def _import(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset
    from studio.errors import ImportRejected

    with _opened(settings, "import") as studio:
        project = _project(studio, options)
        try:
            report = dataset.import_file(studio, project.id, options.file, approve=options.approve)
        except ImportRejected as error:
            if options.json:
                errors = [{"row": e.row, "reason": e.reason} for e in error.rows]
                print(json.dumps({"added": 0, "skipped": 0, "errors": errors}, ensure_ascii=False))
            raise
        value = {"added": report.added, "skipped": report.skipped, "errors": []}
        _print(options, value, f"{report.added} examples added, {report.skipped} were there already.")


def _example_value(example: Any) -> dict[str, Any]:
    from studio import dataset

    return {
        "id": example.id,
        "status": example.status,
        "split": example.split,
        "version": example.version,
        "source": example.source,
        **dataset.as_messages(example),
        "rejected": example.rejected,
    }


def _examples_list(options: argparse.Namespace, settings: Settings) -> None:
    with _opened(settings, "examples list") as studio:
        found = studio.store.examples.find(_project(studio, options).id, status=options.status, text=options.search)
        text = "\n".join(f"{e.id}  {e.status:9} {e.question[:50]!r} → {e.answer[:60]!r}" for e in found)
        _print(options, [_example_value(e) for e in found], text)


def _examples_show(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with _opened(settings, "examples show") as studio:
        value = _example_value(dataset.get(studio, options.id))
        _print(options, value, json.dumps(value, ensure_ascii=False, indent=2))


def _examples_status(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with _opened(settings, "examples") as studio:
        found = [dataset.get(studio, id_) for id_ in options.id]
        with studio.store.transaction():
            changed = [dataset.set_status(studio, e.id, options.status) for e in found]
        _print(options, [_example_value(e) for e in changed], f"{len(changed)} examples are now {options.status}.")


def _train(options: argparse.Namespace, settings: Settings) -> None:
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
    with _opened(settings, "train", with_model=True) as studio:
        training.adopt_finished(studio)
        project = _project(studio, options)
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
        _print(options, value, _lesson(value))


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


def _runs_list(options: argparse.Namespace, settings: Settings) -> None:
    from studio import training

    with _opened(settings, "runs list") as studio:
        training.adopt_finished(studio)
        runs = studio.store.runs.find(_project(studio, options).id)
        text = "\n".join(f"{r.id}  {r.status:9} {r.rows} rows  {r.seconds or 0:.0f} s  {r.error}" for r in runs)
        _print(options, [_run_value(r) for r in runs], text)


def _runs_show(options: argparse.Namespace, settings: Settings) -> None:
    from studio import training

    with _opened(settings, "runs show") as studio:
        training.adopt_finished(studio)
        value = _run_value(training.get(studio, options.id))
        _print(options, value, json.dumps(value, ensure_ascii=False, indent=2))


def _runs_cancel(options: argparse.Namespace, settings: Settings) -> None:
    from studio import training

    with _opened(settings, "runs cancel") as studio:
        training.adopt_finished(studio)
        training.cancel(studio, options.id)
        _print(options, {"run": options.id, "asked": True}, "The run was asked to stop.")


def _eval(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters, evaluation

    with _opened(settings, "eval", with_model=True) as studio:
        project = _project(studio, options)
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
        _print(options, value, f"{marks}\nlearned {score.learned} of {score.total} (base {score.base_learned})")


def _adapters_list(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with _opened(settings, "adapters list") as studio:
        project = _project(studio, options)
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
        _print(options, rows, text or "There are no adapters yet; the base answers.")


def _adapters_show(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with _opened(settings, "adapters show") as studio:
        adapter = adapters.named(studio, _project(studio, options).id, options.id)
        if adapter is None:
            raise InvalidInput("The base model is no adapter.")
        score = adapters.score(studio, adapter.id)
        value = {**asdict(adapter), "score": asdict(score) if score else None}
        _print(options, value, json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _adapters_activate(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with _opened(settings, "adapters activate", with_model=True) as studio:
        project = _project(studio, options)
        adapter = adapters.named(studio, project.id, options.id)
        adapters.activate(studio, project.id, adapter.id if adapter else None)
        name = adapter.name if adapter else "base"
        _print(options, {"live": adapter.id if adapter else None, "name": name}, f"{name} is live.")


def _adapters_rollback(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with _opened(settings, "adapters rollback", with_model=True) as studio:
        adapter = adapters.rollback(studio, _project(studio, options).id)
        name = adapter.name if adapter else "base"
        _print(options, {"live": adapter.id if adapter else None, "name": name}, f"{name} is live again.")


def _adapters_delete(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters

    with _opened(settings, "adapters delete") as studio:
        adapter = adapters.named(studio, _project(studio, options).id, options.id)
        if adapter is None:
            raise InvalidInput("The base model can't be deleted.")
        adapters.delete(studio, adapter.id)
        _print(options, {"deleted": adapter.id}, f"{adapter.name} was deleted.")
