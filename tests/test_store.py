from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from studio.errors import Cancelled, StoreBroken, StudioError
from studio.records import (
    Adapter,
    BaseIdentity,
    CheckResult,
    Conversation,
    Correction,
    Example,
    Message,
    Project,
    Run,
    Shot,
    Turn,
    new_id,
)
from studio.rows import Flag, RowFilter, Sort
from studio.store import Store
from studio.store.database import SCHEMA, Database
from tests.conftest import together

BASE = BaseIdentity("owner/model", "abc", "0" * 64, "nf4")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "studio.duckdb")
    yield opened
    opened.close()


def example(number: int = 1, **fields: object) -> Example:
    values: dict[str, object] = {
        "id": new_id("e"),
        "project_id": "p",
        "version": 1,
        "status": "approved",
        "messages": (Turn("user", f"Question {number}"),),
        "answer": f"Answer {number}",
    }
    return Example(**{**values, **fields})  # type: ignore[arg-type]


def message(**fields: object) -> Message:
    values: dict[str, object] = {
        "id": new_id("m"),
        "conversation_id": "c",
        "parent_id": None,
        "role": "assistant",
        "text": "text",
    }
    return Message(**{**values, **fields})  # type: ignore[arg-type]


# Round trips


def test_everything_comes_back_as_it_was_saved(store: Store) -> None:
    project = Project("p", "Büro", "system", "guide", "instruction", "ja", (Shot("Q\n'\"", "日本"),))
    conversation = Conversation("c", "p", "A title", "m")
    answer = message(
        parent_id="m0",
        text="a\x00b\u2028c'; DROP TABLE messages; --",
        adapter_id="a",
        sampling={"seed": None, "temperature": 0.5},
        state="stopped",
        pair="x",
    )
    correction = Correction("k", answer.id, "p", "e", "corrected", "old", "new", "tone", "note", "me")
    row = example(
        rejected="bad", split="test", extra={"topic": "早い", "n": [1, None]}, source="import", message_id="m"
    )
    adapter = Adapter("a", "p", "r", "v1", BASE, "f" * 64, "lora")
    store.projects.add(project)
    store.conversations.add(conversation)
    store.conversations.add_message(answer)
    store.conversations.add_correction(correction)
    store.examples.append([row])
    store.adapters.add(adapter)
    assert store.projects.get("p") == project
    assert store.conversations.get("c") == conversation
    assert store.conversations.message(answer.id) == answer
    assert store.conversations.correction_of(answer.id) == correction
    assert store.conversations.corrections("c") == [correction]
    assert store.examples.get(row.id) == row
    assert store.adapters.get("a") == adapter


def test_a_run_and_the_versions_it_trained_on(store: Store) -> None:
    first = example()
    second = Example(**{**first.__dict__, "version": 2, "answer": "Better"})
    store.examples.append([first])
    run = Run("r", "p", 1, "hash", 1, {"r": 8})
    store.runs.add(run, [first])
    store.examples.append([second])
    assert store.examples.trained_on("r") == [first]
    assert store.examples.find("p") == [second]
    assert store.examples.versions(first.id) == [first, second]
    ended_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ended = Run(**{**run.__dict__, "status": "finished", "adapter_id": "a", "seconds": 1.5, "result": {"loss": 0.1}})
    store.runs.finish(ended, ended_at)
    assert store.runs.get("r") == Run(**{**ended.__dict__, "finished_at": ended_at})
    assert store.runs.next_number("p") == 2
    assert store.runs.find(status="running") == []


def test_new_rows_are_those_the_last_finished_run_has_not_seen(store: Store) -> None:
    rows = [example(n) for n in range(3)]
    store.examples.append([*rows, example(9, status="draft"), example(8, split="test")])
    assert store.examples.count_new("p") == 3
    run = Run("r1", "p", 1, "", 2, {})
    store.runs.add(run, rows[:2])
    assert store.examples.count_new("p") == 3
    store.runs.finish(Run(**{**run.__dict__, "status": "finished"}), datetime.now(UTC))
    assert store.examples.count_new("p") == 1
    store.examples.append([Example(**{**rows[0].__dict__, "version": 2, "tags": ("urgent",)})])
    assert store.examples.count_new("p") == 1  # what is learned is the same
    store.examples.append([Example(**{**rows[0].__dict__, "version": 3, "answer": "Better"})])
    assert store.examples.count_new("p") == 2


