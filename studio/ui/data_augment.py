"""More examples: other wordings of approved questions, looked at beside their source before they are kept as drafts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import gradio as gr

from studio import augmentation, dataset, projects
from studio.augmentation import Method
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput, Phrase
from studio.records import Example
from studio.rows import RowFilter
from studio.ui import data_rows
from studio.ui.board import Asked, Board, Gesture, Reply, Value, look, offset_of, wire
from studio.ui.rows_table import row_value
from studio.ui.running import cancel_gesture, settled_soon, work_value
from studio.ui.session import QUIET, Desk, Session
from studio.ui.words import t
from studio.ui.work import Work

PAGE = 8
"""Drafts on one page."""
MOST = 5
"""Drafts of one row that can be asked for here; more are hardly ever different."""
KIND = "augment"
DISCARDED = "discarded"


class AugmentBoard(Board):
    """The methods with what they are good for, and the drafts beside their sources."""

    scripts = ("board.js", "diff.js", "running.js", "augment.js")
    css_class = "st-augment"
    word_prefix = "app.augment."
    gestures = ("look", "make", "cancel", "keep", "discard", "undo", "table")


@dataclass
class Offered:
    """The drafts of a project that nobody has decided on yet; in memory only, since they can be made again."""

    drafts: list[Example] = field(default_factory=list)
    left_out: int = 0
    """Rows of the last making that drafts can't be made from."""
    looked_at: int = 0
    """Rows of the last making that they can be made from."""
    discarded: list[Example] = field(default_factory=list)
    """What was discarded last, as long as that can be taken back."""


class Offers:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, Offered] = {}

    def of(self, project_id: str) -> Offered:
        return self._of.setdefault(project_id, Offered())

    def add(self, project_id: str, drafts: Sequence[Example]) -> None:
        """Those that are not offered already."""
        with self._lock:
            offered = self.of(project_id).drafts
            known = {draft.key() for draft in offered}
            offered += [draft for draft in drafts if draft.key() not in known]

    def take(self, project_id: str, ids: Sequence[str]) -> list[Example]:
        """Those with these ids, which are offered no longer; without ids, all."""
        with self._lock:
            offered = self.of(project_id)
            taken = [draft for draft in offered.drafts if not ids or draft.id in ids]
            offered.drafts = [draft for draft in offered.drafts if ids and draft.id not in ids]
            return taken


def build(desk: Desk, session: gr.State, shown: gr.State, table: Sequence[Any]) -> None:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    offers = Offers()
    with gr.Tab(t("app.data.augment"), id="augment"):
        board = AugmentBoard(elem_id="augment")
    wire(desk, session, board, gestures(desk, offers), value_of(desk, offers), shown)

    def to_table(at: Session) -> tuple[Any, ...]:
        return data_rows.showing(desk.studio, at, {"sources": ["augmented"], "statuses": ["draft"]})

    board.listen("table", to_table, [session], list(table), **QUIET)


# What is shown


