"""A Parquet file of very many plain rows, written and checked as columns: what `writing` and `verifying` do row by row.

A batch is an Arrow table with the columns of `studio.store.columns`. The file is the same, row by row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from studio.errors import InvalidInput
from studio.formats.atomic import file_sha256, replaced
from studio.formats.draft import Draft
from studio.formats.marks import COLUMN, REJECTED
from studio.formats.parquet import Table
from studio.formats.render import PARQUET_KINDS
from studio.formats.shapes import draft_of
from studio.formats.written import Tally, Written, written_of
from studio.records import Example

_LINKS = ("group", "parent_id", "message_id")
Digest = tuple[int, bytes]
"""Rows of a batch, and what they hash to."""


def write_columns(batches: Iterable[pa.Table], out: Path) -> tuple[Written, list[Digest]]:
    """Write `batches` to `out`, all or nothing. One batch is written while the next is made.

    Raises:
        InvalidInput: `out` can't be written.
    """
    digests: list[Digest] = []
    tally = Tally()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replaced(out) as temporary, ThreadPoolExecutor(1, "parquet") as writer:
            table = Table(temporary, PARQUET_KINDS)
            written: Future[Digest] | None = None

            def put(batch: pa.Table) -> Digest:
                rows = rendered(batch, table.schema)
                table.add_table(rows)
                return rows.num_rows, digest(rows)

            try:
                for batch in batches:
                    if written is not None:
                        digests.append(written.result())
                    written = writer.submit(put, batch)
                if written is not None:
                    digests.append(written.result())
            finally:
                writer.shutdown()
                table.close()
            tally.rows = tally.examples = table.rows
        return written_of("parquet", out, tally, file_sha256(out), (out,), False), digests
    except OSError as error:
        raise InvalidInput(f"{out} can't be written: {error.strerror or error}.") from error


def rendered(batch: pa.Table, schema: pa.Schema) -> pa.Table:
    """The batch as `render` makes the rows of Parquet."""
    columns = {name: batch[name] for name in schema.names if name in batch.column_names}
    columns |= {REJECTED: batch["rejected"], COLUMN: _marks(batch)}
    return pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)


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


def digest(table: pa.Table) -> bytes:
    """A hash of a table's values, however they lie in memory."""
    made = hashlib.sha256()
    for column in table.columns:
        for part in _flat(pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)):
            made.update(part)
    return made.digest()


def _flat(array: pa.Array) -> Iterator[bytes | memoryview]:
    """The bytes that say what an array holds."""
    if array.null_count:
        yield array.is_null().cast(pa.uint8()).to_numpy().tobytes()
    if pa.types.is_list(array.type):
        yield pc.list_value_length(array).fill_null(0).to_numpy().tobytes()
        yield from _flat(array.flatten())
    elif pa.types.is_struct(array.type):
        for child in array.flatten():
            yield from _flat(child)
    elif pa.types.is_string(array.type):
        filled = array.fill_null("")
        yield pc.binary_length(filled).to_numpy().tobytes()
        offsets = filled.buffers()[1]
        if offsets is not None and len(filled):
            ends = memoryview(offsets).cast("i")[filled.offset : filled.offset + len(filled) + 1]
            yield memoryview(filled.buffers()[2] or b"")[ends[0] : ends[-1]]
    else:
        yield array.cast(pa.int64()).fill_null(0).to_numpy().tobytes()


def verify_columns(path: Path, digests: Sequence[Digest], first: Sequence[Example]) -> tuple[str, ...]:
    """Read the whole file again and compare each batch with what was given to be written; and the first rows with their
    examples, as an import reads them. Returns what differs."""
    with pq.ParquetFile(path) as file:
        for row, example in zip(_rows(file, len(first)), first, strict=True):
            if draft_of(row) != Draft.of(example):
                return (f"{example.id}: after reading it again it is another",)
        group, at = 0, 0
        for number, (rows, wanted) in enumerate(digests, 1):
            # Group by group: a reader of batches reads far ahead of what is asked for.
            groups: list[pa.Table] = []
            while sum(some.num_rows for some in groups) < rows and group < file.num_row_groups:
                groups.append(file.read_row_group(group))
                group += 1
            if not groups or digest(pa.concat_tables(groups)) != wanted:
                return (f"batch {number} (rows {at + 1} to {at + rows}): after reading it again it is another",)
            at += rows
        if group < file.num_row_groups:
            return ("there are rows that were not written",)
    return ()


def _rows(file: pq.ParquetFile, count: int) -> list[dict[str, Any]]:
    some = file.read_row_group(0).slice(0, count)
    return [{k: v for k, v in row.items() if v is not None} for row in some.to_pylist()]
