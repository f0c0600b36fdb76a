"""Scans, what every save is looked at for, rules, settling what was found, and the overview of a project."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from studio import beside, dataset, projects, quality, splits
from studio.context import Studio
from studio.detectors.scan import scan
from studio.errors import Cancelled, InvalidInput
from studio.records import Example, Project, Turn, new_id
from studio.rows import FLAG_KINDS, Flag, RowFilter, Rule, Shares
from tests.conftest import until

MAIL = "Write to maria.lopez@clinica-sol.es, please."


def kinds(studio: Studio, project: Project, *example_ids: str) -> list[list[str]]:
    """The kinds of each row's open flags."""
    found = dataset.flags(studio, project.id, example_ids)
    return [[flag.kind for flag in found.get(id_, [])] for id_ in example_ids]


def settled(studio: Studio) -> None:
    """Wait until what was put off is done."""
    done = threading.Event()
    studio.later(done.set)
    assert done.wait(30)


@contextmanager
def busy(studio: Studio) -> Iterator[None]:
    """Nothing that was put off is done within the block."""
    go = threading.Event()
    studio.later(lambda: go.wait(30))
    yield
    go.set()
    settled(studio)


def rows(project: Project, texts: list[tuple[str, str]]) -> list[Example]:
    return [Example(new_id("e"), project.id, 1, "draft", (Turn("user", q),), a) for q, a in texts]


# The scan


def test_undoing_a_decision_on_a_contradiction_opens_it_again(studio: Studio, project: Project) -> None:
    made = rows(project, [("Is it open on Sunday?", "No, it is closed."), ("Is it open on Sunday?", "Yes, from nine.")])
    dataset.add_rows(studio, project.id, made, "imported")
    settled(studio)
    quality.scan_project(studio, project.id)
    pair = (made[0].id, made[1].id)
    before = kinds(studio, project, *pair)
    assert ["contradiction"] in before
    [key] = {
        f.key for some in dataset.flags(studio, project.id, pair).values() for f in some if f.kind == "contradiction"
    }
    done = dataset.settle(studio, project.id, pair, key, "first", "Ada")
    assert kinds(studio, project, *pair) == [[], []]
    dataset.undo(studio, project.id, action_id=done.action_id)
    assert dataset.get(studio, pair[1]).status == "draft"
    assert kinds(studio, project, *pair) == before


def test_a_scan_puts_flags_on_drafts_and_approved_rows(studio: Studio, project: Project) -> None:
    made = rows(
        project,
        [
            ("Where can I park my car?", "Behind the house."),
            ("WHERE can I  park my car?", "Behind the house."),
            ("Whom can I write to about a bill?", MAIL),
            ("Is the library open on Sunday?", "No, it is closed."),
            ("Is the library open on Sundays?", "Yes, from nine to five."),
            ("Whom shall I ask about a late fee?", MAIL),
        ],
    )
    dataset.add_rows(studio, project.id, made, "imported")
    ids = [example.id for example in made]
    dataset.set_status(studio, ids[2], "approved")
    dataset.set_status(studio, ids[5], "rejected")
    settled(studio)
    seen: list[tuple[float, str]] = []
    found = quality.scan_project(studio, project.id, lambda *step: seen.append(step))
    assert found.rows == 5
    assert found.by_kind == studio.store.flags.counts(project.id)
    assert {"duplicate", "contradiction", "pii"} <= set(found.by_kind) <= set(FLAG_KINDS)
    [duplicate] = [f for f in dataset.flags(studio, project.id, ids[1:2])[ids[1]] if f.kind == "duplicate"]
    assert duplicate.other_id == ids[0]
    [mail] = [f for f in dataset.flags(studio, project.id, ids[2:3])[ids[2]] if f.kind == "pii"]
    assert mail.span is not None
    assert MAIL[slice(*mail.span)] == "maria.lopez@clinica-sol.es"
    assert "contradiction" in kinds(studio, project, ids[3])[0] + kinds(studio, project, ids[4])[0]
    assert [share for share, _ in seen] == sorted(share for share, _ in seen)
    assert seen[-1] == (1.0, "done")
    assert studio.store.examples.count(project.id) == 6, "nothing is dropped"


def test_flags_follow_the_text(studio: Studio, project: Project) -> None:
    made = dataset.add(studio, project.id, "Whom can I write to?", MAIL)
    quality.scan_project(studio, project.id)
    assert kinds(studio, project, made.id) == [["pii"]]
    dataset.set_status(studio, made.id, "draft")
    assert kinds(studio, project, made.id) == [["pii"]], "another status is not another text"
    dataset.edit(studio, made.id, answer="Write to the desk, please.")
    assert kinds(studio, project, made.id) == [[]]
    settled(studio)
    assert kinds(studio, project, made.id) == [[]]


