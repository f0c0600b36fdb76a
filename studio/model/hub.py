"""Fetch a model's files from a Hugging Face Hub: safetensors, configuration and tokenizer; no code, no pickles.

Files are streamed here rather than by `snapshot_download`, so that a download can be cancelled at any byte, continued
after a broken connection, and shown as one bar over all files.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import ModelUnavailable
from studio.model.catalogue import ModelEntry
from studio.model.files import CHUNK, Fetched, IsCancelled, Progress, check_config, check_names, need_space, stop_if

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

ANSWER_WITHIN_S = 8.0
"""How long the Hub may take for its first answer, looking up its address included."""
STALLED_AFTER_S = 30.0
ATTEMPTS = 3

SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
KEPT = re.compile(
    r"(?!adapter_config\.json$)[^/]+\.(json|jinja)"
    r"|tokenizer\.model|spiece\.model|merges\.txt|vocab\.txt"
    r"|(licen[cs]e|notice|readme|use_policy|[a-z_]*terms_of_use)(\.(md|txt))?",
    re.IGNORECASE,
)


def fetch(entry: ModelEntry, folder: Path, *, hub_url: str, progress: Progress, cancelled: IsCancelled) -> Fetched:
    """Fetch a model into a folder, continuing what an interrupted call for the same commit left there.

    Raises:
        ModelUnavailable: the Hub can't be reached, has no such model or commit, wants its licence accepted first, or
            offers the model only in a form that the studio refuses.
        DiskFull: there is no room for it.
        Cancelled: `cancelled()` became true.
    """
    with _hub_errors(entry, hub_url):
        progress("Asking the Hub", 0, 0)
        info = _describe(entry, hub_url)
        commit = str(info.sha)
        sizes = {s.rfilename: s.size or 0 for s in info.siblings or ()}
        names = choose(set(sizes), entry.name)
        total = sum(sizes[name] for name in names)
        folder = _for_commit(folder, commit)
        have = sum(path.stat().st_size for path in folder.iterdir())
        need_space(folder, max(total - have, 0), entry.name)

        done = 0
        for name in names:
            for size in _save(entry.hub_id, name, commit, folder / name, sizes[name], hub_url, cancelled):
                progress("Downloading", done + size, total)
            done += sizes[name]
            if name == "config.json":
                check_config(folder / name, entry.name)
    return Fetched(
        source="hub",
        revision=commit,
        licence=str(getattr(info.card_data, "license", "") or ""),
        sha256={s.rfilename: s.lfs.sha256 for s in info.siblings or () if s.lfs and s.rfilename in names},
    )


def choose(names: set[str], model: str) -> list[str]:
    """Choose the files to fetch among those of a repository: config.json first, the weights last.

    Raises:
        ModelUnavailable: the repository offers the model only in a form that the studio refuses.
    """
    top = {name for name in names if "/" not in name}
    check_names(top, model)
    weights = {n for n in top if n.endswith(".safetensors") and not n.startswith(("adapter_", "consolidated"))}
    kept = {name for name in top if KEPT.fullmatch(name)}
    if "model.safetensors" in weights:
        weights = {"model.safetensors"}
        kept.discard("model.safetensors.index.json")
    elif shards := {name for name in weights if SHARD.fullmatch(name)}:
        weights = shards
    return ["config.json", *sorted(kept - {"config.json"}), *sorted(weights)]


def _describe(entry: ModelEntry, hub_url: str) -> ModelInfo:
    """Ask what files there are; a dead network must not hold a person up, so the wait is bounded as a whole."""
    from huggingface_hub import HfApi

    def ask() -> ModelInfo:
        return HfApi(endpoint=hub_url).model_info(
            entry.hub_id, revision=entry.revision or None, files_metadata=True, timeout=ANSWER_WITHIN_S - 2
        )

    return _within(ANSWER_WITHIN_S, ask)


def _for_commit(folder: Path, commit: str) -> Path:
    """Return the part of the folder for this commit; what another commit left is deleted."""
    target = folder / commit
    if folder.is_dir():
        for other in folder.iterdir():
            if other != target:
                shutil.rmtree(other)
    target.mkdir(parents=True, exist_ok=True)
    return target


def _save(
    hub_id: str, name: str, commit: str, target: Path, size: int, hub_url: str, cancelled: IsCancelled
) -> Iterator[int]:
    """Stream one file to disk, yielding how many of its bytes are there; a broken connection is tried again."""
    import httpx2
    from huggingface_hub import hf_hub_url

    if target.exists():
        yield target.stat().st_size
        return
    part = target.with_name(f"{name}.part")
    url = hf_hub_url(hub_id, name, revision=commit, endpoint=hub_url)
    for attempt in range(ATTEMPTS):
        stop_if(cancelled)
        try:
            yield from _stream(url, part, cancelled)
            break
        except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(attempt + 0.5)
    if size and part.stat().st_size != size:
        part.unlink()
        raise ModelUnavailable(f"{name} of {hub_id} arrived with the wrong size.", "Fetch it again.")
    part.replace(target)


def _stream(url: str, part: Path, cancelled: IsCancelled) -> Iterator[int]:
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    done = part.stat().st_size if part.exists() else 0
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with get_session().stream("GET", url, headers=headers, timeout=STALLED_AFTER_S, follow_redirects=True) as answer:
        if answer.status_code == 416:  # nothing is left to send
            return
        if answer.status_code >= 400:
            answer.read()
            hf_raise_for_status(answer)
        if answer.status_code != 206:
            done = 0
        with part.open("ab" if done else "wb") as file:
            told = done
            for chunk in answer.iter_bytes():
                stop_if(cancelled)
                file.write(chunk)
                done += len(chunk)
                if done - told >= CHUNK:
                    yield (told := done)
            yield done


@contextlib.contextmanager
def _hub_errors(entry: ModelEntry, hub_url: str) -> Iterator[None]:
    """Turn huggingface_hub's and its HTTP client's errors into ModelUnavailable."""
    import httpx2
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{hub_url}/{entry.hub_id}"
    sign_in = "then run `hf auth login` or set HF_TOKEN, and try again."
    try:
        yield
    except GatedRepoError as error:
        message = f"The licence of {entry.hub_id} must be accepted before its files can be fetched."
        raise ModelUnavailable(message, f"Sign in and accept it at {page}, {sign_in}") from error
    except RevisionNotFoundError as error:
        message = f"{entry.hub_id} has no commit {entry.revision[:12]} on the Hub."
        raise ModelUnavailable(message, f"See {page}/commits/main.") from error
    except RepositoryNotFoundError as error:
        message = f"The Hub has no model {entry.hub_id}, or it is private."
        raise ModelUnavailable(message, f"Check the name at {page}; if it is private, {sign_in}") from error
    except HfHubHTTPError as error:
        message = f"The Hub answered with error {error.response.status_code} for {entry.hub_id}."
        raise ModelUnavailable(message, "Try again later.") from error
    except (httpx2.HTTPError, OfflineModeIsEnabled, ConnectionError, TimeoutError, ValueError) as error:
        raise ModelUnavailable(
            f"The Hub at {hub_url} can't be reached, or the connection broke.",
            "Check the connection and start again: what has arrived is kept.",
        ) from error


def _within(seconds: float, work: Callable[[], ModelInfo]) -> ModelInfo:
    """Run `work` in a thread and wait that long for it.

    Raises:
        TimeoutError: it took longer; the thread is left to end by itself.
    """
    results: list[ModelInfo] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="ask-the-hub", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds} s")
    return results[0]
