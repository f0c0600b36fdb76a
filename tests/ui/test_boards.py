"""Quality, "Will it be learned?" and Guidelines in a real browser, over a real store with planted defects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from studio import dataset, preflight, projects, quality
from studio.records import Example, Recipe
from studio.rows import FLAG_KINDS, RowFilter
from studio.ui import data_quality
from studio.ui.board import Board
from studio.ui.build import build
from studio.ui.rows_table import RowsTable
from studio.ui.scans import Scans
from studio.ui.session import Desk, Session
from tests.conftest import until
from tests.ui.demo_boards import FRONT, Demo
from tests.ui.serving import serve_blocks, stop

LOOKING = ("look", "page", "open", "table")
"""What a board asks without changing anything."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, str]]:
    demo = Demo(tmp_path_factory.mktemp("boards") / "workspace")
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
        parts, seen = self.page.locator("#data-parts"), self.page.locator(":visible")
        tab = parts.get_by_role("tab", name=part, exact=True).and_(seen)
        if not tab.count():  # on a small screen Gradio puts the last ones into a menu
            parts.get_by_role("button", name="More tabs").and_(seen).first.click()
            tab = parts.locator(".overflow-dropdown").get_by_text(part, exact=True)
        tab.first.click()

    def scan(self) -> None:
        self.go("Quality")
        self.page.locator(".st-scan").click()
        expect(self.page.locator(".st-scan")).to_have_text("Scan again", timeout=60_000)
        self.page.locator(".st-map").wait_for(timeout=60_000)

    def choose(self, kind: str) -> None:
        self.page.locator(f'.st-chip[data-kind="{kind}"]').click()
        expect(self.page.locator(f'.st-chip[data-kind="{kind}"]')).to_have_attribute("aria-pressed", "true")
        self.page.locator(".st-card-row").first.wait_for()

    def counted(self) -> dict[str, int]:
        chips = self.page.locator(".st-chip[data-kind]").all()
        return {str(c.get_attribute("data-kind")): int(c.locator(".st-number").inner_text()) for c in chips}

    def toast(self) -> Locator:
        return self.page.locator(".st-quality .st-toast")

    def rows(self) -> list[Example]:
        return self.demo.studio.store.examples.find(self.project_id)

    def asked(self, question: str) -> Example:
        return next(row for row in self.rows() if row.question == question)

    def figure(self, name: str) -> int:
        return int(self.page.locator(f'.st-figure[data-figure="{name}"] strong').inner_text().replace(",", ""))


Open = Callable[..., Shown]


@pytest.fixture
def open_board(browser: Browser, site: tuple[Demo, str]) -> Iterator[Open]:
    demo, url = site
    contexts: list[Any] = []
    errors: list[str] = []

    def open_(kind: str = "library", **options: Any) -> Shown:
        project = demo.project(kind)
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **options})
        context.set_default_timeout(20_000)
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


@pytest.fixture
def shown(open_board: Open) -> Shown:
    return open_board()


@pytest.mark.usefixtures("browser")  # its event loop comes before that of the site
def test_nothing_is_changed_in_another_project_than_the_one_that_is_shown(site: tuple[Demo, str]) -> None:
    demo, _ = site
    shown, at = demo.project(), Session(demo.project().id)
    refused = {}
    for listener in demo.page.fns.values():
        for id_, event in listener.targets:
            block = demo.page.blocks.get(id_)
            if isinstance(block, Board | RowsTable) and event not in LOOKING:
                asked = gr.EventData(None, {"seq": 1, "project": shown.id})
                more = [RowFilter()] * (len(listener.inputs) - 1)
                reply = listener.fn(at, *more, None, asked)["reply"]
                refused[type(block).__name__, event] = (reply["ok"], reply["text"])
    assert {event for _, event in refused} >= {"bulk", "undo", "goal", "deal", "take", "reject_all", "make", "add"}
    assert set(refused.values()) == {(False, "Another project was opened meanwhile. Look at this one first.")}


# Quality


def test_every_kind_of_flag_has_a_chip() -> None:
    assert set(data_quality.KINDS) == set(FLAG_KINDS)


def test_a_scan_finds_what_was_planted_and_counts_as_the_table_does(shown: Shown) -> None:
    shown.scan()
    assert {"contradiction", "pii", "duplicate", "truncated"} <= shown.counted().keys()
    for kind, n in shown.counted().items():
        wanted = RowFilter(statuses=("draft", "approved"), flags=(kind,))
        assert dataset.count(shown.demo.studio, shown.project_id, wanted) == n
    shown.choose("pii")
    expect(shown.page.locator(".st-card-row .st-evidence")).to_have_text("jonas.ahlberg@stadtbuecherei.de")
    shown.page.locator(".st-all-in-table").click()
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(shown.counted()["pii"])
    expect(shown.page.locator(".st-chosen")).to_contain_text("personal data")