def test_a_second_scan_takes_the_place_of_the_first_and_what_is_fine_stays_fine(
    studio: Studio, project: Project
) -> None:
    one = dataset.add(studio, project.id, "Whom can I write to?", MAIL)
    other = dataset.add(studio, project.id, "Who answers letters about fees?", MAIL.replace("Write", "Send them"))
    quality.scan_project(studio, project.id)
    [flag] = dataset.flags(studio, project.id, [one.id])[one.id]
    dataset.dismiss_flag(studio, flag.key, "ann")
    assert kinds(studio, project, one.id, other.id) == [[], ["pii"]]
    assert quality.scan_project(studio, project.id).by_kind["pii"] == 1
    assert quality.scan_project(studio, project.id).flags == 2, "two are found, one of them is fine"
    assert kinds(studio, project, one.id, other.id) == [[], ["pii"]]


def test_a_leak_is_no_business_of_the_scan(studio: Studio, project: Project) -> None:
    made = dataset.add(studio, project.id, "When do you open?", "At nine.")
    leak = Flag(made.id, "leak", "Nearly the same as a row for test.")
    studio.store.flags.replace(project.id, [leak], kinds=("leak",), example_ids=[made.id])
    quality.scan_project(studio, project.id)
    assert kinds(studio, project, made.id) == [["leak"]]


def test_a_scan_that_is_stopped_leaves_the_flags_as_they_were(studio: Studio, project: Project) -> None:
    first = dataset.add(studio, project.id, "Whom can I write to?", MAIL)
    quality.scan_project(studio, project.id)
    more = [(f"What is number {n} of {n * 7919:b}?", MAIL) for n in range(300)]
    later = rows(project, more)
    dataset.add_rows(studio, project.id, later, "imported")
    ids = [first.id, *(e.id for e in later)]
    before = kinds(studio, project, *ids)
    stop = threading.Event()
    with pytest.raises(Cancelled):
        quality.scan_project(studio, project.id, lambda share, what: stop.set() if share > 0.3 else None, stop)
    assert stop.is_set()
    assert kinds(studio, project, *ids) == before
    assert quality.scan_project(studio, project.id).by_kind["pii"] == 301


def test_too_many_rows_are_refused(studio: Studio, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "SCANNED", 1)
    dataset.add(studio, project.id, "When?", "At nine.")
    assert quality.scan_project(studio, project.id).rows == 1
    dataset.add(studio, project.id, "Where?", "Here.")
    with pytest.raises(InvalidInput, match="no more than 1 rows; there are 2"):
        quality.scan_project(studio, project.id)


def test_a_row_is_too_long_by_the_models_own_count(tiny_studio: Studio) -> None:
    project = projects.create(tiny_studio, "Long")
    short = dataset.add(tiny_studio, project.id, "When do you open?", "At nine.")
    long = dataset.add(tiny_studio, project.id, "What is in the house?", "Rooms and desks, " * 60 + "and a door.")
    quality.scan_project(tiny_studio, project.id)
    found = kinds(tiny_studio, project, short.id, long.id)
    assert ("too-long" in found[0], "too-long" in found[1]) == (False, True)


# On every save


def test_a_save_is_looked_at_a_moment_later(studio: Studio, project: Project) -> None:
    with busy(studio):
        made = dataset.add(studio, project.id, "Whom can I write to?", MAIL)
        assert kinds(studio, project, made.id) == [[]], "a save doesn't wait for it"
    assert kinds(studio, project, made.id) == [["pii"]]
    dataset.edit(studio, made.id, answer="The answer is <|im_end|> here.")
    settled(studio)
    assert kinds(studio, project, made.id) == [["control-token"]]


def test_a_save_looks_at_its_rows_alone_and_leaves_what_only_a_scan_finds(studio: Studio, project: Project) -> None:
    one = dataset.add(studio, project.id, "Where can I park my car?", "Behind the house.")
    other = dataset.add(studio, project.id, "Where can I park my car?", "Behind the house.")
    quality.scan_project(studio, project.id)
    before = kinds(studio, project, one.id, other.id)
    assert "duplicate" in before[0] + before[1]
    dataset.edit(studio, one.id, note="asked often")
    dataset.add(studio, project.id, "Whom can I write to?", MAIL)
    settled(studio)
    assert kinds(studio, project, one.id, other.id) == before


ASKED = "What does a late book cost in the town library, and who pays for it?"


def told(studio: Studio, project: Project, example_id: str) -> list[tuple[str, str]]:
    """What was noticed of a row: the kind, and the other row's id."""
    notice = quality.notices(studio, project.id, [example_id]).get(example_id)
    return [(found.kind, found.other.id) for found in notice.found] if notice else []


