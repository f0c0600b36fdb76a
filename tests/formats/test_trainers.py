"""Exports as they lie on the disk, loaded by `datasets` and trained on by TRL: nothing is converted in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest

from studio import formats
from studio.records import Example, Turn
from tests.formats.conftest import TOOLS, call, example

BEFORE = (Turn("user", "Hello?"), Turn("assistant", "Hello!", True))
ASKED = (
    Turn("user", "When do you open?"),
    Turn("assistant", "", True, {"tool_calls": [call("hours", '{"day":"Mon"}', id="c1")]}),
    Turn("tool", "nine", extra={"tool_call_id": "c1", "name": "hours"}),
)


def rows(*, tools: bool) -> list[Example]:
    found = [
        example(n, rejected=f"No {n}." if n % 2 else None, tags=("a",), extra={"topic": n if n % 3 else "text"})
        for n in range(6)
    ]
    found.append(
        example(6, messages=(Turn("system", "Be brief."), *BEFORE, Turn("user", "何時？")), rejected="知らない。")
    )
    found.append(example(7, split="test", rejected="No.", status="approved"))
    if tools:
        found.append(example(8, messages=ASKED, rejected="No.", extra={"tools": TOOLS}))
    return found


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What every trainer needs on a machine without a graphics card."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return {
        "output_dir": str(tmp_path / "trained"),
        "use_cpu": True,
        "bf16": False,
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "activation_checkpointing": False,
    }


def load(tmp_path: Path, path: Path, kind: str = "json") -> Any:
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))


def train(kind: str, tiny_model: Path, data: Any, settings: dict[str, Any]) -> int:
    """Two steps on `data`; returns how many rows the trainer kept."""
    import trl
    from transformers import AutoTokenizer

    args = getattr(trl, f"{kind}Config")(**settings)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    trainer = getattr(trl, f"{kind}Trainer")(
        model=str(tiny_model), args=args, train_dataset=data, processing_class=tokenizer
    )
    trainer.train()
    assert trainer.state.global_step == 2
    return len(trainer.train_dataset)


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize(
    ("kind", "format_", "count"),
    [
        ("SFT", "trl-messages", 8),
        ("SFT", "trl-prompt-completion", 9),
        ("SFT", "openai", 8),
        ("DPO", "trl-dpo", 5),
        ("KTO", "trl-kto", 13),
    ],
)
def test_trl_takes_two_steps(
    tiny_model: Path, tmp_path: Path, settings: dict[str, Any], kind: str, format_: formats.FormatName, count: int,
    tools: bool,
) -> None:  # fmt: skip
    written = formats.write(format_, rows(tools=tools), tmp_path / "rows.jsonl")
    more = {"trl-prompt-completion": 2, "trl-kto": 2}.get(format_, 1) if tools else 0
    assert written.rows == count + more
    assert train(kind, tiny_model, load(tmp_path, written.path), settings) == written.rows


@pytest.mark.parametrize("tools", [False, True])
def test_parquet_trains_too(tiny_model: Path, tmp_path: Path, settings: dict[str, Any], tools: bool) -> None:
    written = formats.write("parquet", rows(tools=tools), tmp_path / "rows.parquet")
    assert train("SFT", tiny_model, load(tmp_path, written.path, "parquet"), settings) == written.rows


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize(("kind", "config", "count"), [("SFT", "sft", 7), ("DPO", "dpo", 4), ("KTO", "kto", 11)])
def test_a_folder_is_a_dataset(
    tiny_model: Path, tmp_path: Path, settings: dict[str, Any], kind: str, config: str, count: int, tools: bool
) -> None:
    examples = rows(tools=tools)
    written = formats.write("hf", examples, tmp_path / "set", card=formats.Card("A set", ("en", "ja")))
    data = datasets.load_dataset(str(written.path), config, cache_dir=str(tmp_path / "cache"))
    assert set(data) == {"train", "test"}
    count += (2 if config == "kto" else 1) if tools else 0
    assert (len(data["train"]), len(data["test"])) == (count, 2 if config == "kto" else 1)
    if config == "sft":
        first = data["train"][0]
        assert first["messages"] == [
            {"role": "user", "content": "Question 0?"},
            {"role": "assistant", "content": "Answer 0."},
        ]
        assert [d["messages"][-1]["content"] for d in data["train"]] == [
            e.answer for e in examples if e.split == "train"
        ]
    assert train(kind, tiny_model, data["train"], settings) == count


def test_every_config_is_listed(tmp_path: Path) -> None:
    written = formats.write("hf", rows(tools=False), tmp_path / "set")
    assert datasets.get_dataset_config_names(str(written.path)) == ["sft", "dpo", "kto"]
    builder = datasets.load_dataset_builder(str(written.path), "sft", cache_dir=str(tmp_path / "cache"))
    assert {s.name: s.num_examples for s in builder.info.splits.values()} == {"train": 7, "test": 1}
    assert list(builder.info.features) == ["messages", "studio"]


def test_a_csv_file_is_a_table_of_prompts_and_completions(
    tiny_model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    single = [e for e in rows(tools=False) if e.is_single_turn]
    written = formats.write("csv", single, tmp_path / "rows.csv", plain=True)
    data = load(tmp_path, written.path, "csv")
    assert (data["prompt"][0], data["completion"][0]) == ("Question 0?", "Answer 0.")
    assert train("SFT", tiny_model, data.select_columns(["prompt", "completion"]), settings) == len(single)
