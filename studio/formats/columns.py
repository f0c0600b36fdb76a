"""A Parquet file of very many rows, written and checked as columns: what `writing` and `verifying` do row by row.

A batch is an Arrow table with the columns of `studio.store.columns`, in which the rows that need more than columns of
text are told apart (`is_plain`), and come as examples. The file is the same, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from studio.errors import InvalidInput, Phrase
from studio.formats.atomic import file_sha256, replaced
from studio.formats.draft import Draft
from studio.formats.marks import COLUMN, REJECTED
from studio.formats.parquet import Table, is_wide
from studio.formats.reading import read_rows
from studio.formats.render import PARQUET_KINDS, Row
from studio.formats.written import Tally, Written, fitting, written_of
from studio.records import Example

IMPORTED = 5_000
"""The first rows of a file, all of which are imported again by way of comparison; of the others, `SAMPLED` and the
longest of each column are taken from each batch."""
SAMPLED = 10
_TOGETHER = 10
"""Batches whose samples are looked up together."""
_LINKS = ("group", "parent_id", "message_id")


class TooWideError(Exception):
    """A row has tools, or turns with more than a text: then the whole file has other columns."""


@dataclass(frozen=True)
class Batch:
    """Some rows, in order."""

    table: pa.Table
    odd: Mapping[int, Example]
    """Place in the batch → row, for those that are not plain."""


@dataclass(frozen=True)
class Part:
    """What was written of a batch."""

    rows: int
    digest: str
    samples: Mapping[int, int]
    """Row of the file, from 0 → row of those that were given, for rows that shall be imported again."""


def write_columns(batches: Iterable[Batch], out: Path) -> tuple[Written, list[Part]]:
    """Write `batches` to `out`, all or nothing. One batch is written while the next is made. The file's hash is taken
    by `verify_columns`.

    Raises:
        InvalidInput: `out` can't be written.
        TooWideError: a row can't be put in; nothing was written.
    """
    parts: list[Part] = []
    tally = Tally()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replaced(out) as temporary, ThreadPoolExecutor(1, "parquet") as writer:
            table = Table(temporary, PARQUET_KINDS)
            given = first = 0
            written: Future[None] | None = None
            try:
                for batch in batches:
                    rows, places = rendered(batch, table, tally)
                    samples = {first + i: given + int(places[i]) for i in _samples(rows, first)}
                    parts.append(Part(rows.num_rows, digest(rows), samples))
                    given, first = given + batch.table.num_rows, first + rows.num_rows
                    if written is not None:
                        written.result()
                    written = writer.submit(table.add_table, rows)
                if written is not None:
                    written.result()
            finally:
                writer.shutdown()
                table.close()
            tally.rows = tally.examples = table.rows
        return written_of("parquet", out, tally, "", (out,), False), parts
    except OSError as error:
        raise InvalidInput(
            Phrase("{path} can't be written: {reason}.", path=out, reason=error.strerror or error)
        ) from error


def rendered(batch: Batch, table: Table, tally: Tally) -> tuple[pa.Table, Any]:
    """The batch as `render` makes the rows of Parquet, and which row of the batch each of them is (a NumPy array)."""
    schema, given = table.schema, batch.table
    columns = {name: given[name] for name in schema.names if name in given.column_names}
    columns |= {REJECTED: given["rejected"], COLUMN: _marks(given)}
    rows = pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
    places = np.arange(given.num_rows)
    if not batch.odd:
        return rows, places
    ids = {example.id: place for place, example in batch.odd.items()}
    made: list[Row] = []
    kept: list[int] = []
    for example, (row,) in fitting("parquet", batch.odd.values(), False, tally):
        if is_wide(row, table.kinds):
            raise TooWideError
        made.append(row)
        kept.append(ids[example.id])
    # Plain rows from the one table, the others from the other, each at its place.
    source = places.copy()
    source[list(batch.odd)] = -1
    source[kept] = given.num_rows + np.arange(len(kept))
    return pa.concat_tables([rows, table.table_of(made)]).take(source[source >= 0]), places[source >= 0]


def _marks(batch: pa.Table) -> pa.ChunkedArray:
    """What `marks_of` says of plain rows, as the same JSON."""
    text, none = pa.string(), pa.scalar("")

    def where(condition: Any, value: Any) -> Any:
        return pc.if_else(condition, value, none)

    parts = ['{"version":', batch["version"].cast(text), ',"created_at":"', batch["created_at"].cast(text), '"']
    for name in _LINKS:
        value = batch[name].cast(text)
        parts.append(where(pc.not_equal(value, none), pc.binary_join_element_wise(f',"{name}":', value, "")))
    parts.append(where(batch["aside"], ',"aside":true'))
    parts.append(where(pc.invert(batch["learn_answer"]), ',"learn_answer":false'))
    extra = batch["extra"].cast(text)
    parts.append(where(pc.not_equal(extra, pa.scalar("{}")), pc.binary_join_element_wise(',"extra":', extra, "")))
    return pc.binary_join_element_wise(*parts, "}", "")


def _samples(rows: pa.Table, first: int) -> list[int]:
    """Rows of a table to be imported again: of the first ones all; of others some, evenly spread, and of each column
    the one with the most in it, where what is out of the ordinary would be."""
    all_of = min(rows.num_rows, max(0, IMPORTED - first))
    found = {*range(all_of), *np.linspace(0, rows.num_rows - 1, min(SAMPLED, rows.num_rows)).astype(int).tolist()}
    for column in rows.columns:
        if pa.types.is_string(column.type):
            column = pc.binary_length(column)
        elif pa.types.is_list(column.type):
            column = pc.list_value_length(column)
        found.add(max(0, pc.index(column, pc.max(column)).as_py()))
    return sorted(place for place in found if place < rows.num_rows)


# Checking


def digest(table: pa.Table) -> str:
    """A hash of a table's values, however they lie in memory."""
    hashes: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks:
            for leaf, data in _flat(chunk, name):
                hashes.setdefault(leaf, xxhash.xxh3_128()).update(data)
    return " ".join(f"{leaf}={made.hexdigest()}" for leaf, made in sorted(hashes.items()))


