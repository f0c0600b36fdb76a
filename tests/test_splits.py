from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import combinations

import pytest

from studio import corrections, dataset, projects, samples, splits
from studio.context import Studio, open_studio
from studio.detectors.near import RowText
from studio.errors import Cancelled, InvalidInput
from studio.records import Adapter, Example, Message, Project, Run, Turn, new_id
from studio.rows import RowFilter, Shares
from tests.test_store import BASE

SHARES = Shares(validation=0.2, test=0.3)
EVERY = RowFilter(statuses=("draft", "approved", "rejected", "deleted"))
TOPICS = ("opening hours", "late fees", "lost cards", "room bookings", "parking", "study desks", "loan periods", "wifi")
WORDS = (
    "library desk counter reader member children evening morning Sunday winter summer building floor entrance garden"
    " catalogue newspaper archive printer scanner locker umbrella bicycle ticket receipt deposit renewal reminder"
).split()


@pytest.fixture
def dealt(studio: Studio, project: Project) -> Project:
    splits.deal(studio, project.id, SHARES)
    return projects.get(studio, project.id)


def rows(studio: Studio, project: Project) -> list[Example]:
    return studio.store.examples.page(project.id, EVERY, "oldest", 100_000)


def question(rng: random.Random) -> str:
    return f"What about {rng.choice(TOPICS)} and the {' '.join(rng.sample(WORDS, 5))}?"


def varied(rng: random.Random, text: str) -> str:
    """Nearly the same text."""
    at = rng.randrange(len(text))
    return rng.choice(
        (
            text.upper(),
            text + "!",
            text.replace(" ", "  "),
            text[:at] + text[at + 1 :],
            text[:at] + "x" + text[at:],
            text,
        )
    )


def no_near_pair_crosses(all_rows: list[Example]) -> None:
    """By comparing every row with every other."""
    standing = [(e, RowText.of(e.messages, e.answer)) for e in all_rows if not e.aside and e.status != "deleted"]
    for (one, text), (other, compared) in combinations(standing, 2):
        assert one.split == other.split or not text.is_near(compared), (one, other)


def sides(all_rows: list[Example]) -> dict[str, str]:
    return {example.id: example.split for example in all_rows}


def fresh(studio: Studio, project: Project, side: str) -> Example:
    """A new row that came to stand on a side."""
    rng = random.Random(len(rows(studio, project)))
    while True:
        made = dataset.add(studio, project.id, question(rng), " ".join(rng.sample(WORDS, 6)))
        if made.split == side and not made.aside:
            return made


# Dealing


def test_a_preview_tells_what_a_deal_does_and_changes_nothing(studio: Studio, project: Project) -> None:
    rng = random.Random(5)
    for n in range(60):
        dataset.add(studio, project.id, question(rng), f"Answer {n}.")
    before = rows(studio, project)
    told = splits.preview(studio, project.id, SHARES)
    assert rows(studio, project) == before
    assert projects.get(studio, project.id).shares is None
    assert splits.last_deal(studio, project.id) is None
    done = splits.deal(studio, project.id, SHARES)
    assert (told.moved, told.trained_on, told.rows) == (done.moved, done.trained_on, done.rows)
    assert told.moved > 0
    assert splits.preview(studio, project.id, SHARES).moved == 0
    assert splits.preview(studio, project.id, None).moved == done.moved
    assert splits.last_deal(studio, project.id) == done.action
    undone = dataset.undo(studio, project.id)
    assert splits.last_deal(studio, project.id) == undone
    assert splits.preview(studio, project.id, SHARES).moved == done.moved


# Dealing many rows takes long


def alike(studio: Studio, project: Project, count: int, rng: random.Random) -> list[Example]:
    stem = " ".join(rng.sample(WORDS, 20))
    made = [
        Example(new_id("e"), project.id, 1, "approved", (Turn("user", varied(rng, stem)),), f"{n}.", source="import")
        for n in range(count)
    ]
    dataset.add_rows(studio, project.id, made, "imported")
    return made


