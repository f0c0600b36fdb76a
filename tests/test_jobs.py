"""The life of a worker process, with the job that trains nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from studio import jobs
from studio.jobdir import JobDir
from tests.conftest import until


@pytest.fixture
def job(tmp_path: Path) -> JobDir:
    return JobDir(tmp_path / "run")


def begin(job: JobDir, **plan: Any) -> int:
    job.write_spec({"method": "noop", "noop": plan}, [])
    return jobs.start(job, "studio.worker")


def test_a_job_that_finishes(job: JobDir) -> None:
    pid = begin(job, steps=4, step_s=0.05)
    assert jobs.is_alive(job)
    assert job.process() == {"pid": pid, "started": pytest.approx(psutil.Process(pid).create_time(), abs=1)}
    until(lambda: jobs.resident_bytes(job) > 1_000_000)  # right after the start it has hardly any pages yet
    result = until(job.result)
    assert result["status"] == "finished"
    assert (result["step"], result["phase"]) == (4, "training")
    assert result["seconds"] > 0.2
    assert [e["step"] for e in job.events() if "step" in e] == [1, 2, 3, 4]
    assert job.adapter.is_dir()
    until(lambda: not jobs.is_alive(job))
    assert jobs.resident_bytes(job) == 0


def test_a_job_that_fails_says_why(job: JobDir) -> None:
    begin(job, fail_at=2)
    result = until(job.result)
    assert (result["status"], result["error"], result["step"]) == ("failed", "The job was told to fail.", 2)
    assert not job.adapter.exists()


def test_a_job_of_a_method_that_doesnt_exist_fails_with_its_folder_saying_so(job: JobDir) -> None:
    job.write_spec({"method": "noop", "noop": {"steps": "three"}}, [])
    jobs.start(job, "studio.worker")
    result = until(job.result)
    assert result["status"] == "failed"
    assert result["error"].startswith("TypeError")
    assert "Traceback" in job.log_tail()


def test_a_job_that_is_cancelled(job: JobDir) -> None:
    begin(job, steps=1000, step_s=0.05)
    until(lambda: any("step" in e for e in job.events()))
    jobs.cancel(job)
    result = until(job.result)
    assert result["status"] == "cancelled"
    assert 1 <= result["step"] < 1000
    assert not job.adapter.exists()


def test_a_job_that_is_asked_to_end_by_the_system_counts_as_cancelled(job: JobDir) -> None:
    pid = begin(job, steps=1000, step_s=0.05)
    until(lambda: any("step" in e for e in job.events()))
    psutil.Process(pid).terminate()
    assert until(job.result)["status"] == "cancelled"


def test_a_job_that_dies_is_seen_to_be_dead_and_wrote_no_result(job: JobDir) -> None:
    begin(job, die_at=2)
    until(lambda: not jobs.is_alive(job))
    assert job.result() is None
    assert job.events()[-1]["step"] == 2


def test_killing_a_job(job: JobDir) -> None:
    begin(job, steps=1000, step_s=0.05)
    until(lambda: any("step" in e for e in job.events()))
    jobs.kill(job)
    until(lambda: not jobs.is_alive(job))
    assert job.result() is None


def test_a_process_id_used_again_is_neither_alive_nor_killed(job: JobDir) -> None:
    job.write_spec({}, [])
    me = psutil.Process()
    job.write_process(me.pid, me.create_time() - 100)
    assert not jobs.is_alive(job)
    assert jobs.resident_bytes(job) == 0
    jobs.kill(job)  # it would end this very process
    job.write_process(me.pid, me.create_time())
    assert jobs.is_alive(job)


def test_a_job_without_a_process_may_be_just_starting_for_a_while(job: JobDir) -> None:
    assert not jobs.is_alive(job)
    job.write_spec({}, [])
    assert jobs.is_alive(job)
    long_ago = time.time() - jobs.START_GRACE_S - 1
    os.utime(job.path / "spec.json", (long_ago, long_ago))
    assert not jobs.is_alive(job)


def test_a_worker_gets_no_secrets_and_no_network(job: JobDir, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "db_password")
    for name in secrets:
        monkeypatch.setenv(name, "a-secret")
    monkeypatch.setenv("STUDIO_HARMLESS", "kept")
    pid = begin(job, steps=100, step_s=0.05)
    environment = psutil.Process(pid).environ()
    jobs.kill(job)
    assert "a-secret" not in environment.values()
    assert environment["STUDIO_HARMLESS"] == "kept"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["GOMP_SPINCOUNT"] == "10000"


def test_a_worker_holds_nothing_open_of_the_app(job: JobDir, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        pid = begin(job, steps=100, step_s=0.05)
        held = {os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        jobs.kill(job)
    assert str(file.name) not in held
