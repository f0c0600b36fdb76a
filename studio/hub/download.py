"""Stream files of a repository to disk.

Done here rather than by `snapshot_download`, so that a download can be cancelled at any byte, continued after a broken
connection, and shown as one bar over all files.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from studio.errors import HubUnavailable, Phrase
from studio.hub.repo import Hub, RemoteFile, Repo
from studio.transfer import CHUNK, IsCancelled, stop_if

STALLED_AFTER_S = 30.0
ATTEMPTS = 3


def folder_for(folder: Path, commit: str) -> Path:
    """Return the part of the folder for this commit; what another commit left is deleted."""
    target = folder / commit
    if folder.is_dir():
        for other in folder.iterdir():
            if other != target:
                shutil.rmtree(other)
    target.mkdir(parents=True, exist_ok=True)
    return target


def save(
    repo: Repo, file: RemoteFile, commit: str, target: Path, cancelled: IsCancelled, *, check: bool = False
) -> Iterator[int]:
    """Stream one file to disk, yielding how many of its bytes are there; a broken connection is tried again.

    Args:
        check: compare it with the checksum that the Hub names, if it names one.

    Raises:
        HubUnavailable: it arrived with the wrong size or checksum; nothing of it is kept.
        Cancelled: `cancelled()` became true.
    """
    import httpx2

    if target.exists():
        yield target.stat().st_size
        return
    part = target.with_name(f"{target.name}.part")
    for attempt in range(ATTEMPTS):
        stop_if(cancelled)
        try:
            yield from _stream(repo.hub, repo.url_of(file.name, commit), part, file.size, cancelled)
            break
        except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(attempt + 0.5)
    if file.size and part.stat().st_size != file.size:
        part.unlink()
        raise HubUnavailable(
            Phrase("{file} of {dataset} arrived with the wrong size.", file=file.name, dataset=repo.id),
            "Fetch it again.",
        )
    if check and file.sha256:
        with part.open("rb") as written:
            found = hashlib.file_digest(written, "sha256").hexdigest()
        if found != file.sha256:
            part.unlink()
            raise HubUnavailable(
                Phrase(
                    "{file} of {dataset} was damaged on the way: its checksum is wrong.",
                    file=file.name,
                    dataset=repo.id,
                ),
                "Fetch it again.",
            )
    part.replace(target)


def _stream(hub: Hub, url: str, part: Path, size: int, cancelled: IsCancelled) -> Iterator[int]:
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

    done = part.stat().st_size if part.exists() else 0
    headers = {**hub.headers(), "Accept-Encoding": "identity"}
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
                if size and done > size:  # more than was said: not what the limit and the disk were checked for
                    return
                if done - told >= CHUNK:
                    yield (told := done)
            yield done


def read_text(repo: Repo, name: str, commit: str) -> str:
    """Return a small text file; what is no UTF-8 in it is replaced."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

    url = repo.url_of(name, commit)
    answer = get_session().get(url, headers=repo.hub.headers(), timeout=STALLED_AFTER_S, follow_redirects=True)
    hf_raise_for_status(answer)
    return answer.content.decode("utf-8-sig", errors="replace")
