"""Serving a page of components in a thread, dressed as the studio's own."""

from __future__ import annotations

import socket
import threading
import time

import fastapi
import gradio as gr
import uvicorn

from studio.ui import theme, words


def serve_blocks(page: gr.Blocks, port: int = 0) -> tuple[uvicorn.Server, str]:
    """Serve the page; port 0 means any free one."""
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    app = gr.mount_gradio_app(
        fastapi.FastAPI(),
        page.queue(),
        path="/",
        run_history=False,
        footer_links=["settings"],
        theme=theme.theme(),
        css_paths=theme.css_paths(),
        css="#scenes { position: absolute; left: -9999px; }",
        i18n=words.gr_i18n(),
    )
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)
    )
    server.thread = threading.Thread(target=server.run, daemon=True)
    server.thread.start()
    while not server.started:
        time.sleep(0.05)
    return server, f"http://127.0.0.1:{port}/"


def stop(server: uvicorn.Server) -> None:
    """Stop serving, and wait until no request is under way any more."""
    server.should_exit = True
    server.thread.join(30)
