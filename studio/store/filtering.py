"""The one filter in SQL: it drives the table, its counts, changes of many rows, snapshots and exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.rows import RowFilter
from studio.store.database import as_stored
from studio.store.search import SearchIndex
from studio.store.stored import as_json, number_of

OPEN_FLAGS = "(SELECT * FROM flags WHERE project_id = ? AND key NOT IN (SELECT key FROM dismissed_flags))"


def where_of(index: SearchIndex, project_id: str, rows: RowFilter, most: int | None = None) -> tuple[str, list[Any]]:
    """What a filter stands for as a `WHERE` on `row_versions v`, and its values.

    Args:
        most: see `Examples.facets`.
    """
    clauses = ["v.is_current", "v.project_id = ?"]
    values: list[Any] = [project_id]

    def any_of(column: str, wanted: Sequence[Any]) -> None:
        clauses.append(f"{column} IN ({', '.join('?' * len(wanted))})")
        values.extend(wanted)

    if rows.statuses:
        any_of("v.status", rows.statuses)
    elif not rows.ids:
        clauses.append("v.status != 'deleted'")
    for tag in rows.tags:
        clauses.append("contains(v.tags, ?)")
        values.append(as_json(tag))
    if rows.authors:
        any_of("v.author", rows.authors)
    if rows.sources:
        any_of("v.source", rows.sources)
    if rows.splits:
        any_of("CASE WHEN v.aside THEN 'aside' ELSE v.split END", rows.splits)
    if rows.least_rating is not None:
        clauses.append("v.rating >= ?")
        values.append(rows.least_rating)
    if rows.since is not None:
        clauses.append("v.created_at >= ?")
        values.append(as_stored(rows.since))
    if rows.until is not None:
        clauses.append("v.created_at < ?")
        values.append(as_stored(rows.until))
    if rows.ids:
        any_of("v.n", [number_of(id_) for id_ in rows.ids])
    if rows.flags:
        kinds = [] if "any" in rows.flags else list(rows.flags)
        among = f" AND f.kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        # A content belongs to one row alone.
        clauses.append(f"v.content_id IN (SELECT f.content_id FROM {OPEN_FLAGS} f WHERE true{among})")
        values += [project_id, *kinds]
    if rows.text.strip():
        found_by, found = index.condition(rows.text, most)
        clauses.append(found_by)
        values += found
    return "WHERE " + " AND ".join(clauses), values
