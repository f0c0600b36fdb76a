"""Changes of many rows at once, and going back: new versions are made in the database, and no text is written again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from studio.rows import RowFilter
from studio.store.database import Database, as_stored
from studio.store.filtering import where_of
from studio.store.search import SearchIndex
from studio.store.stored import STATE, number_of


class Revisions:
    """Each change appends versions with other thoughts of the same texts, or of those of an earlier version."""

    def __init__(self, database: Database, index: SearchIndex) -> None:
        self._db = database
        self._index = index

    def revise(
        self, project_id: str, rows: RowFilter, changes: Mapping[str, Any], action_id: str, author: str, at: datetime
    ) -> int:
        """Append a version with `changes` (column → value) to every current row that fits and differs; returns how
        many did. The texts are not copied."""
        where, parameters = where_of(self._index, project_id, rows)
        differs = " OR ".join(f"v.{column} IS DISTINCT FROM ?" for column in changes)
        condition = f"{where} AND ({differs})"
        return self._supersede(
            f"SELECT v.n, v.version FROM row_versions v {condition}",
            [*parameters, *changes.values()],
            {column: ("?", [value]) for column, value in changes.items()},
            action_id,
            author,
            at,
        )

    def retag(
        self,
        project_id: str,
        rows: RowFilter,
        add: Sequence[str],
        remove: Sequence[str],
        action_id: str,
        author: str,
        at: datetime,
    ) -> int:
        """Add and remove tags on every current row that fits; returns how many changed."""
        where, parameters = where_of(self._index, project_id, rows)
        tags = (
            "to_json(list_sort(list_distinct(list_concat(list_filter(from_json(v.tags, '[\"VARCHAR\"]'),"
            " lambda t: NOT list_contains(?::VARCHAR[], t)), ?::VARCHAR[]))))::VARCHAR"
        )
        values = [list(remove), list(add)]
        return self._supersede(
            f"SELECT v.n, v.version FROM row_versions v {where} AND {tags} != v.tags",
            [*parameters, *values],
            {"tags": (tags, values)},
            action_id,
            author,
            at,
        )

    def _supersede(
        self,
        touched: str,
        parameters: Sequence[Any],
        changes: Mapping[str, tuple[str, Sequence[Any]]],
        action_id: str,
        author: str,
        at: datetime,
    ) -> int:
        """One new version of every row that the query `touched` names (n, version), with some columns changed."""
        with self._db.transaction():
            self._db.execute(f"CREATE OR REPLACE TEMP TABLE touched AS {touched}", parameters)
            count = self._db.number("SELECT count(*) FROM touched")
            if not count:
                return 0
            new = {"version": ("v.version + 1", ()), **changes}
            new |= {"action_id": ("?", [action_id]), "author": ("?", [author]), "created_at": ("?", [as_stored(at)])}
            columns = [name.strip() for name in STATE.split(",")]
            selected = ", ".join(new[name][0] if name in new else f"v.{name}" for name in columns)
            values = [value for name in columns if name in new for value in new[name][1]]
            self._db.execute(
                f"INSERT INTO row_versions ({STATE}, is_current) SELECT {selected}, false"
                " FROM row_versions v JOIN touched t ON t.n = v.n AND t.version = v.version",
                values,
            )
            self._make_current()
        return count

    def revert(
        self, project_id: str, action: str, undone_by: str, author: str, at: datetime, *, sides: bool = False
    ) -> tuple[int, int]:
        """Give every row that `action` changed, and that nothing changed since, its state before; a row that was made
        by it is put in the bin. With `sides`, the side of the split too. Returns (rows taken back, rows left alone
        because they were changed later)."""
        made = self._db.number(
            "SELECT count(*) FROM row_versions WHERE project_id = ? AND action_id = ?", [project_id, action]
        )
        selected = (
            "SELECT v.n, v.version FROM row_versions v WHERE v.project_id = ? AND v.action_id = ? AND v.is_current"
        )
        with self._db.transaction():
            restored = self._bring_back(
                f"SELECT n, version, greatest(version - 1, 1) AS wanted, version = 1 AS was_made FROM ({selected})",
                [project_id, action],
                undone_by,
                author,
                at,
                sides=sides,
            )
        return restored, made - restored

    def restore(self, example_id: str, version: int, action_id: str, author: str, at: datetime) -> int:
        """Append a version equal to an earlier one."""
        return self._bring_back(
            "SELECT n, version, ?::INTEGER AS wanted, false AS was_made FROM row_versions"
            " WHERE n = ? AND id = ? AND is_current",
            [version, number_of(example_id), example_id],
            action_id,
            author,
            at,
        )

    def restore_all(self, project_id: str, moment_action: str, action_id: str, author: str, at: datetime) -> int:
        """Give every row of a project the state it had right after an action; later rows go to the bin."""
        wanted = (
            "SELECT n, max(version) FILTER (WHERE action_id <= ?) AS wanted, max(version) AS version"
            " FROM row_versions WHERE project_id = ? GROUP BY n"
        )
        return self._bring_back(
            "SELECT n, version, coalesce(wanted, 1) AS wanted, wanted IS NULL AS was_made"
            f" FROM ({wanted}) WHERE wanted IS DISTINCT FROM version",
            [moment_action, project_id],
            action_id,
            author,
            at,
        )

    def _bring_back(
        self,
        touched: str,
        parameters: Sequence[Any],
        action_id: str,
        author: str,
        at: datetime,
        *,
        sides: bool = False,
    ) -> int:
        """Append to each row named by `touched` (n, version, wanted, was_made) the state of its version `wanted`."""
        with self._db.transaction():
            self._db.execute(f"CREATE OR REPLACE TEMP TABLE touched AS {touched}", parameters)
            count = self._db.number("SELECT count(*) FROM touched")
            columns = [name.strip() for name in STATE.split(",")]
            new = {
                "version": "t.version + 1",
                "status": "CASE WHEN t.was_made THEN 'deleted' ELSE v.status END",
                "action_id": "?",
                "author": "?",
                "created_at": "?",
            }
            if not sides:
                # The side of the split is no matter of opinion: going back to an earlier text doesn't change it.
                new |= {"split": "u.split", "aside": "u.aside", "group_key": "u.group_key", "pinned": "u.pinned"}
            selected = ", ".join(new.get(name, f"v.{name}") for name in columns)
            by_column = {"action_id": action_id, "author": author, "created_at": as_stored(at)}
            self._db.execute(
                f"INSERT INTO row_versions ({STATE}, is_current) SELECT {selected}, false FROM row_versions v"
                " JOIN touched t ON t.n = v.n AND t.wanted = v.version"
                " JOIN row_versions u ON u.n = t.n AND u.version = t.version",
                [by_column[name] for name in columns if name in by_column],
            )
            self._make_current()
        return count

    def _make_current(self) -> None:
        """The versions that were appended to the rows in `touched` are those that count."""
        self._db.execute(
            "UPDATE row_versions SET is_current = (row_versions.version = touched.version + 1) FROM touched"
            " WHERE row_versions.n = touched.n AND row_versions.version >= touched.version"
        )
        self._db.execute("DROP TABLE touched")
