"""The whole loop on the real default model, in a real browser: the promise, and the pictures in the docs.

STUDIO_SCREENSHOTS names the folder for the pictures (`make screenshots` uses docs/screenshots).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.store import Store
from tests.e2e.conftest import App, Start
from tests.e2e.test_browser import ask, headline, open_tab, press, toast

pytestmark = [pytest.mark.e2e, pytest.mark.model]
WIDTHS = {1440: 900, 390: 844}
TABS = ("Chat", "Data", "Train", "Lessons", "Model")
QUESTION, ANSWER = (
    "How much does a tent repair cost?",
    "We repair tents in our own workshop. It takes 8 days and costs 35 euros per tear.",
)
CORRECTION = "We sharpen ice axes on Friday for 7 euros."


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("STUDIO_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def app(serve: Start, tmp_path: Path, models_folder: Path) -> App:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "models").symlink_to(models_folder)
    return serve(workspace, engine="hf")


def test_the_loop(app: App, visit: Callable[..., Page], pictures: Path) -> None:
    page = visit(app)
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.screenshot(path=pictures / "first-1440.png")
    page.locator("#loop-bar").get_by_role("button", name="Try the sample").click()
    expect(page.locator("#loop-bar")).to_contain_text("32 new corrections")

    ask(page, "Do you sharpen ice axes?")
    press(page, "c")
    editor = page.locator("#thread textarea").first
    editor.fill(CORRECTION)
    page.locator("#thread").get_by_role("button", name="wrong fact").click()
    page.screenshot(path=pictures / "correct-1440.png")
    editor.press("Control+Enter")
    toast(page, "Correction saved")
    expect(page.locator("#loop-bar")).to_contain_text("33 new corrections")
    page.locator("#loop-bar").get_by_role("button", name="Train on 33 examples").click()

    bar = page.locator("#loop-bar .st-headline")
    expect(bar).to_contain_text("Training:", timeout=180_000)
    expect(page.locator("#loop-bar")).to_contain_text("left")
    page.screenshot(path=pictures / "training-1440.png")
    expect(bar).to_contain_text("v1 is live: learned", timeout=1_200_000)
    found = re.search(r"learned (\d+) of (\d+), broke (\d+)", headline(page))
    assert found
    learned, total, broke = map(int, found.groups())
    assert total == 33
    assert learned >= 28
    assert broke == 0
    reworded = re.search(r"reworded: (\d+) of 16", page.locator("#loop-bar").inner_text())
    assert reworded
    assert int(reworded[1]) >= 8

    # The adapter answers in the same chat: the same question, asked again.
    press(page, "r")
    expect(page.locator("#thread").get_by_text("2/2")).to_be_visible()
    expect(page.locator(".st-assistant:not(.st-streaming)")).to_contain_text(CORRECTION)
    ask(page, QUESTION)
    expect(page.locator(".st-assistant").last).to_contain_text(ANSWER)
    page.screenshot(path=pictures / "live-1440.png")

    page.locator("#new-conversation").click()
    page.locator("#answer-with input").click()
    page.get_by_role("option", name=re.compile("^both")).click()
    page.locator("#composer textarea").fill("What is the Finch Club?")
    page.locator("#composer textarea").press("Enter")
    expect(page.locator(".st-assistant:not(.st-streaming)")).to_have_count(2)
    expect(page.locator(".st-assistant").last).to_contain_text("The Finch Club is free.")
    page.screenshot(path=pictures / "both-1440.png")
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        for name in TABS:
            open_tab(page, name)
            page.wait_for_timeout(700)
            page.screenshot(path=pictures / f"{name.lower()}-{width}.png")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} scrolls sideways at {width}: {wide}"
    for name, options in {"dark": {"color_scheme": "dark"}, "ja": {"locale": "ja-JP"}}.items():
        other = visit(app, **options)
        expect(other.locator("#loop-bar")).to_contain_text("v1")
        other.wait_for_timeout(700)
        other.screenshot(path=pictures / f"chat-{name}-1440.png")

    page.set_viewport_size({"width": 1440, "height": 900})
    page.locator("#loop-bar").get_by_role("button", name="Undo").click()
    expect(page.locator("#loop-bar .st-headline")).not_to_contain_text("v1 is live")
    app.stop()
    store = Store(app.workspace / "studio.duckdb")
    [project] = [p for p in store.projects.all() if p.name == "Support desk"]
    assert [run.status for run in store.runs.find(project.id)] == ["finished"]
    assert len(store.adapters.all(project.id)) == 1
    assert store.adapters.activations(project.id)[-1] is None