@pytest.mark.parametrize("share", [0.0, 0.5, 0.7, 0.95, 1.0])
def test_a_deal_is_stopped_wherever_it_is_and_nothing_was_done(studio: Studio, project: Project, share: float) -> None:
    rng = random.Random(8)
    alike(studio, project, 150, rng)
    for _ in range(150):
        dataset.add(studio, project.id, question(rng), " ".join(rng.sample(WORDS, 6)))
    stop = threading.Event()
    seen: list[float] = []

    def progress(done: int, total: int) -> None:
        seen.append(done / total)
        if seen[-1] >= share:
            stop.set()

    before = rows(studio, project)
    with pytest.raises(Cancelled, match="No example was moved"):
        splits.deal(studio, project.id, SHARES, progress=progress, cancelled=stop)
    assert seen == sorted(seen)
    assert rows(studio, project) == before
    assert (projects.get(studio, project.id).shares, splits.last_deal(studio, project.id)) == (None, None)
    splits.deal(studio, project.id, SHARES)
    dealt = splits.deal(studio, project.id, Shares(test=0.6, seed=1))
    again = rows(studio, project)
    stop.clear()
    seen.clear()
    with pytest.raises(Cancelled):
        dataset.undo(studio, project.id, progress=progress, cancelled=stop)
    assert rows(studio, project) == again
    stop.clear()
    seen.clear()
    with pytest.raises(Cancelled):
        splits.preview(studio, project.id, Shares(test=0.5), progress, stop)
    assert splits.last_deal(studio, project.id) == dealt.action


