"""Rows come in from a file or from the Hub: looked at, set right, looked through, then added all of them or none; or
the good ones, if that is chosen."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from studio import imports, projects, sources
from studio.errors import Busy, ImportRejected, InvalidInput, StudioError
from studio.formats import FIELDS, Encoding, NotTextError, Preview, Shape
from studio.imports import Checked, ImportReport
from studio.sources import Source
from studio.ui import incoming
from studio.ui.running import settled_soon
from studio.ui.session import QUIET, Desk, Session, author_of, guarded
from studio.ui.words import say, t
from studio.ui.work import Work, WorkPanel, panel

KIND = "import"
FILE_TYPES = [".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet"]
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp932", "euc_jp", "iso2022_jp", "cp1252", "cp1250",
             "cp1251", "gb18030", "big5", "cp949")  # fmt: skip
META = ("tags", "status", "split", "rating", "note", "source", "author")
"""Fields that any shape may take from columns."""
TEXTS = tuple(dict.fromkeys(name for part in zip(*FIELDS.values(), strict=True) for names in part for name in names))
"""The fields of all shapes; first those that some shape needs."""
_REMEMBERED = 200
"""Sets of columns whose last choices are kept."""


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


@dataclass(frozen=True)
class Look:
    """What a look through all rows of what was on screen found, or why it couldn't."""

    now: Incoming
    found: Checked | None
    error: StudioError | None


