"""Training runs and the versions of rows they trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from studio.records import Example, Run
from studio.store.database import Database, Row, as_stored, as_utc


def _run(row: Row) -> Run:
    return Run(
        **{
            **row,
            "recipe": json.loads(row["recipe"]),
            "result": json.loads(row["result"]),
            "created_at": as_utc(row["created_at"]),
            "finished_at": as_utc(row["finished_at"]) if row["finished_at"] else None,
        }
    )


class Runs:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, run: Run, examples: Sequence[Example]) -> None:
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO runs (id, project_id, number, snapshot, rows, recipe, status, adapter_id, error, seconds,"
                " result, created_at, finished_at, snapshot_name)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, NULL, '', NULL, '{}', ?, NULL, ?)",
                [
                    run.id,
                    run.project_id,
                    run.number,
                    run.snapshot,
                    run.rows,
                    json.dumps(dict(run.recipe)),
                    run.status,
                    as_stored(run.created_at),
                    run.snapshot_name,
                ],
            )
            self._db.execute_many(
                "INSERT INTO run_examples VALUES (?, ?, ?)", [[run.id, e.id, e.version] for e in examples]
            )

    def finish(self, run: Run, at: datetime) -> None:
        """Write how a run ended."""
        self._db.execute(
            "UPDATE runs SET status = ?, adapter_id = ?, error = ?, seconds = ?, result = ?, finished_at = ?"
            " WHERE id = ?",
            [
                run.status,
                run.adapter_id,
                run.error,
                run.seconds,
                json.dumps(dict(run.result), ensure_ascii=False),
                as_stored(at),
                run.id,
            ],
        )

    def get(self, run_id: str) -> Run | None:
        row = self._db.row("SELECT * FROM runs WHERE id = ?", [run_id])
        return _run(row) if row else None

    def find(self, project_id: str | None = None, status: str | None = None, limit: int = 1000) -> list[Run]:
        """Runs, newest first."""
        rows = self._db.rows(
            "SELECT * FROM runs WHERE (? IS NULL OR project_id = ?) AND (? IS NULL OR status = ?)"
            " ORDER BY id DESC LIMIT ?",
            [project_id, project_id, status, status, limit],
        )
        return [_run(row) for row in rows]

    def next_number(self, project_id: str) -> int:
        row = self._db.row("SELECT coalesce(max(number), 0) + 1 AS n FROM runs WHERE project_id = ?", [project_id])
        return int(row["n"]) if row else 1
