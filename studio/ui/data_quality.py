"""Quality: look at all rows, settle what is found kind by kind, and see what the project is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import gradio as gr

from studio import dataset, quality, splits
from studio.context import Studio
from studio.errors import InvalidInput, NotFound, Phrase
from studio.records import Example
from studio.rows import Flag, RowFilter
from studio.ui import data_rows
from studio.ui.board import Asked, Board, Gesture, Reply, Value, is_same, look, offset_of, wire
from studio.ui.rows_table import flag_value, row_value
from studio.ui.scans import Scans
from studio.ui.session import QUIET, Desk, Session
from studio.ui.words import t

PAGE = 10
"""Rows or pairs on one page."""
NEIGHBOURS = 6
KINDS = (
    "contradiction", "pii", "secret", "leak", "duplicate", "near-duplicate", "truncated", "empty", "too-long",
    "language", "format", "control-token", "rule",
)  # fmt: skip
"""`FLAG_KINDS`, what does most harm first."""
RARE = "imbalance"
"""What the chip of rare labels is called; they are no flag."""


class QualityBoard(Board):
    """Chips by kind of flag, the rows of the chosen one to settle, the topic map and the balance of short answers."""

    scripts = ("board.js", "diff.js", "marked.js", "quality_cards.js", "quality_map.js", "quality.js")
    css_class = "st-quality"
    word_prefix = "app.quality."
    gestures = (
        "look", "scan", "map", "cancel", "dismiss", "settle", "join", "status", "edit", "reject_all", "undo", "near",
        "table",
    )  # fmt: skip


def build(desk: Desk, session: gr.State, table: Sequence[Any]) -> None:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    scans = Scans(desk)
    with gr.Tab(t("app.data.quality"), id="quality"):
        board = QualityBoard(elem_id="quality")
    wire(desk, session, board, gestures(scans), value_of(scans))

    def to_table(at: Session, event: gr.EventData) -> tuple[Any, ...]:
        return data_rows.showing(desk.studio, at, _table_filter(scans, at.project_id, event._data))

    board.listen("table", to_table, [session], list(table), **QUIET)


def _table_filter(scans: Scans, project_id: str, asked: Asked) -> dict[str, Any]:
    if asked.get("id"):
        return {"ids": [str(asked["id"])]}
    if asked.get("kind") == RARE:
        return {"ids": list(_rare_ids(scans, project_id))}
    return {"flags": [str(asked.get("kind"))], "statuses": list(quality.LOOKED_AT.statuses)}


# What is shown


def value_of(scans: Scans) -> Value:
    def value(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
        facets = dataset.facets(studio, at.project_id, quality.LOOKED_AT)
        overview = scans.overview(at.project_id)
        kinds = {kind: facets.flags[kind] for kind in KINDS if facets.flags.get(kind)}
        rare = _rare(studio, scans, at.project_id)
        if rare:
            kinds[RARE] = len(rare)
        found: dict[str, Any] = {
            "rows": facets.total,
            "kinds": kinds,
            "scan": scans.value(at.project_id, at.language),
            "map_number": overview[0] if overview else 0,
            **_cards(studio, at, asked, kinds, rare),
        }
        if overview and (asked.get("map") != overview[0] or not is_same(at, asked)):
            found["map"] = {"number": overview[0], **_map_value(overview[1])}
        return found

    return value


def _rare_ids(scans: Scans, project_id: str) -> tuple[str, ...]:
    overview = scans.overview(project_id)
    return overview[1].rare if overview else ()


def _rare(studio: Studio, scans: Scans, project_id: str) -> list[Example]:
    """The rows that still have a rare label."""
    overview = scans.overview(project_id)
    labels = overview[1].balance.rare if overview and overview[1].balance else ()
    found = studio.store.examples.get_many(_rare_ids(scans, project_id))
    return [row for row in found if row.status in quality.LOOKED_AT.statuses and row.answer.strip() in labels]


def _of_kind(kind: str) -> RowFilter:
    return replace(quality.LOOKED_AT, flags=(kind,))


def _cards(studio: Studio, at: Session, asked: Asked, kinds: dict[str, int], rare: Sequence[Example]) -> dict[str, Any]:
    """The rows of one kind, a page of them; without a choice, of the first there is."""
    kind = str(asked.get("kind") or "") if is_same(at, asked) else ""
    kind = kind if kind in kinds else next(iter(kinds), "")
    if not kind:
        return {"kind": "", "offset": 0, "total": 0, "cards": []}
    total = kinds[kind]
    offset = offset_of(asked, total, PAGE) if asked.get("kind") == kind else 0
    if kind == RARE:
        rows = list(rare[offset : offset + PAGE])
    else:
        rows = dataset.page(studio, at.project_id, _of_kind(kind), "oldest", PAGE, offset)
    found = dataset.flags(studio, at.project_id, [row.id for row in rows])
    own = {row.id: [flag for flag in found.get(row.id, []) if flag.kind == kind] for row in rows}
    others = studio.store.examples.get_many([flag.other_id for some in own.values() for flag in some if flag.other_id])
    return {
        "kind": kind,
        "offset": offset,
        "total": total,
        "cards": [_card(row, own[row.id], {o.id: o for o in others}, at.language) for row in rows],
    }


def _card(row: Example, flags: Sequence[Flag], others: dict[str, Example], language: str) -> dict[str, Any]:
    """A row and its flags; each flag of a pair brings the other row."""
    values = [flag_value(flag, language) for flag in flags]
    for value in values:
        other = others.get(value["other_id"] or "")
        value["other"] = row_value(other) if other else None
    return {**row_value(row), "flags": values}


def _map_value(overview: quality.Overview) -> dict[str, Any]:
    """Topics, points and labels; places as whole thousandths, the map's own unit."""
    made = overview.topics
    reach = max([1e-6, *(abs(v) for p in made.points for v in (p.x, p.y))])
    balance = overview.balance
    return {
        "rows": overview.rows,
        "topics": [
            {
                "title": topic.title,
                "size": topic.size,
                "thin": topic.is_thin,
                "x": round(1000 * topic.x / reach),
                "y": round(1000 * topic.y / reach),
            }
            for topic in made.topics
        ],
        "points": [
            [
                p.example_id,
                p.topic,
                round(1000 * p.x / reach),
                round(1000 * p.y / reach),
                _short(overview, p.example_id),
            ]
            for p in made.points
        ],
        "balance": {"labels": balance.labels, "rare": balance.rare} if balance else None,
    }


