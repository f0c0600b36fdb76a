"""The app that is stopped says goodbye in silence."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import Start

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_starting_and_stopping_print_the_address_and_nothing_else(serve: Start, how: signal.Signals) -> None:
    app = serve()
    with urllib.request.urlopen(app.url, timeout=20) as page:
        page.read()
    app.process.send_signal(how)
    assert app.process.wait(timeout=30) == (0 if how is signal.SIGINT else -signal.SIGTERM)
    assert app.log.read_text(encoding="utf-8") == f"The studio is at {app.url}\n"


def test_an_open_page_changes_nothing_of_that(serve: Start, visit: Callable[..., Page]) -> None:
    app = serve()
    page = visit(app)
    app.process.send_signal(signal.SIGINT)
    assert app.process.wait(timeout=30) == 0
    assert page.locator("#composer").is_visible()
    assert app.log.read_text(encoding="utf-8") == f"The studio is at {app.url}\n"


@pytest.mark.model
def test_the_real_engine_prints_nothing_either(serve: Start, tmp_path: Path, models_folder: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "models").symlink_to(models_folder)
    app = serve(workspace, engine="hf")
    app.process.send_signal(signal.SIGINT)
    assert app.process.wait(timeout=30) == 0
    assert app.log.read_text(encoding="utf-8") == f"The studio is at {app.url}\n"
