"""The texts of contents. They never change, so those that were looked at last are kept at hand: who changes a row has
just seen it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from studio.store.database import Database, Row
from studio.store.stored import TEXTS

KEPT_CHARS = 2_000_000
"""Characters of texts that are kept."""
FEW = 100
"""More texts than that at once are no page that somebody looks at."""


class Texts:
    """Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Row] = OrderedDict()
        self._chars = 0

    def of(self, content_ids: Sequence[int]) -> dict[int, Row]:
        """The columns `TEXTS` of contents by their ids."""
        wanted = set(content_ids)
        with self._lock:
            found = {id_: self._kept[id_] for id_ in wanted if id_ in self._kept}
            for id_ in found:
                self._kept.move_to_end(id_)
        if missing := sorted(wanted - found.keys()):
            read = self._read(missing)
            found |= read
            if len(missing) <= FEW:
                self._keep(read)
        return found

    def _read(self, ids: Sequence[int]) -> dict[int, Row]:
        # Of one id DuckDB knows where it must lie; a list is joined with the table.
        one = len(ids) == 1
        among = "= ?" if one else "IN (SELECT unnest(?::BIGINT[]))"
        rows = self._db.rows(f"SELECT id, {TEXTS} FROM contents WHERE id {among}", ids if one else [ids])
        return {row.pop("id"): row for row in rows}

    def _keep(self, texts: dict[int, Row]) -> None:
        with self._lock:
            for id_, row in texts.items():
                if id_ not in self._kept:
                    self._kept[id_] = row
                    self._chars += _chars(row)
            while self._chars > KEPT_CHARS:
                self._chars -= _chars(self._kept.popitem(last=False)[1])


def _chars(row: Row) -> int:
    return sum(len(text or "") for text in row.values())
