"""Composition in one place: what every use case is handed."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import Busy, ModelUnavailable, Phrase, StudioError
from studio.model.catalogue import ModelEntry, resolve
from studio.model.encoding import Marks
from studio.model.engine import EchoEngine, Engine, EngineState
from studio.model.identity import identity_of
from studio.model.probe import Compute, compute, probe
from studio.model.pull import locate, pull
from studio.settings import DEFAULT_MODEL, Settings
from studio.store import Store
from studio.workspace import Workspace, read_json, write_json

if TYPE_CHECKING:
    from studio.detectors.near import NearIndex
    from studio.rows import Notice

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MarksAt:
    """The tokens of a project's training rows, as counted at one state of the rows."""

    stamp: str
    under: object
    """The system prompt and the model they were counted with."""
    of: Mapping[tuple[str, int], Marks]
    """By example id and version, in the order of the rows."""


class Unchecked:
    """Rows that were saved and are to be looked at soon, by project: their versions by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, int]] = {}
        self._first = self._last = 0.0

    def add(self, project_id: str, versions: Mapping[str, int]) -> bool:
        """Whether none were waiting."""
        with self._lock:
            is_first, self._last = not self._rows, time.monotonic()
            if is_first:
                self._first = self._last
            self._rows.setdefault(project_id, {}).update(versions)
            return is_first

    def wait_s(self, quiet_s: float, most_s: float) -> float:
        """How long to wait still: until nothing came for `quiet_s`, but no longer than `most_s` in all."""
        with self._lock:
            return min(self._last + quiet_s, self._first + most_s) - time.monotonic() if self._rows else 0.0

    def leave_out(self, project_id: str, versions: Mapping[str, int]) -> None:
        """These versions were looked at otherwise."""
        with self._lock:
            waiting = self._rows.get(project_id, {})
            for id_ in [id_ for id_, version in waiting.items() if version <= versions.get(id_, 0)]:
                del waiting[id_]

    def take(self) -> dict[str, dict[str, int]]:
        with self._lock:
            rows, self._rows = self._rows, {}
            return rows


@dataclass
class Studio:
    """The open workspace and the model that answers."""

    settings: Settings
    workspace: Workspace
    store: Store
    state: EngineState = field(default_factory=EngineState)
    """Where loading the model stands."""
    checking: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Evaluations under way: adapter id → (done, total). For display only."""
    marks: dict[str, MarksAt] = field(default_factory=dict)
    """Per project: what is known of the tokens of its rows."""
    near: dict[str, NearIndex] = field(default_factory=dict)
    """Per project: what finds near-duplicates. Where rows are dealt to sides, every row is in it."""
    unchecked: Unchecked = field(default_factory=Unchecked)
    noticed: dict[str, Notice] = field(default_factory=dict)
    """What was noticed of rows as they were saved, by their id, the latest last. For display only."""
    shots: threading.RLock = field(default_factory=threading.RLock)
    """Held while few-shot pairs are read, changed and written; whoever changes other things doesn't wait for it."""
    closing: threading.Event = field(default_factory=threading.Event)
    cancel_loading: threading.Event = field(default_factory=threading.Event)
    _engine: Engine | None = None
    _loading: threading.Lock = field(default_factory=threading.Lock)
    _model_path: Path | None = None
    _compute: Compute | None = None
    _background: ThreadPoolExecutor | None = None

    @property
    def model_name(self) -> str:
        """The model in use: the setting, unless another was chosen in the app."""
        chosen = read_json(self.workspace.root / "model.json") or {}
        return (
            str(chosen.get("model") or DEFAULT_MODEL) if self.settings.model == DEFAULT_MODEL else self.settings.model
        )

    @property
    def engine(self) -> Engine:
        """Raises:
        Busy: the model is still loading.
        ModelUnavailable: loading failed, or was never started.
        """
        if self._engine is not None:
            return self._engine
        if self.state.name == "loading":
            raise Busy("The model is still loading.", self.state.detail or "It takes a few seconds.")
        if isinstance(self.state.error, StudioError):
            raise self.state.error
        raise ModelUnavailable("No model is loaded.", "Choose one under Model.")

    @property
    def is_ready(self) -> bool:
        return self._engine is not None

    @property
    def model_path(self) -> Path:
        if self._model_path is None:
            raise ModelUnavailable("No model is loaded.", "Choose one under Model.")
        return self._model_path

    @property
    def compute(self) -> Compute:
        if self._compute is None:
            is_echo = self.settings.engine == "echo"
            self._compute = (
                Compute("cpu", "float32", "nothing is computed") if is_echo else compute(probe(), self.settings.dtype)
            )
        return self._compute

    def load_engine(self, progress: Callable[[str, int, int], None] | None = None) -> Engine:
        """Fetch the model if need be, load it, and answer with it from now on.

        Raises:
            StudioError: it can't be had; the engine in use before stays.
        """
        with self._loading:
            self.cancel_loading.clear()
            self.state = EngineState("loading", "Loading the model …")

            def report(stage: str, done: int, total: int) -> None:
                self.state = EngineState("loading", stage, done, total)
                if progress:
                    progress(stage, done, total)

            try:
                self._engine = self._build(report)
            except StudioError as error:
                self.state = EngineState("ready" if self._engine else "failed", str(error), error=error)
                raise
            except Exception as error:
                log.exception("The model could not be loaded")
                failure = ModelUnavailable(
                    Phrase("The model can't be loaded: {reason}.", reason=str(error)), "See the log."
                )
                self.state = EngineState("ready" if self._engine else "failed", str(failure), error=failure)
                raise failure from error
            self.state = EngineState("ready")
            return self._engine

    def _build(self, report: Callable[[str, int, int], None]) -> Engine:
        if self.settings.engine == "echo":
            self._model_path = self.workspace.models
            return EchoEngine()
        entry = resolve(self.model_name)
        path = self.fetch(entry, report)
        report("Loading the model …", 0, 0)
        from studio.model.hf_engine import HFEngine

        identity = identity_of(path, self.settings.precision)
        engine = HFEngine(path, identity, device=self.compute.device, dtype=self.compute.dtype)
        self._model_path = path
        return engine

    def fetch(self, entry: ModelEntry, report: Callable[[str, int, int], None]) -> Path:
        """The folder of a model, downloaded first if it isn't in the workspace."""
        found = locate(entry, self.workspace.models)
        return found or pull(
            entry,
            self.workspace.models,
            offline=self.settings.offline,
            hub_url=self.settings.hub_url,
            index_url=self.settings.index_url,
            progress=report,
            cancelled=self.cancel_loading.is_set,
        )

    def choose_model(self, name: str, progress: Callable[[str, int, int], None] | None = None) -> Engine:
        """Answer with another model from now on, and after a restart. A failure keeps the one in use."""
        resolve(name)
        before, settings = read_json(self.workspace.root / "model.json"), self.settings
        write_json(self.workspace.root / "model.json", {"model": name})
        self.settings = replace(settings, model=DEFAULT_MODEL)
        try:
            return self.load_engine(progress)
        except StudioError:
            write_json(self.workspace.root / "model.json", before or {})
            self.settings = settings
            raise

    def later(self, work: Callable[[], object]) -> None:
        """Do something small soon, off the way of whoever asked; one after the other. What is left at the end is not
        done: it must be something that can be made up for."""

        def run() -> None:
            try:
                work()
            except Exception:
                log.exception("Something to be done later failed")

        if not self.closing.is_set():
            if self._background is None:
                self._background = ThreadPoolExecutor(1, "later")
            self._background.submit(run)

    def close(self) -> None:
        self.closing.set()
        if self._background is not None:
            self._background.shutdown(wait=True, cancel_futures=True)
        self.cancel_loading.set()
        self.store.close()
        self.workspace.unlock()


def open_studio(settings: Settings, purpose: str = "studio") -> Studio:
    """Own the workspace and open its store. The model is loaded by `load_engine`.

    Raises:
        WorkspaceInUse: another process owns it.
        StoreBroken: the database can't be opened.
    """
    # While another thread computes, this is what one waits each time it comes back from the database; Python's own is
    # ten times as long.
    sys.setswitchinterval(0.0005)
    workspace = Workspace(settings.workspace)
    workspace.lock(purpose)
    try:
        return Studio(settings, workspace, Store(workspace.database))
    except BaseException:
        workspace.unlock()
        raise