def test_filters_of_the_examples(store: Store) -> None:
    rows = [example(n) for n in range(5)]
    store.examples.append([*rows, example(7, status="draft", answer="開館は9時です")])
    assert [e.answer for e in store.examples.find("p", limit=2, offset=1)] == ["Answer 1", "Answer 2"]
    assert store.examples.find("p", newest_first=True, limit=1)[0].answer == "開館は9時です"
    assert store.examples.count("p", text="9時") == 1
    assert store.examples.count("p", text="qUESTION 3") == 1
    assert store.examples.count("p", text="content") == 0  # a field of the JSON, not of what was said
    assert store.examples.count("p", status="draft") == 1
    assert store.examples.count("other") == 0


def test_results_and_base_answers_are_replaced_not_doubled(store: Store) -> None:
    for answer in ("one", "two"):
        store.adapters.save_results("a", [CheckResult("e", "train", "Q", "one", answer, "base")])
        store.adapters.save_base_answers({"key": answer})
    assert [r.answer for r in store.adapters.results("a")] == ["two"]
    assert store.adapters.base_answers(["key", "other"]) == {"key": "two"}
    assert store.adapters.base_answers([]) == {}


def test_activations_are_kept_in_order(store: Store) -> None:
    for adapter_id in ("a1", None, "a2"):
        store.adapters.activate("p", adapter_id, "tests")
    assert store.adapters.activations("p") == ["a1", None, "a2"]
    assert store.adapters.activations("other") == []


def ids(found: list[Example]) -> list[str]:
    return [e.id for e in found]


def test_search_finds_the_beginnings_of_words_and_any_run_of_japanese(store: Store) -> None:
    texts = [
        "The refund takes 14 days.",
        "図書館の開館時間は9時です。",
        "Ｒｅｆｕｎｄｓ are possible; naïve café",
        "返品は30日以内",
        "館内",
        "It's under_score and C++",
    ]
    rows = [example(0, answer=text) for text in texts]
    store.examples.append(rows)

    def found(text: str) -> list[int]:
        return [ids(rows).index(e.id) for e in store.examples.page("p", RowFilter(text=text), "oldest")]

    assert found("refund") == [0, 2]
    assert found("REFUND days") == [0]
    assert found("efund") == []
    assert found("開館時間") == [1]
    assert found("館") == [1, 4]
    assert found("返品") == [3]
    assert found("時間は9時") == [1]
    assert found("開時") == []  # both pairs must be there
    assert found("café") == [2]
    assert found("c++") == [2, 5]
    assert found("under_score") == [5]
    assert found('"; DROP TABLE x; --') == []
    assert found("'refund' OR \"x\"*") == []
    assert found("?!") == []
    assert store.examples.count("p", text="question refund") == 2


def test_of_a_common_word_the_newest_are_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.store.search.PART", 4)
    rows = [example(i, answer=f"apple 開館時間 {'pear' if i % 5 == 0 else 'plum'}") for i in range(18)]
    store.examples.append(rows)
    store.examples.append([example(99, answer="apple in a project of its own", project_id="q")])
    for text in ("apple", "開館", "app 開館"):
        some = store.examples.facets("p", RowFilter(text=text), 10)
        assert (some.total, some.capped) == (9 if text == "apple" else 10, True)
        assert store.examples.facets("p", RowFilter(text=text)).total == 18
        newest = store.examples.page("p", RowFilter(text=text), "newest", 3, most=10)
        assert ids(newest) == ids(rows[:-4:-1])
    pears = store.examples.facets("p", RowFilter(text="apple pear"), 10)
    assert (pears.total, pears.capped) == (4, False)
    assert store.examples.facets("q", RowFilter(text="apple"), 10).total == 1
    assert ids(store.examples.page("p", RowFilter(text="時間 pear"), "oldest")) == ids(rows[::5])


