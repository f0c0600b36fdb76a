"""Push a dataset folder to the Hub as one commit: its data files, and its card every time.

Files go by HTTP and not by Xet, whose uploads can neither be watched nor stopped; the Hub takes both.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from studio.errors import Cancelled, HubUnavailable, InvalidInput, Phrase
from studio.hub import card
from studio.hub.download import read_text
from studio.hub.layout import find_configs, is_data
from studio.hub.repo import Hub, Repo, State, check_id, wait_for
from studio.transfer import IsCancelled, Progress, stop_if

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

T = TypeVar("T")
MESSAGE = "Push the dataset from Correction Studio"
SILENT_S = 60.0
"""How long an upload may stand still."""
COMMIT_WITHIN_S = 180.0
"""How long the Hub may take for the commit, the pause that the library makes between two tries included."""


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    url: str
    revision: str
    """The commit on the Hub; that of the push before when nothing has changed."""
    files: tuple[str, ...]
    """All files of the push, the card among them."""
    removed: tuple[str, ...]
    """Files of an earlier push that are no longer there."""
    is_private: bool


def push(
    folder: Path,
    dataset_id: str,
    hub: Hub,
    *,
    files: Sequence[str] | None = None,
    private: bool = True,
    message: str = MESSAGE,
    progress: Progress,
    cancelled: IsCancelled,
) -> Pushed:
    """Push a folder's data files and its README.md; the dataset is created if need be.

    Files of an earlier push that are no longer in the folder are removed from the Hub, nothing else is. What people
    wrote between the marks in the card on the Hub stays (`studio.hub.card`).

    Args:
        files: paths inside the folder; None for those that the card's `configs` name.
        private: whom a new dataset is shown to. An existing public one is refused, and its visibility never changed.
        progress: see `studio.transfer.Progress`.

    Raises:
        InvalidInput: the name, the folder or the card can't be used, there is no token, the dataset is public against
            the wish, or it holds data that no push brought.
        HubUnavailable: the Hub can't be reached or refuses; nothing has changed there.
        Cancelled: `cancelled()` became true; likewise.
    """
    check_id(dataset_id, with_owner=True)
    repo = Repo(hub, "dataset", dataset_id)
    paths = _local(folder, files)
    with repo.errors():
        if not hub.has_token():
            raise InvalidInput(
                "Pushing to the Hub needs a token.",
                Phrase(
                    "Make one that may write at {url}/settings/tokens, then run `hf auth login` or set HF_TOKEN.",
                    url=hub.url,
                ),
            )
        progress("Asking the Hub", 0, 0)
        state = _existing_or_new(repo, private, cancelled)
        there = {file.name for file in state.files}
        remote = read_text(repo, card.CARD, state.commit) if card.CARD in there else ""
        earlier = card.pushed_files(remote)
        _refuse_foreign(repo, there - earlier, paths)
        fresh = paths.pop(card.CARD).read_text(encoding="utf-8")
        merged = card.merge(fresh, remote, paths)
        removed = sorted((earlier & there) - {*paths, card.CARD})
        revision = _Upload(repo, state.commit, message, progress, cancelled).send(paths, merged, removed)
    return Pushed(repo.page, revision, (card.CARD, *paths), tuple(removed), state.is_private)


def _local(folder: Path, files: Sequence[str] | None) -> dict[str, Path]:
    """The files to push by their path inside the folder, README.md among them.

    Raises:
        InvalidInput: one is missing or lies elsewhere, or there is no data.
    """
    readme = folder / card.CARD
    if not readme.is_file():
        raise InvalidInput(
            Phrase("{folder} has no {file}.", folder=folder, file=card.CARD),
            "Export in the format hf, which writes one.",
        )
    if files is None:
        names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
        try:
            configs = find_configs(names, card.metadata(readme.read_text(encoding="utf-8")), folder.name)
        except HubUnavailable as error:
            raise InvalidInput(error.message, "Export in the format hf.") from error
        files = [path for config in configs for _, path in config.choose(None, folder.name)]
    paths = {name: folder / name for name in dict.fromkeys((card.CARD, *files))}
    root = folder.resolve()
    for name, path in paths.items():
        if not path.is_file() or path.resolve() != root / name or not path.resolve().is_relative_to(root):
            raise InvalidInput(
                Phrase("{name!r} is no file of {folder}.", name=name, folder=folder),
                "Push files of the folder itself, and no links.",
            )
    return paths


def _existing_or_new(repo: Repo, private: bool, cancelled: IsCancelled) -> State:
    """What the dataset holds; a missing one is made. Raises InvalidInput for a public one that should be private."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        state = repo.look(cancelled)
    except HubUnavailable as error:
        if not isinstance(error.__cause__, RepositoryNotFoundError):
            raise
        wait_for(lambda: _create(repo, private), SILENT_S, cancelled)
        state = repo.look(cancelled)
    if private and not state.is_private:
        raise InvalidInput(
            Phrase("{dataset} is public on the Hub, and this push is private.", dataset=repo.id),
            Phrase("Make it private at {page}/settings, push to another name, or push publicly.", page=repo.page),
        )
    return state


def _create(repo: Repo, private: bool) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        repo.hub.api().create_repo(repo.id, repo_type="dataset", private=private)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        raise HubUnavailable(
            Phrase("There is a dataset {dataset} on the Hub already, but this token can't see it.", dataset=repo.id),
            Phrase("See at {url}/settings/tokens what the token allows, or push to another name.", url=repo.hub.url),
        ) from error


