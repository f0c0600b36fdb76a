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
            given = 0

            def put(batch: Batch) -> Part:
                nonlocal given
                rows, places = rendered(batch, table, tally)
                first = table.rows
                table.add_table(rows)
                samples = {first + i: given + int(places[i]) for i in _samples(rows, first)}
                given += batch.table.num_rows
                return Part(rows.num_rows, digest(rows), samples)

            written: Future[Part] | None = None
            try:
                for batch in batches:
                    if written is not None:
                        parts.append(written.result())
                    written = writer.submit(put, batch)
                if written is not None:
                    parts.append(written.result())
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


def _differences(
    path: Path, parts: Sequence[Part], examples: Callable[[Sequence[int]], Sequence[Example]]
) -> tuple[str, ...]:
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    begins = np.cumsum([0, *groups])
    at = 0
    tasks: list[tuple[Part, int, list[int]]] = []
    for part in parts:
        # A batch begins with a group of its own.
        some = range(*np.searchsorted(begins, [at, at + part.rows]).tolist())
        tasks.append((part, at, [group for group in some if group < len(groups)]))
        at += part.rows
    with ThreadPoolExecutor(2, "verify") as pool:
        for number, difference in enumerate(
            pool.map(lambda task: _difference(path, *task, examples=examples), tasks), 1
        ):
            if difference:
                return (f"batch {number}: {difference}",)
    return ("there are rows that were not written",) if at < begins[-1] else ()


def _difference(
    path: Path, part: Part, at: int, groups: list[int], *, examples: Callable[[Sequence[int]], Sequence[Example]]
) -> str:
    """How a batch differs, or nothing."""
    with pq.ParquetFile(path) as file:
        table = file.read_row_groups(groups, use_threads=False) if groups else file.schema_arrow.empty_table()
    if digest(table) != part.digest:
        return f"rows {at + 1} to {at + part.rows}: after reading it again it is another"
    picked = table.take([row - at for row in part.samples]).to_pylist()
    rows = [
        (row, {k: v for k, v in one.items() if v is not None}) for row, one in zip(part.samples, picked, strict=True)
    ]
    wanted = examples(list(part.samples.values()))
    for (_, draft, _), example in zip(read_rows(rows, None, "parquet"), wanted, strict=True):
        if draft != Draft.of(example):
            return f"{example.id}: after importing it again it is another"
    return ""