def test_a_saved_row_is_held_against_the_others(studio: Studio, project: Project) -> None:
    first = dataset.add(studio, project.id, ASKED, "20 cents a day.")
    dataset.add(studio, project.id, "Where can I park my bicycle on a rainy day?", "Behind the house.")
    settled(studio)
    assert told(studio, project, first.id) == []
    against = dataset.add(studio, project.id, ASKED.upper(), "50 cents a day.")
    same = dataset.add(studio, project.id, ASKED.replace(" ", "  "), "20 cents a day.")
    typo = dataset.add(studio, project.id, ASKED.replace("library", "libary"), "20 cents a day!")
    quiet = dataset.add(studio, project.id, "Is there a lift for wheelchairs in the new building?", "Yes, at the back.")
    settled(studio)
    assert told(studio, project, against.id)[0] == ("contradiction", first.id)
    assert ("duplicate", first.id) in told(studio, project, same.id)
    assert ("contradiction", against.id) in told(studio, project, same.id)
    assert {kind for kind, _ in told(studio, project, typo.id)} >= {"contradiction", "near-duplicate"}
    assert (told(studio, project, quiet.id), kinds(studio, project, quiet.id)) == ([], [[]])
    assert kinds(studio, project, first.id) == [[]], "the later one carries the flag"
    # What a scan finds, and the keys it finds it under, are the same.
    before = {id_: {f.key for f in flags} for id_, flags in dataset.flags(studio, project.id, [same.id]).items()}
    quality.scan_project(studio, project.id)
    after = {id_: {f.key for f in flags} for id_, flags in dataset.flags(studio, project.id, [same.id]).items()}
    assert before[same.id] & after[same.id]


def test_an_edit_of_an_early_row_flags_the_later_one(studio: Studio, project: Project) -> None:
    early = dataset.add(studio, project.id, "Is it open?", "Yes.")
    late = dataset.add(studio, project.id, ASKED, "20 cents a day.")
    settled(studio)
    dataset.edit(studio, early.id, prompt=ASKED, answer="50 cents a day.")
    settled(studio)
    assert kinds(studio, project, early.id, late.id) == [[], ["contradiction"]]
    assert told(studio, project, early.id) == [("contradiction", late.id)]
    # Settled, nothing is said of it any more; and neither is it said again at the next save.
    [flag] = dataset.flags(studio, project.id, [late.id])[late.id]
    dataset.settle(studio, project.id, (late.id, early.id), flag.key, "both", "Ada")
    assert told(studio, project, early.id) == []
    dataset.edit(studio, early.id, note="Asked often.")
    settled(studio)
    assert told(studio, project, early.id) == []
    assert kinds(studio, project, late.id) == [[]]


def test_a_question_of_the_test_set_is_told(studio: Studio, project: Project) -> None:
    [kept] = rows(project, [(ASKED, "20 cents a day.")])
    kept = replace(kept, split="test", status="approved")
    dataset.add_rows(studio, project.id, [kept], "imported")
    leaking = dataset.add(studio, project.id, ASKED + "!", "Twenty cents, I think, but ask at the desk.")
    settled(studio)
    assert ("held-out", kept.id) in told(studio, project, leaking.id)
    assert "leak" in kinds(studio, project, leaking.id)[0]
    splits.deal(studio, project.id, Shares(test=0.2))
    assert "leak" not in kinds(studio, project, leaking.id)[0], "it went to the other's side"
    joined = dataset.add(studio, project.id, ASKED.lower(), "Twenty cents or so.")
    settled(studio)
    assert joined.split == "test"
    assert ("held-out", kept.id) in [(k, o) for k, o in told(studio, project, joined.id) if o == kept.id]
    assert "leak" not in kinds(studio, project, joined.id)[0]


def test_saves_in_a_row_are_looked_at_together_once_it_is_quiet(studio: Studio, project: Project) -> None:
    commits = []
    for n in range(6):
        dataset.add(studio, project.id, f"Whom can I ask for {n * 7919:b}?", MAIL if n == 3 else "The clerk.")
        commits.append(studio.store.flags.counts(project.id))
    assert commits == [{}] * 6, "a save in a row of them waits for nothing"
    settled(studio)
    assert studio.store.flags.counts(project.id) == {"pii": 1}


def test_a_scan_is_not_undone_by_the_look_at_a_save_before_it(studio: Studio, project: Project) -> None:
    asked = [dataset.add(studio, project.id, f"Whom can I ask for {n * 7919:b}?", "The clerk.") for n in range(2)]
    quality.scan_project(studio, project.id)
    late = dataset.edit(studio, asked[1].id, answer="The clerk, or the door.")
    assert studio.unchecked.take() == {project.id: {late.id: 2}}


def test_nothing_is_written_where_nothing_was_found(studio: Studio, project: Project) -> None:
    made = dataset.add(studio, project.id, ASKED, "20 cents a day.")
    settled(studio)
    before = studio.store._database.commits
    quality._check(studio, project.id, {made.id: 1})
    assert studio.store._database.commits == before


