"""The contract of the command line, with the engine that echoes; tests/e2e holds the one with the real model."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.cli import _parser
from tests.conftest import REPO, CommandLine, until


@pytest.fixture
def studio(command_line: CommandLine) -> CommandLine:
    return command_line


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(
        json.dumps([{"instruction": "When?", "output": "At nine."}, {"instruction": "何時？", "output": "9時"}])
    )
    return path


def commands(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> list[str]:
    """Every command there is, as typed."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        return [" ".join(path)]
    return [c for name, sub in groups[0].choices.items() for c in commands(sub, (*path, name))]


def test_every_command_has_help_and_stands_in_a_test(studio: CommandLine) -> None:
    tested = "".join(p.read_text(encoding="utf-8") for p in (REPO / "tests").rglob("test_*.py"))
    for command in commands(_parser()):
        assert studio(*command.split(), "--help").status == 0
        words = ", ".join(f'"{word}"' for word in command.split())
        assert words in tested, f"no test runs `studio {command}`"


# The contract


def test_projects(studio: CommandLine) -> None:
    made = studio("projects", "create", "Desk", "--system", "Be brief.", "--format", "instruction", "--json")
    assert made.status == 0
    assert set(made.value) == {"id", "name"}
    [listed] = studio("projects", "list", "--json").value
    assert listed == {"id": made.value["id"], "name": "Desk", "format": "instruction", "language": "en", "examples": 0}
    sample = studio("projects", "sample", "support_en", "--json").value
    assert sample["examples"] == 48
    assert "Desk  (instruction, 0 examples)" in studio("projects", "list").out


def test_importing_listing_and_reviewing(studio: CommandLine, rows: Path) -> None:
    assert studio("import", str(rows), "--json").value == {"added": 2, "skipped": 0, "errors": []}
    assert studio("import", str(rows), "--json").value == {"added": 0, "skipped": 2, "errors": []}
    first, second = studio("examples", "list", "--json").value
    assert first["status"] == "draft"
    assert first["messages"] == [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "At nine."},
    ]
    assert studio("examples", "approve", first["id"], second["id"]).status == 0
    assert studio("examples", "reject", second["id"], "--json").value[0]["status"] == "rejected"
    assert [e["id"] for e in studio("examples", "list", "--status", "approved", "--json").value] == [first["id"]]
    assert [e["id"] for e in studio("examples", "list", "--search", "何時", "--json").value] == [second["id"]]
    shown = studio("examples", "show", first["id"], "--json").value
    assert (shown["status"], shown["version"]) == ("approved", 2)
    assert "At nine." in studio("examples", "list").out


def test_rows_imported_approved(studio: CommandLine, rows: Path) -> None:
    studio("import", str(rows), "--approve")
    assert {e["status"] for e in studio("examples", "list", "--json").value} == {"approved"}