def _short(overview: quality.Overview, example_id: str) -> str:
    return " ".join(overview.questions[example_id].split())[:90]


# What is done


def gestures(scans: Scans) -> dict[str, Gesture]:
    def scan(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        scans.start(at.project_id)
        return {"ok": True}

    def map_(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        scans.start(at.project_id, with_flags=False)
        return {"ok": True}

    def cancel(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        scans.cancel(at.project_id)
        return {"ok": True}

    def near(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        overview = scans.overview(at.project_id)
        alike = dict(overview[1].topics.neighbours(asked["id"], NEIGHBOURS)) if overview else {}
        rows = {row.id: row for row in studio.store.examples.get_many([asked["id"], *alike])}
        if asked["id"] not in rows:
            raise NotFound("This example isn't there any more.", "Scan again.")
        near_rows = [{**row_value(rows[id_]), "alike": share} for id_, share in alike.items() if id_ in rows]
        return {"ok": True, "near": {"row": row_value(rows[asked["id"]]), "rows": near_rows}}

    return {
        "look": look, "scan": scan, "map": map_, "cancel": cancel, "near": near, "dismiss": dismiss, "settle": settle,
        "join": join, "status": status, "edit": data_rows.edit, "reject_all": reject_all, "undo": undo,
    }  # fmt: skip


def dismiss(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    keys = [str(key) for key in asked["keys"]]
    with studio.store.transaction():
        for key in keys:
            dataset.dismiss_flag(studio, key, author)
    return {"ok": True, "did": "dismissed", "undo": {"action": None, "keys": keys}}


def settle(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    keeps: dict[str, Literal["first", "second", "both"]] = {"left": "second", "right": "first", "both": "both"}
    if asked.get("keep") not in keeps:
        raise InvalidInput(Phrase("There is no choice {choice!r}.", choice=asked.get("keep")))
    # The flagged row, the later one, stands on the right.
    pair = (str(asked["id"]), str(asked["other"]))
    done = dataset.settle(studio, at.project_id, pair, asked["key"], keeps[asked["keep"]], author)
    return {
        "ok": True,
        "did": "kept_both" if asked["keep"] == "both" else "settled",
        "undo": {"action": done.action_id, "keys": done.keys},
    }


def join(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """Put a row that leaks on the side of the other one."""
    action = splits.join(studio, asked["id"], author)
    return {"ok": True, "did": "joined", "undo": {"action": action.id, "keys": []}}


def status(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    wanted = asked["status"]
    row = dataset.set_status(studio, asked["id"], wanted, author, version=asked["version"])
    return {"ok": True, "did": wanted, "undo": {"action": row.action_id, "keys": []}}


def reject_all(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """The rows that are shown, or all of the chosen kind; one action."""
    ids = tuple(map(str, asked.get("ids") or ()))
    action = dataset.set_statuses(
        studio, at.project_id, RowFilter(ids=ids) if ids else _of_kind(asked["kind"]), "rejected", author
    )
    return {"ok": True, "did": "rejected_all", "rows": action.rows, "undo": {"action": action.id, "keys": []}}


def undo(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """Take back a gesture of this board: its action, and the flags it closed."""
    with studio.store.transaction():
        if asked.get("action"):
            dataset.undo(studio, at.project_id, author, action_id=str(asked["action"]))
        dataset.reopen_flags(studio, [str(key) for key in asked.get("keys") or ()])
    return {"ok": True, "did": "undone"}
