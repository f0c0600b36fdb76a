"""Ours, the whole loop in a fresh process: click, train, swap, first token by the new adapter, check.

`python -m bench.loop WORKSPACE METHOD [MAX_PASSES]`. The adapter goes live through the real watcher, nobody helps it.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.child import say
from bench.material import SAMPLE, settings

POLL_S = 0.01


def main(workspace: str, method: str, max_passes: str = "") -> None:
    # The app holds the interface in memory while it trains.
    import studio.ui.build
    from studio import adapters, conversation, samples, training
    from studio.context import open_studio
    from studio.jobdir import JobDir
    from studio.records import Recipe, Sampling

    recipe = Recipe(method=method, max_passes=int(max_passes) if max_passes else None)  # type: ignore[arg-type]
    studio = open_studio(settings(Path(workspace), offline=True), "bench")
    try:
        studio.load_engine()
        project = samples.try_sample(studio, SAMPLE)
        question = studio.store.examples.find(project.id, split="train")[0].question
        talk = conversation.start(studio, project.id)
        conversation.ask(studio, talk.id, question)
        training.watch(studio)

        clicked = time.time()
        run = training.start(studio, project.id, recipe)
        returned = time.time()
        while (adapter := adapters.live(studio, project.id)) is None:
            run = training.get(studio, run.id)
            if run.status not in ("running", "finished"):
                raise SystemExit(f"The run {run.status}: {run.error}")
            time.sleep(POLL_S)
        live = time.time()
        options = conversation.AskOptions((adapter.id,), Sampling(0.0, max_tokens=64))
        first = 0.0
        for _ in conversation.reply(studio, talk.id, options, threading.Event()):
            first = first or time.time()
        while (score := adapters.score(studio, adapter.id)) is None:
            time.sleep(0.1)
        checked = time.time()

        run = training.get(studio, run.id)
        events = JobDir(studio.workspace.runs / run.id).events()
        stopped = _first(events, lambda e: e.get("phase") == "saving")
        result = run.result
        say(
            {
                "return_s": returned - clicked,
                "first_step_s": _first(events, lambda e: e.get("phase") == "training" and e.get("step", 0) >= 1)
                - clicked,
                "live_s": live - clicked,
                "first_token_s": first - stopped,
                "first_token_after_live_s": first - live,
                "checked_s": checked - clicked,
                "train_s": result["train_s"],
                "tokens_per_s": result["tokens_per_s"],
                "passes": result["passes"],
                "steps": result["steps"],
                "worker_peak_bytes": result["peak_bytes"],
                "learned": score.learned,
                "total": score.total,
                "base_learned": score.base_learned,
                "held": score.held_learned,
                "held_total": score.held_total,
                "base_held": score.base_held,
                "adapter": str(adapters.folder(studio, adapter.id)),
            }
        )
    finally:
        studio.close()


def _first(events: list[dict[str, Any]], is_it: Any) -> float:
    """When the first such event was written."""
    return next(float(event["t"]) for event in events if is_it(event))


if __name__ == "__main__":
    main(*sys.argv[1:])
