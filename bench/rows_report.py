"""The page that says how a million rows fared."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import report
from bench.report import Row

DOCS = Path(__file__).resolve().parent.parent / "docs" / "bench-rows.md"
TARGETS = {
    "import_s": ("import", 20.0),
    "page_p95_s": ("a page of the table with filter, sort and counts, p95", 0.060),
    "search_p95_s": ("text search, p95", 0.150),
    "save_p99_s": ("durable save of a correction, p99", 0.010),
    "parquet_s": ("Parquet export, verified", 6.0),
}
MEMORY_MB = 300
NOTES = "## Notes"


def tables(ours: Mapping[str, Any], plain: Mapping[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    def ms(name: str, key: str, tool: str) -> Row:
        return Row(name, "ms", ours[key] * 1000, plain[key] * 1000 if key in plain else None, tool)

    def s(name: str, key: str, tool: str = "") -> Row:
        return Row(name, "s", ours[key], plain.get(key), tool)

    looks, finds = "SELECT … ORDER BY … LIMIT, no counts", "ILIKE, no counts"
    yield (
        f"{ours['rows']:,} rows",
        [
            s("import", "import_s", "CREATE TABLE AS … read_json"),
            s("search index, filled in the background after it", "index_s"),
            ms(
                "page of the table with filter, sort and counts, p50",
                "page_p50_s",
                looks,
            ),
            ms(
                "page of the table with filter, sort and counts, p95",
                "page_p95_s",
                looks,
            ),
            ms("page far down (30, 60 and 90 % of the rows), p50", "deep_p50_s", ""),
            ms("page far down (30, 60 and 90 % of the rows), p95", "deep_p95_s", ""),
            ms("text search with counts, p50", "search_p50_s", finds),
            ms("text search with counts, p95", "search_p95_s", finds),
            *(
                Row(f"search for “{word}”, p95", "ms", seconds * 1000, plain["by_word"][word] * 1000, finds)
                for word, seconds in ours["by_word"].items()
            ),
            ms("durable save of a correction, p50", "save_p50_s", "INSERT and commit"),
            ms("durable save of a correction, p99", "save_p99_s", "INSERT and commit"),
            Row("Parquet export, written", "s", ours["parquet_written_s"], plain["parquet_s"], "COPY"),
            s(
                f"Parquet export, written and read again ({_verified(ours, 'parquet')})",
                "parquet_s",
                "COPY, not verified",
            ),
            s(f"JSON Lines export ({_verified(ours, 'trl-messages')})", "trl-messages_s", "COPY, not verified"),
        ],
    )
    memory = [
        ("import", "import_bytes", "import_bytes"),
        ("filling the search index", "index_bytes", ""),
        ("paging", "pages_bytes", "looks_bytes"),
        ("searching", "searches_bytes", "looks_bytes"),
        ("saving", "saves_bytes", ""),
        ("Parquet export", "parquet_bytes", "exports_bytes"),
        ("JSON Lines export", "trl-messages_bytes", "exports_bytes"),
    ]
    yield (
        "Most memory above that of the start",
        [Row(name, "MB", ours[a] / 1e6, plain[b] / 1e6 if b else None, "limit of 1 GB") for name, a, b in memory],
    )
    yield "Targets", [*_targets(ours)]


def _verified(ours: Mapping[str, Any], name: str) -> str:
    return "verified" if ours[f"{name}_verified"] else "NOT VERIFIED"


def _targets(ours: Mapping[str, Any]) -> Iterator[Row]:
    for key, (name, most) in TARGETS.items():
        yield Row(name, "s", ours[key], most, "reached" if ours[key] <= most else "not reached")
    growth = max(v for k, v in ours.items() if k.endswith("_bytes")) / 1e6
    yield Row("memory growth", "MB", growth, MEMORY_MB, "reached" if growth <= MEMORY_MB else "not reached")


def run(bench: Any, part: Callable[[Any], Iterator[tuple[str, list[Row]]]], save: bool) -> int:
    import os

    import duckdb

    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    pages = [
        f"# A million rows: benchmark of {datetime.datetime.now(datetime.UTC):%d %B %Y}",
        (
            f"- Machine: {cpu}, {os.cpu_count()} cores; Python {platform.python_version()},"
            f" DuckDB {duckdb.__version__}\n"
            f"- Load before the start: {report.load()}; at the end: LOAD_AFTER (1, 5, 15 minutes)\n"
            "- Both sides in one run, one after the other: `python -m bench --only rows --save`"
        ),
    ]
    for title, rows in part(bench):
        text = report.table(rows)
        if title == "Targets":
            text = text.replace("ours ÷ plain", "ours ÷ target").replace("| plain |", "| target |")
            text = text.replace("the plain tool", "reached?")
        pages.append(f"## {title}\n\n{text}")
    text = "\n\n".join(pages).replace("LOAD_AFTER", report.load()) + "\n"
    print(text)
    if save:
        # What a person wrote below the figures stays.
        _, heading, notes = (DOCS.read_text(encoding="utf-8") if DOCS.exists() else "").partition(NOTES)
        DOCS.write_text(f"{text}\n{heading}{notes}" if heading else text, encoding="utf-8")
    return 0


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
