"""The README.md of a dataset folder: every figure in it is counted from the rows that were written."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from studio.formats.parquet import Kind
from studio.records import Example

_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"),
)  # fmt: skip
"""The Hub's size categories (huggingface/hub-docs, datasetcard.md)."""
_YAML_WORDS = {"no", "yes", "on", "off", "true", "false", "null", "n", "y"}
_SHAPES = {
    "sft": "supervised fine-tuning: `messages`, and `tools` where a row has them",
    "dpo": "preference pairs: `prompt`, `chosen`, `rejected`",
    "kto": "thumbs: `prompt`, `completion`, `label`",
}


@dataclass(frozen=True)
class Card:
    """What the rows can't say of themselves."""

    name: str
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes."""
    license: str | None = None
    """The Hub's identifier, such as `cc-by-4.0`; None: not said."""
    near_duplicate_rate: float | None = None
    """Share of rows that are nearly the same as another, 0 to 1; None: not measured."""
    split_rule: str = ""
    """How rows came to their side of the split, in one sentence."""
    studio_version: str = ""


@dataclass(frozen=True)
class Part:
    """One file of the folder."""

    config: str
    split: str
    path: str
    """Relative to the folder."""
    rows: int
    bytes: int
    """In memory, as `datasets` counts them."""
    file_bytes: int


@dataclass
class Figures:
    """Counts that grow row by row."""

    rows: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    authors: Counter[str] = field(default_factory=Counter)
    _hash: Any = field(default_factory=hashlib.sha256)

    def add(self, example: Example) -> None:
        source = example.source
        if source == "chat":
            source = "edited" if example.rejected is not None else "accepted"
        self.rows += 1
        self.sources[source] += 1
        self.statuses[example.status] += 1
        self.authors[example.author or "unknown"] += 1
        turns = [t.as_dict() for t in example.turns]
        said = [example.id, example.status, example.split, example.tags, turns, example.rejected]
        self._hash.update(orjson.dumps(said) + b"\n")

    @property
    def sha256(self) -> str:
        """Of ids, statuses, sides, tags and texts, in their order."""
        return str(self._hash.hexdigest())


def card_text(
    card: Card, figures: Figures, parts: Sequence[Part], kinds: Mapping[str, Mapping[str, Kind]], wide: set[str]
) -> str:
    """README.md: YAML from the first byte, then the figures.

    Args:
        kinds: the columns of each config.
        wide: the configs whose turns are JSON values.
    """
    return f"---\n{_yaml(_metadata(card, figures, parts, kinds, wide))}---\n\n{_body(card, figures, parts)}"


def _metadata(
    card: Card, figures: Figures, parts: Sequence[Part], kinds: Mapping[str, Mapping[str, Kind]], wide: set[str]
) -> dict[str, Any]:
    value: dict[str, Any] = {"pretty_name": card.name}
    if card.languages:
        value["language"] = list(card.languages)
    if card.license:
        value["license"] = card.license
    configs = list(dict.fromkeys(part.config for part in parts))
    value |= {
        "annotations_creators": annotations_creators(figures),
        "source_datasets": ["original" if not figures.sources["import"] else "extended"],
        "size_categories": [size_category(figures.rows)],
        "task_categories": ["text-generation"],
        "tags": ["correction-studio", *configs],
        "configs": [
            {
                "config_name": config,
                **({"default": True} if config == configs[0] else {}),
                "data_files": [{"split": p.split, "path": p.path} for p in parts if p.config == config],
            }
            for config in configs
        ],
        "dataset_info": [_info(config, parts, kinds[config], config in wide) for config in configs],
    }
    return value


def _info(config: str, parts: Sequence[Part], kinds: Mapping[str, Kind], is_wide: bool) -> dict[str, Any]:
    mine = [p for p in parts if p.config == config]
    return {
        "config_name": config,
        "features": features(kinds, is_wide),
        "splits": [{"name": p.split, "num_bytes": p.bytes, "num_examples": p.rows} for p in mine],
        "download_size": sum(p.file_bytes for p in mine),
        "dataset_size": sum(p.bytes for p in mine),
    }


