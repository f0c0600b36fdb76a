"""A model's folder: what it must hold, what is refused, and the mark of a complete copy.

The mark, `studio-model.json`, is written last. It names the source, the commit and the SHA-256 of every file of
weights, so that an adapter can tell which base it was trained on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio.errors import Cancelled, DiskFull, ModelUnavailable
from studio.model.catalogue import ModelEntry

MARK = "studio-model.json"
CHUNK = 1 << 20
SPARE = 64 << 20
"""Bytes to leave free on the disk."""

Progress = Callable[[str, int, int], None]
"""Called with the stage in plain words, the bytes done and the bytes in all; 0 in all means not known."""
IsCancelled = Callable[[], bool]


@dataclass(frozen=True)
class Fetched:
    """Where a fetched folder came from."""

    source: str
    """`hub`, or `package name==version`."""
    revision: str = ""
    """Commit on the Hub; empty for a package."""
    licence: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    """What the source says of its files; checked against what was received."""


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return what the mark of a complete copy says, or None when there is none or its files aren't all there."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        sizes = mark["bytes"].items()
        complete = all((folder / name).stat().st_size == size for name, size in sizes)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return mark if complete and sizes else None


def write_mark(
    folder: Path, entry: ModelEntry, fetched: Fetched, *, progress: Progress, cancelled: IsCancelled
) -> None:
    """Hash the weights, compare them with what the source says, and write the mark.

    Raises:
        ModelUnavailable: a file is not the one that the source describes; it is deleted.
        Cancelled: `cancelled()` became true.
    """
    weights = sorted(folder.glob("*.safetensors"))
    sizes = {path.name: path.stat().st_size for path in weights}
    total, done = sum(sizes.values()), 0
    sums: dict[str, str] = {}
    for path in weights:
        sums[path.name] = sha256_of(path, "Checking", done, total, progress, cancelled)
        done += sizes[path.name]
        if fetched.sha256.get(path.name, sums[path.name]) != sums[path.name]:
            path.unlink()
            raise ModelUnavailable(
                f"{path.name} of {entry.name} was damaged on the way: its checksum is wrong.", "Fetch it again."
            )
    mark = {
        "key": entry.key,
        "hub_id": entry.hub_id,
        "revision": fetched.revision,
        "source": fetched.source,
        "licence": entry.licence or fetched.licence,
        "sha256": sums,
        "bytes": sizes,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / MARK).write_text(json.dumps(mark, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that can't be loaded as a model without running its author's code or opening pickles.

    Raises:
        ModelUnavailable: it is an adapter, lacks its configuration, tokenizer or safetensors, or needs its own code.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise ModelUnavailable(f"{folder} can't be read: {error.strerror}.") from error
    check_names(names, name)
    check_config(folder / "config.json", name)
    index = folder / "model.safetensors.index.json"
    if index.exists() and "model.safetensors" not in names:
        missing = sorted(set(_read_json(index, name).get("weight_map", {}).values()) - names)
        if missing:
            raise ModelUnavailable(f"{name} is incomplete: {missing[0]} is missing.", "Fetch or copy it again.")


def check_names(names: set[str], name: str) -> None:
    """Refuse a model by the names of its files alone (of its top folder); raises like `check_folder`."""
    if "config.json" not in names:
        if "adapter_config.json" in names:
            raise ModelUnavailable(f"{name} is an adapter, not a model.", "Name the base model it was trained on.")
        raise ModelUnavailable(
            f"{name} has no config.json, so it is not a model for Transformers.",
            "Choose the repository or folder that holds config.json, *.safetensors and tokenizer files.",
        )
    if not any(n.endswith(".safetensors") and not n.startswith("adapter_") for n in names):
        if any(n.endswith((".bin", ".pt", ".pth", ".ckpt")) for n in names):
            raise ModelUnavailable(
                f"{name} has its weights only as pickle files, which can run code when they are opened.",
                "Choose a version with *.safetensors, or convert it on a machine you can spare.",
            )
        raise ModelUnavailable(
            f"{name} has no *.safetensors files.", "Choose a version with its weights in that format; GGUF won't do."
        )
    if not names & {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"}:
        raise ModelUnavailable(f"{name} has no tokenizer files.", "Add tokenizer.json or tokenizer.model to it.")


def check_config(path: Path, name: str) -> None:
    """Refuse a model that can only be loaded by running its author's code; raises like `check_folder`.

    A configuration may offer code of its own (`auto_map`) for an architecture that Transformers has built in; the
    built-in one is then used, and nothing is refused.
    """
    config = _read_json(path, name)
    if "auto_map" not in config:
        return
    from transformers import CONFIG_MAPPING

    if config.get("model_type") not in CONFIG_MAPPING:
        raise ModelUnavailable(
            f"{name} can only be loaded by running code from its author, which the studio never does.",
            "Choose a model whose architecture Transformers has built in.",
        )


def stop_if(cancelled: IsCancelled) -> None:
    """Raise Cancelled when the person asked to stop."""
    if cancelled():
        raise Cancelled("Fetching the model was cancelled.")


def need_space(folder: Path, needed: int, name: str) -> None:
    """Raise DiskFull when the disk of the folder has no room for that many bytes and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise DiskFull(
            f"{name} needs {megabytes(needed + SPARE)} of disk space, and {megabytes(free)} are free in {folder}.",
            "Free some space, or put the workspace on another disk (STUDIO_WORKSPACE).",
        )


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the operating system's errors about writing into the studio's own."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"The disk of {folder} is full.", "Free some space and try again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ModelUnavailable(
                f"{folder} can't be written to: {error.strerror}.", "Choose another workspace (STUDIO_WORKSPACE)."
            ) from error
        raise


def megabytes(size: int) -> str:
    """Write a size in bytes as a person reads it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.1f} MB"


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{path.name} of {name} can't be read: {error}.", "Fetch or copy it again.") from error
    if not isinstance(value, dict):
        raise ModelUnavailable(f"{path.name} of {name} is not a JSON object.", "Fetch or copy it again.")
    return value