def _flat(array: pa.Array, name: str) -> Iterator[tuple[str, Any]]:
    """The bytes that say what an array holds, in streams with names: those of two halves are those of the whole."""
    yield f"{name}?", array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_list(array.type):
        yield f"{name}[]", pc.list_value_length(array).fill_null(0).to_numpy()
        yield from _flat(array.flatten(), f"{name}.")
    elif pa.types.is_struct(array.type):
        for field, child in zip(array.type, array.flatten(), strict=True):
            yield from _flat(child, f"{name}.{field.name}")
    elif pa.types.is_string(array.type):
        filled = array.fill_null("") if array.null_count else array
        yield f"{name}#", pc.binary_length(filled).to_numpy()
        offsets = filled.buffers()[1]
        if offsets is not None and len(filled):
            ends = memoryview(offsets).cast("i")[filled.offset : filled.offset + len(filled) + 1]
            yield name, memoryview(filled.buffers()[2] or b"")[ends[0] : ends[-1]]
    else:
        yield name, array.cast(pa.int64()).fill_null(0).to_numpy()


def verify_columns(
    written: Written, parts: Sequence[Part], examples: Callable[[Sequence[int]], Sequence[Example]]
) -> tuple[Written, tuple[str, ...]]:
    """Read the whole file again and compare each batch with what was given to be written; and the samples with their
    examples, as an import reads them. Returns what was written with the file's hash, and what differs.

    Args:
        examples: gives the rows at places, counted through the batches.
    """
    path = written.path
    with ThreadPoolExecutor(1, "hash") as hashing:
        sha256 = hashing.submit(file_sha256, path)
        differences = _differences(path, parts, examples)
        return replace(written, sha256=sha256.result()), differences


@dataclass(frozen=True)
class _Task:
    """A batch that is to be read again."""

    number: int
    part: Part
    at: int
    """Rows of the file before it."""
    groups: list[int]
    """Where it lies in the file."""


def _differences(
    path: Path, parts: Sequence[Part], examples: Callable[[Sequence[int]], Sequence[Example]]
) -> tuple[str, ...]:
    metadata = pq.read_metadata(path)
    begins = np.cumsum([0, *(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))])
    at, tasks = 0, list[_Task]()
    for number, part in enumerate(parts, 1):
        # A batch begins with a group of its own.
        groups = range(*np.searchsorted(begins[:-1], [at, at + part.rows]).tolist())
        tasks.append(_Task(number, part, at, list(groups)))
        at += part.rows

    def difference(some: Sequence[_Task]) -> str:
        samples: dict[int, int] = {}
        rows: list[tuple[int, dict[str, Any]]] = []
        with pq.ParquetFile(path, metadata=metadata) as file:
            for task in some:
                if (found := _read_again(file, task)) is None:
                    last = task.at + task.part.rows
                    return f"batch {task.number}: rows {task.at + 1} to {last}: after reading it again it is another"
                rows += zip(task.part.samples, found, strict=True)
                samples |= task.part.samples
        return _reimported(rows, examples(list(samples.values())))

    with ThreadPoolExecutor(2, "verify") as pool:
        for found in pool.map(difference, (tasks[i : i + _TOGETHER] for i in range(0, len(tasks), _TOGETHER))):
            if found:
                return (found,)
    return ("there are rows that were not written",) if at < begins[-1] else ()


def _read_again(file: pq.ParquetFile, task: _Task) -> list[dict[str, Any]] | None:
    """The samples of a batch as the file has them; None: the batch is another in the file."""
    table = file.read_row_groups(task.groups, use_threads=False) if task.groups else file.schema_arrow.empty_table()
    if digest(table) != task.part.digest:
        return None
    samples: list[dict[str, Any]] = table.take([row - task.at for row in task.part.samples]).to_pylist()
    return samples


def _reimported(rows: Sequence[tuple[int, Mapping[str, Any]]], wanted: Sequence[Example]) -> str:
    """How rows of the file, each with its number, differ from examples once they are imported again, or nothing."""
    filled = [(number, {k: v for k, v in row.items() if v is not None}) for number, row in rows]
    for (_, draft, _), example in zip(read_rows(filled, None, "parquet"), wanted, strict=True):
        if draft != Draft.of(example):
            return f"{example.id}: after importing it again it is another"
    return ""
