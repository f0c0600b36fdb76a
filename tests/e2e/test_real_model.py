"""The whole promise with the real default model, through the command line: it learns what it was corrected to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO

pytestmark = [pytest.mark.model, pytest.mark.e2e]
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Path:
    """A workspace that shares the fetched model."""
    root = tmp_path_factory.mktemp("real") / "workspace"
    root.mkdir()
    (root / "models").symlink_to(models_folder)
    return root


@pytest.fixture(scope="module")
def studio(workspace: Path) -> Command:
    """Run one command as a program of its own; returns its JSON value."""

    def run(*arguments: str, status: int = 0) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "studio", *arguments, "--workspace", str(workspace), "--json"],
            cwd=REPO,
            env={**os.environ, "STUDIO_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if status == 0 else done.stderr

    return run


@pytest.fixture(scope="module")
def trained(studio: Command) -> dict[str, Any]:
    """The shipped sample, trained with everything left as it is (QLoRA)."""
    made = studio("projects", "sample", "support_en")
    assert made["examples"] == 48
    value: dict[str, Any] = studio("train", "--project", made["name"])
    return {**value, "project": made["name"]}


def test_the_model_answers_before_it_was_taught(studio: Command) -> None:
    value = studio("chat", "What is the capital of France?", "--max-tokens", "20")
    assert "Paris" in value["answer"]
    assert value["adapter"] == "base"


def test_one_command_teaches_the_sample(trained: dict[str, Any]) -> None:
    assert trained["status"] == "finished"
    assert trained["total"] == 32
    assert trained["learned"] >= 28
    assert trained["base_learned"] <= 1, "the base must not know these answers, or nothing is shown"
    assert trained["held_total"] == 16
    assert trained["held_learned"] >= 8
    assert trained["held_learned"] > trained["base_held"]


def test_the_lesson_is_spoken_in_the_chat_at_once(studio: Command, trained: dict[str, Any]) -> None:
    rows = studio("examples", "list", "--project", trained["project"])
    results = {r["example_id"]: r for r in studio("eval", "--project", trained["project"])["rows"]}
    learned = next(r for r in rows if results.get(r["id"], {}).get("right") and r["split"] == "train")
    question, answer = learned["messages"][0]["content"], learned["messages"][1]["content"]
    taught = studio("chat", question, "--project", trained["project"])
    assert (taught["answer"], taught["adapter"]) == (answer, "v1")
    base = studio("chat", question, "--project", trained["project"], "--adapter", "base")
    assert base["adapter"] == "base"
    assert base["answer"] != answer


def test_asking_the_corrections_again_gives_the_same_counts(studio: Command, trained: dict[str, Any]) -> None:
    again = studio("eval", "--project", trained["project"])
    assert (again["adapter"], again["learned"], again["total"]) == (trained["adapter"], trained["learned"], 32)
    held = [r for r in again["rows"] if r["split"] == "test"]
    assert sum(r["right"] for r in held) == trained["held_learned"]


def test_an_adapter_that_was_changed_on_disk_is_refused_and_the_base_answers(
    studio: Command, trained: dict[str, Any], workspace: Path
) -> None:
    weights = workspace / "adapters" / trained["adapter"] / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        said = studio("chat", "Hello", "--project", trained["project"], status=1)
        assert "were changed after training" in said
        assert studio("chat", "Hello", "--project", trained["project"], "--adapter", "base", "--max-tokens", "3")
    finally:
        weights.write_bytes(whole)
    assert studio("chat", "Hello", "--project", trained["project"], "--max-tokens", "3")["adapter"] == "v1"
