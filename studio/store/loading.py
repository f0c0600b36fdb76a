"""Very many new rows at once: while one batch is read from a file, another thread writes those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from studio.records import Example, Status, key_of, new_ids
from studio.rows import Action, Flag
from studio.store.database import ROW_GROUP, Appending, Database, as_stored
from studio.store.flags import insert_flags
from studio.store.stored import HEAD, as_json, insert_new, number_of, pair_key

BATCH = ROW_GROUP // 2
"""Every other batch takes the database long; others are read meanwhile."""
_WAITING = 2
"""Batches that may be on their way into the database while another is read."""
_Plain = tuple[str, str, str, int, str, Status, str, int]
"""messages, answer, extra, key, id, status, head, chars"""
_Table = tuple[str, pa.Table, Mapping[str, Any]]
"""name, rows, what all rows have alike"""


class Load:
    """New rows of one project, made by one action; what is in the project already, or came before, is skipped."""

    def __init__(
        self,
        database: Database,
        appending: Appending,
        action: Action,
        source: str,
        keys: Any,
        pair_keys: Callable[[], Any],
    ) -> None:
        """`keys` are those of the rows that are there, a NumPy array; so are `pair_keys`, if they are needed."""
        self._db = database
        self._appending = appending
        self._action, self._source = action, source
        self._keys = _Keys(keys)
        self._pairs = _Keys(np.zeros(0, np.uint64))
        self._pair_keys: Callable[[], Any] | None = pair_keys
        self._ids: list[str] = []
        self._writer = ThreadPoolExecutor(1, "load")
        self._written: deque[Future[None]] = deque()
        self.added, self.skipped = 0, 0
        self._constants = {
            "version": 1,
            "is_current": True,
            "project_id": action.project_id,
            "split": "train",
            "aside": False,
            "group_key": "",
            "source": source,
            "message_id": None,
            "parent_id": None,
            "author": action.author,
            "tags": "[]",
            "rating": None,
            "note": "",
            "learn_answer": True,
            "action_id": action.id,
            "created_at": as_stored(action.created_at),
            "pinned": False,
        }
        """What all plain rows have alike."""
        self._begin()

    def _begin(self) -> None:
        self._plain: list[_Plain] = []
        self._rows: list[Example] = []
        self._order: list[tuple[int, int]] = []
        """Of each row of the batch, in order: its key; its place among the plain ones, or among the others from -1
        downwards."""
        self._flags: list[Flag] = []

    def new_id(self) -> str:
        """An id for a row of this load; rows are ordered by their ids."""
        if not self._ids:
            self._ids = new_ids("e", BATCH)[::-1]
        return self._ids.pop()

    def add_plain(self, turns: Sequence[Mapping[str, Any]], answer: str, input_: str, status: Status) -> str:
        """Add a row that holds texts alone (`turns` as `Turn.as_dict` has them); returns its id."""
        said = "".join([f"{turn['role']}\x1f{turn['content']}\x1f\x1e" for turn in turns])
        key = key_of(f"{said}assistant\x1f{answer}\x1f\x1e")
        question = turns[-1]["content"]
        length = len(question) if len(turns) == 1 else sum(len(turn["content"]) for turn in turns)
        extra = as_json({"input": input_}) if input_ else "{}"
        id_ = self.new_id()
        self._order.append((key, len(self._plain)))
        self._plain.append((as_json(turns), answer, extra, key, id_, status, question[:HEAD], length + len(answer)))
        if len(self._order) >= BATCH:
            self._flush()
        return id_

    def add(self, example: Example) -> None:
        self._rows.append(example)
        self._order.append((example.key(), -len(self._rows)))
        if len(self._order) >= BATCH:
            self._flush()

    def flag(self, flags: Sequence[Flag]) -> None:
        """Note flags of the row that was added last."""
        self._flags += flags

    def settle(self) -> None:
        """Write what was added so far; then this thread may use the transaction itself."""
        self._flush()
        self._wait()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Write the rest; what the block writes is part of the same transaction, which is durable at its end."""
        self.settle()
        with self._appending.turn():
            yield

    def close(self) -> None:
        if any(not written.done() for written in self._written):
            self._appending.interrupt()
        self._writer.shutdown(cancel_futures=True)

    def _wait(self, most: int = 0) -> None:
        """Until no more than so many batches are on their way."""
        while len(self._written) > most:
            self._written.popleft().result()

    def _flush(self) -> None:
        """Hand the batch to the writer."""
        if not self._order:
            return
        new = self._keys.take(np.fromiter((key for key, _ in self._order), np.int64, len(self._order)))
        self._tell_pairs(new)
        plain, rows, flags = self._plain, self._rows, self._flags
        if not new.all():
            places = [place for (_, place), is_new in zip(self._order, new.tolist(), strict=True) if is_new]
            plain = [plain[place] for place in places if place >= 0]
            rows = [rows[-place - 1] for place in places if place < 0]
            self.skipped += len(self._order) - len(places)
        self.added += len(plain) + len(rows)
        self._begin()
        self._written.append(self._writer.submit(self._write, self._tables(plain, rows, flags)))
        self._wait(_WAITING)

    def _tell_pairs(self, new: Any) -> None:
        """Of pairs, those are new whose rejected answer is. (Without one, a row says nothing that a pair doesn't.)"""
        pairs = {
            i: pair_key(key, rejected)
            for i, (key, place) in enumerate(self._order)
            if place < 0 and (rejected := self._rows[-place - 1].rejected) is not None
        }
        if pairs:
            if self._pair_keys is not None and not new[list(pairs)].all():
                self._pairs.take(self._pair_keys())
                self._pair_keys = None
            new[list(pairs)] = self._pairs.take(np.fromiter(pairs.values(), np.uint64, len(pairs)))

    def _write(self, tables: Sequence[_Table]) -> None:
        for table in tables:
            self._appending.add(*table)

    def _tables(self, plain: list[_Plain], rows: list[Example], flags: list[Flag]) -> list[_Table]:
        """A batch as what is to be added to which table."""
        made: list[_Table] = []

        def add(table: str, batch: pa.Table) -> None:
            made.append((table, batch, {}))

        contents: dict[str, int] = {}
        if plain:
            first = self._db.next_content_ids(len(plain))
            made += self._plain_tables(plain, first)
            if flags:
                contents |= {row[4]: first + i for i, row in enumerate(plain)}
        if rows:
            first = insert_new(add, self._db.next_content_ids(len(rows)), rows)
            contents |= {example.id: first + i for i, example in enumerate(rows)}
        insert_flags(add, self._action.project_id, flags, contents)
        return made

    def _plain_tables(self, plain: list[_Plain], first: int) -> list[_Table]:
        messages, answers, extras, keys, ids, statuses, heads, chars = zip(*plain, strict=True)
        content_ids = pa.array(np.arange(first, first + len(plain)))
        texts = pa.table(
            {
                "id": content_ids,
                "messages": pa.array(messages, pa.string()),
                "answer": pa.array(answers, pa.string()),
                "extra": pa.array(extras, pa.string()),
                "key": pa.array(keys, pa.int64()),
            }
        )
        states = pa.table(
            {
                "n": pa.array([number_of(id_) for id_ in ids], pa.int64()),
                "id": pa.array(ids, pa.string()),
                "content_id": content_ids,
                "status": pa.array(statuses, pa.string()),
                "head": pa.array(heads, pa.string()),
                "chars": pa.array(chars, pa.int32()),
            }
        )
        return [
            ("contents", texts, {"rejected": None, "answer_extra": "{}"}),
            ("row_versions", states, self._constants),
        ]


class _Keys:
    """Keys that were seen, in 8 bytes each: sorted runs, of which a larger one is never behind a smaller one."""

    def __init__(self, keys: Any) -> None:
        self._runs = [np.sort(keys)]

    def take(self, keys: Any) -> Any:
        """Which of `keys` were not seen before, nor stand earlier among them; they are seen from now on."""
        new = np.zeros(len(keys), bool)
        _, first = np.unique(keys, return_index=True)
        new[first] = True
        for run in self._runs:
            if len(run):
                places = np.minimum(np.searchsorted(run, keys), len(run) - 1)
                new &= run[places] != keys
        self._runs.append(np.sort(keys[new]))
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 >= len(self._runs[-2]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))
        return new
