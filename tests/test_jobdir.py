from __future__ import annotations

import threading
from pathlib import Path

from studio.jobdir import PROTOCOL, JobDir


def test_spec_and_rows_come_back_as_written(tmp_path: Path) -> None:
    job = JobDir(tmp_path / "run")
    rows = [{"example": "e1", "answer": "日本\u2028\nzwei"}, {"example": "e2", "answer": ""}]
    job.write_spec({"method": "lora"}, rows)
    assert job.spec() == {"protocol": PROTOCOL, "method": "lora"}
    assert job.rows() == rows


def test_a_last_event_cut_by_a_crash_is_left_out(tmp_path: Path) -> None:
    job = JobDir(tmp_path)
    assert job.events() == []
    job.append_event({"step": 1})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('not json\n{"step": 2')
    assert job.events() == [{"step": 1}]


def test_two_writers_never_mix_their_events(tmp_path: Path) -> None:
    job = JobDir(tmp_path)

    def write(name: str) -> None:
        for number in range(500):
            job.append_event({"who": name, "number": number, "text": "x" * 300})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = job.events()
    assert len(events) == 2000
    assert [e["number"] for e in events if e["who"] == "a"] == list(range(500))


def test_what_isnt_there_yet_is_none(tmp_path: Path) -> None:
    job = JobDir(tmp_path)
    assert job.result() is None
    assert job.process() is None
    assert job.spec() == {}
    assert not job.is_cancel_asked()
    assert job.log_tail() == ""


def test_the_end_of_the_log(tmp_path: Path) -> None:
    job = JobDir(tmp_path)
    job.log.write_bytes(b"".join(b"line %d\n" % n for n in range(50)) + b"\xff\n")
    assert job.log_tail(2) == "line 49\n\ufffd"
