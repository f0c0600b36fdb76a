"""A Parquet file written as columns is the one that is written row by row, and damage to it is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from studio import dataset, exports, projects
from studio.context import Studio
from studio.formats import verify_columns, write, write_columns
from studio.formats.columns import digest
from studio.records import Example, Turn, new_id
from studio.rows import RowFilter

ALL = RowFilter()


def _examples(project_id: str) -> list[Example]:
    first = Example(
        new_id("e"),
        project_id,
        1,
        "approved",
        (Turn("user", '  "Where"?\n\t'),),
        "Here.\\ \u2028 'so' {}",
        source="typed",
    )
    several = [
        replace(first, id=new_id("e"), answer=f"答え {i} 😀", tags=("a, b", "ü"), rating=5, note="n\n", rejected="no")
        for i in range(300)
    ]
    return [
        first,
        replace(first, id=new_id("e"), messages=(Turn("system", "Be brief."), Turn("user", "開館は?")), answer="9時"),
        replace(first, id=new_id("e"), answer="x", extra={"input": 'a "b"', "n": [1, {"ü": 0.5}]}, learn_answer=False),
        replace(first, id=new_id("e"), answer="y", group='g"1', parent_id="e_0", message_id="m_1", aside=True),
        replace(first, id=new_id("e"), answer="z", created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), author="日"),
        *several,
    ]


@pytest.fixture
def project_id(studio: Studio) -> str:
    id_ = projects.default(studio).id
    dataset.add_rows(studio, id_, _examples(id_), "created")
    return id_


def test_columns_are_the_rows(studio: Studio, project_id: str, tmp_path: Path) -> None:
    examples = studio.store.examples.find(project_id)
    write("parquet", examples, tmp_path / "rows.parquet")
    with studio.store.examples.frozen(project_id, ALL) as frozen:
        written, digests = write_columns(frozen.tables(100), tmp_path / "columns.parquet")
    rows, columns = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("rows", "columns"))
    assert columns.schema.equals(rows.schema)
    assert columns.to_pylist() == rows.to_pylist()
    assert written.rows == len(examples)
    assert digest(columns) == digest(rows)
    assert verify_columns(written.path, digests, examples[:100]) == ()


def test_damage_is_found(studio: Studio, project_id: str, tmp_path: Path) -> None:
    with studio.store.examples.frozen(project_id, ALL) as frozen:
        written, digests = write_columns(frozen.tables(100), tmp_path / "columns.parquet")
    table = pq.read_table(written.path)
    notes = table["note"].to_pylist()
    notes[250] = "another"
    at = table.schema.get_field_index("note")
    pq.write_table(table.set_column(at, table.schema.field(at), [notes]), written.path, row_group_size=100)
    assert "rows 201 to 300" in verify_columns(written.path, digests, [])[0]
    pq.write_table(table.slice(0, 300), written.path, row_group_size=100)
    assert "rows 301 to 305" in verify_columns(written.path, digests, [])[0]


def test_an_export_with_other_rows_is_written_row_by_row(studio: Studio, project_id: str, tmp_path: Path) -> None:
    talk = (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"))
    dataset.add_rows(studio, project_id, [Example(new_id("e"), project_id, 1, "approved", talk, "d")], "created")
    with studio.store.examples.frozen(project_id, ALL) as frozen:
        assert list(frozen.tables())[-1] is None
    made = exports.export(studio, project_id, tmp_path / "out.parquet", "parquet", ALL)
    assert made.is_verified
    assert pq.read_metadata(made.written.path).num_rows == 306
