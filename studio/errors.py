"""Every error the studio raises on purpose, as one tree.

    StudioError
    ├── RequestError          the request was wrong (exit status 2)
    │   ├── InvalidInput          a value can't be used as given
    │   │   └── Blocked               a rule keeps an answer from being approved; carries what it says
    │   ├── NotFound              no such project, message, run, adapter or model
    │   ├── ImportRejected        a file has bad rows; carries them
    │   ├── Conflict              somebody else changed it meanwhile
    │   ├── Busy                  it can be done, but not while something else runs
    │   └── WorkspaceInUse        another process owns the workspace
    └── WorkError             the work itself failed (exit status 1)
        ├── ModelUnavailable      weights can't be found, fetched or read
        ├── HubUnavailable        the Hub can't be reached, or does not give or take what was asked
        ├── AdapterRejected       an adapter's files failed a check
        ├── DiskFull              no space left to save
        ├── StoreBroken           the database can't be opened or migrated
        ├── RunFailed             a training run ended without an adapter
        └── Cancelled             the user asked to stop

A message says what happened; `hint` says what to do. Both are plain sentences that an expert can read. They are
English; an interface says them in another language by their text, or by the template of a `Phrase`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Phrase(str):
    """A text that remembers how it was made, so that it can be said in another language: `Phrase("row {n}", n=3)`.

    A value that is a phrase itself is translated too. Values whose keys begin with `column` name columns of a file.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, **values: object) -> Phrase:
        made = super().__new__(cls, template.format(**values))
        made.template, made.values = template, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """For copies: a text that was filled in already can't be filled in again."""
        return (self.template,), dict(self.values)

    def with_columns(self, names: Mapping[str, str]) -> Phrase:
        """The same of a file whose columns have other names: ours → the file's; without one, ours stays."""
        renamed = {
            key: names.get(str(value)) or value if key.startswith("column") else value
            for key, value in self.values.items()
        }
        return Phrase(self.template, **renamed)


class StudioError(Exception):
    """Base of every error raised on purpose."""

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class RequestError(StudioError):
    """The request was wrong; nothing was changed."""

    exit_status = 2


class InvalidInput(RequestError):
    """A value can't be used as given."""


class Blocked(InvalidInput):
    """A rule keeps an answer from being approved; carries what the rule says."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            Phrase("This can't be approved: {reason}", reason=reason),
            "Change the answer, or the rule under Guidelines.",
        )
        self.reason = reason


class NotFound(RequestError):
    """No such project, message, run, adapter or model."""


@dataclass(frozen=True)
class RowError:
    """One bad row of an imported file."""

    row: int
    """1-based position of the row in the file (for JSON Lines: the line number)."""
    reason: str


class ImportRejected(RequestError):
    """A file has bad rows; nothing was imported.

    Args:
        rows: the bad rows; of very many only the first.
        bad: how many they are.
        good: how many rows could be imported without them; 0 also where nothing can be read beyond a bad one.
    """

    def __init__(
        self, message: str, rows: tuple[RowError, ...], hint: str = "", *, bad: int | None = None, good: int = 0
    ) -> None:
        super().__init__(message, hint)
        self.rows, self.good = rows, good
        self.bad = len(rows) if bad is None else bad


class Conflict(RequestError):
    """Somebody else changed it meanwhile; carries what it is now."""

    def __init__(self, message: str, current: object, hint: str = "") -> None:
        super().__init__(message, hint)
        self.current = current


class Busy(RequestError):
    """It can be done, but not while something else runs."""


class WorkspaceInUse(RequestError):
    """Another process owns the workspace."""


class WorkError(StudioError):
    """The work itself failed."""


class ModelUnavailable(WorkError):
    """Weights can't be found, fetched or read."""


class HubUnavailable(WorkError):
    """The Hub can't be reached, or does not give or take what was asked."""


class AdapterRejected(WorkError):
    """An adapter's files failed a check; the live adapter stays."""


class DiskFull(WorkError):
    """No space left to save."""


class StoreBroken(WorkError):
    """The database can't be opened or migrated."""


class RunFailed(WorkError):
    """A training run ended without an adapter."""


class Cancelled(WorkError):
    """The user asked to stop."""
