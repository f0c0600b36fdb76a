"""The DuckDB file: opening, hardening, migrating, and one cursor per call."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import duckdb

from studio.errors import Cancelled, DiskFull, InvalidInput, Phrase, StoreBroken, WorkspaceInUse

SCHEMA = Path(__file__).parent / "schema"
MEMORY_LIMIT = "64MB"
KEPT_STATEMENTS = 200
STREAMED = 4_000
"""Rows of a long result that are in memory at once."""
CLOSE_WAIT_S = 30.0
ROW_GROUP = 10_240
"""Rows that DuckDB stores together, a multiple of 2,048. Of its own 122,880, an import would hold all texts in memory
until they are compressed at one go, and one row could only be found by looking through as many."""
_NAME = "studio"
Known = TypeVar("Known")
Row = dict[str, Any]
Add = Callable[[str, Any], None]
"""`Database.add` or `Appending.add`."""
Stream = Callable[[str], Iterator[Any]]
"""`Database.stream`."""


def as_stored(moment: datetime) -> datetime:
    """UTC without a zone, as the tables hold times."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


class _Uses:
    """Who uses the database just now; once it is closed, nobody begins any more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count, self._is_closed = 0, False

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Raises:
        Cancelled: the database is closed.
        """
        with self._changed:
            if self._is_closed:
                raise Cancelled("The studio is being closed.")
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def close(self, wait_s: float) -> None:
        """Wait until all that began before has ended, but no longer than that."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._count, wait_s)


@dataclass(frozen=True)
class _Transaction:
    """What one thread writes."""

    cursor: duckdb.DuckDBPyConnection
    began: int
    """It sees what was there after so many commits, or more."""
    kept: dict[Any, Any] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    """Keys of what is another after it: see `Database.known`."""


class Database:
    """One DuckDB file, shared by threads: reads take a cursor each, writes take turns."""

    def __init__(self, path: Path) -> None:
        """Raises:
        StoreBroken: the file is damaged, of a newer version, or a migration failed.
        WorkspaceInUse: another process holds the file.
        """
        self._write_lock = threading.RLock()
        self._local = threading.local()
        self._ids_lock = threading.Lock()
        self._known_lock = threading.Lock()
        self._connection_lock = threading.Lock()
        self._uses = _Uses()
        self._statements: dict[str, duckdb.Statement] = {}
        self._known: dict[str, Any] = {}
        self.commits = 0
        """Changes with every change anyone can read: what was counted at one number holds while it stays."""
        self._appending: list[int] = []
        """Of every transaction that hands out ids of contents and is not done, one below the first it may use."""
        self._idle: list[duckdb.DuckDBPyConnection] = []
        """Cursors that are open and not in use."""
        self._connection = duckdb.connect(
            config={
                # Both default to true: DuckDB would download code by itself.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
                "python_enable_replacements": "false",
                # What is cached beyond this is cached by the system all the same.
                "memory_limit": MEMORY_LIMIT,
                # A checkpoint in the middle of a series of saves holds one of them up.
                "checkpoint_threshold": "64MB",
                "temp_directory": f"{path}.tmp",
            },
        )
        try:
            self._attach(path)
            self._migrate()
            self._last_content_id = self.number("SELECT coalesce(max(id), 0) FROM contents")
        except BaseException:
            self._close()
            raise

    def _attach(self, path: Path) -> None:
        quoted = str(path).replace("'", "''")
        try:
            # Attached, since only then a row group can be smaller.
            self._connection.execute(f"ATTACH '{quoted}' AS {_NAME} (ROW_GROUP_SIZE {ROW_GROUP})")
        except duckdb.IOException as error:
            if "lock" in str(error).lower():
                raise WorkspaceInUse(
                    Phrase("The database {path} is open in another process.", path=path), "Stop that process first."
                ) from error
            raise StoreBroken(
                Phrase("The database {path} can't be opened: {reason}.", path=path, reason=str(error)), _RECOVERY
            ) from error
        except duckdb.Error as error:
            raise StoreBroken(
                Phrase("The database {path} can't be opened: {reason}.", path=path, reason=str(error)), _RECOVERY
            ) from error

    def close(self) -> None:
        """Calls and transactions that are under way end first; what comes after them is refused. What takes too long is
        lost, as in a crash."""
        self._uses.close(CLOSE_WAIT_S)
        self._close()

    def _close(self) -> None:
        with self._connection_lock, contextlib.suppress(duckdb.ResourceInUseException):
            for cursor in self._idle:
                cursor.close()
            self._idle.clear()
            self._connection.close()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor that nobody else uses until it is kept or closed."""
        # The connection itself serves one call at a time, and refuses a second.
        with self._connection_lock:
            if self._idle:
                return self._idle.pop()
            cursor = self._connection.cursor()
        cursor.execute(f"USE {_NAME}")
        return cursor

    def _keep(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """For whoever needs one next; it is in no transaction and holds no result."""
        with self._connection_lock:
            self._idle.append(cursor)

    @property
    def _transaction(self) -> _Transaction | None:
        """This thread's."""
        return getattr(self._local, "transaction", None)

    @property
    def is_writing(self) -> bool:
        """Whether this thread is in a transaction, and sees what others don't see yet."""
        return self._transaction is not None

    @property
    def kept(self) -> dict[Any, Any]:
        """What this thread's transaction read and need not ask again; nobody else writes meanwhile. Outside of a
        transaction nothing is kept."""
        transaction = self._transaction
        return transaction.kept if transaction else {}

    def known(self, key: str, read: Callable[[], Known]) -> Known:
        """What `read` finds, which is asked again only after a transaction that says that it has `changed`."""
        transaction = self._transaction
        if transaction and key in transaction.changed:
            return read()
        if key in (known := self._known):
            return cast(Known, known[key])
        since = transaction.began if transaction else self.commits
        found = read()
        with self._known_lock:
            # Something that was committed meanwhile may not be in it.
            if since == self.commits:
                self._known = {**self._known, key: found}
        return found

    def changed(self, key: str) -> None:
        """This thread's transaction makes another of what is known as `key`."""
        assert self._transaction is not None
        self._transaction.changed.add(key)

    def _commit(self, transaction: _Transaction) -> None:
        with _errors():
            transaction.cursor.commit()
        with self._known_lock:
            self.commits += 1
            self._known = {key: found for key, found in self._known.items() if key not in transaction.changed}

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query as dictionaries. Inside `transaction` of this thread, sees its changes."""
        transaction = self._transaction
        with contextlib.nullcontext() if transaction else self._uses.one(), _errors():
            cursor = transaction.cursor if transaction else self._cursor()
            result = cursor.execute(self._parsed(sql), list(parameters))
            names = [column[0] for column in result.description]
            found = result.fetchall()
            if transaction is None:
                self._keep(cursor)
        return [dict(zip(names, row, strict=True)) for row in found]

    def _parsed(self, sql: str) -> duckdb.Statement:
        """The statement, parsed once: parsing is a good tenth of what a small one takes."""
        if (found := self._statements.get(sql)) is None:
            if len(self._statements) >= KEPT_STATEMENTS:
                self._statements.clear()
            with self._connection_lock:
                (found,) = self._connection.extract_statements(sql)
            self._statements[sql] = found
        return found

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def number(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """The one number a query returns."""
        found = self.row(sql, parameters)
        return int(next(iter(found.values()))) if found else 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reading]:
        """Several queries that all see the database as it was when the first was asked."""
        with self._uses.one(), _errors():
            cursor = self._cursor()
            cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            yield Reading(cursor, self._uses)
        finally:
            self._give_back(cursor)

    def _give_back(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Take back what it had not committed, and close it; where the database is closed, both are done."""
        with contextlib.suppress(Cancelled), self._uses.one():
            with contextlib.suppress(duckdb.Error):
                cursor.execute("ROLLBACK")
            cursor.close()

    def stream(self, sql: str, rows: int = STREAMED) -> Iterator[Any]:
        """The result of a query as Arrow batches of so many rows, in the order of the table; they are made while one
        goes on."""
        with self._uses.one(), _errors():
            cursor = self._cursor()
            reader = cursor.sql(sql).to_arrow_reader(rows)
        try:
            while True:
                with self._uses.one(), _errors():
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch
        finally:
            self._give_back(cursor)

    def identity(self) -> str:
        """Tells this database from every other."""
        found = self.row("SELECT id FROM database_identity")
        assert found is not None
        return str(found["id"])

    def last_content_id(self) -> int:
        """The newest content that anyone may read; what a transaction has not committed yet doesn't count."""
        with self.reading() as read:
            return int(read.rows("SELECT coalesce(max(id), 0) AS id FROM contents")[0]["id"])

    def settled_content_id(self) -> int:
        """Up to here no content can turn up any more: transactions that add rows side by side end in any order."""
        # In this order: whoever begins after the first line gets larger ids, whoever is done before the second can be
        # read.
        last = self.last_content_id()
        with self._ids_lock:
            return min([last, *self._appending])

    def next_content_ids(self, count: int) -> int:
        """Set `count` ids of contents aside, inside a transaction; returns the first. Unused ones are never used."""
        with self._ids_lock:
            first = self._last_content_id + 1
            self._last_content_id += count
        return first

    def insert_arrow(self, sql: str, batch: Any, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that reads an Arrow table under the name `batch`."""
        with self.transaction() as cursor, _errors():
            cursor.register("batch", batch)
            try:
                cursor.execute(sql, list(parameters))
            finally:
                cursor.unregister("batch")

    def add(self, table: str, batch: Any, constants: Mapping[str, Any] | None = None) -> None:
        """Insert an Arrow table; what it has no column for is in `constants`."""
        with self.transaction() as cursor:
            _add(cursor, table, batch, constants or {})

    @contextlib.contextmanager
    def appending(self, *, alone: bool = False) -> Iterator[Appending]:
        """A transaction that adds many rows and keeps nobody from writing meanwhile, until its `turn`; nothing of it
        stays unless that comes and ends well.

        Args:
            alone: nobody else writes from the beginning on, and what this thread reads and writes belongs to it.
        """
        with self._write_lock if alone else contextlib.nullcontext():
            with self._ids_lock:
                below = self._last_content_id
                self._appending.append(below)
            try:
                with self._uses.one(), _errors():
                    transaction = _Transaction(self._cursor(), self.commits)
                    transaction.cursor.begin()
                try:
                    self._local.transaction = transaction if alone else None
                    yield Appending(transaction.cursor, self._uses, lambda: self._turn(transaction))
                finally:
                    self._local.transaction = None
                    self._give_back(transaction.cursor)  # after a commit there is nothing to roll back
            finally:
                with self._ids_lock:
                    self._appending.remove(below)

    @contextlib.contextmanager
    def _turn(self, transaction: _Transaction) -> Iterator[None]:
        with self._write_lock, self._uses.one():
            self._local.transaction = transaction
            try:
                yield
                self._commit(transaction)
            finally:
                self._local.transaction = None

    def checkpoint(self) -> None:
        """Move what was committed from the log into the file; done by itself, it would hold up the next who saves.

        What was committed is kept in any case: where this can't be done now, DuckDB does it at some later time.
        """
        with contextlib.suppress(duckdb.Error, Cancelled), self._uses.one(), self._write_lock:
            cursor = self._cursor()
            cursor.execute(f"CHECKPOINT {_NAME}")
            self._keep(cursor)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement that changes something; durable when this returns (inside `transaction`: at its end)."""
        with self.transaction() as cursor, _errors():
            cursor.execute(self._parsed(sql), list(parameters))

    def execute_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        if parameters:
            with self.transaction() as cursor, _errors():
                cursor.executemany(sql, [list(row) for row in parameters])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """All changes of the block, or none. Nested blocks join the outer one."""
        if self._transaction:
            yield self._transaction.cursor
            return
        with self._uses.one(), self._write_lock:
            transaction = _Transaction(self._cursor(), self.commits)
            with _errors():
                transaction.cursor.begin()
            self._local.transaction = transaction
            try:
                yield transaction.cursor
                self._commit(transaction)
                self._keep(transaction.cursor)
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    transaction.cursor.rollback()
                transaction.cursor.close()
                raise
            finally:
                self._local.transaction = None

    def _migrate(self) -> None:
        self.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER, name VARCHAR, applied_at TIMESTAMP)"
        )
        done = {row["version"] for row in self.rows("SELECT version FROM schema_migrations")}
        files = {int(path.name[:4]): path for path in sorted(SCHEMA.glob("[0-9][0-9][0-9][0-9]_*.sql"))}
        if unknown := done - files.keys():
            raise StoreBroken(
                Phrase(
                    "The database was written by a newer studio (schema {found}, this one knows {known}).",
                    found=max(unknown),
                    known=max(files),
                ),
                "Update the studio; the file was not changed.",
            )
        for version, path in files.items():
            if version in done:
                continue
            with self.transaction() as cursor:
                try:
                    cursor.execute(path.read_text(encoding="utf-8"))
                except duckdb.Error as error:
                    raise StoreBroken(
                        Phrase("The database can't be brought to {file}: {reason}.", file=path.name, reason=str(error)),
                        _RECOVERY,
                    ) from error
                cursor.execute(
                    "INSERT INTO schema_migrations VALUES (?, ?, ?)",
                    [version, path.name, as_stored(datetime.now(UTC))],
                )


