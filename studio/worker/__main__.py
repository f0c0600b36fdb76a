"""`python -m studio.worker RUN_FOLDER`: train as the folder's spec says, and write how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from studio.errors import Cancelled, StudioError
from studio.jobdir import JobDir
from studio.jobs import record_process


def main(folder: str) -> int:
    job = JobDir(Path(folder))
    record_process(job, os.getpid())
    signal.signal(signal.SIGTERM, lambda *_: job.ask_to_cancel())
    # Whoever waits for an answer in the chat goes first on the processor.
    with contextlib.suppress(OSError):
        os.nice(10)
    started = time.time()
    try:
        job.append_event({"phase": "starting", "t": started})
        spec = job.spec()
        if spec.get("method") == "noop":
            from studio.worker.noop import run
        else:
            from studio.worker.trainer import run
        result = {"status": "finished", **run(job, spec)}
    except Cancelled as error:
        result = {"status": "cancelled", "error": error.message}
    except StudioError as error:
        result = {"status": "failed", "error": error.message, "hint": error.hint}
    except MemoryError:
        result = {"status": "failed", "error": "There was not enough memory.", "hint": "Lower batch_size."}
    except Exception as error:  # noqa: BLE001 - the worker's main: whatever it is, the folder must say so
        traceback.print_exc()
        out_of_memory = type(error).__name__ == "OutOfMemoryError"
        hint = "Lower batch_size, or use qlora." if out_of_memory else "The log has the details."
        result = {"status": "failed", "error": f"{type(error).__name__}: {error}", "hint": hint}
    last: dict[str, Any] = next((e for e in reversed(job.events()) if "phase" in e), {})
    job.write_result(
        {"phase": last.get("phase", ""), "step": last.get("step", 0), "seconds": time.time() - started, **result}
    )
    return 0 if result["status"] == "finished" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
