"""A dataset in the layout of the Hugging Face Hub: Parquet per side of the split, a config per shape, and the card."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from studio.errors import InvalidInput, Phrase
from studio.formats.atomic import file_sha256, remove, replaced
from studio.formats.card import Card, Figures, Part, card_text
from studio.formats.marks import COLUMN
from studio.formats.parquet import Kind, Table, is_wide
from studio.formats.render import FormatName, Row, Unfit
from studio.formats.written import Tally, Written, fit, fitting, written_of
from studio.records import Example, Split

CONFIGS: Mapping[str, FormatName] = {"sft": "hf", "dpo": "trl-dpo", "kto": "trl-kto"}
"""Each config, and in which format its rows are. What has no place in `sft` is in no other either."""
_KINDS: Mapping[str, Mapping[str, Kind]] = {
    "sft": {"messages": "turns", COLUMN: "text"},
    "dpo": {"prompt": "turns", "chosen": "turns", "rejected": "turns", COLUMN: "text"},
    "kto": {"prompt": "turns", "completion": "turns", "label": "truth", COLUMN: "text"},
}


SPLITS = get_args(Split)


def table_path(config: str, split: str) -> str:
    """Where the rows of a config and a side are in the folder."""
    return f"data/{config}/{split}-00000-of-00001.parquet"


class _Config:
    """The tables of one shape, one for each side of the split. They have the same columns, as `datasets` demands."""

    def __init__(self, folder: Path, name: str, kinds: Mapping[str, Kind]) -> None:
        self.root, self.name, self.kinds = folder, name, kinds
        self.tables: dict[str, Table] = {}
        self.is_wide = False

    def add(self, split: str, row: Row) -> None:
        if not self.is_wide and is_wide(row, self.kinds):
            self.is_wide = True
            for table in self.tables.values():
                table.widen()
        if split not in self.tables:
            (self.root / "data" / self.name).mkdir(parents=True, exist_ok=True)
            self.tables[split] = Table(self.root / table_path(self.name, split), self.kinds)
            if self.is_wide:
                self.tables[split].widen()
        self.tables[split].add(row)

    def close(self) -> list[Part]:
        parts = []
        for split in sorted(self.tables, key=SPLITS.index):
            table = self.tables[split]
            table.close()
            parts.append(
                Part(self.name, split, table_path(self.name, split), table.rows, table.bytes, table.path.stat().st_size)
            )
        return parts


def write_folder(examples: Iterable[Example], out: Path, plain: bool, card: Card) -> Written:
    tally, figures = Tally(), Figures()
    _require_ours(out)
    with replaced(out, folder=True) as folder:
        remove(folder)
        folder.mkdir()
        kinds = {name: {k: v for k, v in columns.items() if not (plain and k == COLUMN)} for name, columns
                 in _KINDS.items()}  # fmt: skip
        configs = {name: _Config(folder, name, kinds[name]) for name in CONFIGS}
        for example, sft in fitting("hf", examples, plain, tally):
            figures.add(example)
            for name, config in configs.items():
                rows = sft if name == "sft" else _rows_if_fit(CONFIGS[name], example, plain)
                for row in rows:
                    config.add(example.split, row)
                if rows and not plain:
                    tally.expect(out / table_path(name, example.split), example)
        parts = [part for config in configs.values() for part in config.close()]
        wide = {name for name, config in configs.items() if config.is_wide}
        (folder / "README.md").write_text(card_text(card, figures, parts, kinds, wide), encoding="utf-8")
    files = tuple(sorted(p for p in out.rglob("*") if p.is_file()))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{file_sha256(path)}  {path.relative_to(out).as_posix()}\n".encode())
    return written_of("hf", out, tally, digest.hexdigest(), files, plain)


def _require_ours(out: Path) -> None:
    """What is there already goes, so it may be nothing but an earlier export."""
    if out.exists() and not out.is_dir():
        raise InvalidInput(Phrase("{path} is there already and is no folder.", path=out), "Choose another name.")
    ours = {out / "README.md"} | {out / table_path(config, split) for config in CONFIGS for split in SPLITS}
    if others := sorted(path for path in out.rglob("*") if path not in ours and not path.is_dir()):
        raise InvalidInput(
            Phrase("{path} holds other things than an export, such as {name}.", path=out, name=others[0].name),
            "Choose another name.",
        )


def _rows_if_fit(format_: FormatName, example: Example, plain: bool) -> list[Row]:
    try:
        return fit(format_, example, plain=plain)
    except Unfit:
        return []
