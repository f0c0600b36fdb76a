"""A job that trains nothing and can fail on demand: it walks the whole life cycle in a second, for tests."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from studio.errors import Cancelled, RunFailed
from studio.jobdir import JobDir
from studio.workspace import write_json


def run(job: JobDir, spec: dict[str, Any]) -> dict[str, Any]:
    """`spec["noop"]`: {"steps", "step_s", "fail_at", "die_at"}; writes an adapter folder without weights."""
    plan = {"steps": 3, "step_s": 0.05, "fail_at": None, "die_at": None, **spec.get("noop", {})}
    for step in range(1, plan["steps"] + 1):
        if job.is_cancel_asked():
            raise Cancelled("The run was cancelled.")
        job.append_event(
            {"phase": "training", "step": step, "total": plan["steps"], "learned": step, "of": plan["steps"]}
        )
        if plan["fail_at"] == step:
            raise RunFailed("The job was told to fail.")
        if plan["die_at"] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(plan["step_s"])
    write_json(job.adapter / "studio-adapter.json", {"base": spec.get("base", {})})
    return {"sha256": "0" * 64, "learned": plan["steps"]}