@dataclass(frozen=True)
class ImportPart:
    file: gr.File
    limit: gr.HTML
    named: gr.Textbox
    fetch: gr.Button
    panel: WorkPanel
    report: gr.HTML
    rest: gr.Button
    preview: gr.Column
    """What is to be imported, and the buttons."""
    reading: gr.Column
    """How it is read."""
    about: gr.HTML
    go: gr.Button
    approved: gr.Checkbox
    shape: gr.Dropdown
    encoding: gr.Dropdown
    columns: Mapping[str, gr.Dropdown]
    """By our field: the column it is read from."""
    more: gr.Accordion
    table: gr.HTML
    incoming: gr.State

    @property
    def looked(self) -> list[Any]:
        """What a look at a file fills."""
        return [
            *(self.incoming, self.preview, self.reading, self.about, self.shape, self.encoding, self.table),
            *self.columns.values(),
            *self.ready,
        ]

    @property
    def ready(self) -> list[Any]:
        """What a look through all rows fills: what is to be said, and which buttons there are."""
        return [self.report, self.go, self.rest]

    def wire(self, desk: Desk, session: gr.State, tab: gr.Tab) -> Any:
        """Wire the part, which is in `tab`; returns the event after which there may be more rows than before."""
        part = self
        chosen: dict[tuple[str, frozenset[str]], Shape] = {}
        """By project and columns: how a person last wanted such a file to be read."""

        def on_screen(at: Session, now: Incoming) -> tuple[Any, ...]:
            """What `looked` and the panel show of it; its rows are looked through from now on."""
            preview, is_remembered = _preview(desk, now), False
            if now.shape is None and (shape := chosen.get((at.project_id, frozenset(preview.columns)))) is not None:
                now, is_remembered = replace(now, shape=shape), True
                preview = _preview(desk, now)
            now = _as_read(now, preview)
            _look_through(desk, at, now)
            about = incoming.about_html(
                preview, now.source, now.encoding or preview.encoding, at.language, is_remembered=is_remembered
            )
            return *_looked(now, preview, about, at.language), *part.panel.show(desk, at)

        def remember(at: Session, preview: Preview, shape: Shape) -> None:
            key = (at.project_id, frozenset(preview.columns))
            chosen.pop(key, None)
            chosen[key] = shape
            if len(chosen) > _REMEMBERED:
                del chosen[next(iter(chosen))]

        @guarded
        def look(at: Session, file: str | None) -> tuple[Any, ...]:
            _stop_looking(desk, at)
            kept = (gr.skip(),) * len(part.panel.view)
            if not file:
                return *_nothing(), *kept, False
            try:
                return *on_screen(at, Incoming(Source(((None, Path(file)),)))), False
            except StudioError as error:
                return *_nothing(incoming.error_html(error, at.language)), *kept, False

        def again(at: Session, now: Incoming) -> tuple[Any, ...]:
            """What is on screen, read in another way; if that can't be, it stays for a third."""
            try:
                return on_screen(at, now)
            except StudioError as error:
                _stop_looking(desk, at)
                kept = (gr.skip(),) * len(part.columns)
                said = _buttons(at.language, incoming.error_html(error, at.language))
                about = incoming.name_html(now.source)
                return (
                    now,
                    *(gr.skip(), gr.skip(), about, gr.skip(), gr.skip(), ""),
                    *kept,
                    *said,
                    *part.panel.show(desk, at),
                )

        @guarded
        def choose(at: Session, now: Incoming | None, name: str) -> tuple[Any, ...]:
            if now is None:
                return (gr.skip(),) * (len(part.looked) + len(part.panel.view))
            shape = next((Shape(known) for known in FIELDS if known == name), None)
            return again(at, replace(now, shape=shape))

        @guarded
        def decode(at: Session, now: Incoming | None, name: str) -> tuple[Any, ...]:
            if now is None:
                return (gr.skip(),) * (len(part.looked) + len(part.panel.view))
            return again(at, replace(now, encoding=Encoding(name), is_told=True))

        @guarded
        def arrange(at: Session, now: Incoming | None, name: str, *columns: str) -> tuple[Any, ...]:
            shape = _shape_of(name, dict(zip(part.columns, columns, strict=True)))
            if now is None or shape is None:
                return (gr.skip(),) * (len(part.looked) + len(part.panel.view))
            now = replace(now, shape=shape)
            remember(at, _preview(desk, now), shape)
            return again(at, now)

        @guarded
        def fetch(at: Session, named: str) -> tuple[Any, ...]:
            if not named.strip():
                raise InvalidInput(say(at.language, "app.import.name_one"))
            studio = desk.studio
            desk.works.start(
                at.project_id,
                KIND,
                lambda work: sources.from_hub(studio, named, work.report, work.cancelled.is_set),
                studio.closing,
            )
            return part.panel.show(desk, at)

        def start(request: gr.Request, at: Session, now: Incoming | None, approve: bool, skip_bad: bool) -> Any:
            if now is None:
                raise InvalidInput(say(at.language, "app.import.nothing"))
            author = author_of(request)
            desk.works.start(
                at.project_id,
                KIND,
                lambda work: _import(desk, at.project_id, now, approve, skip_bad, author, work),
                desk.studio.closing,
            )
            return part.panel.show(desk, at)

        @guarded
        def go(request: gr.Request, at: Session, now: Incoming | None, approve: bool) -> Any:
            return start(request, at, now, approve, False)

        @guarded
        def go_rest(request: gr.Request, at: Session, now: Incoming | None, approve: bool) -> Any:
            return start(request, at, now, approve, True)

        @guarded
        def ended(at: Session | None, now: Incoming | None) -> tuple[Any, ...]:
            """What came of it: a dataset to look at, what a look through all rows found, a report, or errors under what
            is still on screen."""
            kept = (gr.skip(),) * (len(part.looked) - len(part.ready))
            after = (gr.skip(), gr.update(interactive=True))
            shown = (gr.skip(),) * len(part.panel.view)
            work = desk.works.last(at.project_id, KIND) if at else None
            if at is None or work is None:
                return *kept, "", gr.skip(), gr.skip(), *after, *shown
            if work.is_running:
                off = gr.update(interactive=False)
                busy = (gr.skip(),) * 3 if work.gives_way else ("", off, off)
                return *kept, *busy, gr.skip(), gr.update(interactive=work.gives_way), *shown
            if isinstance(work.result, Look):
                if work.result.now != now:
                    return *kept, *(gr.skip(),) * 3, *after, *shown
                if isinstance(work.result.error, NotTextError) and not now.is_told:
                    # It only begins like what it was taken for.
                    found = imports.encoding_of(now.source.first)
                    if found != now.encoding:
                        *looked, _, _, _, _ = again(at, replace(now, encoding=found))
                        return *looked, *after, *part.panel.show(desk, at)
                return *kept, *_found(work.result, at.language), *after, *shown
            if isinstance(work.result, Source):
                try:
                    return *on_screen(at, Incoming(work.result))[: len(part.looked)], *after, *part.panel.show(desk, at)
                except StudioError as error:
                    return *_nothing(incoming.error_html(error, at.language)), *after, *shown
            if isinstance(work.result, ImportReport):
                said = incoming.report_html(work.result, desk.downloads, at.language)
                return *_nothing(said), None, gr.update(interactive=True), *shown
            if work.error is None or now is None:
                said = incoming.error_html(work.error, at.language) if work.error else ""
                return *kept, said, gr.skip(), gr.skip(), *after, *shown
            return *kept, *_failed(work.error, at.language), *after, *shown

        looked = [*self.looked, *self.panel.view]
        gr.on([self.file.upload, self.file.clear], look, [session, self.file], [*looked, self.approved], **QUIET)
        self.shape.input(choose, [session, self.incoming, self.shape], looked, **QUIET)
        self.encoding.input(decode, [session, self.incoming, self.encoding], looked, **QUIET)
        gr.on(
            [dropdown.input for dropdown in self.columns.values()],
            arrange,
            [session, self.incoming, self.shape, *self.columns.values()],
            looked,
            **QUIET,
        )
        gr.on([self.fetch.click, self.named.submit], fetch, [session, self.named], self.panel.view, **QUIET)
        self.go.click(go, [session, self.incoming, self.approved], self.panel.view, **QUIET)
        self.rest.click(go_rest, [session, self.incoming, self.approved], self.panel.view, **QUIET)
        self.panel.wire(desk, session, QUIET)
        for event in (session.change, tab.select):
            event(lambda at: part.panel.show(desk, at), [session], self.panel.view, **QUIET)
            event(lambda at: _limit(desk, at), [session], self.limit, **QUIET)
        return self.panel.mark.change(
            ended,
            [session, self.incoming],
            [*self.looked, self.file, self.fetch, *self.panel.view],
            **QUIET,
        )


def _limit(desk: Desk, at: Session | None) -> Any:
    if at is None:
        return gr.skip()
    project = projects.get(desk.studio, at.project_id)
    return incoming.limit_html(desk.studio.settings.workspace, project.name, at.language)


def _import(
    desk: Desk, project_id: str, now: Incoming, approve: bool, skip_bad: bool, author: str, work: Work
) -> ImportReport:
    return imports.import_files(
        desk.studio,
        project_id,
        now.source.files,
        shape=now.shape,
        approve=approve,
        author=author,
        source=now.source.name,
        skip_bad=skip_bad,
        encoding=now.encoding.name if now.encoding else None,
        progress=lambda done, total: work.report("importing" if done < total else "keeping", done, total),
        cancelled=work.cancelled,
    )


# Looking


def _preview(desk: Desk, now: Incoming) -> Preview:
    return imports.preview(desk.studio, now.source.first, now.shape, now.encoding.name if now.encoding else None)


def _as_read(now: Incoming, preview: Preview) -> Incoming:
    """What is on screen is what will be done: with a guess of the shape, and the encoding that was found."""
    if now.shape is None and not preview.is_sure:
        now = replace(now, shape=preview.shape)
    if now.encoding is None and len(now.source.files) == 1:
        now = replace(now, encoding=preview.encoding)
    return replace(now, is_readable=preview.shape is not None)


def _look_through(desk: Desk, at: Session, now: Incoming) -> None:
    """Look through all its rows from now on; not while an import is going on, which finds bad rows itself."""
    _stop_looking(desk, at)

    def look(work: Work) -> Look:
        try:
            found = imports.check_files(
                desk.studio,
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
            settled_soon(desk.works.start(at.project_id, KIND, look, desk.studio.closing, gives_way=True))


def _stop_looking(desk: Desk, at: Session) -> None:
    work = desk.works.last(at.project_id, KIND)
    if work is not None and work.gives_way:
        work.cancelled.set()


def _looked(now: Incoming, preview: Preview, about: str, language: str) -> tuple[Any, ...]:
    """The first rows as they read, in the order of `ImportPart.looked`."""
    encoding = now.encoding or preview.encoding
    return (
        now,
        gr.update(visible=True),
        gr.update(visible=True),
        about,
        gr.update(value=preview.shape.name if preview.shape else None),
        gr.update(
            value=encoding.name if encoding and encoding.name in ENCODINGS else None, visible=encoding is not None
        ),
        incoming.table_html(preview, language),
        *_columns(preview),
        *_buttons(language, "", can_go=now.is_readable),
    )


def _nothing(said: str = "") -> tuple[Any, ...]:
    """No file on screen; only what is to be said of the last one."""
    columns = (gr.update(),) * (len(TEXTS) + len(META))
    return (
        *(
            None,
            gr.update(visible=False),
            gr.update(visible=False),
            "",
            gr.update(value=None),
            gr.update(value=None),
            "",
        ),
        *columns,
        *(said, gr.update(interactive=False), gr.update(visible=False)),
    )


def _buttons(language: str, said: str, *, can_go: bool = False, good: int = 0, bad: int = 0) -> tuple[Any, ...]:
    """What is to be said, and the button that imports: all rows, or without the bad ones."""
    words = say(language, "app.import.go_all", n=f"{good:,}") if good > 1 else say(language, "app.import.go")
    out = say(language, "app.import.leave_out", n=f"{bad:,}")
    rest = say(language, "app.import.go_rest", n=f"{good:,}", rest=out)
    has_rest = bool(good and bad)
    go = gr.update(value=words, interactive=can_go and not bad, visible=not has_rest)
    return said, go, gr.update(value=rest, visible=has_rest, interactive=True)


def _found(look: Look, language: str) -> tuple[Any, ...]:
    """`ImportPart.ready` after a look through all rows."""
    if look.error is not None or look.found is None:
        return _failed(look.error, language) if look.error else _buttons(language, "")
    found, said = look.found, incoming.checked_html(look.found, language)
    if not found.is_whole:
        return _buttons(language, said, can_go=True)
    return _buttons(language, said, can_go=True, good=found.good, bad=found.bad)


def _failed(error: StudioError, language: str) -> tuple[Any, ...]:
    """`ImportPart.ready` after an error: what has bad rows can come in without them, what was cancelled once more."""
    said = incoming.error_html(error, language)
    if isinstance(error, ImportRejected):
        return _buttons(language, said, good=error.good, bad=error.bad)
    return _buttons(language, said, can_go=not isinstance(error, NotTextError))


def _columns(preview: Preview) -> list[Any]:
    """For each of our fields, the column it is read from; fields of other shapes are hidden."""
    shape = preview.shape
    fields = [name for part in FIELDS[shape.name] for name in part] if shape else []
    choices = [("—", ""), *((column, column) for column in preview.columns)]
    updates = []
    for name in (*TEXTS, *META):
        own = name if name in fields and name in preview.columns else ""
        value = shape.columns.get(name, own) if shape else ""
        updates.append(
            gr.update(choices=choices, value=value, visible=name in fields or (name in META and bool(fields)))
        )
    return updates


def _shape_of(name: str, columns: Mapping[str, str]) -> Shape | None:
    """The shape that the choices on screen describe."""
    known = next((known for known in FIELDS if known == name), None)
    if known is None:
        return None
    fields = [field for part in FIELDS[known] for field in part]
    changed = {field: columns[field] or "" for field in fields if (columns[field] or "") != field}
    return Shape(known, changed | {field: columns[field] for field in META if columns[field]})


def build(session: gr.State) -> ImportPart:
    gr.Markdown(t("app.import.title"), elem_classes="st-heading")
    file = gr.File(label=t("app.import.file"), file_types=FILE_TYPES, height=150, elem_id="import-file")
    limit = gr.HTML("", elem_id="import-limit", elem_classes="st-plain")
    with gr.Row(elem_classes="st-beside"):
        named = gr.Textbox(
            label=t("app.import.hub"), info=t("app.import.hub_info"), placeholder="hf:owner/name", elem_id="import-hub"
        )
        fetch = gr.Button(t("app.import.fetch"), size="sm", elem_id="import-fetch", min_width=90)
    shown = panel(KIND)
    with gr.Column(visible=False, elem_id="import-preview", elem_classes="st-card") as preview:
        about = gr.HTML("", elem_id="import-about", elem_classes="st-plain")
        with gr.Row(elem_classes="st-import-do"):
            approved = gr.Checkbox(
                False, label=t("app.import.approved"), info=t("app.import.approved_info"), elem_id="import-approved"
            )
            rest = gr.Button(t("app.import.go"), variant="primary", visible=False, elem_id="import-go-rest", size="md")
            go = gr.Button(t("app.import.go"), variant="primary", elem_id="import-go", size="md")
    # Beside the button, and there too when nothing is to be imported any more.
    report = gr.HTML("", elem_id="import-report", elem_classes="st-plain")
    with gr.Column(visible=False, elem_id="import-reading", elem_classes="st-card") as reading:
        with gr.Row(elem_classes="st-fields"):
            shape = gr.Dropdown(
                [(t(f"app.import.shape.{name}"), name) for name in FIELDS],
                label=t("app.import.shape"),
                elem_id="import-shape",
            )
            encoding = gr.Dropdown(
                [(t(f"app.import.encoding.{name}"), name) for name in ENCODINGS],
                label=t("app.import.encoding"),
                elem_id="import-encoding",
            )
        with gr.Row(elem_classes="st-fields"):
            columns = {name: _column(name) for name in TEXTS}
        with gr.Accordion(t("app.import.more"), open=False) as more, gr.Row(elem_classes="st-fields"):
            columns |= {name: _column(name) for name in META}
        table = gr.HTML("", elem_id="import-table", elem_classes="st-plain")
    kept = gr.State(None)
    return ImportPart(
        file,
        limit,
        named,
        fetch,
        shown,
        report,
        rest,
        preview,
        reading,
        about,
        go,
        approved,
        shape,
        encoding,
        columns,
        more,
        table,
        kept,
    )


def _column(name: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], label=t(f"app.import.field.{name}"), visible=False, elem_id=f"import-column-{name}", min_width=150
    )
