from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio import dataset, imports, samples
from studio.context import Studio
from studio.errors import InvalidInput, NotFound
from studio.records import Project, Turn
from tests.conftest import together

ALPACA: list[dict[str, Any]] = [
    {"instruction": "When do you open?", "input": "", "output": "At nine."},
    {"instruction": "Translate.", "input": "Guten Tag", "output": "Good day", "topic": "German"},
    {"instruction": "何時に開きますか。", "output": "9時です。\u2028はい。", "system": "図書館です。"},
]
MESSAGES: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "id": 7},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Uno"},
            {"role": "user", "content": "Two"},
            {"role": "assistant", "content": "Dos"},
        ]
    },
]


def write(tmp_path: Path, rows: list[Any], name: str = "rows.json") -> Path:
    path = tmp_path / name
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows) if name.endswith("l") else json.dumps(rows)
    path.write_text(text, encoding="utf-8")
    return path


# Reviewing


def test_every_change_of_a_row_is_a_version(studio: Studio, project: Project) -> None:
    row = dataset.add(studio, project.id, "Q", "A", author="ann")
    assert (row.status, row.source, row.version) == ("approved", "typed", 1)
    dataset.set_status(studio, row.id, "rejected", author="bob")
    edited = dataset.edit(studio, row.id, prompt="Q2", answer="A2")
    assert (edited.version, edited.status, edited.question, edited.answer) == (3, "rejected", "Q2", "A2")
    assert [v.author for v in studio.store.examples.versions(row.id)] == ["ann", "bob", "expert"]
    assert studio.store.examples.count(project.id) == 1


def test_an_edit_keeps_the_earlier_turns(studio: Studio, project: Project, tmp_path: Path) -> None:
    imports.import_file(studio, project.id, write(tmp_path, MESSAGES))
    several = studio.store.examples.find(project.id)[1]
    edited = dataset.edit(studio, several.id, prompt="Three", answer="Tres")
    assert edited.messages == (*several.messages[:-1], Turn("user", "Three"))


def test_an_edit_needs_both_texts_and_a_difference(studio: Studio, project: Project) -> None:
    row = dataset.add(studio, project.id, "Q", "A")
    for prompt, answer, said in (
        ("", "A", "needs a question"),
        ("Q", " ", "needs a question"),
        ("Q", "A", "unchanged"),
    ):
        with pytest.raises(InvalidInput, match=said):
            dataset.edit(studio, row.id, prompt=prompt, answer=answer)
    with pytest.raises(InvalidInput):
        dataset.add(studio, project.id, " ", "A")
    with pytest.raises(NotFound, match="no example e_none"):
        dataset.set_status(studio, "e_none", "approved")
    assert len(studio.store.examples.versions(row.id)) == 1


def test_changes_at_the_same_moment_all_count(studio: Studio, project: Project) -> None:
    row = dataset.add(studio, project.id, "Q", "A")
    together(6, lambda n: dataset.edit(studio, row.id, prompt="Q", answer=f"Answer {n}"))
    assert [v.version for v in studio.store.examples.versions(row.id)] == [1, 2, 3, 4, 5, 6, 7]


# Samples


@pytest.mark.parametrize("key", ["support_en", "library_ja"])
def test_a_sample_becomes_a_project_once(studio: Studio, key: str) -> None:
    sample = next(s for s in samples.samples() if s.key == key)
    project = samples.try_sample(studio, key)
    assert samples.try_sample(studio, key) == project
    assert project.name == sample.name
    assert project.system_prompt
    count = studio.store.examples.count
    assert count(project.id, status="approved", split="train") == sample.rows == 32
    assert count(project.id, status="approved", split="test") == sample.held_out == 16
    train = {e.question for e in studio.store.examples.find(project.id, split="train")}
    assert not train & {e.question for e in studio.store.examples.find(project.id, split="test")}


def test_an_unknown_sample(studio: Studio) -> None:
    with pytest.raises(NotFound, match="no sample 'nope'"):
        samples.try_sample(studio, "nope")
