"""The split, snapshots and more examples in a real browser, over a real store."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from studio import augmentation, dataset, projects, quality, snapshots, splits
from studio.context import Studio
from studio.records import Example, Turn, new_id
from studio.rows import RowFilter, Shares
from studio.ui import words
from studio.wordings import Wish
from tests.ui.demo_boards import Demo
from tests.ui.serving import stop

APPROVED = RowFilter(statuses=("approved",))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, str]]:
    demo = Demo(tmp_path_factory.mktemp("sets") / "workspace")
    server, url = demo.serve()
    yield demo, url
    stop(server)
    demo.studio.close()


@dataclass
class Shown:
    page: Page
    demo: Demo
    project_id: str

    def go(self, part: str) -> None:
        tabs = self.page.locator("#data-parts").get_by_role("tab", name=part, exact=True)
        tabs.and_(self.page.locator(":visible")).first.click()

    def press(self, focus: str) -> None:
        self.page.locator(f'[data-focus="{focus}"]').click()

    def rows(self, **fields: Any) -> list[Example]:
        return self.demo.studio.store.examples.page(self.project_id, RowFilter(**fields), "oldest", 500)

    def said(self, board: str) -> Locator:
        return self.page.locator(f".st-{board} .st-toast")

    def sides(self) -> dict[str, int]:
        return dict(splits.summary(self.demo.studio, self.project_id).rows)


Open = Callable[..., Shown]
Prepare = Callable[[Studio, str], object]


@pytest.fixture
def open_sets(browser: Browser, site: tuple[Demo, str]) -> Iterator[Open]:
    """Open the Data tab on a project of its own; `prepare` fills it further before the page asks."""
    demo, url = site
    contexts: list[Any] = []
    errors: list[str] = []

    def open_(prepare: Prepare = lambda studio, project_id: None, **options: Any) -> Shown:
        project = demo.project()
        prepare(demo.studio, project.id)
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **options})
        context.set_default_timeout(20_000)
        expect.set_options(timeout=20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{url}?project={project.id}")
        page.locator(".st-grid tbody tr").first.wait_for()
        return Shown(page, demo, project.id)

    yield open_
    for context in contexts:
        context.close()
    assert not errors


# The split


def test_dealing_is_asked_first_and_can_be_undone(open_sets: Open) -> None:
    shown = open_sets()
    shown.go("Split and snapshots")
    expect(shown.page.locator(".st-split-rule")).to_contain_text("All examples are for training")
    for name in ("validation", "test"):
        shown.page.locator(f"#st-share-{name}").fill("25")
    expect(shown.page.locator(".st-rest")).to_have_text("50 % stay for training.")
    shown.press("deal")
    confirm = shown.page.locator(".st-confirm-deal")
    told = splits.preview(shown.demo.studio, shown.project_id, Shares(0.25, 0.25))
    expect(confirm).to_contain_text(f"Examples that change their side: {told.moved} of {len(shown.rows())}.")
    assert shown.sides()["test"] == 0, "nothing happens before a yes"
    confirm.get_by_role("button", name="Cancel").click()
    expect(confirm).to_have_count(0)
    shown.press("deal")
    confirm.get_by_role("button", name="Deal").click()
    expect(shown.said("split")).to_contain_text(f"changed their side: {told.moved}.")
    assert shown.sides() == {side: told.rows.get(side, 0) for side in ("train", "validation", "test")}
    expect(shown.page.locator(".st-split-rule")).to_contain_text("About 25 % of the groups are for validation, 25 %")
    expect(shown.page.locator('[data-focus="side-test"] b')).to_have_text(str(told.rows["test"]))
    shown.press("undo-deal")
    expect(shown.page.locator(".st-split-rule")).to_contain_text("All examples are for training")
    assert shown.sides()["train"] == len(shown.rows())
    shown.press("undo-deal")  # "Bring it back"
    expect(shown.page.locator('[data-focus="side-test"] b')).to_have_text(str(told.rows["test"]))


def many_alike(studio: Studio, project_id: str) -> None:
    """Rows of which nearly all are near-identical."""
    rng = random.Random(1)
    stem = " ".join("".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(40))
    made = []
    for n in range(400):
        at = rng.randrange(len(stem))
        asked = Turn("user", stem[:at] + rng.choice("xyz") + stem[at + 1 :])
        made.append(Example(new_id("e"), project_id, 1, "approved", (asked,), f"Answer {n}.", source="import"))
    dataset.add_rows(studio, project_id, made, "imported")


def test_dealing_shows_how_far_it_is_is_cancelled_and_says_why_shares_are_uneven(open_sets: Open) -> None:
    shown = open_sets(many_alike)
    studio = shown.demo.studio
    shown.go("Split and snapshots")
    bar = shown.page.locator(".st-dealing .st-work-row")
    shown.press("deal")
    confirm = shown.page.locator(".st-confirm-deal")
    expect(confirm.locator(".st-uneven").first).to_contain_text("Asked for 10 %")
    expect(confirm.locator(".st-uneven").first).to_contain_text("400 near-identical examples stay together.")
    with studio.store.transaction():  # whoever writes waits, so that there is time to press Cancel
        confirm.get_by_role("button", name="Deal").click()
        expect(bar).to_contain_text("Dealing the examples")
        shown.press("cancel-split-deal")
        expect(bar).to_contain_text("Stopping")
    expect(shown.said("split")).to_contain_text("Cancelled.")
    assert splits.last_deal(studio, shown.project_id) is None
    assert shown.sides()["test"] == shown.sides()["validation"] == 0
    shown.press("deal")
    confirm.get_by_role("button", name="Cancel").click()
    expect(confirm).to_have_count(0)
    expect(shown.page.locator('[data-focus="deal"]')).to_be_focused()


def test_the_two_shares_leave_a_tenth_for_training(open_sets: Open) -> None:
    shown = open_sets()
    shown.go("Split and snapshots")
    for name in ("validation", "test"):
        shown.page.locator(f"#st-share-{name}").fill("50")
    expect(shown.page.locator(".st-rest")).to_have_text("10 % stay for training.")
    shown.press("deal")
    expect(shown.page.locator(".st-confirm-deal")).to_be_visible()


def test_a_side_is_shown_in_the_table(open_sets: Open) -> None:
    shown = open_sets(lambda studio, id_: splits.deal(studio, id_, Shares(0.2, 0.2)))
    shown.go("Split and snapshots")
    shown.press("side-test")
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(shown.sides()["test"])


def leaking(studio: Studio, project_id: str) -> None:
    """Two training rows that an edit made nearly the same as test rows."""
    splits.deal(studio, project_id, Shares(0.0, 0.4))
    page = studio.store.examples.page
    tests = page(project_id, RowFilter(splits=("test",)), "oldest", 10)
    train = page(project_id, RowFilter(splits=("train",)), "oldest", 10)
    for test, row in zip(tests[:2], train[:2], strict=True):
        dataset.edit(studio, row.id, prompt=test.question + " Please.", answer=test.answer)


def test_a_leak_is_settled_by_moving_editing_and_the_bin(open_sets: Open) -> None:
    shown = open_sets(leaking)
    aside = shown.rows(splits=("aside",))
    assert len(aside) == 2
    shown.go("Split and snapshots")
    cards = shown.page.locator(".st-leak")
    expect(cards).to_have_count(2)
    expect(cards.first.locator(".st-leak-side").first.locator("ins")).to_contain_text("Please.")
    shown.press(f"join-{aside[0].id}")
    expect(cards).to_have_count(1)
    moved = dataset.get(shown.demo.studio, aside[0].id)
    assert (moved.split, moved.aside) == ("test", False)
    shown.said("split").get_by_role("button", name="Undo").click()
    expect(cards).to_have_count(2)
    shown.press(f"edit-{aside[1].id}")
    editor = shown.page.locator(".st-leak-editor")
    editor.get_by_label("Question").fill("Where do I park my bicycle?")
    editor.get_by_label("Answer").fill("Behind the house, beside the bins.")
    editor.get_by_role("button", name="Save").click()
    expect(cards).to_have_count(1)
    edited = dataset.get(shown.demo.studio, aside[1].id)
    assert (edited.question, edited.split, edited.aside) == ("Where do I park my bicycle?", "train", False)
    shown.press(f"bin-{aside[0].id}")
    expect(cards).to_have_count(0)
    assert dataset.get(shown.demo.studio, aside[0].id).status == "deleted"


# Snapshots


def test_a_snapshot_is_taken_compared_and_exported(open_sets: Open) -> None:
    shown = open_sets()
    studio = shown.demo.studio
    shown.go("Split and snapshots")
    board = shown.page.locator(".st-snapshots")
    name = board.get_by_label("Name of the snapshot")
    name.fill("before the review")
    shown.press("snapshot-take")
    expect(board.locator(".st-snapshot-name")).to_have_text(["before the review"])
    name.fill("before the review")
    shown.press("snapshot-take")
    expect(shown.said("snapshots")).to_contain_text("There is a snapshot 'before the review' already.")
    rows = shown.rows()
    dataset.edit(studio, rows[0].id, answer="A late book costs 30 cents a day.", tags=["fees"])
    dataset.set_status(studio, rows[1].id, "deleted")
    dataset.add(studio, shown.project_id, "Is there a lift?", "Yes, beside the stairs.")
    name.fill("after the review")
    name.press("Enter")
    expect(board.locator(".st-snapshot-name")).to_have_text(["after the review", "before the review"])
    after = snapshots.named(studio, shown.project_id, "after the review")
    shown.press(f"compare-{after.id}")
    result = board.locator(".st-diff-result")
    expect(result.locator(".st-diff-row")).to_have_count(1)
    expect(result.locator("ins")).to_contain_text("30")
    expect(result.locator(".st-diff-fields")).to_contain_text("Tags: – → fees")
    shown.press("part-added")
    expect(result.locator(".st-diff-row.st-new")).to_contain_text("Is there a lift?")
    shown.press("part-removed")
    expect(result.locator(".st-diff-row.st-gone")).to_contain_text(rows[1].question)
    shown.press(f"export-{after.id}")
    board.get_by_label("Format", exact=True).select_option("openai")
    shown.press("export-go")
    expect(board.locator(".st-outcome")).to_contain_text(f"Verified: {after.rows} examples")
    link = board.locator(".st-outcome a")
    path = snapshots.target(studio, after, "openai")
    assert str(link.get_attribute("href")).endswith(path.name)
    assert len([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]) == after.rows


def test_a_snapshot_of_what_the_table_shows(open_sets: Open) -> None:
    shown = open_sets()
    shown.page.locator(".st-rows-search").fill("seats")
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(8)
    shown.go("Split and snapshots")
    expect(shown.page.locator('[data-focus="what-shown"] .st-number')).to_have_text("8")
    shown.press("what-shown")
    shown.page.get_by_label("Name of the snapshot").fill("seats")
    shown.press("snapshot-take")
    expect(shown.page.locator(".st-snapshot-name")).to_have_text(["seats"])
    taken = snapshots.named(shown.demo.studio, shown.project_id, "seats")
    assert taken.rows == 8
    assert all("seats" in row.question for row in snapshots.examples(shown.demo.studio, taken))


# More examples


def buyable(studio: Studio, project_id: str) -> None:
    """Two rows whose words have synonyms."""
    for thing in ("gift", "present"):
        dataset.add(studio, project_id, f"Can I buy the {thing}?", f"Yes, the {thing} costs 15 euros.")


def test_drafts_are_rows_at_once_and_are_decided_on_beside_their_source(open_sets: Open) -> None:
    shown = open_sets(buyable)
    shown.page.locator(".st-rows-search").fill("buy")
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(2)
    shown.go("More examples")
    expect(shown.page.locator('[data-focus="what-shown"] .st-number')).to_have_text("2")
    shown.press("what-shown")
    shown.press("method-synonyms")
    shown.press("make")
    cards = shown.page.locator(".st-draft")
    expect(cards).to_have_count(2)
    expect(cards.first.locator("ins")).to_contain_text("purchase")
    expect(cards.first).to_contain_text("Can I buy the gift?")
    first, second = shown.rows(sources=("augmented",))
    source = next(row for row in shown.rows() if row.question == "Can I buy the gift?")
    assert (first.question, first.status, first.parent_id) == ("Can I purchase the gift?", "draft", source.id)
    shown.page.reload()
    shown.page.locator(".st-grid tbody tr").first.wait_for()  # the page of this test fills no part before it is loaded
    shown.go("More examples")
    expect(cards).to_have_count(2)  # they wait in the project, not in the page
    cards.first.get_by_role("button", name="Approve").press("Enter")
    expect(cards).to_have_count(1)
    expect(shown.page.locator(f'[data-focus="approve-{second.id}"]')).to_be_focused()
    assert dataset.get(shown.demo.studio, first.id).status == "approved"
    cards.first.get_by_role("button", name="Discard").click()
    expect(cards).to_have_count(0)
    assert dataset.get(shown.demo.studio, second.id).status == "deleted"
    shown.said("augment").get_by_role("button", name="Undo").click()
    expect(cards).to_have_count(1)
    cards.first.get_by_role("button", name="Edit in the table").click()
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(1)
    expect(shown.page.locator(".st-grid tbody tr")).to_contain_text("Can I purchase the present?")


def test_a_making_and_deciding_on_all_can_each_be_taken_back(open_sets: Open) -> None:
    shown = open_sets(buyable)
    cards, undo = shown.page.locator(".st-draft"), shown.said("augment").get_by_role("button", name="Undo")
    shown.go("More examples")
    shown.press("method-deletion")
    shown.press("make")
    expect(shown.said("augment")).to_contain_text("Drafts made: ")
    made = len(shown.rows(sources=("augmented",)))
    assert made > 10
    for kind, status in (("approve", "approved"), ("discard", "deleted")):
        expect(shown.page.locator(f'[data-focus="{kind}-all"]')).to_contain_text(str(made))
        shown.press(f"{kind}-all")
        expect(cards).to_have_count(0)
        assert len(shown.rows(sources=("augmented",), statuses=(status,))) == made
        undo.click()
        cards.first.wait_for()
    shown.press("to-table")
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(min(made, 25))


def test_undoing_a_making_empties_the_board(open_sets: Open) -> None:
    shown = open_sets(buyable)
    shown.go("More examples")
    shown.press("method-deletion")
    shown.press("make")
    shown.page.locator(".st-draft").first.wait_for()
    shown.said("augment").get_by_role("button", name="Undo").click()
    expect(shown.page.locator(".st-draft")).to_have_count(0)
    assert shown.rows(sources=("augmented",)) == []


def test_cancelling_keeps_what_was_made(open_sets: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "MANY_ROWS", 5)
    shown = open_sets()
    shown.go("More examples")
    shown.press("method-deletion")
    with shown.demo.studio.store.transaction():  # the first five can't be saved yet, so that there is time to cancel
        shown.press("make")
        bar = shown.page.locator(".st-drafts .st-work-row")
        expect(bar).to_contain_text("Making drafts")
        shown.press("cancel-augment")
        expect(bar).to_contain_text("Stopping")
    expect(shown.said("augment")).to_contain_text("Stopped. Drafts made by then: 4. Examples tried: 5.")
    expect(shown.page.locator(".st-draft")).to_have_count(4)
    assert len(shown.rows(sources=("augmented",))) == 4


def test_a_draft_says_why_it_is_not_approved_with_the_others(open_sets: Open) -> None:
    def prepare(studio: Studio, project_id: str) -> None:
        buyable(studio, project_id)
        dataset.add(studio, project_id, "Can I buy the stick?", "Yes, the stick costs a dollar.")
        augmentation.make(studio, project_id, RowFilter(text="buy"), Wish("synonyms"))
        quality.add_rule(studio, project_id, "must_not_contain", "dollar", "Name euros.", blocks=True)
        gift = studio.store.examples.page(project_id, RowFilter(text="gift", statuses=("approved",)))[0]
        dataset.edit(studio, gift.id, answer="Yes, the gift costs 20 euros.")

    shown = open_sets(prepare)
    shown.go("More examples")
    cards = shown.page.locator(".st-draft")
    expect(cards).to_have_count(3)
    expect(cards.first.locator(".st-warning")).to_contain_text("not what its source answers now")
    expect(cards.first.locator(".st-draft-answer del")).to_contain_text("20")
    expect(cards.last.locator(".st-warning")).to_contain_text("Name euros.")
    cards.last.get_by_role("button", name="Approve").click()
    expect(shown.said("augment")).to_contain_text("This can't be approved: Name euros.")
    shown.press("approve-all")
    expect(cards).to_have_count(2)
    expect(shown.said("augment")).to_contain_text(
        "Approved: 1. 1 breaks a rule and waits on. 1 needs a closer look and waits on."
    )


def test_a_method_of_the_model_says_when_nothing_passes(open_sets: Open) -> None:
    shown = open_sets()
    shown.page.locator(".st-rows-search").fill("seats")
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(8)
    shown.go("More examples")
    shown.press("what-shown")
    shown.press("make")  # the engine echoes, and a copy is no other wording
    expect(shown.page.locator(".st-drafts")).to_contain_text("Nothing new came of 8 examples")


# Both languages, on a narrow screen


@pytest.mark.parametrize(("locale", "dark"), [("en-US", False), ("ja-JP", True)])
def test_nothing_is_wider_than_a_narrow_screen(open_sets: Open, locale: str, dark: bool) -> None:
    def prepare(studio: Studio, project_id: str) -> None:
        projects.update(studio, project_id, language=locale[:2])
        leaking(studio, project_id)
        buyable(studio, project_id)
        rows = [Example(new_id("e"), project_id, 1, "approved", (Turn("user", "開館時間は？"),), "9時です。")]
        dataset.add_rows(studio, project_id, rows, "imported")
        for name in ("one", "x" * 100):
            snapshots.take(studio, project_id, name, APPROVED)

    shown = open_sets(prepare, locale=locale, color_scheme="dark" if dark else "light")
    page = shown.page
    newest = shown.demo.studio.store.snapshots.of_project(shown.project_id)[0]
    for part, board in (("app.data.sets", "split"), ("app.data.augment", "augment")):
        page.set_viewport_size({"width": 1440, "height": 900})
        if board == "augment":
            augmentation.make(shown.demo.studio, shown.project_id, RowFilter(), Wish("deletion"))
            dataset.set_status(shown.demo.studio, str(shown.rows(sources=("augmented",))[0].parent_id), "draft")
        shown.go(words.say(locale[:2], part))
        page.locator(f".st-{board} .st-card").first.wait_for()
        if board == "augment":
            page.locator(".st-draft .st-warning").wait_for()
        page.set_viewport_size({"width": 390, "height": 844})
        if board == "split":
            shown.press(f"export-{newest.id}")
            shown.press(f"compare-{newest.id}")
            # The page scrolls there, and a board that is out of sight asks for nothing.
            page.get_by_text(words.say(locale[:2], "app.snapshots.same")).wait_for()
            shown.press("deal")
            page.locator(".st-confirm-deal").wait_for()
            page.locator(".st-leak").first.wait_for()
        wide = page.evaluate(
            """() => [...document.querySelectorAll(".st-split *, .st-snapshots *, .st-augment *")]
                .filter((node) => node.offsetParent && node.getBoundingClientRect().right > innerWidth + 1)
                .map((node) => node.className)"""
        )
        assert wide == []
