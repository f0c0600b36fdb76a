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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from studio import commands, data_commands, set_commands
from studio.errors import StudioError
from studio.records import Status
from studio.rows import Method, RuleKind, Sort
from studio.settings import Settings

SHAPES = (
    "messages", "sharegpt", "alpaca", "prompt-completion", "dpo", "preference", "kto", "openai-preference",
)  # fmt: skip
FORMATS = (
    "alpaca", "sharegpt", "openai", "trl-messages", "trl-prompt-completion", "trl-dpo", "trl-kto", "csv", "parquet",
    "hf",
)  # fmt: skip
"""As `studio.formats` has them; a test compares. Importing it here would make `--help` slow."""
SORTS, RULES, METHODS = get_args(Sort), get_args(RuleKind), get_args(Method)

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

    _add_data_commands(add, group)
    _add_set_commands(add, group)

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


def _add_data_commands(add: Callable[..., argparse.ArgumentParser], group: Callable[[str, str], Any]) -> None:
    import_ = add("import", data_commands.import_rows, "add the rows of a file, a folder or a Hub dataset")
    import_.add_argument(
        "file", help="JSON, JSON Lines, CSV, Parquet, a dataset folder, or hf:ID[@revision][/config][#split]"
    )
    import_.add_argument("--approve", action="store_true", help="rows arrive approved")
    import_.add_argument("--shape", choices=tuple(SHAPES), help="how the rows are to be read (default: as they look)")
    import_.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN", help="a column called otherwise")
    import_.add_argument("--skip-bad", action="store_true", help="import the good rows, and keep the others in a file")
    import_.add_argument(
        "--encoding", metavar="NAME", help="what text was saved in, such as cp932 (default: found out)"
    )
    import_.add_argument("--preview", action="store_true", help="show how the first rows read, and import nothing")

    export = add("export", data_commands.export, "write rows to a file for other tools, and verify it")
    export.add_argument("out", type=Path)
    export.add_argument("--format", required=True, choices=FORMATS)
    _add_filter(export)
    export.add_argument("--all", action="store_true", help="rows of every status (default: the approved ones)")
    export.add_argument("--snapshot", metavar="NAME", help="the rows of a snapshot, as they were")
    export.add_argument("--plain", action="store_true", help="without the column that carries ids, statuses and tags")
    export.add_argument("--license", default="", help="for hf: the dataset's licence, as the Hub names it")
    export.add_argument("--push", metavar="ID", help="for hf: push the folder to this dataset on the Hub")
    export.add_argument("--public", action="store_true", help="with --push: visible to everyone")
    export.add_argument("--message", default="", help="with --push: the commit's message")

    examples = group("examples", "examples")
    listing = add("list", data_commands.examples_list, "list the examples", examples)
    _add_filter(listing)
    listing.add_argument("--sort", choices=SORTS, default="oldest")
    listing.add_argument("--limit", type=_count, default=1_000_000)
    add("show", data_commands.examples_show, "show one example", examples).add_argument("id")
    for name, status in (("approve", "approved"), ("reject", "rejected"), ("draft", "draft"), ("delete", "deleted")):
        command = add(name, data_commands.examples_status, f"{name} examples", examples)
        command.add_argument("id", nargs="+")
        command.set_defaults(status=status)
    edit = add("edit", data_commands.examples_edit, "change an example: a new version of it", examples)
    edit.add_argument("id")
    edit.add_argument("--question")
    edit.add_argument("--answer")
    edit.add_argument("--rating", type=int, metavar="N", help="1 (poor) to 5 (excellent)")
    edit.add_argument("--note")
    edit.add_argument("--version", type=int, metavar="N", help="the version looked at; refused if there is a newer one")
    tag = add("tag", data_commands.examples_tag, "add and remove tags", examples)
    tag.add_argument("id", nargs="+")
    tag.add_argument("--add", action="append", default=[], metavar="TAG")
    tag.add_argument("--remove", action="append", default=[], metavar="TAG")
    add("history", data_commands.examples_history, "every version of an example", examples).add_argument("id")
    restore = add("restore", data_commands.examples_restore, "bring an earlier version back", examples)
    restore.add_argument("id")
    restore.add_argument("version", type=int)

    add("undo", data_commands.undo, "take back what was done last").add_argument(
        "--action", help="another action's id (see: studio history)"
    )
    add("history", data_commands.history, "what was done to the rows").add_argument("--limit", type=_count, default=50)

    quality = group("quality", "what to look at")
    scan = add("scan", data_commands.quality_scan, "look for defects in the rows", quality)
    scan.add_argument("--with-model", action="store_true", help="load the model, to find rows that are too long")
    rules = group("rules", "rules that every answer must keep to")
    add("list", data_commands.rules_list, "list the rules", rules)
    add_rule = add("add", data_commands.rules_add, "add a rule", rules)
    add_rule.add_argument("kind", choices=RULES)
    add_rule.add_argument("value", help="the text, number, pattern or JSON schema")
    add_rule.add_argument("--message", default="", help="what to say where an answer breaks it")
    add_rule.add_argument("--blocks", action="store_true", help="rows that break it can't be approved")
    add("remove", data_commands.rules_remove, "remove a rule", rules).add_argument("id")


def _add_set_commands(add: Callable[..., argparse.ArgumentParser], group: Callable[[str, str], Any]) -> None:
    augment = add("augment", set_commands.augment, "make drafts of more examples: approved ones in other words")
    augment.add_argument("--method", required=True, choices=METHODS)
    augment.add_argument("--n", type=int, default=1, metavar="N", help="drafts of one example, at most")
    augment.add_argument("--seed", type=int, default=0, help="another one gives other drafts")
    augment.add_argument(
        "--adapter", help="the adapter that rewords, by id or name (default: the base, which is better)"
    )
    _add_filter(augment)

    split = add("split", set_commands.split, "show or set how rows are held back for validation and test")
    split.add_argument("--validation", type=float, metavar="SHARE", help="0 to 0.9")
    split.add_argument("--test", type=float, metavar="SHARE", help="0 to 0.9")
    split.add_argument("--seed", type=int, default=0)
    split.add_argument("--none", action="store_true", help="train on every row")
    split.add_argument("--preview", action="store_true", help="say what it would do and why, and change nothing")
    snapshots = group("snapshots", "frozen sets of rows")
    take = add("take", set_commands.snapshots_take, "freeze rows under a name", snapshots)
    take.add_argument("name")
    _add_filter(take)
    add("list", set_commands.snapshots_list, "list the snapshots", snapshots)
    diff = add("diff", set_commands.snapshots_diff, "what changed between two", snapshots)
    diff.add_argument("one")
    diff.add_argument("other")


def _add_filter(command: argparse.ArgumentParser) -> None:
    """Which rows; an option given twice means either, but for tags, where it means both."""
    command.add_argument("--status", action="append", choices=get_args(Status))
    command.add_argument("--search", default="", metavar="TEXT")
    for name in ("tag", "split", "source", "by", "flag"):
        command.add_argument(f"--{name}", action="append", metavar=name.upper())
    command.add_argument("--rating", type=int, metavar="N", help="rated N or better")
    command.add_argument("--since", type=_moment, metavar="DATE", help="changed then or later (ISO 8601, UTC)")
    command.add_argument("--until", type=_moment, metavar="DATE", help="changed before that")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return int(text)


def _moment(text: str) -> datetime:
    """A day or a moment; UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write one such as 2026-01-31") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
