"""Fetch a model's files from a Hugging Face Hub: safetensors, configuration and tokenizer; no code, no pickles."""

from __future__ import annotations

import re
from pathlib import Path

from studio.errors import HubUnavailable, ModelUnavailable
from studio.hub.download import folder_for, save
from studio.hub.repo import Hub, Repo
from studio.model.catalogue import ModelEntry
from studio.model.files import Fetched, check_config, check_names
from studio.transfer import IsCancelled, Progress, need_space

SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
KEPT = re.compile(
    r"(?!adapter_config\.json$)[^/]+\.(json|jinja)"
    r"|tokenizer\.model|spiece\.model|merges\.txt|vocab\.txt"
    r"|(licen[cs]e|notice|readme|use_policy|[a-z_]*terms_of_use)(\.(md|txt))?",
    re.IGNORECASE,
)


def fetch(entry: ModelEntry, folder: Path, *, hub_url: str, progress: Progress, cancelled: IsCancelled) -> Fetched:
    """Fetch a model into a folder, continuing what an interrupted call for the same commit left there.

    Raises:
        ModelUnavailable: the Hub can't be reached, has no such model or commit, wants its licence accepted first, or
            offers the model only in a form that the studio refuses.
        DiskFull: there is no room for it.
        Cancelled: `cancelled()` became true.
    """
    repo = Repo(Hub(hub_url), "model", entry.hub_id, entry.revision)
    try:
        with repo.errors():
            return _fetch(repo, entry, folder, progress, cancelled)
    except HubUnavailable as error:
        raise ModelUnavailable(error.message, error.hint) from error


def _fetch(repo: Repo, entry: ModelEntry, folder: Path, progress: Progress, cancelled: IsCancelled) -> Fetched:
    progress("Asking the Hub", 0, 0)
    state = repo.look(cancelled)
    files = {file.name: file for file in state.files}
    names = choose(set(files), entry.name)
    total = sum(files[name].size for name in names)
    folder = folder_for(folder, state.commit)
    have = sum(path.stat().st_size for path in folder.iterdir())
    need_space(folder, max(total - have, 0), entry.name)

    done = 0
    for name in names:
        for size in save(repo, files[name], state.commit, folder / name, cancelled):
            progress("Downloading", done + size, total)
        done += files[name].size
        if name == "config.json":
            check_config(folder / name, entry.name)
    return Fetched(
        source="hub",
        revision=state.commit,
        licence=state.licence,
        sha256={name: files[name].sha256 for name in names if files[name].sha256},
    )


def choose(names: set[str], model: str) -> list[str]:
    """Choose the files to fetch among those of a repository: config.json first, the weights last.

    Raises:
        ModelUnavailable: the repository offers the model only in a form that the studio refuses.
    """
    top = {name for name in names if "/" not in name}
    check_names(top, model)
    weights = {n for n in top if n.endswith(".safetensors") and not n.startswith(("adapter_", "consolidated"))}
    kept = {name for name in top if KEPT.fullmatch(name)}
    if "model.safetensors" in weights:
        weights = {"model.safetensors"}
        kept.discard("model.safetensors.index.json")
    elif shards := {name for name in weights if SHARD.fullmatch(name)}:
        weights = shards
    return ["config.json", *sorted(kept - {"config.json"}), *sorted(weights)]
