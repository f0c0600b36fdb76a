from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.settings import Settings


def test_variables_are_read_and_arguments_win() -> None:
    env = {"STUDIO_WORKSPACE": "/data", "STUDIO_PORT": "8000", "STUDIO_ENGINE": "echo", "HF_ENDPOINT": "http://hub/"}
    settings = Settings.from_env(env, port=9000, host=None)
    assert settings.workspace == Path("/data")
    assert (settings.port, settings.engine, settings.host) == (9000, "echo", "127.0.0.1")
    assert settings.hub_url == "http://hub"


@pytest.mark.parametrize("name", ["STUDIO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_by_either_variable(name: str) -> None:
    assert Settings.from_env({name: "1"}).offline
    assert not Settings.from_env({name: "0"}).offline


@pytest.mark.parametrize(
    "env", [{"STUDIO_PORT": "http"}, {"STUDIO_PORT": "70000"}, {"STUDIO_ENGINE": "magic"}, {"STUDIO_DTYPE": "int8"}]
)
def test_a_bad_variable_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        Settings.from_env(env)
