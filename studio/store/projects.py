"""Projects."""

from __future__ import annotations

import json
from dataclasses import asdict

from studio.records import Project, Shot
from studio.rows import Rule, Shares
from studio.store.database import Database, Row, as_stored, as_utc


def _project(row: Row) -> Project:
    shares = json.loads(row["shares"])
    parsed = {
        "shots": tuple(Shot(**shot) for shot in json.loads(row["shots"])),
        "rules": tuple(Rule(**rule) for rule in json.loads(row["rules"])),
        "shares": Shares(**shares) if shares else None,
        "created_at": as_utc(row["created_at"]),
    }
    return Project(**{**row, **parsed})


_CHANGING = "name, system_prompt, guidelines, format, language, shots, rules, shares, goal"


def _values(project: Project) -> list[object]:
    return [
        project.name,
        project.system_prompt,
        project.guidelines,
        project.format,
        project.language,
        json.dumps([asdict(shot) for shot in project.shots], ensure_ascii=False),
        json.dumps([asdict(rule) for rule in project.rules], ensure_ascii=False),
        json.dumps(asdict(project.shares) if project.shares else {}),
        project.goal,
    ]


class Projects:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, project: Project) -> None:
        self._write(
            f"INSERT INTO projects ({_CHANGING}, id, created_at) VALUES ({', '.join('?' * 11)})",
            [*_values(project), project.id, as_stored(project.created_at)],
            project,
        )

    def update(self, project: Project) -> None:
        self._write(
            f"UPDATE projects SET {_CHANGING.replace(',', ' = ?,')} = ? WHERE id = ?",
            [*_values(project), project.id],
            project,
        )

    def _write(self, sql: str, values: list[object], project: Project) -> None:
        with self._db.transaction():
            self._db.execute(sql, values)
            self._db.changed(project.id)

    def get(self, project_id: str) -> Project | None:
        def read() -> Project | None:
            row = self._db.row("SELECT * FROM projects WHERE id = ?", [project_id])
            return _project(row) if row else None

        return self._db.known(project_id, read)

    def by_name(self, name: str) -> Project | None:
        row = self._db.row("SELECT * FROM projects WHERE name = ? ORDER BY id LIMIT 1", [name])
        return _project(row) if row else None

    def all(self) -> list[Project]:
        return [_project(row) for row in self._db.rows("SELECT * FROM projects ORDER BY id")]

    def last_used(self) -> Project | None:
        """The project someone chatted in, saved a row of or trained most recently."""
        row = self._db.row(
            "SELECT p.* FROM projects p LEFT JOIN (SELECT project_id, max(id[3:]) AS at FROM ("
            " SELECT project_id, id FROM conversations UNION ALL SELECT project_id, id FROM row_versions"
            " UNION ALL SELECT project_id, id FROM runs) GROUP BY project_id) used ON used.project_id = p.id"
            " ORDER BY coalesce(used.at, p.id[3:]) DESC LIMIT 1"
        )
        return _project(row) if row else None
