"""A model's folder: what it must hold, what is refused, and the mark of a complete copy.

The mark, `studio-model.json`, is written last. It names the source, the commit and the SHA-256 of every file of
weights, so that an adapter can tell which base it was trained on.
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio.errors import DiskFull, ModelUnavailable, Phrase
from studio.model.catalogue import ModelEntry
from studio.transfer import IsCancelled, Progress, sha256_of

MARK = "studio-model.json"


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
                Phrase(
                    "{file} of {name} was damaged on the way: its checksum is wrong.", file=path.name, name=entry.name
                ),
                "Fetch it again.",
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


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that can't be loaded as a model without running its author's code or opening pickles.

    Raises:
        ModelUnavailable: it is an adapter, lacks its configuration, tokenizer or safetensors, or needs its own code.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise ModelUnavailable(
            Phrase("{folder} can't be read: {reason}.", folder=folder, reason=error.strerror)
        ) from error
    check_names(names, name)
    check_config(folder / "config.json", name)
    index = folder / "model.safetensors.index.json"
    if index.exists() and "model.safetensors" not in names:
        missing = sorted(set(_read_json(index, name).get("weight_map", {}).values()) - names)
        if missing:
            raise ModelUnavailable(
                Phrase("{name} is incomplete: {missing} is missing.", name=name, missing=missing[0]),
                "Fetch or copy it again.",
            )


def check_names(names: set[str], name: str) -> None:
    """Refuse a model by the names of its files alone (of its top folder); raises like `check_folder`."""
    if "config.json" not in names:
        if "adapter_config.json" in names:
            raise ModelUnavailable(
                Phrase("{name} is an adapter, not a model.", name=name), "Name the base model it was trained on."
            )
        raise ModelUnavailable(
            Phrase("{name} has no config.json, so it is not a model for Transformers.", name=name),
            "Choose the repository or folder that holds config.json, *.safetensors and tokenizer files.",
        )
    if not any(n.endswith(".safetensors") and not n.startswith("adapter_") for n in names):
        if any(n.endswith((".bin", ".pt", ".pth", ".ckpt")) for n in names):
            raise ModelUnavailable(
                Phrase(
                    "{name} has its weights only as pickle files, which can run code when they are opened.", name=name
                ),
                "Choose a version with *.safetensors, or convert it on a machine you can spare.",
            )
        raise ModelUnavailable(
            Phrase("{name} has no *.safetensors files.", name=name),
            "Choose a version with its weights in that format; GGUF won't do.",
        )
    if not names & {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"}:
        raise ModelUnavailable(
            Phrase("{name} has no tokenizer files.", name=name), "Add tokenizer.json or tokenizer.model to it."
        )


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
            Phrase(
                "{name} can only be loaded by running code from its author, which the studio never does.", name=name
            ),
            "Choose a model whose architecture Transformers has built in.",
        )


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the operating system's errors about writing into the studio's own."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                Phrase("The disk of {folder} is full.", folder=folder), "Free some space and try again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ModelUnavailable(
                Phrase("{folder} can't be written to: {reason}.", folder=folder, reason=error.strerror),
                "Choose another workspace (STUDIO_WORKSPACE).",
            ) from error
        raise


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            Phrase("{file} of {name} can't be read: {reason}.", file=path.name, name=name, reason=str(error)),
            "Fetch or copy it again.",
        ) from error
    if not isinstance(value, dict):
        raise ModelUnavailable(
            Phrase("{file} of {name} is not a JSON object.", file=path.name, name=name), "Fetch or copy it again."
        )
    return value
