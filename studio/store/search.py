"""Full-text search in English and Japanese, in a few milliseconds at a million rows.

DuckDB's own extension is not built in and can't be fetched offline, so the words lie in an SQLite FTS5 index beside
the database. It is derived: it may be deleted at any time and is filled again. What it has not seen yet is searched as
text.

English is found by the beginnings of words, Japanese by any run of characters (its pairs, one after the other). The
index comes in parts of so many rows each, newest first: of a word that is everywhere, the first part is enough.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from studio.store.database import Database

T = TypeVar("T")
log = logging.getLogger(__name__)

AT_ONCE = 5_000
"""Rows that are added to the index before a search; when there are more, a thread adds them meanwhile."""
BATCH = 10_000
PART = 50_000
"""Contents in one part of the index."""
VERSION = 3
"""Of the index file; one of another version is made again."""
_CREATE = (
    "CREATE VIRTUAL TABLE {} USING fts5(text, content='', detail={}, columnsize=0,"
    " tokenize='unicode61 remove_diacritics 0'{})"
)
_SHORT = ", prefix='2 3'"
"""Short beginnings have lists of their own: of a common word beside a rare one only the rare one's rows are visited."""
_JAPANESE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f々〆ー"
_CJK = re.compile(f"[{_JAPANESE}]+")
_WORD = re.compile(r"[^\W_]+")
_TEXT = "concat_ws(' ', array_to_string(json_extract_string(c.messages, '$[*].content'), ' '), c.answer)"


def fold(text: str) -> str:
    """Text as it is compared: NFKC, without letter case."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _bigrams(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _indexed(text: str) -> tuple[str, str]:
    """(text without its runs of Japanese, the runs as pairs); SQLite's tokenizer does the rest."""
    folded = fold(text)
    if folded.isascii():
        return folded, ""
    runs = [run[0] for run in _CJK.finditer(folded)]
    # Single characters too: a search for one is a search for a beginning, and the last one begins no pair. They also
    # keep a run from going on in the next one.
    return _CJK.sub(" ", folded), " ".join(f"{' '.join(_bigrams(run))} {run[-1]}" for run in runs)


def terms(text: str) -> list[str]:
    """What a search looks for: folded words and runs of Japanese; all must occur."""
    found: list[str] = []
    for part in fold(text).split():
        position = 0
        for run in _CJK.finditer(part):
            found += _WORD.findall(part[position : run.start()])
            found.append(run[0])
            position = run.end()
        found += _WORD.findall(part[position:])
    return list(dict.fromkeys(found))


def _match(wanted: Sequence[str]) -> tuple[str, str]:
    """The FTS5 queries of words and of runs: beginnings of words, and the pairs of a run one after the other."""
    words = [f'"{term}"*' for term in wanted if not _CJK.fullmatch(term)]
    runs = [term for term in wanted if _CJK.fullmatch(term)]
    pairs = [f'"{" ".join(_bigrams(run))}"' if len(run) > 1 else f'"{run}"*' for run in runs]
    return " AND ".join(words), " AND ".join(pairs)


def _says(wanted: Sequence[str]) -> tuple[str, list[str]]:
    """The same question asked of the text itself, as a condition on `contents c`."""
    folded = f"lower(nfc_normalize({_TEXT}))"
    clauses, values = [], []
    for term in wanted:
        if _CJK.fullmatch(term):
            clauses.append(f"contains({folded}, ?)")
            values.append(term)
        else:
            clauses.append(f"regexp_matches({folded}, ?)")
            values.append(rf"(^|[^\p{{L}}\p{{N}}]|[{_JAPANESE}]){re.escape(term)}")
    return " AND ".join(clauses), values


