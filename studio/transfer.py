"""Bytes that come and go: how far they are, the wish to stop, the room they need, their checksum."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from studio.errors import Cancelled, DiskFull, Phrase

CHUNK = 1 << 20
SPARE = 64 << 20
"""Bytes to leave free on the disk."""

Progress = Callable[[str, int, int], None]
"""Called with the stage in plain words, the bytes done and the bytes in all; 0 in all means not known."""
IsCancelled = Callable[[], bool]


def stop_if(cancelled: IsCancelled, what: str = "Fetching") -> None:
    """Raise Cancelled when the person asked to stop."""
    if cancelled():
        raise Cancelled(Phrase("{what} was cancelled.", what=what))


def need_space(folder: Path, needed: int, name: str) -> None:
    """Raise DiskFull when the disk of the folder has no room for that many bytes and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise DiskFull(
            Phrase(
                "{name} needs {needed} of disk space, and {free} are free in {folder}.",
                name=name,
                needed=megabytes(needed + SPARE),
                free=megabytes(free),
                folder=folder,
            ),
            "Free some space, or put the workspace on another disk (STUDIO_WORKSPACE).",
        )


def sha256_of(path: Path, stage: str, done: int, total: int, progress: Progress, cancelled: IsCancelled) -> str:
    """Return a file's SHA-256 in hexadecimal, telling how far it is: `done` bytes of `total` were there before."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(stage, done, total)
            stop_if(cancelled)
    return digest.hexdigest()


def megabytes(size: int) -> str:
    """Write a size in bytes as a person reads it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.1f} MB"
