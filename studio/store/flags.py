"""What scans found in the rows, and which findings an expert has dismissed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from studio.records import now
from studio.rows import Flag
from studio.store.database import Add, Database, Row, as_stored
from studio.store.stored import number_of


def _flag(row: Row) -> Flag:
    span = (row["span_from"], row["span_to"]) if row["span_from"] is not None else None
    return Flag(row["example_id"], row["kind"], row["reason"], row["other_id"], span, row["field"])


def insert_flags(add: Add, project_id: str, flags: Sequence[Flag], contents: Mapping[str, int]) -> None:
    """Insert flags of rows by the contents they speak of; those of other rows are left out."""
    rows = [
        {
            "project_id": project_id,
            "example_id": flag.example_id,
            "content_id": contents[flag.example_id],
            "kind": flag.kind,
            "reason": flag.reason,
            "other_id": flag.other_id,
            "field": flag.field,
            "span_from": flag.span[0] if flag.span else None,
            "span_to": flag.span[1] if flag.span else None,
            "key": flag.key,
        }
        for flag in flags
        if flag.example_id in contents
    ]
    if rows:
        import pyarrow as pa

        types = {"other_id": pa.string(), "span_from": pa.int32(), "span_to": pa.int32()}
        batch = pa.table({name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]})
        add("flags", batch)


class Flags:
    def __init__(self, database: Database) -> None:
        self._db = database

    def replace(
        self, project_id: str, flags: Sequence[Flag], *, kinds: Collection[str], example_ids: Sequence[str] | None
    ) -> None:
        """Write what a scan for `kinds` found, in place of what earlier ones did; of all rows, or of some."""
        with self._db.transaction():
            among = " AND example_id IN (SELECT unnest(?::VARCHAR[]))" if example_ids is not None else ""
            self._db.execute(
                f"DELETE FROM flags WHERE project_id = ? AND kind IN (SELECT unnest(?::VARCHAR[])){among}",
                [project_id, sorted(kinds), *([list(example_ids)] if example_ids is not None else [])],
            )
            contents = self._content_ids([flag.example_id for flag in flags])
            insert_flags(self._db.add, project_id, flags, contents)

    def renew(
        self, project_id: str, own: Sequence[Flag], kinds: Collection[str], pairs: Sequence[Flag], ids: Sequence[str]
    ) -> list[Flag]:
        """Write what was found in rows that were just saved; nothing is written where that is known.

        Args:
            own: what the rows `ids` show by themselves, of `kinds`, in place of what they showed before.
            pairs: what they or others show beside each other; what a scan found stays.

        Returns:
            those of `pairs` that are new.
        """
        touched = list({*ids, *(flag.example_id for flag in pairs)})
        rows = self._db.rows(
            "SELECT f.* FROM flags f JOIN row_versions v ON v.content_id = f.content_id AND v.is_current"
            " WHERE f.project_id = ? AND f.example_id IN (SELECT unnest(?::VARCHAR[]))",
            [project_id, touched],
        )
        known = [_flag(row) for row in rows]
        among = set(ids)
        before = {flag for flag in known if flag.kind in kinds and flag.example_id in among}
        keys = {flag.key for flag in known}
        new = [flag for flag in pairs if flag.key not in keys]
        if before == set(own) and not new:
            return []
        with self._db.transaction():
            if before != set(own):
                self.replace(project_id, own, kinds=kinds, example_ids=ids)
            insert_flags(self._db.add, project_id, new, self._content_ids([flag.example_id for flag in new]))
        dismissed = {row["key"] for row in self._db.rows("SELECT key FROM dismissed_flags")}
        return [flag for flag in new if flag.key not in dismissed]

    def _content_ids(self, example_ids: Sequence[str]) -> dict[str, int]:
        rows = self._db.rows(
            "SELECT id, content_id FROM row_versions WHERE is_current AND n IN (SELECT unnest(?::BIGINT[]))",
            [[number_of(id_) for id_ in set(example_ids)]],
        )
        return {row["id"]: row["content_id"] for row in rows}

    def of(self, project_id: str, example_ids: Sequence[str]) -> dict[str, list[Flag]]:
        """Open flags by row: not dismissed, and found in the text the row has now."""
        rows = self._db.rows(
            "SELECT f.* FROM flags f JOIN row_versions v ON v.content_id = f.content_id AND v.is_current"
            " WHERE f.project_id = ? AND f.example_id IN (SELECT unnest(?::VARCHAR[]))"
            " AND f.key NOT IN (SELECT key FROM dismissed_flags) ORDER BY f.kind, f.key",
            [project_id, list(example_ids)],
        )
        found: dict[str, list[Flag]] = {}
        for row in rows:
            found.setdefault(row["example_id"], []).append(_flag(row))
        return found

    def counts(self, project_id: str) -> dict[str, int]:
        """Rows with an open flag, by its kind."""
        rows = self._db.rows(
            "SELECT f.kind, count(DISTINCT f.example_id) AS rows FROM flags f"
            " JOIN row_versions v ON v.content_id = f.content_id AND v.is_current AND v.status != 'deleted'"
            " WHERE f.project_id = ? AND f.key NOT IN (SELECT key FROM dismissed_flags) GROUP BY f.kind",
            [project_id],
        )
        return {row["kind"]: row["rows"] for row in sorted(rows, key=lambda row: -row["rows"])}

    def dismiss(self, key: str, author: str, action_id: str = "") -> None:
        """Close a flag; as part of an action, if it is open again when that is taken back."""
        self._db.execute(
            "INSERT INTO dismissed_flags (key, author, created_at, action_id) VALUES (?, ?, ?, ?)",
            [key, author, as_stored(now()), action_id],
        )

    def reopen_of(self, action_id: str) -> None:
        """Open again what an action closed."""
        self._db.execute("DELETE FROM dismissed_flags WHERE action_id = ?", [action_id])

    def reopen(self, key: str) -> None:
        self._db.execute("DELETE FROM dismissed_flags WHERE key = ?", [key])