def test_a_preview_and_a_deal_say_how_far_they_are(studio: Studio, project: Project) -> None:
    rng = random.Random(9)
    alike(studio, project, 300, rng)
    for work in (splits.preview, splits.deal):
        seen: list[int] = []
        work(studio, project.id, SHARES, progress=lambda done, total, seen=seen: seen.append(1000 * done // total))
        assert seen == sorted(seen)
        assert len(set(seen)) > 5
        assert seen[-1] == 1000


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_saved_while_others_are_dealt_and_are_dealt_with_them(
    studio: Studio, project: Project, seed: int
) -> None:
    """All through a dealing, and taking it back, another thread adds, edits, deletes and brings back rows."""
    rng = random.Random(seed)
    texts = [question(rng) for _ in range(30)]
    ids = [
        dataset.add(studio, project.id, varied(rng, rng.choice(texts)), " ".join(rng.sample(WORDS, 6))).id
        for _ in range(90)
    ]
    gone = rng.sample(ids, 20)
    for id_ in gone:
        dataset.set_status(studio, id_, "deleted")

    def change() -> None:
        def work() -> None:
            with suppress(InvalidInput):
                what = rng.randrange(6)
                if what == 0:
                    dataset.edit(studio, rng.choice(ids), prompt=varied(rng, rng.choice(texts)))
                elif what == 1:
                    dataset.set_status(studio, rng.choice(ids), "deleted")
                elif what == 2:
                    dataset.set_status(studio, rng.choice(gone), "approved")
                elif what == 3:
                    dataset.edit(studio, rng.choice(ids), note=str(rng.random()))
                else:
                    ids.append(dataset.add(studio, project.id, varied(rng, rng.choice(texts)), "So it is.").id)

        saving = threading.Thread(target=work)
        saving.start()
        saving.join(20)
        assert not saving.is_alive(), "saving waited for the dealing"

    def progress(done: int, total: int) -> None:
        if done < total and rng.random() < 0.15:
            change()

    for shares in (SHARES, Shares(test=0.4, seed=3), None, SHARES):
        dealt = splits.deal(studio, project.id, shares, progress=progress)
        found = rows(studio, project)
        no_near_pair_crosses(found)
        assert projects.get(studio, project.id).shares == shares
        assert dealt.rows == splits_of(found)
        if shares is None:
            assert {e.split for e in found} == {"train"}
            assert not any(e.aside for e in found)
    count = len(rows(studio, project))
    dataset.undo(studio, project.id, action_id=dealt.action.id, progress=progress)
    found = rows(studio, project)
    assert {e.split for e in found} == {"train"}, "taken back: all are for training again"
    assert len(found) >= count
    dataset.undo(studio, project.id, action_id=dataset.history(studio, project.id, 1)[0].id, progress=progress)
    no_near_pair_crosses(rows(studio, project))
    assert projects.get(studio, project.id).shares == SHARES
    # Whoever saves next is compared with all of them.
    for text in texts:
        dataset.add(studio, project.id, text, "Again.")
    no_near_pair_crosses(rows(studio, project))


def splits_of(found: list[Example]) -> dict[str, int]:
    return dict(Counter("aside" if e.aside else e.split for e in found if e.status != "deleted"))


def test_going_back_to_a_moment_while_rows_were_dealt(studio: Studio, project: Project) -> None:
    """The history is in the order in which things became true, not in that in which they were begun."""
    first = dataset.add(studio, project.id, "Where is the printer?", "Upstairs.")
    done: list[str] = []

    def progress(at: int, total: int) -> None:
        if not done:
            saving = threading.Thread(target=lambda: done.append(dataset.edit(studio, first.id, answer="Here.").id))
            saving.start()
            saving.join(20)

    splits.deal(studio, project.id, Shares(test=0.9), progress=progress)
    dealt, edited = dataset.history(studio, project.id, 2)
    assert (dealt.kind, edited.kind) == ("split", "edited")
    dataset.restore_all(studio, project.id, edited.id)
    assert dataset.get(studio, first.id).answer == "Here."


def test_somebody_who_deals_meanwhile_comes_first(studio: Studio, project: Project) -> None:
    rng = random.Random(10)
    for _ in range(40):
        dataset.add(studio, project.id, question(rng), " ".join(rng.sample(WORDS, 6)))
    others: list[str] = []

    def progress(done: int, total: int) -> None:
        if not others and done > total // 2:
            dealing = threading.Thread(
                target=lambda: others.append(splits.deal(studio, project.id, Shares(test=0.5)).action.id)
            )
            dealing.start()
            dealing.join(20)

    mine = splits.deal(studio, project.id, SHARES, progress=progress)
    assert [a.id for a in dataset.history(studio, project.id, 2)] == [mine.action.id, others[0]]
    assert projects.get(studio, project.id).shares == SHARES
    dataset.undo(studio, project.id)
    assert projects.get(studio, project.id).shares == Shares(test=0.5)


# Why shares come out uneven


def test_a_preview_says_what_makes_shares_uneven(studio: Studio, project: Project) -> None:
    rng = random.Random(12)
    for _ in range(150):
        dataset.add(studio, project.id, f"{question(rng)} {rng.random():.0%}", " ".join(rng.sample(WORDS, 6)))
    assert all(not u.alike and not u.grouped for u in splits.preview(studio, project.id, SHARES).uneven)
    alike(studio, project, 60, rng)
    seed = next(n for n in range(50) if splits.preview(studio, project.id, Shares(test=0.1, seed=n)).rows["test"] > 50)
    (told,) = splits.preview(studio, project.id, Shares(test=0.1, seed=seed)).uneven
    assert (told.side, told.asked, told.alike, told.grouped, told.pinned) == ("test", 0.1, (60,), (), 0)
    assert told.got > 0.25
    assert splits.reason(told) == f"Asked 10% test, got {told.got:.0%}: 60 near-identical rows stay together."
    held = [Example(new_id("e"), project.id, 1, "approved", (Turn("user", question(rng)),), "Yes.") for _ in range(31)]
    held = [replace(e, split="test", source="import") for e in held]
    dataset.add_rows(studio, project.id, held, "imported")
    (told, *_) = splits.deal(studio, project.id, Shares(test=0.1, seed=seed)).uneven
    assert told.pinned == 31
    assert "31 rows came with this side" in splits.reason(told)


def test_few_groups_come_out_uneven_by_chance(studio: Studio, project: Project) -> None:
    for n, word in enumerate(WORDS[:7]):
        dataset.add(studio, project.id, f"Where is the {word}?", f"{n}.")
    told = next(u for n in range(50) for u in splits.preview(studio, project.id, Shares(test=0.1, seed=n)).uneven)
    assert "by chance: 7 groups were dealt" in splits.reason(told)
    assert splits.preview(studio, project.id, None).uneven == ()


def test_without_shares_every_row_is_for_training(studio: Studio, project: Project) -> None:
    for n in range(5):
        dataset.add(studio, project.id, f"Is it open on day {n}?", "Yes.")
    told = splits.summary(studio, project.id)
    assert (told.rows, told.aside) == ({"train": 5, "validation": 0, "test": 0}, 0)
    assert told.rule.startswith("All rows are for training")


def test_a_deal_gives_each_side_its_share_and_can_be_undone(studio: Studio, project: Project) -> None:
    rng = random.Random(1)
    for _ in range(300):
        dataset.add(studio, project.id, question(rng), " ".join(rng.sample(WORDS, 6)))
    dealt = splits.deal(studio, project.id, SHARES, author="ann")
    assert 60 <= dealt.rows["test"] <= 120
    assert 35 <= dealt.rows["validation"] <= 85
    assert dealt.moved == dealt.action.rows == dealt.rows["test"] + dealt.rows["validation"]
    assert dealt.trained_on == 0
    assert (dealt.action.kind, dealt.action.author) == ("split", "ann")
    assert projects.get(studio, project.id).shares == SHARES
    no_near_pair_crosses(rows(studio, project))
    before = sides(rows(studio, project))
    undone = dataset.undo(studio, project.id)
    assert set(sides(rows(studio, project)).values()) == {"train"}
    assert projects.get(studio, project.id).shares is None
    dataset.undo(studio, project.id, action_id=undone.id)
    assert sides(rows(studio, project)) == before
    assert projects.get(studio, project.id).shares == SHARES


def test_larger_shares_keep_what_was_held_back(studio: Studio, project: Project) -> None:
    rng = random.Random(2)
    for _ in range(60):
        dataset.add(studio, project.id, question(rng), " ".join(rng.sample(WORDS, 6)))
    splits.deal(studio, project.id, Shares(test=0.1))
    before = {e.id for e in rows(studio, project) if e.split == "test"}
    splits.deal(studio, project.id, Shares(test=0.4))
    after = {e.id for e in rows(studio, project) if e.split == "test"}
    assert before < after
    first = dataset.history(studio, project.id)[1]
    with pytest.raises(InvalidInput, match="dealt again since"):
        dataset.undo(studio, project.id, action_id=first.id)


def test_the_same_rows_are_dealt_alike_in_every_project(studio: Studio, project: Project) -> None:
    found = []
    for name in ("One", "Two"):
        made = projects.create(studio, name)
        rng = random.Random(3)
        for _ in range(30):
            dataset.add(studio, made.id, question(rng), " ".join(rng.sample(WORDS, 6)))
        splits.deal(studio, made.id, SHARES)
        found.append([e.split for e in rows(studio, made)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 3


def test_rows_moved_away_from_an_adapter_are_counted(studio: Studio, project: Project, trained: str) -> None:
    dealt = splits.deal(studio, project.id, Shares(test=0.9))
    assert dealt.trained_on == dealt.moved > 0


@pytest.fixture
def trained(studio: Studio, project: Project) -> str:
    """An adapter that learned ten rows of the project."""
    rng = random.Random(4)
    made = [dataset.add(studio, project.id, question(rng), " ".join(rng.sample(WORDS, 6))) for _ in range(10)]
    studio.store.runs.add(Run("r_1", project.id, 1, "x", 10, {}), made)
    studio.store.adapters.add(Adapter("a_1", project.id, "r_1", "v1", BASE, "0", "lora"))
    return "a_1"


def test_rows_that_came_with_a_side_keep_it(studio: Studio) -> None:
    project = samples.try_sample(studio, "support_en")
    given = {e.id for e in rows(studio, project) if e.split == "test"}
    assert len(given) == 16
    splits.deal(studio, project.id, Shares(validation=0.2))
    after = rows(studio, project)
    assert given <= {e.id for e in after if e.split == "test"}
    assert any(e.split == "validation" for e in after)
    no_near_pair_crosses(after)
    splits.deal(studio, project.id, None)
    assert {e.id for e in rows(studio, project) if e.split == "test"} == given


# Groups


def test_near_rows_join_the_side_of_the_one_that_was_there(studio: Studio, dealt: Project) -> None:
    rng = random.Random(5)
    for side in ("train", "validation", "test"):
        first = fresh(studio, dealt, side)
        for _ in range(3):
            joined = dataset.add(studio, dealt.id, varied(rng, first.question), " ".join(rng.sample(WORDS, 6)))
            assert (joined.split, joined.aside) == (side, False)
    no_near_pair_crosses(rows(studio, dealt))


def test_an_augmented_row_stands_with_its_source(studio: Studio, dealt: Project) -> None:
    for side in ("train", "validation", "test"):
        source = fresh(studio, dealt, side)
        made = [
            Example(
                new_id("e"), dealt.id, 1, "draft", (Turn("user", f"Another wording, {n} {side}"),), "So it is.",
                source="augmented", parent_id=source.id, group=source.id,
            )
            for n in range(3)
        ]  # fmt: skip
        dataset.add_rows(studio, dealt.id, made, "augmented")
        assert {studio.store.examples.get(e.id).split for e in made} == {side}  # type: ignore[union-attr]
    before = {e.parent_id: e.split for e in rows(studio, dealt) if e.parent_id}
    splits.deal(studio, dealt.id, Shares(test=0.5, seed=7))
    after = rows(studio, dealt)
    by_id = {e.id: e.split for e in after}
    assert all(by_id[e.parent_id] == e.split for e in after if e.parent_id)
    assert before


def test_rows_of_one_source_stand_together(studio: Studio, dealt: Project) -> None:
    rng = random.Random(6)

    def imported(group: str) -> Example:
        turns = (Turn("user", question(rng)),)
        return Example(new_id("e"), dealt.id, 1, "approved", turns, "A", source="import", group=group)

    for _ in range(2):
        batch = [imported(f"book {n % 8}") for n in range(40)]
        dataset.add_rows(studio, dealt.id, batch, "imported")
    by_group: dict[str, set[str]] = {}
    for example in rows(studio, dealt):
        by_group.setdefault(example.group, set()).add(example.split)
    assert all(len(found) == 1 for found in by_group.values())
    assert len({next(iter(found)) for found in by_group.values()}) > 1


def test_several_turns_of_a_conversation_stand_together_and_single_questions_do_not(
    studio: Studio, dealt: Project
) -> None:
    rng = random.Random(7)

    def chat(turns: int, group: str) -> Example:
        said = tuple(Turn("assistant" if n % 2 else "user", question(rng)) for n in range(2 * turns - 1))
        example = Example(new_id("e"), dealt.id, 1, "approved", said, "Yes.", group=group)
        dataset.add_rows(studio, dealt.id, [example], "created")
        return dataset.get(studio, example.id)

    for n in range(12):
        first = chat(1, f"c_{n}")
        assert {chat(2, f"c_{n}").split, chat(3, f"c_{n}").split} == {first.split}
    assert len({chat(1, "c_all").split for _ in range(30)}) == 3


# Leaks


def test_an_edit_that_makes_two_rows_the_same_sets_one_aside(studio: Studio, dealt: Project) -> None:
    train, test = fresh(studio, dealt, "train"), fresh(studio, dealt, "test")
    edited = dataset.edit(studio, test.id, prompt=train.question + "!")
    assert (edited.split, edited.aside) == ("test", True)
    (flag,) = dataset.flags(studio, dealt.id, [test.id])[test.id]
    assert (flag.kind, flag.other_id) == ("leak", train.id)
    assert splits.summary(studio, dealt.id).aside == 1
    assert test.id not in {e.id for e in studio.store.examples.find(dealt.id, split="test", status="approved")}
    # It comes back when the other goes, and leaves again when that returns.
    dataset.set_status(studio, train.id, "deleted")
    back = dataset.get(studio, test.id)
    assert (back.split, back.aside, dataset.flags(studio, dealt.id, [test.id])) == ("test", False, {})
    dataset.undo(studio, dealt.id)
    assert dataset.get(studio, train.id).aside
    assert not dataset.get(studio, test.id).aside
    assert dataset.edit(studio, train.id, prompt="Something else, where is the printer?").aside is False
    assert sides(rows(studio, dealt))[train.id] == "train"


def test_a_leak_is_settled_by_joining_the_other_side(studio: Studio, dealt: Project) -> None:
    train, test = fresh(studio, dealt, "train"), fresh(studio, dealt, "test")
    dataset.edit(studio, test.id, prompt=train.question)
    splits.join(studio, test.id)
    joined = dataset.get(studio, test.id)
    assert (joined.split, joined.aside, dataset.flags(studio, dealt.id, [test.id])) == ("train", False, {})
    undone = dataset.undo(studio, dealt.id)
    assert (dataset.get(studio, test.id).split, dataset.get(studio, test.id).aside) == ("test", True)
    dataset.undo(studio, dealt.id, action_id=undone.id)
    assert (dataset.get(studio, test.id).split, dataset.get(studio, test.id).aside) == ("train", False)
    with pytest.raises(InvalidInput, match="set aside"):
        splits.join(studio, train.id)


def made_from(studio: Studio, source: Example, texts: Sequence[str]) -> list[Example]:
    """Rows made from another, saved as augmentation saves them."""
    made = [
        Example(
            new_id("e"), source.project_id, 1, "draft", (Turn("user", text),), "So it is.",
            source="augmented", parent_id=source.id, group=source.id,
        )
        for text in texts
    ]  # fmt: skip
    dataset.add_rows(studio, source.project_id, made, "augmented")
    return made


def test_what_was_made_from_a_row_joins_with_it(studio: Studio, dealt: Project) -> None:
    train, test = fresh(studio, dealt, "train"), fresh(studio, dealt, "test")
    made = made_from(studio, test, ["Another wording of it?", "Yet another one, quite different."])
    (later,) = made_from(studio, made[0], ["Something that was made from the other wording."])
    family = [test, *made, later]
    dataset.edit(studio, test.id, prompt=train.question)
    action = splits.join(studio, test.id)
    assert (action.rows, {dataset.get(studio, e.id).split for e in family}) == (4, {"train"})
    assert dataset.get(studio, later.id).version == 2
    dataset.undo(studio, dealt.id)
    assert {dataset.get(studio, e.id).split for e in family} == {"test"}
    no_near_pair_crosses(rows(studio, dealt))


def test_a_row_that_has_to_stand_with_others_joins_no_other_side(studio: Studio, dealt: Project) -> None:
    train, test = fresh(studio, dealt, "train"), fresh(studio, dealt, "test")
    (made,) = made_from(studio, test, ["Another wording of it?"])
    said = (Turn("user", "Is it open?"), Turn("assistant", "Yes."), Turn("user", test.question))
    talks = [
        Example(new_id("e"), dealt.id, 1, "approved", said, "It is.", source="chat", group=group)
        for group in ("c_1", "c_1")
    ]
    dataset.add_rows(studio, dealt.id, talks[:1], "created")
    dataset.add_rows(studio, dealt.id, talks[1:], "created")
    talk = dataset.get(studio, talks[1].id)
    for row in (made, talk):
        assert not dataset.get(studio, row.id).aside
    other = train if talk.split == "test" else test
    dataset.edit(studio, made.id, prompt=train.question)
    dataset.edit(studio, talk.id, messages=(Turn("user", other.question),))
    for row in (made, talk):
        assert dataset.get(studio, row.id).aside
        with pytest.raises(InvalidInput, match="stays with the others"):
            splits.join(studio, row.id)


def test_a_transaction_that_fails_leaves_no_trace_in_the_index(studio: Studio, dealt: Project) -> None:
    test = fresh(studio, dealt, "test")

    def fail() -> None:
        with studio.store.transaction():
            dataset.edit(studio, test.id, prompt="Where can I read Japanese newspapers in the evening?")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    again = dataset.add(studio, dealt.id, test.question.upper(), "Another answer.")
    assert again.split == "test"


def test_the_index_is_made_anew_when_the_studio_is_opened(studio: Studio, dealt: Project) -> None:
    made = [fresh(studio, dealt, side) for side in ("train", "validation", "test")]
    studio.close()
    with closing(open_studio(studio.settings, "tests")) as opened:
        for example in made:
            assert dataset.add(opened, dealt.id, example.question.lower(), "Another answer.").split == example.split


def test_a_correction_is_dealt_too(studio: Studio, dealt: Project, asked: Callable[..., Message]) -> None:
    test = fresh(studio, dealt, "test")
    corrections.save(studio, asked(test.question.upper()).id, "corrected", "Another answer.")
    assert rows(studio, dealt)[-1].split == "test"


# Proof


STEPS = int(os.environ.get("STUDIO_TEST_SPLIT_STEPS", "1000"))


def test_no_row_changes_sides_and_no_near_pair_crosses(studio: Studio, project: Project) -> None:
    """Random adds, edits, deletes, undos and restores over rows full of near-duplicates."""
    rng = random.Random(11)
    splits.deal(studio, project.id, SHARES)
    stands: dict[str, str] = {}
    ids: list[str] = []
    texts = [question(rng) for _ in range(40)]
    was_aside = 0

    def add() -> None:
        made = dataset.add(studio, project.id, varied(rng, rng.choice(texts)), " ".join(rng.sample(WORDS, 6)))
        ids.append(made.id)

    def add_many() -> None:
        made = [
            Example(
                new_id("e"), project.id, 1, "draft", (Turn("user", varied(rng, rng.choice(texts))),), rng.choice(WORDS),
                source="import", group=rng.choice(("", "", "", f"book {rng.randrange(20)}")),
            )
            for _ in range(rng.randrange(1, 5))
        ]  # fmt: skip
        dataset.add_rows(studio, project.id, made, "imported")
        ids.extend(e.id for e in made)

    def edit() -> None:
        dataset.edit(studio, rng.choice(ids), prompt=varied(rng, rng.choice(texts)))

    def reanswer() -> None:
        dataset.edit(studio, rng.choice(ids), answer=" ".join(rng.sample(WORDS, 3)))

    def delete() -> None:
        dataset.set_status(studio, rng.choice(ids), "deleted")

    def revive() -> None:
        dataset.set_status(studio, rng.choice(ids), "approved")

    def bulk() -> None:
        some = tuple(rng.sample(ids, min(len(ids), 8)))
        dataset.set_statuses(studio, project.id, RowFilter(ids=some), rng.choice(("deleted", "approved")))

    def undo() -> None:
        past = dataset.history(studio, project.id, 30)
        action = rng.choice([a for a in past if a.kind != "split"])
        dataset.undo(studio, project.id, action_id=rng.choice((action.id, None)) if ids else None)

    def restore() -> None:
        example = dataset.get(studio, rng.choice(ids))
        dataset.restore(studio, example.id, rng.randrange(1, max(2, example.version)))

    def restore_all() -> None:
        past = [a for a in dataset.history(studio, project.id, 20) if a.kind != "split"]
        dataset.restore_all(studio, project.id, rng.choice(past).id)

    steps = [add] * 6 + [add_many] * 2 + [edit] * 8 + [reanswer, delete, delete, revive, bulk, undo, undo, restore]
    for step in range(STEPS):
        work = add if len(ids) < 5 else restore_all if step % 97 == 96 else rng.choice(steps)
        with suppress(InvalidInput):  # nothing to undo, or nothing would change
            work()
        if projects.get(studio, project.id).shares is None:
            raise AssertionError("the deal was undone")
        if step % 10 == 0 or step > STEPS - 20:
            now = rows(studio, project)
            for example in now:
                assert stands.setdefault(example.id, example.split) == example.split
            was_aside = max(was_aside, sum(e.aside for e in now))
        if step % max(50, STEPS // 40) == 0 or step == STEPS - 1:
            no_near_pair_crosses(now)
    assert was_aside > 0
    assert len(set(stands.values())) == 3
