"""More questions for the answers an expert approved: drafts made from rows, for the expert to approve or discard.

Only the last question of a row is reworded; its answer stays. Every draft names its source, says how it was made, and
stands on its source's side of the split. It is a row like any other from the moment it is made.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studio import adapters, dataset, projects, rewording, wordings
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput, Phrase
from studio.records import Example, new_id
from studio.rewording import TONGUES
from studio.rows import Action, RowFilter
from studio.wordings import Progress, Task, Wish, Wording

FEW_ROWS, MANY_ROWS = 4, 200
"""Rows whose drafts are made and saved together, by the model and by word lists."""
WAITING = RowFilter(statuses=("draft",), sources=("augmented",))
"""The drafts that nobody has decided on."""


@dataclass(frozen=True)
class Made:
    """What came of a wish."""

    drafts: int = 0
    sources: int = 0
    """Rows that were tried."""
    left_out: int = 0
    """Rows that were meant and can't be reworded: see `wordings.task_of`."""
    actions: tuple[str, ...] = ()
    """What takes it back: one action, unless rows were changed by somebody else meanwhile."""
    is_whole: bool = True
    """False: it was stopped."""


def make(
    studio: Studio,
    project_id: str,
    rows: RowFilter,
    wish: Wish,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
    author: str = "",
) -> Made:
    """Make drafts from the rows that can be sources (`sources`), and save them a few rows at a time: whatever stops it,
    what was made by then stays. Progress counts rows.

    No wording of a row is made twice, also not one that was edited or discarded since, and none that asks and answers
    the same as another row. What was undone can be made again.

    Raises:
        InvalidInput: none of the rows can be a source.
        AdapterRejected: the adapter's files failed a check.
        Busy, ModelUnavailable: a model method, and the model is not to be had.
    """
    making = _Making(studio, project_id, wish, author or studio.settings.author)
    ids, left_out = making.sources(rows)
    if wish.adapter_id is not None:
        adapters.ensure_loaded(studio, wish.adapter_id)
    made = Made(left_out=left_out)
    size = FEW_ROWS if wish.asks_model else MANY_ROWS
    for start in range(0, len(ids), size):
        some = ids[start : start + size]

        def report(done: int, total: int, start: int = start, count: int = len(some)) -> None:
            progress(start + count * done // max(total, 1), len(ids))

        try:
            drafts = making.drafts(some, report, cancelled or threading.Event())
        except Cancelled:
            return replace(made, is_whole=False)
        made = replace(made, drafts=made.drafts + making.save(drafts), sources=made.sources + len(some))
        made = replace(made, actions=tuple(making.actions))
        progress(made.sources, len(ids))
    return made


def sources(rows: RowFilter) -> RowFilter | None:
    """Those of the rows that drafts are made from: the approved ones, for training unless the filter names a side.
    None: there are none among them."""
    if rows.statuses and "approved" not in rows.statuses:
        return None
    return replace(rows, statuses=("approved",), splits=rows.splits or ("train",))


def count_sources(studio: Studio, project_id: str, rows: RowFilter) -> int:
    """How many rows drafts would be made from, and those of them that turn out to be left out."""
    if (wanted := sources(rows)) is None:
        return 0
    count = dataset.count(studio, project_id, wanted)
    if not wanted.sources or "augmented" in wanted.sources:
        count -= dataset.count(studio, project_id, replace(wanted, sources=("augmented",)))
    return count


class _Making:
    """One wish being fulfilled, some rows after the others."""

    def __init__(self, studio: Studio, project_id: str, wish: Wish, author: str) -> None:
        self._studio, self._project = studio, projects.get(studio, project_id)
        self._wish, self._author = wish, author
        self._known: set[int] = set(studio.store.examples.keys(project_id, discarded=True).tolist())
        self._action: Action | None = None
        self.actions: list[str] = []

    def sources(self, rows: RowFilter) -> tuple[list[str], int]:
        """The ids of the rows to reword, oldest first, and how many were left out."""
        wanted = sources(rows)
        ids, left_out = [], 0
        for batch in self._studio.store.examples.stream(self._project.id, wanted) if wanted else ():
            for row in batch:
                # A wording of a wording wanders off.
                if row.source == "augmented":
                    continue
                if self._task_of(row):
                    ids.append(row.id)
                else:
                    left_out += 1
        if not ids and self._project.language not in TONGUES:
            raise InvalidInput(
                Phrase(
                    "Drafts can be made in English and Japanese, and the project's language is {language}.",
                    language=self._project.language,
                ),
                "Type rewordings by hand, or set the project's language if it is another one.",
            )
        if not ids:
            raise InvalidInput("There is no approved example to start from.", "Approve some, or choose others.")
        return ids, left_out

    def drafts(self, example_ids: Sequence[str], progress: Progress, stop: threading.Event) -> list[Example]:
        """At most `n` drafts of each row, in the order of the rows; nothing is saved yet."""
        drafts: list[Example] = []
        for wording in wordings.tried(self._studio, self._tasks(example_ids), self._wish, progress, stop):
            draft = _draft(wording, self._wish, self._author)
            if wording.task.left > 0 and draft.key() not in self._known:
                wording.task.left -= 1
                self._known.add(draft.key())
                drafts.append(draft)
        return drafts

    def _tasks(self, example_ids: Sequence[str]) -> list[Task]:
        """What is to be reworded, with the wordings there are. Where the same wish was fulfilled before, nothing is
        left to do: one that was stopped goes on where it ended."""
        rows = self._studio.store.examples.get_many(example_ids)
        tasks = {row.id: task for row in rows if (task := self._task_of(row))}
        for made in self._studio.store.examples.made_from(self._project.id, list(tasks)):
            task, how = tasks[made.parent_id or ""], made.extra.get("augmentation")
            task.taken.add(rewording.bare(made.question.removesuffix(task.tail)))
            if made.version == 1 and isinstance(how, dict) and self._wish.mark.items() <= how.items():
                task.left -= 1
        return [task for task in tasks.values() if task.left > 0]

    def _task_of(self, row: Example) -> Task | None:
        return wordings.task_of(row, self._project.language, self._wish)

    def save(self, drafts: Sequence[Example]) -> int:
        """Save those whose source is still what it was when the model was asked; returns how many."""
        with self._studio.store.transaction():
            by_id = parents(self._studio, drafts)
            still = [draft for draft in drafts if doubt(draft, by_id.get(draft.parent_id or "")) is None]
            if still:
                detail = f"{self._wish.method}, seed {self._wish.seed}"
                self._action = dataset.add_rows(
                    self._studio,
                    self._project.id,
                    still,
                    "augmented",
                    detail=detail,
                    author=self._author,
                    onto=self._action,
                )
                self.actions = list(dict.fromkeys([*self.actions, self._action.id]))
        return len(still)


def _draft(wording: Wording, wish: Wish, author: str) -> Example:
    source = wording.task.source
    last = replace(source.messages[-1], content=wording.text)
    return Example(
        new_id("e"),
        source.project_id,
        1,
        "draft",
        (*source.messages[:-1], last),
        source.answer,
        split=source.split,
        source="augmented",
        extra={**source.extra, "augmentation": {**wish.mark, "try": wording.number}},
        author=author,
        answer_extra=source.answer_extra,
        learn_answer=source.learn_answer,
        tags=source.tags,
        # Single questions of a conversation may stand on several sides; a draft stands with its source alone.
        group=source.id if source.source == "chat" else source.group or source.id,
        parent_id=source.id,
    )


# Deciding

Doubt = Literal["gone", "unapproved", "side", "answer", "aside"]
"""What speaks against approving a draft unseen: its source is in the bin, is not approved any more, stands on another
side of the split or on none, or is answered otherwise now; or the draft itself was set aside."""


@dataclass(frozen=True)
class Approved:
    """What became of the drafts that waited."""

    action: Action
    blocked: int
    """Drafts that a rule keeps from being approved; they wait on."""
    doubtful: int
    """Drafts that there is a `Doubt` about; they wait on."""


def parents(studio: Studio, drafts: Sequence[Example]) -> dict[str, Example]:
    """The rows that drafts were made from, by id, as they are now."""
    ids = sorted({draft.parent_id for draft in drafts if draft.parent_id})
    return {row.id: row for row in studio.store.examples.get_many(ids)}


def doubt(draft: Example, source: Example | None) -> Doubt | None:
    if source is None or source.status == "deleted" or source.project_id != draft.project_id:
        return "gone"
    if source.status != "approved":
        return "unapproved"
    if source.aside or source.split != draft.split:
        return "side"
    if (source.messages[:-1], source.answer) != (draft.messages[:-1], draft.answer):
        return "answer"
    return "aside" if draft.aside else None


def approve(studio: Studio, draft_id: str, version: int, author: str = "") -> Example:
    """Approve one draft, as it was looked at.

    Raises:
        Blocked: a rule keeps it from being approved.
        InvalidInput: its source stands on another side of the split.
        Conflict: somebody changed it since `version`.
    """
    with studio.store.transaction():
        draft = dataset.get(studio, draft_id)
        if doubt(draft, parents(studio, [draft]).get(draft.parent_id or "")) == "side":
            raise InvalidInput(
                "What it was made from was moved to another side of the split, or set aside.",
                "Discard it, or deal the examples again.",
            )
        return dataset.set_status(studio, draft_id, "approved", author, version)


def approve_all(studio: Studio, project_id: str, author: str = "") -> Approved:
    """Approve every draft that waits, but those that a rule keeps from it and those there is a doubt about.

    Raises:
        InvalidInput: none can be approved so.
    """
    with studio.store.transaction():
        waiting = [draft for batch in studio.store.examples.stream(project_id, WAITING) for draft in batch]
        by_id = parents(studio, waiting)
        sure = tuple(d.id for d in waiting if doubt(d, by_id.get(d.parent_id or "")) is None)
        if not sure:
            raise InvalidInput("None of these can be approved without a closer look.", "Look at them one by one.")
        action = dataset.set_statuses(studio, project_id, RowFilter(ids=sure), "approved", author)
    return Approved(action, blocked=len(sure) - action.rows, doubtful=len(waiting) - len(sure))


def discard_all(studio: Studio, project_id: str, author: str = "") -> Action:
    """Put every draft that waits into the bin. Rejected rows are exported as what not to say, and what a draft says is
    right: only its question isn't wanted."""
    return dataset.set_statuses(studio, project_id, WAITING, "deleted", author)
