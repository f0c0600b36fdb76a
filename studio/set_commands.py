"""The commands about sets of rows: more of them, the split and snapshots. One use case each.

Imports wait until a command needs them, as in `commands`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from studio.console import filter_of, opened, print_value, project_of, stoppable, tenths
from studio.errors import Cancelled, InvalidInput
from studio.settings import Settings


def augment(options: argparse.Namespace, settings: Settings) -> None:
    from studio import adapters, augmentation
    from studio.rows import RowFilter
    from studio.wordings import Wish

    wish = Wish(options.method, options.n, options.seed)
    with opened(settings, "augment", with_model=wish.asks_model) as studio, stoppable() as stop:
        project = project_of(studio, options)
        if options.adapter and wish.asks_model:
            adapter = adapters.named(studio, project.id, options.adapter)
            wish = dataclasses.replace(wish, adapter_id=adapter.id if adapter else None)
        made = augmentation.make(studio, project.id, filter_of(options, RowFilter()), wish, tenths("reworded"), stop)
    value = {"made": made.drafts, "sources": made.sources, "left_out": made.left_out}
    if not made.is_whole:
        if options.json:
            print(json.dumps(value, ensure_ascii=False))
        raise Cancelled(
            "Making drafts was stopped.", "What was made by then stays; the same command goes on from there."
        )
    text = f"{made.drafts} drafts made from {made.sources} examples."
    text += f" {made.left_out} can't be reworded." if made.left_out else ""
    text += " Approve them or put them in the bin." if made.drafts else ""
    print_value(options, value, text)


# Split and snapshots


def split(options: argparse.Namespace, settings: Settings) -> None:
    from studio import splits
    from studio.rows import Shares

    with opened(settings, "split") as studio, stoppable() as stop:
        project = project_of(studio, options)
        is_dealt = options.none or options.validation is not None or options.test is not None
        if options.preview and not is_dealt:
            raise InvalidInput("Nothing was said to preview.", "Give --validation, --test or --none.")
        shares = None if options.none else Shares(options.validation or 0.0, options.test or 0.0, options.seed)
        show = tenths("compared")
        if options.preview:
            found = splits.preview(studio, project.id, shares, show, stop)
            print_value(options, _preview_value(found), _preview_text(found))
            return
        lines = []
        if is_dealt:
            lines = _reasons(splits.deal(studio, project.id, shares, progress=show, cancelled=stop).uneven)
        summary = splits.summary(studio, project.id)
        value = {"counts": dict(summary.rows), "aside": summary.aside, "rule": summary.rule}
        text = "\n".join([*(f"{n:6}  {side}" for side, n in summary.rows.items()), summary.rule, *lines])
        print_value(options, value, text)


def _reasons(uneven: Iterable[Any]) -> list[str]:
    from studio import splits

    return [splits.reason(each) for each in uneven]


def _preview_value(found: Any) -> dict[str, Any]:
    return {
        "moved": found.moved,
        "trained_on": found.trained_on,
        "counts": dict(found.rows),
        "uneven": [{**dataclasses.asdict(each), "reason": _reasons([each])[0]} for each in found.uneven],
    }


def _preview_text(found: Any) -> str:
    lines = [f"{n:6}  {side}" for side, n in found.rows.items()]
    lines.append(f"{found.moved} examples would change their side; nothing was changed.")
    if found.trained_on:
        lines.append(f"{found.trained_on} of them leave training although an adapter learned from them.")
    return "\n".join([*lines, *_reasons(found.uneven)])


def snapshots_take(options: argparse.Namespace, settings: Settings) -> None:
    from studio import exports, snapshots

    with opened(settings, "snapshots take") as studio, stoppable() as stop:
        rows, project = filter_of(options, exports.APPROVED), project_of(studio, options)
        taken = snapshots.take(studio, project.id, options.name, rows, progress=tenths("frozen"), cancelled=stop)
        print_value(options, _snapshot_value(taken), f"{taken.name}: {taken.rows} examples, {taken.sha256[:12]}")


def snapshots_list(options: argparse.Namespace, settings: Settings) -> None:
    with opened(settings, "snapshots list") as studio:
        found = studio.store.snapshots.of_project(project_of(studio, options).id)
        text = "\n".join(f"{s.id}  {s.created_at:%Y-%m-%d %H:%M}  {s.rows:6}  {s.name}  {s.sha256[:12]}" for s in found)
        print_value(options, [_snapshot_value(s) for s in found], text)


def snapshots_diff(options: argparse.Namespace, settings: Settings) -> None:
    from studio import snapshots

    with opened(settings, "snapshots diff") as studio, stoppable() as stop:
        project = project_of(studio, options)
        one, other = (snapshots.named(studio, project.id, name) for name in (options.one, options.other))
        found = snapshots.diff(studio, one, other, tenths("compared"), stop)
        value = {"added": list(found.added), "removed": list(found.removed), "changed": list(found.changed)}
        text = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed"
        print_value(options, value, text)


def _snapshot_value(snapshot: Any) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "name": snapshot.name,
        "sha256": snapshot.sha256,
        "rows": snapshot.rows,
        "by_split": dict(snapshot.by_split),
        "author": snapshot.author,
        "at": snapshot.created_at.isoformat(),
    }
