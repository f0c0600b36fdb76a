"""Writing rows for other tools: streamed under a temporary name, then renamed; the same rows give the same bytes."""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson

from studio.errors import InvalidInput
from studio.formats import llama_factory
from studio.formats.card import Card, Figures, Part, card_text
from studio.formats.cells import neutralised
from studio.formats.marks import COLUMN
from studio.formats.parquet import Kind, Table, is_wide
from studio.formats.render import (
    CSV_COLUMNS,
    FORMATS,
    PARQUET_KINDS,
    PLAIN_CSV_COLUMNS,
    PLAIN_PARQUET_KINDS,
    FormatName,
    Row,
    Unfit,
    llama_factory_rows,
    rows_of,
    unlearned,
)
from studio.formats.turns import dumps
from studio.records import Example

ENDINGS: Mapping[FormatName, str] = {
    "alpaca": ".json", "sharegpt": ".json", "openai": ".jsonl", "trl-messages": ".jsonl",
    "trl-prompt-completion": ".jsonl", "trl-dpo": ".jsonl", "trl-kto": ".jsonl", "csv": ".csv", "parquet": ".parquet",
    "hf": "",
}  # fmt: skip
"""The usual ending of each format's file; `hf` is a folder."""
_WITH_ENTRY = ("alpaca", "sharegpt", "trl-dpo", "trl-kto")
_HALF = "it holds half a character (an unpaired surrogate)"
UNLEARNED = "turns that are not to be learned can't be told apart in this format"
_CONFIGS: Mapping[str, tuple[FormatName, Mapping[str, Kind]]] = {
    "sft": ("hf", {"messages": "turns", COLUMN: "text"}),
    "dpo": ("trl-dpo", {"prompt": "turns", "chosen": "turns", "rejected": "turns", COLUMN: "text"}),
    "kto": ("trl-kto", {"prompt": "turns", "completion": "turns", "label": "truth", COLUMN: "text"}),
}


@dataclass(frozen=True)
class Written:
    """What an export wrote and what it left out."""

    format: FormatName
    path: Path
    """The file, or the folder of `hf`."""
    rows: int
    """Rows of the file; KTO and prompt-completion make several of one example. For `hf` those of `sft`."""
    examples: int
    skipped: Mapping[str, int]
    """Reason → how many examples were left out for it."""
    notes: Mapping[str, int]
    """What the format can't say → of how many examples that were written all the same."""
    sha256: str
    """Of the file; of a folder, that of its files' names and hashes."""
    files: tuple[Path, ...]
    """Everything that was written: the file first, then LLaMA-Factory's files beside it."""
    plain: bool


@dataclass
class _Tally:
    rows: int = 0
    examples: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    columns: set[str] = field(default_factory=set)


