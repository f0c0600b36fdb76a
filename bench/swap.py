"""Ours: how long another adapter takes to answer, and whether the base stayed where it was.

`python -m bench.swap WORKSPACE METHOD_ADAPTER_FOLDER...`: the first adapter wraps the base, the second is the swap.
The plain way is to load base and adapter again, measured in the same process after ours.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.child import say
from bench.material import settings

TIMES = 5


def main(workspace: str, *folders: str) -> None:
    from studio.context import open_studio
    from studio.model.adapter_files import WEIGHTS, file_sha256

    studio = open_studio(settings(Path(workspace), offline=True), "bench")
    try:
        engine: Any = studio.load_engine()
        before = engine.base_addresses()
        adapters = [(f"a{i}", Path(folder), file_sha256(Path(folder) / WEIGHTS)) for i, folder in enumerate(folders)]
        loads = [_seconds(lambda a=a: engine.load_adapter(*a)) for a in adapters]
        _first_token(engine, None)
        to_adapter = statistics.median(_first_token(engine, adapters[0][0]) for _ in range(TIMES))
        to_base = statistics.median(_first_token(engine, None) for _ in range(TIMES))
        # What `activate` costs the model: pointing every layer at another adapter.
        switches = [
            _seconds(lambda i=i: engine._model.set_adapter(f"a{i % len(adapters)}", inference_mode=True))
            for i in range(2 * TIMES)
        ]
        after = engine.base_addresses()
        path, dtype = studio.model_path, studio.compute.dtype
    finally:
        studio.close()
    plain = _seconds(lambda: _load_plainly(path, Path(folders[0]), dtype))
    say(
        {
            "first_load_s": loads[0],
            "load_s": loads[-1],
            "switch_s": statistics.median(switches),
            "first_token_adapter_s": to_adapter,
            "first_token_base_s": to_base,
            "base_unmoved": before == after and bool(before),
            "tensors": len(before),
            "plain_load_s": plain,
        }
    )


def _first_token(engine: Any, adapter: str | None) -> float:
    import threading

    from studio.model.engine import Request
    from studio.records import Sampling, Turn

    request = Request(engine.render([Turn("user", "Are you open on Sunday?")]), Sampling(0.0, max_tokens=1), (adapter,))
    return _seconds(lambda: list(engine.stream(request, threading.Event())))


def _load_plainly(model: Path, adapter: Path, dtype: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)), adapter).eval()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*sys.argv[1:])
