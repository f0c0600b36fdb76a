"""Every gesture of the interface, in a real browser, on the engine that echoes."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from studio.store import Store
from tests.conftest import until
from tests.e2e.conftest import App, Start

pytestmark = pytest.mark.e2e
Visit = Callable[..., Page]
KILLS = int(os.environ.get("STUDIO_TEST_KILLS", "3"))
"""Times the app is killed right after a toast; 100 on a patient day."""

SHOTS = ".st-shot:has(button:text('Remove'))"
"""The few-shot examples there are; the form for one more looks the same."""


def ask(page: Page, text: str) -> None:
    """Type a question and wait for the whole answer."""
    before = page.locator(".st-assistant").count()
    page.locator("#composer textarea").fill(text)
    page.locator("#composer textarea").press("Enter")
    expect(page.locator(".st-assistant:not(.st-streaming)")).to_have_count(before + 1)
    expect(page.locator(".st-assistant").last.get_by_role("button", name=re.compile("^Accept"))).to_be_visible()


def press(page: Page, key: str) -> None:
    """Press a key with the focus on the conversation, not in a field."""
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.press(key)


def correct(page: Page, text: str) -> None:
    """Correct the last answer by keyboard alone, and wait until it is said to be saved."""
    press(page, "c")
    editor = page.locator("#thread textarea").first
    editor.fill(text)
    editor.press("Control+Enter")
    toast(page, "Correction saved")


def toast(page: Page, text: str) -> None:
    """Wait for a message of that kind and take it away."""
    found = page.locator(".toast-body").filter(has_text=text).first
    found.wait_for()
    found.click()


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def open_part(page: Page, name: str) -> None:
    """Open a part of the Data tab."""
    open_tab(page, "Data")
    shown = page.get_by_role("tab", name=name, exact=True)
    if not shown.is_visible():
        # On a small screen the last ones are behind a button.
        page.locator("#data-parts .overflow-menu > button").click()
        shown = page.locator("#data-parts .overflow-dropdown").get_by_text(name, exact=True)
    shown.click()


def headline(page: Page) -> str:
    return page.locator("#loop-bar .st-headline").inner_text()


def test_ask_correct_accept_reject_by_keyboard(serve: Start, visit: Visit) -> None:
    app = serve()
    page = visit(app)
    ask(page, "What does shipping cost?")
    correct(page, "Shipping costs 4.50 euros.")
    expect(page.locator("#thread")).to_contain_text("Shipping costs 4.50 euros.")
    expect(page.locator("#loop-bar")).to_contain_text("1 new correction")
    ask(page, "And at night?")
    press(page, "a")
    toast(page, "Accepted and saved")
    ask(page, "真夜中でもいいですか。")
    press(page, "x")
    toast(page, "Rejection saved")
    page.reload()
    expect(page.locator("#thread")).to_contain_text("真夜中でもいいですか。")
    app.stop()
    store = Store(app.workspace / "studio.duckdb")
    project = store.projects.all()[0]
    rows = store.examples.find(project.id)
    assert [(r.status, r.answer, r.rejected) for r in rows[:1]] == [
        ("approved", "Shipping costs 4.50 euros.", "You said: What does shipping cost?")
    ]
    assert [r.status for r in rows] == ["approved", "approved", "rejected"]
    # The second question was asked after the corrected answer, not after what the model had said.
    assert [t.content for t in rows[1].messages] == [
        "What does shipping cost?",
        "Shipping costs 4.50 euros.",
        "And at night?",
    ]
    message = store.conversations.message(str(rows[0].message_id))
    assert message is not None
    assert message.prompt
    assert message.template_hash
    assert message.sampling["temperature"] == 0


def test_wrong_corrections_are_refused_and_nothing_is_lost(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    ask(page, "Hello?")
    press(page, "c")
    editor = page.locator("#thread textarea").first
    editor.press("Control+Enter")
    expect(page.locator("#thread")).to_contain_text("This is still the model's answer.")
    editor.fill("   ")
    editor.press("Control+Enter")
    expect(page.locator("#thread")).to_contain_text("Write the answer it should have given.")
    editor.fill("Hello, dear guest.")
    page.reload()
    press(page, "c")
    expect(page.locator("#thread textarea").first).to_have_value("Hello, dear guest.")


def test_retry_pages_edit_and_undo(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    ask(page, "First question")
    press(page, "r")
    pager = page.locator("#thread").get_by_text("2/2")
    pager.wait_for()
    page.get_by_role("button", name="Previous answer").click()
    page.locator("#thread").get_by_text("1/2").wait_for()
    page.locator(".st-user").hover()
    page.get_by_role("button", name=re.compile("^Edit")).click()
    page.locator("#thread textarea").first.fill("Better question")
    page.get_by_role("button", name=re.compile("^Send again")).click()
    expect(page.locator(".st-assistant")).to_contain_text("You said: Better question")
    page.locator(".st-user").hover()
    page.get_by_role("button", name=re.compile("^Undo")).click()
    expect(page.locator("#composer textarea")).to_have_value("Better question")
    expect(page.locator(".st-assistant")).to_have_count(0)


def test_a_run_goes_live_is_checked_and_undone(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    page.locator("#loop-bar").get_by_role("button", name="Try the sample").click()
    expect(page.locator("#loop-bar")).to_contain_text("32 new corrections")
    page.locator("#loop-bar").get_by_role("button", name="Train on 32 examples").click()
    expect(page.locator("#loop-bar .st-headline")).to_contain_text("v1 is live: learned 0 of 32", timeout=60_000)
    page.locator("#answer-with input").click()
    page.get_by_role("option", name=re.compile("^both")).click()
    page.locator("#composer textarea").fill("Are you there?")
    page.locator("#composer textarea").press("Enter")
    expect(page.locator(".st-assistant")).to_have_count(2)
    expect(page.locator(".st-assistant").nth(0)).to_contain_text("You said: Are you there?")
    expect(page.locator(".st-assistant").nth(1)).to_contain_text("Lesson says: Are you there?")
    page.locator("#loop-bar").get_by_role("button", name="See what was learned").click()
    expect(page.locator("#adapter-summary")).to_contain_text("Learned 0 of 32")
    page.locator("#loop-bar").get_by_role("button", name="Undo").click()
    open_tab(page, "Lessons")
    expect(page.locator("#adapters")).to_contain_text("base model · live")


def test_zero_rows_and_a_corrupt_file_are_refused_in_words(serve: Start, visit: Visit, tmp_path: Path) -> None:
    page = visit(serve())
    open_tab(page, "Train")
    expect(page.locator("#plan")).to_contain_text("Nothing to train on yet.")
    expect(page.locator("#train-start")).to_be_disabled()
    for gone in ("#train-cancel", "#train-retry", "#loss", "#runs"):
        expect(page.locator(gone)).to_be_hidden()
    broken = tmp_path / "rows.jsonl"
    good = json.dumps({"instruction": "Q", "output": "A"})
    broken.write_text(f"{good}\n{good[:-2]}\n" + json.dumps({"instruction": "Q2"}), encoding="utf-8")
    open_part(page, "Add and import")
    page.locator("#import-file input[type=file]").set_input_files(broken)
    expect(page.locator("#import-report")).to_contain_text("2 of 3 rows can't be imported.")
    expect(page.locator("#import-go")).to_be_hidden()
    expect(page.locator("#import-go-rest")).to_have_text("Import the 1 good row, leave out the 2 bad ones")
    expect(page.locator("#import-report tbody tr")).to_contain_text(["not valid JSON", "`output` is missing"])
    whole = tmp_path / "good.jsonl"
    whole.write_text(good + "\n", encoding="utf-8")
    page.locator("#import-file").get_by_role("button").first.click()
    expect(page.locator("#import-preview")).to_be_hidden()
    page.locator("#import-file input[type=file]").set_input_files(whole)
    page.locator("#import-go").click()
    expect(page.locator("#import-report")).to_contain_text("1 example added.")


def test_examples_are_searched_judged_and_edited(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    page.locator("#loop-bar").get_by_role("button", name="Try the sample").click()
    expect(page.locator("#loop-bar")).to_contain_text("32 new corrections")
    open_tab(page, "Data")
    page.keyboard.press("/")
    page.keyboard.type("finch club")
    grid = page.locator("#rows .st-grid")
    expect(grid).to_contain_text("How does the Finch Club work?")
    expect(grid).not_to_contain_text("tent")
    grid.locator("tbody tr").filter(has_text="How does the Finch Club work?").click()
    page.keyboard.press("e")
    answer = page.get_by_role("textbox", name="Answer", exact=True)
    answer.fill("The Finch Club costs nothing.")
    answer.press("Control+Enter")
    expect(grid).to_contain_text("The Finch Club costs nothing.")
    page.keyboard.press("x")
    expect(grid).to_contain_text("rejected")
    expect(page.locator("#loop-bar")).to_contain_text("31 new corrections")


def test_few_shot_examples_and_the_exact_prompt(serve: Start, visit: Visit) -> None:
    app = serve()
    page = visit(app)
    page.locator("#system textarea").fill("Answer like a pirate.")
    page.locator("#shots").get_by_role("button").first.click()
    for number in (1, 2):
        page.locator("#shot-question textarea").fill(f"Shot {number}?")
        page.locator("#shot-answer textarea").fill(f"Aye {number}.")
        page.locator("#shot-add").click()
        expect(page.locator("#shot-question textarea")).to_have_value("")
        expect(page.locator(SHOTS)).to_have_count(number)
    pairs = page.locator(SHOTS)
    other = visit(app)  # the same project on another page, which doesn't see what is moved here
    other.locator("#shots").get_by_role("button").first.click()
    expect(other.locator(SHOTS)).to_have_count(2)
    pairs.nth(1).get_by_role("button", name="Up").click()
    expect(pairs.nth(0).locator("textarea").first).to_have_value("Shot 2?")
    page.locator("#composer textarea").fill("Where is the gold?")
    page.locator("#rendered").get_by_role("button").first.click()
    exact = page.locator("#exact textarea")
    expect(exact).to_have_value(
        "<system>Answer like a pirate.\n<user>Shot 2?\n<assistant>Aye 2.\n<user>Shot 1?\n<assistant>Aye 1.\n"
        "<user>Where is the gold?\n<assistant>"
    )
    expect(page.locator("#rendered")).to_contain_text("of 2,048 tokens")
    other.locator(SHOTS).nth(0).get_by_role("button", name="Remove").click()
    expect(other.locator(SHOTS)).to_have_count(1)
    expect(other.locator(SHOTS).locator("textarea").first).to_have_value("Shot 2?")
    pairs.nth(1).locator("textarea").last.fill("Too late.")
    pairs.nth(1).locator("textarea").last.blur()
    toast(page, "was changed or removed on another page")


def test_conversations_are_found_in_both_languages(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    for text in ("Where is my parcel?", "カードをなくしました。"):
        page.locator("#new-conversation").click()
        expect(page.locator(".st-assistant")).to_have_count(0)
        ask(page, text)
    listed = page.locator(".st-conversations").first
    expect(listed).to_contain_text("Where is my parcel?")
    page.locator("#search-conversations input, #search-conversations textarea").fill("なくし")
    expect(listed).not_to_contain_text("Where is my parcel?")
    expect(listed).to_contain_text("カードをなくしました。")


def test_a_prompt_that_does_not_fit_is_said_in_the_conversation(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    page.locator("#composer textarea").fill("long " * 600)
    page.locator("#composer textarea").press("Enter")
    expect(page.locator("#thread")).to_contain_text("the model reads at most 2048")


def test_no_such_model_is_said_in_words(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    open_tab(page, "Model")
    # Opening the tab puts the model in use into the field; whoever types before that is overwritten.
    expect(page.locator("#model-about")).to_contain_text("SmolLM2")
    page.locator("#model-choice input").fill("smollm2-136m-instruct")
    page.locator("#model-choice input").press("Enter")
    open_tab(page, "Chat")
    open_tab(page, "Model")
    expect(page.locator("#model-about")).to_contain_text("smollm2-136m-instruct")
    expect(page.locator("#model-choice input")).to_have_value("smollm2-136m-instruct")
    page.locator("#model-use").click()
    toast(page, "smollm2-136m-instruct")


def test_the_interface_speaks_japanese(serve: Start, visit: Visit) -> None:
    page = visit(serve(), locale="ja-JP")
    expect(page.locator("#loop-bar")).to_contain_text("まだ学習するものがありません。")
    page.locator("#loop-bar").get_by_role("button", name="見本を試す").click()
    expect(page.locator("#loop-bar")).to_contain_text("新しい修正が32件あります")
    expect(page.locator("#thread")).to_contain_text("図書館は何時に開きますか。")


def test_text_is_never_run_as_a_script(serve: Start, visit: Visit) -> None:
    page = visit(serve())
    canary = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
    ask(page, canary)
    correct(page, canary + " mended")
    open_tab(page, "Data")
    expect(page.locator("#rows .st-grid")).to_contain_text("mended")
    assert page.evaluate("window.pwned") is None


def test_what_was_saved_is_there_after_a_kill_right_after_the_toast(serve: Start, visit: Visit) -> None:
    app: App | None = None
    for number in range(KILLS):
        app = serve(app.workspace if app else None)
        page = visit(app)
        if number == 0:
            ask(page, "Question")
        else:
            page.locator(".st-conversations label").first.click()
            expect(page.locator(".st-assistant")).to_have_count(1)
            press(page, "r")
            page.locator("#thread").get_by_text(f"{number + 1}/{number + 1}").wait_for()
        press(page, "c")
        editor = page.locator("#thread textarea").first
        editor.fill(f"Answer {number}")
        editor.press("Control+Enter")
        page.locator(".toast-body").filter(has_text="Correction saved").first.wait_for()
        app.kill()
        page.context.close()
    assert app is not None
    store = Store(app.workspace / "studio.duckdb")
    rows = store.examples.find(store.projects.all()[0].id)
    assert [r.answer for r in rows] == [f"Answer {n}" for n in range(KILLS)]


def test_a_second_app_is_refused_and_told_who_owns_the_workspace(serve: Start) -> None:
    first = serve()
    with pytest.raises(AssertionError, match=rf"in use by process {first.process.pid}"):
        serve(first.workspace)


def test_closing_the_browser_changes_nothing_for_a_run(serve: Start, visit: Visit) -> None:
    app = serve()
    page = visit(app)
    page.locator("#loop-bar").get_by_role("button", name="Try the sample").click()
    page.locator("#loop-bar").get_by_role("button", name="Train on 32 examples").click()
    expect(page.locator("#loop-bar")).to_contain_text("v1", timeout=60_000)
    page.context.close()
    app.kill()
    again = serve(app.workspace)
    page = visit(again)
    until(lambda: "v1 is live" in headline(page), 60)
    open_tab(page, "Train")
    expect(page.locator("#runs")).to_contain_text("finished")


def test_a_killed_run_says_where_it_was_and_is_tried_again(serve: Start, visit: Visit) -> None:
    app = serve()
    page = visit(app)
    page.locator("#loop-bar").get_by_role("button", name="Try the sample").click()
    page.locator("#loop-bar").get_by_role("button", name="Train on 32 examples").click()

    def worker() -> psutil.Process | None:
        children = psutil.Process(app.process.pid).children()
        return next((c for c in children if "studio.worker" in " ".join(c.cmdline())), None)

    until(worker).kill()
    bar = page.locator("#loop-bar")
    expect(bar).to_contain_text("Training did not finish.")
    expect(bar).to_contain_text("ended without a word, while")
    bar.get_by_role("button", name="Try again").click()
    expect(bar.locator(".st-headline")).to_contain_text("is live: learned 0 of 32", timeout=60_000)


def test_a_broken_adapter_is_refused_and_the_base_goes_on(serve: Start, visit: Visit) -> None:
    app = serve()
    page = visit(app)
    page.locator("#loop-bar").get_by_role("button", name="Try the sample").click()
    page.locator("#loop-bar").get_by_role("button", name="Train on 32 examples").click()
    expect(page.locator("#loop-bar .st-headline")).to_contain_text("v1 is live: learned", timeout=60_000)
    page.locator("#loop-bar").get_by_role("button", name="Undo").click()
    expect(page.locator("#loop-bar")).to_contain_text("The base model answers.")
    app.stop()
    [folder] = (app.workspace / "adapters").iterdir()
    shutil.rmtree(folder)
    page = visit(serve(app.workspace))
    open_tab(page, "Lessons")
    page.locator("#adapters label").filter(has_text="v1").click()
    expect(page.locator("#adapter-summary")).to_contain_text("v1")
    page.locator("#adapter-use").click()
    toast(page, "is missing")
    open_tab(page, "Chat")
    ask(page, "Still there?")
    expect(page.locator(".st-assistant").last).to_contain_text("You said: Still there?")