def write(
    format: FormatName,
    examples: Iterable[Example],
    out: Path,
    *,
    plain: bool = False,
    name: str = "",
    card: Card | None = None,
) -> Written:
    """Write `examples` to `out`, all of it or nothing.

    Args:
        plain: without the column `studio`, for validators that refuse what they don't know. It loses what the format
            has no place for.
        name: the entry's name in `dataset_info.json`; empty: the file's.
        card: for `hf`.

    Raises:
        InvalidInput: no such format, or `out` can't be written.
    """
    if format not in FORMATS:
        raise InvalidInput(f"There is no format {format!r}.", f"There are: {', '.join(FORMATS)}.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if format == "hf":
            return _write_folder(examples, out, plain, card or Card(name or out.name))
        return _write_file(format, examples, out, plain, name or out.stem)
    except OSError as error:
        raise InvalidInput(f"{out} can't be written: {error.strerror or error}.") from error


# Files


class _Sink(Protocol):
    def add(self, row: Row) -> None: ...
    def close(self) -> None: ...


class _Json:
    """A JSON list with a row a line, or JSON Lines."""

    def __init__(self, path: Path, *, is_list: bool) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._is_list, self._is_first = is_list, True

    def add(self, row: Row) -> None:
        data = _encode(row)
        if self._is_list:
            data = (b"[\n" if self._is_first else b",\n") + data
            self._is_first = False
        else:
            data += b"\n"
        self._file.write(data)

    def close(self) -> None:
        if self._is_list:
            self._file.write(b"[]\n" if self._is_first else b"\n]\n")
        self._file.close()


def _encode(row: Row) -> bytes:
    try:
        return orjson.dumps(row)
    except TypeError:
        return dumps(row).encode()


class _Csv:
    """UTF-8 with a byte order mark (Excel takes Japanese for Latin without it), cells safe from formulas."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = io.TextIOWrapper(path.open("wb", buffering=1 << 20), encoding="utf-8-sig", newline="")
        self._columns = columns
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def add(self, row: Row) -> None:
        self._writer.writerow([neutralised(row[name]) for name in self._columns])

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, kinds: Mapping[str, Kind]) -> None:
        self._table, self._kinds = Table(path, kinds), kinds

    def add(self, row: Row) -> None:
        if not self._table.is_wide and is_wide(row, self._kinds):
            self._table.widen()
        self._table.add(row)

    def close(self) -> None:
        self._table.close()


def _sink(format_: FormatName, path: Path, plain: bool) -> _Sink:
    if format_ == "csv":
        return _Csv(path, PLAIN_CSV_COLUMNS if plain else CSV_COLUMNS)
    if format_ == "parquet":
        return _Parquet(path, PLAIN_PARQUET_KINDS if plain else PARQUET_KINDS)
    return _Json(path, is_list=format_ in ("alpaca", "sharegpt"))


def _write_file(format_: FormatName, examples: Iterable[Example], out: Path, plain: bool, name: str) -> Written:
    tally = _Tally()
    copy = out.with_name(f"{out.stem}.sharegpt.json") if format_ in ("trl-dpo", "trl-kto") else None
    info = out.with_name(llama_factory.NAME)
    with ExitStack() as stack:
        temporary = stack.enter_context(_replaced(out))
        sink = _sink(format_, temporary, plain)
        stack.callback(sink.close)
        second = None
        if copy is not None:
            second = _Json(stack.enter_context(_replaced(copy)), is_list=True)
            stack.callback(second.close)
        for example, rows in _fitting(format_, examples, plain, tally):
            for row in rows:
                sink.add(row)
                tally.columns.update(row)
            if second is not None:
                for row in llama_factory_rows(format_, example):
                    second.add(row)
                    tally.columns.update(row)
        if format_ in _WITH_ENTRY:
            entry = llama_factory.entry(format_, (copy or out).name, tally.columns)
            target = stack.enter_context(_replaced(info))
            target.write_text(llama_factory.with_entry(info, name, entry), encoding="utf-8")
    extra_files = [copy] if copy else []
    if format_ in _WITH_ENTRY:
        extra_files.append(info)
    return _written(format_, out, tally, file_sha256(out), (out, *extra_files), plain)


def _fitting(
    format_: FormatName, examples: Iterable[Example], plain: bool, tally: _Tally
) -> Iterator[tuple[Example, list[Row]]]:
    """Examples that have a place in the format, with their rows; the others are counted by reason."""
    for example in examples:
        try:
            rows = rows_of(format_, example, plain=plain)
            for row in rows:
                _check(row)
        except Unfit as error:
            tally.skipped[str(error)] += 1
            continue
        if unlearned(format_, example):
            tally.notes[UNLEARNED] += 1
        tally.rows += len(rows)
        tally.examples += 1
        yield example, rows


def _check(row: Row) -> None:
    """Refuse a row with half a character before anything of it is written."""
    try:
        _encode(row)
    except UnicodeEncodeError as error:
        raise Unfit(_HALF) from error


def _written(
    format_: FormatName, out: Path, tally: _Tally, sha256: str, files: tuple[Path, ...], plain: bool
) -> Written:
    return Written(
        format_, out, tally.rows, tally.examples, dict(tally.skipped), dict(tally.notes), sha256, files, plain
    )


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end, or vanishes if there is an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if not old.name.startswith(f".{path.name}.{os.getpid()}-"):
            remove(old)  # of a process that was killed
    try:
        yield temporary
    except BaseException:
        remove(temporary)
        raise
    settle(temporary)
    if path.is_dir() and not path.is_symlink():
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(old)
        temporary.rename(path)
        remove(old)
    else:
        temporary.replace(path)


def settle(path: Path) -> None:
    """Have the disk hold what was written."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Folders


class _Config:
    """The tables of one shape, one for each side of the split. They have the same columns, as `datasets` demands."""

    def __init__(self, folder: Path, name: str, kinds: Mapping[str, Kind]) -> None:
        self.folder, self.name, self.kinds = folder / "data" / name, name, kinds
        self.tables: dict[str, Table] = {}
        self.is_wide = False

    def add(self, split: str, row: Row) -> None:
        if not self.is_wide and is_wide(row, self.kinds):
            self.is_wide = True
            for table in self.tables.values():
                table.widen()
        if split not in self.tables:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.tables[split] = Table(self.folder / f"{split}-00000-of-00001.parquet", self.kinds)
            if self.is_wide:
                self.tables[split].widen()
        self.tables[split].add(row)

    def close(self) -> list[Part]:
        parts = []
        for split in sorted(self.tables, key=("train", "validation", "test").index):
            table = self.tables[split]
            table.close()
            path = table.path.relative_to(self.folder.parent.parent).as_posix()
            parts.append(Part(self.name, split, path, table.rows, table.bytes, table.path.stat().st_size))
        return parts


def _write_folder(examples: Iterable[Example], out: Path, plain: bool, card: Card) -> Written:
    tally, figures = _Tally(), Figures()
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / "README.md").exists())):
        raise InvalidInput(f"{out} is there already and is no dataset folder.", "Choose another name.")
    with _replaced(out) as folder:
        remove(folder)
        folder.mkdir()
        kinds = {name: {k: v for k, v in columns.items() if not (plain and k == COLUMN)} for name, (_, columns)
                 in _CONFIGS.items()}  # fmt: skip
        configs = {name: _Config(folder, name, kinds[name]) for name in _CONFIGS}
        for example, rows in _fitting("hf", examples, plain, tally):
            figures.add(example)
            for row in rows:
                configs["sft"].add(example.split, row)
            for name in ("dpo", "kto"):
                for row in _rows_if_fit(_CONFIGS[name][0], example, plain):
                    configs[name].add(example.split, row)
        parts = [part for config in configs.values() for part in config.close()]
        wide = {name for name, config in configs.items() if config.is_wide}
        (folder / "README.md").write_text(card_text(card, figures, parts, kinds, wide), encoding="utf-8")
    files = tuple(sorted(p for p in out.rglob("*") if p.is_file()))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{file_sha256(path)}  {path.relative_to(out).as_posix()}\n".encode())
    return _written("hf", out, tally, digest.hexdigest(), files, plain)


def _rows_if_fit(format_: FormatName, example: Example, plain: bool) -> list[Row]:
    try:
        return rows_of(format_, example, plain=plain)
    except Unfit:
        return []