class SearchIndex:
    """The index of one database. Safe to use from several threads."""

    def __init__(self, path: Path, database: Database) -> None:
        self._path = path
        self._db = database
        self._lock = threading.Lock()
        self._filling: threading.Thread | None = None
        self._closing = threading.Event()
        self._sqlite: sqlite3.Connection | None = None

    def condition(self, text: str, most: int | None = None) -> tuple[str, list[Any]]:
        """A condition on `row_versions v` that holds where its content says all of `text`, and its values.

        With `most`, only that many of the newest contents are looked at where a word is very common.
        """
        wanted = terms(text)
        if not wanted:
            return "false", []
        seen = self._catch_up()
        hits = self._hits(wanted, most)
        says, values = _says(wanted)
        condition = "v.content_id IN (SELECT unnest(?::BIGINT[]))"
        parameters: list[Any] = [hits]
        if seen < self._db.last_content_id():
            condition = f"({condition} OR v.content_id IN (SELECT c.id FROM contents c WHERE c.id > ? AND {says}))"
            parameters += [seen, *values]
        return condition, parameters

    def is_common(self, text: str, most: int) -> bool:
        """Whether more than `most` contents say `text`; as quick as finding that many."""
        wanted = terms(text)
        if wanted:
            self._catch_up()
        return bool(wanted) and len(self._hits(wanted, most + 1)) > most

    def is_complete(self) -> bool:
        """Whether everything saved is in the index."""
        return self._with_index(self._seen) >= self._db.last_content_id()

    def close(self) -> None:
        self._closing.set()
        if self._filling is not None:
            self._filling.join(timeout=30)
        with self._lock:
            if self._sqlite is not None:
                self._sqlite.close()
                self._sqlite = None

    def _hits(self, wanted: Sequence[str], most: int | None) -> list[int]:
        """The contents that say it, newest first; at most so many."""
        words, runs = _match(wanted)
        conditions = [("words{0} MATCH ?", words)] if words else []
        if runs:
            by_id = "rowid IN (SELECT rowid FROM runs{0} WHERE runs{0} MATCH ?)"
            conditions.append((by_id if words else "runs{0} MATCH ?", runs))
        table, where = "words" if words else "runs", " AND ".join(condition for condition, _ in conditions)

        def ask(connection: sqlite3.Connection) -> list[int]:
            found: list[int] = []
            for part in range(self._seen(connection) // PART, -1, -1):
                left = -1 if most is None else most - len(found)
                if left == 0:
                    break
                query = f"SELECT rowid FROM {table}{{0}} WHERE {where} ORDER BY rowid DESC LIMIT ?".format(part)
                found += [id_ for (id_,) in connection.execute(query, [*(value for _, value in conditions), left])]
            return found

        return self._with_index(ask)

    def _catch_up(self) -> int:
        """Index what is new, here if it is little, else in a thread; returns the last content that is in the index."""
        seen = self._with_index(self._seen)
        if self._db.settled_content_id() - seen > AT_ONCE:
            self.fill()
            return seen
        while self._with_index(self._add_batch):
            pass
        return self._with_index(self._seen)

    def fill(self) -> None:
        """Index everything that is new, in a thread."""
        if self._filling is None or not self._filling.is_alive():
            self._filling = threading.Thread(target=self._fill, name="search-index", daemon=True)
            self._filling.start()

    def _fill(self) -> None:
        try:
            while not self._closing.is_set() and self._with_index(self._add_batch):
                pass
        except Exception:
            # The index is a convenience: what it lacks is searched as text.
            log.exception("The search index could not be filled")

    def _add_batch(self, connection: sqlite3.Connection) -> int:
        """Add the next rows; returns how many ids were gone through."""
        seen = self._seen(connection)
        last = min(seen + BATCH, self._db.settled_content_id(), (seen + 1) // PART * PART + PART - 1)
        if last <= seen:
            return 0
        with self._db.reading() as read:
            rows = read.rows(
                f"SELECT c.id, {_TEXT} AS text FROM contents c WHERE c.id > ? AND c.id <= ? ORDER BY c.id",
                [seen, last],
            )
        part, texts = last // PART, [(row["id"], *_indexed(row["text"])) for row in rows]
        with connection:
            self._begin_part(connection, part)
            connection.executemany(
                f"INSERT INTO words{part} (rowid, text) VALUES (?, ?)", ((id_, words) for id_, words, _ in texts)
            )
            connection.executemany(
                f"INSERT INTO runs{part} (rowid, text) VALUES (?, ?)", ((id_, runs) for id_, _, runs in texts if runs)
            )
            connection.execute("UPDATE state SET seen = ?", [last])
        return last - seen

    def _begin_part(self, connection: sqlite3.Connection, part: int) -> None:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [f"words{part}"]).fetchone() is None:
            connection.execute(_CREATE.format(f"words{part}", "none", _SHORT))
            connection.execute(_CREATE.format(f"runs{part}", "full", ""))

    def _seen(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT seen FROM state").fetchone()[0])

    def _with_index(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, one at a time. An index that can't be read is thrown away and begun anew."""
        with self._lock:
            for is_last in (False, True):
                try:
                    if self._sqlite is None:
                        self._sqlite = self._open()
                    return work(self._sqlite)
                except sqlite3.DatabaseError as error:
                    self._discard()
                    if is_last:
                        raise
                    log.warning("The search index can't be used and is made again: %s", error)
        raise AssertionError("unreachable")

    def _discard(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        identity = self._db.identity()
        connection = sqlite3.connect(self._path, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS state (identity TEXT, seen INTEGER)")
            state = connection.execute("SELECT identity, seen FROM state").fetchone()
            if state is not None and (state[0] != identity or state[1] > self._db.last_content_id()):
                raise sqlite3.DatabaseError("it belongs to another database")
            if state is not None and connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                raise sqlite3.DatabaseError("it was made by another version")
            if state is None:
                with connection:
                    self._begin_part(connection, 0)
                    connection.execute(f"PRAGMA user_version = {VERSION}")
                    connection.execute("INSERT INTO state VALUES (?, 0)", [identity])
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection
