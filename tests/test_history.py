"""A thousand random changes beside a model of the rows in plain Python: every moment comes back, nothing is lost."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from studio import dataset, imports, projects, splits
from studio.context import Studio, open_studio
from studio.errors import InvalidInput
from studio.records import Example, Status, Turn, new_id
from studio.rows import RowFilter, Shares

STEPS = int(os.environ.get("STUDIO_TEST_HISTORY_STEPS", "1000"))
EVERY = RowFilter(statuses=("draft", "approved", "rejected", "deleted"))
TAGS = ("billing", "hours", "日本語", "a, b", '"quoted"')
WORDS = "open close Sunday desk fee card room late 開館 休館 e\u0301 👩🏽‍💻 \u2028 'x' \"y\" \\n".split(" ")


@dataclass(frozen=True)
class State:
    """What an expert sees of a row."""

    turns: tuple[Turn, ...]
    rejected: str | None
    status: Status
    tags: tuple[str, ...] = ()
    rating: int | None = None
    note: str = ""

    @classmethod
    def of(cls, example: Example) -> State:
        return cls(example.turns, example.rejected, example.status, example.tags, example.rating, example.note)


@dataclass
class Model:
    """The rows as they must be: by id every state with the action that made it, oldest first."""

    rows: dict[str, list[tuple[State, str]]] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)
    moments: dict[str, dict[str, int]] = field(default_factory=dict)
    """By action, how many versions each row had right after it."""

    def now(self) -> dict[str, State]:
        return {id_: versions[-1][0] for id_, versions in self.rows.items()}

    def at(self, moment: str) -> dict[str, State]:
        """The rows as they were right after an action."""
        return {id_: self.rows[id_][count - 1][0] for id_, count in self.moments[moment].items()}

    def append(self, id_: str, state: State, action: str) -> None:
        self.rows.setdefault(id_, []).append((state, action))

    def fits(self, rows: RowFilter) -> list[str]:
        return [
            id_
            for id_, state in self.now().items()
            if (id_ in rows.ids or not rows.ids)
            and (state.status in rows.statuses if rows.statuses else bool(rows.ids) or state.status != "deleted")
            and set(rows.tags) <= set(state.tags)
        ]

    def change(self, ids: list[str], action: str, changed: Callable[[State], State]) -> int:
        new = {id_: changed(self.now()[id_]) for id_ in ids}
        differ = {id_: state for id_, state in new.items() if state != self.now()[id_]}
        for id_, state in differ.items():
            self.append(id_, state, action)
        return len(differ)

    def undo(self, target: str, action: str) -> int:
        self.undone.add(target)
        hit = [id_ for id_, versions in self.rows.items() if versions[-1][1] == target]
        for id_ in hit:
            versions = self.rows[id_]
            before = versions[-2][0] if len(versions) > 1 else replace(versions[0][0], status="deleted")
            self.append(id_, before, action)
        return len(hit)

    def restore_all(self, moment: str, action: str) -> int:
        counts, changed = self.moments[moment], 0
        for id_, versions in list(self.rows.items()):
            wanted = counts.get(id_)
            if wanted == len(versions):
                continue
            state = versions[wanted - 1][0] if wanted else replace(versions[0][0], status="deleted")
            self.append(id_, state, action)
            changed += 1
        return changed


class Play:
    """Does the same to the studio and to the model, and compares."""

    def __init__(self, studio: Studio, project_id: str, folder: Path, seed: int) -> None:
        self.studio, self.project_id, self.folder = studio, project_id, folder
        self.rng, self.model = random.Random(seed), Model()
        self.deals: list[str] = []
        self.stood: dict[str, str] = {}
        """On which side each row stood after the last step."""
        self.done = 0

    # What can be done

    def text(self) -> str:
        return " ".join(self.rng.choices(WORDS, k=self.rng.randint(2, 7))) + f" {self.rng.getrandbits(40):x}"

    def one(self) -> str:
        return self.rng.choice(list(self.model.rows))

    def some(self) -> RowFilter:
        ids = tuple(self.rng.sample(list(self.model.rows), min(len(self.model.rows), self.rng.randint(1, 9))))
        status = self.rng.choice(("draft", "approved", "rejected", "deleted"))
        return self.rng.choice((RowFilter(ids=ids), RowFilter(statuses=(status,)), RowFilter(tags=(TAGS[0],))))

    def add(self) -> None:
        made = dataset.add(self.studio, self.project_id, self.text(), self.text(), "ann")
        self.model.append(made.id, State.of(made), made.action_id)
        assert (made.status, made.version) == ("approved", 1)

    def add_many(self) -> None:
        before = (Turn("system", "Be brief."), Turn("user", self.text()), Turn("assistant", self.text(), True))
        made = [
            Example(
                new_id("e"),
                self.project_id,
                1,
                self.rng.choice(("draft", "approved", "rejected")),
                (*before, Turn("user", self.text())) if self.rng.random() < 0.4 else (Turn("user", self.text()),),
                self.text(),
                rejected=self.rng.choice((None, self.text())),
                tags=tuple(sorted(self.rng.sample(TAGS, 2))),
                source="import",
            )
            for _ in range(self.rng.randint(1, 4))
        ]
        action = dataset.add_rows(self.studio, self.project_id, made, "imported")
        for example in made:
            self.model.append(example.id, State.of(example), action.id)

    def import_(self) -> None:
        rows = [{"instruction": self.text(), "output": self.text()} for _ in range(self.rng.randint(1, 5))]
        path = self.folder / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        approve = self.rng.random() < 0.5
        report = imports.import_file(self.studio, self.project_id, path, approve=approve)
        assert report.added == len(rows)
        action = self.newest()
        made = [e for e in self.stored().values() if e.action_id == action]
        for row, example in zip(rows, sorted(made, key=lambda e: e.id), strict=True):
            turns = (Turn("user", row["instruction"]), Turn("assistant", row["output"], True))
            state = State(turns, None, "approved" if approve else "draft")
            self.model.append(example.id, state, action)

    def edit(self) -> None:
        id_, state = self.one(), {}
        now = self.model.now()[id_]
        turns = list(now.turns)
        if self.rng.random() < 0.6:
            turns[-1] = replace(turns[-1], content=self.text())
            state["answer"] = turns[-1].content
        if self.rng.random() < 0.4:
            turns[-2] = replace(turns[-2], content=self.text())
            state["prompt"] = turns[-2].content
        new = replace(now, turns=tuple(turns))
        if self.rng.random() < 0.4:
            new = replace(new, rating=self.rng.choice((None, 1, 5)), note=self.rng.choice(("", "look again", "同じ")))
            state |= {"rating": new.rating, "note": new.note}
        if self.rng.random() < 0.3:
            new = replace(new, status="approved", tags=tuple(sorted(self.rng.sample(TAGS, 3))))
            state |= {"status": "approved", "tags": new.tags}
        with refused_if(new == now):
            changed = dataset.edit(self.studio, id_, author="bob", **state)
            self.model.append(id_, new, changed.action_id)

    def set_status(self) -> None:
        id_, status = self.one(), self.rng.choice(("draft", "approved", "rejected", "deleted"))
        changed = dataset.set_status(self.studio, id_, status)
        self.model.change([id_], changed.action_id, lambda state: replace(state, status=status))

    def set_statuses(self) -> None:
        rows, status = self.some(), self.rng.choice(("draft", "approved", "rejected", "deleted"))
        ids = self.model.fits(rows)
        with refused_if(all(self.model.now()[id_].status == status for id_ in ids)):
            action = dataset.set_statuses(self.studio, self.project_id, rows, status)
            assert action.rows == self.model.change(ids, action.id, lambda state: replace(state, status=status))

    def tag(self) -> None:
        rows, add, remove = self.some(), self.rng.sample(TAGS, 1), self.rng.sample(TAGS, 1)
        ids = self.model.fits(rows)

        def changed(state: State) -> State:
            return replace(state, tags=tuple(sorted((set(state.tags) - set(remove)) | set(add))))

        with refused_if(all(changed(self.model.now()[id_]) == self.model.now()[id_] for id_ in ids)):
            action = dataset.tag(self.studio, self.project_id, rows, add, remove)
            assert action.rows == self.model.change(ids, action.id, changed)

    def undo(self) -> None:
        past = [a for a in self.model.moments if a not in self.deals]
        target = self.rng.choice(past[-12:])
        touched = any(versions[-1][1] == target for versions in self.model.rows.values())
        with refused_if(target in self.model.undone or not touched):
            action = dataset.undo(self.studio, self.project_id, action_id=target)
            assert action.rows == self.model.undo(target, action.id)

    def restore(self) -> None:
        id_ = self.one()
        versions = self.model.rows[id_]
        number = self.rng.randint(1, len(versions))
        with refused_if(number == len(versions)):
            dataset.restore(self.studio, id_, number)
            self.model.append(id_, versions[number - 1][0], self.newest())

    def restore_all(self) -> None:
        moment = self.rng.choice(list(self.model.moments))
        then, sides = self.model.at(moment), self.sides()
        counts = self.model.moments[moment]
        with refused_if(all(counts.get(id_) == len(v) for id_, v in self.model.rows.items())):
            action = dataset.restore_all(self.studio, self.project_id, moment)
            assert action.rows == self.model.restore_all(moment, action.id)
        found = {id_: State.of(example) for id_, example in self.stored().items()}
        assert {id_: state for id_, state in found.items() if id_ in then} == then
        assert all(state.status == "deleted" for id_, state in found.items() if id_ not in then)
        assert self.sides() == sides

    def deal(self) -> None:
        shares = self.rng.choice((Shares(0.2, 0.2, self.rng.randrange(3)), Shares(test=0.4), None))
        self.deals.append(splits.deal(self.studio, self.project_id, shares).action.id)
        self.moved(self.deals[-1])

    def undo_the_deal(self) -> None:
        with refused_if(not self.deals or self.deals[-1] in self.model.undone):
            action = dataset.undo(self.studio, self.project_id, action_id=(self.deals or ["h_none"])[-1])
            self.model.undone.add(self.deals[-1])
            self.deals.append(action.id)
            self.moved(action.id)

    def moved(self, action: str) -> None:
        """Rows that changed their side have a version more, and nothing else of them is different."""
        for id_, example in self.stored().items():
            if example.action_id == action:
                self.model.append(id_, self.model.now()[id_], action)

    # Looking

    def newest(self) -> str:
        return dataset.history(self.studio, self.project_id, 1)[0].id

    def stored(self) -> dict[str, Example]:
        return {e.id: e for e in self.studio.store.examples.page(self.project_id, EVERY, "oldest", 100_000)}

    def sides(self) -> dict[str, str]:
        return {id_: example.split for id_, example in self.stored().items()}

    def step(self) -> None:
        kinds = [self.add, self.edit, self.edit, self.edit, self.set_status, self.set_status, self.set_statuses]
        kinds += [self.tag, self.undo, self.undo, self.restore, self.restore]
        rare = [self.add_many, self.import_, self.deal, self.undo_the_deal, self.restore_all]
        work = self.add if len(self.model.rows) < 8 else self.rng.choice(rare if self.rng.random() < 0.12 else kinds)
        count, before = len(self.model.moments), self.stood
        work()
        if (action := self.newest()) not in self.model.moments:
            self.model.moments[action] = {id_: len(versions) for id_, versions in self.model.rows.items()}
        self.done += len(self.model.moments) > count
        stored = self.stored()
        assert {id_: State.of(example) for id_, example in stored.items()} == self.model.now(), work.__name__
        if work not in (self.deal, self.undo_the_deal):
            assert {id_: stored[id_].split for id_ in before} == before, work.__name__
        self.stood = {id_: example.split for id_, example in stored.items()}

    def nothing_is_lost(self) -> None:
        for id_, expected in self.model.rows.items():
            versions = self.studio.store.examples.versions(id_)
            assert [v.version for v in versions] == list(range(1, len(expected) + 1))
            assert [(State.of(v), v.action_id) for v in versions] == expected
            found = [(v.version, a.id if a else "") for v, a in dataset.timeline(self.studio, id_)]
            assert found == [(v.version, v.action_id) for v in reversed(versions)]


@contextmanager
def refused_if(nothing_changes: bool) -> Iterator[None]:
    """What changes nothing is refused; whatever else is not."""
    if nothing_changes:
        with pytest.raises(InvalidInput):
            yield
    else:
        yield


def reopened(studio: Studio) -> Studio:
    studio.close()
    return open_studio(studio.settings, "tests")


def test_every_moment_of_a_thousand_changes_can_be_brought_back(tmp_path: Path, studio: Studio) -> None:
    project = projects.create(studio, "History")
    play = Play(studio, project.id, tmp_path, seed=3)
    try:
        while play.done < STEPS:
            play.step()
            if play.done % max(1, STEPS // 4) == 0:
                play.studio = reopened(play.studio)
        assert sum(len(versions) for versions in play.model.rows.values()) > STEPS
        play.nothing_is_lost()
        for _ in range(10):
            play.restore_all()
            play.model.moments[play.newest()] = {id_: len(v) for id_, v in play.model.rows.items()}
        play.studio = reopened(play.studio)
        for _ in range(5):
            play.restore_all()
        play.nothing_is_lost()
    finally:
        play.studio.close()
