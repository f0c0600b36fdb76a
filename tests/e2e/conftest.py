"""The app as a program of its own, and a browser on it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import REPO, until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class App:
    """A running `studio serve`."""

    process: subprocess.Popen[bytes]
    url: str
    workspace: Path
    log: Path

    def health(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return answer.read().decode()
        except OSError:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            return ""

    def kill(self) -> None:
        """kill -9; what the app started lives on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


Start = Callable[..., App]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Start the app on a workspace (default: a new one) and wait until its model answers."""
    started: list[App] = []

    def start(workspace: Path | None = None, engine: str = "echo", wait_for: str = '"ready"') -> App:
        port = free_port()
        folder = workspace or tmp_path / "workspace"
        log = tmp_path / f"app-{len(started)}.log"
        command = [sys.executable, "-m", "studio", "serve", "--workspace", str(folder), "--port", str(port)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--engine", engine],
                cwd=REPO,
                # What the page says of its workspace is `~/workspace`, on every machine.
                env={**os.environ, "STUDIO_OFFLINE": "1", "HOME": str(tmp_path)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        app = App(process, f"http://127.0.0.1:{port}", folder, log)
        started.append(app)
        until(lambda: wait_for in app.health(), 120)
        return app

    yield start
    for app in started:
        app.stop()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the app in a fresh browser context; a script error fails the test."""
    contexts = []
    errors: list[str] = []

    def open_(app: App, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **options})
        context.set_default_timeout(20_000)
        expect.set_options(timeout=20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(app.url)
        page.locator("#composer textarea").wait_for()
        page.locator("#loop-bar .st-headline").wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not errors, errors
