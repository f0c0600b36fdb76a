"""Worker processes: start one that outlives the app, tell whether it lives, stop it. Knows nothing of training."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from studio.jobdir import JobDir

START_GRACE_S = 15.0
SECRET_MARKS = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "ACCESS_KEY", "CREDENTIAL")


def child_environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a worker: without secrets, and with everything that would call the network turned off."""
    env = os.environ if env is None else env
    kept = {k: v for k, v in env.items() if not any(mark in k.upper() for mark in SECRET_MARKS)}
    kept.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false", PYTHONUNBUFFERED="1")
    # Threads that wait for each other give the processor up soon. Where chat and trainer share two cores, they would
    # stand in each other's way; not waiting at all halves the speed of a trainer that is alone (247, 229 and 137
    # tokens/s with libgomp's own count, this one, and OMP_WAIT_POLICY=PASSIVE).
    kept.setdefault("GOMP_SPINCOUNT", "10000")
    return kept


def start(job: JobDir, module: str, arguments: Sequence[str] = ()) -> int:
    """Start `python -m module FOLDER` in a session of its own, so that it outlives this process; returns its id."""
    with open(job.log, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(job.path), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=child_environment(),
            cwd=Path(__file__).resolve().parent.parent,
        )
    record_process(job, process.pid)
    return process.pid


def record_process(job: JobDir, pid: int) -> None:
    """Write who works on this run. Starter and worker both do it: either may be killed before the other has."""
    with contextlib.suppress(psutil.Error):
        job.write_process(pid, psutil.Process(pid).create_time())


def _process(job: JobDir) -> psutil.Process | None:
    record = job.process()
    if not record:
        return None
    try:
        process = psutil.Process(record["pid"])
        # A process id is used again after a restart; the start time tells ours from a stranger's.
        if abs(process.create_time() - record["started"]) > 1.0:
            return None
        if process.status() == psutil.STATUS_ZOMBIE:
            with contextlib.suppress(psutil.Error, ChildProcessError):
                process.wait(timeout=0)
            return None
        return process
    except psutil.Error:
        return None


def is_alive(job: JobDir) -> bool:
    """Whether the worker runs, or may be just about to."""
    if job.process() is None:
        # Killed between the spec and the process record: the worker may still be importing.
        spec = job.path / "spec.json"
        return spec.exists() and time.time() - spec.stat().st_mtime < START_GRACE_S
    return _process(job) is not None


def resident_bytes(job: JobDir) -> int:
    """Memory the worker holds now, in bytes; 0 if it is gone."""
    process = _process(job)
    try:
        return int(process.memory_info().rss) if process else 0
    except psutil.Error:
        return 0


def cancel(job: JobDir) -> None:
    """Ask the worker to stop at its next step."""
    job.ask_to_cancel()


def kill(job: JobDir) -> None:
    """Stop the worker and its children at once."""
    if (process := _process(job)) is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
