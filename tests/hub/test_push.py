from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio.errors import Cancelled, HubUnavailable, InvalidInput
from studio.formats import Card, Draft, read, write
from studio.hub.card import NOTES_END, NOTES_START, pushed_files
from studio.hub.dataset import fetch
from studio.hub.push import Pushed, push
from studio.hub.repo import Hub
from studio.records import Example, Split, Turn
from tests.hub.conftest import NOWHERE, READER, WRITER, Seen
from tests.standin_datasets import ATTRIBUTES, DatasetRepo, StandInDatasets

ROWS = [
    {"messages": [{"role": "user", "content": f"{n}時?"}, {"role": "assistant", "content": " はい\n"}]}
    for n in range(40)
]
PAIRS = [{"prompt": f"p{n}", "chosen": "c", "rejected": "r"} for n in range(5)]
CARD = """---
license: cc-by-4.0
configs:
- config_name: sft
  default: true
  data_files:
  - {split: train, path: sft/train-*.parquet}
  - {split: test, path: sft/test.parquet}
- config_name: dpo
  data_files: dpo.jsonl
---
# Opening hours

45 rows.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    (folder / "sft").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(ROWS[:20]), folder / "sft" / "train-00000.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS[20:30]), folder / "sft" / "train-00001.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS[30:]), folder / "sft" / "test.parquet")
    (folder / "dpo.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    (folder / "private-notes.txt").write_text("not for others")
    (folder / ".env").write_text(f"HF_TOKEN={WRITER}")
    (folder / "leftover.csv").write_text("a\n1\n")
    return folder


FILES = ["sft/train-00000.parquet", "sft/train-00001.parquet", "sft/test.parquet", "dpo.jsonl"]


def send(folder: Path, hub: Hub, name: str = "owner/hours", **choices: Any) -> Pushed:
    choices = {"progress": lambda *_: None, "cancelled": lambda: False} | choices
    return push(folder, name, hub, **choices)


def test_a_first_push_makes_a_private_dataset_with_exactly_the_listed_files(
    folder: Path, writer: Hub, service: StandInDatasets
) -> None:
    seen = Seen()
    pushed = send(folder, writer, progress=seen)
    repo = service.datasets["owner/hours"]
    assert repo.is_private
    assert pushed == Pushed(
        f"{service.url}/datasets/owner/hours", repo.head, ("README.md", *FILES), (), is_private=True
    )
    assert set(repo.files) == {".gitattributes", "README.md", *FILES}
    assert all(repo.files[name] == (folder / name).read_bytes() for name in FILES)
    assert repo.files["README.md"].decode().startswith(CARD.rstrip())
    assert len(repo.commits) == 2
    assert repo.messages[-1] == "Push the dataset from Correction Studio"
    size = sum((folder / name).stat().st_size for name in FILES)
    assert seen.stages() == ["Asking the Hub", "Reading", "Uploading", "Committing"]
    assert ("Reading", size, size) in seen.calls
    assert ("Uploading", size, size) in seen.calls


def test_a_public_push_is_public_when_asked_for(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    assert not send(folder, writer, private=False, message="Version 3").is_private
    assert service.datasets["owner/hours"].messages[-1] == "Version 3"


def test_what_was_pushed_is_fetched_again(folder: Path, writer: Hub, tmp_path: Path) -> None:
    pushed = send(folder, writer)
    found = fetch("owner/hours", tmp_path / "in", writer, progress=lambda *_: None, cancelled=lambda: False)
    assert found.revision == pushed.revision
    assert [split for split, _ in found.files] == ["train", "train", "test"]
    assert [row for _, path in found.files for row in pq.read_table(path).to_pylist()] == ROWS


def test_the_datasets_library_loads_what_was_pushed(
    folder: Path, writer: Hub, service: StandInDatasets, tmp_path: Path
) -> None:
    (folder / "dpo.jsonl").unlink()  # this library reads only one format for all configs
    pq.write_table(pa.Table.from_pylist(PAIRS), folder / "dpo.parquet")
    (folder / "README.md").write_text(CARD.replace("dpo.jsonl", "dpo.parquet"), encoding="utf-8")
    pushed = send(folder, writer)
    code = f"""
        import json
        from datasets import load_dataset
        sft = load_dataset("owner/hours", revision={pushed.revision!r})
        dpo = load_dataset("owner/hours", "dpo")
        print(json.dumps([{{k: v.to_list() for k, v in d.items()}} for d in (sft, dpo)]))
    """
    env = os.environ | {"HF_ENDPOINT": service.url, "HF_TOKEN": WRITER, "HF_HOME": str(tmp_path / "hf")}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=env, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"train": ROWS[:30], "test": ROWS[30:]}, {"train": PAIRS}]


def test_an_export_is_pushed_and_read_again(writer: Hub, service: StandInDatasets, tmp_path: Path) -> None:
    splits: tuple[Split, ...] = ("train", "train", "test")
    examples = [
        Example(f"e{n}", "p", 1, "approved", (Turn("user", f"{n}時?"),), " はい\n", split=split, rejected="no")
        for n, split in enumerate(splits)
    ]
    write("hf", examples, tmp_path / "out", card=Card("Opening hours"))
    pushed = send(tmp_path / "out", writer)
    assert set(pushed.files) == {
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert push(tmp_path / "out", "owner/hours", writer, progress=Seen(), cancelled=lambda: False) == pushed
    found = fetch("owner/hours", tmp_path / "in", writer, config="sft", progress=Seen(), cancelled=lambda: False)
    drafts = [draft for _, path in found.files for _, draft in read(path)]
    assert [d.answer for d in drafts if isinstance(d, Draft)] == [" はい\n"] * 3
    assert [split for split, _ in found.files] == ["train", "test"]


# Again


def test_each_push_refreshes_the_card_and_keeps_the_notes(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    send(folder, writer)
    repo = service.datasets["owner/hours"]
    text = repo.files["README.md"].decode()
    at = text.index(NOTES_START) + len(NOTES_START)
    by_hand = text[:at] + "\nAsk Hanako. 手書き\n" + text[text.index(NOTES_END) :]
    repo.add(repo.files | {"README.md": by_hand.encode()}, "by hand")
    (folder / "README.md").write_text(CARD.replace("45 rows", "46 rows").replace("license: cc-by-4.0\n", ""))
    send(folder, writer)
    card = repo.files["README.md"].decode()
    assert "46 rows" in card
    assert "45 rows" not in card
    assert f"{NOTES_START}\nAsk Hanako. 手書き\n{NOTES_END}" in card
    assert "license: cc-by-4.0" in card


def test_only_what_changed_is_uploaded_and_what_is_gone_is_removed_in_one_commit(
    folder: Path, writer: Hub, service: StandInDatasets
) -> None:
    send(folder, writer)
    repo = service.datasets["owner/hours"]
    repo.add(repo.files | {"picture.png": b"by hand"}, "by hand")
    service.asked.clear()
    pq.write_table(pa.Table.from_pylist(ROWS[:3]), folder / "sft" / "test.parquet")
    (folder / "sft" / "train-00001.parquet").unlink()
    pushed = send(folder, writer)
    assert pushed.removed == ("sft/train-00001.parquet",)
    assert len([path for method, path, _ in service.asked if method == "PUT"]) == 1
    assert len(repo.commits) == 4
    assert set(repo.files) == {".gitattributes", "picture.png", *pushed.files}
    assert repo.files["sft/test.parquet"] == (folder / "sft" / "test.parquet").read_bytes()
    assert pushed_files(repo.files["README.md"].decode()) == {*pushed.files} - {"README.md"}


def test_pushing_the_same_again_changes_nothing(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    first = send(folder, writer)
    assert send(folder, writer) == first
    assert len(service.datasets["owner/hours"].commits) == 2


def test_a_single_file_can_be_pushed(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    pushed = send(folder, writer, files=["dpo.jsonl"])
    assert pushed.files == ("README.md", "dpo.jsonl")
    assert set(service.datasets["owner/hours"].files) == {".gitattributes", *pushed.files}


def test_a_card_that_was_written_on_the_hub_first_is_kept(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    card = b"---\nlicense: mit\n---\n# Our project\n"
    service.datasets["owner/hours"] = DatasetRepo.of(ATTRIBUTES | {"README.md": card}, is_private=True)
    send(folder, writer)
    assert (
        f"{NOTES_START}\n\n# Our project\n\n{NOTES_END}" in service.datasets["owner/hours"].files["README.md"].decode()
    )


# What is refused


def test_data_that_no_push_brought_is_neither_mixed_in_nor_replaced(
    folder: Path, writer: Hub, service: StandInDatasets
) -> None:
    repo = service.datasets["owner/hours"] = DatasetRepo.of({"train.csv": b"a\n1\n"}, is_private=True)
    with pytest.raises(InvalidInput, match=r"holds data that the studio did not push: 'train\.csv'\.") as caught:
        send(folder, writer)
    assert "Push to another name" in caught.value.hint
    assert repo.files == {"train.csv": b"a\n1\n"}
    assert len(repo.commits) == 1


def test_private_rows_do_not_go_to_a_public_dataset(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    service.datasets["owner/hours"] = DatasetRepo.of(ATTRIBUTES)
    with pytest.raises(InvalidInput, match="owner/hours is public on the Hub, and this push is private"):
        send(folder, writer)
    assert len(service.datasets["owner/hours"].commits) == 1
    assert not send(folder, writer, private=False).is_private
    service.datasets["owner/hidden"] = DatasetRepo.of(ATTRIBUTES, is_private=True)
    assert send(folder, writer, "owner/hidden", private=False).is_private


def test_without_a_token_it_says_how_to_get_one(folder: Path, service: StandInDatasets) -> None:
    for hub in (Hub(service.url), Hub(service.url, "")):
        with pytest.raises(InvalidInput, match="needs a token") as caught:
            send(folder, hub)
        assert f"{service.url}/settings/tokens" in caught.value.hint
    assert service.asked == []


def test_a_token_that_may_only_read_is_refused(folder: Path, service: StandInDatasets) -> None:
    reader = Hub(service.url, READER)
    with pytest.raises(HubUnavailable, match="does not allow this for owner/new: You don't have the rights") as caught:
        send(folder, reader, "owner/new")
    assert "whether it may write" in caught.value.hint
    service.datasets["owner/hours"] = DatasetRepo.of(ATTRIBUTES, is_private=True)
    with pytest.raises(HubUnavailable, match="does not allow this for owner/hours: You need write access"):
        send(folder, reader)
    assert len(service.datasets["owner/hours"].commits) == 1


def test_another_persons_name_is_refused(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    with pytest.raises(HubUnavailable, match="rights to create a dataset under 'someone'"):
        send(folder, writer, "someone/hours")
    assert service.datasets == {}


def test_a_dataset_that_the_token_cannot_see_is_not_called_new(
    folder: Path, writer: Hub, service: StandInDatasets
) -> None:
    service.answers["GET /api/datasets/owner/hours"] = (404, "RepoNotFound", "")
    service.datasets["owner/hours"] = DatasetRepo.of(ATTRIBUTES, is_private=True)
    with pytest.raises(HubUnavailable, match="a dataset owner/hours on the Hub already, but this token can't see it"):
        send(folder, writer)


def test_a_commit_by_someone_else_in_between_is_a_conflict_and_the_next_push_goes_through(
    folder: Path, writer: Hub, service: StandInDatasets
) -> None:
    send(folder, writer)
    repo = service.datasets["owner/hours"]
    (folder / "README.md").write_text(CARD.replace("45 rows", "46 rows"))

    def meanwhile(stage: str, done: int, total: int) -> None:
        if stage == "Committing":
            repo.add(repo.files | {"other.txt": b"x"}, "by hand")

    with pytest.raises(HubUnavailable, match="was changed on the Hub at the same moment") as caught:
        send(folder, writer, progress=meanwhile)
    assert "Try again" in caught.value.hint
    assert repo.messages[-1] == "by hand"
    send(folder, writer)
    assert "46 rows" in repo.files["README.md"].decode()
    assert "other.txt" in repo.files


def test_names_and_folders_that_cannot_be_pushed(
    folder: Path, writer: Hub, service: StandInDatasets, tmp_path: Path
) -> None:
    for name, says in (
        ("hours", "does not say whose"),
        ("owner/a--b", "can't be the name"),
        ("../x", "can't be the name"),
    ):
        with pytest.raises(InvalidInput, match=says):
            send(folder, writer, name)
    for files in (["missing.csv"], ["../secret.csv"], ["/etc/passwd"], ["sft"], ["link.csv"], ["sft/../dpo.jsonl"]):
        (tmp_path / "secret.csv").write_text("a\n1\n")
        (folder / "link.csv").unlink(missing_ok=True)
        (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
        with pytest.raises(InvalidInput, match="is no file of"):
            send(folder, writer, files=files)
    (folder / "README.md").write_text("---\nconfigs: [{config_name: a, data_files: none.csv}]\n---\n")
    with pytest.raises(InvalidInput, match="no data that can be read"):
        send(folder, writer)
    (folder / "README.md").unlink()
    with pytest.raises(InvalidInput, match=r"has no README\.md"):
        send(folder, writer)
    assert service.asked == []


def test_a_card_that_the_hub_finds_wrong_is_refused_with_its_reasons(
    folder: Path, writer: Hub, service: StandInDatasets
) -> None:
    service.card_errors = ['"license" must be one of [...]', '"language" is wrong']
    with pytest.raises(InvalidInput, match=r'does not take the card: "license" must be .*; "language" is wrong'):
        send(folder, writer)
    assert len(service.datasets["owner/hours"].commits) == 1


def test_a_file_that_the_dataset_ignores_is_an_error_and_not_left_out(
    folder: Path, writer: Hub, service: StandInDatasets
) -> None:
    service.datasets["owner/hours"] = DatasetRepo.of({".gitignore": b"dpo.jsonl\n"}, is_private=True)
    with pytest.raises(HubUnavailable, match=r"dpo\.jsonl would be left out"):
        send(folder, writer)


def test_without_a_connection_or_offline(folder: Path, service: StandInDatasets) -> None:
    with pytest.raises(HubUnavailable, match="can't be reached"):
        send(folder, Hub(NOWHERE, WRITER))
    with pytest.raises(HubUnavailable, match="the studio is offline"):
        send(folder, Hub(service.url, WRITER, offline=True))
    assert service.asked == []


@pytest.mark.parametrize(
    "start", ["POST /api/datasets/owner/hours/preupload", "PUT /lfs", "POST /api/datasets/owner/hours/commit"]
)
def test_a_refusal_at_any_step_leaves_the_dataset_as_it_was(
    folder: Path, writer: Hub, service: StandInDatasets, start: str
) -> None:
    first = send(folder, writer)
    pq.write_table(pa.Table.from_pylist(ROWS[:3]), folder / "sft" / "test.parquet")
    service.answers[start] = (413, "", "Too large")
    with pytest.raises(HubUnavailable, match="error 413 for owner/hours: Too large"):
        send(folder, writer)
    assert service.datasets["owner/hours"].head == first.revision
    service.answers.clear()
    assert send(folder, writer).revision != first.revision


@pytest.mark.parametrize("stage", ["Asking the Hub", "Reading", "Uploading"])
def test_cancelling_leaves_the_dataset_as_it_was(
    folder: Path, writer: Hub, service: StandInDatasets, stage: str
) -> None:
    first, seen = send(folder, writer), Seen()
    for n in (0, 1):
        pq.write_table(pa.Table.from_pylist(ROWS[: n + 5]), folder / "sft" / f"train-0000{n}.parquet")
    with pytest.raises(Cancelled, match="was cancelled"):
        send(folder, writer, progress=seen, cancelled=lambda: stage in seen.stages())
    assert service.datasets["owner/hours"].head == first.revision


def test_a_commit_that_has_begun_is_not_given_up(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    seen = Seen()
    pushed = send(folder, writer, progress=seen, cancelled=lambda: "Committing" in seen.stages())
    assert service.datasets["owner/hours"].head == pushed.revision


def test_an_upload_that_stands_still_can_be_cancelled(folder: Path, writer: Hub, service: StandInDatasets) -> None:
    answer, held, go_on = service.answer, threading.Event(), threading.Event()

    def slow(request: Any) -> None:
        if request.command == "PUT":
            held.set()
            go_on.wait(30)
        answer(request)

    service.answer = slow  # type: ignore[method-assign]
    try:
        with pytest.raises(Cancelled, match="Pushing was cancelled"):
            send(folder, writer, cancelled=held.is_set)
    finally:
        go_on.set()
    assert len(service.datasets["owner/hours"].commits) == 1


def test_the_token_is_in_no_message_and_no_log_and_goes_to_the_hub_only(
    folder: Path,
    writer: Hub,
    service: StandInDatasets,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    def fail(hub: Hub, error: type[Exception], show: Callable[..., list[str]]) -> None:
        with pytest.raises(error) as caught:
            send(folder, hub)
        told.extend([str(caught.value), *show(caught.value)])

    service.answers["POST /api/repos/create"] = (403, "", f"{WRITER} may not")
    fail(writer, HubUnavailable, traceback.format_exception_only)
    service.answers.clear()
    service.card_errors = [f"no {WRITER}"]
    fail(writer, InvalidInput, traceback.format_exception_only)
    service.card_errors = []
    caplog.clear()  # with what this Hub sent back of its own accord
    fail(Hub(service.url, READER), HubUnavailable, traceback.format_exception)
    fail(Hub(NOWHERE, WRITER), HubUnavailable, traceback.format_exception)
    send(folder, writer)
    assert {token for _, path, token in service.asked if path.startswith("/lfs/")} == {""}
    assert all(WRITER.encode() not in data for data in service.datasets["owner/hours"].files.values())
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    told += [record.getMessage() for record in caplog.records]
    assert any("/commit/" in text for text in told)
    assert not [text for text in told if "SECRET" in text]
