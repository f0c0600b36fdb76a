"""Fetch the data files of a dataset on the Hub into a folder. They are only copied: nothing in them is run or opened.

Each dataset has a folder of its own below the given one, and in it one for the commit. A file appears under its final
name only when it is complete; what a broken connection or a crash leaves is continued by the next call for the same
commit, and deleted by one for another commit.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from studio.errors import Busy, Cancelled, HubUnavailable, InvalidInput, Phrase
from studio.hub import card
from studio.hub.download import folder_for, read_text, save
from studio.hub.layout import Config, choose_config, find_configs
from studio.hub.reference import DatasetReference
from studio.hub.repo import Hub, RemoteFile, Repo, check_id
from studio.transfer import IsCancelled, Progress, megabytes, need_space
from studio.workspace import disk_errors

MAX_BYTES = 2_000_000_000
"""Largest download, unless the caller allows more."""
MAX_CARD_BYTES = 5_000_000
UNSAFE = re.compile(r"[\\:\x00-\x1f\x7f]")


@dataclass(frozen=True)
class HubDataset:
    """What a dataset on the Hub offers at one commit."""

    id: str
    revision: str
    """The commit: 40 hexadecimal digits."""
    licence: str
    is_private: bool
    configs: tuple[Config, ...]
    sizes: dict[str, int]
    """Bytes of each file, by its path inside the repository."""

    def size_of(self, config: str | None = None, split: str | None = None) -> int:
        """Bytes to download for a choice; raises InvalidInput as `fetch` does."""
        chosen = choose_config(self.configs, config, self.id).choose(split, self.id)
        return sum(self.sizes[path] for path in {path for _, path in chosen})


@dataclass(frozen=True)
class FetchedDataset:
    """Data files that lie in the workspace, and where exactly they came from."""

    id: str
    revision: str
    """The commit: 40 hexadecimal digits."""
    config: str
    licence: str
    files: tuple[tuple[str, Path], ...]
    """(split, file), in the order of the splits and then of the card."""

    @property
    def source(self) -> str:
        """A reference with which exactly these files are fetched again."""
        return str(DatasetReference(self.id, self.revision, self.config))


def look(dataset_id: str, hub: Hub, *, revision: str = "", cancelled: IsCancelled = lambda: False) -> HubDataset:
    """Ask which configs and splits a dataset has, without downloading any data.

    Raises:
        InvalidInput: this can't be the name of a dataset.
        HubUnavailable: it can't be had, and why; or it has no data in a format that is read here.
        Cancelled: `cancelled()` became true.
    """
    return _look(_repo(dataset_id, hub, revision), cancelled)[0]


def fetch(
    dataset_id: str,
    folder: Path,
    hub: Hub,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str = "",
    max_bytes: int = MAX_BYTES,
    progress: Progress,
    cancelled: IsCancelled,
) -> FetchedDataset:
    """Fetch a dataset's files, or those of one config or split.

    Args:
        folder: where datasets from the Hub are kept, in the workspace.
        config: needed when there are several and none is the default.
        split: None for all.
        revision: a branch, tag or commit; empty for the newest.
        progress: see `studio.transfer.Progress`.

    Raises:
        InvalidInput: there is no such config or split, one has to be chosen, or it is larger than `max_bytes`.
        HubUnavailable: it can't be had, and why.
        DiskFull: there is no room for it.
        Busy: it is being fetched already.
        Cancelled: `cancelled()` became true; nothing is left behind.
    """
    repo = _repo(dataset_id, hub, revision)
    progress("Asking the Hub", 0, 0)
    found, files = _look(repo, cancelled)
    chosen = choose_config(found.configs, config, found.id)
    parts = chosen.choose(split, found.id)
    wanted = [files[name] for name in dict.fromkeys(name for _, name in parts)]
    _check(wanted, found.id, max_bytes)
    own = folder / found.id.replace("/", "--")
    with disk_errors(Phrase("the dataset {dataset}", dataset=found.id)):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / f".lock-{own.name}", timeout=0):
                paths = _download(repo, found.revision, wanted, own, progress, cancelled)
        except Timeout as error:
            raise Busy(
                Phrase("{dataset} is being fetched already.", dataset=found.id), "Wait until that has finished."
            ) from error
    return FetchedDataset(
        found.id, found.revision, chosen.name, found.licence, tuple((part, paths[name]) for part, name in parts)
    )


def _repo(dataset_id: str, hub: Hub, revision: str) -> Repo:
    check_id(dataset_id)
    return Repo(hub, "dataset", dataset_id, revision)


def _look(repo: Repo, cancelled: IsCancelled) -> tuple[HubDataset, dict[str, RemoteFile]]:
    state = repo.look(cancelled)
    files = {file.name: file for file in state.files}
    text = ""
    if card.CARD in files and files[card.CARD].size <= MAX_CARD_BYTES:
        with repo.errors():
            text = read_text(repo, card.CARD, state.commit)
    configs = find_configs(files, card.metadata(text), repo.id, repo.revision)
    sizes = {name: file.size for name, file in files.items()}
    return HubDataset(repo.id, state.commit, state.licence, state.is_private, tuple(configs), sizes), files


def _check(files: Sequence[RemoteFile], dataset: str, max_bytes: int) -> None:
    """Refuse names that could lead out of the folder, and more bytes than allowed."""
    for file in files:
        parts = PurePosixPath(file.name).parts
        if UNSAFE.search(file.name) or file.name.startswith("/") or ".." in parts or "/".join(parts) != file.name:
            raise HubUnavailable(
                Phrase(
                    "{dataset} has a file whose name can't be used safely: {name}.",
                    dataset=dataset,
                    name=repr(file.name[:80]),
                ),
                "Download it by hand and import it.",
            )
    total = sum(file.size for file in files)
    if total > max_bytes:
        raise InvalidInput(
            Phrase(
                "This part of {dataset} has {size}; at most {most} are fetched.",
                dataset=dataset,
                size=megabytes(total),
                most=megabytes(max_bytes),
            ),
            Phrase("Choose a smaller config or split, as in hf:{dataset}/CONFIG#SPLIT.", dataset=dataset),
        )


def _download(
    repo: Repo, commit: str, files: Sequence[RemoteFile], own: Path, progress: Progress, cancelled: IsCancelled
) -> dict[str, Path]:
    folder = folder_for(own, commit)
    total, done = sum(file.size for file in files), 0
    have = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    need_space(folder, max(total - have, 0), repo.id)
    paths = {}
    try:
        with repo.errors():
            for file in files:
                paths[file.name] = target = folder / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                for size in save(repo, file, commit, target, cancelled, check=True):
                    progress("Downloading", done + size, total)
                done += file.size
    except Cancelled:
        shutil.rmtree(own, ignore_errors=True)
        raise
    return paths