def test_search_sees_what_the_index_has_not_seen_yet(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.store.search.AT_ONCE", -1)
    monkeypatch.setattr(store.search, "fill", lambda: None)
    store.examples.append([example(0, answer="The refund takes 14 days."), example(1, answer="開館時間は9時")])
    assert not store.search.is_complete()
    for text, number in (("refund", 1), ("efund", 0), ("開館時間", 1), ("REF", 1), ("question", 2)):
        assert store.examples.count("p", text=text) == number, text


def test_a_search_index_that_is_lost_damaged_or_of_another_database_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    for spoil in (path.unlink, lambda: path.write_bytes(b"rubbish" * 999), lambda: None):
        store = Store(tmp_path / "studio.duckdb")
        store.examples.append([example(0, answer="zebra")])
        expected = store.examples.count("p")
        assert store.examples.count("p", text="zebra") == expected
        store.close()
        spoil()
    (tmp_path / "studio.duckdb").unlink()
    store = Store(tmp_path / "studio.duckdb")
    assert store.examples.count("p", text="zebra") == 0
    store.close()


def test_closing_waits_for_what_is_under_way_and_refuses_what_comes_after(tmp_path: Path) -> None:
    store = Store(tmp_path / "studio.duckdb")
    began, ends = threading.Barrier(4), []

    def ask() -> None:
        began.wait()
        while True:
            try:
                store.examples.append([example(answer="kept")])
                store.examples.count("p")
            except StudioError as error:
                ends.append(error)
                return

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    began.wait()
    time.sleep(0.2)
    store.close()
    for thread in asking:
        thread.join()
    assert [(type(end), str(end)) for end in ends] == [(Cancelled, "The studio is being closed.")] * 3


def test_a_checkpoint_that_comes_too_late_takes_nothing_from_what_was_committed(tmp_path: Path) -> None:
    database = Database(tmp_path / "studio.duckdb")
    database.close()
    database.checkpoint()


def test_a_transaction_that_fails_leaves_nothing_in_the_search_index(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.examples.append([example(answer="ghost")])
            store.examples.count("p", text="ghost")
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    store.examples.append([example(answer="alive")])
    assert store.examples.count("p", text="ghost") == 0
    assert store.examples.count("p", text="alive") == 1


def test_every_filter_and_every_order(store: Store) -> None:
    old = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        example(3, author="ann", tags=("urgent", "a b"), rating=5, created_at=old),
        example(1, author="bob", status="draft", source="import", split="test", answer="long " * 50),
        example(2, author="ann", status="rejected", aside=True, rating=2, tags=("urgent",)),
        example(4, status="deleted"),
    ]
    store.examples.append(rows)

    def numbers(sort: Sort = "oldest", **fields: Any) -> list[int]:
        return [ids(rows).index(e.id) for e in store.examples.page("p", RowFilter(**fields), sort)]

    assert numbers() == [0, 1, 2]
    assert numbers(statuses=("deleted",)) == [3]
    assert numbers(statuses=("draft", "approved")) == [0, 1]
    assert numbers(tags=("urgent",)) == [0, 2]
    assert numbers(tags=("urgent", "a b")) == [0]
    assert numbers(tags=("urg",)) == []
    assert numbers(authors=("ann",)) == [0, 2]
    assert numbers(sources=("import",)) == [1]
    assert numbers(splits=("aside",)) == [2]
    assert numbers(splits=("train", "test")) == [0, 1]
    assert numbers(least_rating=3) == [0]
    assert numbers(until=datetime(2026, 1, 2, tzinfo=UTC)) == [0]
    assert numbers(since=datetime(2026, 1, 2, tzinfo=UTC)) == [1, 2]
    assert numbers(ids=(rows[3].id, rows[0].id)) == [0, 3]
    assert numbers(text="answer", statuses=("rejected",)) == [2]
    assert numbers("newest") == [2, 1, 0]
    assert numbers("longest")[0] == 1
    assert numbers("shortest")[-1] == 1
    assert numbers("rating") == [0, 2, 1]
    assert numbers("question") == [1, 2, 0]
    assert numbers("changed")[-1] == 0
    facets = store.examples.facets("p", RowFilter())
    assert facets.total == 3
    assert facets.statuses == {"approved": 1, "draft": 1, "rejected": 1}
    assert facets.tags == {"urgent": 2, "a b": 1}
    assert facets.authors == {"ann": 2, "bob": 1}
    assert facets.splits == {"aside": 1, "test": 1, "train": 1}


@pytest.mark.parametrize("sort", ["newest", "oldest", "changed", "longest", "shortest", "rating", "question"])
def test_pages_deep_in_an_order(store: Store, monkeypatch: pytest.MonkeyPatch, sort: Sort) -> None:
    """Deep down only a stretch is sorted that holds the page; the order is that of the whole."""
    texts = ["", "\0", "A", "Ab", "What is it?", "What is that?", "What if?", "Who?", "図書館は？", "図書", "🙂", "é"]
    dice = random.Random(7)
    moments = [datetime(2026, 1, 1, microsecond=n * n, tzinfo=UTC) for n in (0, 0, 0, 1, 900)]
    rows = [
        example(
            n,
            messages=(Turn("user", dice.choice(texts)),),
            rating=dice.choice([None, None, 1, 4, 5]),
            created_at=dice.choice(moments),
        )
        for n in range(200)
    ]
    store.examples.append([*rows, example(200, status="draft", messages=(Turn("user", "What?"),))])
    approved = RowFilter(statuses=("approved",))
    by_id = sorted(rows, key=lambda row: row.id)
    orders: dict[str, list[Example]] = {
        "newest": by_id[::-1],
        "oldest": by_id,
        "changed": sorted(by_id, key=lambda row: (row.created_at, row.id), reverse=True),
        "longest": sorted(by_id, key=lambda row: -len(row.question + row.answer)),
        "shortest": sorted(by_id, key=lambda row: len(row.question + row.answer)),
        "rating": sorted(by_id, key=lambda row: -(row.rating or 0)),
        "question": sorted(by_id, key=lambda row: row.question),
    }
    wanted = [row.id for row in orders[sort]]
    assert [row.id for row in store.examples.page("p", approved, sort, 200)] == wanted
    for name, value in (("DEEP", 3), ("SORTED", 5), ("_BUCKETS", 2)):
        monkeypatch.setattr(f"studio.store.paging.{name}", value)
    for offset in range(0, 210, 7):
        found = store.examples.page("p", approved, sort, 9, offset)
        assert [row.id for row in found] == wanted[offset : offset + 9], offset


def test_what_is_known_changes_with_the_transaction_that_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "known.duckdb")
    database.execute("CREATE TABLE known (value INTEGER)")
    asked: list[int] = []

    def read() -> int:
        asked.append(database.number("SELECT count(*) FROM known"))
        return asked[-1]

    assert [database.known("count", read), database.known("count", read)] == [0, 0]
    assert asked == [0]
    with database.appending() as load:  # sees what was there before the next line
        load.add("known", pa.table({"value": [1]}))
        with database.transaction():
            database.execute("INSERT INTO known VALUES (2)")
            database.changed("count")
            assert database.known("count", read) == 1
        with load.turn():
            assert database.known("count", read) == 1
    database.execute("INSERT INTO known VALUES (3)")
    assert database.known("count", read) == 3
    with contextlib.suppress(ZeroDivisionError), database.transaction():
        database.execute("INSERT INTO known VALUES (4)")
        database.changed("count")
        assert database.known("count", read) == 4
        raise ZeroDivisionError
    assert database.known("count", read) == 3
    database.close()


