from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from studio.errors import Busy, Cancelled, DiskFull, HubUnavailable, InvalidInput
from studio.hub import dataset
from studio.hub.dataset import FetchedDataset, fetch
from studio.hub.reference import parse_dataset_reference
from studio.hub.repo import Hub, wait_for
from studio.settings import Settings
from tests.hub.conftest import NOWHERE, READER, Seen
from tests.standin_datasets import DatasetRepo, StandInDatasets

TRAIN = b'{"instruction": "Hi", "output": "Hello"}\n' * 100
TEST = b'{"instruction": "\xe9\x96\x8b\xe9\xa4\xa8?", "output": "9:30"}\n'
BIG = bytes(range(256)) * 12_000
CARD = """---
license: cc-by-4.0
configs:
- config_name: sft
  data_files: [{split: train, path: sft/train-*.parquet}, {split: test, path: sft/test.parquet}]
- config_name: dpo
  data_files: dpo/all.parquet
---
"""
TWO_CONFIGS = {
    "README.md": CARD.encode(),
    "sft/train-1.parquet": BIG,
    "sft/train-2.parquet": b"two",
    "sft/test.parquet": b"test",
    "dpo/all.parquet": b"dpo",
    "build.py": b"raise SystemExit",
}


def get(name: str, folder: Path, hub: Hub, **choices: Any) -> FetchedDataset:
    choices = {"progress": lambda *_: None, "cancelled": lambda: False} | choices
    return fetch(name, folder, hub, **choices)


def contents(fetched: FetchedDataset) -> list[tuple[str, bytes]]:
    return [(split, path.read_bytes()) for split, path in fetched.files]


def left_in(folder: Path) -> set[str]:
    return {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".lock")
    }


@pytest.fixture(autouse=True)
def datasets(service: StandInDatasets) -> dict[str, DatasetRepo]:
    service.datasets["owner/plain"] = DatasetRepo.of({"train.jsonl": TRAIN, "test.jsonl": TEST, "picture.png": b"png"})
    service.datasets["owner/two"] = DatasetRepo.of(TWO_CONFIGS)
    return service.datasets


def test_a_plain_dataset_comes_by_split_with_its_commit(nobody: Hub, tmp_path: Path, service: StandInDatasets) -> None:
    seen = Seen()
    found = get("owner/plain", tmp_path, nobody, progress=seen)
    assert contents(found) == [("train", TRAIN), ("test", TEST)]
    assert found.revision == service.datasets["owner/plain"].head
    assert found.licence == "cc-by-4.0"
    assert found.source == f"hf:owner/plain@{found.revision}/default"
    assert seen.stages() == ["Asking the Hub", "Downloading"]
    assert seen.calls[-1][1:] == (len(TRAIN) + len(TEST),) * 2
    assert all(tmp_path in path.parents for _, path in found.files)
    assert not [path for _, path, _ in service.asked if "picture" in path]


def test_a_second_fetch_downloads_nothing(nobody: Hub, tmp_path: Path, service: StandInDatasets) -> None:
    first = get("owner/plain", tmp_path, nobody)
    service.asked.clear()
    assert get("owner/plain", tmp_path, nobody) == first
    assert [path for _, path, _ in service.asked if "/resolve/" in path] == []


def test_what_there_is_can_be_looked_at_before(nobody: Hub, service: StandInDatasets) -> None:
    found = dataset.look("owner/two", nobody)
    assert {c.name: list(c.splits) for c in found.configs} == {"sft": ["train", "test"], "dpo": ["train"]}
    assert found.size_of("sft") == len(BIG) + len(b"two") + len(b"test")
    assert found.size_of("sft", "test") == len(b"test")
    assert {path.rsplit("/", 1)[-1] for _, path, _ in service.asked if "/resolve/" in path} == {"README.md"}
    with pytest.raises(InvalidInput, match="several configs: sft, dpo"):
        found.size_of()


def test_config_and_split_are_chosen_and_only_they_are_downloaded(nobody: Hub, tmp_path: Path) -> None:
    found = get("owner/two", tmp_path, nobody, config="sft", split="test")
    assert contents(found) == [("test", b"test")]
    assert left_in(tmp_path) == {f"owner--two/{found.revision}/sft/test.parquet"}
    assert contents(get("owner/two", tmp_path, nobody, config="dpo")) == [("train", b"dpo")]
    whole = get("owner/two", tmp_path, nobody, config="sft")
    assert contents(whole) == [("train", BIG), ("train", b"two"), ("test", b"test")]
    with pytest.raises(InvalidInput, match="several configs: sft, dpo"):
        get("owner/two", tmp_path, nobody)
    with pytest.raises(InvalidInput, match="no split 'dev'"):
        get("owner/two", tmp_path, nobody, config="sft", split="dev")


