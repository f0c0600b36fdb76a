"""A Hub with one person who may push and one who may only look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.hub.repo import Hub
from tests.standin_datasets import StandInDatasets
from tests.standins import serving

WRITER, READER = "hf_writerSECRETwriterSECRETwriter", "hf_readerSECRETreaderSECRETreader"
NOWHERE = "http://127.0.0.1:1"
"""A Hub that can't be reached."""


class Seen:
    """Records what a person would see of the progress."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.calls.append((stage, done, total))

    def stages(self) -> list[str]:
        return list(dict.fromkeys(stage for stage, _, _ in self.calls))


@pytest.fixture(autouse=True)
def no_token_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nonexistent/token")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> Iterator[StandInDatasets]:
    with serving(StandInDatasets()) as service:
        service.writers[WRITER] = "owner"
        service.readers[READER] = "owner"
        yield service


@pytest.fixture
def writer(service: StandInDatasets) -> Hub:
    return Hub(service.url, WRITER)


@pytest.fixture
def nobody(service: StandInDatasets) -> Hub:
    return Hub(service.url, "")