def value_of(desk: Desk, offers: Offers) -> Value:
    def value(studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
        offered = offers.of(at.project_id)
        drafts = list(offered.drafts)
        offset = offset_of(asked, len(drafts), PAGE)
        page = drafts[offset : offset + PAGE]
        sources = {row.id: row for row in studio.store.examples.get_many([d.parent_id or "" for d in page])}
        waiting = RowFilter(sources=("augmented",), statuses=("draft",))
        return {
            "language": projects.get(studio, at.project_id).language,
            "counts": {what: _count(studio, at.project_id, what, asked) for what in ("approved", "shown")},
            "work": work_value(desk, at, KIND),
            "left_out": offered.left_out,
            "looked_at": offered.looked_at,
            "waiting": dataset.count(studio, at.project_id, waiting),
            "total": len(drafts),
            "offset": offset,
            "drafts": [_draft_value(draft, sources.get(draft.parent_id or "")) for draft in page],
        }

    return value


def _sources(what: str, asked: Asked) -> RowFilter | None:
    """The approved training rows, of all or of what the table shows; None: it shows none of them."""
    rows: RowFilter = asked["rows"] if what == "shown" else RowFilter()
    if (rows.statuses and "approved" not in rows.statuses) or (rows.splits and "train" not in rows.splits):
        return None
    return replace(rows, statuses=("approved",), splits=("train",))


def _count(studio: Studio, project_id: str, what: str, asked: Asked) -> int:
    rows = _sources(what, asked)
    return dataset.count(studio, project_id, rows) if rows else 0


def _draft_value(draft: Example, source: Example | None) -> dict[str, Any]:
    return {
        **row_value(draft),
        "method": draft.extra["augmentation"]["method"],
        "source_question": source.question if source else "",
    }


# What is done


def gestures(desk: Desk, offers: Offers) -> dict[str, Gesture]:
    def make(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        method, n, seed = _method(asked), int(asked.get("n") or 1), int(asked.get("seed") or 0)
        if not 1 <= n <= MOST:
            raise InvalidInput(
                Phrase("{n} drafts per example can't be made.", n=n), Phrase("Choose 1 to {most}.", most=MOST)
            )
        rows = _sources(str(asked.get("what")), asked)
        found = augmentation.sources(studio, at.project_id, rows) if rows else augmentation.Sources((), 0)
        if not found.ids:
            raise InvalidInput("There is no approved training example to start from.", "Approve some, or show others.")
        if method in augmentation.MODEL_METHODS:
            _ = studio.engine

        def run(work: Work) -> None:
            offered = offers.of(at.project_id)
            offered.left_out, offered.looked_at = found.left_out, len(found.ids)
            _make(studio, at.project_id, found.ids, method, n, seed, work, offers, author)

        settled_soon(desk.works.start(at.project_id, KIND, run, studio.closing))
        return {"ok": True}

    def keep(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        drafts = offers.take(at.project_id, _ids(asked))
        if not drafts:
            raise InvalidInput("These drafts were decided on already.", "Make others.")
        try:
            augmentation.keep(studio, drafts)
        except Exception:
            offers.add(at.project_id, drafts)
            raise
        kept = dataset.get(studio, drafts[0].id)
        return {"ok": True, "did": "kept", "n": len(drafts), "undo": kept.action_id}

    def discard(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        drafts = offers.take(at.project_id, _ids(asked))
        offers.of(at.project_id).discarded = drafts
        return {"ok": True, "did": "discarded", "n": len(drafts), "undo": DISCARDED}

    def undo(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
        """Offer again what was discarded, or put what was kept into the bin."""
        if asked.get("action") == DISCARDED:
            offered = offers.of(at.project_id)
            offers.add(at.project_id, offered.discarded)
            offered.discarded = []
        else:
            dataset.undo(studio, at.project_id, author, action_id=str(asked["action"]))
        return {"ok": True, "did": "undone"}

    return {
        "look": look, "make": make, "keep": keep, "discard": discard, "undo": undo,
        "cancel": cancel_gesture(desk, (KIND,)),
    }  # fmt: skip


def _make(
    studio: Studio,
    project_id: str,
    ids: Sequence[str],
    method: Method,
    n: int,
    seed: int,
    work: Work,
    offers: Offers,
    author: str,
) -> None:
    """Offer drafts as they come; what was made before a cancel stays offered."""

    def report(done: int, total: int) -> None:
        work.report("making", done, total)

    try:
        for drafts in augmentation.offers(
            studio, project_id, ids, method, n, seed, report, work.cancelled, author=author
        ):
            offers.add(project_id, drafts)
    except Cancelled:
        return


def _ids(asked: Asked) -> list[str]:
    """The drafts that are meant; none: all."""
    return [str(id_) for id_ in asked.get("ids") or ()]


def _method(asked: Asked) -> Method:
    for name in get_args(Method):
        if name == asked.get("method"):
            return name  # type: ignore[no-any-return]
    raise InvalidInput(Phrase("There is no method {method!r}.", method=asked.get("method")))