def test_a_project_too_large_to_compare_is_looked_at_row_by_row(
    studio: Studio, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "COMPARED", 1)
    dataset.add(studio, project.id, ASKED, "20 cents a day.")
    made = dataset.add(studio, project.id, ASKED, MAIL)
    settled(studio)
    assert kinds(studio, project, made.id) == [["pii"]]
    assert not studio.near


def test_many_rows_at_once_wait_for_a_scan(studio: Studio, project: Project) -> None:
    made = rows(project, [(f"Whom can I ask for {n * 7919:b}?", MAIL) for n in range(quality.AT_ONCE + 1)])
    dataset.add_rows(studio, project.id, made, "imported")
    settled(studio)
    assert studio.store.flags.counts(project.id) == {}
    dataset.add_rows(studio, project.id, rows(project, [("Who?", MAIL)] * 2), "imported")
    settled(studio)
    assert studio.store.flags.counts(project.id) == {"pii": 2, "duplicate": 1}


# Rules


def test_a_rule_looks_at_every_row_when_it_comes_and_when_it_goes(studio: Studio, project: Project) -> None:
    one = dataset.add(studio, project.id, "When?", "At nine.")
    other = dataset.add(studio, project.id, "When do you close?", "At 5.")
    rule = quality.add_rule(studio, project.id, "must_not_contain", " nine ", " Write it as a number. ")
    assert (rule.value, rule.message, rule.blocks) == ("nine", "Write it as a number.", False)
    assert projects.get(studio, project.id).rules == (rule,)
    until(lambda: kinds(studio, project, one.id, other.id) == [["rule"], []])
    [flag] = dataset.flags(studio, project.id, [one.id])[one.id]
    assert "Write it as a number." in flag.reason
    assert quality.recheck_rules(studio, project.id) == 1
    dataset.edit(studio, one.id, answer="At 9.")
    settled(studio)
    assert kinds(studio, project, one.id) == [[]]
    dataset.edit(studio, other.id, answer="At nine, too.")
    settled(studio)
    assert kinds(studio, project, other.id) == [["rule"]]
    quality.remove_rule(studio, project.id, rule.id)
    until(lambda: kinds(studio, project, other.id) == [[]])
    with pytest.raises(InvalidInput, match="no such rule"):
        quality.remove_rule(studio, project.id, rule.id)
    with pytest.raises(InvalidInput):
        quality.add_rule(studio, project.id, "max_words", "many")
    assert projects.get(studio, project.id).rules == ()


def test_a_blocking_rule_keeps_rows_from_being_approved(studio: Studio, project: Project) -> None:
    before = dataset.add(studio, project.id, "When?", "At nine.")
    quality.add_rule(studio, project.id, "max_words", "2", "At most two words.", blocks=True)
    assert quality.blocked(projects.get(studio, project.id), "At nine.") == ""
    assert quality.blocked(projects.get(studio, project.id), "At nine sharp.") == "At most two words."
    with pytest.raises(InvalidInput, match="At most two words"):
        dataset.add(studio, project.id, "Where?", "Behind the house.")
    with pytest.raises(InvalidInput, match="At most two words"):
        dataset.edit(studio, before.id, answer="At nine sharp.")
    long, short = rows(project, [("Where?", "Behind the house."), ("Who?", "Me.")])
    dataset.add_rows(studio, project.id, [long, short], "imported")
    with pytest.raises(InvalidInput, match="At most two words"):
        dataset.set_status(studio, long.id, "approved")
    with pytest.raises(InvalidInput, match="At most two words"):
        dataset.edit(studio, long.id, prompt="Where is it?", status="approved")
    action = dataset.set_statuses(studio, project.id, RowFilter(statuses=("draft",)), "approved")
    assert (action.rows, action.detail) == (1, "1 break a rule and stay as they are")
    assert [dataset.get(studio, e.id).status for e in (long, short)] == ["draft", "approved"]
    with pytest.raises(InvalidInput, match="every one"):
        dataset.set_statuses(studio, project.id, RowFilter(ids=(long.id,)), "approved")
    dataset.set_status(studio, long.id, "rejected")  # only approval is blocked
    scanned = quality.scan_project(studio, project.id)
    assert (scanned.rows, scanned.by_kind.get("rule", 0)) == (2, 0)


def test_a_rule_that_blocks_nothing_is_only_a_flag(studio: Studio, project: Project) -> None:
    quality.add_rule(studio, project.id, "must_contain", "please")
    made = dataset.add(studio, project.id, "When?", "At nine.")
    settled(studio)
    assert (made.status, kinds(studio, project, made.id)) == ("approved", [["rule"]])
    assert "rule" not in {flag.kind for flag in scan([made], language="en")}, "rules are the project's, not the scan's"


# Settling, and the overview


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
