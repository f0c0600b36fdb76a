from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from studio import corrections, dataset, exports, quality, splits
from studio.context import Studio
from studio.errors import Cancelled, InvalidInput
from studio.formats import ENDINGS, FormatName
from studio.records import Correction, Example, Message, Project, Turn, new_id
from studio.rows import RowFilter, Shares
from studio.ui.outgoing import failed_html
from tests.formats.test_trainers import load, settings, train

__all__ = ["settings"]


@pytest.fixture
def rows(studio: Studio, project: Project) -> list[str]:
    """An approved row, a draft and a rejected one."""
    made = [dataset.add(studio, project.id, f"Question {n}?", f"Answer {n}.").id for n in range(3)]
    dataset.set_status(studio, made[1], "draft")
    dataset.set_status(studio, made[2], "rejected")
    return made


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_approved_rows_leave_and_for_thumbs_the_rejected_too(
    studio: Studio, project: Project, rows: list[str], tmp_path: Path
) -> None:
    made = exports.export(studio, project.id, tmp_path / "rows.jsonl", "openai")
    assert (made.written.examples, made.is_verified) == (1, True)
    assert [row["messages"][0]["content"] for row in lines(made.written.path)] == ["Question 0?"]
    exports.export(studio, project.id, tmp_path / "kto.jsonl", "trl-kto")
    assert [row["label"] for row in lines(tmp_path / "kto.jsonl")] == [True, False]
    everything = exports.export(studio, project.id, tmp_path / "rows.jsonl", "openai", RowFilter())
    assert everything.written.examples == 3
    dataset.set_status(studio, rows[0], "deleted")
    with pytest.raises(InvalidInput, match="No row fits"):
        exports.export(studio, project.id, tmp_path / "none.jsonl", "openai")
    with pytest.raises(InvalidInput, match="no format 'xml'"):
        exports.export(studio, project.id, tmp_path / "none.xml", "xml")  # type: ignore[arg-type]


@pytest.fixture
def hundred(studio: Studio, project: Project) -> list[str]:
    made = [
        Example(new_id("e"), project.id, 1, "approved", (Turn("user", f"Question {n}?"),), f"Answer {n}.")
        for n in range(100)
    ]
    dataset.add_rows(studio, project.id, made, "created")
    return [example.id for example in made]


def test_what_is_edited_meanwhile_does_not_mix_in(
    studio: Studio, project: Project, hundred: list[str], tmp_path: Path
) -> None:
    def edit_between(done: int, total: int) -> None:
        if (done, total) == (100, 200):
            dataset.edit(studio, hundred[0], answer="Changed between writing and reading.")

    made = exports.export(studio, project.id, tmp_path / "r.jsonl", "openai", progress=edit_between)
    assert dataset.get(studio, hundred[0]).version == 2
    assert made.is_verified
    assert lines(made.written.path)[0]["messages"][-1]["content"] == "Answer 0."


@pytest.mark.parametrize("format_", ["trl-kto", "hf"])
def test_cancelling_leaves_what_was_there(
    studio: Studio, project: Project, rows: list[str], tmp_path: Path, format_: FormatName
) -> None:
    out, stop = tmp_path / "out" / f"rows{ENDINGS[format_]}", threading.Event()
    exports.export(studio, project.id, out, format_)
    before = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    dataset.edit(studio, rows[0], answer="Another.")
    stop.set()
    with pytest.raises(Cancelled, match="Nothing was written"):
        exports.export(studio, project.id, out, format_, cancelled=stop)
    assert {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()} == before


def test_cancelling_while_it_is_read_again_says_that_it_is_written(
    studio: Studio, project: Project, hundred: list[str], tmp_path: Path
) -> None:
    stop = threading.Event()

    def stop_after_writing(done: int, total: int) -> None:
        if done == 100:
            stop.set()

    out = tmp_path / "rows.jsonl"
    with pytest.raises(exports.Unverified, match="is written, but reading it again was cancelled") as caught:
        exports.export(studio, project.id, out, "openai", progress=stop_after_writing, cancelled=stop)
    assert f"{out.name} is written, but not verified" in failed_html(caught.value, "en")
    assert "Nothing was written" in failed_html(Cancelled("This was cancelled."), "en")
    assert len(lines(out)) == 100


def test_progress_goes_through_the_rows_twice(
    studio: Studio, project: Project, rows: list[str], tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    exports.export(studio, project.id, tmp_path / "r.csv", "csv", RowFilter(), progress=lambda *step: seen.append(step))
    assert seen[-1] == (6, 6)


def test_only_a_folder_is_pushed(studio: Studio, project: Project, rows: list[str], tmp_path: Path) -> None:
    made = exports.export(studio, project.id, tmp_path / "rows.csv", "csv")
    with pytest.raises(InvalidInput, match="Only a dataset folder"):
        exports.push(studio, made.written, "owner/rows", progress=lambda *_: None)


def test_the_card_tells_what_is_known_of_the_project(studio: Studio, project: Project, tmp_path: Path) -> None:
    texts = [("Where can I park my car?", "A"), ("Where can I park my car ?!", "B"), ("何時？", "C"), ("Who?", "D")]
    for prompt, answer in texts:
        dataset.add(studio, project.id, prompt, f"It is {answer}.")
    quality.scan_project(studio, project.id)
    assert exports.card(studio, project, "mit").license == "mit"
    made = exports.export(studio, project.id, tmp_path / "set", "hf", license="mit")
    card = (made.written.path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert "license: mit" in card
    assert "Help desk" in card


# What experts' corrections become


@pytest.mark.parametrize(("kind", "format_", "count"), [("DPO", "trl-dpo", 4), ("KTO", "trl-kto", 8)])
def test_corrections_train_a_preference_without_another_click(
    studio: Studio, project: Project, corrected: Callable[..., Correction], asked: Callable[..., Message],
    tmp_path: Path, tiny_model: Path, settings: dict[str, Any], kind: str, format_: FormatName, count: int,
) -> None:  # fmt: skip
    for n in range(4):
        corrected(f"Question {n}?", f"Answer {n}.")
    corrections.save(studio, asked("Is it open?").id, "rejected")
    made = exports.export(studio, project.id, tmp_path / "rows.jsonl", format_)
    assert made.is_verified
    rows = lines(made.written.path)
    worse = [r["rejected"] if kind == "DPO" else r["completion"] for r in rows if kind == "DPO" or not r["label"]]
    assert {"role": "assistant", "content": "You said: Question 0?"} in [turns[0] for turns in worse]
    assert len(rows) >= count
    assert train(kind, tiny_model, load(tmp_path, made.written.path), settings) == len(rows)


def test_a_folder_of_a_project_is_a_dataset_with_its_sides(
    studio: Studio, project: Project, corrected: Callable[..., Correction], tmp_path: Path
) -> None:
    for n in range(24):
        corrected(f"What about {n * n * 7919:x} and {n * 104729:b}?", f"Answer {n}.")
    splits.deal(studio, project.id, Shares(validation=0.2, test=0.3))
    made = exports.export(studio, project.id, tmp_path / "set", "hf")
    assert made.is_verified
    stood = splits.summary(studio, project.id).rows
    for config, doubled in (("sft", 1), ("dpo", 1), ("kto", 2)):
        loaded = datasets.load_dataset(str(made.written.path), config, cache_dir=str(tmp_path / "cache"))
        assert {side: len(rows) for side, rows in loaded.items()} == {s: doubled * n for s, n in stood.items() if n}