def test_bad_rows_are_told_with_their_numbers(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"instruction": "Q", "output": "A"}\n{"instruction": "Q"}\n{broken\n')
    outcome = studio("import", str(path), "--json")
    assert outcome.status == 2
    assert outcome.value["added"] == 0
    assert [e["row"] for e in outcome.value["errors"]] == [2, 3]
    assert "row 2" in outcome.err
    assert studio("examples", "list", "--json").value == []


def test_chat(studio: CommandLine) -> None:
    answer = studio("chat", "Hello there", "--json")
    assert answer.value == {"answer": "You said: Hello there", "adapter": "base", "tokens": 21}
    assert studio("chat", "Hello there").out == "You said: Hello there\n"
    assert studio("chat", "Hello there", "--max-tokens", "2", "--json").value["answer"] == "You said:"
    options = ("--system", "Be kind.", "--temperature", "0.5", "--seed", "1", "--adapter", "base", "--json")
    assert studio("chat", "Hello", *options).value["answer"] == "You said: Hello"


def test_from_rows_to_a_live_adapter_and_back(studio: CommandLine, rows: Path) -> None:
    studio("import", str(rows), "--approve")
    trained = studio("train", "--method", "lora", "--set", "r=8", "--set", "seed=3", "--json")
    assert trained.status == 0, trained.err
    value = trained.value
    assert {"run", "adapter", "status", "learned", "total", "seconds"} <= set(value)
    assert (value["status"], value["total"], value["learned"]) == ("finished", 2, 0)
    assert "training, step" in trained.err
    [adapter] = studio("adapters", "list", "--json").value
    assert (adapter["id"], adapter["name"], adapter["live"]) == (value["adapter"], "v1", True)
    assert studio("chat", "Hello", "--json").value == {"answer": "Lesson says: Hello", "adapter": "v1", "tokens": 18}
    assert studio("chat", "Hello", "--adapter", "base", "--json").value["adapter"] == "base"

    evaluated = studio("eval", "--json").value
    assert set(evaluated) == {"adapter", "learned", "total", "rows"}
    assert (evaluated["adapter"], evaluated["total"], len(evaluated["rows"])) == (adapter["id"], 2, 2)
    assert studio("eval", "--adapter", "v1", "--json").value == evaluated

    [run] = studio("runs", "list", "--json").value
    assert (run["id"], run["status"], run["recipe"]["r"]) == (value["run"], "finished", 8)
    assert studio("runs", "show", run["id"], "--json").value == run
    assert studio("adapters", "show", "v1", "--json").value["score"]["total"] == 2

    second = studio("train", "--json").value
    assert second["name"] == "v2"
    assert studio("adapters", "rollback", "--json").value == {"live": adapter["id"], "name": "v1"}
    assert studio("adapters", "activate", "v2", "--json").value["name"] == "v2"
    assert studio("adapters", "activate", "base", "--json").value == {"live": None, "name": "base"}
    assert studio("adapters", "delete", "v2", "--json").value == {"deleted": second["adapter"]}
    assert [a["name"] for a in studio("adapters", "list", "--json").value] == ["v1"]


def test_an_orphaned_run_can_be_seen_and_cancelled(studio: CommandLine, tmp_path: Path) -> None:
    """Its starter was killed; the worker goes on."""
    from dataclasses import asdict

    from studio import jobs, projects
    from studio.context import open_studio
    from studio.jobdir import JobDir
    from studio.records import Recipe, Run
    from studio.settings import Settings

    opened = open_studio(Settings(workspace=tmp_path / "workspace", engine="echo"))
    run = Run("r_orphan", projects.default(opened).id, 1, "", 0, asdict(Recipe()))
    job = JobDir(opened.workspace.runs / run.id)
    job.write_spec({"method": "noop", "noop": {"steps": 1000, "step_s": 0.05}}, [])
    opened.store.runs.add(run, [])
    jobs.start(job, "studio.worker")
    opened.close()
    assert studio("runs", "list", "--json").value[0]["status"] == "running"
    assert studio("runs", "cancel", run.id, "--json").value == {"run": run.id, "asked": True}
    until(job.result)
    assert studio("runs", "list", "--json").value[0]["status"] == "cancelled"
    again = studio("runs", "cancel", run.id)
    assert (again.status, again.err) == (2, "studio: Run 1 is not running any more.\n")


def test_models_and_doctor(studio: CommandLine) -> None:
    models = studio("models", "list", "--json").value
    assert next(m for m in models if m["default"])["key"] == "smollm2-135m-instruct"
    assert not any(m["fetched"] for m in models)
    assert "smollm2-135m-instruct" in studio("models", "list").out
    report = studio("doctor", "--json").value
    assert {"machine", "compute", "versions", "workspace", "model", "model_folder"} <= set(report)
    assert report["machine"]["cores"] >= 1
    assert "Computes   on" in studio("doctor").out


def test_a_folder_that_is_a_model_needs_no_pull(studio: CommandLine, tiny_model: Path) -> None:
    pulled = studio("models", "pull", str(tiny_model), "--json")
    assert pulled.value == {"model": "tiny", "folder": str(tiny_model)}


# Errors: one sentence and a hint, on standard error


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["projects", "sample", "nope"], 2, "There is no sample 'nope'. There are: library_ja, support_en."),
        (["projects", "create", " "], 2, "A project needs a name."),
        (["projects", "list", "--workspace", "/dev/null"], 2, "/dev/null is a file."),
        (["examples", "list", "--project", "Nope"], 2, "There is no project 'Nope'."),
        (["examples", "show", "e_none"], 2, "There is no example e_none."),
        (["examples", "approve", "e_none"], 2, "There is no example e_none."),
        (["import", "none.json"], 2, "none.json can't be read: No such file or directory."),
        (["chat", "  "], 2, "There is nothing to ask. Give a question."),
        (["chat", "x" * 3000], 2, "The prompt has"),
        (["chat", "Hello", "--adapter", "v9"], 2, "There is no adapter 'v9' in this project."),
        (["chat", "Hello", "--temperature", "-1"], 2, "The temperature must lie between 0 and 5."),
        (["chat", "Hello", "--max-tokens", "0"], 2, "The answer's length must lie between 1 and 8192 tokens."),
        (["train"], 2, "There are no approved examples to train on."),
        (["train", "--set", "r"], 2, "--set r has no value. Write --set key=value."),
        (["train", "--set", "rank=8"], 2, "A recipe has no setting 'rank'."),
        (["train", "--set", "r=many"], 2, "r can't be 'many'."),
        (["augment", "--method", "synonyms"], 2, "There is no approved example to start from."),
        (["augment", "--method", "synonyms", "--n", "21"], 2, "21 drafts per example can't be made."),
        (["runs", "show", "r_none"], 2, "There is no run r_none."),
        (["eval"], 2, "The base model is live; it was taught nothing yet."),
        (["adapters", "activate", "v9"], 2, "There is no adapter 'v9' in this project."),
        (["adapters", "rollback"], 2, "There is nothing to go back to: the base model is live."),
        (["adapters", "delete", "base"], 2, "The base model can't be deleted."),
        (["adapters", "show", "base"], 2, "The base model is no adapter."),
        (["models", "pull", "nobody/"], 2, "There is no model 'nobody/'."),
        (["chat", "Hello", "--engine", "hf", "--model", "/no/such/folder"], 2, "There is no folder /no/such/folder."),
    ],
)
def test_a_wrong_request(studio: CommandLine, arguments: list[str], status: int, said: str) -> None:
    outcome = studio(*arguments)
    assert outcome.status == status
    last = outcome.err.splitlines()[-1]
    assert last.startswith(f"studio: {said}"), outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["train", "--method", "magic"], ["augment"], ["serve", "--port", "http"]]
)
def test_what_cant_be_parsed(studio: CommandLine, arguments: list[str]) -> None:
    outcome = studio(*arguments)
    assert outcome.status == 2
    assert "error:" in outcome.err


