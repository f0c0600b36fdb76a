"""The contract of the commands about rows: import, review, history, quality, split, snapshots and export."""

from __future__ import annotations

import csv
import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio import formats
from studio.cli import FORMATS, SHAPES
from studio.formats import FIELDS
from tests.conftest import CommandLine
from tests.standin_datasets import DatasetRepo, StandInDatasets
from tests.standins import serving
from tests.test_cli import program

ROWS = [
    {"instruction": "When do you open?", "output": "At nine."},
    {"instruction": "何時に閉まりますか。", "output": "18時です。", "topic": "hours"},
    {"instruction": "Where can I park?", "output": "Behind the house."},
]
TOKEN = "hf_writerSECRETwriterSECRETwriter"


@pytest.fixture
def studio(command_line: CommandLine) -> CommandLine:
    return command_line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def ids(studio: CommandLine, file: Path) -> list[str]:
    """Three approved rows."""
    studio("import", file, "--approve")
    return [row["id"] for row in studio("examples", "list", "--json").value]


def listed(studio: CommandLine, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = studio("examples", "list", *options, "--json").value
    return found


def questions(studio: CommandLine, *options: str) -> list[str]:
    return [row["messages"][0]["content"] for row in listed(studio, *options)]


def test_what_can_be_chosen_is_what_the_formats_have() -> None:
    assert set(FORMATS) == set(formats.FORMATS)
    assert set(SHAPES) == set(FIELDS)


# Import


def test_a_preview_shows_how_rows_read_and_imports_nothing(studio: CommandLine, file: Path) -> None:
    value = studio("import", file, "--preview", "--json").value
    assert set(value) == {"container", "encoding", "shape", "is_sure", "columns", "rows"}
    assert (value["container"], value["shape"], value["is_sure"]) == ("jsonl", "alpaca", True)
    assert value["columns"] == ["instruction", "output", "topic"]
    assert value["rows"][0] == {
        "row": 1,
        "messages": [
            {"role": "user", "content": "When do you open?"},
            {"role": "assistant", "content": "At nine."},
        ],
        "rejected": None,
    }
    assert "jsonl, shape alpaca, columns: instruction, output, topic" in studio("import", file, "--preview").out
    assert listed(studio) == []


def test_columns_by_other_names_are_mapped(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("Frage,Antwort,Schlecht\nWann?,Um neun.,Nie.\n", encoding="utf-8")
    refused = studio("import", path)
    assert (refused.status, "Frage" in refused.err) == (2, True)
    named = ("--shape", "dpo", "--map", "prompt=Frage", "--map", "chosen=Antwort", "--map", "rejected=Schlecht")
    shown = studio("import", path, *named, "--preview", "--json").value
    assert (shown["shape"], shown["rows"][0]["rejected"]) == ("dpo", "Nie.")
    assert studio("import", path, *named, "--json").value == {"added": 1, "skipped": 0, "errors": []}
    [row] = listed(studio)
    assert (row["messages"][1]["content"], row["rejected"], row["status"]) == ("Um neun.", "Nie.", "draft")
    wrong = studio("import", path, "--map", "prompt")
    assert (wrong.status, wrong.err) == (2, "studio: --map prompt names no column. Write --map field=column.\n")


def test_what_was_found_stays_where_more_is_mapped(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "sg.jsonl"
    turns = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    path.write_text(json.dumps({"conversations": turns, "kto_tag": False, "topic": "t1"}), encoding="utf-8")
    studio("import", path, "--approve", "--map", "tags=topic")
    assert [(row["status"], row["tags"]) for row in listed(studio)] == [("rejected", ["t1"])]


def test_columns_that_are_only_guessed_are_named(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "qa.csv"
    path.write_text("質問,My answer,answer\nいつ？,x,9時。\n", encoding="utf-8")
    shown = studio("import", path, "--preview", "--json").value
    assert (shown["is_sure"], shown["rows"][0]["messages"][1]["content"]) == (False, "9時。")
    refused = studio("import", path, "--json")
    assert (refused.status, refused.value["errors"][0]["row"]) == (2, 2)
    said = "Nothing was imported. If --preview reads them well, add "
    assert said in refused.err
    arguments = shlex.split(refused.err.partition(said)[2])
    assert arguments == ["--map", "prompt=質問", "--map", "completion=answer"]
    assert studio("import", path, *arguments, "--json").value["added"] == 1
    assert studio("import", path, "--shape", "prompt-completion", "--json").value["skipped"] == 1


def test_the_columns_that_are_mapped_make_a_shape(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("Frage,Antwort\nWann?,Um neun.\n", encoding="utf-8")
    named = ("--map", "prompt=Frage", "--map", "completion=Antwort")
    shown = studio("import", path, *named, "--preview", "--json").value
    assert (shown["shape"], shown["is_sure"]) == ("prompt-completion", False)
    assert studio("import", path, *named, "--json").value["added"] == 1
    refused = studio("import", path, "--map", "prompt=Frage")
    assert (refused.status, "--map completion=COLUMN" in refused.err) == (2, True)


def test_one_bad_row_and_nothing_is_imported(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text('instruction,output\nQ1,A1\nQ2,\n"Q3",A3,more\n', encoding="utf-8")
    outcome = studio("import", path, "--json")
    assert outcome.status == 2
    assert (outcome.value["added"], outcome.value["skipped"]) == (0, 0)
    assert [error["row"] for error in outcome.value["errors"]] == [3, 4]
    assert all(error["reason"] for error in outcome.value["errors"])
    assert "row 3" in outcome.err
    assert "Nothing was imported." in outcome.err
    assert listed(studio) == []


def test_bad_rows_are_left_out_if_that_is_asked_for(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text('instruction,output\nQ1,A1\nQ2,\n"Q3",A3,more\n', encoding="utf-8")
    assert "or leave them out: --skip-bad." in studio("import", path).err
    value = studio("import", path, "--skip-bad", "--json").value
    [kept] = value.pop("left_out_in")
    reasons = [
        {"row": 3, "reason": "`output` is empty"},
        {"row": 4, "reason": "has 3 cells where the header has 2"},
    ]
    assert value == {"added": 1, "skipped": 0, "errors": reasons, "left_out": 2}
    assert [row[0] for row in csv.reader(Path(kept).read_text(encoding="utf-8-sig").splitlines())] == [
        "studio_left_out",
        "row 3: `output` is empty",
        "row 4: has 3 cells where the header has 2",
    ]
    said = studio("import", path, "--skip-bad").out
    assert "0 examples added, 1 were there already. 2 bad rows were left out; they are in " in said
    assert "\nrow 3: `output` is empty" in said
    assert [row["rows"] for row in studio("history", "--json").value] == [1]


def test_the_encoding_is_found_out_or_asked_for(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion\n延滞料はいくらですか。,1日20円です。\n", encoding="cp932")
    assert studio("import", path, "--preview", "--json").value["encoding"] == "cp932"
    assert "read as cp932" in studio("import", path, "--preview").out
    assert studio("import", path).out.strip().endswith("Read as cp932.")
    path.write_text("prompt,completion\nOù est la bibliothèque ?,À côté.\n", encoding="cp1252")
    refused = studio("import", path)
    assert (refused.status, "cp1252, cp1250" in refused.err, "--encoding" in refused.err) == (2, True, True)
    assert "read as cp1252; or is it cp1250?" in studio("import", path, "--preview").out
    value = studio("import", path, "--encoding", "cp1252", "--json").value
    assert (value["added"], value["encoding"]) == (1, "cp1252")
    assert [row["messages"][-1]["content"] for row in listed(studio)] == ["1日20円です。", "À côté."]
    assert studio("import", path, "--encoding", "klingon").status == 2


def test_what_is_edited_in_the_file_is_counted(studio: CommandLine, ids: list[str], tmp_path: Path) -> None:
    out = tmp_path / "sheet.csv"
    studio("export", out, "--format", "csv")
    out.write_text(out.read_text(encoding="utf-8").replace("Behind the house.", "In the yard."), encoding="utf-8")
    assert studio("import", out, "--json").value == {"added": 0, "skipped": 2, "errors": [], "changed": 1}
    assert studio("examples", "show", ids[2], "--json").value["version"] == 2
    assert "0 examples added, 3 were there already." in studio("import", out).out


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInDatasets]:
    with serving(StandInDatasets()) as service:
        service.writers[TOKEN] = "owner"
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield service


def test_a_dataset_comes_from_the_hub_with_its_sides(studio: CommandLine, hub: StandInDatasets) -> None:
    lines = [json.dumps(row).encode() + b"\n" for row in ROWS]
    hub.datasets["owner/desk"] = DatasetRepo.of(
        {"train.jsonl": b"".join(lines[:2]), "test.jsonl": lines[2], "run.py": b"raise SystemExit"}
    )
    assert studio("import", "hf:owner/desk", "--approve", "--json").value["added"] == 3
    assert questions(studio, "--split", "test") == ["Where can I park?"]
    assert questions(studio, "--split", "train", "--search", "閉ま") == ["何時に閉まりますか。"]
    [action] = studio("history", "--json").value
    assert action["detail"] == f"hf:owner/desk@{hub.datasets['owner/desk'].head}/default"


def test_a_bad_row_in_one_file_of_a_dataset_keeps_out_all(studio: CommandLine, hub: StandInDatasets) -> None:
    hub.datasets["owner/desk"] = DatasetRepo.of(
        {"train.jsonl": json.dumps(ROWS[0]).encode(), "test.jsonl": b'{"instruction": "Q"}'}
    )
    outcome = studio("import", "hf:owner/desk", "--json")
    assert outcome.status == 2
    assert outcome.value["errors"][0]["row"] == 1
    assert listed(studio) == []


def test_without_a_network_the_hub_is_not_asked(
    studio: CommandLine, hub: StandInDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_OFFLINE", "1")
    outcome = studio("import", "hf:owner/desk")
    assert outcome.status == 1
    assert "offline" in outcome.err
    assert "Traceback" not in outcome.err
    assert hub.asked == []


# Review


def test_a_row_is_edited_and_its_history_is_kept(studio: CommandLine, ids: list[str]) -> None:
    changed = studio(
        "examples", "edit", ids[0], "--answer", "At ten.", "--note", "since May", "--rating", "4", "--json"
    )
    assert (changed.value["version"], changed.value["note"], changed.value["rating"]) == (2, "since May", 4)
    assert changed.value["messages"][-1] == {"role": "assistant", "content": "At ten."}
    assert "version 3" in studio("examples", "edit", ids[0], "--question", "When?").out
    history = studio("examples", "history", ids[0], "--json").value
    assert [(v["version"], v["kind"], v["messages"][0]["content"]) for v in history] == [
        (3, "edited", "When?"),
        (2, "edited", "When do you open?"),
        (1, "imported", "When do you open?"),
    ]
    assert {"version", "kind", "author", "at", "detail", "status", "tags", "messages"} == set(history[0])
    assert studio("examples", "history", ids[0]).out.count("\n") == 3
    restored = studio("examples", "restore", ids[0], "1", "--json").value
    assert (restored["version"], restored["messages"][-1]["content"]) == (4, "At nine.")


def test_two_who_edit_one_row(studio: CommandLine, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_AUTHOR", "ann")
    assert studio("examples", "edit", ids[0], "--version", "1", "--answer", "At ten.").status == 0
    monkeypatch.setenv("STUDIO_AUTHOR", "bob")
    second = studio("examples", "edit", ids[0], "--version", "1", "--answer", "At eleven.", "--json")
    assert second.status == 2
    assert second.err == "studio: ann changed this example meanwhile. Compare the two and choose.\n"
    assert second.value["conflict"]["version"] == 2
    assert second.value["conflict"]["messages"][-1]["content"] == "At ten."
    assert studio("examples", "edit", ids[0], "--version", "2", "--answer", "At eleven.").status == 0


def test_many_are_changed_at_once_and_taken_back_at_once(studio: CommandLine, ids: list[str]) -> None:
    for word, status in (("reject", "rejected"), ("draft", "draft"), ("approve", "approved"), ("delete", "deleted")):
        changed = studio("examples", word, *ids, "--json").value
        assert [(row["id"], row["status"]) for row in changed] == [(id_, status) for id_ in ids]
    assert listed(studio) == []
    assert len(listed(studio, "--status", "deleted")) == 3
    undone = studio("undo", "--json").value
    assert (undone["kind"], undone["rows"]) == ("undone", 3)
    assert [row["status"] for row in listed(studio)] == ["approved"] * 3
    # Rows that are so already are no change.
    assert studio("examples", "approve", ids[0], ids[0], "--json").value[0]["version"] == 6
    assert studio("examples", "delete", ids[0]).out == "1 examples are now deleted.\n"
    assert studio("examples", "draft", ids[0], "--json").value[0]["status"] == "draft"


def test_numbers_and_dates_that_make_no_sense(studio: CommandLine) -> None:
    for option, value, says in (("--limit", "-1", "no number from 0 up"), ("--since", "yesterday", "2026-01-31")):
        refused = studio("examples", "list", option, value)
        assert (refused.status, says in refused.err) == (2, True)


def test_one_unknown_row_and_no_status_changes(studio: CommandLine, ids: list[str]) -> None:
    assert studio("examples", "reject", ids[0], "e_none").status == 2
    assert len(listed(studio, "--status", "approved")) == 3


def test_tags(studio: CommandLine, ids: list[str]) -> None:
    assert studio("examples", "tag", *ids[:2], "--add", "hours", "--add", "時間", "--json").value == {"changed": 2}
    assert studio("examples", "tag", ids[1], "--remove", "hours").out == "1 examples changed.\n"
    assert [row["tags"] for row in listed(studio)] == [["hours", "時間"], ["時間"], []]
    assert [row["id"] for row in listed(studio, "--tag", "hours", "--tag", "時間")] == ids[:1]
    nothing = studio("examples", "tag", ids[0])
    assert (nothing.status, nothing.err) == (2, "studio: No tag was given. Type one.\n")


def test_rows_are_found_and_sorted(studio: CommandLine, ids: list[str]) -> None:
    studio("examples", "edit", ids[2], "--rating", "5")
    assert [row["id"] for row in listed(studio, "--sort", "newest", "--limit", "2")] == [ids[2], ids[1]]
    assert [row["id"] for row in listed(studio, "--sort", "rating")] == [ids[2], ids[0], ids[1]]
    assert [row["id"] for row in listed(studio, "--rating", "4")] == [ids[2]]
    assert [row["id"] for row in listed(studio, "--search", "park house")] == [ids[2]]
    assert [row["id"] for row in listed(studio, "--search", "閉まりますか")] == [ids[1]]
    assert listed(studio, "--source", "typed") == listed(studio, "--by", "nobody") == []
    assert [row["id"] for row in listed(studio, "--source", "import", "--by", "expert")] == ids
    assert len(listed(studio, "--since", "2020-01-01", "--until", "2999-12-31T23:59:00+09:00")) == 3
    assert listed(studio, "--until", "2020-01-01") == []


# History


def test_the_history_of_a_project_and_undo_after_a_restart(studio: CommandLine, ids: list[str]) -> None:
    studio("examples", "tag", *ids, "--add", "hours")
    studio("examples", "edit", ids[0], "--answer", "At ten.")
    actions = studio("history", "--json").value
    assert [(a["kind"], a["rows"], a["detail"]) for a in actions] == [
        ("edited", 1, ""),
        ("tagged", 3, "+hours"),
        ("imported", 3, "rows.jsonl"),
    ]
    assert set(actions[0]) == {"id", "kind", "rows", "author", "detail", "undoes", "at"}
    assert len(studio("history", "--limit", "1", "--json").value) == 1
    # Every command opens the workspace anew.
    undone = studio("undo", "--json").value
    assert (undone["kind"], undone["undoes"], undone["detail"]) == ("undone", actions[0]["id"], "edited")
    assert studio("examples", "show", ids[0], "--json").value["messages"][-1]["content"] == "At nine."
    assert studio("undo", "--action", actions[1]["id"]).out.startswith("Undone: tagged")
    assert [row["tags"] for row in listed(studio)] == [["hours"], [], []], "what changed since stays"
    assert studio("history", "--limit", "1", "--json").value[0]["detail"] == "tagged; 1 changed since and stay"
    again = studio("undo", "--action", actions[1]["id"])
    assert (again.status, again.err) == (2, "studio: This was undone already.\n")
    assert "imported" in studio("history").out


# Quality


def test_a_scan_finds_what_to_look_at(studio: CommandLine, ids: list[str], tmp_path: Path) -> None:
    more = tmp_path / "more.json"
    more.write_text(
        json.dumps(
            [
                {"instruction": "Where can I park ?", "output": "Behind the house."},
                {"instruction": "Whom can I write to?", "output": "Write to maria.lopez@clinica-sol.es, please."},
            ]
        )
    )
    studio("import", more, "--approve")
    outcome = studio("quality", "scan", "--json")
    assert set(outcome.value) == {"rows", "flags", "by_kind"}
    assert outcome.value["rows"] == 5
    assert outcome.value["by_kind"]["pii"] == 1
    assert questions(studio, "--flag", "pii") == ["Whom can I write to?"]
    assert len(questions(studio, "--flag", "any")) >= 3
    assert "pii" in studio("quality", "scan", "--with-model").out
    assert "Nothing to look at." in studio("quality", "scan", "--project", other(studio)).out


def other(studio: CommandLine) -> str:
    studio("projects", "create", "Other")
    return "Other"


def test_rules_are_kept_listed_and_block(studio: CommandLine, ids: list[str], file: Path) -> None:
    added = studio(
        "rules", "add", "must_not_contain", "nine", "--message", "Write the hour as a number.", "--blocks", "--json"
    ).value
    assert set(added) == {"id", "kind", "value", "message", "blocks", "breaking"}
    assert (added["kind"], added["value"], added["blocks"], added["breaking"]) == ("must_not_contain", "nine", True, 1)
    [rule] = studio("rules", "list", "--json").value
    assert rule == {name: value for name, value in added.items() if name != "breaking"}
    assert "blocks" in studio("rules", "list").out
    assert [row["id"] for row in listed(studio, "--flag", "rule")] == ids[:1]
    studio("examples", "draft", *ids)
    refused = studio("examples", "approve", *ids)
    assert (refused.status, "Write the hour as a number." in refused.err) == (2, True)
    assert len(listed(studio, "--status", "draft")) == 3
    project = other(studio)
    studio("rules", "add", "max_words", "2", "--blocks", "--project", project)
    held = studio("import", file, "--approve", "--project", project, "--json").value
    assert (held["added"], held["held"]) == (3, 2)
    assert studio("rules", "remove", rule["id"], "--json").value == {"removed": rule["id"]}
    assert studio("rules", "list", "--json").value == []
    assert listed(studio, "--flag", "rule") == []
    assert studio("examples", "approve", *ids).status == 0
    wrong = studio("rules", "add", "regex", "(")
    assert (wrong.status, "Traceback" in wrong.err) == (2, False)
    assert studio("rules", "remove", "q_none").status == 2


# More examples


@pytest.fixture
def gifts(studio: CommandLine, tmp_path: Path) -> None:
    """Three approved rows with synonyms, the last kept for testing."""
    path = tmp_path / "gifts.jsonl"
    rows = [{"instruction": f"Can I buy the {what}?", "output": f"{what}: yes."} for what in ("gift", "stick", "lamp")]
    rows[2]["studio"] = '{"split": "test"}'
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    studio("import", path, "--approve")


def test_more_examples_are_made_as_drafts(studio: CommandLine, gifts: None) -> None:
    command = ("augment", "--method", "synonyms")
    assert studio(*command, "--search", "gift", "--json").value == {"made": 1, "sources": 1, "left_out": 0}
    [draft] = listed(studio, "--status", "draft")
    assert (draft["messages"][0]["content"], draft["source"]) == ("Can I purchase the gift?", "augmented")
    assert studio(*command).out == "1 drafts made from 2 examples. Approve them or put them in the bin.\n"
    assert studio(*command, "--json").value["made"] == 0, "none is made twice"
    studio("examples", "delete", draft["id"])
    assert "Can I purchase the gift?" not in questions(studio, "--status", "draft")
    assert studio(*command, "--n", "3", "--seed", "1", "--json").value["sources"] == 2
    assert "Can I purchase the gift?" not in questions(studio, "--status", "draft"), "what was discarded stays away"
    assert studio(*command, "--split", "test", "--json").value == {"made": 1, "sources": 1, "left_out": 0}
    assert questions(studio, "--split", "test") == ["Can I buy the lamp?", "Can I purchase the lamp?"]
    [made] = studio("history", "--limit", "1", "--json").value
    assert (made["kind"], made["rows"], made["detail"]) == ("augmented", 1, "synonyms, seed 0")
    studio("undo")
    assert questions(studio, "--split", "test") == ["Can I buy the lamp?"]


def test_the_model_rewords_with_the_adapter_that_is_named(studio: CommandLine, gifts: None) -> None:
    # The engine echoes, and a copy is no other wording.
    assert studio("augment", "--method", "paraphrase", "--json").value == {"made": 0, "sources": 2, "left_out": 0}
    trained = studio("train", "--json").value["name"]
    for name in (trained, "base"):
        outcome = studio("augment", "--method", "paraphrase", "--adapter", name, "--json")
        assert (outcome.status, outcome.value["made"]) == (0, 0)
    wrong = studio("augment", "--method", "paraphrase", "--adapter", "v9")
    assert (wrong.status, "There is no adapter 'v9'" in wrong.err) == (2, True)


# Split and snapshots


def test_the_split_is_shown_set_and_taken_back(studio: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text(
        "".join(json.dumps({"instruction": f"What of {n**5 + 7:b}?", "output": "So."}) + "\n" for n in range(40))
    )
    studio("import", path, "--approve")
    before = studio("split", "--json").value
    assert (before["counts"], before["aside"]) == ({"train": 40, "validation": 0, "test": 0}, 0)
    dealt = studio("split", "--validation", "0.2", "--test", "0.3", "--seed", "1", "--json").value
    assert set(dealt) == {"counts", "aside", "rule"}
    assert sum(dealt["counts"].values()) + dealt["aside"] == 40
    assert dealt["counts"]["test"] > 0
    assert "20% of the groups are for validation, 30% for test" in dealt["rule"]
    assert len(listed(studio, "--split", "test")) == dealt["counts"]["test"]
    assert studio("split", "--json").value == dealt
    assert studio("split", "--none", "--json").value["counts"] == before["counts"]
    studio("undo")
    assert studio("split", "--json").value == dealt
    told = studio("split", "--test", "0.9", "--preview", "--json").value
    assert set(told) == {"moved", "trained_on", "counts", "uneven"}
    assert studio("split", "--json").value == dealt, "a preview changes nothing"
    assert "nothing was changed" in studio("split", "--test", "0.9", "--preview").out
    assert studio("split", "--preview").status == 2
    wrong = studio("split", "--test", "0.95")
    assert (wrong.status, "nine tenths" in wrong.err) == (2, True)


def test_snapshots_are_taken_compared_and_exported_again(studio: CommandLine, ids: list[str], tmp_path: Path) -> None:
    studio("examples", "draft", ids[2])
    first = studio("snapshots", "take", "first", "--json").value
    assert set(first) == {"id", "name", "sha256", "rows", "by_split", "author", "at"}
    assert (first["name"], first["rows"], first["by_split"]) == ("first", 2, {"train": 2})
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    written = studio("export", one, "--format", "openai", "--snapshot", "first", "--json").value
    assert (written["examples"], written["verified"]) == (2, True)
    studio("examples", "edit", ids[0], "--answer", "At ten.")
    studio("examples", "delete", ids[1])
    studio("examples", "approve", ids[2])
    assert studio("snapshots", "take", "second").status == 0
    assert studio("snapshots", "diff", "first", "second", "--json").value == {
        "added": [ids[2]],
        "removed": [ids[1]],
        "changed": [ids[0]],
    }
    assert studio("snapshots", "diff", "second", first["sha256"][:8]).out == "1 added, 1 removed, 1 changed\n"
    studio("export", other, "--format", "openai", "--snapshot", first["id"])
    assert other.read_bytes() == one.read_bytes()
    filtered = studio("export", tmp_path / "two.jsonl", "--format", "openai", "--snapshot", "first", "--split", "train")
    assert (filtered.status, "A snapshot is exported whole." in filtered.err) == (2, True)
    assert [s["name"] for s in studio("snapshots", "list", "--json").value] in (
        ["first", "second"],
        ["second", "first"],
    )
    assert first["sha256"][:12] in studio("snapshots", "list").out
    taken = studio("snapshots", "take", "first")
    assert (taken.status, "already" in taken.err) == (2, True)
    assert "There is no snapshot 'third'." in studio("snapshots", "diff", "first", "third").err
    tagged = studio("snapshots", "take", "none", "--tag", "nowhere")
    assert (tagged.status, "No row fits" in tagged.err) == (2, True)


# Export


@pytest.mark.parametrize("format_", [f for f in FORMATS if f != "trl-dpo"])
def test_every_format_is_written_and_verified(
    studio: CommandLine, ids: list[str], tmp_path: Path, format_: formats.FormatName
) -> None:
    out = tmp_path / "out" / f"rows{formats.ENDINGS[format_]}"
    value = studio("export", out, "--format", format_, "--json").value
    assert (value["format"], value["path"], value["examples"], value["verified"]) == (format_, str(out), 3, True)
    assert value["differences"] == []
    assert all(Path(path).is_file() for path in value["files"])
    text = studio("export", out, "--format", format_).out
    assert text.startswith(f"3 examples in {out}, read again and equal: verified.")
    project = other(studio)
    source = out / "data" / "sft" if format_ == "hf" else out
    assert studio("import", source, "--project", project, "--json").value["added"] == 3
    rows = listed(studio, "--project", project)
    assert [row["messages"][0]["content"] for row in rows] == [row["instruction"] for row in ROWS]
    assert {row["status"] for row in rows} == {"approved"}


def test_pairs_are_left_out_where_there_is_no_rejected_answer(
    studio: CommandLine, ids: list[str], tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"prompt": "Q", "chosen": "Good.", "rejected": "Bad."}) + "\n")
    studio("import", pairs, "--approve")
    outcome = studio("export", tmp_path / "dpo.jsonl", "--format", "trl-dpo", "--json")
    assert (outcome.value["examples"], sum(outcome.value["skipped"].values())) == (1, 3)
    assert "left out: 3 (" in studio("export", tmp_path / "dpo.jsonl", "--format", "trl-dpo").out


def test_only_the_rows_that_were_meant_leave(studio: CommandLine, ids: list[str], tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    studio("examples", "tag", *ids, "--add", "hours")
    studio("examples", "draft", ids[1])
    studio("examples", "reject", ids[2])

    def exported(*options: str) -> set[str]:
        assert studio("export", out, "--format", "csv", *options).status == 0
        with out.open(encoding="utf-8-sig", newline="") as read:
            return {row["prompt"] for row in csv.DictReader(read)}

    when, close, park = (row["instruction"] for row in ROWS)
    assert exported() == {when}
    assert exported("--tag", "hours") == {when}, "a filter doesn't bring in what nobody approved"
    assert exported("--tag", "hours", "--all") == {when, close, park}
    assert exported("--status", "draft", "--status", "rejected") == {close, park}
    assert exported("--search", "閉ま", "--all") == {close}
    nothing = studio("export", tmp_path / "none.csv", "--format", "csv", "--search", "parrot")
    assert (nothing.status, nothing.err.startswith("studio: No row fits")) == (2, True)
    assert not (tmp_path / "none.csv").exists()


def test_an_export_takes_the_place_of_nothing_but_an_export(
    studio: CommandLine, ids: list[str], tmp_path: Path
) -> None:
    """What stands where it would go, and is no earlier export, stays; the message says what to do."""
    mine, clone = tmp_path / "mine", tmp_path / "clone"
    for path in (mine / "sub" / "thesis.txt", clone / ".git" / "HEAD", clone / "README.md"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine", encoding="utf-8")

    workspace = tmp_path / "workspace"

    def refused(out: Path, format_: str, says: str) -> None:
        done = studio("export", out, "--format", format_)
        assert (done.status, says in done.err, "Traceback" in done.err) == (2, True, False), done.err

    for format_ in ("csv", "parquet", "alpaca"):
        refused(mine, format_, "mine is a folder. Name a file in it.")
        refused(Path("."), format_, "is a folder")
    refused(workspace, "openai", "is a folder")
    refused(workspace / "studio.duckdb", "openai", "belongs to the workspace")
    refused(mine, "hf", "holds other things than an export, such as thesis.txt")
    refused(clone, "hf", "such as HEAD")
    refused(mine / "sub" / "thesis.txt", "hf", "is there already and is no folder")
    (tmp_path / "pairs.sharegpt.json").write_text("mine", encoding="utf-8")
    refused(tmp_path / "pairs.jsonl", "trl-kto", "pairs.sharegpt.json would be written too, and is there already")
    kept = (mine / "sub" / "thesis.txt", clone / ".git" / "HEAD", clone / "README.md", tmp_path / "pairs.sharegpt.json")
    assert {path.read_text(encoding="utf-8") for path in kept} == {"mine"}
    assert not (tmp_path / "pairs.jsonl").exists()
    (tmp_path / "pairs.sharegpt.json").unlink()
    for format_, name in (("trl-kto", "pairs.jsonl"), ("hf", "folder")):
        for _ in range(2):
            assert studio("export", tmp_path / name, "--format", format_).status == 0, "an earlier export is replaced"


def test_a_plain_export_has_the_columns_of_its_format_alone(
    studio: CommandLine, ids: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "rows.json"
    studio("export", out, "--format", "alpaca", "--plain")
    assert set(json.loads(out.read_text(encoding="utf-8"))[0]) == {"instruction", "input", "output"}
    studio("export", out, "--format", "alpaca")
    assert "studio" in json.loads(out.read_text(encoding="utf-8"))[0]


def test_a_folder_is_pushed_with_its_licence(
    studio: CommandLine, ids: list[str], tmp_path: Path, hub: StandInDatasets
) -> None:
    out, options = tmp_path / "set", ("--format", "hf", "--license", "cc-by-4.0", "--push", "owner/desk")
    value = studio("export", out, *options, "--message", "First rows", "--json").value
    repo = hub.datasets["owner/desk"]
    assert (value["url"], value["revision"]) == (f"{hub.url}/datasets/owner/desk", repo.head)
    assert (repo.is_private, repo.messages[-1]) == (True, "First rows")
    assert "license: cc-by-4.0" in repo.files["README.md"].decode()
    studio("examples", "edit", ids[0], "--answer", "At ten.")
    outcome = studio("export", out, *options)
    assert f"pushed to {hub.url}/datasets/owner/desk" in outcome.out
    assert repo.messages[-1] == "3 examples"
    project = other(studio)
    assert studio("import", "hf:owner/desk", "--project", project, "--json").value["added"] == 3
    assert {row["messages"][-1]["content"] for row in listed(studio, "--project", project)} >= {"At ten."}
    public = studio("export", tmp_path / "public", "--format", "hf", "--push", "owner/open", "--public")
    assert (public.status, hub.datasets["owner/open"].is_private) == (0, False)
    wrong = studio("export", tmp_path / "rows.csv", "--format", "csv", "--push", "owner/desk")
    assert (wrong.status, "Only a dataset folder is pushed." in wrong.err) == (2, True)


# Ctrl-C


def interrupted(process: subprocess.Popen[str], said: str) -> tuple[int, str, str]:
    """Press Ctrl-C once the process has said so; returns its status and what it said on both outputs."""
    assert process.stderr is not None
    line, before = "", ""
    while said not in line:
        line = process.stderr.readline()
        before += line
        assert line, before
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, before + err


def test_ctrl_c_stops_an_import_an_export_and_a_scan(studio: CommandLine, tmp_path: Path) -> None:
    many = tmp_path / "many.jsonl"
    line = '{{"instruction": "Question {0} of {1:x}?", "output": "Answer {0}.", "topic": "n{0}"}}\n'
    many.write_text("".join(line.format(n, n**4) for n in range(30_000)))
    status, _, err = interrupted(program(tmp_path, "import", str(many)), "10 % imported")
    assert (status, "The import was cancelled. Nothing was added." in err, "Traceback" in err) == (1, True, False)
    assert studio("projects", "list", "--json").value[0]["examples"] == 0

    few = tmp_path / "few.jsonl"
    few.write_text("".join(line.format(n, n**4) for n in range(5_000)))
    studio("import", few, "--approve")
    out = tmp_path / "rows.json"
    out.write_text("before")
    status, _, err = interrupted(
        program(tmp_path, "export", str(out), "--format", "alpaca"), "10 % written and read again"
    )
    assert (status, "cancelled" in err, "Traceback" in err) == (1, True, False)
    if "Nothing was written." in err:
        assert out.read_text() == "before"
    else:  # a slow Ctrl-C comes while the file is read again
        assert "It is not verified." in err
        assert len(json.loads(out.read_text())) == 5_000
    assert [path.name for path in tmp_path.glob(".rows*")] == []

    status, _, err = interrupted(program(tmp_path, "quality", "scan"), "10 % looked at")
    assert (status, "The scan was stopped." in err, "Traceback" in err) == (1, True, False)
    assert listed(studio, "--flag", "any") == []


def test_ctrl_c_keeps_the_drafts_that_were_made(studio: CommandLine, tmp_path: Path) -> None:
    many = tmp_path / "many.jsonl"
    rows = ({"instruction": f"Where is the house number {n}?", "output": f"In street {n}."} for n in range(2_000))
    many.write_text("".join(json.dumps(row) + "\n" for row in rows))
    studio("import", many, "--approve")
    command = ("augment", "--method", "deletion", "--json")
    status, out, err = interrupted(program(tmp_path, *command), "30 % reworded")
    assert (status, "What was made by then stays" in err, "Traceback" in err) == (1, True, False)
    first = json.loads(out.splitlines()[-1])
    assert 0 < first["made"] == first["sources"] < 2_000
    assert len(listed(studio, "--source", "augmented")) == first["made"]
    assert studio(*command).value == {"made": 2_000 - first["made"], "sources": 2_000, "left_out": 0}
