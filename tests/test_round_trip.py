"""From a project through an export of every format into a fresh project: what is there is what was there.

`tests/formats/test_round_trip.py` compares files with rows; here the store, the filter and the import stand in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from studio import dataset, exports, formats, imports, projects
from studio.context import Studio
from studio.errors import InvalidInput
from studio.formats import ENDINGS, FORMATS, FormatName, Preview
from studio.imports import ImportReport
from studio.records import Example, Project, Turn, new_id
from studio.rows import RowFilter
from tests.formats.conftest import TOOLS, call, examples, real_file

CARRIED = (
    "messages", "answer", "rejected", "extra", "answer_extra", "learn_answer", "status", "split", "tags", "rating",
    "note", "source", "author", "group", "created_at",
)  # fmt: skip
"""What every format carries by default."""
KEEPS_ALL = ("openai", "csv", "parquet")
"""They have a place for every row, also when they are plain."""
IN_PLAIN = ("alpaca", "sharegpt", "openai", "trl-messages", "trl-dpo", "csv", "parquet")
"""Formats of which a plain file has one row for each example."""


def carried(example: Example) -> dict[str, Any]:
    return {name: getattr(example, name) for name in CARRIED}


def said(example: Example, format_: FormatName) -> tuple[tuple[str, str], ...]:
    """Roles and texts; in ShareGPT a tool call has no text beside it, and the export counts such rows."""
    calls = format_ == "sharegpt"
    return tuple((turn.role, "" if calls and turn.extra.get("tool_calls") else turn.content) for turn in example.turns)


def rows(studio: Studio, project_id: str) -> list[Example]:
    return studio.store.examples.page(project_id, RowFilter(), "oldest", 10_000)


def kept(studio: Studio, given_rows: list[Example]) -> tuple[str, dict[int, Example]]:
    """A project with these rows, each under an id of its own, and the rows as the store has them, by what they say."""
    project = projects.create(studio, new_id("p"))
    by_key = {
        e.key(): replace(e, id=new_id("e"), project_id=project.id, version=1, author=e.author or "ann")
        for e in given_rows
    }
    if by_key:
        dataset.add_rows(studio, project.id, list(by_key.values()), "created")
    stored = {e.key(): e for e in rows(studio, project.id)}
    assert {key: carried(e) | {"tags": None} for key, e in stored.items()} == {
        key: carried(e) | {"tags": None} for key, e in by_key.items()
    }
    return project.id, stored


def sent(
    studio: Studio, project_id: str, out: Path, format_: FormatName, *, plain: bool = False
) -> tuple[formats.Written, list[Example], ImportReport | None]:
    """Export every row, import the file into a fresh project, and return what was written and what came in."""
    made = exports.export(studio, project_id, out, format_, RowFilter(), plain=plain)
    assert made.differences == ()
    if not made.written.examples:
        return made.written, [], None
    fresh = projects.create(studio, new_id("p"))
    sides = sorted(p.name.partition("-")[0] for p in (out / "data" / "sft").glob("*")) if format_ == "hf" else [""]
    files = [(side or None, out / "data" / "sft" / f"{side}-00000-of-00001.parquet" if side else out) for side in sides]
    report = imports.import_files(studio, fresh.id, files)
    return made.written, rows(studio, fresh.id), report


def fits(format_: FormatName, example: Example) -> bool | None:
    """Whether a format has a place for a row; None where it takes more than a look at its turns."""
    if format_ in ("alpaca", "sharegpt", "trl-prompt-completion"):
        return None
    if format_ == "trl-dpo":
        return bool(example.rejected) and example.status != "rejected"
    if format_ in ("trl-messages", "hf"):
        is_taught = any(turn.learn for turn in example.turns if turn.role == "assistant")
        return is_taught and not (format_ == "hf" and example.aside)
    return True


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=20
)
@given(given_rows=examples())
def test_any_rows_come_back_in_a_fresh_project(studio: Studio, tmp_path: Path, given_rows: list[Example]) -> None:
    project_id, stored = kept(studio, given_rows)
    if not stored:
        with pytest.raises(InvalidInput, match="No row fits"):
            exports.export(studio, project_id, tmp_path / "rows.csv", "csv", RowFilter())
        return
    for format_ in FORMATS:
        out = tmp_path / new_id("out") / f"rows{ENDINGS[format_]}"
        written, back, report = sent(studio, project_id, out, format_)
        assert written.examples + sum(written.skipped.values()) == len(stored)
        assert report is None or (report.added, report.skipped) == (written.examples, 0)
        assert len(back) == written.examples
        for example in back:
            assert carried(example) == carried(stored[example.key()]), format_
        came = {example.key() for example in back}
        for key, example in stored.items():
            assert fits(format_, example) in (None, key in came), format_


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=15
)
@given(given_rows=examples())
def test_plain_files_bring_back_what_is_said(studio: Studio, tmp_path: Path, given_rows: list[Example]) -> None:
    project_id, stored = kept(studio, given_rows)
    for format_ in IN_PLAIN if stored else ():
        out = tmp_path / new_id("out") / f"rows{ENDINGS[format_]}"
        written, back, report = sent(studio, project_id, out, format_, plain=True)
        assert report is None or report.added + report.skipped == written.examples
        expected = {said(example, format_) for example in stored.values()}
        assert {said(example, format_) for example in back} <= expected, format_
        assert {(e.status, e.tags, e.note, e.rating) for e in back} <= {("draft", (), "", None)}, format_
        if format_ in KEEPS_ALL:
            assert {said(example, format_) for example in back} == expected, format_


def test_half_a_character_gets_nowhere(studio: Studio, project: Project, tmp_path: Path) -> None:
    """It has no place in UTF-8, so no file and no table can hold it."""
    for prompt, answer in (("Half \ud83d?", "Yes."), ("Why?", "Half \ude00.")):
        with pytest.raises(InvalidInput, match="half a character"):
            dataset.add(studio, project.id, prompt, answer)
    made = dataset.add(studio, project.id, "Why?", "So. 😀")
    with pytest.raises(InvalidInput, match="half a character"):
        dataset.edit(studio, made.id, answer="\ud83d")
    assert dataset.get(studio, made.id) == made


def test_what_an_expert_did_to_tools_and_turns_comes_back(studio: Studio, tmp_path: Path) -> None:
    turns = (
        Turn("system", "  Be brief.\n"),
        Turn("user", "\tWhen do you open on Monday? "),
        Turn("assistant", "", True, {"tool_calls": [call("hours", '{"day":"Mon"}', id="c1")]}),
        Turn("tool", "", extra={"tool_call_id": "c1", "name": "hours"}),
        Turn("assistant", "At nine.", False),
        Turn("user", "何時まで？"),
    )
    made = Example(
        "e", "p", 1, "rejected", turns, " 18時まで。\n", rejected="知らない。", tags=("時間", "tools"), rating=2,
        note="=1+1", extra={"tools": TOOLS, "input": "", "n": 12345678901234567890}, split="validation",
    )  # fmt: skip
    project_id, stored = kept(studio, [made, replace(made, status="approved", answer="= 18時")])
    for format_ in ("openai", "trl-messages", "trl-prompt-completion", "trl-kto", "csv", "parquet", "hf"):
        out = tmp_path / format_ / f"rows{ENDINGS[format_]}"
        _, back, _ = sent(studio, project_id, out, format_)
        assert {e.key(): carried(e) for e in back} == {key: carried(e) for key, e in stored.items()}, format_


# The files people train on


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("alpaca_en_demo.json", "alpaca", 999),
        ("identity.json", "alpaca", 91),
        ("dpo_en_demo.json", "sharegpt", 300),
    ],
)
def test_real_files_go_through_every_format(
    studio: Studio, project: Project, tmp_path: Path, name: str, shape: str, count: int,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    path = real_file(name)
    preview: Preview = imports.preview(studio, path)
    assert (preview.container, preview.is_sure, preview.shape and preview.shape.name) == ("json", True, shape)
    report = imports.import_file(studio, project.id, path)
    assert report.added + report.skipped == count
    review(studio, project.id)
    stored = {e.key(): e for e in rows(studio, project.id)}
    assert len(stored) == report.added
    pairs = {key for key, e in stored.items() if e.rejected and e.status != "rejected"}
    for format_ in FORMATS:
        out = tmp_path / format_ / f"rows{ENDINGS[format_]}"
        if format_ == "trl-dpo" and not pairs:
            assert exports.export(studio, project.id, out, format_, RowFilter()).written.examples == 0
            continue
        written, back, _ = sent(studio, project.id, out, format_)
        record_property(f"{name} {format_}", f"{written.examples} of {len(stored)}")
        expected = pairs if format_ == "trl-dpo" else set(stored)
        assert {e.key(): carried(e) for e in back} == {key: carried(stored[key]) for key in expected}, format_
        assert len(back) == written.examples == len(expected)


def review(studio: Studio, project_id: str) -> None:
    """Some of everything that an expert does."""
    ids = [e.id for e in rows(studio, project_id)]
    for n, status in enumerate(("approved", "rejected")):
        dataset.set_statuses(studio, project_id, RowFilter(ids=tuple(ids[n::3])), status)
    for n, tag in enumerate(("billing", "日本", "a, b")):
        dataset.tag(studio, project_id, RowFilter(ids=tuple(ids[n::4])), [tag])
    dataset.edit(studio, ids[0], answer="At nine.\n", rating=4, note="'=checked", status="approved")
    assert len(Counter(e.status for e in rows(studio, project_id))) == 3
