"""The one folder that holds run-time state: its paths, its owner, and writes that are whole or absent."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from studio.errors import DiskFull, InvalidInput, Phrase, WorkError, WorkspaceInUse

SPARE_BYTES = 200 * 1024**2
"""Training is refused below this much free space; saving a correction never is."""


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn "no space left" and "read-only" into the studio's own errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = Phrase("There is no space left to save {what}.", what=what)
            raise DiskFull(said, "Free some disk space and try again.") from error
        if error.errno in (errno.EROFS, errno.EACCES):
            said = Phrase("The folder for {what} can't be written: {reason}.", what=what, reason=error.strerror)
            raise WorkError(said, "Choose another with STUDIO_WORKSPACE.") from error
        raise


def write_atomic(path: Path, data: bytes) -> None:
    """Write under a temporary name in the same folder, flush to disk, rename: readers see all or nothing.

    Raises:
        DiskFull: no space is left; what was there before stays.
    """
    with disk_errors(path.name):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def write_json(path: Path, value: object) -> None:
    write_atomic(path, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


def read_json(path: Path) -> Any | None:
    """The file's JSON, or None if there is none yet or it isn't whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Workspace:
    """Paths below one root folder. `lock` makes this process its owner."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self._owner: IO[str] | None = None

    @property
    def database(self) -> Path:
        return self.root / "studio.duckdb"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def hub(self) -> Path:
        """Data files of datasets fetched from the Hub; may be deleted at any time."""
        return self.root / "hub"

    def create(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise InvalidInput(
                Phrase("{folder} is a file.", folder=self.root), "Choose a folder with STUDIO_WORKSPACE."
            )
        with disk_errors("the workspace"):
            for folder in (self.root, self.models, self.runs, self.adapters, self.exports):
                folder.mkdir(parents=True, exist_ok=True)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free

    def require_foreign(self, path: Path) -> None:
        """Raise InvalidInput if the path is of a file of the workspace, exports aside: writing there destroys it."""
        found = path.resolve()
        if found.is_file() and self.root in found.parents and self.exports not in found.parents:
            raise InvalidInput(Phrase("{path} belongs to the workspace.", path=path), "Choose another name.")

    def require_space(self, needed: int, what: str) -> None:
        """Raises:
        DiskFull: fewer than `needed` bytes plus a reserve are free.
        """
        free = self.free_bytes()
        if free < needed + SPARE_BYTES:
            raise DiskFull(
                Phrase(
                    "There is not enough disk space for {what}: {free:.0f} MB free, {needed:.0f} MB needed.",
                    what=what,
                    free=free / 1e6,
                    needed=(needed + SPARE_BYTES) / 1e6,
                ),
                "Free some disk space and try again.",
            )

    def lock(self, purpose: str) -> None:
        """Become the owner. The kernel drops the lock when the process dies, however it dies.

        Raises:
            WorkspaceInUse: another process owns it; the message names it.
        """
        self.create()
        path = self.root / "owner.json"
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held open for as long as the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            owner = read_json(path) or {}
            raise WorkspaceInUse(
                Phrase(
                    "The workspace {folder} is in use by process {pid} on {host} ({purpose}).",
                    folder=self.root,
                    pid=owner.get("pid", "?"),
                    host=owner.get("host", "?"),
                    purpose=owner.get("purpose", "unknown"),
                ),
                "Stop that process first, or choose another folder with --workspace.",
            ) from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose}))
        file.flush()
        self._owner = file
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a killed process had begun to write; whoever owns the workspace is the only one who writes."""
        for path in [*self.exports.glob(".*.part"), *self.snapshots.glob(".writing.*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def unlock(self) -> None:
        if self._owner is not None:
            self._owner.truncate(0)
            self._owner.close()
            self._owner = None
