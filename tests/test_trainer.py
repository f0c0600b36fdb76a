"""The trainer on the tiny model: it learns, it knows what it learned, and it can be stopped at any moment."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from studio import adapters, dataset, evaluation, jobs, projects, training
from studio.context import Studio
from studio.errors import RunFailed
from studio.jobdir import JobDir
from studio.model.hf_engine import HFEngine
from studio.model.identity import identity_of
from studio.records import Project, Recipe, Turn, turns_from
from tests.conftest import until

ROWS = [
    ("When do you open?", "At nine."),
    ("When do you close?", "At five."),
    ("Where can I park?", "Behind the house."),
    ("How long can I park?", "Two hours."),
    ("開館時間は？", "9時です。"),
    ("月曜は開いていますか。", "休館です。"),
    ("How do I return a parcel?", "Bring it to the desk."),
    ("Who are you?", "A clerk."),
]
FAST = {"learning_rate": 2e-2, "r": 8, "lora_alpha": 16}


def prepare(
    tiny_model: Path,
    folder: Path,
    passes: int,
    rows: list[tuple[str, str]] = ROWS,
    *,
    precision: str = "full",
    **recipe: Any,
) -> JobDir:
    """A run folder as `training.start` writes it."""
    job = JobDir(folder)
    chosen = Recipe(**{**FAST, **recipe})
    job.write_spec(
        {
            "run": "r_test",
            "method": chosen.method,
            "recipe": chosen.__dict__,
            "passes": passes,
            "snapshot": "hash",
            "base": identity_of(tiny_model, precision).as_dict(),
            "base_path": str(tiny_model),
            "parameters": 100_000,
            "context_length": 256,
            "device": "cpu",
            "dtype": "float32",
        },
        [
            {"example": f"e{n}", "messages": [{"role": "user", "content": q}], "answer": a}
            for n, (q, a) in enumerate(rows)
        ],
    )
    return job


def train(job: JobDir) -> dict[str, Any]:
    from studio.worker.trainer import run

    return run(job, job.spec())


def greedy_right(tiny_model: Path, job: JobDir, sha256: str) -> int:
    """How many rows the adapter answers right when it is loaded and asked."""
    base = identity_of(tiny_model, job.spec()["base"]["precision"])
    engine = HFEngine(tiny_model, base, device="cpu", dtype="float32")
    engine.load_adapter("a", job.adapter, sha256)
    rows = job.rows()
    prompts = [engine.render([Turn("user", row["messages"][0]["content"])]) for row in rows]
    found = dict(engine.answer(prompts, "a", [26] * len(rows), threading.Event()))
    return sum(found[n] == row["answer"] for n, row in enumerate(rows))


@pytest.mark.parametrize(("method", "precision"), [("lora", "full"), ("qlora", "full"), ("qlora", "nf4")])
def test_training_learns_and_stops_when_all_is_learned(
    tiny_model: Path, tmp_path: Path, method: str, precision: str
) -> None:
    job = prepare(tiny_model, tmp_path / "run", 60, method=method, precision=precision)
    result = train(job)
    losses = [e["loss"] for e in job.events() if "loss" in e]
    assert losses[-1] < losses[0] / 10
    assert (result["learned"], result["of"]) == (len(ROWS), len(ROWS))
    assert result["passes"] < 60, "it went on although everything was learned"
    assert result["steps"] == len(losses) == 2 * result["passes"]
    assert greedy_right(tiny_model, job, result["sha256"]) == len(ROWS)
    assert {p.name for p in job.adapter.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "studio-adapter.json",
    }
    manifest = json.loads((job.adapter / "studio-adapter.json").read_text())
    assert manifest["base"] == job.spec()["base"]
    assert (manifest["sha256"], manifest["run"], manifest["method"]) == (result["sha256"], "r_test", method)
    assert not (job.path / "trainer").exists()
    phases = [e["phase"] for e in job.events()]
    assert list(dict.fromkeys(phases)) == ["loading", "preparing", "training", "saving"]
    assert result["tokens_per_s"] > 0
    assert result["peak_bytes"] > 10_000_000
    assert result["versions"]["peft"]


@pytest.mark.parametrize(
    ("method", "precision", "passes", "dropout"),
    [
        ("lora", "full", 5, 0.0),
        ("lora", "full", 7, 0.0),
        ("lora", "nf4", 6, 0.0),
        ("lora", "full", 9, 0.3),
        ("qlora", "nf4", 7, 0.0),
        ("qlora", "full", 1, 0.0),
        ("qlora", "full", 6, 0.0),
        ("qlora", "full", 8, 0.0),
    ],
)
def test_what_counts_as_learned_is_what_greedy_decoding_gets_right(
    tiny_model: Path, tmp_path: Path, method: str, precision: str, passes: int, dropout: float
) -> None:
    """Half learned, which is where the two could differ."""
    job = prepare(tiny_model, tmp_path / "run", passes, method=method, precision=precision, lora_dropout=dropout)
    result = train(job)
    assert result["learned"] == greedy_right(tiny_model, job, result["sha256"])
    assert [e["step"] for e in job.events() if e.get("checked")][-1] == result["steps"], "counted at the very end"


def test_the_same_seed_trains_the_same_adapter(tiny_model: Path, tmp_path: Path) -> None:
    first, second, other = (
        train(prepare(tiny_model, tmp_path / name, 2, method="lora", seed=seed))["sha256"]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second != other


def test_rows_that_dont_fit_are_left_out_and_told(tiny_model: Path, tmp_path: Path) -> None:
    rows = [*ROWS[:3], ("x " * 200, "y"), ("Long?", "z " * 200)]
    job = prepare(tiny_model, tmp_path / "run", 2, rows, method="lora", max_length=64)
    result = train(job)
    assert result["too_long"] == ["e3", "e4"]
    assert result["left_out"] == {"e3": "too-long", "e4": "too-long"}
    assert result["of"] == result["rows"] == 3
    assert result["learned"] <= 3
    with pytest.raises(RunFailed, match="No example fits"):
        train(prepare(tiny_model, tmp_path / "none", 2, rows[3:], max_length=64))


def test_a_row_is_learned_at_every_marked_turn(tiny_model: Path, tmp_path: Path) -> None:
    rows = [(f"Q{n}?", answer) for n, (_, answer) in enumerate(ROWS[:4])]
    job = prepare(tiny_model, tmp_path / "run", 80, rows, method="lora")
    talk = [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "At nine.", "learn": True},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "Not at all, dear."},
        {"role": "user", "content": "Why?"},
    ]
    job.write_spec(job.spec(), [*job.rows(), {"example": "talk", "messages": talk, "answer": "So."}])
    result = train(job)
    assert (result["learned"], result["of"]) == (5, 5)
    engine = HFEngine(tiny_model, identity_of(tiny_model, "full"), device="cpu", dtype="float32")
    engine.load_adapter("a", job.adapter, result["sha256"])
    turns = turns_from(talk)
    prompts = [engine.render(turns[:place]) for place in (1, 3, 5)]
    answers = dict(engine.answer(prompts, "a", [26] * 3, threading.Event()))
    assert (answers[0], answers[2]) == ("At nine.", "So.")
    assert answers[1] != "Not at all, dear.", "context only"
    assert result["loss_tokens_by_row"]["talk"] == sum(
        len(engine.render_text(text).ids) + 1 for text in ("At nine.", "So.")
    )


def test_what_is_cut_is_not_taught_to_end_there(tiny_model: Path, tmp_path: Path) -> None:
    rows = [*ROWS[:2], ("Long?", "z y x w " * 20)]
    cut = {"max_length": 48, "excess_length_strategy": "truncate", "method": "lora"}
    job = prepare(tiny_model, tmp_path / "run", 60, rows, **cut)
    result = train(job)
    assert (result["of"], result["left_out"], result["too_long"]) == (3, {}, [])
    assert result["cut_tokens"] > 0
    assert result["learned"] == 3
    engine = HFEngine(tiny_model, identity_of(tiny_model, "full"), device="cpu", dtype="float32")
    engine.load_adapter("a", job.adapter, result["sha256"])
    [(_, answer)] = engine.answer([engine.render([Turn("user", "Long?")])], "a", [100], threading.Event())
    assert answer.startswith("z y x w z y x w")
    assert len(engine.render_text(answer).ids) > result["loss_tokens_by_row"]["e2"]


def test_nothing_to_learn_is_no_question_of_length(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="nothing to learn"):
        train(prepare(tiny_model, tmp_path / "run", 2, [("Q", " ")]))


def test_a_single_row_can_be_learned(tiny_model: Path, tmp_path: Path) -> None:
    result = train(prepare(tiny_model, tmp_path / "run", 40, ROWS[:1], method="lora"))
    assert result["learned"] == 1


def test_a_loss_that_is_no_number_ends_the_run(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    job = prepare(broken, tmp_path / "run", 2, method="lora")
    with pytest.raises(RunFailed, match="stopped being a number"):
        train(job)
    assert not job.adapter.exists()


# As the app runs it: in a process of its own


@pytest.fixture
def taught(tiny_studio: Studio) -> Project:
    project = projects.create(tiny_studio, "Help desk", system_prompt="You are a clerk.")
    for question, answer in ROWS:
        dataset.add(tiny_studio, project.id, question, answer)
    return project


def test_the_whole_loop(tiny_studio: Studio, taught: Project) -> None:
    run = training.start(tiny_studio, taught.id, Recipe(**FAST, max_passes=60))
    [after] = until(lambda: training.adopt_finished(tiny_studio), 120)
    assert (after.id, after.status, after.error) == (run.id, "finished", "")
    live = adapters.live(tiny_studio, taught.id)
    assert live is not None
    assert live.id == after.adapter_id
    score = evaluation.evaluate(tiny_studio, live, threading.Event())
    assert (score.learned, score.total) == (after.result["learned"], len(ROWS)) == (len(ROWS), len(ROWS))
    assert score.base_learned == 0
    assert training.plan(tiny_studio, taught.id).tokens > 0


def test_a_run_stops_within_a_step(tiny_studio: Studio, taught: Project) -> None:
    run = training.start(tiny_studio, taught.id, Recipe(method="lora", max_passes=1000, stop_when_learned=False))
    job = JobDir(tiny_studio.workspace.runs / run.id)
    until(lambda: training.progress(tiny_studio, run).step >= 2, 120)
    training.cancel(tiny_studio, run.id)
    at = training.progress(tiny_studio, run).step
    [after] = until(lambda: training.adopt_finished(tiny_studio), 60)
    assert (after.status, after.adapter_id) == ("cancelled", None)
    # The step under way when it was asked, and the one that began before the events were read.
    assert training.progress(tiny_studio, after).step <= at + 2
    assert not job.adapter.exists()


def test_a_worker_that_is_killed_leaves_a_run_that_says_where(tiny_studio: Studio, taught: Project) -> None:
    run = training.start(tiny_studio, taught.id, Recipe(method="lora", max_passes=1000, stop_when_learned=False))
    until(lambda: training.progress(tiny_studio, run).step >= 2, 120)
    jobs.kill(JobDir(tiny_studio.workspace.runs / run.id))
    [after] = until(lambda: training.adopt_finished(tiny_studio), 60)
    assert after.status == "failed"
    assert after.result["phase"] == "training"
    assert after.result["step"] >= 2
    assert f"while training at step {after.result['step']} of 2000" in after.error
    assert adapters.live(tiny_studio, taught.id) is None
    assert training.loop(tiny_studio, taught.id).failed is not None