def test_a_contradiction_is_settled_and_the_settling_undone(shown: Shown) -> None:
    shown.scan()
    shown.choose("contradiction")
    card = shown.page.locator(".st-card-pair")
    expect(card.locator("ins").filter(has_text="50")).to_have_count(1)
    expect(card.locator("del").filter(has_text="20")).to_have_count(1)
    card.locator('[data-keep="left"]').click()
    expect(shown.page.locator('.st-chip[data-kind="contradiction"]')).to_have_count(0)
    earlier, later = FRONT[0][0], FRONT[1][0]
    assert (shown.asked(earlier).status, shown.asked(later).status) == ("approved", "rejected")
    shown.toast().get_by_role("button", name="Undo").click()
    expect(shown.page.locator(".st-card-pair")).to_have_count(1)
    assert shown.asked(later).status == "approved"
    shown.page.locator(".st-both").click()
    expect(shown.page.locator(".st-card-pair")).to_have_count(0)
    assert {shown.asked(earlier).status, shown.asked(later).status} == {"approved"}
    quality.scan_project(shown.demo.studio, shown.project_id)
    assert "contradiction" not in dataset.facets(shown.demo.studio, shown.project_id).flags


def test_what_is_fine_stays_fine(shown: Shown) -> None:
    shown.scan()
    shown.choose("pii")
    shown.page.locator(".st-q-dismiss").click()
    expect(shown.page.locator('.st-chip[data-kind="pii"]')).to_have_count(0)
    shown.page.locator(".st-scan").click()
    expect(shown.page.locator(".st-cancel-scan")).to_have_count(0)
    assert "pii" not in shown.counted()
    row = shown.asked(FRONT[2][0])
    assert row.status == "approved"
    assert row.version == 1


def test_a_flagged_answer_is_mended_in_place(shown: Shown) -> None:
    shown.scan()
    shown.choose("pii")
    shown.page.locator(".st-q-edit").click()
    shown.page.get_by_role("textbox", name="Answer").fill("Ask for it at the desk, please.")
    shown.page.locator(".st-q-editor .st-save").click()
    expect(shown.page.locator('.st-chip[data-kind="pii"]')).to_have_count(0)
    assert shown.asked(FRONT[2][0]).answer == "Ask for it at the desk, please."


def test_an_edit_on_top_of_another_person_is_refused_with_their_text(shown: Shown) -> None:
    shown.scan()
    shown.choose("pii")
    shown.page.locator(".st-q-edit").click()
    dataset.edit(shown.demo.studio, shown.asked(FRONT[2][0]).id, note="I know him.", author="Ben")
    shown.page.get_by_role("textbox", name="Answer").fill("Ask at the desk.")
    shown.page.locator(".st-q-editor .st-save").click()
    expect(shown.toast()).to_contain_text("Ben changed this example meanwhile")
    expect(shown.page.get_by_role("textbox", name="Answer")).to_have_value("Ask at the desk.")
    assert shown.asked(FRONT[2][0]).answer == FRONT[2][1]


def test_all_that_is_shown_is_rejected_at_once_and_comes_back(open_board: Open) -> None:
    shown = open_board("labels")
    shown.scan()
    shown.choose("imbalance")
    assert shown.counted()["imbalance"] == 2
    rare = [row.id for row in shown.rows() if row.answer == "complaint"]
    shown.page.locator(".st-reject-all").click()
    expect(shown.toast()).to_contain_text("2 rejected")
    assert {dataset.get(shown.demo.studio, id_).status for id_ in rare} == {"rejected"}
    assert dataset.history(shown.demo.studio, shown.project_id)[0].rows == 2
    shown.toast().get_by_role("button", name="Undo").click()
    expect(shown.page.locator('.st-chip[data-kind="imbalance"]')).to_contain_text("2")
    assert {dataset.get(shown.demo.studio, id_).status for id_ in rare} == {"approved"}


def test_the_map_leads_to_neighbours_and_the_bars_count_labels(open_board: Open) -> None:
    shown = open_board("labels")
    shown.scan()
    expect(shown.page.locator(".st-dot")).to_have_count(60)
    expect(shown.page.locator(".st-bars li").first).to_contain_text("question")
    expect(shown.page.locator(".st-rare")).to_contain_text("complaint")
    shown.page.locator(".st-topic").first.click()
    shown.page.locator(".st-topic-rows button").first.click()
    expect(shown.page.locator(".st-near:not(.st-near-own) .st-near-row")).to_have_count(data_quality.NEIGHBOURS)
    scores = shown.page.locator(".st-near:not(.st-near-own) .st-mini").all_inner_texts()
    alike = [int(text.split()[0]) for text in scores]
    assert alike == sorted(alike, reverse=True)


