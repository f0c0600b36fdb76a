"""The table of rows in a real browser, over a real store: triage, editing, conflicts, filters, bulk changes, safety."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from studio import dataset, projects, quality
from studio.detectors.personal import personal
from studio.records import Example, now
from studio.rows import RowFilter
from tests.conftest import until
from tests.ui.demo_rows import CANARY, Demo
from tests.ui.serving import stop


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, str]]:
    demo = Demo(tmp_path_factory.mktemp("rows") / "workspace")
    server, url = demo.serve()
    yield demo, url
    stop(server)
    demo.studio.close()


@dataclass
class Shown:
    page: Page
    demo: Demo
    project_id: str
    ids: list[str]

    def row(self, id_: str) -> Any:
        return self.page.locator(f'tr[data-id="{id_}"]')

    def stored(self, id_: str) -> Example:
        return dataset.get(self.demo.studio, id_)

    def selects(self, id_: str) -> None:
        expect(self.row(id_)).to_have_attribute("aria-selected", "true")

    def saved(self, id_: str) -> None:
        expect(self.row(id_)).not_to_have_class(re.compile("st-waiting"))

    def choose_project(self, project_id: str) -> None:
        """In the other tab; the table hears of it when it is seen again."""
        self.page.get_by_role("tab", name="Chat").click()
        chosen = self.page.get_by_role("textbox", name="Project")
        chosen.fill(project_id)
        chosen.press("Enter")
        expect(chosen).to_have_value("")

    def come_back(self) -> None:
        self.page.get_by_role("tab", name="Data").click()


Open = Callable[..., Shown]


@pytest.fixture
def open_rows(browser: Browser, site: tuple[Demo, str]) -> Iterator[Open]:
    demo, url = site
    demo.pause_s = 0
    contexts: list[Any] = []
    errors: list[str] = []

    def open_(count: int = 60, **options: Any) -> Shown:
        project, ids = demo.project(count)
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{url}?project={project.id}")
        page.locator(".st-grid tbody tr").first.wait_for()
        return Shown(page, demo, project.id, ids[::-1])

    yield open_
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def shown(open_rows: Open) -> Shown:
    return open_rows()


def test_keys_judge_and_go_on(shown: Shown) -> None:
    first, second, third = shown.ids[:3]
    shown.selects(first)
    shown.page.keyboard.press("a")
    shown.selects(second)
    expect(shown.row(first).locator(".st-status")).to_contain_text("approved")
    shown.page.keyboard.press("x")
    shown.selects(third)
    expect(shown.row(second).locator(".st-status")).to_contain_text("rejected")
    until(lambda: [shown.stored(i).status for i in (first, second)] == ["approved", "rejected"])
    shown.page.keyboard.press("z")
    shown.selects(second)
    expect(shown.row(second).locator(".st-status")).to_contain_text("draft")
    shown.page.keyboard.press("s")
    shown.selects(third)
    shown.page.keyboard.press("k")
    shown.selects(second)


def test_the_goal_reads_as_a_goal(shown: Shown) -> None:
    approved = dataset.count(shown.demo.studio, shown.project_id, RowFilter(statuses=("approved",)))
    goal = shown.page.locator(".st-goal-text")
    for wanted, text in (
        (approved + 1, f"{approved} approved · goal {approved + 1}"),
        (approved, f"{approved} approved · goal of {approved} reached"),
    ):
        projects.update(shown.demo.studio, shown.project_id, goal=wanted)
        shown.page.reload()
        expect(goal).to_have_text(text)


def test_what_an_edit_contradicts_is_flagged_beside_it_a_moment_later(shown: Shown) -> None:
    newest, *_, older = [id_ for id_ in shown.ids[:20] if shown.stored(id_).is_single_turn]
    dataset.edit(shown.demo.studio, older, prompt="Where can visitors park their car?", answer="2 hours are free.")
    shown.page.reload()
    shown.row(newest).click()
    shown.selects(newest)
    shown.page.keyboard.press("e")
    for label, text in (("Question", "Where can visitors park their car?"), ("Answer", "3 hours are free.")):
        shown.page.get_by_role("textbox", name=label, exact=True).fill(text)
    shown.page.keyboard.press("Control+Enter")
    expect(shown.row(newest)).to_contain_text("contradiction", timeout=20_000)


def test_a_row_shows_its_new_state_only_when_it_is_saved(shown: Shown) -> None:
    shown.demo.pause_s = 0.4
    shown.page.keyboard.press("a")
    expect(shown.row(shown.ids[0]).locator(".st-status")).to_contain_text("saving")
    shown.selects(shown.ids[1])
    expect(shown.row(shown.ids[0]).locator(".st-status")).to_contain_text("approved")


def test_a_row_that_another_person_changed_is_not_judged_unseen(shown: Shown) -> None:
    first = shown.ids[0]
    dataset.edit(shown.demo.studio, first, answer="Call nobody.", author="Ben")
    shown.page.keyboard.press("a")
    expect(shown.row(first).locator(".st-row-problem")).to_contain_text("Ben changed this example meanwhile")
    expect(shown.row(first)).to_contain_text("Call nobody.")
    assert shown.stored(first).status == "draft"


def test_a_blocked_approval_is_explained_where_the_next_row_is_open(open_rows: Open) -> None:
    shown = open_rows(6, locale="ja-JP")
    quality.add_rule(shown.demo.studio, shown.project_id, "must_contain", "§", blocks=True)
    first, second = shown.ids[:2]
    shown.page.keyboard.press("a")
    shown.selects(second)
    note = shown.page.locator(".st-rows-right .st-problem")
    expect(note).to_contain_text("承認できません：回答に「§」を必ず入れてください。")
    assert shown.stored(first).status == "draft"
    note.get_by_role("button").click()
    shown.selects(first)
    expect(note).to_have_count(1)
    expect(note.get_by_role("button")).to_have_count(0)


def test_rows_that_are_not_trained_on_have_no_switch(shown: Shown) -> None:
    switch = shown.page.get_by_role("switch")
    expect(switch.first).to_be_visible()
    rows = RowFilter(ids=(shown.ids[0],))
    shown.demo.studio.store.revisions.revise(shown.project_id, rows, {"split": "test"}, "a1", "", now())
    shown.page.reload()
    expect(shown.page.locator(".st-turn-head", has_text="for the test")).to_be_visible()
    expect(switch).to_have_count(0)


def test_what_is_found_in_one_text_is_one_finding(shown: Shown) -> None:
    row = shown.stored(shown.ids[1])
    found = personal(replace(row, answer="Write to anna@brightmail.co or call 020 7946 0958."))
    shown.demo.studio.store.flags.replace(shown.project_id, found, kinds=("pii",), example_ids=None)
    shown.page.reload()
    shown.row(row.id).click()
    shown.selects(row.id)
    card = shown.page.locator(".st-flag", has_text="personal data")
    expect(card).to_contain_text("E-mail address: anna@brightmail.co")
    expect(card).to_contain_text("Telephone number: 020 7946 0958")
    card.get_by_role("button", name="Dismiss").click()
    expect(shown.page.locator(".st-flag", has_text="personal data")).to_have_count(0)


def test_a_small_screen_folds_the_filters_away_and_cuts_nothing_off(open_rows: Open) -> None:
    shown = open_rows(12, viewport={"width": 390, "height": 844})
    menus = shown.page.locator(".st-menu[data-menu]")
    expect(menus.first).to_be_hidden()
    shown.page.get_by_role("button", name="Filter").click()
    expect(menus).to_have_count(8)
    for place in range(8):
        box = menus.nth(place).bounding_box()
        assert box
        assert box["x"] + box["width"] <= 390
        assert box["height"] >= 40
    menus.first.click()
    shown.page.locator(".st-popover").get_by_text("approved").click()
    expect(shown.page.get_by_role("button", name="Filter 1")).to_be_visible()
    # Beside the small box is the box, too.
    shown.page.locator("td.st-col-check").first.click(position={"x": 30, "y": 34})
    expect(shown.page.locator(".st-bulk")).to_contain_text("1 selected")


def test_an_edit_is_compared_saved_and_goes_on(shown: Shown) -> None:
    first, second = shown.ids[:2]
    shown.page.keyboard.press("e")
    area = shown.page.get_by_role("textbox", name="Answer", exact=True)
    expect(area).to_be_focused()
    area.fill("Then bring an ID and a letter.")
    expect(shown.page.locator(".st-changes ins").first).to_contain_text("and a letter")
    area.press("Control+Enter")
    shown.selects(second)
    row = shown.stored(first)
    assert (row.answer, row.status, row.version) == ("Then bring an ID and a letter.", "approved", 2)


def test_half_typed_text_survives_escape_and_a_reload(shown: Shown) -> None:
    shown.page.keyboard.press("e")
    area = shown.page.get_by_role("textbox", name="Answer", exact=True)
    area.fill("Half a tho")
    area.press("Escape")
    expect(shown.row(shown.ids[0])).to_contain_text("half typed")
    shown.page.keyboard.press("e")
    expect(area).to_have_value("Half a tho")
    shown.page.reload()
    expect(area).to_have_value("Half a tho")
    assert shown.stored(shown.ids[0]).version == 1


@pytest.mark.parametrize("choice", ["Keep mine", "Take theirs"])
def test_two_people_at_one_row_see_both_texts(shown: Shown, choice: str) -> None:
    first = shown.ids[0]
    shown.page.keyboard.press("e")
    area = shown.page.get_by_role("textbox", name="Answer", exact=True)
    area.fill("My answer.")
    dataset.edit(shown.demo.studio, first, answer="Their answer.", author="Ben")
    area.press("Control+Enter")
    clash = shown.page.locator(".st-clash")
    expect(clash).to_contain_text("Ben changed this example while you were writing.")
    expect(clash.locator(".st-side-text").nth(0)).to_contain_text("My")
    expect(clash.locator(".st-side-text").nth(1)).to_contain_text("Their")
    clash.get_by_role("button", name=choice).click()
    expect(clash).to_have_count(0)
    wanted = "My answer." if choice == "Keep mine" else "Their answer."
    until(lambda: shown.stored(first).answer == wanted)


def test_letters_are_letters_while_typing_and_composing(shown: Shown) -> None:
    shown.page.keyboard.press("/")
    expect(shown.page.locator(".st-rows-search")).to_be_focused()
    shown.page.keyboard.type("axez")
    shown.page.locator(".st-rows-search").press("Escape")
    shown.page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'a', isComposing: true, bubbles: true }))"
    )
    shown.page.wait_for_timeout(300)
    assert all(shown.stored(i).version == 1 for i in shown.ids)


def test_of_a_very_common_word_the_newest_rows_are_shown(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.ui.data_rows.MOST_HITS", 5)
    page = shown.page
    page.locator(".st-rows-search").fill("the")
    expect(page.get_by_text("1–5 of more than 5", exact=True)).to_be_visible()
    expect(page.locator("tr[data-id]")).to_have_count(5)
    page.locator(".st-rows-search").fill("")
    expect(page.get_by_text("of more than")).to_have_count(0)


def test_search_finds_english_and_japanese(shown: Shown) -> None:
    search = shown.page.locator(".st-rows-search")
    for text, found in (("reading room", "Can I eat in the reading room?"), ("再発行", "カードをなくしました")):
        search.fill(text)
        expect(shown.page.locator(".st-chosen")).to_contain_text(text)
        expect(shown.page.locator(".st-grid .st-q").first).to_contain_text(found)
        expect(shown.page.locator(".st-grid .st-q").filter(has_not_text=found)).to_have_count(0)


def test_a_menu_filters_and_chips_take_the_filter_away(shown: Shown) -> None:
    shown.page.locator('[data-menu="statuses"]').click()
    shown.page.locator(".st-item").filter(has_text="approved").click()
    expect(shown.page.locator(".st-count-text")).to_have_text("1–20 of 20")
    shown.page.keyboard.press("Escape")
    shown.page.get_by_role("button", name="Remove filter: approved").click()
    expect(shown.page.locator(".st-count-text")).to_have_text("1–25 of 60")


def test_a_bulk_change_of_all_that_match_is_undone_at_once(shown: Shown) -> None:
    shown.page.locator('thead input[type="checkbox"]').click()
    shown.page.get_by_role("button", name="Select all 60 that match").click()
    shown.page.locator(".st-bulk").get_by_role("button", name="Reject").click()
    expect(shown.page.locator(".st-said")).to_contain_text("60 rejected.")
    count = dataset.count(shown.demo.studio, shown.project_id, RowFilter(statuses=("rejected",)))
    assert count == 60
    shown.page.locator(".st-said").get_by_role("button", name="Undo").click()
    until(lambda: not dataset.count(shown.demo.studio, shown.project_id, RowFilter(statuses=("rejected",))))


def test_what_was_checked_in_one_project_is_not_done_in_another(shown: Shown) -> None:
    other, others = shown.demo.project(12)
    shown.page.locator('thead input[type="checkbox"]').click()
    shown.page.get_by_role("button", name="Select all 60 that match").click()
    shown.choose_project(other.id)
    held: list[Route] = []

    def hold_pages(route: Route) -> None:
        if '"what":' in (route.request.post_data or ""):
            route.continue_()
        else:
            held.append(route)

    # What the table asks for by itself takes long, so that it stands as it was.
    shown.page.route("**/queue/join*", hold_pages)
    shown.come_back()
    shown.page.locator(".st-bulk").get_by_role("button", name="Reject").click()
    said = shown.page.locator(".st-said")
    expect(said).to_contain_text("Another project was opened meanwhile. Look at this one first.")
    rejected = RowFilter(statuses=("rejected",))
    assert [dataset.count(shown.demo.studio, id_, rejected) for id_ in (shown.project_id, other.id)] == [0, 0]
    shown.page.unroute("**/queue/join*")  # lets go what was held
    shown.selects(others[-1])
    expect(said).to_contain_text("Another project was opened meanwhile.")
    expect(shown.page.locator(".st-bulk")).to_be_hidden()


def test_an_open_form_for_a_new_row_locks_nothing_and_stays_with_its_project(shown: Shown) -> None:
    first, second = shown.ids[:2]
    form = shown.page.get_by_role("group", name="A new example")
    question = form.get_by_role("textbox", name="Question")
    shown.page.keyboard.press("n")
    question.fill("Is there a café?")
    form.locator(".st-save").focus()
    shown.page.keyboard.press("5")
    shown.row(second).click()
    shown.page.keyboard.press("Enter")
    answer = shown.page.get_by_role("textbox", name="Answer", exact=True)
    expect(answer).to_be_focused()
    expect(form).to_have_count(0)
    answer.press("Escape")
    expect(shown.page.locator(".st-star").first).to_be_visible()
    shown.page.keyboard.press("k")
    shown.selects(first)
    expect(shown.page.locator(".st-star[aria-pressed=true]")).to_have_count(0)
    shown.page.keyboard.press("n")
    expect(question).to_have_value("Is there a café?")

    other, others = shown.demo.project(12)
    shown.choose_project(other.id)
    shown.come_back()
    shown.selects(others[-1])
    expect(form).to_have_count(0)
    shown.page.keyboard.press("n")
    expect(question).to_have_value("")
    shown.choose_project(shown.project_id)
    shown.come_back()
    shown.selects(first)
    shown.page.keyboard.press("n")
    expect(question).to_have_value("Is there a café?")


def test_undo_beside_a_text_is_offered_only_while_it_means_that(shown: Shown) -> None:
    def judge(count: int) -> None:
        boxes = shown.page.locator('tbody input[type="checkbox"]')
        for number in range(count):
            boxes.nth(number).click()
        shown.page.locator(".st-bulk").get_by_role("button", name="Reject").click()
        expect(shown.page.locator(".st-said")).to_contain_text(f"{count} rejected.")

    beside = shown.page.locator(".st-said").get_by_role("button", name="Undo")
    judge(2)
    expect(beside).to_be_visible()
    # Another decision: "Undo" would take back that one now.
    draft = next(id_ for id_ in shown.ids[3:20] if shown.stored(id_).status == "draft")
    shown.row(draft).click()
    shown.page.keyboard.press("a")
    until(lambda: shown.stored(draft).status == "approved")
    expect(beside).to_have_count(0)
    shown.page.keyboard.press("z")
    expect(shown.page.locator(".st-said")).to_contain_text("Taken back.")
    expect(beside).to_have_count(0)


def test_drafts_are_triaged_to_the_last_one_over_pages(shown: Shown) -> None:
    shown.page.locator('[data-menu="statuses"]').click()
    shown.page.locator(".st-item").filter(has_text="draft").click()
    shown.page.keyboard.press("Escape")
    expect(shown.page.locator(".st-count-text")).to_have_text("1–25 of 40")
    for _ in range(40):
        shown.page.locator('tr[aria-selected="true"]:not(.st-waiting) .st-status-draft').wait_for()
        shown.page.keyboard.press("a")
    until(lambda: not dataset.count(shown.demo.studio, shown.project_id, RowFilter(statuses=("draft",))))


def test_tags_rating_note_and_learning_are_saved(shown: Shown) -> None:
    first = shown.ids[0]
    shown.page.keyboard.press("4")
    shown.page.keyboard.press("t")
    shown.page.keyboard.type("fe")
    shown.page.keyboard.press("ArrowDown")
    shown.page.keyboard.press("Enter")
    until(lambda: (shown.stored(first).rating, shown.stored(first).tags) == (4, ("fees",)))
    note = shown.page.locator(".st-note-area")
    note.fill("ask Ben")
    note.press("Control+Enter")
    until(lambda: shown.stored(first).note == "ask Ben")
    shown.page.get_by_role("switch").last.click()
    until(lambda: not shown.stored(first).learn_answer)


def test_tags_in_quick_succession_are_all_kept(shown: Shown) -> None:
    first = shown.ids[0]
    shown.demo.pause_s = 0.3
    shown.page.keyboard.press("t")
    for tag in ("one", "two", "three", "four"):
        shown.page.keyboard.type(tag)
        shown.page.keyboard.press("Enter")
    until(lambda: shown.stored(first).tags == ("four", "one", "three", "two"))
    chips = shown.page.locator(".st-meta .st-removable")
    expect(chips).to_have_count(4)
    for tag in ("one", "two"):
        shown.page.get_by_role("button", name=f"Remove tag {tag}").click()
    shown.page.keyboard.press("t")
    shown.page.keyboard.press("Backspace")
    shown.saved(first)
    expect(chips).to_have_count(1)
    assert shown.stored(first).tags == ("four",)


def test_a_half_typed_tag_outlives_the_saving_of_the_one_before(shown: Shown) -> None:
    shown.demo.pause_s = 0.3
    shown.page.keyboard.press("t")
    shown.page.keyboard.type("one,half")
    expect(shown.page.locator(".st-meta .st-removable")).to_have_count(1)
    shown.saved(shown.ids[0])
    field = shown.page.locator(".st-tag-input")
    expect(field).to_have_value("half")
    expect(field).to_be_focused()
    shown.page.keyboard.press("Escape")
    shown.page.keyboard.press("j")
    shown.selects(shown.ids[1])
    expect(field).to_have_value("")


def test_a_note_can_be_typed_on_while_it_is_saved(shown: Shown) -> None:
    first = shown.ids[0]
    shown.demo.pause_s = 0.3
    note = shown.page.locator(".st-note-area")
    note.fill("ask Ben")
    note.press("Control+Enter")
    note.press("End")
    shown.page.keyboard.type(" and Aiko")
    shown.saved(first)
    assert shown.stored(first).note == "ask Ben"
    expect(note).to_have_value("ask Ben and Aiko")
    shown.page.reload()
    expect(note).to_have_value("ask Ben and Aiko")
    note.focus()
    note.fill("")
    note.press("Control+Enter")
    note.fill("ask Ben")
    note.press("Control+Enter")
    shown.saved(first)
    assert shown.stored(first).note == "ask Ben"
    dataset.edit(shown.demo.studio, first, note="asked", author="Ben")
    shown.page.keyboard.press("3")
    expect(note).to_have_value("asked")


def test_a_contradiction_is_settled_side_by_side(shown: Shown) -> None:
    this, other = shown.ids[1], shown.ids[-1]
    shown.page.keyboard.press("j")
    shown.page.get_by_role("button", name="Show both").click()
    shown.page.get_by_role("button", name="Keep the other").click()
    until(lambda: shown.stored(this).status == "rejected")
    assert shown.stored(other).status == "approved"
    until(lambda: not dataset.flags(shown.demo.studio, shown.project_id, [this, other]))


def test_the_history_brings_an_earlier_version_back(shown: Shown) -> None:
    first = shown.ids[0]
    was = shown.stored(first).answer
    dataset.edit(shown.demo.studio, first, answer="Something else.", author="Ben")
    shown.page.reload()
    timeline = shown.page.locator(".st-timeline")
    expect(timeline).to_contain_text("edited · Ben")
    timeline.get_by_role("button", name="Restore version 1").click()
    until(lambda: shown.stored(first).answer == was)
    expect(timeline).to_contain_text("restored")


def test_text_is_never_run(shown: Shown) -> None:
    dataset.edit(shown.demo.studio, shown.ids[0], answer=CANARY, tags=[CANARY[:50]], note=CANARY)
    shown.page.reload()
    expect(shown.page.locator(".st-the-answer")).to_contain_text("onerror")
    assert shown.page.evaluate("window.pwned") is None


@pytest.mark.parametrize("locale", ["en-US", "ja-JP"])
def test_a_phone_has_no_sideways_scroll_and_the_buttons_at_hand(open_rows: Open, locale: str) -> None:
    shown = open_rows(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale=locale)
    shown.row(shown.ids[2]).tap()
    approve = shown.page.locator('[data-action="approved"]')
    expect(approve).to_be_in_viewport()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    box = approve.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    shown.page.locator('[data-action="rejected"]').tap()
    until(lambda: shown.stored(shown.ids[2]).status == "rejected")
    expect(shown.row(shown.ids[3])).to_have_class(re.compile("st-selected"))
