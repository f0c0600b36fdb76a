"""Ours: how fast the chat answers, with the base and with an adapter.

`python -m bench.chat WORKSPACE TOKENS [ADAPTER_FOLDER]`
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.child import say
from bench.material import QUESTIONS, settings
from bench.timing import Answer, summary


def main(workspace: str, tokens: str, adapter: str = "") -> None:
    from studio.context import open_studio
    from studio.model.adapter_files import WEIGHTS, file_sha256

    studio = open_studio(settings(Path(workspace), offline=True), "bench")
    try:
        engine: Any = studio.load_engine()
        name = None
        if adapter:
            name = "bench"
            engine.load_adapter(name, Path(adapter), file_sha256(Path(adapter) / WEIGHTS))
        _answer(engine, name, QUESTIONS[0], 8)
        say({**summary([_answer(engine, name, q, int(tokens)) for q in QUESTIONS]), "dtype": studio.compute.dtype})
    finally:
        studio.close()


def _answer(engine: Any, adapter: str | None, question: str, tokens: int) -> Answer:
    from studio.model.engine import Request
    from studio.records import Sampling, Turn

    asked = time.perf_counter()
    request = Request(engine.render([Turn("user", question)]), Sampling(0.0, max_tokens=tokens), (adapter,))
    text, moments = "", []
    for piece in engine.stream(request, threading.Event()):
        moments.append(time.perf_counter())
        text += piece.text
    return Answer.of(asked, moments, engine.render_text(text).tokens)


if __name__ == "__main__":
    main(*sys.argv[1:])
