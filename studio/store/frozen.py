"""Rows as they were at one moment, gone through as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from studio.records import Example
from studio.store.columns import COLUMNS
from studio.store.database import Reading
from studio.store.stored import BATCH, EXAMPLE_COLUMNS, example_of


class FrozenRows:
    """Rows as they were at one moment; made by `Examples.frozen` and good until that ends."""

    def __init__(self, read: Reading, order: Mapping[str, Any]) -> None:
        self._read = read
        self._order = order

    def __len__(self) -> int:
        return len(self._order["n"])

    def batches(self, batch: int = BATCH) -> Iterator[list[Example]]:
        for some in self._some(batch):
            found = self._read.rows(f"SELECT {EXAMPLE_COLUMNS} {self._from(some)}", batch=some)
            yield [example_of(row) for row in found]

    def tables(self, batch: int = 2 * BATCH) -> Iterator[Any]:
        """The rows as Arrow tables with the columns `COLUMNS`, many times as fast; None: some of a batch are not plain,
        and that was all."""
        for some in self._some(batch):
            table = self._read.table(f"SELECT {COLUMNS} {self._from(some)}", some)
            if False in table["is_plain"].unique().to_pylist():
                yield None
                return
            yield table

    def _some(self, batch: int) -> Iterator[Any]:
        import pyarrow as pa

        for start in range(0, len(self), batch):
            yield pa.table({name: column[start : start + batch] for name, column in self._order.items()})

    def _from(self, some: Any) -> str:
        ids = some["content_id"].to_numpy()
        return (
            "FROM batch b JOIN row_versions v ON v.n = b.n AND v.version = b.version JOIN contents c"
            f" ON c.id = b.content_id WHERE c.id BETWEEN {int(ids.min())} AND {int(ids.max())} ORDER BY v.n"
        )
