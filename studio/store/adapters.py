"""Adapters, which of them is live, and what they were seen to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from studio.records import Adapter, BaseIdentity, CheckResult, now
from studio.store.database import Database, Row, as_stored, as_utc


def _adapter(row: Row) -> Adapter:
    return Adapter(
        **{
            **row,
            "base": BaseIdentity.from_dict(json.loads(row["base"])),
            "created_at": as_utc(row["created_at"]),
        }
    )


class Adapters:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, adapter: Adapter) -> None:
        self._db.execute(
            "INSERT INTO adapters (id, project_id, run_id, name, base, sha256, method, created_at, is_deleted)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                adapter.id,
                adapter.project_id,
                adapter.run_id,
                adapter.name,
                json.dumps(adapter.base.as_dict()),
                adapter.sha256,
                adapter.method,
                as_stored(adapter.created_at),
                adapter.is_deleted,
            ],
        )

    def get(self, adapter_id: str) -> Adapter | None:
        row = self._db.row("SELECT * FROM adapters WHERE id = ?", [adapter_id])
        return _adapter(row) if row else None

    def all(self, project_id: str | None = None) -> list[Adapter]:
        """Adapters that were not deleted, oldest first."""
        rows = self._db.rows(
            "SELECT * FROM adapters WHERE (? IS NULL OR project_id = ?) AND NOT is_deleted ORDER BY id",
            [project_id, project_id],
        )
        return [_adapter(row) for row in rows]

    def mark_deleted(self, adapter_id: str) -> None:
        self._db.execute("UPDATE adapters SET is_deleted = true WHERE id = ?", [adapter_id])

    def activate(self, project_id: str, adapter_id: str | None, why: str) -> None:
        self._db.execute(
            "INSERT INTO activations (project_id, adapter_id, why, created_at) VALUES (?, ?, ?, ?)",
            [project_id, adapter_id, why, as_stored(now())],
        )

    def activations(self, project_id: str) -> list[str | None]:
        """Adapter ids in the order they went live, None for the base; the last one is live."""
        rows = self._db.rows("SELECT adapter_id FROM activations WHERE project_id = ? ORDER BY position", [project_id])
        return [row["adapter_id"] for row in rows]

    def save_results(self, adapter_id: str, results: Sequence[CheckResult]) -> None:
        self._db.execute_many(
            "INSERT OR REPLACE INTO check_results (adapter_id, example_id, split, prompt, expected, answer,"
            " base_answer) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [[adapter_id, r.example_id, r.split, r.prompt, r.expected, r.answer, r.base_answer] for r in results],
        )

    def results(self, adapter_id: str) -> list[CheckResult]:
        rows = self._db.rows(
            "SELECT example_id, split, prompt, expected, answer, base_answer FROM check_results"
            " WHERE adapter_id = ? ORDER BY split DESC, example_id",
            [adapter_id],
        )
        return [CheckResult(**row) for row in rows]

    def base_answers(self, keys: Sequence[str]) -> Mapping[str, str]:
        rows = self._db.rows("SELECT key, answer FROM base_answers WHERE list_contains(?, key)", [list(keys)])
        return {row["key"]: row["answer"] for row in rows}

    def save_base_answers(self, answers: Mapping[str, str]) -> None:
        self._db.execute_many("INSERT OR REPLACE INTO base_answers VALUES (?, ?)", list(answers.items()))
