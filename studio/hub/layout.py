"""Which files of a dataset repository are its data: by the card's `configs`, else by their names.

The rules are those of the library `datasets` (its `data_files.py` and `utils/metadata.py`), for the formats that are
read here. Nothing of the repository is ever run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from studio.errors import HubUnavailable, InvalidInput, Phrase

FORMATS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
"""By the ending of a file's name; of equally many, the first is taken."""
NOT_DATA = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
SHARDED = re.compile(r"data/(\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*\.[^/]*")
CONVERTED = re.compile(r"(?P<config>[^/]+)/(?:partial-)?(?P<split>[^/]+)/\d+\.parquet")
CONVERTED_REVISION = "refs/convert/parquet"
"""Where the Hub keeps the Parquet files that it makes itself of most public datasets."""
KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
BREAK = "[-._ 0-9]"
NAMED = 6
"""Names shown in a message."""


@dataclass(frozen=True)
class Config:
    """One table of a dataset: for each split the paths of its files inside the repository."""

    name: str
    splits: Mapping[str, tuple[str, ...]]
    is_default: bool = False

    def choose(self, split: str | None, dataset: str) -> list[tuple[str, str]]:
        """The chosen split's files, or those of all splits, as (split, path).

        Raises:
            InvalidInput: there is no such split.
        """
        if split is not None and split not in self.splits:
            raise InvalidInput(
                Phrase("{dataset} has no split {name}.", dataset=dataset, name=repr(split)),
                Phrase("There are: {names}.", names=", ".join(self.splits)),
            )
        return [(name, path) for name in ([split] if split else self.splits) for path in self.splits[name]]


def choose_config(configs: Sequence[Config], name: str | None, dataset: str) -> Config:
    """The config of that name; without a name the only one, or the one that the card calls the default.

    Raises:
        InvalidInput: there is no such config, or there are several to choose from.
    """
    names = ", ".join(c.name for c in configs)
    if name is not None:
        for config in configs:
            if config.name == name:
                return config
        raise InvalidInput(
            Phrase("{dataset} has no config {name}.", dataset=dataset, name=repr(name)),
            Phrase("There are: {names}.", names=names),
        )
    marked = [c for c in configs if c.is_default] or [c for c in configs if c.name == "default"]
    if len(configs) == 1 or len(marked) == 1:
        return (marked or list(configs))[0]
    raise InvalidInput(
        Phrase("{dataset} has several configs: {names}.", dataset=dataset, names=names),
        Phrase("Name one of them, as in hf:{dataset}/{name}.", dataset=dataset, name=configs[0].name)
        if "/" in dataset
        else "Name one of them.",
    )


def find_configs(names: Iterable[str], card: Mapping[str, Any], dataset: str, revision: str = "") -> list[Config]:
    """Find the data among the files of a repository.

    Args:
        names: paths of all files.
        card: the metadata at the head of README.md.

    Raises:
        HubUnavailable: there is none in a format that is read here, or the card can't be followed.
    """
    names = sorted(names)
    readable = [name for name in names if is_data(name)]
    if revision == CONVERTED_REVISION:
        found = _converted(readable)
    elif stated := card.get("configs"):
        found = [_stated(config, readable, dataset) for config in (stated if isinstance(stated, list) else [stated])]
    else:
        found = [Config("default", _by_name(readable, ""))]
    found = [config for config in found if config.splits]
    if not found:
        raise HubUnavailable(
            Phrase("{dataset} has no data that can be read here{instead}.", dataset=dataset, instead=_instead(names)),
            _advice(dataset),
        )
    return found


def is_data(name: str) -> bool:
    """Whether a file is data by its name: of a known format, and not one that describes the data."""
    path = PurePosixPath(name)
    return path.suffix.lower() in FORMATS and path.name not in NOT_DATA


def _stated(config: Any, names: list[str], dataset: str) -> Config:
    """Read one entry of the card's `configs`."""
    bad = HubUnavailable(
        Phrase("The card of {dataset} does not say in a known way which files are its data.", dataset=dataset),
        "Download the files by hand and import them.",
    )
    if not isinstance(config, Mapping) or not isinstance(config.get("config_name"), str):
        raise bad
    folder = config.get("data_dir") or ""
    stated = config.get("data_files")
    if not isinstance(folder, str) or not isinstance(stated, str | list | None):
        raise bad
    folder = folder.removeprefix("./").strip("/")
    if stated is None:
        splits = _by_name(names, folder)
    else:
        patterns: dict[str, list[str]] = {}
        for item in [stated] if isinstance(stated, str) else stated:
            split, path = (item.get("split"), item.get("path")) if isinstance(item, Mapping) else ("train", item)
            paths = [path] if isinstance(path, str) else path
            if not isinstance(split, str) or not isinstance(paths, list) or not all(isinstance(p, str) for p in paths):
                raise bad
            patterns.setdefault(split, []).extend(paths)
        splits = {split: _matching(names, folder, paths, dataset) for split, paths in patterns.items()}
    return Config(config["config_name"], _of_one_format(splits), config.get("default") is True)


