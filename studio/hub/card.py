"""A dataset's card, README.md: its metadata, and the merge of a fresh card with the one on the Hub.

A fresh card replaces the old one, except for

* the part between two marks, which is for people to write in (a card that no push wrote is kept there as a whole);
* metadata that the fresh card says nothing about, such as `license` or `extra_gated_prompt`.

The last line lists the files of the push, so that the next push knows which files on the Hub are its own to remove.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from studio.errors import InvalidInput, Phrase

CARD = "README.md"
NOTES_START = "<!-- notes: what stands between these two lines is kept when the dataset is pushed again -->"
NOTES_END = "<!-- /notes -->"
HEAD = re.compile(r"\A\s*---[ \t]*\r?\n(?P<yaml>.*?)(?P<end>^---[ \t]*(?:\r?\n|\Z))", re.DOTALL | re.MULTILINE)
START = re.compile(r"<!--\s*notes\b.*?-->", re.DOTALL)
END = re.compile(r"<!--\s*/notes\s*-->")
PUSHED = re.compile(r"\n*<!--\s*pushed\s*(?P<files>\[.*?\])\s*-->[ \t]*\n?")
_EMPTY = "\n\n"
FROM_DATA = {"configs", "dataset_info", "size_categories", "annotations_creators"}
"""Metadata that describes the data of one push: never kept from an earlier one."""


def metadata(text: str) -> dict[str, Any]:
    """The metadata at the head of a card; empty where there is none that can be read."""
    import yaml

    head = HEAD.match(text)
    try:
        value = yaml.safe_load(head["yaml"]) if head else None
    except (yaml.YAMLError, RecursionError, ValueError):
        value = None
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def pushed_files(text: str) -> set[str]:
    """The files that an earlier push brought, as its card lists them."""
    try:
        found = [json.loads(match["files"]) for match in PUSHED.finditer(text)]
    except ValueError:
        return set()
    return {name for names in found for name in names if isinstance(name, str)}


def merge(fresh: str, remote: str, files: Iterable[str]) -> str:
    """Return the fresh card with what people wrote into the one on the Hub, and the list of the push's files.

    Raises:
        InvalidInput: the marks in the card on the Hub are broken, so that it is not clear what to keep.
    """
    fresh = _keep_metadata(PUSHED.sub("\n", fresh), remote)
    fresh = _keep_notes(fresh, remote)
    listed = json.dumps(sorted(files), ensure_ascii=False).replace(">", "\\u003e")
    return f"{fresh.rstrip()}\n\n<!-- pushed {listed} -->\n"


def _keep_metadata(fresh: str, remote: str) -> str:
    import yaml

    said = metadata(fresh)
    kept = {k: v for k, v in metadata(remote).items() if k not in said and k not in FROM_DATA}
    if not kept:
        return fresh
    lines: str = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
    if head := HEAD.match(fresh):
        return fresh[: head.start("end")] + lines + fresh[head.start("end") :]
    return f"---\n{lines}---\n\n{fresh}"


def _keep_notes(fresh: str, remote: str) -> str:
    kept, own = _notes(remote), _notes(fresh)
    notes = remote[slice(*kept)] if kept else ""
    if not kept and not PUSHED.search(remote):
        notes = HEAD.sub("", remote).strip()
        notes = f"\n\n{notes}\n\n" if notes else ""
    if own is None:
        return f"{fresh.rstrip()}\n\n{NOTES_START}{notes or _EMPTY}{NOTES_END}\n"
    return fresh[: own[0]] + notes + fresh[own[1] :] if notes else fresh


def _notes(text: str) -> tuple[int, int] | None:
    """Where the part between the marks begins and ends, or None where there are no marks.

    Raises:
        InvalidInput: there is a start without an end, or the like.
    """
    starts, ends = list(START.finditer(text)), list(END.finditer(text))
    if not starts and not ends:
        return None
    if len(starts) != 1 or len(ends) != 1 or starts[0].end() > ends[0].start():
        raise InvalidInput(
            Phrase("The marks around the notes in {file} are broken, so it is not clear what to keep.", file=CARD),
            Phrase(
                "Mend them on the Hub: one line `{start}`, and below it one line `{end}`.",
                start=NOTES_START,
                end=NOTES_END,
            ),
        )
    return starts[0].end(), ends[0].start()
