"""Serving: FastAPI with Gradio mounted, one process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import fastapi
import gradio as gr
import uvicorn
from fastapi.responses import JSONResponse

from studio import training
from studio.context import Studio, open_studio
from studio.errors import InvalidInput, Phrase
from studio.settings import Settings
from studio.ui import downloads, theme, words
from studio.ui.build import build
from studio.ui.incoming import MAX_UPLOAD_MB
from studio.ui.model_tab import load_in_background
from studio.ui.session import Desk

ANSWERS_WAIT_S = 3.0
"""How long an app that is being stopped waits until what was written of answers is saved."""


def application(studio: Studio) -> fastapi.FastAPI:
    """The web application; its lifespan loads the model, watches the runs, and closes the studio."""

    desk = Desk(studio)

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        load_in_background(desk)
        training.watch(studio)
        try:
            yield
        finally:
            desk.works.stop("answer", ANSWERS_WAIT_S)
            studio.close()

    app = fastapi.FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok", "model": studio.state.name})

    downloads.serve(app, desk.downloads)
    page = build(desk).queue(default_concurrency_limit=16, max_size=256)
    mounted: fastapi.FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        show_error=False,
        run_history=False,
        footer_links=["settings"],
        max_file_size=f"{MAX_UPLOAD_MB}mb",
        enable_monitoring=False,
        blocked_paths=[str(studio.workspace.root)],
        theme=theme.theme(),
        css_paths=theme.css_paths(),
        i18n=words.gr_i18n(),
    )
    return mounted


def without_cut_off(record: logging.LogRecord) -> bool:
    """A filter for Uvicorn's log. An open page is a request that never ends: that it is cut off when the app stops is
    no error."""
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False
    return "timeout graceful shutdown exceeded" not in record.getMessage()


def serve(settings: Settings) -> None:
    """Open the workspace and serve until stopped.

    Raises:
        WorkspaceInUse: another process owns the workspace.
        InvalidInput: the port is taken.
    """
    require_free_port(settings.host, settings.port)
    studio = open_studio(settings, f"the app on port {settings.port}")
    try:
        app = application(studio)
        shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - shown, not bound
        print(f"The studio is at http://{shown}:{settings.port}", file=sys.stderr, flush=True)  # noqa: T201
        logging.getLogger("uvicorn.error").addFilter(without_cut_off)
        uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", timeout_graceful_shutdown=3)
    finally:
        studio.closing.set()


def require_free_port(host: str, port: int) -> None:
    """Raises:
    InvalidInput: something listens there already, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason: Any = "in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise InvalidInput(
                Phrase("Port {port} on {host} can't be used: {reason}.", port=port, host=host, reason=reason),
                "Choose another with --port or STUDIO_PORT.",
            ) from error
