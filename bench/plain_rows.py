"""What raw DuckDB takes for the same: `python -m bench.plain_rows FILE FOLDER`.

Its table has the file's columns, a number and three words; no history, no verification, no search index, no counts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import duckdb

from bench.child import say
from bench.rows import PAGE, PAGES, PAUSE_S, WORDS, Memory, percentile, timed

ORDERS = ("n DESC", "n", "length(instruction) + length(output) DESC, n", "instruction, n")
FILTERS = ("true", "status = 'approved'", "source = 'import' AND split = 'train'")


def main(file: Path, folder: Path, edits: int = 300) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    memory, found = Memory(), dict[str, Any]()
    # Like ours it leaves memory for a model; the least in which it could write Parquet.
    database = duckdb.connect(str(folder / "plain.duckdb"), config={"memory_limit": "1GB"})

    def run(sql: str, *values: object) -> list[Any]:
        return database.execute(sql, list(values)).fetchall()

    columns = "{instruction: 'VARCHAR', input: 'VARCHAR', output: 'VARCHAR'}"
    found["import_s"] = timed(
        lambda: run(
            "CREATE TABLE t AS SELECT row_number() OVER () AS n, 'approved' AS status, 'import' AS source,"
            f" 'train' AS split, * FROM read_json('{file}', format = 'newline_delimited', columns = {columns})"
        )
    )
    found["import_bytes"] = memory.mark()
    near = [
        timed(run, f"SELECT * FROM t WHERE {where} ORDER BY {order} LIMIT {PAGE} OFFSET {page * PAGE}")
        for where in FILTERS
        for order in ORDERS
        for page in PAGES
    ]
    found |= {"page_p50_s": percentile(near, 50), "page_p95_s": percentile(near, 95)}
    ilike = f"SELECT * FROM t WHERE instruction ILIKE ? OR input ILIKE ? OR output ILIKE ? ORDER BY n DESC LIMIT {PAGE}"
    took = {word: [timed(run, ilike, *3 * [f"%{word}%"]) for _ in range(3)] for word in WORDS}
    every = [seconds for some in took.values() for seconds in some]
    found |= {"search_p50_s": percentile(every, 50), "search_p95_s": percentile(every, 95)}
    found["by_word"] = {word: percentile(some, 95) for word, some in took.items()}
    found["looks_bytes"] = memory.mark()
    insert, saved = "INSERT INTO t VALUES (?, 'approved', 'import', 'train', ?, '', ?)", []
    for number in range(edits):
        text = f"A better answer, number {number}. " * 20
        saved.append(timed(run, insert, -number, text, text))
        time.sleep(PAUSE_S)
    found |= {"save_p50_s": percentile(saved, 50), "save_p99_s": percentile(saved, 99)}
    copy = "COPY (SELECT * FROM t) TO '{}' (FORMAT {})"
    found["parquet_s"] = timed(run, copy.format(folder / "out.parquet", "parquet, ROW_GROUP_SIZE 10000"))
    found["trl-messages_s"] = timed(run, copy.format(folder / "out.jsonl", "json"))
    found["exports_bytes"] = memory.mark()
    database.close()
    return found


if __name__ == "__main__":
    say(main(Path(sys.argv[1]), Path(sys.argv[2])))
