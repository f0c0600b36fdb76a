"""A browser and the demo page, shared by the tests of the components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.ui.demo_components import Fake, conversation, serve
from tests.ui.serving import stop


@pytest.fixture(scope="session")
def site() -> Iterator[tuple[Fake, str]]:
    fake = Fake()
    server, url = serve(fake)
    yield fake, url
    stop(server)


@pytest.fixture
def fake(site: tuple[Fake, str]) -> Fake:
    site[0].value = conversation()
    site[0].log.clear()
    return site[0]


@pytest.fixture
def open_page(browser: Browser, site: tuple[Fake, str], fake: Fake) -> Iterator[Any]:
    """Open the demo in a fresh context; a script error or a console error fails the test."""
    contexts = []
    errors: list[str] = []

    def open_(dark: bool = False, **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        options.setdefault("locale", "en-US")
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.goto(f"{site[1]}?__theme={'dark' if dark else 'light'}")
        page.locator(".st-thread .st-scroll").wait_for()
        page.locator(".st-loop button").first.wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def page(open_page: Any) -> Page:
    return open_page()
