from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio import imports, sources
from studio.context import Studio
from studio.errors import HubUnavailable, InvalidInput
from studio.records import Project
from tests.standin_datasets import DatasetRepo, StandInDatasets
from tests.standins import serving


def lines(*names: str) -> bytes:
    return "".join(json.dumps({"instruction": f"{name}?", "output": f"{name}."}) + "\n" for name in names).encode()


@pytest.fixture
def service(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInDatasets]:
    """A Hub that the studio asks as nobody."""
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nonexistent/token")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with serving(StandInDatasets()) as service:
        studio.settings = replace(studio.settings, hub_url=service.url)
        yield service


def quiet(stage: str, done: int, total: int) -> None:
    pass


def test_a_path_is_itself(studio: Studio) -> None:
    source = sources.find(studio, "rows.jsonl", progress=quiet)
    assert (source.files, source.name, source.first) == (((None, Path("rows.jsonl")),), "", Path("rows.jsonl"))


def test_a_dataset_on_the_hub_comes_in_as_one(studio: Studio, project: Project, service: StandInDatasets) -> None:
    files = {"data/train.jsonl": lines("One", "Two"), "data/test.jsonl": lines("Three")}
    service.datasets["owner/letters"] = DatasetRepo.of(files)
    stages: list[str] = []
    source = sources.find(studio, "hf:owner/letters", progress=lambda stage, done, total: stages.append(stage))
    assert "Downloading" in stages
    assert source.name == f"hf:owner/letters@{service.datasets['owner/letters'].head}/default"
    assert imports.import_files(studio, project.id, source.files, source=source.name).added == 3
    assert {e.question: e.split for e in studio.store.examples.find(project.id)} == {
        "One?": "train", "Two?": "train", "Three?": "test",
    }  # fmt: skip


def test_what_is_not_there_is_said(studio: Studio, service: StandInDatasets) -> None:
    with pytest.raises(HubUnavailable):
        sources.find(studio, f"{service.url}/datasets/owner/nothing", progress=quiet)
    with pytest.raises(InvalidInput):
        sources.from_hub(studio, "no/such/form/of/a/name#", quiet, lambda: False)
