"""What leaves through the browser: exports of the workspace and nothing else, by links that can't be guessed."""

from __future__ import annotations

import io
import secrets
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import fastapi
from fastapi.responses import FileResponse, Response, StreamingResponse

from studio.errors import InvalidInput

CHUNK = 1 << 20
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Downloads:
    """Links to files and folders inside one folder; they end with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._tokens: dict[tuple[Path, ...], str] = {}
        self._paths: dict[str, tuple[Path, ...]] = {}

    def link(self, paths: Sequence[Path]) -> str:
        """An address, relative to the page, of one file; or of a ZIP of a folder or of several files.

        Raises:
            InvalidInput: one of them lies elsewhere.
        """
        key = tuple(paths)
        if not key or not all(self._is_inside(path) for path in key):
            raise InvalidInput("Only exports can be downloaded.", "Export the examples first.")
        with self._lock:
            if key not in self._tokens:
                self._tokens[key] = secrets.token_urlsafe(24)
                self._paths[self._tokens[key]] = key
            return f"download/{self._tokens[key]}/{quote(_name(key))}"

    def response(self, token: str) -> Response:
        """What lies behind a link; 404 if there is none, or nothing is there any more."""
        paths = self._paths.get(token, ())
        if not paths or not all(path.exists() and self._is_inside(path) for path in paths):
            return Response(status_code=404)
        if len(paths) == 1 and paths[0].is_file():
            return FileResponse(
                paths[0], filename=_name(paths), media_type="application/octet-stream", headers=_HEADERS
            )
        disposition = f"attachment; filename*=UTF-8''{quote(_name(paths))}"
        return StreamingResponse(
            zipped(paths), media_type="application/zip", headers={**_HEADERS, "Content-Disposition": disposition}
        )

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._folder.resolve()) and path.resolve() != self._folder.resolve()


def serve(app: fastapi.FastAPI, downloads: Downloads) -> None:
    @app.get("/download/{token}/{name}")
    def download(token: str, name: str) -> Response:
        return downloads.response(token)


def _name(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 and not paths[0].is_dir() else f"{paths[0].stem}.zip"


class _Outgoing(io.RawIOBase):
    """Takes what is written, until it is fetched."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self._parts.append(bytes(data))  # type: ignore[call-overload]
        return len(self._parts[-1])

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


def zipped(paths: Sequence[Path]) -> Iterator[bytes]:
    """A ZIP file of files and folders, made while it is fetched. Nothing is compressed: Parquet is already."""
    out = _Outgoing()
    with zipfile.ZipFile(out, "w") as archive:
        for path in paths:
            files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
            for file in files:
                info = zipfile.ZipInfo.from_file(file, file.relative_to(path.parent).as_posix())
                with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                    while chunk := source.read(CHUNK):
                        target.write(chunk)
                        yield out.take()
    yield out.take()
