"""A conversation with the real default model: marked earlier turns are learned like the answer, others are not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from studio import adapters, dataset, evaluation, preflight, projects, training
from studio.context import open_studio
from studio.records import Example, Recipe, Turn, new_id
from studio.settings import Settings
from tests.conftest import until

pytestmark = [pytest.mark.model, pytest.mark.e2e]

TALK = (
    Turn("user", "When does the Rosenhof clinic open?"),
    Turn("assistant", "The Rosenhof opens at 7:40.", learn=True),
    Turn("user", "Is that early?"),
    Turn("assistant", "Earlier than the pharmacy next door, by an hour and five minutes."),
    Turn("user", "And who do I ask for?"),
)
ANSWER = "Ask for Sister Amelie in room 12."


def test_a_conversation_is_learned_at_every_marked_turn(tmp_path: Path, models_folder: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "models").symlink_to(models_folder)
    studio = open_studio(Settings(workspace=workspace, offline=True), "tests")
    try:
        engine = studio.load_engine()
        project = projects.create(studio, "Clinic")
        dataset.add(studio, project.id, "Where do I park at the Rosenhof?", "Behind the chapel.")
        talk = Example(new_id("e"), project.id, 1, "approved", TALK, ANSWER)
        studio.store.examples.append([talk])
        view = preflight.token_view(studio, talk)
        assert [run.text for run in view.runs if run.kind == "learned"] == [
            "The Rosenhof opens at 7:40.<|im_end|>",
            f"{ANSWER}<|im_end|>",
        ]
        training.start(studio, project.id, Recipe(method="lora", batch_size=2, max_passes=40))
        [run] = until(lambda: training.adopt_finished(studio), 180)
        assert (run.status, run.error) == ("finished", "")
        assert (run.result["learned"], run.result["of"]) == (2, 2)
        live = adapters.live(studio, project.id)
        assert live is not None
        prompts = [engine.render(TALK[:place]) for place in (1, 3, 5)]
        answers = dict(engine.answer(prompts, live.id, [40] * 3, threading.Event()))
        assert (answers[0], answers[2]) == (TALK[1].content, ANSWER)
        assert answers[1] != TALK[3].content, "context only"
        score = evaluation.evaluate(studio, live, threading.Event())
        assert (score.learned, score.total, score.unchecked) == (2, 2, 0)
    finally:
        studio.close()
