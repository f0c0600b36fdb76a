"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.errors import InvalidInput, Phrase


@contextmanager
def replaced(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end, or vanishes if there is an error.

    Args:
        folder: what comes is a folder, and may take the place of one. Look at what is in that one before.

    Raises:
        InvalidInput: a file would take the place of a folder, or `path` has no name of its own.
    """
    if path.is_dir() and not folder:
        raise InvalidInput(Phrase("{path} is a folder.", path=path), "Name a file in it.")
    if path.name in ("", ".."):
        raise InvalidInput(Phrase("{path} can't be replaced.", path=path), "Name a folder in it.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if not old.name.startswith(f".{path.name}.{os.getpid()}-"):
            remove(old)  # of a process that was killed
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.old"):
        if not old.name.startswith(f".{path.name}.{os.getpid()}."):
            if path.exists():
                remove(old)
            else:
                old.rename(path)  # killed after it had made way, and before the new one came
    try:
        yield temporary
    except BaseException:
        remove(temporary)
        raise
    settle(temporary)
    if path.is_dir() and not path.is_symlink():
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(old)
        temporary.rename(path)
        remove(old)
    else:
        temporary.replace(path)


def settle(path: Path) -> None:
    """Have the disk hold what was written."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
