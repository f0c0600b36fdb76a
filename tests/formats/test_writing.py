"""The exact shapes other tools document, and files that are there whole or not at all."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from studio import formats
from studio.errors import InvalidInput
from studio.formats import FORMATS, FormatName
from studio.formats.cells import join_tags, neutralised, restored, split_tags
from studio.formats.turn_rows import openai_turn
from studio.records import Example, Turn
from tests.formats.conftest import TOOLS, call, example

SEVERAL = (
    Turn("system", "S"),
    Turn("user", "q"),
    Turn("assistant", "a", True),
    Turn("user", "Q\n\nI"),
)
ASKED = (
    Turn("user", "When?"),
    Turn("assistant", "", True, {"tool_calls": [call("hours", '{"day":"Mon"}', id="c")]}),
    Turn("tool", "nine", extra={"tool_call_id": "c"}),
)
PLAIN = example(0, messages=(Turn("user", "Q"),), answer="A")
CHAT = example(1, messages=SEVERAL, answer="A", rejected="B", extra={"input": "I", "topic": "x"})
CALLS = example(2, messages=ASKED, answer="At nine.", extra={"tools": TOOLS})


def written(tmp_path: Path, format_: FormatName, rows: list[Example], *, plain: bool = True) -> list[Any]:
    """The rows of a file as another tool reads them."""
    out = tmp_path / f"rows{formats.ENDINGS[format_]}"
    formats.write(format_, rows, out, plain=plain)
    text = out.read_text(encoding="utf-8")
    return list(json.loads(text)) if out.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


SYSTEM, q, a, Q, A, B = (
    {"role": role, "content": text}
    for role, text in (("system", "S"), ("user", "q"), ("assistant", "a"), ("user", "Q\n\nI"), ("assistant", "A"),
                       ("assistant", "B"))
)  # fmt: skip


def test_alpaca(tmp_path: Path) -> None:
    assert written(tmp_path, "alpaca", [PLAIN, CHAT]) == [
        {"instruction": "Q", "input": "", "output": "A"},
        {"instruction": "Q", "input": "I", "output": "A", "system": "S", "history": [["q", "a"]]},
    ]


def test_sharegpt(tmp_path: Path) -> None:
    assert written(tmp_path, "sharegpt", [CHAT, CALLS]) == [
        {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "gpt", "value": "a"},
                {"from": "human", "value": "Q\n\nI"},
                {"from": "gpt", "value": "A"},
            ],
            "system": "S",
        },
        {
            "conversations": [
                {"from": "human", "value": "When?"},
                {"from": "function_call", "value": '{"name":"hours","arguments":{"day":"Mon"}}'},
                {"from": "observation", "value": "nine"},
                {"from": "gpt", "value": "At nine."},
            ],
            "tools": json.dumps(TOOLS, separators=(",", ":")),
        },
    ]


def test_openai(tmp_path: Path) -> None:
    unlearned = example(3, messages=(Turn("user", "q"), Turn("assistant", "a"), Turn("user", "Q")), answer="A")
    first, second = written(tmp_path, "openai", [CALLS, unlearned])
    assert first == {
        "messages": [
            {"role": "user", "content": "When?"},
            {"role": "assistant", "content": "", "tool_calls": [call("hours", '{"day":"Mon"}', id="c")]},
            {"role": "tool", "content": "nine", "tool_call_id": "c"},
            {"role": "assistant", "content": "At nine."},
        ],
        "tools": TOOLS,
    }
    assert second["messages"][1] == {"role": "assistant", "content": "a", "weight": 0}
    assert "weight" not in second["messages"][3]


def test_openai_parts_stay_parts_unless_the_text_was_edited() -> None:
    parts = [{"type": "text", "text": "When?"}]
    assert openai_turn(Turn("user", "When?", extra={"content": parts}))["content"] == parts
    assert openai_turn(Turn("user", "Where?", extra={"content": parts}))["content"] == "Where?"


def test_trl_messages(tmp_path: Path) -> None:
    first, second = written(tmp_path, "trl-messages", [CHAT, CALLS])
    assert first == {"messages": [SYSTEM, q, a, Q, A]}
    assert second["messages"][1]["tool_calls"][0]["function"] == {"name": "hours", "arguments": {"day": "Mon"}}
    assert json.loads(second["tools"]) == TOOLS


def test_trl_prompt_completion_has_a_row_for_every_turn_to_learn(tmp_path: Path) -> None:
    rows = written(
        tmp_path, "trl-prompt-completion", [CHAT, example(4, messages=SEVERAL, answer="A", learn_answer=False)]
    )
    first, second = {"prompt": [SYSTEM, q], "completion": [a]}, {"prompt": [SYSTEM, q, a, Q], "completion": [A]}
    assert rows == [first, second, first]


def test_trl_dpo_takes_pairs_only(tmp_path: Path) -> None:
    rejected = example(5, rejected="B", status="rejected")
    assert written(tmp_path, "trl-dpo", [PLAIN, CHAT, rejected]) == [
        {"prompt": [SYSTEM, q, a, Q], "chosen": [A], "rejected": [B]}
    ]
    result = formats.write("trl-dpo", [PLAIN, CHAT, rejected], tmp_path / "x.jsonl")
    assert (result.rows, result.examples) == (1, 1)
    assert result.skipped == {
        "it has no rejected answer": 1,
        "its answer was rejected, so there is none to choose": 1,
    }


def test_trl_kto_labels_both_sides(tmp_path: Path) -> None:
    rejected = example(5, answer="A", rejected="B", messages=(Turn("user", "Q"),), status="rejected")
    prompt = [{"role": "user", "content": "Q"}]
    assert written(tmp_path, "trl-kto", [PLAIN, CHAT, rejected]) == [
        {"prompt": prompt, "completion": [A], "label": True},
        {"prompt": [SYSTEM, q, a, Q], "completion": [A], "label": True},
        {"prompt": [SYSTEM, q, a, Q], "completion": [B], "label": False},
        {"prompt": prompt, "completion": [A], "label": False},
        {"prompt": prompt, "completion": [B], "label": False},
    ]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    odd = [
        CALLS,
        example(6, messages=(Turn("assistant", "Hi!"), Turn("user", "Q"))),
        example(7, learn_answer=False),
        example(8, answer=" "),
        example(9, answer="\ud800"),
        example(10, messages=(SEVERAL[1], Turn("assistant", "a"), Turn("user", "Q"))),
    ]
    result = formats.write("alpaca", odd, tmp_path / "x.json")
    assert result.skipped == {
        "it has tool calls, which Alpaca can't hold": 1,
        "its turns don't alternate between user and assistant": 1,
        "nothing in it is to be learned": 1,
        "the answer is empty": 1,
        "it holds half a character (an unpaired surrogate)": 1,
    }
    assert result.notes == {"turns that are not to be learned can't be told apart in this format": 1}
    assert formats.verify(result, lambda: odd).is_verified is True


def test_text_beside_a_tool_call_is_a_loss_that_is_told(tmp_path: Path) -> None:
    asked = Turn("assistant", "Let me look.", True, {"tool_calls": [call("hours", "{}", id="c1")]})
    told = Turn("tool", "nine", extra={"tool_call_id": "c1"})
    rows = [example(0, messages=(Turn("user", "When?"), asked, told)), example(1)]
    for format_, notes in (("sharegpt", {"text beside a tool call has no place in this format": 1}), ("openai", {})):
        assert formats.write(format_, rows, tmp_path / "rows", plain=True).notes == notes


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no format 'xml'.*There are: alpaca"):
        formats.write("xml", [], tmp_path / "x")  # type: ignore[arg-type]


# Tables


def test_a_csv_file_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x", "'=1"]
    rows = [example(n, answer=t, note=t, messages=(Turn("user", t),)) for n, t in enumerate(texts)]
    result = formats.write("csv", rows, tmp_path / "rows.csv")
    data = result.path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfid,status,")
    with result.path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r＝＋－＠")]
    assert formats.verify(result, lambda: rows).differences == ()


@pytest.mark.parametrize("cell", ["", "a", "'a", "=a", "'=a", "''=a", " =a", "＝", "'"])
def test_cells_come_back(cell: str) -> None:
    assert restored(neutralised(cell)) == cell


@pytest.mark.parametrize("tags", [(), ("a",), ("a", "b c"), ("a, b", "c"), ("",), (" a",), ("[x]",), ('"',)])
def test_tags_come_back(tags: tuple[str, ...]) -> None:
    assert split_tags(join_tags(tags)) == tags


def test_parquet_columns(tmp_path: Path) -> None:
    narrow = formats.write("parquet", [PLAIN, CHAT], tmp_path / "narrow.parquet").path
    assert pq.read_schema(narrow).names == [
        "id", "status", "split", "messages", "rejected_answer", "tags", "rating", "note", "source", "author", "studio",
    ]  # fmt: skip
    assert pq.read_table(narrow).column("messages").to_pylist()[1] == [SYSTEM, q, a, Q, A]
    many = [example(n) for n in range(25_000)]
    wide = formats.write("parquet", [*many, CALLS, example(25_001)], tmp_path / "wide.parquet")
    assert pq.ParquetFile(wide.path).metadata.num_rows == 25_002
    assert formats.verify(wide, lambda: [*many, CALLS, example(25_001)]).differences == ()


# Whole or not at all, and always the same


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, format_: FormatName) -> None:
    rows = [PLAIN, CHAT, CALLS, example(11, split="test", rejected="B", tags=("x",))]
    first = formats.write(format_, rows, tmp_path / "one" / "rows")
    second = formats.write(format_, iter(rows), tmp_path / "two" / "rows")
    again = formats.write(format_, rows, tmp_path / "two" / "rows")
    assert first.sha256 == second.sha256 == again.sha256
    assert [p.read_bytes() for p in first.files] == [p.read_bytes() for p in again.files]
    assert {p.relative_to(tmp_path / "two") for p in again.files} == {
        p.relative_to(tmp_path / "two") for p in (tmp_path / "two").rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path, format_: FormatName) -> None:
    def rows() -> Iterator[Example]:
        yield CHAT
        raise KeyboardInterrupt

    before = formats.write(format_, [PLAIN, CHAT], tmp_path / "rows")
    held = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(KeyboardInterrupt):
        formats.write(format_, rows(), before.path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == held


def test_what_a_killed_export_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".rows.jsonl.0-1.part").write_text("half")
    formats.write("openai", [PLAIN], tmp_path / "rows.jsonl")
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_two_exports_to_one_file_at_once(tmp_path: Path) -> None:
    rows = [example(n) for n in range(500)]
    threads = [threading.Thread(target=formats.write, args=("openai", rows, tmp_path / "rows.jsonl")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 500
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_folder_that_is_no_dataset_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="holds other things than an export"):
        formats.write("hf", [PLAIN], tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


# LLaMA-Factory: the columns its data/README.md documents

COLUMN_NAMES = {
    "prompt",
    "query",
    "response",
    "history",
    "messages",
    "system",
    "tools",
    "chosen",
    "rejected",
    "kto_tag",
}
TAG_NAMES = {
    "role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag",
}  # fmt: skip


@pytest.mark.parametrize(
    ("format_", "columns", "ranking"),
    [
        ("alpaca", {"prompt", "query", "response", "system", "history"}, False),
        ("sharegpt", {"messages", "system", "tools"}, False),
        ("trl-dpo", {"messages", "system", "chosen", "rejected"}, True),
        ("trl-kto", {"messages", "system", "tools", "kto_tag"}, False),
    ],
)
def test_llama_factory_finds_its_columns(tmp_path: Path, format_: FormatName, columns: set[str], ranking: bool) -> None:
    (tmp_path / "dataset_info.json").write_text('{"theirs": {"file_name": "x.json"}}')
    out = tmp_path / f"rows{formats.ENDINGS[format_]}"
    result = formats.write(format_, [PLAIN, CHAT, CALLS], out, name="clinic")
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert info["theirs"] == {"file_name": "x.json"}
    entry = info["clinic"]
    assert entry["formatting"] == ("alpaca" if format_ == "alpaca" else "sharegpt")
    assert entry.get("ranking", False) is ranking
    assert set(entry["columns"]) == columns <= COLUMN_NAMES
    assert set(entry.get("tags", TAG_NAMES)) == TAG_NAMES
    rows = json.loads((tmp_path / entry["file_name"]).read_text())
    assert tmp_path / entry["file_name"] in result.files
    assert set(entry["columns"].values()) <= {name for row in rows for name in row}
    for row in rows:
        _check_as_llama_factory(row, entry)


def _check_as_llama_factory(row: dict[str, Any], entry: dict[str, Any]) -> None:
    """What its converters ask of a row: the types, and whose turn it is."""
    columns = entry["columns"]
    if entry["formatting"] == "alpaca":
        assert all(isinstance(row[columns[name]], str) for name in ("prompt", "query", "response"))
        assert all(len(pair) == 2 for pair in row.get("history", []))
        return
    tags, turns = entry["tags"], row[columns["messages"]]
    sides = ({tags["user_tag"], tags["observation_tag"]}, {tags["assistant_tag"], tags["function_tag"]})
    for i, turn in enumerate(turns):
        assert turn[tags["role_tag"]] in sides[i % 2]
        assert isinstance(turn[tags["content_tag"]], str)
    if entry.get("ranking"):
        assert len(turns) % 2 == 1
        assert all(row[columns[side]][tags["role_tag"]] in sides[1] for side in ("chosen", "rejected"))
    else:
        assert len(turns) % 2 == 0
    if "kto_tag" in columns:
        assert isinstance(row[columns["kto_tag"]], bool)


def test_a_broken_dataset_info_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"dataset_info\.json can't be read"):
        formats.write("alpaca", [PLAIN], tmp_path / "rows.json")
    assert [p.name for p in tmp_path.iterdir()] == ["dataset_info.json"]


# The card


def card(tmp_path: Path, rows: list[Example], **fields: Any) -> tuple[dict[str, Any], str]:
    formats.write("hf", rows, tmp_path / "set", card=formats.Card(**{"name": "Clinic", **fields}))
    text = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_card_is_filled_from_the_data(tmp_path: Path) -> None:
    rows = [
        example(0, source="typed", author="Ann"),
        example(1, source="chat", rejected="B", author="Bob | x"),
        example(2, source="chat", author="Ann"),
        example(3, source="augmented", split="test", status="draft"),
    ]
    front, body = card(
        tmp_path, rows, name='Bob\u2028"s: [set]', languages=("no", "ja"), license="cc-by-4.0",
        near_duplicate_rate=0.25,
        split_rule="By a hash of the group.", studio_version="9.9",
    )  # fmt: skip
    assert front["pretty_name"] == 'Bob\u2028"s: [set]'
    assert (front["language"], front["license"]) == (["no", "ja"], "cc-by-4.0")
    assert front["annotations_creators"] == ["expert-generated", "machine-generated"]
    assert (front["size_categories"], front["task_categories"]) == (["n<1K"], ["text-generation"])
    assert front["source_datasets"] == ["original"]
    assert [c["config_name"] for c in front["configs"]] == ["sft", "dpo", "kto"]
    assert front["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/sft/train-00000-of-00001.parquet"},
        {"split": "test", "path": "data/sft/test-00000-of-00001.parquet"},
    ]
    for info in front["dataset_info"]:
        for split in info["splits"]:
            path = tmp_path / "set" / "data" / info["config_name"] / f"{split['name']}-00000-of-00001.parquet"
            table = pq.read_table(path)
            assert split["num_examples"] == table.num_rows
            assert [f["name"] for f in info["features"]] == table.column_names
    for line in (
        "4 examples, made with Correction Studio 9.9.", "| typed by hand | 1 (25.0 %) |",
        "| a model's answer, edited by an expert | 1 (25.0 %) |",
        "| a model's answer, accepted as it was | 1 (25.0 %) |", "| Ann | 2 (50.0 %) |", r"| Bob \| x | 1 (25.0 %) |",
        "| approved | 3 (75.0 %) |", "Near-duplicates: 25.0 % of the rows", "Split: By a hash of the group.",
    ):  # fmt: skip
        assert line in body


def test_the_card_says_what_is_not_known(tmp_path: Path) -> None:
    front, body = card(tmp_path, [example(0, source="import")])
    assert not {"license", "language"} & set(front)
    assert (front["annotations_creators"], front["source_datasets"]) == (["found"], ["extended"])
    assert "Near-duplicates: not measured" in body
    empty, _ = card(tmp_path, [])
    assert (empty["configs"], empty["annotations_creators"]) == ([], ["no-annotation"])


def test_another_status_is_another_content_hash(tmp_path: Path) -> None:
    bodies = [card(tmp_path, [example(0, status=status)])[1] for status in ("draft", "approved", "draft")]
    hashes = [body.split("`")[-2] for body in bodies]
    assert hashes[0] == hashes[2] != hashes[1]


def test_what_made_way_comes_back_if_nothing_took_its_place(tmp_path: Path) -> None:
    """Killed between the two steps of replacing a folder."""
    old = tmp_path / ".set.1.old"
    old.mkdir()
    (old / "README.md").write_text("card", encoding="utf-8")

    def broken() -> Iterator[Example]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        formats.write("hf", broken(), tmp_path / "set")
    assert (tmp_path / "set" / "README.md").read_text(encoding="utf-8") == "card"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