def features(kinds: Mapping[str, Kind], is_wide: bool) -> list[dict[str, Any]]:
    """The columns in the words of `datasets`."""
    turns = [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]
    types: dict[str, dict[str, Any]] = {
        "text": {"dtype": "string"},
        "number": {"dtype": "int64"},
        "truth": {"dtype": "bool"},
        "texts": {"list": "string"},
        "turns": {"list": "json"} if is_wide else {"list": turns},
    }
    found = [{"name": name, **types[kind]} for name, kind in kinds.items()]
    return [*found, {"name": "tools", "dtype": "string"}] if is_wide else found


def annotations_creators(figures: Figures) -> list[str]:
    """Who made the answers, in the Hub's words."""
    groups = (
        ("expert-generated", ("typed", "edited", "accepted")),
        ("machine-generated", ("augmented",)),
        ("found", ("import", "sample")),
    )
    return [name for name, sources in groups if any(figures.sources[s] for s in sources)] or ["no-annotation"]


def size_category(rows: int) -> str:
    return next((name for most, name in _SIZES if rows < most), "100M<n<1B")


def _share(count: int, figures: Figures) -> str:
    return f"{count} ({100 * count / max(figures.rows, 1):.1f} %)"


def _counts(title: str, counts: Mapping[str, int], figures: Figures) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = "\n".join(f"| {_cell(name)} | {_share(count, figures)} |" for name, count in ordered)
    return f"| {title} | rows |\n|---|---|\n{lines}\n"


def _cell(text: str) -> str:
    return re.sub(r"([\\|<>`*_\[\]])", r"\\\1", " ".join(text.split()))


def _body(card: Card, figures: Figures, parts: Sequence[Part]) -> str:
    rate = card.near_duplicate_rate
    near = "not measured" if rate is None else f"{100 * rate:.1f} % of the rows"
    origin = {
        "typed by hand": figures.sources["typed"],
        "a model's answer, edited by an expert": figures.sources["edited"],
        "a model's answer, accepted as it was": figures.sources["accepted"],
    }
    named = {"augmented": "made from another row, then reviewed", "import": "imported", "sample": "from a sample"}
    others = {named.get(k, k): n for k, n in figures.sources.items() if k not in ("typed", "edited", "accepted")}
    files = "\n".join(f"| `{p.config}` | {p.split} | {p.rows} |" for p in parts)
    shapes = "\n".join(f"- `{c}`: {_SHAPES[c]}." for c in dict.fromkeys(p.config for p in parts))
    made_with = f"Correction Studio {card.studio_version}".strip()
    return f"""# {_cell(card.name)}

{figures.rows} examples, made with {made_with}.

| config | split | rows |
|---|---|---|
{files}

{shapes}

The column `studio` holds ids, statuses, tags and notes as JSON; trainers pass over it, and the studio reads it back.

## How the answers came about

{_counts("origin", origin | others, figures)}
{_counts("author", figures.authors, figures)}
{_counts("status", figures.statuses, figures)}
## Quality

- Near-duplicates: {near}.
- Split: {card.split_rule or "not described"}
- Content hash (SHA-256 of ids, statuses, sides, tags and texts): `{figures.sha256}`
"""


def _yaml(value: Mapping[str, Any]) -> str:
    """Maps, lists, text, numbers and truth values as YAML. Text is quoted: `no` is a language, not a falsehood."""
    return "".join(f"{key}:{_yaml_value(item, 0)}" for key, item in value.items())


def _yaml_value(value: Any, indent: int) -> str:
    pad = " " * indent
    if value in ([], {}):
        return " []\n" if value == [] else " {}\n"
    if isinstance(value, Mapping):
        lines = [f"{pad}  {key}:{_yaml_value(item, indent + 2)}" for key, item in value.items()]
        return "\n" + "".join(lines)
    if isinstance(value, list):
        items = []
        for item in value:
            if isinstance(item, Mapping):
                # The first key stands on the line of the dash.
                items.append(f"{pad}- " + _yaml_value(item, indent)[len(pad) + 3 :])
            else:
                items.append(f"{pad}-{_yaml_value(item, indent)}")
        return "\n" + "".join(items)
    if isinstance(value, bool) or not isinstance(value, str):
        return f" {json.dumps(value)}\n"
    return f" {_scalar(value)}\n"


def _scalar(text: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9_/.-]*", text) and text not in _YAML_WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    # YAML ends a line where JSON doesn't, and takes no other control characters either.
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda m: f"\\u{ord(m[0]):04x}", quoted)