class Appending:
    """A transaction that only adds; made by `Database.appending`. One thread at a time may use it."""

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        uses: _Uses,
        turn: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        self._cursor, self._uses, self._turn = cursor, uses, turn

    def add(self, table: str, batch: Any, constants: Mapping[str, Any] | None = None) -> None:
        """Insert an Arrow table; what it has no column for is in `constants`."""
        with self._uses.one():
            _add(self._cursor, table, batch, constants or {})

    def interrupt(self) -> None:
        """Make the statement that runs, in whatever thread, end with an error."""
        self._cursor.interrupt()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The end: what this thread writes in the block belongs to the transaction, and then all of it is durable."""
        with self._turn():
            yield


class Reading:
    """Queries within one read transaction; made by `Database.reading`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, uses: _Uses) -> None:
        self._cursor, self._uses = cursor, uses

    def columns(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any]:
        """The result as NumPy arrays, one a column: little memory for many rows."""
        with self._uses.one(), _errors():
            return self._cursor.execute(sql, list(parameters)).fetchnumpy()

    def table(self, sql: str, batch: Any) -> Any:
        """The result as an Arrow table; the query may read the Arrow table `batch` under that name."""
        with self._uses.one(), _errors():
            self._cursor.register("batch", batch)
            return self._cursor.sql(sql).to_arrow_table()

    def rows(self, sql: str, parameters: Sequence[Any] = (), batch: Any = None) -> list[Row]:
        """The rows as dictionaries; the query may read the Arrow table `batch` under that name."""
        with self._uses.one(), _errors():
            if batch is not None:
                self._cursor.register("batch", batch)
            result = self._cursor.execute(sql, list(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _add(cursor: duckdb.DuckDBPyConnection, table: str, batch: Any, constants: Mapping[str, Any]) -> None:
    # As a relation, not as a registered view: DuckDB would hold every batch until the transaction ends.
    with _errors():
        selected = [
            duckdb.ConstantExpression(constants[name]) if name in constants else duckdb.ColumnExpression(name)
            for name in cursor.table(table).columns
        ]
        cursor.from_arrow(batch).select(*selected).insert_into(table)


_RECOVERY = "Keep the file, and start with another workspace (--workspace) meanwhile."


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        if "No space left" in text or "disk full" in text.lower():
            raise DiskFull(
                "There is no space left to save.", "Free some disk space and try again; nothing was changed."
            ) from error
        if "surrogate" in text and isinstance(error, duckdb.InvalidInputException):
            raise InvalidInput(
                "The text holds half a character (an unpaired surrogate).", "Delete it and write it again."
            ) from error
        raise
    except RuntimeError as error:
        if "Query interrupted" in str(error):
            # DuckDB's own answer to a Ctrl-C takes the place of Python's.
            raise KeyboardInterrupt from error
        raise
