"""The Data tab of the real app: an expert reviews imported rows with the keyboard alone.

STUDIO_SCREENSHOTS names the folder for the pictures (`make screenshots` uses docs/screenshots).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio import imports, projects
from studio.context import open_studio
from studio.records import Example
from studio.settings import Settings
from studio.store import Store
from tests.e2e import library
from tests.e2e.conftest import App, Start
from tests.e2e.test_browser import open_part, open_tab

pytestmark = pytest.mark.e2e
ENGLISH = (
    ("Can I borrow an e-book reader?", "Yes, for three weeks, with your library card."),
    ("What does a replacement card cost?", "A new library card costs 5 euros."),
    ("Where do I return books at night?", "Use the return box beside the entrance."),
    ("Is there a quiet room?", "The quiet room is on the third floor."),
)
JAPANESE = (
    ("本を延長できますか。", "はい、予約がなければ二回まで延長できます。"),
    ("カードをなくしました。", "再発行の手数料は500円です。"),
    ("駐車場はありますか。", "図書館の裏に二十台分あります。"),
)
PARTS = {
    "Add and import": "add",
    "Quality": "quality",
    "Will it be learned?": "learn",
    "Guidelines": "rules",
    "Split and snapshots": "sets",
    "More examples": "augment",
    "Export": "export",
}
ROWS = 24
TRIAGED = 20


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("STUDIO_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def rows() -> list[dict[str, str]]:
    branches = (
        (f"When is branch {number} open?", f"Branch {number} is open from {number % 4 + 8} to 18.")
        for number in range(ROWS - len(ENGLISH) - len(JAPANESE))
    )
    found = (*ENGLISH, *JAPANESE, *branches)
    return [{"instruction": question, "output": answer} for question, answer in found]


@pytest.fixture
def app(serve: Start, tmp_path: Path) -> App:
    """The app on drafts that were imported."""
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows()), encoding="utf-8")
    workspace = tmp_path / "workspace"
    studio = open_studio(Settings(workspace=workspace, engine="echo"), "test")
    imports.import_file(studio, projects.default(studio).id, file)
    studio.close()
    return serve(workspace)


def stored(app: App) -> list[Example]:
    app.stop()
    store = Store(app.workspace / "studio.duckdb")
    return store.examples.find(store.projects.all()[0].id)


def test_twenty_rows_are_triaged_by_keyboard_alone(app: App, visit: Callable[..., Page]) -> None:
    page = visit(app)
    open_tab(page, "Data")
    grid = page.locator("#rows .st-grid")
    selected = grid.locator('tr[aria-selected="true"]')
    expect(grid.locator("tbody tr")).to_have_count(ROWS)
    page.mouse.move(0, 0)
    decisions = []
    for number in range(TRIAGED):
        id_ = selected.get_attribute("data-id")
        if number % 5 == 4:
            page.keyboard.press("e")
            answer = page.get_by_role("textbox", name="Answer", exact=True)
            expect(answer).to_be_focused()
            page.keyboard.press("Control+End")
            page.keyboard.type(" Ask at the desk.")
            page.keyboard.press("Control+Enter")
            decisions.append((id_, "approved", " Ask at the desk."))
        else:
            key, status = (("x", "rejected"), ("s", "draft"), ("a", "approved"), ("a", "approved"))[number % 5]
            page.keyboard.press(key)
            decisions.append((id_, status, ""))
        expect(grid.locator(f'tr[data-id="{id_}"]')).to_have_attribute("aria-selected", "false")
    # The last decision is taken back, and made again the other way.
    page.keyboard.press("z")
    last = decisions[-1][0]
    expect(grid.locator(f'tr[data-id="{last}"] .st-status')).to_contain_text("draft")
    expect(grid.locator(f'tr[data-id="{last}"]')).to_have_attribute("aria-selected", "true")
    page.keyboard.press("x")
    expect(grid.locator(f'tr[data-id="{last}"] .st-status')).to_contain_text("rejected")
    decisions[-1] = (last, "rejected", "")
    by_id = {row.id: row for row in stored(app)}
    assert len({id_ for id_, _, _ in decisions}) == TRIAGED
    assert [by_id[str(id_)].status for id_, _, _ in decisions] == [status for _, status, _ in decisions]
    assert all(by_id[str(id_)].answer.endswith(end) for id_, _, end in decisions if end)


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("library card", "What does a replacement card cost?"),
        ("延長", "本を延長できますか。"),
        ("駐車", "駐車場はありますか。"),
    ],
)
def test_search_finds_both_languages(app: App, visit: Callable[..., Page], typed: str, question: str) -> None:
    page = visit(app)
    open_tab(page, "Data")
    grid = page.locator("#rows .st-grid")
    expect(grid.locator("tbody tr")).to_have_count(ROWS)
    page.keyboard.press("/")
    page.keyboard.type(typed)
    fitting = [row for row in rows() if typed in row["instruction"] + row["output"]]
    expect(grid.locator("tbody tr")).to_have_count(len(fitting))
    expect(grid).to_contain_text(question)
    # Back to the rows: the letters judge again.
    page.keyboard.press("Escape")
    expect(page.locator(".st-rows-search")).not_to_be_focused()


# Pictures


@pytest.fixture
def library_app(serve: Start, tmp_path: Path) -> App:
    """The app on a project as it is after a week of work."""
    return serve(library.make(tmp_path / "workspace"))


def test_the_table_looks_good(library_app: App, visit: Callable[..., Page], pictures: Path) -> None:
    for name, options in {"": {}, "-dark": {"color_scheme": "dark"}, "-ja": {"locale": "ja-JP"}}.items():
        page = visit(library_app, **options)
        open_tab(page, "データ" if name == "-ja" else "Data")
        page.locator("#rows tr", has_text="Who leads the reading circle?").click()
        expect(page.locator(".st-flag")).to_be_visible()
        expect(page.locator(".st-timeline li")).not_to_have_count(0)
        page.mouse.move(0, 0)
        for width, height in {1440: 900, 390: 844}.items():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(500)
            page.screenshot(path=pictures / f"rows{name}-{width}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def read_a_file(page: Page, folder: Path) -> None:
    """Up to the preview: what is read of a file before anything is added."""
    file = folder / "more-questions.csv"
    lines = ("Question,Answer,Tags", 'May I bring a suitcase?,"Yes, there are lockers beside the entrance.",rooms')
    more = ("忘れ物はどこですか。,一階の窓口で預かっています。,", 'Do you lend umbrellas?,"Yes, for a day.",loans')
    file.write_text("\n".join((*lines, *more)) + "\n", encoding="utf-8")
    page.locator("#import-file input[type=file]").set_input_files(file)
    expect(page.locator("#import-about")).to_contain_text(file.name)
    page.locator("#import-about").scroll_into_view_if_needed()


def scan(page: Page, _: Path) -> None:
    page.locator("#quality").get_by_role("button", name="Scan").first.click()
    expect(page.locator("#quality .st-q-map svg, #quality canvas").first).to_be_visible(timeout=60_000)


def export(page: Page, _: Path) -> None:
    page.locator("#export-go").click()
    expect(page.locator("#export-result")).to_contain_text("Verified")
    page.locator("#export-result").scroll_into_view_if_needed()


def compare(page: Page, _: Path) -> None:
    page.locator("#snapshots").get_by_role("button", name="Compare", exact=True).last.click()
    expect(page.locator("#snapshots ins").first).to_be_visible()


def make_drafts(page: Page, _: Path) -> None:
    page.locator("#augment .st-method-name", has_text="Fewer words").click()
    page.locator("#augment").get_by_role("button", name="Make drafts").click()
    expect(page.locator("#augment .st-draft").first).to_be_visible(timeout=60_000)


PREPARED: dict[str, Callable[[Page, Path], None]] = {
    "add": read_a_file,
    "quality": scan,
    "sets": compare,
    "augment": make_drafts,
    "export": export,
}
"""What a person would have done before looking, by the name of the picture."""


def test_every_part_looks_good(library_app: App, visit: Callable[..., Page], pictures: Path, tmp_path: Path) -> None:
    for width, height in {1440: 900, 390: 844}.items():
        page = visit(library_app, viewport={"width": width, "height": height})
        open_tab(page, "Data")
        for name, file in PARTS.items():
            open_part(page, name)
            if file in PREPARED:
                PREPARED[file](page, tmp_path)
            page.wait_for_timeout(900)
            page.screenshot(path=pictures / f"data-{file}-{width}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways at {width}"
