"""The DuckDB file: opening, hardening, migrating, and one cursor per call."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from studio.errors import Cancelled, DiskFull, InvalidInput, Phrase, StoreBroken, WorkspaceInUse

SCHEMA = Path(__file__).parent / "schema"
MEMORY_LIMIT = "128MB"
KEPT_STATEMENTS = 200
CLOSE_WAIT_S = 30.0
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
        self._connection_lock = threading.Lock()
        self._uses = _Uses()
        self._statements: dict[str, duckdb.Statement] = {}
        self.commits = 0
        """Changes with every change anyone can read: what was counted at one number holds while it stays."""
        self._appending: list[int] = []
        """Of every transaction that hands out ids of contents and is not done, one below the first it may use."""
        try:
            self._connection = duckdb.connect(
                str(path),
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
                },
            )
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
        try:
            self._migrate()
            self._last_content_id = self.number("SELECT coalesce(max(id), 0) FROM contents")
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Calls and transactions that are under way end first; what comes after them is refused. What takes too long is
        lost, as in a crash."""
        self._uses.close(CLOSE_WAIT_S)
        with self._connection_lock, contextlib.suppress(duckdb.ResourceInUseException):
            self._connection.close()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        # The connection itself serves one call at a time, and refuses a second.
        with self._connection_lock:
            return self._connection.cursor()

    @property
    def is_writing(self) -> bool:
        """Whether this thread is in a transaction, and sees what others don't see yet."""
        return getattr(self._local, "cursor", None) is not None

    @property
    def kept(self) -> dict[Any, Any]:
        """What this thread's transaction read and need not ask again; nobody else writes meanwhile. Whoever changes
        what is kept here takes it out. Outside of a transaction nothing is kept."""
        return self._local.kept if self.is_writing else {}

    def _hold(self, cursor: duckdb.DuckDBPyConnection | None) -> None:
        """This thread's transaction, from here on."""
        self._local.cursor, self._local.kept = cursor, {}

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query as dictionaries. Inside `transaction` of this thread, sees its changes."""
        with self._uses.one() if not self.is_writing else contextlib.nullcontext(), _errors():
            cursor = getattr(self._local, "cursor", None) or self._cursor()
            result = cursor.execute(self._parsed(sql), list(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _parsed(self, sql: str) -> duckdb.Statement:
        """The statement, parsed once: parsing is a good tenth of what a small one takes."""
        if (found := self._statements.get(sql)) is None:
            if len(self._statements) >= KEPT_STATEMENTS:
                self._statements.clear()
            (found,) = self._cursor().extract_statements(sql)
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

    def stream(self, sql: str, rows: int = 10_000) -> Iterator[Any]:
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
                    cursor = self._cursor()
                    cursor.execute("BEGIN TRANSACTION")
                try:
                    self._hold(cursor if alone else None)
                    yield Appending(cursor, self._uses, self._turn)
                finally:
                    self._hold(None)
                    self._give_back(cursor)  # after a commit there is nothing to roll back
            finally:
                with self._ids_lock:
                    self._appending.remove(below)

    @contextlib.contextmanager
    def _turn(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        with self._write_lock, self._uses.one():
            self._hold(cursor)
            try:
                yield
                with _errors():
                    cursor.execute("COMMIT")
                self.commits += 1
            finally:
                self._hold(None)

    def checkpoint(self) -> None:
        """Move what was committed from the log into the file; done by itself, it would hold up the next who saves.

        What was committed is kept in any case: where this can't be done now, DuckDB does it at some later time.
        """
        with contextlib.suppress(duckdb.Error, Cancelled), self._uses.one(), self._write_lock:
            self._cursor().execute("CHECKPOINT")

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
        if getattr(self._local, "cursor", None) is not None:
            yield self._local.cursor
            return
        with self._uses.one(), self._write_lock:
            cursor = self._cursor()
            with _errors():
                cursor.execute("BEGIN TRANSACTION")
            self._hold(cursor)
            try:
                yield cursor
                with _errors():
                    cursor.execute("COMMIT")
                self.commits += 1
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self._hold(None)
                cursor.close()

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
        turn: Callable[[duckdb.DuckDBPyConnection], contextlib.AbstractContextManager[None]],
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
        with self._turn(self._cursor):
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