def test_a_scan_ends_without_a_browser_and_can_be_cancelled(site: tuple[Demo, str]) -> None:
    demo, _ = site
    project = demo.project()
    scans = Scans(Desk(demo.studio))
    scans.start(project.id)
    until(lambda: scans.value(project.id, "en")["state"] == "done")  # type: ignore[index]
    assert "contradiction" in dataset.facets(demo.studio, project.id).flags
    before = dataset.facets(demo.studio, project.id).flags
    scans.start(project.id)
    scans.cancel(project.id)
    until(lambda: scans.value(project.id, "en")["state"] == "cancelled")  # type: ignore[index]
    assert dataset.facets(demo.studio, project.id).flags == before


# Will it be learned?


def test_the_figures_are_the_trainers(shown: Shown) -> None:
    studio = shown.demo.studio
    long = dataset.add(studio, shown.project_id, "Tell me everything.", "Books and books and books. " * 80)
    blank = dataset.add(studio, shown.project_id, "Is it you?", "It is.")
    dataset.edit(studio, blank.id, learn_answer=False)
    report = preflight.report(studio, shown.project_id)
    shown.go("Will it be learned?")
    shown.page.locator(".st-l-row").first.wait_for()
    assert (shown.figure("learned"), shown.figure("left_out"), shown.figure("cut")) == (report.rows, 2, 0)
    left_out = shown.page.locator(".st-l-row").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    assert set(left_out) == {row.example_id for row in report.left_out}
    shown.page.locator(f'.st-l-row[data-id="{long.id}"]').click()
    expect(shown.page.locator(".st-l-open")).to_contain_text("at most 1,024 fit")
    expect(shown.page.locator(".st-rendered .st-run-learned")).to_have_count(0)
    shown.page.locator('[data-strategy="truncate"]').click()
    expect(shown.page.locator('.st-figure[data-figure="cut"] strong')).to_have_text("1")
    cut = preflight.report(studio, shown.project_id, Recipe(excess_length_strategy="truncate"))
    assert (shown.figure("learned"), shown.figure("left_out")) == (cut.rows, len(cut.left_out))
    shown.page.locator('[data-list="cut"]').click()
    shown.page.locator(f'.st-l-row[data-id="{long.id}"]').click()
    view = preflight.token_view(studio, long, Recipe(excess_length_strategy="truncate"))
    runs = shown.page.locator(".st-rendered .st-run")
    expect(runs).to_have_count(len(view.runs))
    assert [(r.text_content(), str(r.get_attribute("class")).split("-")[-1]) for r in runs.all()] == [
        (run.text, run.kind) for run in view.runs
    ]


def test_the_plan_leads_to_the_rows_it_leaves_out_under_its_recipe(browser: Browser, site: tuple[Demo, str]) -> None:
    demo, _ = site
    project = demo.project()
    dataset.add(demo.studio, project.id, "Tell me everything.", "Books and books and books. " * 80)
    server, url = serve_blocks(build(Desk(demo.studio)))
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    page.goto(url)
    page.locator("#composer textarea").wait_for()
    page.locator("#tabs").get_by_role("tab", name="Train", exact=True).and_(page.locator(":visible")).first.click()
    expect(page.locator("#plan")).to_contain_text("1 example will be left out: 1 too long")
    page.get_by_text("More settings").click()
    page.locator("#max-length input").fill("60")
    page.locator("#max-length input").press("Tab")
    report = preflight.report(demo.studio, project.id, Recipe(max_length=60))
    expect(page.locator("#plan")).to_contain_text(f"{len(report.left_out)} examples will be left out")
    page.locator("#see-left-out").click()
    expect(page.locator('.st-figure[data-figure="left_out"] strong')).to_have_text(str(len(report.left_out)))
    expect(page.locator(".st-l-length")).to_have_value("60")
    context.close()
    stop(server)


# Guidelines


def test_guidelines_save_themselves(shown: Shown) -> None:
    shown.go("Guidelines")
    guide = shown.page.get_by_role("textbox", name="Guidelines")
    expect(guide).to_be_editable()
    expect(shown.page.locator(".st-g-text").get_by_role("button", name="Save")).to_have_count(0)
    guide.fill("Two sentences at most.")
    until(lambda: projects.get(shown.demo.studio, shown.project_id).guidelines == "Two sentences at most.")
    expect(shown.page.locator(".st-g-text [role=status]")).to_have_text("Saved")


