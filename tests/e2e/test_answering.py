"""What a page shows and keeps while something else goes on: an answer that is slow, or what another page does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from studio import conversation, projects
from studio.context import Studio
from studio.conversation import AskOptions
from studio.model.engine import EchoEngine, Piece, Request
from studio.records import Shot
from studio.ui import chat_tab
from studio.ui.build import build
from studio.ui.session import Desk
from tests.conftest import until
from tests.e2e.test_browser import SHOTS, ask, toast
from tests.ui.serving import serve_blocks, stop

pytestmark = pytest.mark.e2e
SLOW = "Say it slowly, please."
Visit = Callable[..., Page]


class Slow(EchoEngine):
    """Answers a question with "slowly" in it word by word, as it is let."""

    def __init__(self) -> None:
        super().__init__()
        self._words = threading.Semaphore(0)

    def let(self, words: int) -> None:
        self._words.release(words)

    def stream(self, request: Request, cancelled: threading.Event) -> Iterator[Piece]:
        is_slow = "slowly" in request.prompt.text.rsplit("<user>", 1)[-1]
        for piece in super().stream(request, cancelled):
            while is_slow and not self._words.acquire(timeout=0.02):
                if cancelled.is_set():
                    return
            yield piece


@dataclass
class Slowly:
    """The app in this process, and the engine that answers in it."""

    studio: Studio
    url: str
    engine: Slow = field(default_factory=Slow)


@pytest.fixture
def app(studio: Studio) -> Iterator[Slowly]:
    server, url = serve_blocks(build(Desk(studio)))
    app = Slowly(studio, url)
    studio._engine = app.engine
    yield app
    app.engine.let(1000)
    stop(server)


def begin(page: Page, app: Slowly) -> None:
    """Ask the slow question, and wait for the first word of its answer."""
    app.engine.let(1)
    page.locator("#composer textarea").fill(SLOW)
    page.locator("#composer textarea").press("Enter")
    expect(page.locator(".st-streaming")).to_contain_text("You")


def finished(page: Page) -> Any:
    return page.locator(".st-assistant:not(.st-streaming)")


def test_a_question_asked_too_early_stays_in_the_box(app: Slowly, visit: Visit) -> None:
    page = visit(app)
    box, stop_ = page.locator("#composer textarea"), page.locator("#stop")
    send = page.locator("#composer .submit-button")
    begin(page, app)
    expect(send).to_be_hidden()
    box.fill("And at night?")
    box.press("Enter")
    toast(page, "An answer is still being written. Wait until it is done, or stop it.")
    expect(box).to_have_value("And at night?")
    stop_.click()
    expect(finished(page)).to_contain_text("stopped")
    expect(stop_).to_be_hidden()
    send.click()
    expect(finished(page)).to_contain_text(["You", "You said: And at night?"])
    expect(page.locator(".st-user")).to_contain_text([SLOW, "And at night?"])
    expect(box).to_have_value("")


def test_each_conversation_shows_its_own_answer(app: Slowly, visit: Visit) -> None:
    page = visit(app)
    listed = page.locator(".st-conversations label")
    begin(page, app)
    page.locator("#new-conversation").click()
    expect(page.locator(".st-msg")).to_have_count(0)
    ask(page, "Something else?")
    app.engine.let(2)
    expect(page.locator(".st-msg")).to_contain_text(["Something else?", "You said: Something else?"])
    expect(page.locator("#stop")).to_be_hidden()
    other = visit(app)
    for reader in (page, other):
        reader.locator(".st-conversations label").filter(has_text=SLOW).click()
        expect(reader.locator(".st-streaming")).to_contain_text("You said: Say")
    app.engine.let(1)
    for reader in (page, other):
        expect(reader.locator(".st-streaming")).to_contain_text("You said: Say it")
    listed.filter(has_text="Something else?").click()
    expect(finished(page)).to_contain_text("You said: Something else?")
    app.engine.let(10)
    expect(finished(other)).to_contain_text(f"You said: {SLOW}")
    expect(page.locator(".st-msg")).to_contain_text(["Something else?", "You said: Something else?"])
    listed.filter(has_text=SLOW).click()
    expect(finished(page)).to_contain_text(f"You said: {SLOW}")


def test_an_answer_is_written_to_its_end_when_the_page_is_closed(app: Slowly, visit: Visit) -> None:
    page = visit(app)
    begin(page, app)
    page.context.close()
    page = visit(app)
    page.locator(".st-conversations label").filter(has_text=SLOW).click()
    expect(page.locator(".st-streaming")).to_contain_text("You")
    app.engine.let(10)
    expect(finished(page)).to_contain_text(f"You said: {SLOW}")
    expect(finished(page)).not_to_contain_text("stopped")


def test_what_is_written_so_far_is_kept_when_the_app_is_stopped(app: Slowly) -> None:
    desk = Desk(app.studio)
    chat = conversation.start(app.studio, projects.default(app.studio).id).id
    app.engine.let(2)
    chat_tab.begin(desk, chat, AskOptions(), lambda id_: conversation.ask(app.studio, id_, SLOW))
    work = desk.answer(chat)
    assert work is not None
    until(lambda: work.result and work.result.texts == ("You said:",))
    desk.works.stop("answer", 30)
    answer = conversation.view(app.studio, chat)[-1].message
    assert (answer.text, answer.state) == ("You said:", "stopped")


def test_a_verdict_stays_while_another_answer_is_being_written(app: Slowly, visit: Visit) -> None:
    page = visit(app)
    ask(page, "What does shipping cost?")
    begin(page, app)
    accept = page.locator(".st-assistant").first.get_by_role("button", name=re.compile("^Accept"))
    accept.click()
    expect(accept).to_have_attribute("aria-pressed", "true")
    app.engine.let(2)
    expect(page.locator(".st-streaming")).to_contain_text("You said:")
    assert accept.get_attribute("aria-pressed") == "true"


def test_what_is_half_typed_is_never_overwritten(app: Slowly, visit: Visit) -> None:
    page = visit(app)
    box = page.locator("#composer textarea")
    with app.studio.store.transaction():  # which the question waits for
        box.fill("What does shipping cost?")
        # What is typed before the page has sent the question is still part of it.
        with page.expect_request(lambda request: "What does shipping cost?" in (request.post_data or "")):
            box.press("Enter")
        box.press_sequentially("And at ni")
    expect(finished(page)).to_contain_text("You said: What does shipping cost?")
    expect(box).to_have_value("And at ni")
    page.locator(".st-user").hover()
    page.get_by_role("button", name=re.compile("^Undo")).click()
    expect(page.locator(".st-msg")).to_have_count(0)
    expect(box).to_have_value("And at ni")


def test_a_system_prompt_is_written_by_the_page_that_changed_it(app: Slowly, visit: Visit) -> None:
    old, new = visit(app), visit(app)
    project = projects.default(app.studio)
    fields = [page.locator("#system textarea") for page in (old, new)]
    fields[1].fill("Answer like a pirate.")
    ask(new, "Where is the gold?")
    fields[0].focus()
    fields[0].blur()
    ask(old, "Where are you?")
    assert projects.get(app.studio, project.id).system_prompt == "Answer like a pirate."
    fields[0].fill("Answer like a poet.")
    fields[0].blur()
    theirs = old.locator("#system-differs textarea")
    expect(theirs).to_have_value("Answer like a pirate.")
    expect(fields[0]).to_have_value("Answer like a poet.")
    assert projects.get(app.studio, project.id).system_prompt == "Answer like a pirate."
    old.locator("#composer textarea").fill("Who are you?")
    old.locator("#composer textarea").press("Enter")
    toast(old, "The system prompt was changed on another page. Choose one of the two, below the system prompt.")
    fields[1].fill("Answer like a clerk.")
    ask(new, "And now?")
    assert projects.get(app.studio, project.id).system_prompt == "Answer like a clerk."
    old.locator("#system-mine").click()  # it has changed once more, and is shown before it is written over
    expect(theirs).to_have_value("Answer like a clerk.")
    assert projects.get(app.studio, project.id).system_prompt == "Answer like a clerk."
    old.locator("#system-mine").click()
    expect(theirs).to_be_hidden()
    assert projects.get(app.studio, project.id).system_prompt == "Answer like a poet."
    old.locator("#composer textarea").press("Enter")
    expect(finished(old)).to_contain_text(["Where are you?", "Who are you?"])


def test_the_system_prompt_of_the_other_page_can_be_taken(app: Slowly, visit: Visit) -> None:
    other = projects.default(app.studio)
    project = projects.create(app.studio, "Pirates")
    page = visit(app)
    expect(page.locator("#project input")).to_have_value(project.name)
    projects.update(app.studio, project.id, system_prompt="Answer like a pirate.")
    field, differs = page.locator("#system textarea"), page.locator("#system-differs")
    field.fill("Answer like a poet.")
    field.blur()
    page.locator("#system-theirs").click()
    expect(field).to_have_value("Answer like a pirate.")
    expect(differs).to_be_hidden()
    ask(page, "Where is the gold?")
    assert projects.get(app.studio, project.id).system_prompt == "Answer like a pirate."
    # Another project has another prompt.
    projects.update(app.studio, project.id, system_prompt="Answer like a clerk.")
    field.fill("Answer like a poet.")
    field.blur()
    expect(differs).to_be_visible()
    page.locator("#project input").click()
    page.get_by_role("option", name=other.name).click()
    expect(field).to_have_value("")
    expect(differs).to_be_hidden()


def test_of_two_choices_the_last_one_counts(app: Slowly, visit: Visit) -> None:
    project = projects.default(app.studio)
    projects.create(app.studio, "Another")
    for text in ("First", "Second", "Third"):
        conversation.ask(app.studio, conversation.start(app.studio, project.id).id, text)
    page = visit(app)
    page.locator(".st-conversations label").last.wait_for()
    page.evaluate(
        "const [, one, other] = document.querySelectorAll('.st-conversations label');"
        "one.click(); setTimeout(() => other.click(), 15)"
    )
    expect(page.locator(".st-user")).to_contain_text("First")
    expect(page.locator(".st-conversations label").last.locator("input")).to_be_checked()
    chosen = page.locator("#answer-with input")
    chosen.click()
    page.get_by_role("option", name="base", exact=True).click()
    expect(chosen).to_have_value("base")
    page.locator("#project input").click()
    page.get_by_role("option", name="Another").click()
    expect(chosen).to_have_value("base (live)")


def test_a_pair_that_is_edited_and_moved_in_one_go_is_both(app: Slowly, visit: Visit) -> None:
    project = projects.default(app.studio)
    projects.set_shots(app.studio, project.id, (Shot("One?", "1."), Shot("Two?", "2.")))
    page = visit(app)
    page.locator("#shots").get_by_role("button").first.click()
    pair = page.locator(SHOTS).nth(1)
    with app.studio.store.transaction():  # which both wait for
        pair.locator("textarea").last.fill("Two.")
        pair.get_by_role("button", name="Up").click()
        page.wait_for_timeout(500)
    expect(page.locator(SHOTS).first.locator("textarea").last).to_have_value("Two.")
    assert projects.get(app.studio, project.id).shots == (Shot("Two?", "Two."), Shot("One?", "1."))


def test_a_tab_that_is_chosen_before_the_page_is_ready_is_filled(
    app: Slowly, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, ready, show = visit(app), threading.Event(), chat_tab.show
    monkeypatch.setattr(chat_tab, "show", lambda *given: (ready.wait(60), show(*given))[1])
    page.reload()
    for name, place, says in (("Train", "#plan", "Nothing to train on yet"), ("Model", "#model-about", "smollm2")):
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.locator(place)).to_contain_text(re.compile(says, re.IGNORECASE))
    ready.set()
    expect(page.locator("#loop-bar .st-headline")).to_be_visible()
