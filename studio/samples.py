"""The small sets that come with the studio, to try the whole loop with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from studio import dataset, projects
from studio.context import Studio
from studio.errors import NotFound, Phrase
from studio.records import Example, Project, Turn, new_id
from studio.settings import data_dir


@dataclass(frozen=True)
class Sample:
    """A small set to try the whole loop with."""

    key: str
    name: str
    language: str
    description: str
    rows: int
    held_out: int


def samples(folder: Path | None = None) -> list[Sample]:
    """The sets shipped in `data/samples/`."""
    found = []
    for path in sorted((folder or data_dir() / "samples").glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            Sample(
                path.stem,
                value["name"],
                value["language"],
                value["description"],
                len(value["rows"]),
                len(value["held_out"]),
            )
        )
    return found


def try_sample(studio: Studio, key: str) -> Project:
    """A project with a sample's corrections, approved, and its held-out rewordings as test rows. Made once."""
    path = data_dir() / "samples" / f"{key}.json"
    if key not in {s.key for s in samples()}:
        raise NotFound(
            Phrase("There is no sample {key!r}.", key=key),
            Phrase("There are: {names}.", names=", ".join(s.key for s in samples())),
        )
    value = json.loads(path.read_text(encoding="utf-8"))
    if (existing := studio.store.projects.by_name(value["name"])) is not None:
        return existing
    with studio.store.transaction():
        project = projects.create(
            studio,
            value["name"],
            system_prompt=value["system_prompt"],
            format=value["format"],
            language=value["language"],
        )
        dataset.add_rows(
            studio,
            project.id,
            [
                Example(
                    new_id("e"),
                    project.id,
                    1,
                    "approved",
                    (Turn("user", row["prompt"]),),
                    row["answer"],
                    split="train" if part == "rows" else "test",
                    source="sample",
                    extra={"topic": row["topic"]},
                    author="sample",
                )
                for part in ("rows", "held_out")
                for row in value[part]
            ],
            "imported",
            detail=value["name"],
            author="sample",
        )
    return project
