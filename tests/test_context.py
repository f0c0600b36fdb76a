from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studio.context import Studio, open_studio
from studio.errors import Busy, InvalidInput, ModelUnavailable, NotFound, StoreBroken, WorkspaceInUse
from studio.model.engine import EngineState
from studio.records import Turn
from studio.settings import DEFAULT_MODEL, Settings


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    first = open_studio(settings, "the app")
    with pytest.raises(WorkspaceInUse, match="the app"):
        open_studio(settings)
    first.close()
    open_studio(settings).close()


def test_a_workspace_whose_database_is_broken_is_let_go_again(tmp_path: Path) -> None:
    (tmp_path / "studio.duckdb").write_text("no database " * 999)
    for _ in range(2):
        with pytest.raises(StoreBroken):
            open_studio(Settings(workspace=tmp_path))


def test_why_there_is_no_engine(tmp_path: Path) -> None:
    studio = open_studio(Settings(workspace=tmp_path, offline=True))
    assert not studio.is_ready
    with pytest.raises(ModelUnavailable, match="No model is loaded"):
        _ = studio.engine
    studio.state = EngineState("loading")
    with pytest.raises(Busy, match="still loading"):
        _ = studio.engine
    with pytest.raises(ModelUnavailable, match="offline"):
        studio.load_engine()
    assert studio.state.name == "failed"
    with pytest.raises(ModelUnavailable, match="offline"):
        _ = studio.engine
    studio.close()


def test_a_folder_of_ones_own_is_a_model(tiny_studio: Studio, tiny_model: Path) -> None:
    assert tiny_studio.state.name == "ready"
    assert tiny_studio.model_path == tiny_model
    identity = tiny_studio.engine.identity
    assert (identity.model, identity.precision, len(identity.sha256)) == ("tiny", "full", 64)
    assert tiny_studio.engine.render([Turn("user", "Hello")]).tokens > 5


def test_a_model_that_cant_be_had_leaves_the_one_in_use(tiny_studio: Studio, tiny_model: Path, tmp_path: Path) -> None:
    engine = tiny_studio.engine
    empty = tmp_path / "empty"
    empty.mkdir()
    for name, error in ((str(empty), ModelUnavailable), ("nobody-knows-it", NotFound)):
        with pytest.raises(error):
            tiny_studio.choose_model(name)
        assert tiny_studio.engine is engine
        assert tiny_studio.model_name == str(tiny_model)


def test_a_chosen_model_is_kept_over_a_restart_and_a_failed_choice_isnt(tmp_path: Path, tiny_model: Path) -> None:
    settings = Settings(workspace=tmp_path / "workspace", dtype="float32")
    studio = open_studio(settings)
    assert studio.model_name == DEFAULT_MODEL
    studio.choose_model(str(tiny_model))
    assert studio.model_name == str(tiny_model)
    (studio.workspace.models / "smollm2-360m-instruct").mkdir()
    with pytest.raises(InvalidInput, match="in the way"):
        studio.choose_model("smollm2-360m-instruct")
    assert studio.model_name == str(tiny_model)
    studio.close()
    again = open_studio(settings)
    assert again.model_name == str(tiny_model)
    again.close()
    named = open_studio(replace(settings, model="qwen3-0.6b"))
    assert named.model_name == "qwen3-0.6b", "what was named at the start wins"
    named.close()


def test_an_echo_needs_no_probe(studio: Studio) -> None:
    assert (studio.compute.device, studio.compute.dtype) == ("cpu", "float32")
