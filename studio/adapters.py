"""Adapters of a project: which one is live, going back, and what they learned."""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.context import Studio
from studio.errors import InvalidInput, NotFound, Phrase
from studio.records import Adapter, Score


def folder(studio: Studio, adapter_id: str) -> Path:
    return studio.workspace.adapters / adapter_id


def get(studio: Studio, adapter_id: str) -> Adapter:
    adapter = studio.store.adapters.get(adapter_id)
    if adapter is None or adapter.is_deleted:
        raise NotFound(Phrase("There is no adapter {name}.", name=adapter_id), "List them with: studio adapters list")
    return adapter


def named(studio: Studio, project_id: str, name: str) -> Adapter | None:
    """The adapter of that id or name (`v3`); None for `base`."""
    if name == "base":
        return None
    for adapter in studio.store.adapters.all(project_id):
        if name in (adapter.id, adapter.name):
            return adapter
    known = ", ".join(a.name for a in studio.store.adapters.all(project_id)) or Phrase("none yet")
    raise NotFound(
        Phrase("There is no adapter {name!r} in this project.", name=name),
        Phrase("There are: base, {names}.", names=known),
    )


def live(studio: Studio, project_id: str) -> Adapter | None:
    """The adapter that answers in a project; None for the base.

    An adapter made for another base than the one loaded is passed over: the lesson before it that fits answers, else
    the base. It is live again when its own base is.
    """
    for adapter_id in reversed(studio.store.adapters.activations(project_id)):
        if adapter_id is None:
            return None
        adapter = studio.store.adapters.get(adapter_id)
        if adapter is None or adapter.is_deleted:
            return None
        if not studio.is_ready or adapter.base == studio.engine.identity:
            return adapter
    return None


def ensure_loaded(studio: Studio, adapter_id: str) -> None:
    """Load an adapter beside the base if it isn't there yet.

    Raises:
        AdapterRejected: its files failed a check; whatever was loaded stays.
    """
    adapter = get(studio, adapter_id)
    studio.engine.load_adapter(adapter.id, folder(studio, adapter.id), adapter.sha256)


def activate(studio: Studio, project_id: str, adapter_id: str | None, why: str = "chosen") -> None:
    """Let an adapter (None: the base) answer in a project from the next message on.

    Raises:
        AdapterRejected: its files failed a check; the live one stays.
    """
    if adapter_id is not None:
        adapter = get(studio, adapter_id)
        if adapter.project_id != project_id:
            raise InvalidInput(Phrase("{name} belongs to another project.", name=adapter.name))
        ensure_loaded(studio, adapter_id)
    studio.store.adapters.activate(project_id, adapter_id, why)


def rollback(studio: Studio, project_id: str) -> Adapter | None:
    """Go back to what was live before the present adapter; returns it (None: the base).

    Raises:
        InvalidInput: nothing was live before.
    """
    target = previous(studio, project_id)
    activate(studio, project_id, target.id if target else None, "rollback")
    return target


def previous(studio: Studio, project_id: str) -> Adapter | None:
    """What `rollback` would go back to; None for the base.

    Raises:
        InvalidInput: the base is live, and it is where everything began.
    """
    current = live(studio, project_id)
    if current is None:
        raise InvalidInput("There is nothing to go back to: the base model is live.")
    # The state before the present adapter first went live; going back twice does not bounce.
    history = studio.store.adapters.activations(project_id)
    for adapter_id in reversed(history[: history.index(current.id)]):
        if adapter_id is None:
            return None
        adapter = studio.store.adapters.get(adapter_id)
        if adapter is not None and not adapter.is_deleted:
            return adapter
    return None


def delete(studio: Studio, adapter_id: str) -> None:
    """Remove an adapter's files; its run, scores and history stay.

    Raises:
        InvalidInput: it is live.
    """
    adapter = get(studio, adapter_id)
    current = live(studio, adapter.project_id)
    if current is not None and current.id == adapter_id:
        raise InvalidInput(Phrase("{name} is live.", name=adapter.name), "Go back to another adapter first.")
    studio.store.adapters.mark_deleted(adapter_id)
    if studio.is_ready:
        studio.engine.drop_adapter(adapter_id)
    shutil.rmtree(folder(studio, adapter_id), ignore_errors=True)


def score(studio: Studio, adapter_id: str) -> Score | None:
    """What the adapter was seen to answer; None before it was checked."""
    results = studio.store.adapters.results(adapter_id)
    if not results:
        return None
    train = [r for r in results if r.split == "train"]
    held = [r for r in results if r.split == "test"]
    adapter = studio.store.adapters.get(adapter_id)
    return Score(
        adapter_id,
        learned=sum(r.is_right for r in train),
        total=len(train),
        base_learned=sum(r.is_base_right for r in train),
        held_learned=sum(r.is_right for r in held),
        held_total=len(held),
        base_held=sum(r.is_base_right for r in held),
        broke=_broken(studio, adapter, {r.example_id: r.is_right for r in results}) if adapter else 0,
        unchecked=unchecked(studio, adapter) if adapter else 0,
    )


def unchecked(studio: Studio, adapter: Adapter) -> int:
    """Rows an adapter was trained on that are no check; see `Score.unchecked`."""
    run = studio.store.runs.get(adapter.run_id)
    return int(run.result.get("unchecked", 0)) if run else 0


def _broken(studio: Studio, adapter: Adapter, right: dict[str, bool]) -> int:
    """Checks that the adapter before this one (else the base) got right, and this one gets wrong."""
    earlier = [a for a in studio.store.adapters.all(adapter.project_id) if a.id < adapter.id]
    if earlier and (before := studio.store.adapters.results(earlier[-1].id)):
        was_right = {r.example_id for r in before if r.is_right}
    else:
        was_right = {r.example_id for r in studio.store.adapters.results(adapter.id) if r.is_base_right}
    return sum(1 for example_id in was_right if right.get(example_id) is False)
