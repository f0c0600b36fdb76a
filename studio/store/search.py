"""Full-text search in English and Japanese, in a few milliseconds at a million rows.

DuckDB's own extension is not built in and can't be fetched offline, so the words lie in an SQLite FTS5 index beside
the database. It is derived: it may be deleted at any time and is filled again. What it has not seen yet is searched as
text.

English is found by the beginnings of words, Japanese by any run of characters (bigrams, checked against the text).
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
FEW_HITS = 2_000
"""Hits up to which each one's text is checked."""
_JAPANESE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f々〆ー"
_CJK = re.compile(f"[{_JAPANESE}]+")
_WORD = re.compile(r"[^\W_]+")
_TEXT = "concat_ws(' ', array_to_string(json_extract_string(c.messages, '$[*].content'), ' '), c.answer)"


def fold(text: str) -> str:
    """Text as it is compared: NFKC, without letter case."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _bigrams(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _indexed(text: str) -> str:
    """Text with the runs of Japanese in it taken apart; SQLite's tokenizer does the rest."""
    folded = fold(text)
    if folded.isascii():
        return folded
    # Single characters too: a search for one is a search for a beginning, and the last one begins no pair.
    return _CJK.sub(lambda run: f" {' '.join(_bigrams(run[0]))} {run[0][-1]} ", folded)


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


def _match(wanted: Sequence[str]) -> str:
    """The FTS5 query: beginnings of words, and every pair of a Japanese run."""
    parts: list[str] = []
    for term in wanted:
        if not _CJK.fullmatch(term) or len(term) == 1:
            parts.append(f'"{term}"*')
        else:
            parts += [f'"{pair}"' for pair in _bigrams(term)]
    return " AND ".join(parts)


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
            values.append(rf"(^|[^\p{{L}}\p{{N}}_]|[{_JAPANESE}]){re.escape(term)}")
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
        if any(_CJK.fullmatch(term) and len(term) > 2 for term in wanted) and len(hits) <= FEW_HITS:
            condition = (
                f"v.content_id IN (SELECT c.id FROM contents c WHERE c.id IN (SELECT unnest(?::BIGINT[])) AND {says})"
            )
            parameters += values
        if seen < self._db.last_content_id():
            condition = f"({condition} OR v.content_id IN (SELECT c.id FROM contents c WHERE c.id > ? AND {says}))"
            parameters += [seen, *values]
        return condition, parameters

    def is_common(self, text: str, most: int) -> bool:
        """Whether more than `most` contents say `text`; as quick as finding that many."""

        def ask(connection: sqlite3.Connection) -> int:
            limited = "SELECT 1 FROM texts WHERE texts MATCH ? LIMIT ?"
            found = connection.execute(f"SELECT count(*) FROM ({limited})", [_match(wanted), most + 1])
            return int(found.fetchone()[0])

        wanted = terms(text)
        return bool(wanted) and self._with_index(ask) > most

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
        def ask(connection: sqlite3.Connection) -> list[int]:
            found = connection.execute(
                "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rowid DESC LIMIT ?", [_match(wanted), most or -1]
            )
            return [rowid for (rowid,) in found]

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
        last = min(seen + BATCH, self._db.settled_content_id())
        if last <= seen:
            return 0
        with self._db.reading() as read:
            rows = read.rows(
                f"SELECT c.id, {_TEXT} AS text FROM contents c WHERE c.id > ? AND c.id <= ? ORDER BY c.id",
                [seen, last],
            )
        with connection:
            connection.executemany(
                "INSERT INTO texts (rowid, text) VALUES (?, ?)", ((row["id"], _indexed(row["text"])) for row in rows)
            )
            connection.execute("UPDATE state SET seen = ?", [last])
        return last - seen

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
            if state is None:
                with connection:
                    connection.execute(
                        "CREATE VIRTUAL TABLE texts USING fts5(text, content='', detail=none, columnsize=0,"
                        " tokenize='unicode61 remove_diacritics 0')"
                    )
                    connection.execute("INSERT INTO state VALUES (?, 0)", [identity])
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection
