"""What happens while rows come in: a file is looked at, set right and looked through, and then added.

Each step returns what it changes on the page, by component; the rest stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio import imports, projects, sources
from studio.errors import Busy, ImportRejected, InvalidInput, StudioError
from studio.formats import FIELDS, Encoding, NotTextError, Preview, Shape
from studio.imports import Checked, ImportReport
from studio.sources import Source
from studio.ui import incoming
from studio.ui.running import settled_soon
from studio.ui.session import Desk, Session
from studio.ui.words import say
from studio.ui.work import Work

if TYPE_CHECKING:
    from studio.ui.data_import import ImportPart

KIND = "import"
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp932", "euc_jp", "iso2022_jp", "cp1252", "cp1250",
             "cp1251", "gb18030", "big5", "cp949")  # fmt: skip
META = ("tags", "status", "split", "rating", "note", "source", "author")
"""Fields that any shape may take from columns."""
_REMEMBERED = 200
"""Sets of columns whose last choices are kept."""
Changes = dict[Any, Any]
"""Component → its new value, or update."""
Chosen = Sequence[str | None]
"""What the choices of how to read a file stand at, in the order of `ImportPart.choices`."""
Stands = Mapping[Any, str | None]
"""The same, by component."""
NOTHING: Changes = gr.skip()
"""Every component stays as it is; Gradio takes no empty dictionary for that."""


@dataclass(frozen=True)
class Incoming:
    """What is on screen to be imported, and how it is to be read."""

    source: Source
    shape: Shape | None = None
    """None: each row as its own columns say."""
    encoding: Encoding | None = None
    """Of text; None: as each file seems to be."""
    is_told: bool = False
    """Whether a person chose the encoding."""
    is_readable: bool = True
    """Whether it is known how to read a row."""
    columns: tuple[str, ...] = ()
    """Those of the file, as they are offered on screen."""


@dataclass(frozen=True)
class Look:
    """What a look through all rows of what was on screen found, or why it couldn't."""

    now: Incoming
    found: Checked | None
    error: StudioError | None


