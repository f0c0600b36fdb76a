"""What is said of an answer that was just saved, beside it in the chat and beside its row."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio import dataset, projects
from studio.context import open_studio
from studio.records import Example, Turn, new_id
from studio.settings import Settings
from tests.e2e.conftest import App, Start
from tests.e2e.test_browser import open_tab

pytestmark = pytest.mark.e2e
HELD = "What does a late book cost in the town library?"
SAVED = "Where can visitors of the library park their car?"
Visit = Callable[..., Page]


def prepared(workspace: Path) -> None:
    studio = open_studio(Settings(workspace=workspace, engine="echo"), "tests")
    project = projects.default(studio)
    held = Example(new_id("e"), project.id, 1, "approved", (Turn("user", HELD),), "20 cents a day.")
    dataset.add_rows(studio, project.id, [replace(held, split="test")], "imported")
    dataset.add(studio, project.id, SAVED, "Behind the house, 2 hours are free.")
    studio.close()


def correct(page: Page, question: str, answer: str) -> None:
    answers = page.locator(".st-assistant")
    before = answers.count()
    page.locator("#composer textarea").fill(question)
    page.keyboard.press("Enter")
    expect(answers).to_have_count(before + 1)
    last = answers.last
    last.locator('[data-action="correct"]').wait_for()
    expect(page.locator(".st-streaming")).to_have_count(0)
    last.locator('[data-action="correct"]').click()
    last.locator("textarea.st-area").fill(answer)
    page.keyboard.press("Control+Enter")
    expect(last.locator('[data-action="correct"]')).to_have_attribute("aria-pressed", "true")


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("STUDIO_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_correction_says_what_it_is_beside_and_leads_there(serve: Start, visit: Visit, tmp_path: Path) -> None:
    prepared(tmp_path / "workspace")
    page = visit(serve())
    notices = page.locator(".st-notice")
    correct(page, "Is there a lift for wheelchairs?", "Yes, at the back.")
    page.wait_for_timeout(2_500)
    expect(notices).to_have_count(0)
    correct(page, HELD.upper(), "Ask at the desk, please.")
    expect(notices).to_contain_text(["This question is in the test set: “What does a late book cost"])
    picture(page, "notice-held-en-1440")
    expect(notices.first).to_contain_text("Trained on, your answer would give it away.")
    page.locator("#new-conversation").click()
    expect(page.locator(".st-assistant")).to_have_count(0)
    correct(page, SAVED + "?", "Behind the house, 3 hours are free.")
    against = page.locator(".st-assistant").last.locator(".st-notice")
    expect(against).to_contain_text(["Contradicts a row saved on"])
    expect(against).to_contain_text(["Behind the house, 2 hours are free."])
    picture(page, "notice-en-1440")
    against.first.get_by_role("button", name="Settle it").click()
    grid = page.locator(".st-grid tbody tr")
    expect(grid).to_have_count(2)
    expect(page.locator(".st-flags").first).to_contain_text(re.compile("contradiction", re.IGNORECASE))
    picture(page, "notice-rows-en-1440")
    page.reload()
    open_tab(page, "Data")
    page.locator(".st-grid tbody tr").first.wait_for()


@pytest.mark.parametrize("width", [390, 1440])
def test_in_japanese_and_on_a_narrow_screen(serve: Start, visit: Visit, tmp_path: Path, width: int) -> None:
    prepared(tmp_path / "workspace")
    app: App = serve()
    page = visit(app, locale="ja-JP", viewport={"width": width, "height": 844}, color_scheme="dark")
    correct(page, HELD, "窓口でお尋ねください。")
    notice = page.locator(".st-notice").first
    expect(notice).to_contain_text("この質問はテスト用の例にあります")
    picture(page, f"notice-ja-{width}")
    box = notice.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= width
