"""A million rows of 1 KB through the studio: import, table, search, saves, exports. Prints what each took.

`python -m bench.rows FILE WORKSPACE`; `plain_rows` does the raw DuckDB operation of each.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.child import say
from bench.rows_material import ABSENT_EN, ABSENT_JA, COMMON_EN, COMMON_JA, RARE_EN, RARE_JA
from studio import dataset, exports, imports, projects
from studio.context import Studio, open_studio
from studio.formats import ENDINGS, FormatName
from studio.rows import RowFilter, Sort
from studio.settings import Settings
from studio.ui.data_rows import MOST_HITS

WORDS = (COMMON_EN, RARE_EN, ABSENT_EN, f"{COMMON_EN} {RARE_EN}", COMMON_JA, RARE_JA, ABSENT_JA)
SORTS: tuple[Sort, ...] = ("newest", "oldest", "changed", "longest", "shortest", "rating", "question")
FILTERS = (
    RowFilter(),
    RowFilter(statuses=("approved",)),
    RowFilter(sources=("import",), splits=("train",)),
    RowFilter(statuses=("draft", "approved"), authors=("expert",)),
)
PAGES = (0, 1, 2, 9, 399)
"""The table's pages that are looked at; deeper ones are measured by themselves."""
PAGE = 25
EXPORTS: tuple[FormatName, ...] = ("parquet", "trl-messages")
PAUSE_S = 0.05
"""Between two saves: nobody saves faster, and what is done a moment later is no part of saving."""


class Memory:
    """The most memory resident since the last `mark`, in bytes above that of the start."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._start = self._process.memory_info().rss
        self._peak = self._start
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, self._process.memory_info().rss)
            time.sleep(0.02)

    def mark(self) -> int:
        peak, self._peak = self._peak, self._process.memory_info().rss
        return peak - self._start


def timed(work: Callable[..., object], *arguments: Any, **named: Any) -> float:
    began = time.perf_counter()
    work(*arguments, **named)
    return time.perf_counter() - began


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent are not above, in the unit of the values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@contextmanager
def opened(workspace: Path) -> Iterator[tuple[Studio, str]]:
    studio = open_studio(Settings(workspace=workspace, engine="echo"))
    try:
        yield studio, projects.default(studio).id
    finally:
        studio.close()


def pages(studio: Studio, project_id: str) -> dict[str, Any]:
    asked = list(itertools.product(FILTERS, SORTS, PAGES))

    def look(rows: RowFilter, sort: Sort, page: int) -> None:
        dataset.facets(studio, project_id, rows, MOST_HITS)
        dataset.page(studio, project_id, rows, sort, PAGE, page * PAGE)

    near = [timed(look, *one) for one in asked]
    total = studio.store.examples.count(project_id)
    deep = [timed(look, RowFilter(), sort, int(total * part) // PAGE) for sort in SORTS for part in (0.3, 0.6, 0.9)]
    return {
        "page_p50_s": percentile(near, 50),
        "page_p95_s": percentile(near, 95),
        "deep_p50_s": percentile(deep, 50),
        "deep_p95_s": percentile(deep, 95),
    }


def searches(studio: Studio, project_id: str, times: int = 10) -> dict[str, Any]:
    """As the table does it: how many there are, then the first page."""

    def look(text: str) -> None:
        rows = RowFilter(text=text)
        found = dataset.facets(studio, project_id, rows, MOST_HITS)
        dataset.page(studio, project_id, rows, "newest", PAGE, 0, MOST_HITS if found.capped else None)

    took = {word: [timed(look, word) for _ in range(times)] for word in WORDS}
    every = [seconds for some in took.values() for seconds in some]
    by_word = {word: percentile(some, 95) for word, some in took.items()}
    return {"search_p50_s": percentile(every, 50), "search_p95_s": percentile(every, 95), "by_word": by_word}


def saves(studio: Studio, project_id: str, count: int) -> dict[str, Any]:
    """Edits of answers all over the table; each is durable when it returns."""
    total = studio.store.examples.count(project_id)
    step = max(1, total // count)
    ids = [dataset.page(studio, project_id, RowFilter(), "oldest", 1, offset)[0].id for offset in range(0, total, step)]
    took = []
    for number, id_ in enumerate(ids[:count]):
        answer = f"A better answer, number {number}. " * 20
        took.append(timed(dataset.edit, studio, id_, answer=answer))
        time.sleep(PAUSE_S)
    return {"save_p50_s": percentile(took, 50), "save_p99_s": percentile(took, 99)}


def exported(studio: Studio, project_id: str, out: Path, format_: FormatName) -> dict[str, Any]:
    """An export, which goes through all rows twice: when they were written, and when they were read again too."""
    moments: list[float] = []

    def progress(done: int, total: int) -> None:
        if done >= total // 2:
            moments.append(time.perf_counter())

    began = time.perf_counter()
    made = exports.export(studio, project_id, out, format_, progress=progress)
    return {
        f"{format_}_s": time.perf_counter() - began,
        f"{format_}_written_s": moments[0] - began,
        f"{format_}_verified": made.is_verified,
    }


def settled(studio: Studio) -> None:
    """Wait until the rows that were saved last are looked at, and what else follows on saves is done."""
    done = threading.Event()
    studio.later(done.set)
    done.wait()


def first_save(workspace: Path) -> None:
    """What looks at a saved row loads its libraries at the first one; they are no part of what a million rows take."""
    with opened(workspace) as (studio, project_id):
        dataset.add(studio, project_id, "What is it?", "A thing that many have at home.")
        settled(studio)


def main(file: Path, workspace: Path, edits: int = 300) -> dict[str, Any]:
    first_save(workspace / "first")
    memory, found = Memory(), dict[str, Any]()
    with opened(workspace) as (studio, project_id):
        found["import_s"] = timed(imports.import_file, studio, project_id, file, approve=True)
        found["import_bytes"] = memory.mark()
        began = time.perf_counter()
        while not studio.store.search.is_complete():
            time.sleep(0.2)
        found["index_s"] = time.perf_counter() - began
        found["index_bytes"] = memory.mark()
    with opened(workspace) as (studio, project_id):
        found |= pages(studio, project_id)
        found["pages_bytes"] = memory.mark()
        found |= searches(studio, project_id)
        found["searches_bytes"] = memory.mark()
        found |= saves(studio, project_id, edits)
        settled(studio)
        found["saves_bytes"] = memory.mark()
        for format_ in EXPORTS:
            found |= exported(studio, project_id, workspace / f"out{ENDINGS[format_]}", format_)
            found[f"{format_}_bytes"] = memory.mark()
        found["rows"] = studio.store.examples.count(project_id)
    return found


if __name__ == "__main__":
    say(main(Path(sys.argv[1]), Path(sys.argv[2])))
