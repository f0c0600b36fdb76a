"""The components in a real browser: gestures, keys, drafts, streaming, safety, small screens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ui.demo_components import CANARY, LATE, Fake

BETTER = "Late books cost 20 cents a day, at most 5 euros."


def answer(page: Page, id: str) -> Any:
    return page.locator(f'[data-id="{id}"]')


def act(page: Page, id: str, name: str) -> Any:
    return answer(page, id).locator(f'[data-action="{name}"]')


def show(page: Page, which: str, name: str) -> None:
    """Put a scene into the thread, or a state into the loop bar."""
    page.locator(f"#{which} textarea, #{which} input").first.evaluate(
        "(node, text) => { node.value = text; node.dispatchEvent(new Event('input', { bubbles: true })); }", name
    )
    page.wait_for_timeout(150)
    page.locator(f"#{which}-go").evaluate("(node) => node.click()")


def until(claim: Callable[[], bool], timeout_s: float = 5) -> None:
    end = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_click_accepts(page: Page, fake: Fake) -> None:
    act(page, "a2", "accept").click()
    expect(act(page, "a2", "accept")).to_have_text("✓AcceptedA")
    expect(act(page, "a2", "accept")).to_have_attribute("aria-pressed", "true")
    assert fake.log == [("accept", {"id": "a2"})]
    act(page, "a2", "accept").click()
    page.wait_for_timeout(200)
    assert len(fake.log) == 1


def test_keys_act_on_the_selected_answer(page: Page, fake: Fake) -> None:
    expect(answer(page, "a2")).to_have_class(re.compile("st-selected"))
    page.keyboard.press("a")
    until(lambda: fake.log == [("accept", {"id": "a2"})])
    page.keyboard.press("ArrowUp")
    expect(answer(page, "a1")).to_have_class(re.compile("st-selected"))
    page.keyboard.press("x")
    until(lambda: fake.log[-1] == ("reject", {"id": "a1", "reason": ""}))
    expect(act(page, "a1", "reject")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("r")
    until(lambda: fake.log[-1] == ("retry", {"id": "a1"}))


def test_keys_do_nothing_while_typing_or_with_modifiers(page: Page, fake: Fake) -> None:
    page.locator("#composer textarea").click()
    page.keyboard.type("axcr")
    expect(page.locator("#composer textarea")).to_have_value("axcr")
    page.locator(".st-title").click()
    for key in ("Control+a", "Alt+x", "Control+c", "Meta+c"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert fake.log == []
    expect(page.locator(".st-editor")).to_have_count(0)


def test_a_correction_from_start_to_end(page: Page, fake: Fake) -> None:
    page.keyboard.press("c")
    area = page.locator(".st-area")
    expect(area).to_be_focused()
    expect(area).to_have_value(LATE)
    area.fill(BETTER)
    expect(page.locator(".st-changes del")).to_contain_text("50")
    expect(page.locator(".st-changes ins")).to_have_count(2)
    page.locator('[data-reason="wrong fact"]').click()
    page.locator(".st-addnote").click()
    page.locator(".st-note").fill("see the fee table")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".st-editor")).to_have_count(0)
    assert fake.log == [("correct", {"id": "a2", "text": BETTER, "reason": "wrong fact", "note": "see the fee table"})]
    expect(answer(page, "a2").locator(".st-body")).to_have_text(BETTER)
    expect(act(page, "a2", "correct")).to_contain_text("Corrected")
    answer(page, "a2").locator(".st-original").click()
    expect(answer(page, "a2").locator(".st-bubble del")).to_contain_text("50")
    assert page.evaluate("sessionStorage.length") == 0


def test_unchanged_and_empty_text_are_refused(page: Page, fake: Fake) -> None:
    act(page, "a2", "correct").click()
    page.locator(".st-save").click()
    expect(page.locator(".st-editor .st-problem")).to_contain_text("still the model's answer")
    page.locator(".st-area").fill("   ")
    page.locator(".st-save").click()
    expect(page.locator(".st-editor .st-problem")).to_contain_text("Write the answer")
    expect(page.locator(".st-area")).to_have_value("   ")
    assert fake.log == []


def test_a_refusal_by_the_server_keeps_the_text(page: Page, fake: Fake) -> None:
    page.keyboard.press("c")
    page.locator(".st-area").fill("REFUSE this")
    page.locator(".st-save").click()
    expect(page.locator(".st-editor .st-problem")).to_contain_text("read-only")
    expect(page.locator(".st-area")).to_have_value("REFUSE this")
    page.locator(".st-save").click()
    until(lambda: len(fake.log) == 2)
    expect(page.locator(".st-editor .st-problem")).to_contain_text("read-only")
    expect(page.locator(".st-save")).to_have_attribute("aria-disabled", "false")
    page.locator(".st-area").fill(BETTER)
    page.locator(".st-save").click()
    expect(page.locator(".st-editor")).to_have_count(0)
    expect(answer(page, "a2").locator(".st-body")).to_have_text(BETTER)


def test_a_draft_survives_reload_and_escape(page: Page, fake: Fake) -> None:
    page.keyboard.press("c")
    page.locator(".st-area").fill("half a thou")
    page.locator('[data-reason="tone"]').click()
    page.reload()
    expect(page.locator(".st-area")).to_have_value("half a thou")
    expect(page.locator('[data-reason="tone"]')).to_have_attribute("aria-pressed", "true")
    page.locator(".st-area").press("Escape")
    expect(page.locator(".st-editor")).to_have_count(0)
    act(page, "a2", "correct").click()
    expect(page.locator(".st-area")).to_have_value("half a thou")
    page.locator(".st-resumed button").click()
    expect(page.locator(".st-area")).to_have_value(LATE)
    page.locator(".st-area").press("Escape")
    assert page.evaluate("sessionStorage.length") == 0
    assert fake.log == []


def test_an_open_editor_and_its_caret_survive_streaming(page: Page) -> None:
    page.locator("#composer textarea").fill("When are you open?")
    page.keyboard.press("Enter")
    expect(page.locator(".st-streaming")).to_have_count(1)
    act(page, "a2", "correct").click()
    area = page.locator(".st-area")
    area.press("End")
    area.press_sequentially(" Children pay nothing.", delay=40)
    assert page.locator(".st-streaming").count() == 1
    expect(area).to_be_focused()
    expect(area).to_have_value(LATE + " Children pay nothing.")
    expect(page.locator(".st-streaming")).to_have_count(0, timeout=15_000)
    expect(area).to_be_focused()
    expect(page.locator(".st-msg")).to_have_count(6)
    expect(page.locator(".st-msg").last.locator("strong")).to_have_text("open")


def test_streaming_follows_only_a_reader_at_the_bottom(page: Page) -> None:
    show(page, "scene", "long")
    expect(page.locator(".st-msg")).to_have_count(64)
    position = "(node) => node.scrollHeight - node.scrollTop - node.clientHeight"
    scroller = page.locator(".st-scroll")
    assert scroller.evaluate(position) < 2
    page.locator("#composer textarea").fill("Go on")
    page.keyboard.press("Enter")
    expect(page.locator(".st-streaming")).to_have_count(1)
    page.wait_for_timeout(800)
    assert scroller.evaluate(position) < 2
    scroller.hover()
    page.mouse.wheel(0, -900)
    page.wait_for_timeout(300)
    top = scroller.evaluate("(node) => node.scrollTop")
    page.wait_for_timeout(900)
    assert scroller.evaluate("(node) => node.scrollTop") == top
    page.locator(".st-jump").click()
    page.wait_for_timeout(900)
    assert scroller.evaluate(position) < 60


def test_finished_blocks_keep_their_nodes_while_streaming(page: Page) -> None:
    page.locator("#composer textarea").fill("When?")
    page.keyboard.press("Enter")
    expect(page.locator(".st-streaming .st-body li")).to_have_count(2)
    page.locator(".st-streaming .st-body p").first.evaluate("(node) => { window.kept = node; }")
    expect(page.locator(".st-streaming")).to_have_count(0, timeout=15_000)
    assert page.evaluate("window.kept.isConnected")


@pytest.mark.parametrize("scene", ["xss", "empty"])
def test_nothing_in_a_message_runs(page: Page, scene: str) -> None:
    show(page, "scene", scene)
    expect(page.get_by_text("onerror", exact=False).first).to_be_visible()
    if scene == "xss":
        act(page, "a3", "correct").click()
        page.locator(".st-area").fill(CANARY + " again")
        expect(page.locator(".st-changes ins")).to_be_visible()
        page.locator(".st-save").click()
        expect(page.locator(".st-editor")).to_have_count(0)
        answer(page, "a3").locator(".st-original").click()
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned") is None
    assert page.locator(".st-thread img, .st-thread script").count() == 0


def test_the_pager_turns(page: Page, fake: Fake) -> None:
    pager = answer(page, "a2").locator(".st-pager")
    expect(pager).to_contain_text("2/3")
    pager.locator("button").last.click()
    expect(pager).to_contain_text("3/3")
    pager.locator("button").last.click(force=True)
    page.wait_for_timeout(200)
    assert fake.log == [("page", {"id": "a2", "delta": 1})]


def test_a_reason_can_follow_a_rejection(page: Page, fake: Fake) -> None:
    page.keyboard.press("x")
    answer(page, "a2").locator('.st-why [data-reason="unsafe"]').click()
    until(lambda: fake.log[-1] == ("reject", {"id": "a2", "reason": "unsafe"}))
    expect(act(page, "a2", "reject")).to_contain_text("Rejected")


def test_a_question_can_be_reworded_and_undone(page: Page, fake: Fake) -> None:
    answer(page, "u1").hover()
    expect(act(page, "u1", "undo")).to_be_hidden()
    answer(page, "u2").hover()
    act(page, "u2", "undo").click()
    until(lambda: fake.log == [("undo", {"id": "u2"})])
    act(page, "u2", "edit").click()
    page.locator(".st-area").fill("What do late books cost?")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("What do late books cost?")).to_be_visible()
    assert fake.log[-1] == ("edit", {"id": "u2", "text": "What do late books cost?"})


def test_a_suggestion_asks(page: Page, fake: Fake) -> None:
    show(page, "scene", "empty")
    page.locator(".st-suggestion").first.click()
    until(lambda: fake.log == [("suggest", {"text": "What do I pay for a late book?"})])
    expect(page.locator(".st-streaming")).to_have_count(0, timeout=15_000)


def test_an_input_method_never_saves_or_closes(page: Page, fake: Fake) -> None:
    show(page, "scene", "ja")
    expect(page.locator(".st-msg")).to_have_count(2)
    page.keyboard.press("c")
    area = page.locator(".st-area")
    area.fill("カードの再発行は200円です。")
    for key in ("Enter", "Escape"):
        area.evaluate(
            "(node, key) => node.dispatchEvent(new KeyboardEvent('keydown', "
            "{ key, ctrlKey: key === 'Enter', isComposing: true, bubbles: true, cancelable: true }))",
            key,
        )
    page.wait_for_timeout(200)
    expect(area).to_be_visible()
    assert fake.log == []
    expect(page.locator(".st-changes del").first).to_contain_text("五百")


def test_the_composer_waits_for_the_input_method(page: Page, fake: Fake) -> None:
    page.locator("#composer textarea").click()
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "かー", "selectionStart": 2, "selectionEnd": 2})
    session.send(
        "Input.dispatchKeyEvent",
        {"type": "rawKeyDown", "key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229},
    )
    page.wait_for_timeout(200)
    assert len(fake.value["messages"]) == 4
    session.send("Input.insertText", {"text": "カード"})
    expect(page.locator("#composer textarea")).to_have_value("カード")


def test_japanese_words(open_page: Any) -> None:
    page = open_page(locale="ja-JP")
    expect(act(page, "a2", "correct")).to_contain_text("直す")
    page.keyboard.press("c")
    expect(page.locator(".st-save")).to_contain_text("保存")


def test_a_double_click_trains_once(page: Page, fake: Fake) -> None:
    page.locator('[data-event="train"]').dblclick()
    page.locator('[data-event="train"]').click(force=True)
    page.wait_for_timeout(300)
    assert [name for name, _ in fake.log] == ["train"]
    show(page, "bar", "training")
    expect(page.locator(".st-progress")).to_have_attribute("aria-valuenow", "40")
    page.locator('[data-event="cancel"]').click()
    expect(page.locator(".st-confirm")).to_have_text("Stop training? v3 stays live.")
    page.get_by_role("button", name="No", exact=True).click()
    page.locator('[data-event="cancel"]').click()
    page.locator('[data-event="cancel"]').click()
    until(lambda: [name for name, _ in fake.log] == ["train", "cancel"])


def test_results_are_filtered(page: Page) -> None:
    page.get_by_role("tab", name="Compare").click()
    results = page.locator(".st-results").first
    expect(results.locator(".st-result")).to_have_count(3)
    results.locator('[data-filter="broken"]').click()
    expect(results.locator(".st-result")).to_have_count(1)
    expect(results.locator(".st-verdict")).to_contain_text("Broken")
    results.locator('[data-filter="learned"]').click()
    expect(results.locator(".st-verdict")).to_contain_text("Learned")


def test_side_panels_open_and_close(page: Page) -> None:
    left = page.locator(".st-side-left")
    expect(left).to_be_visible()
    page.locator(".st-toggle-left").click()
    expect(left).to_be_hidden()
    page.locator(".st-toggle-left").click()
    expect(left).to_be_visible()


@pytest.mark.parametrize("locale", ["en-US", "ja-JP"])
def test_a_phone_has_no_sideways_scroll_and_big_targets(open_page: Any, locale: str) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale=locale)
    for scene in ("rich", "both", "xss", "ja"):
        show(page, "scene", scene)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert (
            page.evaluate(
                "document.querySelector('.st-scroll').scrollWidth - document.querySelector('.st-scroll').clientWidth"
            )
            <= 0
        )
    act(page, "a1", "correct").tap()
    expect(page.locator(".st-save")).to_be_in_viewport()
    page.wait_for_timeout(300)
    small = page.evaluate(
        "[...document.querySelectorAll('.st-thread button, .st-loop button, .st-toggles button')]"
        ".filter((node) => node.offsetParent && node.offsetHeight < 40).map((node) => node.className)"
    )
    assert small == []
    page.locator(".st-cancel").tap()
    page.locator(".st-toggle-right").tap()
    expect(page.locator(".st-side-right")).to_be_visible()
    page.touchscreen.tap(10, 500)
    expect(page.locator(".st-side-right")).to_be_hidden()