def test_guidelines_of_another_person_are_not_overwritten(shown: Shown) -> None:
    shown.go("Guidelines")
    guide = shown.page.get_by_role("textbox", name="Guidelines")
    expect(guide).to_be_editable()
    projects.update(shown.demo.studio, shown.project_id, guidelines="Ben's.")
    guide.fill("Mine.")
    expect(shown.page.locator(".st-rules .st-toast")).to_contain_text("Somebody changed the guidelines")
    assert projects.get(shown.demo.studio, shown.project_id).guidelines == "Ben's."
    shown.page.get_by_role("button", name="Load theirs").click()
    expect(guide).to_have_value("Ben's.")


def test_a_rule_is_tried_out_before_it_is_added(shown: Shown) -> None:
    shown.go("Guidelines")
    breaking = sum("euros" in row.answer for row in shown.rows())
    shown.page.locator(".st-select").select_option("must_not_contain")
    shown.page.get_by_role("textbox", name="The text").fill("Euros")
    expect(shown.page.locator("[data-would-break]")).to_have_attribute("data-would-break", str(breaking))
    expect(shown.page.locator(".st-found .st-evidence").first).to_have_text("euros")
    assert not projects.get(shown.demo.studio, shown.project_id).rules
    shown.page.locator(".st-add-rule").click()
    expect(shown.page.locator(".st-rule [data-breaking]")).to_have_attribute("data-breaking", str(breaking))
    until(lambda: dataset.facets(shown.demo.studio, shown.project_id).flags.get("rule") == breaking)
    shown.go("Quality")
    expect(shown.page.locator('.st-chip[data-kind="rule"] .st-number')).to_have_text(str(breaking))
    shown.go("Guidelines")
    shown.page.locator(".st-remove-rule").click()
    expect(shown.page.locator(".st-rule")).to_have_count(0)
    assert not projects.get(shown.demo.studio, shown.project_id).rules


def test_a_rule_that_cant_be_used_says_why_beside_the_field(shown: Shown) -> None:
    shown.go("Guidelines")
    shown.page.locator(".st-select").select_option("regex")
    field = shown.page.get_by_role("textbox", name="The pattern")
    field.fill("(open")
    expect(shown.page.locator("#st-rule-problem")).to_contain_text("missing )")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(shown.page.locator(".st-add-rule")).to_have_attribute("aria-disabled", "true")
    shown.page.locator(".st-select").select_option("json_schema")
    shown.page.get_by_role("textbox", name="The schema").fill('{"type": 7}')
    expect(shown.page.locator("#st-rule-problem")).to_contain_text("no valid JSON schema")


def test_a_blocking_rule_refuses_approval_in_the_table(shown: Shown) -> None:
    row = shown.asked(FRONT[3][0])
    dataset.set_status(shown.demo.studio, row.id, "draft")
    shown.go("Guidelines")
    shown.page.get_by_role("textbox", name="The text").fill("Sunday")
    shown.page.get_by_role("textbox", name="What to say").fill("Say when we are closed.")
    shown.page.get_by_role("checkbox").check()
    shown.page.locator(".st-add-rule").click()
    shown.page.locator(".st-rule").wait_for()
    shown.go("Examples")
    line = shown.page.locator(f'tr[data-id="{row.id}"]')
    shown.page.get_by_role("searchbox").fill("When are you open")
    expect(shown.page.locator(".st-grid tbody tr")).to_have_count(2)
    line.click()
    shown.page.keyboard.press("a")
    expect(line.locator(".st-row-problem")).to_contain_text("This can't be approved: Say when we are closed.")
    assert dataset.get(shown.demo.studio, row.id).status == "draft"


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_clipped_or_left_without_words(open_board: Open, width: int) -> None:
    shown = open_board(viewport={"width": width, "height": 844}, locale="ja-JP")
    quality.scan_project(shown.demo.studio, shown.project_id)
    for part, host in (("品質", ".st-quality"), ("学習される内容", ".st-learn"), ("ガイドライン", ".st-rules")):
        shown.go(part)
        shown.page.locator(host).wait_for()
        shown.page.wait_for_timeout(400)
        assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        wide = shown.page.locator(host).evaluate("node => node.scrollWidth - node.clientWidth")
        assert wide <= 1, part
        text = shown.page.locator(host).inner_text()
        assert "undefined" not in text
        assert "NaN" not in text