def test_texts_at_hand_are_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.store.texts.KEPT_CHARS", 1000)
    rows = [example(n, answer=f"{n:03}" * 100) for n in range(10)]
    store.examples.append(rows)
    for row in rows:
        assert store.examples.get(row.id) == row
    assert store.examples.page("p", RowFilter(), "oldest", 10) == rows
    kept = store.examples._texts._kept
    assert 0 < sum(len(row["answer"]) for row in kept.values()) <= 1000
    changed = replace(rows[9], version=2, answer="Another.")
    store.examples.append([changed])
    assert store.examples.get(changed.id) == changed


def test_changing_many_rows_at_once(store: Store) -> None:
    rows = [example(n, status="draft" if n % 2 else "approved", tags=("old",) if n < 3 else ()) for n in range(100)]
    store.examples.append(rows)
    at = datetime(2026, 2, 3, tzinfo=UTC)
    assert store.revisions.revise("p", RowFilter(), {"status": "approved"}, "h1", "ann", at) == 50
    assert store.revisions.revise("p", RowFilter(), {"status": "approved"}, "h2", "ann", at) == 0
    assert store.revisions.retag("p", RowFilter(tags=("old",)), ["new", "two words"], ["old"], "h3", "bob", at) == 3
    assert store.revisions.retag("p", RowFilter(tags=("new",)), ["new"], ["none"], "h4", "bob", at) == 0
    first, second = store.examples.get(rows[0].id), store.examples.get(rows[1].id)
    assert first is not None
    assert second is not None
    assert (first.tags, first.version, first.author, first.created_at) == (("new", "two words"), 2, "bob", at)
    assert (second.tags, second.version, second.status) == (("new", "two words"), 3, "approved")
    assert [(v.version, v.status, v.tags) for v in store.examples.versions(rows[1].id)] == [
        (1, "draft", ("old",)),
        (2, "approved", ("old",)),
        (3, "approved", ("new", "two words")),
    ]
    assert store.examples.count("p") == 100
    # The texts were not written again.
    assert store._database.number("SELECT count(*) FROM contents") == 100
    assert [len(batch) for batch in store.examples.stream("p", RowFilter(), 30)] == [30, 30, 30, 10]
    assert [e for batch in store.examples.stream("p", RowFilter(), 30) for e in batch] == store.examples.find("p")


