"""Cells of a CSV file that a spreadsheet doesn't take for formulas, and that come back exactly as they were."""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

# What OWASP's page on CSV injection lists, and the full-width signs that Excel reads as the plain ones.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
_NEUTRALISED = re.compile("'+[=+\\-@\t\r\n＝＋－＠]")


def neutralised(cell: str) -> str:
    """The cell, with an apostrophe before what a spreadsheet would work out."""
    return "'" + cell if _FORMULA.match(cell) else cell


def restored(cell: str) -> str:
    """The cell as it was before `neutralised`."""
    return cell[1:] if _NEUTRALISED.match(cell) else cell


def join_tags(tags: Sequence[str]) -> str:
    """Tags as a person types them; as JSON where that would be ambiguous."""
    if all(tag and tag == tag.strip() and "," not in tag and tag[0] != "[" for tag in tags):
        return ", ".join(tags)
    return orjson.dumps(list(tags)).decode()


def split_tags(cell: str) -> tuple[str, ...]:
    """The reverse of `join_tags`."""
    if cell[:1] == "[":
        try:
            value = orjson.loads(cell)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, list):
            return tuple(str(tag) for tag in value)
    return tuple(tag for part in cell.split(",") if (tag := part.strip()))
