"""A Parquet file written as columns is the one that is written row by row, and damage to it is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio import dataset, exports, projects
from studio.context import Studio
from studio.formats import Batch, TooWideError, Written, verify_columns, write, write_columns
from studio.formats.atomic import file_sha256
from studio.formats.columns import Part, digest
from studio.records import Example, Turn, new_id
from studio.rows import RowFilter
from studio.store.frozen import FrozenRows

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


def _talk(project_id: str, *, learn: bool = False, **fields: Any) -> Example:
    turns = (Turn("user", "a"), Turn("assistant", "b", learn), Turn("user", "c"))
    return Example(new_id("e"), project_id, 1, "approved", turns, "d", **fields)


def _batches(frozen: FrozenRows, size: int) -> Iterator[Batch]:
    at = 0
    for table in frozen.tables(size):
        odd = [i for i, is_plain in enumerate(table["is_plain"].to_pylist()) if not is_plain]
        yield Batch(table, dict(zip(odd, frozen.pick([at + i for i in odd]), strict=True)))
        at += table.num_rows


def _written(studio: Studio, project_id: str, out: Path) -> tuple[Written, list[Part], list[Example]]:
    with studio.store.examples.frozen(project_id, ALL) as frozen:
        return *write_columns(_batches(frozen, 100), out), [e for batch in frozen.batches() for e in batch]


def _same_files(studio: Studio, project_id: str, folder: Path) -> int:
    examples = studio.store.examples.find(project_id)
    write("parquet", examples, folder / "rows.parquet")
    written, parts, given = _written(studio, project_id, folder / "columns.parquet")
    rows, columns = (pq.read_table(folder / f"{name}.parquet") for name in ("rows", "columns"))
    assert given == examples
    assert columns.schema.equals(rows.schema)
    assert columns.to_pylist() == rows.to_pylist()
    assert digest(columns) == digest(rows)
    whole, differences = verify_columns(written, parts, lambda places: [given[i] for i in places])
    assert differences == ()
    assert whole == replace(written, sha256=file_sha256(written.path))
    return written.rows


def test_columns_are_the_rows(studio: Studio, project_id: str, tmp_path: Path) -> None:
    assert _same_files(studio, project_id, tmp_path) == 305


def test_conversations_and_odd_rows_stand_among_the_plain_ones(studio: Studio, project_id: str, tmp_path: Path) -> None:
    odd = [
        _talk(project_id),
        _talk(project_id, learn=True, rating=1, tags=("x",)),
        replace(_talk(project_id), answer="😀"),
        replace(_talk(project_id), messages=(Turn("user", "q"),), answer="\u3000blank first"),
    ]
    more = [replace(example, id=new_id("e")) for example in _examples(project_id)]
    dataset.add_rows(studio, project_id, odd, "created")
    dataset.add_rows(studio, project_id, more, "created")
    assert _same_files(studio, project_id, tmp_path) == 614


@pytest.mark.parametrize("ahead", [1, 3, 5000])
def test_rows_that_were_edited_and_few_of_many_are_themselves(
    studio: Studio, project_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr("studio.store.frozen._AHEAD", ahead)
    examples = studio.store.examples.find(project_id)
    for number in (3, 4, 150, 199, 201, 299):
        dataset.edit(studio, examples[number].id, answer=f"edited {number}")
    dataset.set_status(studio, examples[7].id, "draft")
    _same_files(studio, project_id, tmp_path)
    some = tuple(examples[i].id for i in (0, 3, 90, 299, 304))
    with studio.store.examples.frozen(project_id, RowFilter(ids=some)) as frozen:
        found = [e for batch in frozen.batches(2) for e in batch]
        assert found == studio.store.examples.get_many(some)
        assert frozen.pick([4, 0, 2]) == [found[4], found[0], found[2]]
        assert pa.concat_tables(frozen.tables(2))["id"].to_pylist() == list(some)


def test_what_is_exported_is_as_it_was_when_it_began(studio: Studio, project_id: str) -> None:
    before = studio.store.examples.find(project_id)
    with studio.store.examples.frozen(project_id, ALL) as frozen:
        batches = frozen.batches(100)
        first = next(batches)
        dataset.edit(studio, before[250].id, answer="changed meanwhile")
        dataset.add(studio, project_id, "new", "row")
        assert first + [e for batch in batches for e in batch] == before


def test_damage_is_found(studio: Studio, project_id: str, tmp_path: Path) -> None:
    written, parts, given = _written(studio, project_id, tmp_path / "columns.parquet")

    def found() -> str:
        return verify_columns(written, parts, lambda places: [given[i] for i in places])[1][0]

    table = pq.read_table(written.path)
    notes = table["note"].to_pylist()
    notes[250] = "another"
    at = table.schema.get_field_index("note")
    pq.write_table(table.set_column(at, table.schema.field(at), [notes]), written.path, row_group_size=100)
    assert "rows 201 to 300" in found()
    pq.write_table(table.slice(0, 300), written.path, row_group_size=100)
    assert "rows 301 to 305" in found()
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), written.path, row_group_size=100)
    assert found()


def test_rows_go_through_the_importer_again(studio: Studio, project_id: str, tmp_path: Path) -> None:
    written, parts, given = _written(studio, project_id, tmp_path / "columns.parquet")
    given[290] = replace(given[290], note="what an import would have to find")
    _, found = verify_columns(written, parts, lambda places: [given[i] for i in places])
    assert found == (f"{given[290].id}: after importing it again it is another",)


def test_a_row_that_is_out_of_the_ordinary_is_imported_again(
    studio: Studio, project_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.formats.columns.IMPORTED", 0)
    example = studio.store.examples.find(project_id)[137]
    dataset.edit(studio, example.id, note="a longer note than any other")
    _, parts, _ = _written(studio, project_id, tmp_path / "columns.parquet")
    assert 137 in parts[1].samples
    assert sum(len(part.samples) for part in parts) < 100


def test_a_row_that_fits_in_no_file_is_counted(studio: Studio, project_id: str, tmp_path: Path) -> None:
    half = replace(_talk(project_id), messages=(Turn("user", "q"),), answer=" ")
    studio.store.examples.append([half])
    made = exports.export(studio, project_id, tmp_path / "out.parquet", "parquet", ALL)
    assert made.is_verified
    assert (made.written.rows, dict(made.written.skipped)) == (305, {"the answer is empty": 1})


def test_an_export_with_tools_is_written_row_by_row(studio: Studio, project_id: str, tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    dataset.add_rows(studio, project_id, [_talk(project_id, extra={"tools": tools})], "created")
    with studio.store.examples.frozen(project_id, ALL) as frozen, pytest.raises(TooWideError):
        write_columns(_batches(frozen, 100), tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()
    made = exports.export(studio, project_id, tmp_path / "out.parquet", "parquet", ALL)
    assert made.is_verified
    assert "tools" in pq.read_schema(made.written.path).names
    assert made.written.rows == 306