def test_flags_are_open_until_dismissed_or_the_row_is_changed(store: Store) -> None:
    first, second = example(1), example(2)
    store.examples.append([first, second])
    flags = [
        Flag(first.id, "pii", "An e-mail address.", span=(3, 9)),
        Flag(first.id, "contradiction", "Answered otherwise.", second.id, field="messages[0]"),
        Flag(second.id, "pii", "A phone number."),
        Flag("e_gone", "pii", "Of a row that isn't there."),
    ]
    store.flags.replace("p", flags, kinds=("pii", "contradiction"), example_ids=None)
    assert store.flags.counts("p") == {"pii": 2, "contradiction": 1}
    assert store.flags.of("p", [first.id]) == {first.id: [flags[1], flags[0]]}
    assert store.examples.facets("p", RowFilter()).flags == {"pii": 2, "contradiction": 1}
    assert ids(store.examples.page("p", RowFilter(flags=("contradiction",)))) == [first.id]
    assert store.examples.count("p", RowFilter(flags=("any",))) == 2
    store.flags.dismiss(flags[2].key, "ann")
    assert store.flags.counts("p") == {"contradiction": 1, "pii": 1}
    store.flags.replace("p", flags, kinds=("pii", "contradiction"), example_ids=None)
    assert ids(store.examples.page("p", RowFilter(flags=("pii",)))) == [first.id], "a dismissed flag came back"
    store.examples.append([Example(**{**first.__dict__, "version": 2, "tags": ("x",)})])
    assert store.flags.counts("p") == {"contradiction": 1, "pii": 1}
    store.examples.append([Example(**{**first.__dict__, "version": 3, "answer": "Another"})])
    assert store.flags.counts("p") == {}
    store.flags.reopen(flags[2].key)
    assert store.flags.counts("p") == {"pii": 1}
    store.flags.replace("p", [], kinds=("pii",), example_ids=[first.id])
    assert store.flags.counts("p") == {"pii": 1}
    store.flags.replace("p", [], kinds=("pii",), example_ids=None)
    assert store.flags.counts("p") == {}


