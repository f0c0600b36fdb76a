"""What is written is read again as it was, in every format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from studio import formats
from studio.formats import FORMATS, Draft, FormatName
from studio.records import Example, Turn
from tests.formats.conftest import call, example, examples, real_file

KEEPS_ALL = ("openai", "csv", "parquet")
REAL_FILES = [
    ("alpaca_en_demo.json", "alpaca", 999),
    ("identity.json", "alpaca", 91),
    ("dpo_en_demo.json", "sharegpt", 300),
]


def imported(name: str) -> list[Example]:
    """A real file as rows of a project, with some of everything that an expert adds."""
    rows = []
    for number, draft in formats.read(real_file(name)):
        assert isinstance(draft, Draft), draft
        row = draft.as_example("p", status=("draft", "approved", "rejected")[number % 3])
        split = ("train", "train", "test", "validation")[number % 4]
        tags = ("billing", "日本") if number % 5 == 0 else ()
        rows.append(Example(**{**vars(row), "tags": tags, "split": split, "rating": number % 6 or None}))
    return rows


@pytest.mark.parametrize("format_", FORMATS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=40
)
@given(rows=examples())
def test_any_rows_come_back_from_every_format(tmp_path: Path, format_: FormatName, rows: list[Example]) -> None:
    out = tmp_path / "out" / f"rows{formats.ENDINGS[format_]}"
    for plain in (False, True):
        written = formats.write(format_, rows, out, plain=plain)
        assert written.examples + sum(written.skipped.values()) == len(rows)
        if format_ in KEEPS_ALL:
            assert written.examples == len(rows)
        if written.examples:
            verification = formats.verify(written, lambda: rows)
            assert verification.differences == ()
            assert verification.rows == (written.rows if plain else written.examples)
    shutil.rmtree(out.parent)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_is_imported_again_without_asking_for_its_rows(tmp_path: Path, format_: FormatName) -> None:
    rows = imported("dpo_en_demo.json")
    written = formats.write(format_, rows, tmp_path / f"rows{formats.ENDINGS[format_]}")
    seen: list[object] = []

    def through(drafts: Iterator[Any]) -> Iterator[Any]:
        for draft in drafts:
            seen.append(draft)
            yield draft

    def nobody() -> list[Example]:
        raise AssertionError("the digests should have been enough")

    assert formats.verify(written, nobody, through) == formats.Verification(written.examples, ())
    assert len(seen) == written.examples > 0


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("name", "shape", "count"), REAL_FILES)
def test_real_files_come_back_from_every_format(
    tmp_path: Path, format_: FormatName, name: str, shape: str, count: int
) -> None:
    preview = formats.recognise(real_file(name))
    assert (preview.container, preview.is_sure) == ("json", True)
    assert preview.shape is not None
    assert preview.shape.name == shape
    rows = imported(name)
    assert len(rows) == count
    written = formats.write(format_, rows, tmp_path / f"rows{formats.ENDINGS[format_]}")
    pairs = [e for e in rows if e.rejected and e.status != "rejected"]
    count = len(pairs) if format_ == "trl-dpo" else count
    doubled = sum(bool(e.rejected) for e in rows) if format_ == "trl-kto" else 0
    assert (written.examples, written.rows) == (count, count + doubled)
    verification = formats.verify(written, lambda: rows)
    assert (verification.differences, verification.rows) == ((), written.examples)
    back = [d for _, d in formats.read(written.path)] if written.examples else []
    kept = {e.id: e for e in (pairs if format_ == "trl-dpo" else rows)}
    assert {d.id for d in back if isinstance(d, Draft)} == set(kept)
    for draft in back:
        assert isinstance(draft, Draft)
        row = kept[draft.id]
        assert (draft.turns, draft.rejected, draft.status, draft.tags) == (
            row.turns,
            row.rejected,
            row.status,
            row.tags,
        )


@pytest.mark.parametrize("name", ["alpaca_en_demo.json", "identity.json"])
def test_a_real_alpaca_file_is_written_as_it_was(tmp_path: Path, name: str) -> None:
    path = real_file(name)
    rows = [d.as_example("p") for _, d in formats.read(path) if isinstance(d, Draft)]
    written = formats.write("alpaca", rows, tmp_path / "rows.json", plain=True)
    assert json.loads(written.path.read_text()) == json.loads(path.read_text())


def test_rows_are_known_by_their_id_wherever_they_stand(tmp_path: Path) -> None:
    rows = [example(n, rejected=f"Worse {n}.", tags=(f"t{n}",)) for n in range(5)]
    written = formats.write("trl-kto", rows, tmp_path / "rows.jsonl")
    lines = written.path.read_text().splitlines(keepends=True)
    written.path.write_text("".join(sorted(lines, reverse=True)))
    back = {d.id: d for _, d in formats.read(written.path) if isinstance(d, Draft)}
    assert {i: (d.answer, d.rejected, d.tags, d.status) for i, d in back.items()} == {
        e.id: (e.answer, e.rejected, e.tags, e.status) for e in rows
    }


def test_half_of_a_pair_is_a_row_too(tmp_path: Path) -> None:
    written = formats.write("trl-kto", [example(0, rejected="Worse.")], tmp_path / "rows.jsonl")
    good, bad = written.path.read_text().splitlines(keepends=True)
    written.path.write_text(good)
    [(_, draft)] = formats.read(written.path)
    assert isinstance(draft, Draft)
    assert (draft.answer, draft.rejected, draft.status) == ("Answer 0.", None, "approved")
    written.path.write_text(bad)
    [(_, draft)] = formats.read(written.path)
    assert isinstance(draft, Draft)
    assert (draft.answer, draft.status) == ("Worse.", "rejected")


def test_what_is_edited_in_the_file_counts(tmp_path: Path) -> None:
    calls = {"tool_calls": [call("hours", '{"day":"Mon"}', id="c1")]}
    turns = (
        Turn("user", "When?"),
        Turn("assistant", "", True, calls),
        Turn("tool", "nine", extra={"tool_call_id": "c1"}),
    )
    rows = [example(0, messages=turns, tags=("a",)), example(1)]
    for format_ in ("csv", "sharegpt", "openai", "trl-messages"):
        written = formats.write(format_, rows, tmp_path / f"rows{formats.ENDINGS[format_]}")
        text = written.path.read_bytes().decode()
        written.path.write_bytes(text.replace("Answer 0.", "At ten.").replace("Mon", "Tue").encode())
        first, second = (d for _, d in formats.read(written.path))
        assert isinstance(first, Draft)
        assert (first.answer, first.tags, first.id) == ("At ten.", ("a",), "e_0000")
        [called] = first.messages[1].extra["tool_calls"]
        assert json.loads(called["function"]["arguments"]) == {"day": "Tue"}
        assert second == Draft.of(rows[1])


def test_a_spreadsheet_with_edited_columns(tmp_path: Path) -> None:
    written = formats.write("csv", [example(0, tags=("a", "b"), note="=1")], tmp_path / "rows.csv")
    text = written.path.read_bytes().decode()
    assert "'=1" in text
    written.path.write_bytes(text.replace("approved", "rejected").replace('"a, b"', "c").encode())
    [(number, draft)] = formats.read(written.path)
    assert isinstance(draft, Draft)
    assert (number, draft.status, draft.tags, draft.note) == (2, "rejected", ("c",), "=1")


def test_every_config_of_a_folder_is_compared(tmp_path: Path) -> None:
    rows = [example(n, rejected=f"No {n}.", split=("train", "test")[n % 2]) for n in range(4)]
    written = formats.write("hf", rows, tmp_path / "set")
    assert formats.verify(written, lambda: rows).differences == ()
    altered = [Example(**{**vars(e), "rejected": "Never."}) if e.id == "e_0003" else e for e in rows]
    other = formats.write("hf", altered, tmp_path / "other")
    for config in ("dpo", "kto"):
        path = Path("data") / config / "test-00000-of-00001.parquet"
        shutil.copy(other.path / path, written.path / path)
        [told] = formats.verify(written, lambda: rows).differences
        assert told.startswith(f"e_0003: in data/{config}/test-00000-of-00001.parquet, ")
        assert "another rejected" in told
        formats.write("hf", rows, written.path)
    shutil.copy(
        written.path / "data" / "dpo" / "test-00000-of-00001.parquet",
        written.path / "data" / "dpo" / "validation-00000-of-00001.parquet",
    )
    assert formats.verify(written, lambda: rows).differences == (
        "data/dpo/validation-00000-of-00001.parquet: there are no such examples",
    )


def test_a_difference_is_told(tmp_path: Path) -> None:
    rows = [example(n) for n in range(3)]
    written = formats.write("openai", rows, tmp_path / "rows.jsonl")
    lines = written.path.read_text().splitlines(keepends=True)
    for changed, said in (
        (
            [*lines[:2], lines[2].replace("Answer 2", "Answer two")],
            "e_0002: after reading it again there is another answer",
        ),
        (lines[:2], "e_0002: it is missing"),
        ([*lines, lines[0]], "row 4: there is no such example"),
        ([lines[0], lines[2], lines[1]], "e_0001: row 2 holds e_0002 instead"),
        ([lines[0], "{\n", lines[2]], "e_0001: row 2 can't be read again: not valid JSON"),
        ([], "rows.jsonl is empty"),
    ):
        written.path.write_text("".join(changed))
        verification = formats.verify(written, lambda: rows)
        assert not verification.is_verified
        assert said in verification.differences[0]
