"""Names of frozen sets of rows; the rows themselves are in a file named by its hash."""

from __future__ import annotations

import json

from studio.rows import Snapshot
from studio.store.database import Database, Row, as_stored, as_utc


def _snapshot(row: Row) -> Snapshot:
    return Snapshot(**{**row, "by_split": json.loads(row["by_split"]), "created_at": as_utc(row["created_at"])})


class Snapshots:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, snapshot: Snapshot) -> None:
        self._db.execute(
            "INSERT INTO snapshots (id, project_id, name, sha256, rows, by_split, project_name, language, author,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                snapshot.id,
                snapshot.project_id,
                snapshot.name,
                snapshot.sha256,
                snapshot.rows,
                json.dumps(dict(snapshot.by_split)),
                snapshot.project_name,
                snapshot.language,
                snapshot.author,
                as_stored(snapshot.created_at),
            ],
        )

    def get(self, snapshot_id: str) -> Snapshot | None:
        row = self._db.row("SELECT * FROM snapshots WHERE id = ?", [snapshot_id])
        return _snapshot(row) if row else None

    def of_project(self, project_id: str) -> list[Snapshot]:
        """Newest first."""
        rows = self._db.rows("SELECT * FROM snapshots WHERE project_id = ? ORDER BY id DESC", [project_id])
        return [_snapshot(row) for row in rows]
