"""Run one measurement in a fresh process, and watch the memory that it and its own children hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_EVERY_S = 0.1
LIMIT_S = 1800.0
"""bfloat16 training of 4-bit weights on a CPU without such instructions would not end in a day."""


class Failed(Exception):
    """A measurement did not end well; its log says why."""


@dataclass(frozen=True)
class Measured:
    """What a measurement printed, and the most memory its processes held at once."""

    value: dict[str, Any]
    peak_bytes: int


def measure(module: str, arguments: Sequence[object], log: Path) -> Measured:
    """Run `python -m module arguments`; the last line of its standard output is a JSON object.

    Raises:
        Failed: it ended with an error.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    print(f"… {' '.join(command[2:4])} {' '.join(Path(a).name or a for a in command[4:])}", file=sys.stderr, flush=True)
    peak = 0
    ended = threading.Event()

    def sample(pid: int) -> None:
        nonlocal peak
        while not ended.wait(SAMPLE_EVERY_S):
            peak = max(peak, resident_bytes(pid))

    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        sampler = threading.Thread(target=sample, args=(process.pid,), daemon=True)
        sampler.start()
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"did not end in {LIMIT_S / 60:.0f} minutes") from error
        finally:
            stop(process)
            ended.set()
            sampler.join()
    if process.returncode:
        tail = " | ".join(log.read_text(errors="replace").splitlines()[-3:])
        raise Failed(f"{module} ended with status {process.returncode}: {tail} (all of it in {log})")
    return Measured(json.loads(output.splitlines()[-1]), peak)


def stop(process: subprocess.Popen[str]) -> None:
    """End a measurement that still runs, and whatever it started."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def resident_bytes(pid: int) -> int:
    """Memory resident in a process and everything it started, in bytes. Shared pages count once per process."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        return total
    return total


def environment() -> dict[str, str]:
    """Ours and theirs alike: no network, no progress bars."""
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }


def say(value: dict[str, Any]) -> None:
    """Print a measurement's result as the last line."""
    print(json.dumps(value), flush=True)