def test_an_older_commit_or_a_branch_is_fetched_when_named(
    nobody: Hub, tmp_path: Path, service: StandInDatasets
) -> None:
    repo = service.datasets["owner/plain"]
    old = repo.head
    new = repo.add({"train.jsonl": b"{}\n"}, "smaller")
    repo.branches |= {"v1": old, "refs/convert/parquet": repo.add({"en/train/0000.parquet": b"p"}, "converted")}
    repo.branches["main"] = new
    assert get("owner/plain", tmp_path, nobody, revision=old).revision == old
    assert get("owner/plain", tmp_path, nobody, revision="v1").revision == old
    assert contents(get("owner/plain", tmp_path, nobody, revision=new)) == [("train", b"{}\n")]
    reference = parse_dataset_reference("hf:owner/plain@refs/convert/parquet/en#train")
    assert reference.config == "en"
    found = get(reference.id, tmp_path, nobody, revision=reference.revision, config="en", split="train")
    assert contents(found) == [("train", b"p")]
    again = parse_dataset_reference(found.source)
    assert again.revision == found.revision


def test_what_another_commit_left_is_deleted(nobody: Hub, tmp_path: Path, service: StandInDatasets) -> None:
    get("owner/plain", tmp_path, nobody)
    get("owner/two", tmp_path, nobody, config="dpo")
    new = service.datasets["owner/plain"].add({"train.jsonl": b"{}\n"}, "smaller")
    get("owner/plain", tmp_path, nobody)
    assert {path.split("/", 2)[1] for path in left_in(tmp_path) if path.startswith("owner--plain")} == {new}
    assert len(left_in(tmp_path)) == 2


# The connection


def test_a_broken_connection_is_continued_where_it_broke(nobody: Hub, tmp_path: Path, service: StandInDatasets) -> None:
    service.cut["sft/train-1.parquet"] = [1_000_000]
    assert contents(get("owner/two", tmp_path, nobody, config="sft"))[0] == ("train", BIG)
    ranges = [wanted for path, wanted in service.requests if path == "sft/train-1.parquet"]
    assert ranges == ["", "bytes=1000000-"]


def test_after_a_lost_connection_the_next_call_continues(nobody: Hub, tmp_path: Path, service: StandInDatasets) -> None:
    service.cut["sft/train-1.parquet"] = [1000, 500, 250]
    with pytest.raises(HubUnavailable, match="connection broke") as caught:
        get("owner/two", tmp_path, nobody, config="sft")
    assert "what has arrived is kept" in caught.value.hint
    assert [path.rsplit("/", 1)[-1] for path in left_in(tmp_path)] == ["train-1.parquet.part"]
    assert contents(get("owner/two", tmp_path, nobody, config="sft"))[0] == ("train", BIG)
    assert service.requests[-1] == ("sft/train-1.parquet", "bytes=1750-")


