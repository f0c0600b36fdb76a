from __future__ import annotations

import threading

import pytest

from studio.errors import Busy, Cancelled
from studio.ui.work import Work, Works, bar_html
from tests.conftest import until


def until_cancelled(work: Work) -> None:
    work.report("importing", 1, 4)
    assert work.cancelled.wait(10)
    raise Cancelled("Stopped.")


def test_one_of_a_kind_at_a_time_in_a_project() -> None:
    works = Works()
    first = works.start("p", "import", until_cancelled, threading.Event())
    with pytest.raises(Busy):
        works.start("p", "import", until_cancelled, threading.Event())
    others = [works.start(*where, lambda work: 7, threading.Event()) for where in (("p", "export"), ("q", "import"))]
    until(lambda: not any(work.is_running for work in others))
    assert [work.result for work in others] == [7, 7]
    works.forget("p", "import")
    assert works.last("p", "import") is first
    first.cancelled.set()
    until(lambda: not first.is_running)
    assert isinstance(first.error, Cancelled)
    works.forget("p", "import")
    assert works.last("p", "import") is None


def test_a_failure_is_told_without_its_details() -> None:
    works = Works()
    work = works.start("p", "import", lambda work: 1 / 0, threading.Event())
    until(lambda: not work.is_running)
    assert "Something went wrong" in str(work.error)


def test_a_studio_that_closes_stops_it() -> None:
    closing = threading.Event()
    closing.set()
    work = Works().start("p", "import", until_cancelled, closing)
    until(lambda: not work.is_running)
    assert isinstance(work.error, Cancelled)


def test_the_bar_says_how_far_it_is() -> None:
    work = Work(threading.Event())
    assert "st-unknown" in bar_html(work, "en")
    work.report("importing", 1, 4)
    assert 'aria-valuenow="25"' in bar_html(work, "en")
    assert "行を読み込んでいます" in bar_html(work, "ja")
    work.report("<script>", 1, 4)
    assert "<script>" not in bar_html(work, "en")
