"""Scans, settling what they find, the overview of a project, and what a rule would break."""

from __future__ import annotations

import threading

import pytest

from studio import dataset, quality
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput
from studio.records import Example, Project
from studio.rows import Rule


@pytest.fixture
def clash(studio: Studio, project: Project) -> tuple[Example, Example]:
    """Two rows that contradict each other, as a scan flags them: the later one."""
    earlier = dataset.add(studio, project.id, "What does a late book cost?", "20 cents a day, at most 5 euros.")
    later = dataset.add(studio, project.id, "What does a late book cost, please?", "50 cents a day, at most 5 euros.")
    assert quality.scan_project(studio, project.id).by_kind == {"contradiction": 1}
    return earlier, later


def flag_of(studio: Studio, project: Project, row: Example) -> str:
    [flag] = dataset.flags(studio, project.id, [row.id])[row.id]
    return flag.key


@pytest.mark.parametrize(("keep", "rejected"), [("first", 0), ("second", 1), ("both", None)])
def test_a_pair_is_settled_and_the_settling_taken_back(
    studio: Studio, project: Project, clash: tuple[Example, Example], keep: str, rejected: int | None
) -> None:
    earlier, later = clash
    key = flag_of(studio, project, later)
    done = dataset.settle(studio, project.id, (later.id, earlier.id), key, keep, "Aiko")  # type: ignore[arg-type]
    statuses = [dataset.get(studio, row.id).status for row in clash]
    assert [n for n, status in enumerate(statuses) if status == "rejected"] == ([] if rejected is None else [rejected])
    assert done.keys == (key,)
    assert dataset.flags(studio, project.id, [later.id]) == {}
    with pytest.raises(InvalidInput, match="settled already"):
        dataset.settle(studio, project.id, (later.id, earlier.id), key, "both", "Aiko")
    if done.action_id:
        dataset.undo(studio, project.id, action_id=done.action_id)
    dataset.reopen_flags(studio, done.keys)
    assert flag_of(studio, project, later) == key
    assert {dataset.get(studio, row.id).status for row in clash} == {"approved"}


def test_an_overview_counts_labels_and_maps_each_row(studio: Studio, project: Project) -> None:
    for n in range(24):
        dataset.add(
            studio, project.id, f"Message {n} about topic {n % 4}?", "no" if n == 5 else ("yes", "maybe")[n % 2]
        )
    dataset.add(studio, project.id, "One more about topic 9?", "no")
    found = quality.overview(studio, project.id)
    assert found.rows == len(found.topics.points) == len(found.questions) == 25
    assert found.balance is not None
    assert dict(found.balance.labels) == {"yes": 12, "maybe": 11, "no": 2}
    assert sum(topic.size for topic in found.topics.topics) == 25
    rejected = found.topics.points[0].example_id
    dataset.set_status(studio, rejected, "rejected")
    assert rejected not in quality.overview(studio, project.id).questions


def test_an_overview_of_many_rows_takes_some_of_them(studio: Studio, project: Project) -> None:
    for n in range(9):
        dataset.add(studio, project.id, f"Question number {n}?", f"Answer {n}.")
    found = quality.overview(studio, project.id, most=4)
    assert (found.rows, len(found.topics.points)) == (9, 3)


def test_an_overview_can_be_cancelled(studio: Studio, project: Project) -> None:
    dataset.add(studio, project.id, "Is it?", "It is.")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        quality.overview(studio, project.id, cancelled=stop)


def test_what_a_rule_would_break_is_known_before_it_is_added(studio: Studio, project: Project) -> None:
    short = dataset.add(studio, project.id, "Is it?", "Yes.")
    long = dataset.add(studio, project.id, "Is it?", "Yes, it is, and that for a long time.")
    gone = dataset.add(studio, project.id, "Is it not?", "Yes, it is, and that for a long time, really.")
    dataset.set_status(studio, gone.id, "rejected")
    tried = [Rule("words", "max_words", "3"), Rule("text", "must_contain", "yes")]
    found = quality.breaking(studio, project.id, tried)
    assert (found.by_rule, found.rows, found.total) == ({"words": (long.id,), "text": ()}, 2, 2)
    hurried = quality.breaking(studio, project.id, tried, within_s=0)
    assert (hurried.by_rule["words"], hurried.rows, hurried.total) == ((), 1, 2)
    assert short.id not in found.by_rule["words"]
