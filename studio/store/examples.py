"""Examples: every version is kept, the highest one counts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from studio.records import Example, turns_from
from studio.store.database import Database, Row, as_stored, as_utc

_COLUMNS = (
    "id, version, project_id, status, messages, answer, rejected, split, source, message_id, extra, author, created_at"
)
_CURRENT = f"""SELECT {_COLUMNS} FROM example_versions
    WHERE project_id = ? QUALIFY row_number() OVER (PARTITION BY id ORDER BY version DESC) = 1"""


def _example(row: Row) -> Example:
    return Example(
        **{
            **row,
            "messages": turns_from(json.loads(row["messages"])),
            "extra": json.loads(row["extra"]),
            "created_at": as_utc(row["created_at"]),
        }
    )


def _values(example: Example) -> list[object]:
    return [
        example.id,
        example.version,
        example.project_id,
        example.status,
        json.dumps([turn.as_dict() for turn in example.messages], ensure_ascii=False),
        example.answer,
        example.rejected,
        example.split,
        example.source,
        example.message_id,
        json.dumps(dict(example.extra), ensure_ascii=False),
        example.author,
        as_stored(example.created_at),
    ]


class Examples:
    def __init__(self, database: Database) -> None:
        self._db = database

    def append(self, examples: Sequence[Example]) -> None:
        """Add versions; all of them or none."""
        self._db.execute_many(
            f"INSERT INTO example_versions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_values(example) for example in examples],
        )

    def get(self, example_id: str) -> Example | None:
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM example_versions WHERE id = ? ORDER BY version DESC LIMIT 1", [example_id]
        )
        return _example(row) if row else None

    def versions(self, example_id: str) -> list[Example]:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM example_versions WHERE id = ? ORDER BY version", [example_id])
        return [_example(row) for row in rows]

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
        """Current rows of a project that fit every filter given."""
        # The newest first, with the test rows after all others: they are looked at least.
        order = "split = 'test', id DESC" if newest_first else "id"
        where, parameters = _filters(project_id, status, split, text)
        rows = self._db.rows(
            f"SELECT * FROM ({_CURRENT}) {where} ORDER BY {order} LIMIT ? OFFSET ?", [*parameters, limit, offset]
        )
        return [_example(row) for row in rows]

    def count(self, project_id: str, *, status: str | None = None, split: str | None = None, text: str = "") -> int:
        where, parameters = _filters(project_id, status, split, text)
        row = self._db.row(f"SELECT count(*) AS n FROM ({_CURRENT}) {where}", parameters)
        return int(row["n"]) if row else 0

    def stamp(self, project_id: str) -> str:
        """Changes with every row of the project that is added or changed; cheap to ask."""
        row = self._db.row(
            "SELECT count(*) AS n, max(created_at) AS at FROM example_versions WHERE project_id = ?", [project_id]
        )
        return f"{row['n']} {row['at']}" if row else ""

    def trained_on(self, run_id: str) -> list[Example]:
        """The exact versions a run trained on, in its order."""
        rows = self._db.rows(
            f"SELECT {', '.join('e.' + c.strip() for c in _COLUMNS.split(','))} FROM run_examples r"
            " JOIN example_versions e ON e.id = r.example_id AND e.version = r.version"
            " WHERE r.run_id = ? ORDER BY e.id",
            [run_id],
        )
        return [_example(row) for row in rows]

    def count_new(self, project_id: str) -> int:
        """Approved training rows that the latest finished run did not train on at their present version."""
        row = self._db.row(
            f"SELECT count(*) AS n FROM ({_CURRENT}) e WHERE status = 'approved' AND split = 'train' AND NOT EXISTS ("
            " SELECT 1 FROM run_examples r WHERE r.example_id = e.id AND r.version = e.version AND r.run_id ="
            " (SELECT max(id) FROM runs WHERE project_id = ? AND status = 'finished'))",
            [project_id, project_id],
        )
        return int(row["n"]) if row else 0


def _filters(project_id: str, status: str | None, split: str | None, text: str) -> tuple[str, list[object]]:
    clauses, parameters = ["true"], [project_id]
    if status:
        clauses.append("status = ?")
        parameters.append(status)
    if split:
        clauses.append("split = ?")
        parameters.append(split)
    if text:
        clauses.append(
            "(contains(lower(array_to_string(json_extract_string(messages, '$[*].content'), ' ')), lower(?))"
            " OR contains(lower(answer), lower(?)))"
        )
        parameters += [text, text]
    return "WHERE " + " AND ".join(clauses), list(parameters)
