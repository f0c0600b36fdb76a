"""Drafts made from rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio import augmentation, dataset, projects, quality, samples, splits
from studio.augmentation import WAITING, Made, make
from studio.context import Studio, open_studio
from studio.errors import Blocked, Conflict, InvalidInput, ModelUnavailable
from studio.records import Example, Project, Turn, new_id
from studio.rows import Method, RowFilter, Shares
from studio.settings import Settings
from studio.wordings import MODEL_METHODS, Wish


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Studio]:
    opened = open_studio(Settings(workspace=tmp_path / "workspace", engine="echo", author="ada"), "tests")
    yield opened
    opened.close()


@pytest.fixture
def home(echo: Studio) -> Project:
    return projects.default(echo)


def row(studio: Studio, question: str = "Can I buy the gift?", **fields: object) -> Example:
    """An approved training row of the default project."""
    example = Example(
        new_id("e"), projects.default(studio).id, 1, "approved", (Turn("user", question),), "Yes, for 15 euros."
    )
    example = replace(example, **fields)  # type: ignore[arg-type]
    dataset.add_rows(studio, example.project_id, [example], "created")
    return example


def made_of(
    studio: Studio, *sources: Example, method: Method = "synonyms", n: int = 1, seed: int = 0, side: str = "train"
) -> list[Example]:
    """The drafts that a making adds, of these rows or of all, oldest first."""
    project_id = projects.default(studio).id
    before = {draft.id for draft in drafts(studio)}
    rows = RowFilter(ids=tuple(source.id for source in sources), splits=(side,))
    done = make(studio, project_id, rows, Wish(method, n, seed))
    new = [draft for draft in drafts(studio) if draft.id not in before]
    assert (done.drafts, done.is_whole) == (len(new), True)
    return new


def drafts(studio: Studio) -> list[Example]:
    """Every row that was made from another, but those in the bin."""
    return studio.store.examples.page(projects.default(studio).id, RowFilter(sources=("augmented",)), "oldest", 10_000)


def history(studio: Studio) -> list[tuple[str, int]]:
    return [(action.kind, action.rows) for action in dataset.history(studio, projects.default(studio).id)]


# Making


def test_a_draft_is_a_row_at_once_linked_to_its_source_and_on_its_side(echo: Studio, home: Project) -> None:
    source = row(echo, extra={"topic": "gifts", "tools": []}, rejected="No.", tags=("gifts",))
    (draft,) = made_of(echo, source, seed=3)
    assert draft.question == "Can I purchase the gift?"
    assert (draft.answer, draft.rejected) == (source.answer, None), "what was rejected was said to other words"
    assert (draft.status, draft.source, draft.author, draft.version) == ("draft", "augmented", "ada", 1)
    assert (draft.parent_id, draft.group, draft.split, draft.tags) == (source.id, source.id, "train", ("gifts",))
    assert draft.extra == {"topic": "gifts", "tools": [], "augmentation": {"method": "synonyms", "seed": 3, "try": 0}}
    assert dataset.count(echo, home.id, WAITING) == 1
    assert history(echo)[0] == ("augmented", 1)
    assert dataset.history(echo, home.id)[0].detail == "synonyms, seed 3"


def test_earlier_turns_and_the_input_of_a_row_are_left_alone(echo: Studio) -> None:
    earlier = (Turn("user", "Can I buy it?"), Turn("assistant", "Yes."))
    source = row(
        echo, messages=(*earlier, Turn("user", "Can I buy the gift?\n\nCan I buy")), extra={"input": "Can I buy"}
    )
    (draft,) = made_of(echo, source)
    assert draft.messages[:2] == earlier
    assert draft.question == "Can I purchase the gift?\n\nCan I buy"
    dataset.edit(echo, source.id, answer="No.")
    assert made_of(echo, source, n=2, seed=5) == [], "its wording is known, whatever stands behind it"


def test_a_seed_repeats_and_another_one_differs(echo: Studio) -> None:
    text = "Please, is the shop at the corner of my street open on the first day of the month?"
    one, two, three = (row(echo, text, answer=answer) for answer in ("Yes.", "No.", "Perhaps."))
    texts = [
        [draft.question for draft in made_of(echo, source, method="deletion", n=3, seed=seed)]
        for source, seed in ((one, 0), (two, 0), (three, 1))
    ]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) == 3
    assert made_of(echo, one, method="deletion", n=3, seed=0) == [], "they are there"
    assert len(made_of(echo, one, method="deletion", n=5, seed=0)) == 2


def test_held_out_rows_are_sources_only_if_their_side_is_named(echo: Studio, home: Project) -> None:
    source = row(echo, split="test")
    with pytest.raises(InvalidInput, match="no approved example"):
        make(echo, home.id, RowFilter(), Wish("synonyms"))
    (draft,) = made_of(echo, source, side="test")
    assert (draft.split, draft.group, draft.pinned) == ("test", source.id, False)


def test_rows_that_can_be_no_source_are_left_out_and_counted(echo: Studio, home: Project) -> None:
    source = row(echo)
    row(echo, "Can I buy the other gift?", status="draft")
    row(echo, "Can I buy the third gift?", status="rejected")
    row(echo, "Can I buy the fourth gift?", split="test")
    row(echo, "Can I buy the fifth gift?", aside=True)
    row(echo, messages=(Turn("user", "Can I buy it?"), Turn("tool", "4")))
    row(echo, messages=(Turn("user", "Hi", extra={"content": [{"type": "image"}]}),))
    assert augmentation.count_sources(echo, home.id, RowFilter()) == 3
    done = make(echo, home.id, RowFilter(), Wish("synonyms"))
    assert (done.drafts, done.sources, done.left_out) == (1, 1, 2)
    assert [draft.parent_id for draft in drafts(echo)] == [source.id]


def test_drafts_are_no_sources_also_not_when_they_are_approved(echo: Studio, home: Project) -> None:
    row(echo)
    (draft,) = made_of(echo)
    augmentation.approve(echo, draft.id, draft.version)
    assert augmentation.count_sources(echo, home.id, RowFilter()) == 1
    assert augmentation.count_sources(echo, home.id, RowFilter(sources=("augmented",))) == 0
    assert make(echo, home.id, RowFilter(), Wish("deletion")).sources == 1
    with pytest.raises(InvalidInput, match="no approved example"):
        make(echo, home.id, RowFilter(sources=("augmented",)), Wish("deletion"))


def test_requests_that_make_no_sense_are_refused(echo: Studio, home: Project) -> None:
    with pytest.raises(InvalidInput, match="no method"):
        Wish("poetry")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="0 drafts"):
        Wish("synonyms", n=0)
    for rows in (RowFilter(), RowFilter(statuses=("draft",))):
        with pytest.raises(InvalidInput, match="no approved example"):
            make(echo, home.id, rows, Wish("synonyms"))
    row(echo)
    with pytest.raises(ModelUnavailable):
        make(echo, home.id, RowFilter(), Wish("paraphrase"))


def test_a_language_without_a_word_list_is_refused(echo: Studio) -> None:
    german = projects.create(echo, "Auskunft", language="de")
    row(echo, "Wann ist geöffnet?", project_id=german.id)
    with pytest.raises(InvalidInput, match="English and Japanese"):
        make(echo, german.id, RowFilter(), Wish("deletion"))


def test_what_became_of_a_source_meanwhile_counts(echo: Studio, home: Project) -> None:
    stays, binned, drafted, changed, moved = (row(echo, f"Can I buy the gift number {n}?") for n in range(5))

    def meddle(done: int, total: int) -> None:
        if done == 5 and dataset.get(echo, binned.id).status == "approved":
            dataset.set_status(echo, binned.id, "deleted")
            dataset.set_status(echo, drafted.id, "draft")
            dataset.edit(echo, changed.id, answer="Yes, for 20 euros.")
            echo.store.examples.append([replace(moved, version=2, split="test")])

    assert make(echo, home.id, RowFilter(), Wish("synonyms"), meddle).drafts == 1
    assert [draft.parent_id for draft in drafts(echo)] == [stays.id]


@pytest.mark.parametrize("method", MODEL_METHODS)
def test_the_model_is_asked_with_progress_and_its_nonsense_is_not_kept(
    echo: Studio, home: Project, method: Method
) -> None:
    echo.load_engine()
    for n in range(1, 7):
        row(echo, f"Can I buy {n} gifts?")
    seen: list[tuple[int, int]] = []
    # The echo engine says "You said: …" and the question again.
    done = make(echo, home.id, RowFilter(), Wish(method, 2), lambda done, total: seen.append((done, total)))
    assert done == Made(sources=6)
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert seen[-1] == (6, 6)


def test_a_question_too_long_for_the_model_is_passed_over(echo: Studio, home: Project) -> None:
    echo.load_engine()
    row(echo, "Why? " * 1000)
    assert make(echo, home.id, RowFilter(), Wish("paraphrase")) == Made(sources=1)
    assert make(echo, home.id, RowFilter(), Wish("back-translation")) == Made(sources=1)


def test_an_adapter_can_reword_and_the_draft_says_which(tiny_studio: Studio) -> None:
    assert Wish("paraphrase", adapter_id="a_1").mark == {"method": "paraphrase", "seed": 0, "adapter": "a_1"}
    assert Wish("paraphrase").mark["adapter"] == "base"
    assert "adapter" not in Wish("deletion", adapter_id="a_1").mark
    row(tiny_studio)
    with pytest.raises(InvalidInput, match="no approved") as refused:
        make(tiny_studio, projects.create(tiny_studio, "Other").id, RowFilter(), Wish("paraphrase"))
    assert refused.value.hint


# Stopping, and going on


def gifts(studio: Studio, count: int) -> list[Example]:
    return [row(studio, f"Can I buy the gift number {n}?") for n in range(count)]


def stopped_after(studio: Studio, rows: int, wish: Wish) -> Made:
    stop = threading.Event()

    def watch(done: int, total: int) -> None:
        if done >= rows:
            stop.set()

    return make(studio, projects.default(studio).id, RowFilter(), wish, watch, stop)


def test_what_was_made_before_a_stop_stays_and_the_same_wish_goes_on(
    echo: Studio, home: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augmentation, "MANY_ROWS", 2)
    sources = gifts(echo, 5)
    done = stopped_after(echo, 2, Wish("synonyms"))
    assert (done.drafts, done.sources, done.is_whole) == (2, 2, False)
    assert [draft.parent_id for draft in drafts(echo)] == [source.id for source in sources[:2]]
    done = make(echo, home.id, RowFilter(), Wish("synonyms"))
    assert (done.drafts, done.sources, done.is_whole) == (3, 5, True)
    assert [draft.parent_id for draft in drafts(echo)] == [source.id for source in sources]
    assert make(echo, home.id, RowFilter(), Wish("synonyms")) == Made(sources=5)


@pytest.mark.parametrize("method", MODEL_METHODS)
def test_the_model_can_be_stopped(echo: Studio, home: Project, method: Method) -> None:
    echo.load_engine()
    gifts(echo, 5)
    stop = threading.Event()
    seen: list[int] = []

    def watch(done: int, total: int) -> None:
        seen.append(done)
        stop.set()

    done = make(echo, home.id, RowFilter(), Wish(method), watch, stop)
    assert (done, len(seen)) == (Made(is_whole=False), 1)


def test_drafts_are_found_again_when_the_studio_was_closed(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path / "workspace", engine="echo")
    studio = open_studio(settings)
    sources = gifts(studio, 3)
    assert make(studio, sources[0].project_id, RowFilter(), Wish("synonyms")).drafts == 3
    studio.close()
    studio = open_studio(settings)
    waiting = dataset.page(studio, sources[0].project_id, WAITING, "oldest")
    assert [draft.parent_id for draft in waiting] == [source.id for source in sources]
    assert made_of(studio) == []
    studio.close()


# History


def test_a_making_is_one_action_and_one_undo_takes_it_back(
    echo: Studio, home: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augmentation, "MANY_ROWS", 2)
    gifts(echo, 5)
    done = make(echo, home.id, RowFilter(), Wish("synonyms"))
    assert (done.drafts, len(done.actions)) == (5, 1)
    assert history(echo)[:2] == [("augmented", 5), ("created", 1)]
    assert {draft.action_id for draft in drafts(echo)} == set(done.actions)
    approved = drafts(echo)[1]
    augmentation.approve(echo, approved.id, 1)
    assert dataset.undo(echo, home.id, action_id=done.actions[0]).rows == 4
    assert [draft.id for draft in drafts(echo)] == [approved.id], "what was decided since stays"
    assert make(echo, home.id, RowFilter(), Wish("synonyms")).drafts == 4, "what was undone can be made again"


def test_a_making_is_no_action_that_reaches_over_another(
    echo: Studio, home: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augmentation, "MANY_ROWS", 2)
    sources = gifts(echo, 6)

    def meddle(done: int, total: int) -> None:
        if done == 4 and not dataset.get(echo, sources[5].id).tags:
            dataset.tag(echo, home.id, RowFilter(ids=(sources[5].id,)), ["meanwhile"])

    done = make(echo, home.id, RowFilter(), Wish("synonyms"), meddle)
    assert history(echo)[:3] == [("augmented", 4), ("tagged", 1), ("augmented", 2)]
    assert done.actions == tuple(action.id for action in reversed(dataset.history(echo, home.id)[:3:2]))
    tagged = dataset.history(echo, home.id)[1]
    dataset.restore_all(echo, home.id, tagged.id)
    assert [draft.parent_id for draft in drafts(echo)] == [source.id for source in sources[:2]]


# No wording twice


def test_a_discarded_wording_does_not_come_back(echo: Studio, home: Project) -> None:
    source = row(echo)
    (draft,) = made_of(echo, source)
    augmentation.discard_all(echo, home.id)
    assert dataset.get(echo, draft.id).status == "deleted", "rejected it would teach what not to say"
    for seed in range(5):
        assert draft.question not in [d.question for d in made_of(echo, source, n=5, seed=seed)]
    dataset.edit(echo, source.id, answer="Yes, for 20 euros.")
    assert draft.question not in [d.question for d in made_of(echo, source, n=5, seed=9)]
    twin = row(echo)
    assert draft.question not in [d.question for d in made_of(echo, twin, n=5)], "nor of another row that says the same"


def test_an_undone_discarding_and_discarding_again_are_remembered_as_they_are(echo: Studio, home: Project) -> None:
    source = row(echo)
    (draft,) = made_of(echo, source)
    discarded = augmentation.discard_all(echo, home.id)
    undone = dataset.undo(echo, home.id, action_id=discarded.id)
    assert dataset.get(echo, draft.id).status == "draft"
    dataset.undo(echo, home.id, action_id=undone.id)
    assert dataset.get(echo, draft.id).status == "deleted"
    assert made_of(echo, source, n=3, seed=1) == []


def test_a_wording_that_was_edited_or_rejected_does_not_come_back(echo: Studio) -> None:
    source = row(echo)
    (draft,) = made_of(echo, source)
    dataset.edit(echo, draft.id, prompt="Is the gift for sale?")
    dataset.set_status(echo, draft.id, "rejected")
    assert made_of(echo, source, n=3, seed=1) == []


def test_what_the_project_asks_and_answers_already_is_not_made(echo: Studio) -> None:
    source = row(echo)
    typed = row(echo, "Can I purchase the gift?")
    assert made_of(echo, source) == []
    dataset.set_status(echo, typed.id, "deleted")
    assert made_of(echo, source) == [], "somebody threw it away"
    again = row(echo, answer="No.")
    assert [draft.question for draft in made_of(echo, again)] == ["Can I purchase the gift?"]


# Deciding


def doubts(studio: Studio) -> list[str | None]:
    found = drafts(studio)
    by_id = augmentation.parents(studio, found)
    return [augmentation.doubt(draft, by_id.get(draft.parent_id or "")) for draft in found]


def test_all_are_approved_but_those_that_need_a_closer_look(echo: Studio, home: Project) -> None:
    stays, binned, drafted, changed, moved, _ruled = sources = gifts(echo, 6)
    dataset.edit(echo, sources[5].id, answer="Yes, for a dollar.")
    made_of(echo)
    assert doubts(echo) == [None] * 6
    quality.add_rule(echo, home.id, "must_not_contain", "dollar", "Name euros.", blocks=True)
    dataset.set_status(echo, binned.id, "deleted")
    dataset.set_status(echo, drafted.id, "draft")
    dataset.edit(echo, changed.id, answer="Yes, for 20 euros.")
    echo.store.examples.append([replace(moved, version=2, split="test")])
    assert doubts(echo) == [None, "gone", "unapproved", "answer", "side", None]
    done = augmentation.approve_all(echo, home.id, "ben")
    assert (done.action.rows, done.blocked, done.doubtful) == (1, 1, 4)
    assert [draft.parent_id for draft in drafts(echo) if draft.status == "approved"] == [stays.id]
    assert (drafts(echo)[0].author, dataset.count(echo, home.id, WAITING)) == ("ben", 5)
    with pytest.raises(InvalidInput, match="A rule keeps every one"):
        augmentation.approve_all(echo, home.id)
    augmentation.approve(echo, drafts(echo)[3].id, 1)  # looked at, and right
    with pytest.raises(InvalidInput, match="another side"):
        augmentation.approve(echo, drafts(echo)[4].id, 1)
    with pytest.raises(Blocked, match="Name euros"):
        augmentation.approve(echo, drafts(echo)[5].id, 1)
    dataset.set_status(echo, drafts(echo)[5].id, "deleted")
    with pytest.raises(InvalidInput, match="closer look"):
        augmentation.approve_all(echo, home.id)


def test_a_draft_that_was_changed_since_it_was_looked_at_is_not_approved(echo: Studio) -> None:
    row(echo)
    (draft,) = made_of(echo)
    dataset.edit(echo, draft.id, prompt="Who buys gifts?")
    with pytest.raises(Conflict):
        augmentation.approve(echo, draft.id, draft.version)


def test_a_draft_without_a_source_is_doubtful(echo: Studio, home: Project) -> None:
    row(echo, status="draft", source="augmented", extra={"augmentation": "by hand"})
    row(echo, status="draft", source="augmented", parent_id="e_18ea0000000000000_none")
    assert doubts(echo) == ["gone", "gone"]
    assert augmentation.discard_all(echo, home.id).rows == 2


# Sides


def asked(number: int) -> str:
    """Questions that are not near to each other, each with words that can be dropped."""
    things = ("tent", "boat", "lamp", "stove", "bicycle", "parcel", "voucher", "window", "garden", "kettle")
    return f"Where is the {things[number]} of the {things[-number - 1]} {things[number] * 2}?"


def test_dealing_moves_a_source_and_its_waiting_drafts_together(echo: Studio, home: Project) -> None:
    for n in range(10):
        row(echo, asked(n), answer=f"Behind door {asked(n)[13:20]}.")
    made_of(echo, method="deletion", n=2)
    binned = drafts(echo)[0]
    dataset.set_status(echo, str(binned.parent_id), "deleted")
    seen = set()
    for seed in range(6):
        splits.deal(echo, home.id, Shares(0.2, 0.3, seed))
        by_id = augmentation.parents(echo, drafts(echo))
        assert all(draft.split == by_id[draft.parent_id or ""].split for draft in drafts(echo))
        seen |= {draft.split for draft in drafts(echo)}
        assert set(doubts(echo)) <= {None, "gone"}
    assert seen == {"train", "validation", "test"}


def test_a_draft_of_a_correction_stands_with_it_and_leaves_its_conversation_alone(echo: Studio, home: Project) -> None:
    """Single questions of one conversation are dealt one by one: its first one may be kept for testing."""
    rows = [row(echo, asked(n), answer=f"Behind {asked(n)[13:20]}.", source="chat", group="c_1") for n in range(10)]
    splits.deal(echo, home.id, Shares(0.2, 0.3))
    sides = [dataset.get(echo, source.id).split for source in rows]
    assert len(set(sides)) == 3
    for side in ("train", "test"):
        assert {draft.split for draft in made_of(echo, method="deletion", side=side)} == {side}
    assert set(doubts(echo)) == {None}
    splits.deal(echo, home.id, Shares(0.2, 0.3))
    assert [dataset.get(echo, source.id).split for source in rows] == sides, "the drafts don't bind it together"


def test_a_draft_that_says_nearly_what_a_test_row_says_is_set_aside_and_doubtful(echo: Studio, home: Project) -> None:
    kept = row(echo, "Can I purchase the gift?", split="test", pinned=True)
    source = row(echo, "Can I buy the gift?", answer="Yes, for 16 euros.")
    splits.deal(echo, home.id, Shares(0.0, 0.0))
    assert (dataset.get(echo, source.id).split, dataset.get(echo, source.id).aside) == ("train", False)
    (draft,) = made_of(echo, source)
    assert (draft.split, draft.aside, doubts(echo)) == ("train", True, ["aside"])
    dataset.set_status(echo, kept.id, "deleted")
    assert doubts(echo) == [None]


@pytest.mark.model
def test_the_default_model_rewords_some_questions(tmp_path: Path, models_folder: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "models").symlink_to(models_folder)
    studio = open_studio(Settings(workspace=workspace, offline=True, dtype="float32"), "tests")
    try:
        studio.load_engine()
        sample = samples.try_sample(studio, "support_en")
        rows = studio.store.examples.find(sample.id, split="train")[:6]
        done = make(studio, sample.id, RowFilter(ids=tuple(e.id for e in rows)), Wish("paraphrase"))
        assert done.drafts >= 2, "of these six it rewords four"
        by_id = {e.id: e for e in rows}
        for draft in dataset.page(studio, sample.id, WAITING):
            source = by_id[draft.parent_id or ""]
            assert draft.question != source.question
            assert draft.answer == source.answer
            assert draft.extra["augmentation"]["adapter"] == "base"
    finally:
        studio.close()
