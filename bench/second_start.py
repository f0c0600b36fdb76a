"""How long the app takes to start when everything is in place: second start, offline, until its page answers.

`python -m bench.second_start WORKSPACE`. The workspace holds the model; the first start of two is not counted.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from bench.child import ROOT, environment, say

LIMIT_S = 180.0


def main(workspace: str) -> None:
    _start(Path(workspace))
    say(_start(Path(workspace)))


def _start(workspace: Path) -> dict[str, Any]:
    port = _free_port()
    command = [sys.executable, "-m", "studio", "serve", "--workspace", str(workspace), "--port", str(port)]
    log = workspace / "serve.log"
    started = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**environment(), "STUDIO_OFFLINE": "1"}, stdout=out, stderr=out
        )
    try:
        page_s = _until(process, started, log, f"http://127.0.0.1:{port}/", lambda r: "gradio" in r.text)
        health = f"http://127.0.0.1:{port}/healthz"
        ready_s = _until(process, started, log, health, lambda r: '"ready"' in r.text or r.status_code == 404)
        return {"page_s": page_s, "ready_s": ready_s}
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(process: subprocess.Popen[bytes], started: float, log: Path, url: str, is_right: Any) -> float:
    """Seconds from the start to an answer of `url` that is right."""
    while time.perf_counter() - started < LIMIT_S:
        if process.poll() is not None:
            raise SystemExit(f"The app ended: {log.read_text(errors='replace')[-500:]}")
        try:
            response = httpx.get(url, timeout=10, follow_redirects=True, trust_env=False)
            if is_right(response) and response.status_code in (200, 404):
                return time.perf_counter() - started
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within {LIMIT_S:.0f} s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    os.environ.pop("STUDIO_MODEL", None)
    main(*sys.argv[1:])
