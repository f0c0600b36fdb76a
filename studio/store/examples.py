"""Rows of the dataset: every version is kept, one of them is current.

The text of a row (`contents`) and what is thought of it (`row_versions`) are kept apart: see schema/0003_rows.sql.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from studio.records import Example, turns_from
from studio.rows import Facets, RowFilter, Sort
from studio.store.arrow import hold_little
from studio.store.database import Database, Row
from studio.store.filtering import OPEN_FLAGS, where_of
from studio.store.frozen import FrozenRows, oldest_first
from studio.store.paging import ORDERS, Stretch, stretch
from studio.store.search import SearchIndex
from studio.store.stored import (
    BATCH,
    CONTENT,
    EXAMPLE_COLUMNS,
    PAIR_KEY,
    STATE,
    content_of,
    example_of,
    insert_new,
    is_same_text,
    number_of,
    state_of,
)
from studio.store.texts import Texts

FEW = 64
"""Rows up to which single inserts beat building an Arrow table."""
KEPT_FACETS = 32
"""Filters whose counts are remembered while nothing changes."""


class Examples:
    """The rows. Texts get in by `append` and `Store.load` alone; what is thought of many changes by `Revisions`."""

    def __init__(self, database: Database, index: SearchIndex) -> None:
        self._db = database
        self._index = index
        self._texts = Texts(database)
        self._facets_kept: dict[tuple[int, str, RowFilter], Facets] = {}

    # Writing

    def append(self, examples: Sequence[Example]) -> None:
        """Add versions; all of them or none. Each becomes its row's current one."""
        if not examples:
            return
        with self._db.transaction():
            if len(examples) > FEW and all(e.version == 1 for e in examples):
                insert_new(self._db.add, self._db.next_content_ids(len(examples)), examples)
                return
            for example in examples:
                self._append_one(example)

    def _append_one(self, example: Example) -> None:
        content, content_id = content_of(example), None
        if example.version > 1:
            n = number_of(example.id)
            self._db.execute("UPDATE row_versions SET is_current = false WHERE n = ? AND is_current", [n])
            before = self._text_before(n, example.version)
            if before and is_same_text(before, content):
                content_id = before["content_id"]
        if content_id is None:
            content_id = self._db.next_content_ids(1)
            self._db.execute(f"INSERT INTO contents ({CONTENT}) VALUES (?, ?, ?, ?, ?, ?, ?)", [content_id, *content])
        places = ", ".join("?" * len(STATE.split(",")))
        self._db.execute(
            f"INSERT INTO row_versions ({STATE}, is_current) VALUES ({places}, true)", state_of(example, content_id)
        )

    def _text_before(self, n: int, version: int) -> Row | None:
        """The texts of the version before, with their `content_id`."""
        read: Row | None = self._db.kept.get("row")
        if read is not None and read["n"] == n and read["version"] == version - 1:
            return read
        found = self._db.row("SELECT content_id FROM row_versions WHERE n = ? AND version = ?", [n, version - 1])
        return found and found | self._texts.of([found["content_id"]])[found["content_id"]]

    # Reading

    def get(self, example_id: str) -> Example | None:
        found = self._with_texts("v.n = ? AND v.id = ? AND v.is_current", [number_of(example_id), example_id])
        if not found:
            return None
        self._db.kept["row"] = found[0]  # who changes a row has looked at it
        return example_of(found[0])

    def get_many(self, example_ids: Sequence[str]) -> list[Example]:
        """Current rows, in the order of the ids; those that don't exist are left out."""
        rows = self._with_texts(
            "v.is_current AND v.n IN (SELECT unnest(?::BIGINT[]))", [[number_of(id_) for id_ in example_ids]]
        )
        found = {row["id"]: example_of(row) for row in rows}
        return [found[id_] for id_ in example_ids if id_ in found]

    def taken(self, example_ids: Sequence[str]) -> set[str]:
        """Ids under which no new row can be kept: it, or its number, is in use in some project."""
        numbers = {id_: number_of(id_) for id_ in example_ids}
        rows = self._db.rows(
            "SELECT DISTINCT n FROM row_versions WHERE n IN (SELECT unnest(?::BIGINT[]))", [list(numbers.values())]
        )
        used = {row["n"] for row in rows}
        return {id_ for id_, n in numbers.items() if n in used}

    def versions(self, example_id: str) -> list[Example]:
        """Every version of a row, oldest first."""
        rows = self._with_texts("v.n = ? AND v.id = ?", [number_of(example_id), example_id])
        return sorted(map(example_of, rows), key=lambda version: version.version)

    def page(
        self,
        project_id: str,
        rows: RowFilter,
        sort: Sort = "newest",
        limit: int = 25,
        offset: int = 0,
        most: int | None = None,
    ) -> list[Example]:
        """Current rows that fit, a stretch of them; with `most`, of a common word only the newest that many."""
        where, parameters = where_of(self._index, project_id, rows, most)
        part = stretch(self._db, sort, Stretch(where, parameters, offset), limit)
        found = self._db.rows(
            f"SELECT v.rowid AS place FROM row_versions v {part.where} ORDER BY {ORDERS[sort]} LIMIT ? OFFSET ?",
            [*part.values, limit, part.offset],
        )
        places = [row["place"] for row in found]
        versions = self._with_texts("v.rowid IN (SELECT unnest(?::BIGINT[]))", [places], "v.rowid AS place, ")
        by_place = {row["place"]: row for row in versions}
        return [example_of(by_place[place]) for place in places]

    def _with_texts(self, condition: str, values: Sequence[Any], also: str = "") -> list[Row]:
        """The versions a condition on `row_versions v` finds, each with its texts.

        Asked for one after the other, a few rows of each table are read; a join reads much more of a large one.
        """
        found = self._db.rows(f"SELECT {also}{STATE} FROM row_versions v WHERE {condition}", values)
        texts = self._texts.of([row["content_id"] for row in found])
        return [row | texts[row["content_id"]] for row in found]

    def stream(self, project_id: str, rows: RowFilter, batch: int = BATCH) -> Iterator[list[Example]]:
        """Every current row that fits, oldest first, as it was when this began; a batch at a time."""
        with self.frozen(project_id, rows) as frozen:
            yield from frozen.batches(batch)

    @contextmanager
    def frozen(self, project_id: str, rows: RowFilter) -> Iterator[FrozenRows]:
        """The rows that fit, oldest first, as they are now, however often they are gone through."""
        where, parameters = where_of(self._index, project_id, rows)
        hold_little()
        with self._db.reading() as read:
            # Which rows, not yet their texts: sorting the texts themselves would take their size in memory.
            found = read.columns(f"SELECT v.n, v.version, v.content_id FROM row_versions v {where}", parameters)
            yield FrozenRows(read, self._db.stream, oldest_first(found))

    def count(
        self,
        project_id: str,
        rows: RowFilter | None = None,
        *,
        status: str | None = None,
        split: str | None = None,
        text: str = "",
        most: int | None = None,
    ) -> int:
        where, parameters = where_of(self._index, project_id, rows or _filter(status, split, text), most)
        return self._db.number(f"SELECT count(*) FROM row_versions v {where}", parameters)

    def find(
        self,
        project_id: str,
        *,
        status: str | None = None,
        split: str | None = None,
        text: str = "",
        limit: int = 1_000_000,
        offset: int = 0,
        newest_first: bool = False,
    ) -> list[Example]:
        """Current rows that fit every filter given."""
        return self.page(
            project_id, _filter(status, split, text), "newest" if newest_first else "oldest", limit, offset
        )

    def facets(self, project_id: str, rows: RowFilter, most: int | None = None) -> Facets:
        """How many of the rows that fit have each value.

        With `most`, where the words looked for stand in more texts than that, only the newest that many are counted,
        and the answer says that it is `capped`. A word common elsewhere but rare in this project is counted whole.
        """
        if most is None or not self._index.is_common(rows.text, most):
            return self._kept_facets(project_id, rows)
        found = self._facets(project_id, rows, most)
        if found.total < most // 10:
            return self._facets(project_id, rows, None)
        return replace(found, capped=True)

    def _kept_facets(self, project_id: str, rows: RowFilter) -> Facets:
        """Who turns pages asks for the same counts again and again, with nothing changed in between."""
        if rows.text.strip() or self._db.is_writing:
            return self._facets(project_id, rows, None)
        asked = (self._db.commits, project_id, rows)
        found = self._facets_kept.get(asked) or self._facets(project_id, rows, None)
        kept = [(k, v) for k, v in self._facets_kept.items() if k[0] == asked[0]][-KEPT_FACETS:]
        self._facets_kept = dict(kept) | {asked: found}
        return found

    def _facets(self, project_id: str, rows: RowFilter, most: int | None) -> Facets:
        where, parameters = where_of(self._index, project_id, rows, most)
        counted: dict[str, dict[str, int]] = {}
        grouped = self._db.rows(
            "SELECT status, author, source, split, aside, tags, count(*) AS rows FROM row_versions v"
            f" {where} GROUP BY ALL",
            parameters,
        )
        for row in grouped:
            values = {"status": [row["status"]], "author": [row["author"]], "source": [row["source"]]}
            values |= {"split": ["aside" if row["aside"] else row["split"]], "tags": json.loads(row["tags"])}
            for name, found in values.items():
                of_name = counted.setdefault(name, {})
                for value in found:
                    of_name[value] = of_name.get(value, 0) + row["rows"]
        flags = self._db.rows(
            f"SELECT f.kind, count(DISTINCT f.example_id) AS rows FROM row_versions v JOIN {OPEN_FLAGS} f"
            f" ON f.content_id = v.content_id {where} GROUP BY f.kind",
            [project_id, *parameters],
        )
        return Facets(
            total=sum(row["rows"] for row in grouped),
            statuses=_by_count(counted.get("status", {})),
            tags=_by_count(counted.get("tags", {})),
            authors=_by_count(counted.get("author", {})),
            sources=_by_count(counted.get("source", {})),
            splits=_by_count(counted.get("split", {})),
            flags=_by_count({row["kind"]: row["rows"] for row in flags}),
        )

    def keys(self, project_id: str, *, discarded: bool = False) -> Any:
        """`Example.key` of every row that is not in the bin: a NumPy array. With `discarded`, also of those that
        somebody put there."""
        self._fill_keys()
        which = f"n NOT IN ({_TAKEN_BACK})" if discarded else "status != 'deleted'"
        with self._db.reading() as read:
            found = read.columns(
                "SELECT c.key FROM contents c WHERE c.id IN"
                f" (SELECT content_id FROM row_versions WHERE is_current AND project_id = ? AND {which})",
                [project_id] * (3 if discarded else 1),
            )
            return found["key"]

    def pair_keys(self, project_id: str) -> Any:
        """`pair_key` of every pair that is not in the bin: a NumPy array. For after `keys`, which fills the keys in."""
        with self._db.reading() as read:
            found = read.columns(
                f"SELECT {PAIR_KEY} AS key FROM contents c WHERE c.rejected IS NOT NULL AND c.id IN"
                " (SELECT content_id FROM row_versions WHERE is_current AND project_id = ? AND status != 'deleted')",
                [project_id],
            )
            return found["key"]

    def made_from(self, project_id: str, example_ids: Sequence[str]) -> list[Example]:
        """Every version of the rows that were made from these by augmentation, also of those that somebody put into
        the bin; not of those whose making was taken back."""
        condition = f"v.project_id = ? AND v.parent_id IN (SELECT unnest(?::VARCHAR[])) AND v.n NOT IN ({_TAKEN_BACK})"
        rows = self._with_texts(condition, [project_id, list(example_ids), project_id, project_id])
        return [example_of(row) for row in rows]

    def _fill_keys(self) -> None:
        """Compute the keys of rows that came with an older database."""
        missing = self._db.rows("SELECT id, messages, answer FROM contents WHERE key = 0")
        for row in missing:
            turns = turns_from(json.loads(row["messages"]))
            key = Example("", "", 1, "draft", turns, row["answer"]).key()
            self._db.execute("UPDATE contents SET key = ? WHERE id = ?", [key, row["id"]])

    def stamp(self, project_id: str) -> str:
        """Changes with every row of the project that is added or changed; cheap to ask."""
        row = self._db.row(
            "SELECT count(*) AS n, max(created_at) AS at, max(action_id) AS action FROM row_versions"
            " WHERE project_id = ?",
            [project_id],
        )
        return f"{row['n']} {row['at']} {row['action']}" if row else ""

    def trained_on(self, run_id: str) -> list[Example]:
        """The exact versions a run trained on, in its order."""
        rows = self._db.rows(
            f"SELECT {EXAMPLE_COLUMNS} FROM run_examples r JOIN row_versions v ON v.id = r.example_id"
            " AND v.version = r.version JOIN contents c ON c.id = v.content_id WHERE r.run_id = ? ORDER BY v.n",
            [run_id],
        )
        return [example_of(row) for row in rows]

    def count_new(self, project_id: str) -> int:
        """Approved training rows whose text the latest finished run did not train on."""
        return self._db.number(
            "SELECT count(*) FROM row_versions v WHERE v.is_current AND v.project_id = ? AND v.status = 'approved'"
            " AND v.split = 'train' AND NOT v.aside AND NOT EXISTS (SELECT 1 FROM run_examples r"
            " JOIN row_versions t ON t.id = r.example_id AND t.version = r.version"
            " WHERE t.n = v.n AND t.content_id = v.content_id AND t.learn_answer = v.learn_answer AND r.run_id ="
            " (SELECT max(id) FROM runs WHERE project_id = ? AND status = 'finished'))",
            [project_id, project_id],
        )


_TAKEN_BACK = (
    "SELECT n FROM row_versions WHERE is_current AND project_id = ? AND status = 'deleted'"
    " EXCEPT SELECT d.n FROM row_versions d JOIN actions a ON a.id = d.action_id AND a.kind = 'deleted'"
    " WHERE d.project_id = ?"
)
"""Rows that are in the bin because their adding was undone, not because somebody put them there."""


def _filter(status: str | None, split: str | None, text: str) -> RowFilter:
    # Filters by name come from callers in Python; the values are checked by nobody but the query.
    statuses: Any = (status,) if status else ()
    return RowFilter(text=text, statuses=statuses, splits=(split,) if split else ())


def _by_count(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
