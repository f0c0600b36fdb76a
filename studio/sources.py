"""Where rows come from when a person names it: a file, a folder, or a dataset on the Hub, which is fetched first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.context import Studio
from studio.hub.reference import is_dataset_reference, parse_dataset_reference
from studio.transfer import IsCancelled, Progress


@dataclass(frozen=True)
class Source:
    """Files that are imported together, and what the history says of them."""

    files: tuple[tuple[str | None, Path], ...]
    """Each with the side of the split that its rows are for, where the place they come from says so."""
    name: str = ""
    """A reference with which exactly these are fetched again; empty: the file's own name says enough."""

    @property
    def first(self) -> Path:
        return self.files[0][1]


def is_on_hub(studio: Studio, named: str) -> bool:
    return is_dataset_reference(named, studio.settings.hub_url)


def find(studio: Studio, named: str, *, progress: Progress, cancelled: IsCancelled = lambda: False) -> Source:
    """The files that `named` means: a path, or `hf:ID[@revision][/config][#split]`.

    Raises:
        InvalidInput, HubUnavailable, DiskFull, Busy, Cancelled: as `studio.hub.dataset.fetch` does.
    """
    return from_hub(studio, named, progress, cancelled) if is_on_hub(studio, named) else Source(((None, Path(named)),))


def from_hub(studio: Studio, named: str, progress: Callable[[str, int, int], None], cancelled: IsCancelled) -> Source:
    """Fetch a dataset into the workspace; `hf:` may be missing. Raises as `find` does."""
    from studio.hub.dataset import fetch
    from studio.hub.repo import Hub

    reference = parse_dataset_reference(named, studio.settings.hub_url)
    fetched = fetch(
        reference.id,
        studio.workspace.hub,
        Hub.of(studio.settings),
        config=reference.config,
        split=reference.split,
        revision=reference.revision,
        progress=progress,
        cancelled=cancelled,
    )
    return Source(fetched.files, fetched.source)
