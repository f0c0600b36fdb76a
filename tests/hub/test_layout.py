from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from studio.errors import HubUnavailable, InvalidInput
from studio.hub.layout import CONVERTED_REVISION, choose_config, find_configs

PARQUET = {"train": ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet")}


def splits(names: list[str], card: Mapping[str, Any] | None = None) -> dict[str, dict[str, tuple[str, ...]]]:
    return {c.name: dict(c.splits) for c in find_configs(names, card or {}, "o/n")}


def write(folder: Path, names: list[str], card: Mapping[str, Any]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name\n{name}\n" if name.endswith(".csv") else f'{{"name": "{name}"}}\n')
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(dict(card))}---\n")


@pytest.mark.parametrize(
    ("names", "card"),
    [
        (["train.jsonl"], {}),
        (["anything.jsonl", "more.jsonl"], {}),
        (["train.jsonl", "dev.jsonl", "test.jsonl", "README.md", ".hidden/train.jsonl"], {}),
        (["data/train-00000-of-00001.jsonl", "data/odd_name-00000-of-00001.jsonl", "other.jsonl"], {}),
        (["my_train_set.csv", "my_val_set.csv", "notes.txt"], {}),
        (["train/a.csv", "train/deep/b.csv", "validation/c.csv", "__pycache__/d.csv"], {}),
        (["en/training-1/a.jsonl", "en/eval.2/b.jsonl"], {}),
        (["a/trainer.jsonl", "latest.jsonl"], {}),
        (["x.csv", "y.csv", "z.jsonl"], {}),
        (["x.csv", "y.jsonl", "dataset_info.json"], {"configs": [{"config_name": "one", "data_files": "*.csv"}]}),
        (
            ["sft/a.jsonl", "sft/b.jsonl", "dpo/c.jsonl"],
            {
                "configs": [
                    {"config_name": "sft", "data_files": [{"split": "train", "path": ["sft/b.jsonl", "sft/a.jsonl"]}]},
                    {"config_name": "dpo", "data_files": [{"split": "test", "path": "dpo/*"}], "default": True},
                ]
            },
        ),
        (["in/a.jsonl", "in/deep/b.jsonl"], {"configs": [{"config_name": "x", "data_files": ["in/**/*.jsonl"]}]}),
        (["in/train.jsonl", "in/test.jsonl", "out.jsonl"], {"configs": [{"config_name": "x", "data_dir": "in"}]}),
        (["in/p.csv", "q.csv"], {"configs": [{"config_name": "x", "data_dir": "in", "data_files": "*.csv"}]}),
        (["a/b1.jsonl", "a/b2.jsonl"], {"configs": [{"config_name": "x", "data_files": "a/b[12].jsonl"}]}),
    ],
)
def test_the_files_are_those_that_the_library_reads(tmp_path: Path, names: list[str], card: dict[str, Any]) -> None:
    """Every row holds its file's name, so what `datasets` makes of the folder tells which files it took."""
    import datasets

    write(tmp_path, names, card)
    ours = splits([*names, "README.md"], card)
    for config, found in ours.items():
        read = datasets.load_dataset(
            str(tmp_path),
            config if card else None,
            cache_dir=str(tmp_path / ".cache"),
            download_mode="force_redownload",
        )
        assert {split: tuple(rows["name"]) for split, rows in read.items()} == found


def test_parquet_shards_keep_their_order() -> None:
    assert splits([*reversed(PARQUET["train"]), "README.md"]) == {"default": PARQUET}


def test_the_hubs_own_parquet_files_have_a_folder_per_config_and_split() -> None:
    names = ["en/train/0000.parquet", "en/train/0001.parquet", "en/test/0000.parquet", "ja/partial-train/0000.parquet"]
    found = {c.name: dict(c.splits) for c in find_configs(names, {}, "o/n", CONVERTED_REVISION)}
    assert found == {
        "en": {"train": tuple(names[:2]), "test": (names[2],)},
        "ja": {"train": (names[3],)},
    }


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["README.md"], r"no data that can be read here\."),
        (["data.arrow", "more.arrow", "x.tar.gz"], r"only \*\.arrow, \*\.tar\.gz"),
        (["n.py", "README.md"], "made by its author's code, which the studio never runs"),
        ([".hidden/train.jsonl", "dataset_infos.json"], r"only \*\.json"),
    ],
)
def test_without_readable_data_the_message_says_what_is_there(names: list[str], says: str) -> None:
    with pytest.raises(HubUnavailable, match=says) as caught:
        find_configs(names, {}, "o/n")
    assert "hf:o/n@refs/convert/parquet" in caught.value.hint


@pytest.mark.parametrize(
    "path", ["hf://datasets/x/y/a.csv", "https://x.org/a.csv", "../a.csv", "/etc/a.csv", "a/../../b"]
)
def test_a_card_that_leads_out_of_the_repository_is_refused(path: str) -> None:
    card = {"configs": [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}]}
    with pytest.raises(HubUnavailable, match="outside of its repository"):
        find_configs(["a.csv"], card, "o/n")


@pytest.mark.parametrize(
    "configs",
    [
        "all",
        [1],
        [{"data_files": "a.csv"}],
        [{"config_name": "x", "data_files": 3}],
        [{"config_name": "x", "data_files": [{"path": "a.csv"}]}],
        [{"config_name": "x", "data_files": [{"split": "train", "path": [3]}]}],
        [{"config_name": "x", "data_dir": 3}],
        [{"config_name": "x", "data_files": "a**.csv"}],
    ],
)
def test_a_card_that_cannot_be_followed_is_an_error_and_no_traceback(configs: Any) -> None:
    with pytest.raises(HubUnavailable, match="The card of o/n"):
        find_configs(["a.csv"], {"configs": configs}, "o/n")


def test_of_several_configs_one_has_to_be_named_unless_one_is_the_default() -> None:
    names = ["sft.csv", "dpo.csv"]
    stated: list[dict[str, Any]] = [{"config_name": n, "data_files": f"{n}.csv"} for n in ("sft", "dpo")]
    several = find_configs(names, {"configs": stated}, "o/n")
    with pytest.raises(InvalidInput, match="several configs: sft, dpo") as caught:
        choose_config(several, None, "o/n")
    assert caught.value.hint == "Name one of them, as in hf:o/n/sft."
    assert choose_config(several, "dpo", "o/n").name == "dpo"
    with pytest.raises(InvalidInput, match="no config 'kto'") as caught:
        choose_config(several, "kto", "o/n")
    assert caught.value.hint == "There are: sft, dpo."
    stated[1]["default"] = True
    assert choose_config(find_configs(names, {"configs": stated}, "o/n"), None, "o/n").name == "dpo"


def test_a_split_is_named_or_all_are_taken() -> None:
    config = find_configs(["train.csv", "test.csv"], {}, "o/n")[0]
    assert config.choose(None, "o/n") == [("train", "train.csv"), ("test", "test.csv")]
    assert config.choose("test", "o/n") == [("test", "test.csv")]
    with pytest.raises(InvalidInput, match="no split 'dev'") as caught:
        config.choose("dev", "o/n")
    assert caught.value.hint == "There are: train, test."
