"""The folder of one run: everything that crosses between the app and the worker is a file in it.

spec.json      what to do, written once before the worker starts
train.jsonl    the snapshot's rows: {"example", "version", "messages", "answer"}, and where a row has them
               {"learn_answer", "answer_extra", "tools"}; a turn of "messages" to be learned has "learn"
process.json   the worker's process id and start time, written by the starter
events.jsonl   one line per event, appended by the worker
result.json    how it ended; written last, renamed into place
log.txt        the worker's standard output and errors
cancel         exists once someone asked the worker to stop
adapter/       the trained adapter, renamed into place when whole
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.workspace import read_json, write_atomic, write_json

PROTOCOL = 1


@dataclass(frozen=True)
class JobDir:
    """One run's folder."""

    path: Path

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def train_file(self) -> Path:
        return self.path / "train.jsonl"

    def write_spec(self, spec: dict[str, Any], rows: Iterable[dict[str, Any]]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(self.train_file, text.encode())
        write_json(self.path / "spec.json", {"protocol": PROTOCOL, **spec})

    def spec(self) -> dict[str, Any]:
        return dict(read_json(self.path / "spec.json") or {})

    def rows(self) -> list[dict[str, Any]]:
        with open(self.train_file, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def write_process(self, pid: int, started: float) -> None:
        write_json(self.path / "process.json", {"pid": pid, "started": started})

    def process(self) -> dict[str, Any] | None:
        return read_json(self.path / "process.json")

    def append_event(self, event: dict[str, Any]) -> None:
        """Append one line in one write, so that a reader never sees half of two."""
        line = (json.dumps(event, ensure_ascii=False) + "\n").encode()
        handle = os.open(self.path / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def events(self) -> list[dict[str, Any]]:
        """All whole events; a last line cut by a crash is left out."""
        try:
            text = (self.path / "events.jsonl").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        events = []
        for line in text.split("\n")[:-1]:
            try:
                events.append(json.loads(line))
            except ValueError:
                continue
        return events

    def write_result(self, result: dict[str, Any]) -> None:
        write_json(self.path / "result.json", result)

    def result(self) -> dict[str, Any] | None:
        return read_json(self.path / "result.json")

    def ask_to_cancel(self) -> None:
        (self.path / "cancel").touch()

    def is_cancel_asked(self) -> bool:
        return (self.path / "cancel").exists()

    def log_tail(self, lines: int = 20) -> str:
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
