"""The only importer of duckdb: plain SQL, and one place where a row becomes a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from studio.rows import Action
from studio.store.actions import Actions
from studio.store.adapters import Adapters
from studio.store.arrow import hold_little
from studio.store.conversations import Conversations
from studio.store.database import Database
from studio.store.examples import Examples
from studio.store.flags import Flags
from studio.store.projects import Projects
from studio.store.revisions import Revisions
from studio.store.runs import Runs
from studio.store.search import SearchIndex
from studio.store.sides import Sides
from studio.store.snapshots import Snapshots

if TYPE_CHECKING:
    from studio.store.loading import Load

__all__ = ["Store"]


class Store:
    """Everything the studio remembers, grouped by noun."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self.projects = Projects(self._database)
        self.conversations = Conversations(self._database)
        self.search = SearchIndex(path.with_name("search.sqlite"), self._database)
        self.examples = Examples(self._database, self.search)
        self.revisions = Revisions(self._database, self.search)
        self.actions = Actions(self._database)
        self.flags = Flags(self._database)
        self.sides = Sides(self._database)
        self.snapshots = Snapshots(self._database)
        self.runs = Runs(self._database)
        self.adapters = Adapters(self._database)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block become durable together, or none does."""
        with self._database.transaction():
            yield

    @contextmanager
    def load(self, action: Action, source: str, *, alone: bool) -> Iterator[Load]:
        """Add very many rows to the action's project, all of them or none: nothing stays unless `Load.turn` ends well.

        Args:
            alone: nobody else writes meanwhile; else they can, and what they do isn't seen here.
        """
        from studio.store.loading import Load  # NumPy and Arrow are loaded when they are needed

        hold_little()
        with self._database.appending(alone=alone) as appending:
            project_id = action.project_id
            keys = self.examples.keys(project_id)
            load = Load(self._database, appending, action, source, keys, lambda: self.examples.pair_keys(project_id))
            with closing(load):
                yield load
        self._database.checkpoint()

    def close(self) -> None:
        self.search.close()
        self._database.close()