def test_a_killed_process_leaves_no_half_file_under_its_name(
    nobody: Hub, tmp_path: Path, service: StandInDatasets
) -> None:
    service.stall["sft/train-1.parquet"] = 2000
    code = f"""
        from pathlib import Path
        from studio.hub.dataset import fetch
        from studio.hub.repo import Hub
        fetch("owner/two", Path({str(tmp_path)!r}), Hub({service.url!r}, ""), config="sft",
              progress=lambda *_: None, cancelled=lambda: False)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as process:
        assert service.stalled.wait(60)
        process.send_signal(signal.SIGKILL)
    service.released.set()
    assert all(name.endswith(".part") for name in left_in(tmp_path))
    assert contents(get("owner/two", tmp_path, nobody, config="sft"))[0] == ("train", BIG)


@pytest.mark.parametrize("stage", ["Asking the Hub", "Downloading"])
def test_cancelling_leaves_nothing(nobody: Hub, tmp_path: Path, stage: str) -> None:
    seen = Seen()
    with pytest.raises(Cancelled):
        get("owner/two", tmp_path, nobody, config="sft", progress=seen, cancelled=lambda: stage in seen.stages())
    assert not tmp_path.exists() or left_in(tmp_path) == set()


def test_the_wait_for_a_silent_hub_ends_and_can_be_cut_short() -> None:
    silence = threading.Event()
    with pytest.raises(TimeoutError):
        wait_for(lambda: silence.wait(5), 0.05, lambda: False)
    with pytest.raises(Cancelled):
        wait_for(lambda: silence.wait(5), 60, lambda: True)
    silence.set()


# What is refused


def test_damaged_files_are_refused_and_fetched_again(nobody: Hub, tmp_path: Path, service: StandInDatasets) -> None:
    service.lies["sft/train-1.parquet"] = BIG[::-1]
    with pytest.raises(HubUnavailable, match="checksum is wrong"):
        get("owner/two", tmp_path, nobody, config="sft")
    assert left_in(tmp_path) == set()
    service.lies["sft/train-1.parquet"] = BIG + b"more and more"
    with pytest.raises(HubUnavailable, match="wrong size"):
        get("owner/two", tmp_path, nobody, config="sft")
    service.lies.clear()
    assert contents(get("owner/two", tmp_path, nobody, config="sft"))[0] == ("train", BIG)


def test_too_large_a_dataset_is_refused_before_the_download(
    nobody: Hub, tmp_path: Path, service: StandInDatasets
) -> None:
    with pytest.raises(InvalidInput, match=r"has 3\.1 MB; at most 1\.0 MB") as caught:
        get("owner/two", tmp_path, nobody, config="sft", max_bytes=1_000_000)
    assert "smaller config or split" in caught.value.hint
    assert get("owner/two", tmp_path, nobody, config="sft", split="test", max_bytes=1_000_000)
    service.claimed["train.jsonl"] = 3_000_000_000
    with pytest.raises(InvalidInput, match=r"has 3\.0 GB; at most 2\.0 GB"):
        get("owner/plain", tmp_path, nobody)
    service.claimed["train.jsonl"] = 1 << 60
    with pytest.raises(DiskFull, match="of disk space"):
        get("owner/plain", tmp_path, nobody, max_bytes=1 << 62)


@pytest.mark.parametrize("name", ["../train.jsonl", "/tmp/train.jsonl", "a/../../train.jsonl", "a\\train.jsonl",
                                  "C:train.jsonl", "a\ntrain.jsonl", "./train.jsonl", "a//train.jsonl"])  # fmt: skip
def test_names_that_lead_out_of_the_folder_are_refused(
    nobody: Hub, tmp_path: Path, service: StandInDatasets, name: str
) -> None:
    service.datasets["owner/evil"] = DatasetRepo.of({name: TRAIN})
    with pytest.raises(HubUnavailable, match=r"can't be used safely|no data that can be read"):
        get("owner/evil", tmp_path / "in", nobody)
    assert left_in(tmp_path) == set()


def test_the_authors_code_is_neither_run_nor_fetched(nobody: Hub, tmp_path: Path, service: StandInDatasets) -> None:
    get("owner/two", tmp_path, nobody, config="sft")
    service.datasets["owner/code"] = DatasetRepo.of({"code.py": b"raise SystemExit", "data.txt": b""})
    with pytest.raises(HubUnavailable, match="made by its author's code") as caught:
        get("owner/code", tmp_path, nobody)
    assert "hf:owner/code@refs/convert/parquet" in caught.value.hint
    assert not [path for _, path, _ in service.asked if path.endswith(".py")]


@pytest.mark.parametrize("name", ["a/b/c", "-a", "a--b", "", "a b", "../x", "a/" + "b" * 97])
def test_impossible_names_are_refused_without_asking(
    nobody: Hub, tmp_path: Path, service: StandInDatasets, name: str
) -> None:
    with pytest.raises(InvalidInput, match="can't be the name of a dataset"):
        get(name, tmp_path, nobody)
    assert service.asked == []


def test_two_at_once_are_refused(nobody: Hub, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock-owner--plain"), pytest.raises(Busy, match="being fetched already"):
        get("owner/plain", tmp_path, nobody)


# Who may


def test_a_missing_and_a_private_dataset_are_not_told_apart(
    nobody: Hub, tmp_path: Path, service: StandInDatasets
) -> None:
    service.datasets["owner/secret"] = DatasetRepo.of({"train.jsonl": TRAIN}, is_private=True)
    for name in ("owner/none", "owner/secret"):
        with pytest.raises(HubUnavailable, match=f"has no dataset {name}, or it is private") as caught:
            get(name, tmp_path, nobody)
        assert "hf auth login" in caught.value.hint
    assert dataset.look("owner/secret", Hub(service.url, READER)).is_private
    assert contents(get("owner/secret", tmp_path, Hub(service.url, READER))) == [("train", TRAIN)]


def test_a_gated_dataset_says_where_to_accept_its_conditions(
    nobody: Hub, tmp_path: Path, service: StandInDatasets
) -> None:
    service.datasets["owner/plain"].is_gated = True
    with pytest.raises(HubUnavailable, match="conditions of owner/plain must be accepted") as caught:
        get("owner/plain", tmp_path, nobody)
    assert f"accept them at {service.url}/datasets/owner/plain" in caught.value.hint
    assert contents(get("owner/plain", tmp_path, Hub(service.url, READER)))[0] == ("train", TRAIN)


def test_an_unknown_revision_is_named(nobody: Hub, tmp_path: Path) -> None:
    with pytest.raises(HubUnavailable, match="owner/plain has no revision v9 on the Hub"):
        get("owner/plain", tmp_path, nobody, revision="v9")


def test_without_a_connection_the_message_names_the_hub(tmp_path: Path) -> None:
    with pytest.raises(HubUnavailable, match=f"Hub at {NOWHERE} can't be reached"):
        get("owner/plain", tmp_path, Hub(NOWHERE, ""))


def test_offline_nothing_is_asked(tmp_path: Path, service: StandInDatasets) -> None:
    hub = Hub.of(Settings(hub_url=service.url, offline=True))
    with pytest.raises(HubUnavailable, match="the studio is offline"):
        get("owner/plain", tmp_path, hub)
    assert service.asked == []


@pytest.mark.parametrize(
    ("status", "says"), [(500, "error 500"), (429, "asked too often"), (403, "does not allow this .*: No, you\\.")]
)
def test_a_hub_in_trouble_is_named(
    nobody: Hub, tmp_path: Path, service: StandInDatasets, status: int, says: str
) -> None:
    service.answers["GET /datasets/owner/plain/resolve"] = (status, "", "No, you.")
    with pytest.raises(HubUnavailable, match=says) as caught:
        get("owner/plain", tmp_path, nobody)
    assert caught.value.hint


def test_the_token_of_this_machine_is_used_unless_another_or_none_is_given(
    tmp_path: Path, service: StandInDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.datasets["owner/plain"].is_private = True
    monkeypatch.setenv("HF_TOKEN", READER)
    assert get("owner/plain", tmp_path, Hub(service.url))
    with pytest.raises(HubUnavailable, match="or it is private"):
        get("owner/plain", tmp_path, Hub(service.url, ""))
    assert Hub(service.url).has_token()
    assert not Hub(service.url, "").has_token()


def test_the_token_goes_to_the_hub_only(tmp_path: Path, service: StandInDatasets) -> None:
    """Large files lie elsewhere; who keeps them must not learn the token."""
    get("owner/two", tmp_path, Hub(service.url, READER), config="sft")
    assert {token for _, path, token in service.asked if not path.startswith("/lfs/")} == {READER}
    assert {token for _, path, token in service.asked if path.startswith("/lfs/")} == {""}


def test_the_token_is_in_no_message_and_no_log(
    tmp_path: Path, service: StandInDatasets, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    mine, told = Hub(service.url, READER), []
    assert READER not in repr(mine)
    refusals = [
        (401, "", f"bad {READER}"),
        (403, "", f"Bearer {READER} may not"),
        (500, "", READER),
        (403, "GatedRepo", ""),
    ]
    for refusal in refusals:
        service.answers["GET /datasets/owner/plain/resolve"] = refusal
        with pytest.raises(HubUnavailable) as caught:
            get("owner/plain", tmp_path, mine)
        told += [str(caught.value), repr(caught.value)]
    caplog.clear()  # with what this Hub sent back of its own accord
    service.answers.clear()
    for hub in (Hub(service.url, "hf_mistyped"), Hub(NOWHERE, READER)):
        with pytest.raises(HubUnavailable) as caught:
            get("owner/plain", tmp_path, hub)
        told += traceback.format_exception(caught.value)
    shutil.rmtree(tmp_path)
    get("owner/plain", tmp_path, mine)
    told += [record.getMessage() for record in caplog.records] + list(capfd.readouterr())
    assert any("/resolve/" in text for text in told)
    assert any("does not know the token" in text for text in told)
    assert not [text for text in told if "SECRET" in text or "hf_mistyped" in text]
