"""The command line: each command calls one use case.

With `--json` the last line of standard output is one JSON value. Exit status 0: done; 1: the work failed; 2: the
request was wrong. Errors are one sentence and a hint, on standard error.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from studio import commands
from studio.errors import StudioError
from studio.settings import Settings

Handler = Callable[[argparse.Namespace, Settings], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    logging.basicConfig(level=os.environ.get("STUDIO_LOG", "WARNING"), format="%(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as in `jobs.child_environment`; torch isn't loaded yet
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
    menu = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Handler, help_: str, group: Any = menu) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = group.add_parser(name, help=help_, description=help_, parents=[common])
        command.set_defaults(run=run)
        return command

    def group(name: str, help_: str) -> Any:
        return menu.add_parser(name, help=help_).add_subparsers(required=True, metavar="COMMAND")

    serve = add("serve", commands.serve, "start the app in the browser")
    serve.add_argument("--host")
    serve.add_argument("--port", type=int)
    add("doctor", commands.doctor, "show this machine, the versions and the workspace")

    models = group("models", "base models")
    add("list", commands.models_list, "list the catalogue", models)
    pull = add("pull", commands.models_pull, "fetch a model into the workspace", models)
    pull.add_argument("name", nargs="?", help="catalogue key, Hub id or folder (default: the model in use)")

    projects = group("projects", "projects")
    add("list", commands.projects_list, "list the projects", projects)
    create = add("create", commands.projects_create, "make a project", projects)
    create.add_argument("name")
    create.add_argument("--system", default="", help="system prompt")
    create.add_argument("--format", choices=("instruction", "chat"), default="chat")
    sample = add("sample", commands.projects_sample, "make a project from a shipped sample", projects)
    sample.add_argument("key")

    chat = add("chat", commands.chat, "ask one question")
    chat.add_argument("prompt")
    chat.add_argument("--adapter", help="an adapter's id or name, or `base` (default: the live one)")
    chat.add_argument("--system", help="system prompt instead of the project's")
    chat.add_argument("--temperature", type=float, default=0.0)
    chat.add_argument("--max-tokens", type=int, default=256)
    chat.add_argument("--seed", type=int)

    import_ = add("import", commands.import_rows, "add the rows of a JSON or JSON Lines file")
    import_.add_argument("file", type=Path)
    import_.add_argument("--approve", action="store_true", help="rows arrive approved")

    examples = group("examples", "examples")
    listing = add("list", commands.examples_list, "list the examples", examples)
    listing.add_argument("--status", choices=("draft", "approved", "rejected"))
    listing.add_argument("--search", default="", metavar="TEXT")
    add("show", commands.examples_show, "show one example", examples).add_argument("id")
    for name, status in (("approve", "approved"), ("reject", "rejected")):
        command = add(name, commands.examples_status, f"{name} examples", examples)
        command.add_argument("id", nargs="+")
        command.set_defaults(status=status)

    train = add("train", commands.train, "train an adapter on the approved examples")
    train.add_argument("--method", choices=("qlora", "lora"))
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")

    runs = group("runs", "training runs")
    add("list", commands.runs_list, "list the runs", runs)
    add("show", commands.runs_show, "show one run", runs).add_argument("id")
    add("cancel", commands.runs_cancel, "ask a run to stop", runs).add_argument("id")

    evaluate = add("eval", commands.ask_again, "ask the corrections again")
    evaluate.add_argument("--adapter", help="an adapter's id or name (default: the live one)")

    adapters = group("adapters", "adapters")
    add("list", commands.adapters_list, "list the adapters", adapters)
    add("show", commands.adapters_show, "what an adapter learned", adapters).add_argument("id")
    add("activate", commands.adapters_activate, "let an adapter (or `base`) answer", adapters).add_argument("id")
    add("rollback", commands.adapters_rollback, "go back to what was live before", adapters)
    add("delete", commands.adapters_delete, "remove an adapter's files", adapters).add_argument("id")
    return parser
