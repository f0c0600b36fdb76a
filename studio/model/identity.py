"""Which base a folder holds, by its content."""

from __future__ import annotations

from pathlib import Path

from studio.model.files import read_mark
from studio.records import BaseIdentity, content_hash
from studio.transfer import sha256_of


def identity_of(folder: Path, precision: str) -> BaseIdentity:
    """The identity of the base in a complete model folder; for a person's own folder its weights are hashed."""
    mark = read_mark(folder)
    if mark is None:
        sums = {
            path.name: sha256_of(path, "Checking", 0, 0, lambda *_: None, lambda: False)
            for path in sorted(folder.glob("*.safetensors"))
        }
        return BaseIdentity(folder.name, "", content_hash(sums), precision)
    return BaseIdentity(mark["hub_id"], mark["revision"], content_hash(mark["sha256"]), precision)
