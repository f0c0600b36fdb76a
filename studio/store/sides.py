"""Which side of the split each row stands on, and the sketches by which near-duplicates are found again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.records import Split, Status, Turn, turns_from
from studio.rows import Shares
from studio.store.database import Database, Row, as_stored
from studio.store.examples import FEW
from studio.store.stored import BATCH, STATE_COLUMNS, number_of

_PLACE = "n, id, version, content_id, status, split, aside, pinned, group_key, source, parent_id"
_V_PLACE = ", ".join(f"v.{name}" for name in _PLACE.split(", "))


@dataclass(slots=True)
class Place:
    """Where a row stands: its current version, without its text."""

    n: int
    id: str
    version: int
    content_id: int
    status: Status
    split: Split
    aside: bool
    pinned: bool
    group_key: str
    source: str
    parent_id: str | None


@dataclass(frozen=True)
class Change:
    """What an action did to a row, as far as it matters for the split."""

    place: Place
    is_new: bool
    is_back: bool
    """It was in the bin before."""
    is_reworded: bool
    is_moved: bool
    """The action itself changed the side."""


def _place(row: Row) -> Place:
    return Place(**row)


class Sides:
    def __init__(self, database: Database) -> None:
        self._db = database

    # Rows

    def changes(self, project_id: str, action_id: str, example_ids: Sequence[str] = ()) -> list[Change]:
        """What an action did, or did to these rows, oldest first."""
        numbers = [number_of(id_) for id_ in example_ids]
        few = len(numbers) <= FEW
        among: list[Any] = numbers if few else [numbers]
        places = ", ".join("?" * len(among)) if few else "SELECT unnest(?::BIGINT[])"
        v_in, u_in = (f" AND v.n IN ({places})", f" AND n IN ({places})") if among else ("", "")
        rows = self._db.rows(
            f"SELECT {_V_PLACE}, u.status AS was_status, u.content_id AS was_content, u.split AS was_split"
            f" FROM row_versions v LEFT JOIN (SELECT * FROM row_versions WHERE project_id = ?{u_in}) u"
            " ON u.n = v.n AND u.version = v.version - 1"
            f" WHERE v.project_id = ? AND v.action_id = ? AND v.is_current{v_in} ORDER BY v.n",
            [project_id, *among, project_id, action_id, *among],
        )
        return [_change(row) for row in rows]

    def of_contents(self, project_id: str, content_ids: Sequence[int]) -> list[Place]:
        """The rows whose text is among these now; not those in the bin."""
        if not content_ids:
            return []
        few = len(content_ids) <= FEW
        among = ", ".join("?" * len(content_ids)) if few else "SELECT unnest(?::BIGINT[])"
        rows = self._db.rows(
            f"SELECT {_PLACE} FROM row_versions WHERE is_current AND project_id = ? AND status != 'deleted'"
            f" AND content_id IN ({among})",
            [project_id, *(content_ids if few else [list(content_ids)])],
        )
        return [_place(row) for row in rows]

    def contents(self, project_id: str, most: int) -> list[int] | None:
        """The contents of every row that is not in the bin; None if there are more than `most`."""
        with self._db.reading() as read:
            found = read.columns(
                "SELECT content_id FROM row_versions WHERE is_current AND project_id = ? AND status != 'deleted'"
                " LIMIT ?",
                [project_id, most + 1],
            )
        return found["content_id"].tolist() if len(found["content_id"]) <= most else None

    def of_ids(self, project_id: str, example_ids: Sequence[str]) -> list[Place]:
        """Rows by id, also those in the bin."""
        if not example_ids:
            return []
        rows = self._db.rows(
            f"SELECT {_PLACE} FROM row_versions WHERE is_current AND project_id = ?"
            " AND n IN (SELECT unnest(?::BIGINT[])) ORDER BY n",
            [project_id, [number_of(id_) for id_ in example_ids]],
        )
        return [_place(row) for row in rows]

    def made_from(self, project_id: str, example_ids: Sequence[str]) -> list[Place]:
        """The rows that were made from one of these, also those in the bin, oldest first."""
        rows = self._db.rows(
            f"SELECT {_PLACE} FROM row_versions WHERE is_current AND project_id = ?"
            " AND parent_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY n",
            [project_id, list(example_ids)],
        )
        return [_place(row) for row in rows]

    def of_group_of(self, project_id: str, example_id: str) -> list[Place]:
        """The other rows of a row's conversation or source that stand together with it; not those in the bin."""
        # Single questions of one conversation are dealt one by one.
        rows = self._db.rows(
            f"SELECT {_V_PLACE} FROM row_versions v JOIN contents c ON c.id = v.content_id"
            " JOIN (SELECT v.n, v.group_key, v.source, json_array_length(c.messages) AS turns FROM row_versions v"
            " JOIN contents c ON c.id = v.content_id WHERE v.is_current AND v.n = ? AND v.id = ?) r"
            " ON r.group_key = v.group_key AND r.n != v.n WHERE v.is_current AND v.project_id = ?"
            " AND v.group_key != '' AND v.status != 'deleted' AND (v.source != 'chat' OR r.source != 'chat'"
            " OR json_array_length(c.messages) > 1 OR r.turns > 1) ORDER BY v.n",
            [number_of(example_id), example_id, project_id],
        )
        return [_place(row) for row in rows]

    def all(self, project_id: str) -> list[Place]:
        """Every row, oldest first, also those in the bin."""
        rows = self._db.rows(
            f"SELECT {_PLACE} FROM row_versions WHERE is_current AND project_id = ? ORDER BY n", [project_id]
        )
        return [_place(row) for row in rows]

    def differing(self, project_id: str, before: Any) -> list[Place]:
        """The rows that are not as `as_table` kept them, also new ones; oldest first. Inside a transaction."""
        self._load(before)
        rows = self._db.rows(
            f"SELECT {_V_PLACE} FROM row_versions v LEFT JOIN sided t ON t.n = v.n WHERE v.is_current"
            " AND v.project_id = ? AND (t.n IS NULL OR t.version != v.version OR t.aside != v.aside"
            " OR t.split != v.split OR t.pinned != v.pinned) ORDER BY v.n",
            [project_id],
        )
        self._db.execute("DROP TABLE sided")
        return [_place(row) for row in rows]

    def counts(self, project_id: str) -> dict[str, int]:
        """Rows by side, those in the bin left out; `aside` for those kept out of all."""
        rows = self._db.rows(
            "SELECT CASE WHEN aside THEN 'aside' ELSE split END AS side, count(*) AS rows FROM row_versions"
            " WHERE is_current AND project_id = ? AND status != 'deleted' GROUP BY ALL",
            [project_id],
        )
        return {row["side"]: row["rows"] for row in rows}

    def firsts_of_groups(
        self, project_id: str, groups: Sequence[str], action_id: str, *, several_turns: bool
    ) -> dict[str, Place]:
        """By group, its oldest row that this action didn't add, also one in the bin; with `several_turns`, its oldest
        with more than one turn before the answer."""
        if not groups:
            return {}
        join = " JOIN contents c ON c.id = v.content_id AND json_array_length(c.messages) > 1" if several_turns else ""
        rows = self._db.rows(
            f"SELECT DISTINCT ON (v.group_key) {_V_PLACE} FROM row_versions v{join}"
            " WHERE v.is_current AND v.project_id = ? AND v.group_key IN (SELECT unnest(?::VARCHAR[]))"
            " AND NOT (v.version = 1 AND v.action_id = ?) ORDER BY v.group_key, v.n",
            [project_id, list(groups), action_id],
        )
        return {row["group_key"]: _place(row) for row in rows}

    def texts(self, content_ids: Sequence[int]) -> Iterator[tuple[int, tuple[Turn, ...], str]]:
        """(content id, turns, answer), in no order."""
        for start in range(0, len(content_ids), BATCH):
            some = list(content_ids[start : start + BATCH])
            few = len(some) <= FEW
            among = ", ".join("?" * len(some)) if few else "SELECT unnest(?::BIGINT[])"
            rows = self._db.rows(
                f"SELECT id, messages, answer FROM contents WHERE id IN ({among})", some if few else [some]
            )
            yield from ((row["id"], turns_from(json.loads(row["messages"])), row["answer"]) for row in rows)

    def set_in_place(self, places: Sequence[Place]) -> None:
        """Write the side of current versions without a new one: right after they were made, and for `aside`, which
        follows from the other rows and is nobody's doing."""
        if len(places) <= FEW:
            for place in places:
                self._db.execute(
                    "UPDATE row_versions SET split = ?, aside = ?, pinned = ? WHERE n = ? AND is_current AND id = ?",
                    [place.split, place.aside, place.pinned, place.n, place.id],
                )
            return
        self._load(self.as_table(places))
        self._db.execute(
            "UPDATE row_versions SET split = t.split, aside = t.aside, pinned = t.pinned FROM sided t"
            " WHERE row_versions.n = t.n AND row_versions.is_current"
        )
        self._db.execute("DROP TABLE sided")

    def move(self, places: Sequence[Place], action_id: str, author: str, at: datetime) -> None:
        """Append a version on its new side to each of these rows."""
        if not places:
            return
        self._load(self.as_table(places))
        new = {"version": "v.version + 1", "split": "t.split", "aside": "t.aside", "pinned": "t.pinned"}
        new |= {"action_id": "?", "author": "?", "created_at": "?"}
        values = {"action_id": action_id, "author": author, "created_at": as_stored(at)}
        selected = ", ".join(new.get(name, f"v.{name}") for name in STATE_COLUMNS)
        self._db.execute(
            f"INSERT INTO row_versions ({', '.join(STATE_COLUMNS)}, is_current) SELECT {selected}, false"
            " FROM row_versions v JOIN sided t ON t.n = v.n WHERE v.is_current",
            [values[name] for name in STATE_COLUMNS if name in values],
        )
        self._db.execute(
            "UPDATE row_versions SET is_current = (row_versions.version = t.version + 1) FROM sided t"
            " WHERE row_versions.n = t.n AND row_versions.version >= t.version"
        )
        self._db.execute("DROP TABLE sided")

    def as_table(self, places: Sequence[Place]) -> Any:
        """Where rows stand, as an Arrow table."""
        import pyarrow as pa

        types = {
            "n": pa.int64(),
            "version": pa.int32(),
            "split": pa.string(),
            "aside": pa.bool_(),
            "pinned": pa.bool_(),
        }
        return pa.table({n: pa.array([getattr(p, n) for p in places], type_) for n, type_ in types.items()})

    def _load(self, table: Any) -> None:
        """The temporary table `sided` with these places; inside a transaction."""
        self._db.insert_arrow("CREATE OR REPLACE TEMP TABLE sided AS SELECT * FROM batch", table)

    # Leaks

    def set_aside_for(self, project_id: str, example_ids: Sequence[str]) -> list[Place]:
        """Rows kept out of every side because of one of these; not those in the bin."""
        if not example_ids:
            return []
        rows = self._db.rows(
            f"SELECT DISTINCT {_V_PLACE} FROM flags f JOIN row_versions v ON v.id = f.example_id AND v.is_current"
            " AND v.aside AND v.status != 'deleted' WHERE f.project_id = ? AND f.kind = 'leak'"
            " AND f.other_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY v.n",
            [project_id, list(example_ids)],
        )
        return [_place(row) for row in rows]

    def trained_on(self, example_ids: Sequence[str]) -> int:
        """How many of these rows an adapter that is still there was trained on."""
        return self._db.number(
            "SELECT count(DISTINCT r.example_id) FROM run_examples r JOIN adapters a ON a.run_id = r.run_id"
            " AND NOT a.is_deleted WHERE r.example_id IN (SELECT unnest(?::VARCHAR[]))",
            [list(example_ids)],
        )

    # Dealings

    def add_deal(self, action_id: str, project_id: str, before: Shares | None, after: Shares | None) -> None:
        self._db.execute(
            "INSERT INTO deals VALUES (?, ?, ?, ?)", [action_id, project_id, _shares_json(before), _shares_json(after)]
        )

    def deal(self, action_id: str) -> tuple[Shares | None, Shares | None] | None:
        """The shares before and after an action, if it dealt the rows."""
        row = self._db.row("SELECT before, after FROM deals WHERE action_id = ?", [action_id])
        return (_shares(row["before"]), _shares(row["after"])) if row else None

    def last_deal(self, project_id: str) -> str | None:
        row = self._db.row("SELECT max(action_id) AS id FROM deals WHERE project_id = ?", [project_id])
        return row["id"] if row else None

    def sides_before(self, project_id: str, action_id: str) -> dict[int, Split]:
        """By row, the side it had before an action that moved it."""
        rows = self._db.rows(
            "SELECT u.n, u.split FROM row_versions v JOIN row_versions u ON u.n = v.n AND u.version = v.version - 1"
            " WHERE v.project_id = ? AND v.action_id = ?",
            [project_id, action_id],
        )
        return {row["n"]: row["split"] for row in rows}

    def made_since(self, project_id: str, action_id: str) -> set[int]:
        """The rows whose first version was made after an action."""
        rows = self._db.rows(
            "SELECT n FROM row_versions WHERE project_id = ? AND version = 1 AND action_id > ?", [project_id, action_id]
        )
        return {row["n"] for row in rows}

    # Sketches

    def add_sketches(self, project_id: str, scheme: str, content_ids: Sequence[int], made: NDArray[np.uint32]) -> None:
        values = [row.astype("<u4").tobytes() for row in made]
        if len(content_ids) <= FEW:
            for content_id, value in zip(content_ids, values, strict=True):
                self._db.execute("INSERT INTO sketches VALUES (?, ?, ?, ?)", [content_id, project_id, scheme, value])
            return
        import pyarrow as pa

        batch = pa.table({"content_id": list(content_ids), "bands": pa.array(values, pa.binary())})
        self._db.add("sketches", batch, {"project_id": project_id, "scheme": scheme})

    def sketches(self, project_id: str, scheme: str, width: int) -> Iterator[tuple[list[int], NDArray[np.uint32]]]:
        """(content ids, sketches (n, width)), in batches."""
        with self._db.reading() as read:
            last = -1
            while True:
                found = read.columns(
                    "SELECT content_id, bands FROM sketches WHERE project_id = ? AND scheme = ? AND content_id > ?"
                    " ORDER BY content_id LIMIT ?",
                    [project_id, scheme, last, 5 * BATCH],
                )
                ids = found["content_id"].tolist()
                if not ids:
                    return
                last = ids[-1]
                yield ids, np.frombuffer(b"".join(found["bands"]), "<u4").reshape(len(ids), width)


def _change(row: Row) -> Change:
    was_status, was_content, was_split = (row.pop(name) for name in ("was_status", "was_content", "was_split"))
    place = _place(row)
    is_new = was_status is None
    return Change(
        place,
        is_new=is_new,
        is_back=was_status == "deleted" and place.status != "deleted",
        is_reworded=not is_new and was_content != place.content_id,
        is_moved=not is_new and was_split != place.split,
    )


def _shares_json(shares: Shares | None) -> str:
    return json.dumps(asdict(shares) if shares else {})


def _shares(text: str) -> Shares | None:
    value = json.loads(text)
    return Shares(**value) if value else None
