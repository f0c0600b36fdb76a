"""The benchmark's arithmetic and material; what it measures is never asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.report import Row, header, shown, table
from bench.timing import Answer, summary


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "–"),
        (0.1234, "s", "0.12 s"),
        (12.34, "s", "12.3 s"),
        (1234.5, "MB", "1234 MB"),
        (3, "of 32", "3 of 32"),
    ],
)
def test_a_number_gets_the_digits_it_deserves(value: float | None, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_a_ratio_needs_two_numbers() -> None:
    assert Row("swap", "s", 1.0, 4.0).ratio == "0.25"
    assert Row("swap", "s", 1.0).ratio == ""
    assert Row("stayed", "", "yes", 1.0).ratio == ""
    assert Row("learned", "of 32", 32, 0).ratio == ""


def test_a_table_has_a_line_per_row() -> None:
    lines = table([Row("swap", "s", 1.0, 4.0, "PEFT")]).splitlines()
    assert lines[2] == "| swap | 1.00 s | 4.00 s | 0.25 | PEFT |"


def test_speed_leaves_out_each_answers_first_token() -> None:
    answers = [Answer.of(0.0, [1.0, 2.0, 3.0], 3), Answer.of(10.0, [10.5, 11.5], 2)]
    assert summary(answers) == {"first_token_s": 0.75, "tokens_per_s": 1.0, "tokens": 5}


def test_rows_are_the_whole_sample(tmp_path: Path) -> None:
    from bench.material import write_rows

    rows = [json.loads(line) for line in write_rows(tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["split"] for row in rows].count("train") == 32
    assert [row["split"] for row in rows].count("test") == 16
    assert rows[0]["prompt"][0]["role"] == "system"


def test_the_header_names_machine_and_versions() -> None:
    text = header(is_quick=True)
    assert "cores" in text
    assert "torch" in text
    assert "quick run" in text


def test_the_rows_go_through_the_studio_and_through_duckdb(tmp_path: Path) -> None:
    from bench import plain_rows, rows, rows_material, rows_report

    rows_material.write(tmp_path / "rows.jsonl", 1100)
    ours = rows.main(tmp_path / "rows.jsonl", tmp_path / "ours", edits=5)
    assert ours["rows"] == 1100
    assert ours["parquet_verified"]
    assert ours["trl-messages_verified"]
    plain = plain_rows.main(tmp_path / "rows.jsonl", tmp_path / "plain", edits=5)
    titles = [title for title, _ in rows_report.tables(ours, plain)]
    assert titles == ["1,100 rows", "Most memory above that of the start", "Targets"]