def _by_name(names: list[str], folder: str) -> dict[str, tuple[str, ...]]:
    """Find splits by the names of files or folders; what names no split is training data."""
    head = f"{folder}/" if folder else ""
    inside = {n.removeprefix(head): n for n in names if n.startswith(head) and not _is_hidden(n.removeprefix(head))}
    splits: dict[str, list[str]] = {}
    for name in inside:
        if sharded := SHARDED.fullmatch(name):
            splits.setdefault(sharded[1], []).append(inside[name])
    if not splits:
        for in_folder in (True, False):
            for split, words in KEYWORDS.items():
                if found := [inside[n] for n in inside if _has_word(n, words, in_folder)]:
                    splits[split] = found
            if splits:
                break
    if not splits and inside:
        splits["train"] = list(inside.values())
    order = [*(s for s in KEYWORDS if s in splits), *sorted(set(splits) - set(KEYWORDS))]
    return _of_one_format({split: tuple(splits[split]) for split in order})


def _has_word(name: str, words: tuple[str, ...], in_folder: bool) -> bool:
    """Whether a folder of the path is called so, or the file's name has the word, set off by a mark or a digit."""
    path, word = PurePosixPath(name), f"(?:{'|'.join(words)})"
    if in_folder:
        return any(re.fullmatch(rf"(?:.*{BREAK})?{word}(?:{BREAK}.*)?", part) for part in path.parent.parts)
    return bool(re.fullmatch(rf"(?:.*{BREAK})?{word}{BREAK}.*", path.name))


def _matching(names: list[str], folder: str, patterns: list[str], dataset: str) -> tuple[str, ...]:
    """The files that the patterns name, in the patterns' order.

    Raises:
        HubUnavailable: a pattern leads out of the repository, or can't be read.
    """
    from fsspec.utils import glob_translate

    found: dict[str, None] = {}
    for pattern in patterns:
        pattern = pattern.removeprefix("./")
        if "://" in pattern or pattern.startswith("/") or ".." in pattern.split("/"):
            raise HubUnavailable(
                Phrase(
                    "The card of {dataset} names data outside of its repository: {name}.",
                    dataset=dataset,
                    name=repr(pattern[:80]),
                ),
                "Only files of the repository itself are fetched.",
            )
        pattern = f"{folder}/{pattern}" if folder else pattern
        try:
            matches = re.compile(glob_translate(pattern)).match
        except (ValueError, re.error) as error:
            raise HubUnavailable(
                Phrase(
                    "The card of {dataset} names its data in a way that can't be read: {name}.",
                    dataset=dataset,
                    name=repr(pattern[:80]),
                ),
                "Download the files by hand and import them.",
            ) from error
        found |= dict.fromkeys(n for n in names if matches(n) and _is_hidden(n) <= _is_hidden(pattern))
    return tuple(found)


def _is_hidden(name: str) -> bool:
    """Whether a part of the path starts with `.`, or a folder of it with `__`."""
    path = PurePosixPath(name)
    return any(p.startswith(".") for p in path.parts) or any(p.startswith("__") for p in path.parent.parts)


def _of_one_format(splits: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Keep the files of the format that most files have; a table can't be read from several."""
    kinds = Counter(_format(name) for files in splits.values() for name in files)
    if not kinds:
        return {}
    order = list(dict.fromkeys(FORMATS.values()))
    chosen = max(kinds, key=lambda kind: (kinds[kind], -order.index(kind)))
    kept = {split: tuple(n for n in files if _format(n) == chosen) for split, files in splits.items()}
    return {split: files for split, files in kept.items() if files}


def _format(name: str) -> str:
    return FORMATS[PurePosixPath(name).suffix.lower()]


def _converted(names: list[str]) -> list[Config]:
    """Read the layout of the Hub's own Parquet files: `config/split/0000.parquet`."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in names:
        if match := CONVERTED.fullmatch(name):
            splits = found.setdefault(match["config"], {})
            splits[match["split"]] = (*splits.get(match["split"], ()), name)
    return [Config(name, splits) for name, splits in found.items()]


def _instead(names: list[str]) -> str:
    """What a repository without readable data has in its place, as the end of a sentence."""
    if any(name.endswith(".py") and "/" not in name for name in names):
        return ": it is made by its author's code, which the studio never runs"
    kinds = Counter(_endings(name for name in names if not _is_hidden(name) and not name.endswith(".md")))
    return Phrase(": only {kinds}", kinds=", ".join(kind for kind, _ in kinds.most_common(NAMED))) if kinds else ""


def _endings(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if suffix := "".join(PurePosixPath(name).suffixes[-2:]).lower():
            yield f"*{suffix}"


def _advice(dataset: str) -> str:
    return Phrase(
        "Parquet, JSON, JSON Lines and CSV are read. For most public datasets the Hub makes Parquet files itself: "
        "try {name}.",
        name=f"hf:{dataset}@{CONVERTED_REVISION}",
    )
