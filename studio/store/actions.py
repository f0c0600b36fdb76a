"""What somebody did, in order: each action names its author, and the versions it made carry its id."""

from __future__ import annotations

from collections.abc import Sequence

from studio.rows import Action, ActionKind
from studio.store.database import Database, Row, as_stored, as_utc


def _action(row: Row) -> Action:
    return Action(**{**row, "created_at": as_utc(row["created_at"])})


class Actions:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, action: Action) -> None:
        self._db.execute(
            "INSERT INTO actions (id, project_id, kind, rows, author, detail, undoes, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                action.id,
                action.project_id,
                action.kind,
                action.rows,
                action.author,
                action.detail,
                action.undoes,
                as_stored(action.created_at),
            ],
        )

    def extend(self, action_id: str, rows: int) -> None:
        """Say that an action did so many rows more."""
        self._db.execute("UPDATE actions SET rows = rows + ? WHERE id = ?", [rows, action_id])

    def get(self, action_id: str) -> Action | None:
        row = self._db.row("SELECT * FROM actions WHERE id = ?", [action_id])
        return _action(row) if row else None

    def get_many(self, action_ids: Sequence[str]) -> dict[str, Action]:
        rows = self._db.rows("SELECT * FROM actions WHERE id IN (SELECT unnest(?::VARCHAR[]))", [list(action_ids)])
        return {row["id"]: _action(row) for row in rows}

    def of_project(self, project_id: str, limit: int = 50, offset: int = 0) -> list[Action]:
        """Newest first."""
        rows = self._db.rows(
            "SELECT * FROM actions WHERE project_id = ? ORDER BY id DESC LIMIT ? OFFSET ?", [project_id, limit, offset]
        )
        return [_action(row) for row in rows]

    def count(self, project_id: str, kind: ActionKind) -> int:
        return self._db.number("SELECT count(*) FROM actions WHERE project_id = ? AND kind = ?", [project_id, kind])

    def undoable(self, project_id: str) -> Action | None:
        """The newest action that is no undo itself and was not taken back yet."""
        row = self._db.row(
            "SELECT * FROM actions WHERE project_id = ? AND kind != 'undone' AND id NOT IN"
            " (SELECT undoes FROM actions WHERE undoes IS NOT NULL) ORDER BY id DESC LIMIT 1",
            [project_id],
        )
        return _action(row) if row else None

    def undone_by(self, action_id: str) -> Action | None:
        row = self._db.row("SELECT * FROM actions WHERE undoes = ? ORDER BY id DESC LIMIT 1", [action_id])
        return _action(row) if row else None