# Transactions and threads


def test_a_transaction_that_fails_changes_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.examples.append([example()])
            assert store.examples.count("p") == 1
            with store.transaction():
                store.examples.append([example()])
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    assert store.examples.count("p") == 0


def test_others_see_a_transaction_only_once_it_is_done(store: Store) -> None:
    seen: list[int] = []
    with store.transaction():
        store.examples.append([example()])
        reader = threading.Thread(target=lambda: seen.append(store.examples.count("p")))
        reader.start()
        reader.join(timeout=10)
    assert seen == [0]
    assert store.examples.count("p") == 1


def test_eight_threads_write_and_read(store: Store) -> None:
    def work(thread: int) -> None:
        name = f"p{thread}"
        for number in range(25):
            with store.transaction():
                store.examples.append([example(number, project_id=name)])
                store.conversations.add_message(message(conversation_id=name, text=str(number)))
            assert store.examples.count(name) == number + 1
            assert [m.text for m in store.conversations.messages(name)] == [str(n) for n in range(number + 1)]

    together(8, work)
    assert sum(store.examples.count(f"p{n}") for n in range(8)) == 200


# Migrations


def old_file(path: Path, *more: str) -> None:
    """A database as the first release left it, with a row in it."""
    connection = duckdb.connect(str(path))
    connection.execute("CREATE TABLE schema_migrations (version INTEGER, name VARCHAR, applied_at TIMESTAMP)")
    connection.execute((SCHEMA / "0001_first.sql").read_text(encoding="utf-8"))
    connection.execute("INSERT INTO schema_migrations VALUES (1, '0001_first.sql', now()::TIMESTAMP)")
    connection.execute(
        "INSERT INTO messages VALUES ('m1', 'c1', NULL, 'user', 'Hello', 'me', NULL, '', '', '', '{}', 'complete',"
        " '2026-01-01')"
    )
    connection.execute("INSERT INTO projects VALUES ('p1', 'Old', '', '', 'chat', 'en', '[]', '2026-01-01')")
    for statement in more:
        connection.execute(statement)
    connection.close()