def _refuse_foreign(repo: Repo, others: set[str], paths: Iterable[str]) -> None:
    """Refuse to push where data lies that no push brought: it would be mixed up with the new, or replaced."""
    foreign = sorted(name for name in others if is_data(name) or (name in paths and name != card.CARD))
    if foreign:
        raise InvalidInput(
            Phrase(
                "{dataset} holds data that the studio did not push: {file!r}{more}.",
                dataset=repo.id,
                file=foreign[0],
                more=Phrase(" and {n} more", n=len(foreign) - 1) if foreign[1:] else "",
            ),
            Phrase("Push to another name, or remove it at {page}/tree/main.", page=repo.page),
        )


class _Upload:
    """One commit on the way to the Hub."""

    def __init__(self, repo: Repo, parent: str, message: str, progress: Progress, cancelled: IsCancelled) -> None:
        self.repo, self.parent, self.message = repo, parent, message
        self.progress, self.cancelled = progress, cancelled
        self.stage, self.done, self.total, self.last_sign = "", 0, 0, 0.0

    def send(self, paths: Mapping[str, Path], readme: str, removed: Sequence[str]) -> str:
        """Upload the files, commit, and return the commit."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        self.total = sum(path.stat().st_size for path in paths.values())
        with contextlib.ExitStack() as stack, _quiet():
            self._begin("Reading")
            additions = [
                CommitOperationAdd(name, stack.enter_context(_Watched(path, self._read)))
                for name, path in paths.items()
            ]
            self._begin("Uploading")
            for addition in additions:
                self._wait(lambda add=addition: self._upload(add), SILENT_S, self.cancelled)  # type: ignore[misc]
            self._begin("Committing")
            operations: list[CommitOperationAdd | CommitOperationDelete] = [
                CommitOperationAdd(card.CARD, readme.encode()),
                *additions,
                *(CommitOperationDelete(name, is_folder=False) for name in removed),
            ]
            # From here on it can't be called back: a commit that was given up might still be made.
            return self._wait(lambda: self._commit(operations), COMMIT_WITHIN_S, lambda: False)

    def _begin(self, stage: str) -> None:
        stop_if(self.cancelled, "Pushing")
        self.stage, self.done = stage, 0
        self.progress(stage, 0, self.total)

    def _read(self, size: int) -> None:
        """Note that so many bytes were read from a file."""
        self.last_sign = time.monotonic()
        if self.stage != "Committing":
            stop_if(self.cancelled, "Pushing")
            self.done = min(self.done + size, self.total)
            self.progress(self.stage, self.done, self.total)

    def _wait(self, work: Callable[[], T], silent_s: float, cancelled: IsCancelled) -> T:
        try:
            return wait_for(work, silent_s, cancelled, lambda: self.last_sign)
        except Cancelled as error:
            raise Cancelled("Pushing was cancelled.") from error

    def _upload(self, addition: CommitOperationAdd) -> None:
        before, size = self.done, addition.upload_info.size
        try:
            self.repo.hub.api().preupload_lfs_files(
                self.repo.id, [addition], repo_type="dataset", num_threads=1, free_memory=False
            )
        except RuntimeError as error:  # the library's wrapping of whatever happened
            raise error.__cause__ or error from None
        except ValueError as error:
            raise self._refused(error, "LFS batch API returned errors:", "files") from error
        if addition._should_ignore:
            raise HubUnavailable(
                Phrase(
                    "{file} would be left out: a .gitignore in {dataset} names it.",
                    file=addition.path_in_repo,
                    dataset=self.repo.id,
                ),
                Phrase("Remove it at {page}/tree/main.", page=self.repo.page),
            )
        self.done = before + size
        self.progress(self.stage, self.done, self.total)

    def _commit(self, operations: Sequence[CommitOperationAdd | CommitOperationDelete]) -> str:
        try:
            made = self.repo.hub.api().create_commit(
                self.repo.id,
                operations,
                commit_message=self.message,
                repo_type="dataset",
                parent_commit=self.parent,
            )
        except ValueError as error:
            raise self._refused(error, "Invalid metadata in README.md.", "card") from error
        return str(made.oid)

    def _refused(self, error: ValueError, known: str, what: str) -> Exception:
        """The library's ValueError for what the Hub finds wrong, in our words; any other as it is."""
        head, found, reasons = str(error).partition(known)
        if head or not found:
            return error
        reasons = "; ".join(
            line.removeprefix("- ") for line in self.repo.hub.redact(reasons).split("\n") if line.strip()
        )
        return InvalidInput(
            Phrase("The Hub does not take the {what}: {reason}", what=what, reason=reasons), "Mend it and push again."
        )


class _Watched(io.BufferedReader):
    """A file that tells how many bytes are read from it."""

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path))
        self._told = told

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._told(len(data))
        return data


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the screen what the library says and draws of its own accord about uploads that go as they should."""
    from huggingface_hub.constants import HF_HUB_DISABLE_PROGRESS_BARS
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    loggers = [logging.getLogger(f"huggingface_hub.{name}") for name in ("_commit_api", "hf_api")]

    def is_news(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return "binary IO buffer" not in text and "No files have been modified" not in text

    for logger in loggers:
        logger.addFilter(is_news)
    had_bars = HF_HUB_DISABLE_PROGRESS_BARS is None and not are_progress_bars_disabled()
    if had_bars:
        disable_progress_bars()
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_news)
        if had_bars:
            enable_progress_bars()