def test_a_bad_variable(studio: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_PORT", "http")
    outcome = studio("serve")
    assert (outcome.status, outcome.err) == (2, "studio: STUDIO_PORT is 'http'. Use a number from 1 to 65535.\n")


def test_work_that_fails(studio: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_OFFLINE", "1")
    outcome = studio("chat", "Hello", "--engine", "hf", "--model", "nobody/nothing")
    assert outcome.status == 1
    assert "nobody/nothing is not in the workspace, and the studio is offline." in outcome.err
    assert "Traceback" not in outcome.err


def test_a_damaged_database(studio: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "studio.duckdb").write_text("no database " * 1000)
    outcome = studio("projects", "list")
    assert outcome.status == 1
    assert "can't be opened" in outcome.err
    assert "Traceback" not in outcome.err


# As a program of its own


def program(tmp_path: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "STUDIO_WORKSPACE": str(tmp_path / "workspace"),
        "STUDIO_ENGINE": "echo",
        "PYTHONPATH": str(REPO),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "studio", *arguments],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_second_studio_is_refused_and_told_who_owns_the_workspace(studio: CommandLine, tmp_path: Path) -> None:
    from studio.workspace import Workspace

    workspace = Workspace(tmp_path / "workspace")
    workspace.lock("serve")
    out, err = (process := program(tmp_path, "projects", "list")).communicate(timeout=60)
    workspace.unlock()
    assert (process.returncode, out) == (2, "")
    assert f"is in use by process {os.getpid()} on" in err
    assert "(serve)" in err
    assert "Traceback" not in err


def test_the_command_line_never_imports_gradio(tmp_path: Path, rows: Path) -> None:
    code = f"""
import sys
from studio.cli import main
for arguments in (["projects", "list"], ["import", {str(rows)!r}, "--approve"], ["train"], ["eval"], ["chat", "Hello"],
                  ["runs", "list"], ["adapters", "list"], ["models", "list"], ["examples", "list"]):
    assert main(arguments) == 0, arguments
heavy = {{"gradio", "fastapi", "uvicorn", "transformers", "torch"}} & set(sys.modules)
assert not heavy, heavy
"""
    env = {**os.environ, "STUDIO_WORKSPACE": str(tmp_path / "w"), "STUDIO_ENGINE": "echo", "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_interrupting_a_training_cancels_it(tmp_path: Path, rows: Path) -> None:
    program(tmp_path, "import", str(rows), "--approve").communicate(timeout=60)
    process = program(tmp_path, "train", "--json")
    assert process.stderr is not None
    while "training" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    value = json.loads(out.splitlines()[-1])
    # The job takes a quarter of a second: it may have come to its end all the same.
    assert (process.returncode, value["status"]) in ((1, "cancelled"), (0, "finished"))
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    process = program(tmp_path, "models", "list")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) in (0, 1)
    assert "Traceback" not in err