@dataclass
class Importing:
    """The steps, for one page's part of the tab."""

    desk: Desk
    part: ImportPart
    _chosen: dict[tuple[str, frozenset[str]], Shape] = field(default_factory=dict)
    """By project and columns: how a person last wanted such a file to be read."""

    # What a person does

    def look(self, at: Session, file: str | None) -> Changes:
        """At a file that was just given, or taken away."""
        self._stop_looking(at)
        unlooked = {self.part.approved: False}
        if not file:
            return self._nothing() | unlooked
        try:
            return self._on_screen(at, Incoming(Source(((None, Path(file)),)))) | unlooked
        except StudioError as error:
            return self._nothing(incoming.error_html(error, at.language)) | unlooked

    def arrange(self, at: Session, now: Incoming | None, *chosen: str | None) -> Changes:
        """Another way to read it; a file with the same columns will be read in the same way."""
        if now is None:
            return NOTHING
        return self._again(at, self._as_chosen(now, chosen), dict(zip(self.part.choices, chosen, strict=True)))

    def fetch(self, at: Session, named: str) -> Changes:
        """A dataset of the Hub; what came of it is shown by `ended`."""
        if not named.strip():
            raise InvalidInput(say(at.language, "app.import.name_one"))
        studio = self.desk.studio
        self.desk.works.start(
            at.project_id,
            KIND,
            lambda work: sources.from_hub(studio, named, work.report, work.cancelled.is_set),
            studio.closing,
        )
        return self.progress(at)

    def start(
        self, at: Session, on_screen: Incoming | None, chosen: Chosen, approve: bool, author: str, *, skip_bad: bool
    ) -> Changes:
        """Import what is on screen; what came of it is shown by `ended`."""
        if on_screen is None:
            raise InvalidInput(say(at.language, "app.import.nothing"))
        now = self._as_chosen(on_screen, chosen)
        now = _as_read(now, self._preview(now))
        self.desk.works.start(
            at.project_id,
            KIND,
            lambda work: imports.import_files(
                self.desk.studio,
                at.project_id,
                now.source.files,
                shape=now.shape,
                approve=approve,
                author=author,
                source=now.source.name,
                skip_bad=skip_bad,
                encoding=now.encoding.name if now.encoding else None,
                progress=lambda done, total: work.report("importing" if done < total else "keeping", done, total),
                cancelled=work.cancelled,
            ),
            self.desk.studio.closing,
        )
        return self.progress(at)

    # What the page asks by itself

    def progress(self, at: Session | None) -> Changes:
        return dict(zip(self.part.panel.view, self.part.panel.show(self.desk, at), strict=True))

    def limit(self, at: Session | None) -> Any:
        if at is None:
            return gr.skip()
        project = projects.get(self.desk.studio, at.project_id)
        return incoming.limit_html(self.desk.studio.settings.workspace, project.name, at.language)

    def ended(self, at: Session | None, now: Incoming | None, mark: str) -> Changes:
        """What came of it: a dataset to look at, what a look through all rows found, a report, or errors under what is
        still on screen. Once: by then another file may be on screen."""
        part = self.part
        work = self.desk.works.last(at.project_id, KIND) if at else None
        may_fetch = {part.fetch: gr.update(interactive=True)}
        if at is None or work is None:
            return {part.report: ""} | may_fetch
        is_running = work.is_running
        if not is_running and mark != work.mark:
            return NOTHING  # it ended just now, and the page hears of that in a moment
        if is_running:
            off = gr.update(interactive=False)
            if work.gives_way:
                return may_fetch
            return {part.report: "", part.go: off, part.rest: off, part.fetch: off}
        if isinstance(work.result, Look):
            return self._looked_through(at, now, work.result) | may_fetch
        if isinstance(work.result, Source):
            try:
                return self._on_screen(at, Incoming(work.result)) | may_fetch
            except StudioError as error:
                return self._nothing(incoming.error_html(error, at.language)) | may_fetch
        if isinstance(work.result, ImportReport):
            said = incoming.report_html(work.result, self.desk.downloads, at.language)
            return self._nothing(said) | {part.file: None} | may_fetch
        if work.error is None or now is None:
            return {part.report: incoming.error_html(work.error, at.language) if work.error else ""} | may_fetch
        return self._failed(work.error, at.language) | may_fetch

    # Looking

    def _preview(self, now: Incoming) -> Preview:
        encoding = now.encoding.name if now.encoding else None
        return imports.preview(self.desk.studio, now.source.first, now.shape, encoding)

    def _as_chosen(self, now: Incoming, chosen: Chosen) -> Incoming:
        """How it is to be read by the choices as they stand, in whatever order they were made."""
        name, encoding, *columns = chosen
        now = replace(now, shape=None)
        try:
            stood = now.encoding or self._preview(now).encoding
            if encoding and stood and encoding != stood.name:
                now = replace(now, encoding=Encoding(encoding), is_told=True)
            preview = self._preview(now)
        except StudioError:
            return now  # whoever reads it next says why it can't be
        shape = _shape_of(name, dict(zip(self.part.columns, columns, strict=True)), now, preview)
        return replace(now, shape=None if shape == preview.shape else shape)

    def _remember(self, at: Session, preview: Preview, shape: Shape | None) -> None:
        key = (at.project_id, frozenset(preview.columns))
        self._chosen.pop(key, None)
        if shape is not None:
            self._chosen[key] = shape
        if len(self._chosen) > _REMEMBERED:
            del self._chosen[next(iter(self._chosen))]

    def _on_screen(self, at: Session, now: Incoming, stands: Stands | None = None) -> Changes:
        """The first rows as they read; all of them are looked through from now on.

        Args:
            stands: the choices a person made. Without them it is read as the last file with these columns was.
        """
        preview, is_remembered = self._preview(now), False
        if stands is not None:
            self._remember(at, preview, now.shape)
        elif now.shape is None and (shape := self._chosen.get((at.project_id, frozenset(preview.columns)))) is not None:
            now, is_remembered = replace(now, shape=shape), True
            preview = self._preview(now)
        now = _as_read(now, preview)
        self._look_through(at, now)
        part, encoding = self.part, now.encoding or preview.encoding
        stands = stands or {}
        return {
            part.incoming: now,
            part.preview: gr.update(visible=True),
            part.reading: gr.update(visible=True),
            part.about: incoming.about_html(preview, now.source, encoding, at.language, is_remembered=is_remembered),
            part.shape: _set(part.shape, preview.shape.name if preview.shape else None, stands),
            part.encoding: _set(
                part.encoding,
                encoding.name if encoding and encoding.name in ENCODINGS else None,
                stands,
                visible=encoding is not None,
            ),
            part.table: incoming.table_html(preview, at.language),
            **self._columns(preview, stands),
            **self._buttons(at.language, "", can_go=now.is_readable),
            **self.progress(at),
        }

    def _again(self, at: Session, now: Incoming, stands: Stands | None = None) -> Changes:
        """What is on screen, read in another way; if that can't be, it stays for a third."""
        try:
            return self._on_screen(at, now, stands)
        except StudioError as error:
            self._stop_looking(at)
            return {
                self.part.incoming: now,
                self.part.about: incoming.name_html(now.source),
                self.part.table: "",
                **self._buttons(at.language, incoming.error_html(error, at.language)),
                **self.progress(at),
            }

    def _look_through(self, at: Session, now: Incoming) -> None:
        """Look through all its rows; not while an import is going on, which finds bad rows itself."""
        self._stop_looking(at)
        studio = self.desk.studio

        def look(work: Work) -> Look:
            try:
                found = imports.check_files(
                    studio,
                    at.project_id,
                    now.source.files,
                    shape=now.shape,
                    encoding=now.encoding.name if now.encoding else None,
                    progress=lambda done, total: work.report("checking", done, total),
                    cancelled=work.cancelled,
                )
            except StudioError as error:
                return Look(now, None, error)
            return Look(now, found, None)

        if now.is_readable:
            with contextlib.suppress(Busy):
                settled_soon(self.desk.works.start(at.project_id, KIND, look, studio.closing, gives_way=True))

    def _stop_looking(self, at: Session) -> None:
        work = self.desk.works.last(at.project_id, KIND)
        if work is not None and work.gives_way:
            work.cancelled.set()

    def _looked_through(self, at: Session, now: Incoming | None, look: Look) -> Changes:
        if now is None or look.now != now:
            return {}
        if isinstance(look.error, NotTextError) and not now.is_told:
            # It only begins like what it was taken for.
            found = imports.encoding_of(now.source.first)
            if found != now.encoding:
                return self._again(at, replace(now, encoding=found))
        if look.error is not None:
            return self._failed(look.error, at.language)
        if look.found is None:
            return self._buttons(at.language, "")
        said = incoming.checked_html(look.found, at.language)
        if not look.found.is_whole:
            return self._buttons(at.language, said, can_go=True)
        return self._buttons(at.language, said, can_go=True, good=look.found.good, bad=look.found.bad)

    # What is shown

    def _nothing(self, said: str = "") -> Changes:
        """No file on screen; only what is to be said of the last one."""
        part = self.part
        return {
            part.incoming: None,
            part.preview: gr.update(visible=False),
            part.reading: gr.update(visible=False),
            part.about: "",
            part.shape: gr.update(value=None),
            part.encoding: gr.update(value=None),
            part.table: "",
            part.report: said,
            part.go: gr.update(interactive=False),
            part.rest: gr.update(visible=False),
        }

    def _buttons(self, language: str, said: str, *, can_go: bool = False, good: int = 0, bad: int = 0) -> Changes:
        """What is to be said, and the button that imports: all rows, or without the bad ones."""
        words = say(language, "app.import.go_all", n=f"{good:,}") if good > 1 else say(language, "app.import.go")
        out = say(language, "app.import.leave_out", n=f"{bad:,}")
        rest = say(language, "app.import.go_rest", n=f"{good:,}", rest=out)
        has_rest = bool(good and bad)
        return {
            self.part.report: said,
            self.part.go: gr.update(value=words, interactive=can_go and not bad, visible=not has_rest),
            self.part.rest: gr.update(value=rest, visible=has_rest, interactive=True),
        }

    def _failed(self, error: StudioError, language: str) -> Changes:
        """What has bad rows can come in without them, what was cancelled once more."""
        said = incoming.error_html(error, language)
        if isinstance(error, ImportRejected):
            return self._buttons(language, said, good=error.good, bad=error.bad)
        return self._buttons(language, said, can_go=not isinstance(error, NotTextError))

    def _columns(self, preview: Preview, stands: Stands) -> Changes:
        """For each of our fields, the column it is read from; fields of other shapes are hidden."""
        shape = preview.shape
        fields = _fields(shape) if shape else []
        choices = [("—", ""), *((column, column) for column in preview.columns)]
        changes = {}
        for name, dropdown in self.part.columns.items():
            value = (shape.columns if shape else {}).get(name, _own(name, preview))
            is_shown = name in fields or (name in META and bool(fields))
            changes[dropdown] = _set(dropdown, value, stands, choices=choices, visible=is_shown)
        return changes


def _as_read(now: Incoming, preview: Preview) -> Incoming:
    """What is on screen is what will be done: with a guess of the shape, and the encoding that was found."""
    if now.shape is None and not preview.is_sure:
        now = replace(now, shape=preview.shape)
    if now.encoding is None and len(now.source.files) == 1:
        now = replace(now, encoding=preview.encoding)
    return replace(now, is_readable=preview.shape is not None, columns=preview.columns)


def _fields(shape: Shape) -> Sequence[str]:
    return [name for part in FIELDS[shape.name] for name in part]


def _set(choice: Any, value: str | None, stands: Stands, **more: Any) -> Any:
    """Leaves a choice alone that stands right: until this is shown, another may be made in it."""
    return gr.update(**more) if stands.get(choice, ...) == value else gr.update(value=value, **more)


def _shape_of(name: str | None, columns: Mapping[str, str | None], now: Incoming, preview: Preview) -> Shape | None:
    """The shape that the choices on screen describe."""
    known = next((known for known in FIELDS if known == name), None)
    if known is None:
        return None
    changed = {}
    for ours in (*_fields(Shape(known)), *META):
        own, chosen = _own(ours, preview), columns[ours]
        # In another encoding columns have other names, and what had none may have one.
        is_there = chosen in preview.columns or (chosen == "" and ours in now.columns)
        if chosen is not None and chosen != own and is_there:
            changed[ours] = chosen
    return Shape(known, changed)


def _own(field: str, preview: Preview) -> str:
    """The column from which a field is read unless another is chosen."""
    return field if field in preview.columns and field not in META else ""
