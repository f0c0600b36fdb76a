"""How a person names a dataset on the Hub: `hf:owner/name@revision/config#split`, or the address of its page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from studio.errors import InvalidInput, Phrase
from studio.hub.repo import check_id

PREFIX = "hf:"
PAGES = "https://huggingface.co/datasets/"
REFS = re.compile(r"refs/(?:convert/\w+|pr/\d+)(?=/|$)")
"""Revisions of the Hub's own with a `/` in them; any other has to be written with `%2F`."""
FORM = "Write hf:owner/name, and after it as needed @revision, /config and #split."


@dataclass(frozen=True)
class DatasetReference:
    """A dataset on the Hub, and which part of it."""

    id: str
    revision: str = ""
    """A branch, tag or commit; empty: the newest."""
    config: str | None = None
    split: str | None = None

    def __str__(self) -> str:
        revision = self.revision if REFS.fullmatch(self.revision) else quote(self.revision, safe="")
        if self.config and "/" not in self.id:
            revision = revision or "main"
        return "".join(
            (
                PREFIX + self.id,
                f"@{revision}" if revision else "",
                f"/{self.config}" if self.config else "",
                f"#{self.split}" if self.split else "",
            )
        )


def is_dataset_reference(text: str, hub_url: str = "") -> bool:
    """Whether this names a dataset on the Hub, and not a file."""
    return text.strip().startswith((PREFIX, PAGES, *([f"{hub_url}/datasets/"] if hub_url else [])))


def parse_dataset_reference(text: str, hub_url: str = "") -> DatasetReference:
    """Read `hf:ID[@revision][/config][#split]` (`hf:` may be missing), or the address of a dataset's page.

    An id without an owner takes a config only after a revision: `hf:squad@main/plain_text`.

    Args:
        hub_url: a Hub whose addresses are understood besides huggingface.co.

    Raises:
        InvalidInput: it can't be read so.
    """
    text = text.strip()
    for pages in (PAGES, f"{hub_url}/datasets/" if hub_url else PAGES):
        if text.startswith(pages):
            found = _from_page(text.removeprefix(pages))
            break
    else:
        found = _from_short(text.removeprefix(PREFIX).removeprefix("//").removeprefix("datasets/"))
    check_id(found.id)
    return found


def _from_short(text: str) -> DatasetReference:
    text, has_split, split = text.partition("#")
    name, has_revision, rest = text.partition("@")
    if has_revision:
        known = REFS.match(rest)
        revision = known[0] if known else rest.partition("/")[0]
        config = rest[len(revision) :]
    else:
        owner, slash, rest = name.partition("/")
        last, more, config = rest.partition("/")
        name, revision, config = f"{owner}{slash}{last}", "", more + config
    wrong = (has_split and not split) or (has_revision and not revision) or config == "/"
    if not name or wrong:
        raise InvalidInput(Phrase("{name} does not name a dataset on the Hub.", name=repr(text)), FORM)
    return DatasetReference(name, unquote(revision), config.removeprefix("/") or None, split or None)


def _from_page(path: str) -> DatasetReference:
    """Read what stands in a browser: `owner/name`, perhaps with `/tree/REVISION` or `/viewer/CONFIG/SPLIT`."""
    parts = [unquote(part) for part in re.split(r"[?#]", path)[0].strip("/").split("/")]
    for at in (1, 2):
        name, view, rest = "/".join(parts[:at]), parts[at : at + 1], parts[at + 1 :]
        if view in (["tree"], ["blob"], ["resolve"]) and rest:
            known = REFS.match("/".join(rest))
            return DatasetReference(name, known[0] if known else rest[0])
        if view == ["viewer"]:
            config, split = (*rest, "", "")[:2]
            return DatasetReference(name, config=config or None, split=split or None)
    return DatasetReference("/".join(parts[:2]))
