"""The commands about rows: import, export, review, history and quality. One use case each.

Imports wait until a command needs them, as in `commands`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from studio.console import filter_of, opened, print_value, progress_bar, project_of, stoppable, tenths
from studio.errors import InvalidInput, RowError, WorkError
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.formats import Preview, Shape
    from studio.rows import RowFilter


# In and out


def import_rows(options: argparse.Namespace, settings: Settings) -> None:
    from studio import imports, sources
    from studio.errors import ImportRejected

    mapping = dict(_pair(item) for item in options.map)
    with opened(settings, "import") as studio, stoppable() as stop:
        project = project_of(studio, options)
        source = sources.find(studio, options.file, progress=progress_bar(), cancelled=stop.is_set)

        def seen(shape: Shape | None = None) -> Preview:
            return imports.preview(studio, source.first, shape, options.encoding)

        shape = _shape_of(options, mapping, seen) if options.shape or mapping else None
        if options.preview:
            _preview(options, seen(shape))
            return
        try:
            report = imports.import_files(
                studio,
                project.id,
                source.files,
                shape=shape,
                approve=options.approve,
                source=source.name,
                skip_bad=options.skip_bad,
                encoding=options.encoding,
                progress=tenths("imported"),
                cancelled=stop,
            )
        except ImportRejected as error:
            if options.json:
                value = {"added": 0, "skipped": 0, "errors": _errors_value(error.rows)}
                print(json.dumps(value, ensure_ascii=False))
            if shape is None and not error.good and (arguments := _guessed(seen())):
                error.hint = f"Nothing was imported. If --preview reads them well, add {arguments}"
            raise
        text = f"{report.added} examples added, {report.skipped} were there already."
        text += f" {report.changed} were changed." if report.changed else ""
        text += f" {report.held} break a rule and are drafts." if report.held else ""
        text += f" Read as {report.encoding}." if report.encoding else ""
        kept = [str(path) for path in report.left_out_in]
        text += f" {report.left_out} bad rows were left out; they are in {', '.join(kept)}." if kept else ""
        text += "".join(f"\nrow {e.row}: {e.reason}" for e in report.errors[: imports.SHOWN_ERRORS])
        value = {"added": report.added, "skipped": report.skipped, "errors": _errors_value(report.errors)}
        more = {
            "changed": report.changed,
            "held": report.held,
            "left_out": report.left_out,
            "left_out_in": kept,
            "encoding": report.encoding,
        }
        print_value(options, value | {name: said for name, said in more.items() if said}, text)


def _shape_of(options: argparse.Namespace, mapping: dict[str, str], seen: Callable[[], Preview]) -> Shape:
    """How the rows are to be read, of which the options say something."""
    from studio.formats import told

    preview = seen()
    if (shape := told(preview.shape, preview.columns, options.shape, mapping)) is None:
        raise InvalidInput(
            "The file's columns say nothing about their shape.",
            "Name those of question and answer: --map prompt=COLUMN --map completion=COLUMN.",
        )
    return shape


def _guessed(preview: Preview) -> str:
    """The options that say what was guessed of the columns."""
    columns = preview.shape.columns.items() if preview.shape and not preview.is_sure else ()
    return " ".join(f"--map {shlex.quote(f'{ours}={theirs}')}" for ours, theirs in columns)


def _errors_value(errors: Iterable[RowError]) -> list[dict[str, Any]]:
    return [{"row": error.row, "reason": error.reason} for error in errors]


def _pair(item: str) -> tuple[str, str]:
    name, sign, column = item.partition("=")
    if not sign or not name.strip() or not column.strip():
        raise InvalidInput(f"--map {item} names no column.", "Write --map field=column.")
    return name.strip(), column.strip()


def _preview(options: argparse.Namespace, preview: Preview) -> None:
    rows: list[dict[str, Any]] = [
        {"row": number, "error": row}
        if isinstance(row, str)
        else {"row": number, "messages": [turn.as_message() for turn in row.turns], "rejected": row.rejected}
        for number, row in preview.rows
    ]
    encoding = preview.encoding
    value = {
        "container": preview.container,
        "encoding": encoding.name if encoding else None,
        "shape": preview.shape.name if preview.shape else None,
        "is_sure": preview.is_sure,
        "columns": list(preview.columns),
        "rows": rows,
    }
    lines = [f"{preview.container}, shape {value['shape']}, columns: {', '.join(preview.columns)}"]
    if encoding and (encoding.name != "utf-8" or not encoding.is_sure):
        lines += [f"read as {encoding.name}" + (f"; or is it {', '.join(encoding.others)}?" if encoding.others else "")]
    lines += [f"{row['row']:4}  {row.get('error') or row['messages'][-1]['content'][:80]!r}" for row in rows]
    print_value(options, value, "\n".join(lines))


def export(options: argparse.Namespace, settings: Settings) -> None:
    from studio import exports
    from studio.rows import RowFilter

    with opened(settings, "export") as studio, stoppable() as stop:
        project = project_of(studio, options)
        studio.workspace.require_foreign(options.out)
        if options.snapshot:
            from studio import snapshots

            if filter_of(options, RowFilter()) != RowFilter():
                raise InvalidInput("A snapshot is exported whole.", "Leave out the filter, or the snapshot.")
            snapshot = snapshots.named(studio, project.id, options.snapshot)
            made = snapshots.export(
                studio,
                snapshot,
                options.out,
                options.format,
                plain=options.plain,
                license=options.license,
                progress=tenths("written and read again"),
                cancelled=stop,
            )
        else:
            rows = filter_of(options, RowFilter() if options.all else exports.default_filter(options.format))
            made = exports.export(
                studio,
                project.id,
                options.out,
                options.format,
                rows,
                plain=options.plain,
                license=options.license,
                progress=tenths("written and read again"),
                cancelled=stop,
            )
        value = _exported_value(made)
        if options.push and made.is_verified:
            value |= _push(studio, made.written, options, stop)
    text = f"{made.written.examples} examples in {made.written.path}"
    text += ", read again and equal: verified." if made.is_verified else "."
    text += "".join(f"\nleft out: {n} ({reason})" for reason, n in made.written.skipped.items())
    text += f"\npushed to {value['url']}" if "url" in value else ""
    print_value(options, value, text)
    if not made.is_verified:
        raise WorkError(
            f"The file doesn't read back as it was written: {made.differences[0]}", "Report this, with the row."
        )


def _exported_value(made: Any) -> dict[str, Any]:
    written = made.written
    return {
        "format": written.format,
        "path": str(written.path),
        "rows": written.rows,
        "examples": written.examples,
        "skipped": dict(written.skipped),
        "notes": dict(written.notes),
        "verified": made.is_verified,
        "differences": list(made.differences),
        "sha256": written.sha256,
        "files": [str(path) for path in written.files],
    }


def _push(studio: Any, written: Any, options: argparse.Namespace, stop: threading.Event) -> dict[str, Any]:
    from studio import exports

    pushed = exports.push(
        studio,
        written,
        options.push,
        private=not options.public,
        message=options.message,
        progress=progress_bar(),
        cancelled=stop.is_set,
    )
    return {"url": pushed.url, "revision": pushed.revision}


# Review


def _example_value(example: Any) -> dict[str, Any]:
    from studio import dataset

    return {
        "id": example.id,
        "status": example.status,
        "split": "aside" if example.aside else example.split,
        "version": example.version,
        "source": example.source,
        "tags": list(example.tags),
        "rating": example.rating,
        "note": example.note,
        **dataset.as_messages(example),
        "rejected": example.rejected,
    }


def examples_list(options: argparse.Namespace, settings: Settings) -> None:
    from studio.rows import RowFilter

    with opened(settings, "examples list") as studio:
        rows = filter_of(options, RowFilter())
        found = studio.store.examples.page(project_of(studio, options).id, rows, options.sort, options.limit)
        text = "\n".join(f"{e.id}  {e.status:9} {e.question[:50]!r} → {e.answer[:60]!r}" for e in found)
        print_value(options, [_example_value(e) for e in found], text)


def examples_show(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with opened(settings, "examples show") as studio:
        value = _example_value(dataset.get(studio, options.id))
        print_value(options, value, json.dumps(value, ensure_ascii=False, indent=2))


def examples_status(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with opened(settings, "examples") as studio:
        with studio.store.transaction():
            ids = dict.fromkeys(options.id)
            for project_id, rows in _by_project(studio, ids, options.status).items():
                dataset.set_statuses(studio, project_id, rows, options.status)
        changed = [dataset.get(studio, id_) for id_ in ids]
        print_value(options, [_example_value(e) for e in changed], f"{len(changed)} examples are now {options.status}.")


def _by_project(studio: Any, ids: Iterable[str], status: Any) -> dict[str, RowFilter]:
    """The rows that a status would change, as one filter for each project.

    Raises:
        InvalidInput: a rule keeps one of them from being approved.
    """
    from studio import dataset, projects
    from studio.rows import RowFilter

    found: dict[str, tuple[str, ...]] = {}
    for example in (dataset.get(studio, id_) for id_ in ids):
        if example.status != status:
            if status == "approved":
                dataset.require_unblocked(projects.get(studio, example.project_id), example.answer)
            found[example.project_id] = (*found.get(example.project_id, ()), example.id)
    return {project_id: RowFilter(ids=rows) for project_id, rows in found.items()}


def examples_edit(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset
    from studio.errors import Conflict

    with opened(settings, "examples edit") as studio:
        try:
            changed = dataset.edit(
                studio,
                options.id,
                options.version,
                prompt=options.question,
                answer=options.answer,
                rating=... if options.rating is None else options.rating,
                note=options.note,
            )
        except Conflict as error:
            if options.json:
                print(json.dumps({"conflict": _example_value(error.current)}, ensure_ascii=False))
            raise
        print_value(options, _example_value(changed), f"Saved as version {changed.version}.")


def examples_tag(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset
    from studio.rows import RowFilter

    with opened(settings, "examples tag") as studio:
        rows = RowFilter(ids=tuple(options.id))
        action = dataset.tag(studio, project_of(studio, options).id, rows, options.add, options.remove)
        print_value(options, {"changed": action.rows}, f"{action.rows} examples changed.")


def examples_history(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with opened(settings, "examples history") as studio:
        dataset.get(studio, options.id)
        value = [
            {
                "version": version.version,
                "kind": action.kind if action else "created",
                "author": action.author if action else version.author,
                "at": version.created_at.isoformat(),
                "detail": action.detail if action else "",
                "status": version.status,
                "tags": list(version.tags),
                **dataset.as_messages(version),
            }
            for version, action in dataset.timeline(studio, options.id)
        ]
        text = "\n".join(f"{v['version']:3}  {v['at'][:19]}  {v['author']:12} {v['kind']} {v['detail']}" for v in value)
        print_value(options, value, text)


def examples_restore(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with opened(settings, "examples restore") as studio:
        changed = dataset.restore(studio, options.id, options.version)
        print_value(options, _example_value(changed), f"Version {options.version} is back, as {changed.version}.")


def undo(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with opened(settings, "undo") as studio, stoppable() as stop:
        project_id = project_of(studio, options).id
        action = dataset.undo(studio, project_id, action_id=options.action, progress=tenths("compared"), cancelled=stop)
        print_value(options, _action_value(action), f"Undone: {action.detail} ({action.rows} examples).")


def history(options: argparse.Namespace, settings: Settings) -> None:
    from studio import dataset

    with opened(settings, "history") as studio:
        found = dataset.history(studio, project_of(studio, options).id, options.limit)
        text = "\n".join(
            f"{a.id}  {a.created_at:%Y-%m-%d %H:%M:%S}  {a.author:12} {a.kind:10} {a.rows:6}  {a.detail}" for a in found
        )
        print_value(options, [_action_value(a) for a in found], text)


def _action_value(action: Any) -> dict[str, Any]:
    return {
        "id": action.id,
        "kind": action.kind,
        "rows": action.rows,
        "author": action.author,
        "detail": action.detail,
        "undoes": action.undoes,
        "at": action.created_at.isoformat(),
    }


# Quality


def quality_scan(options: argparse.Namespace, settings: Settings) -> None:
    from studio import quality

    with opened(settings, "quality scan", with_model=options.with_model) as studio, stoppable() as stop:
        show = tenths("looked at")
        found = quality.scan_project(
            studio, project_of(studio, options).id, lambda share, what: show(int(1000 * share), 1000), stop
        )
        value = {"rows": found.rows, "flags": found.flags, "by_kind": found.by_kind}
        text = "\n".join(f"{n:6}  {kind}" for kind, n in found.by_kind.items()) or "Nothing to look at."
        print_value(options, value, text)


def rules_list(options: argparse.Namespace, settings: Settings) -> None:
    with opened(settings, "rules list") as studio:
        found = project_of(studio, options).rules
        text = "\n".join(f"{r.id}  {r.kind:17} {'blocks ' if r.blocks else '':7}{r.value[:60]!r}" for r in found)
        print_value(options, [dict(vars(r)) for r in found], text)


def rules_add(options: argparse.Namespace, settings: Settings) -> None:
    from studio import quality

    with opened(settings, "rules add") as studio:
        project = project_of(studio, options)
        rule = quality.add_rule(studio, project.id, options.kind, options.value, options.message, options.blocks)
        breaking = quality.recheck_rules(studio, project.id)
        print_value(
            options, {**vars(rule), "breaking": breaking}, f"Rule {rule.id} is kept; {breaking} examples break a rule."
        )


def rules_remove(options: argparse.Namespace, settings: Settings) -> None:
    from studio import quality

    with opened(settings, "rules remove") as studio:
        project = project_of(studio, options)
        quality.remove_rule(studio, project.id, options.id)
        quality.recheck_rules(studio, project.id)
        print_value(options, {"removed": options.id}, f"Rule {options.id} is gone.")
