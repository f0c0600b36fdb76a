"""The only importer of duckdb: plain SQL, and one place where a row becomes a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.store.adapters import Adapters
from studio.store.conversations import Conversations
from studio.store.database import Database
from studio.store.examples import Examples
from studio.store.projects import Projects
from studio.store.runs import Runs

__all__ = ["Store"]


class Store:
    """Everything the studio remembers, grouped by noun."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self.projects = Projects(self._database)
        self.conversations = Conversations(self._database)
        self.examples = Examples(self._database)
        self.runs = Runs(self._database)
        self.adapters = Adapters(self._database)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block become durable together, or none does."""
        with self._database.transaction():
            yield

    def close(self) -> None:
        self._database.close()