def tables(path: Path) -> set[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return {row[0] for row in connection.execute("SHOW TABLES").fetchall()}


def test_an_old_file_is_brought_up_to_date_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "studio.duckdb"
    old_file(path)
    for _ in range(2):  # the second time there is nothing left to do
        store = Store(path)
        old = store.conversations.message("m1")
        assert old is not None
        assert (old.text, old.pair, old.created_at) == ("Hello", None, datetime(2026, 1, 1, tzinfo=UTC))
        assert [p.name for p in store.projects.all()] == ["Old"]
        new = message(pair="x")
        store.conversations.add_message(new)
        assert store.conversations.message(new.id) == new
        store.close()
    with duckdb.connect(str(path), read_only=True) as connection:
        versions = connection.execute("SELECT version FROM schema_migrations ORDER BY version").fetchall()
    assert [v for (v,) in versions] == [int(f.name[:4]) for f in sorted(SCHEMA.glob("*.sql"))]


def test_rows_of_an_older_file_keep_their_versions(tmp_path: Path) -> None:
    path = tmp_path / "studio.duckdb"
    values = "('{}', {}, 'p1', '{}', '{}', '{}', NULL, '{}', 'chat', NULL, '{}', 'me', '{}')"
    insert = f"INSERT INTO example_versions VALUES {values}"
    asked = '[{"role": "user", "content": "いつ開きますか"}]'
    turns = json.dumps(
        [Turn("user", "One").as_dict(), Turn("assistant", "Uno").as_dict(), Turn("user", "Two").as_dict()]
    )
    first, second = "e_18ea0123456789abcdef00", "e_18ea0123456789aaabcdef"
    old_file(
        path,
        insert.format(first, 1, "draft", asked, "9時", "train", "{}", "2026-01-01"),
        insert.format(first, 2, "approved", asked, "9時です", "train", '{"topic": 1}', "2026-01-02"),
        insert.format(second, 1, "approved", turns, "Dos", "test", "{}", "2026-01-03"),
        insert.format("odd", 1, "rejected", asked, "No", "train", "{}", "2026-01-04"),
        "INSERT INTO run_examples VALUES ('r', 'e_18ea0123456789abcdef00', 1)",
    )
    store = Store(path)
    assert set(ids(store.examples.find("p1"))) == {second, first, "odd"}
    row = store.examples.get(first)
    assert row is not None
    assert (row.version, row.status, row.answer, row.extra, row.learn_answer) == (
        2,
        "approved",
        "9時です",
        {"topic": 1},
        True,
    )
    assert row.created_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert [v.answer for v in store.examples.versions(first)] == ["9時", "9時です"]
    assert [v.answer for v in store.examples.trained_on("r")] == ["9時"]
    assert store.examples.count("p1", text="開きます") == 2
    several = store.examples.get(second)
    assert several is not None
    assert [t.learn for t in several.messages] == [False] * 3
    assert set(store.examples.keys("p1").tolist()) == {e.key() for e in store.examples.find("p1")}
    store.examples.append([Example(**{**row.__dict__, "version": 3, "answer": "10時"})])
    assert [v.version for v in store.examples.versions(first)] == [1, 2, 3]
    odd = store.examples.get("odd")
    assert odd is not None
    store.examples.append([Example(**{**odd.__dict__, "version": 2, "status": "approved"})])
    assert store.examples.count("p1", status="approved") == 3
    store.close()


def test_every_migration_has_its_own_number() -> None:
    numbers = [int(path.name[:4]) for path in sorted(SCHEMA.glob("*.sql"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "studio.duckdb"
    old_file(path, "INSERT INTO schema_migrations VALUES (9999, 'later', now()::TIMESTAMP)")
    before = tables(path)
    with pytest.raises(StoreBroken, match="written by a newer studio") as caught:
        Store(path)
    assert "Update the studio" in caught.value.hint
    assert tables(path) == before
    with duckdb.connect(str(path), read_only=True) as connection:
        assert ("pair",) not in connection.execute("SELECT column_name FROM (DESCRIBE messages)").fetchall()


def test_a_migration_that_fails_half_way_leaves_the_old_schema(tmp_path: Path) -> None:
    path = tmp_path / "studio.duckdb"
    connection = duckdb.connect(str(path))
    # The first migration makes several tables before it comes to this one.
    connection.execute("CREATE TABLE runs (note VARCHAR)")
    connection.execute("INSERT INTO runs VALUES ('mine')")
    connection.close()
    with pytest.raises(StoreBroken, match=r"can't be brought to 0001_first\.sql"):
        Store(path)
    assert tables(path) == {"runs", "schema_migrations"}
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT note FROM runs").fetchall() == [("mine",)]
        assert connection.execute("SELECT count(*) FROM schema_migrations").fetchone() == (0,)


@pytest.mark.parametrize("size", [100, 5000, 100_000])
def test_a_damaged_file_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "studio.duckdb"
    store = Store(path)
    store.examples.append([example(n) for n in range(100)])
    store.close()
    whole = path.read_bytes()
    path.write_bytes(b"\x00" * min(size, len(whole)) + whole[size:])
    with pytest.raises(StoreBroken, match=r"studio\.duckdb can't be opened") as caught:
        Store(path)
    assert "--workspace" in caught.value.hint


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "studio.duckdb"
    path.write_text("This is a letter, not a database. " * 500)
    with pytest.raises(StoreBroken):
        Store(path)


def test_the_database_downloads_no_code(store: Store) -> None:
    rows = store._database.rows(
        "SELECT name, value FROM duckdb_settings() WHERE name IN ('autoinstall_known_extensions',"
        " 'autoload_known_extensions', 'allow_community_extensions')"
    )
    assert {row["value"] for row in rows} == {"false"}
    assert len(rows) == 3
