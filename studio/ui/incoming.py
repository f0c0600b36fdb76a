"""A file that is to be imported, and what became of it, as HTML. Every text of the file is escaped."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from studio.errors import Cancelled, ImportRejected, RowError, StudioError
from studio.formats import Draft, Encoding, Preview
from studio.imports import Checked, ImportReport
from studio.sources import Source
from studio.ui.downloads import Downloads
from studio.ui.told import told
from studio.ui.words import EN, say

MAX_UPLOAD_MB = 200
"""Largest file that a browser may send."""
SHOWN_CHARS = 280
"""Characters of a text in the preview."""
OURS = "studio"
"""The column in which the studio's own exports keep ids, statuses and tags."""


def limit_html(workspace: Path, project: str, language: str) -> str:
    """How large a file may be here, and the command for larger ones."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    where = ["--workspace", str(workspace)]
    command = shlex.join(["studio", "import", say(language, "app.import.limit_file"), *where, "--project", project])
    return (
        f'<details class="st-limit"><summary>{s("limit", mb=MAX_UPLOAD_MB)}</summary>'
        f"<p>{s('limit_how')}</p><pre><code>{escape(command)}</code></pre></details>"
    )


def about_html(
    preview: Preview, source: Source, encoding: Encoding | None, language: str, *, is_remembered: bool = False
) -> str:
    """What the file seems to be, in plain words.

    Args:
        encoding: of text: in which it is read.
        is_remembered: whether it is read as the last file with these columns was.
    """

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    lines = [f"<strong>{escape(source.name or source.first.name)}</strong> · {s('container.' + preview.container)}"]
    if len(source.files) > 1:
        lines[0] += f" · {s('files', n=len(source.files))}"
    if is_remembered:
        lines.append(s("remembered"))
    elif preview.shape is None:
        lines.append(f'<span class="st-warned">{s("unknown")}</span>')
    elif not preview.is_sure:
        lines.append(f'<span class="st-warned">{s("guessed")}</span>')
    elif len(preview.shapes) > 1:
        kinds = ", ".join(f"{n} × {s('short.' + name)}" for name, n in preview.shapes.items())
        lines.append(f"{s('mixed')} {kinds}")
    else:
        lines.append(s("recognised", shape=say(language, f"app.import.short.{preview.shape.name}")))
    if any(isinstance(row, dict) and OURS in row for row in preview.raw):
        lines.append(s("ours"))
    lines += _read_as(encoding, language)
    return "".join(f'<p class="st-about">{line}</p>' for line in lines)


def name_html(source: Source) -> str:
    return f'<p class="st-about"><strong>{escape(source.name or source.first.name)}</strong></p>'


def encoding_word(name: str, language: str) -> str:
    key = f"app.import.encoding.{name}"
    return say(language, key) if key in EN else name


def _read_as(encoding: Encoding | None, language: str) -> list[str]:
    """In which encoding it was read, if that says anything; with a question, if it could be another."""
    if encoding is None or (encoding.name == "utf-8" and encoding.is_sure):
        return []
    said = escape(say(language, "app.import.read_as", encoding=encoding_word(encoding.name, language)))
    if encoding.is_sure:
        return [said]
    others = ", ".join(encoding_word(name, language) for name in encoding.others)
    return [f'{said} <span class="st-warned">{escape(say(language, "app.import.perhaps", others=others))}</span>']


def table_html(preview: Preview, language: str) -> str:
    """The first rows as they will read."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    has_rejected = any(isinstance(row, Draft) and row.rejected is not None for _, row in preview.rows)
    names = ["question", "answer", *(["rejected"] if has_rejected else [])]
    head = "".join(f"<th>{s('column.' + name)}</th>" for name in names)
    body = []
    for number, row in preview.rows:
        if isinstance(row, str):
            said = s("cannot", reason=told(language, row))
            body.append(f'<tr class="st-bad-row"><th>{number}</th><td colspan="{len(names)}">{said}</td></tr>')
            continue
        cells = [f"<td>{_turns(row, language)}{_text(row.messages[-1].content if row.messages else '')}</td>"]
        cells.append(f"<td>{_marks(row, language)}{_text(row.answer)}</td>")
        if has_rejected:
            cells.append(f"<td>{_text(row.rejected or '')}</td>")
        body.append(f"<tr><th>{number}</th>{''.join(cells)}</tr>")
    return (
        f'<p class="st-caption">{s("first_rows")}</p><div class="st-sheet"><table><thead><tr><th>{s("column.row")}</th>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _turns(row: Draft, language: str) -> str:
    """What comes before the question: the system prompt, earlier turns."""
    words = []
    if row.messages and row.messages[0].role == "system":
        words.append(say(language, "app.import.has_system"))
    asked = sum(turn.role == "user" for turn in row.messages)
    if asked > 1:
        words.append(say(language, "app.rows.turns", n=asked))
    return "".join(f'<span class="st-pill">{escape(word)}</span>' for word in words)


def _marks(row: Draft, language: str) -> str:
    words = [say(language, f"app.rows.statuses.{row.status}")] if row.status else []
    words += [*([f"★ {row.rating}"] if row.rating else []), *(f"#{tag}" for tag in row.tags)]
    if row.split and row.split != "train":
        words.append(say(language, f"app.rows.splits.{row.split}"))
    return "".join(f'<span class="st-pill">{escape(word)}</span>' for word in words)


def _text(text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + " …"
    return f'<div class="st-cell">{escape(cut)}</div>'


def checked_html(found: Checked, language: str) -> str:
    """What a look through all rows found."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    total = found.good + found.bad
    if found.bad:
        if not found.good:
            return outcome_html(
                "bad", s("all_bad", all=f"{total:,}"), s("all_bad_hint"), *_bad_rows(found.errors, found.bad, language)
            )
        title = s("some_bad", n=f"{found.bad:,}", all=f"{total:,}")
        return outcome_html("bad", title, s("rejected_hint"), *_bad_rows(found.errors, found.bad, language))
    if not found.is_whole:
        return outcome_html("quiet", s("not_whole", n=f"{total:,}"))
    return outcome_html("quiet", s("all_good", n=f"{total:,}"))


def _bad_rows(errors: Sequence[RowError], bad: int, language: str) -> list[str]:
    """The rows that can't be imported, each with what is wrong."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    rows = "".join(f"<tr><th>{e.row}</th><td>{escape(told(language, e.reason))}</td></tr>" for e in errors)
    table = (
        f'<div class="st-sheet st-errors"><table><thead><tr><th>{s("column.row")}</th><th>{s("column.reason")}</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    return [s("more_bad", n=f"{len(errors):,}"), table] if bad > len(errors) else [table]


def error_html(error: StudioError, language: str) -> str:
    """Why a file or a dataset can't be had or read."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    if isinstance(error, Cancelled):
        return outcome_html("quiet", s("cancelled"))
    if isinstance(error, ImportRejected):
        title = s("rejected", n=f"{error.bad:,}", all=f"{error.good + error.bad:,}")
        if not error.good and error.bad == 1:
            # A broken list, or the only row: the message says it all.
            return outcome_html("bad", escape(told(language, error.message)), escape(told(language, error.hint)))
        if not error.good:
            title = s("all_bad", all=f"{error.bad:,}")
            return outcome_html("bad", title, s("all_bad_hint"), *_bad_rows(error.rows, error.bad, language))
        return outcome_html("bad", title, s("rejected_hint"), *_bad_rows(error.rows, error.bad, language))
    return outcome_html("bad", escape(told(language, error.message)), escape(told(language, error.hint)))


def report_html(report: ImportReport, downloads: Downloads, language: str) -> str:
    """What an import did."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    lines = [s("skipped", n=f"{report.skipped:,}")] if report.skipped else []
    lines += [s("changed", n=f"{report.changed:,}")] if report.changed else []
    lines += [s("held", n=f"{report.held:,}")] if report.held else []
    if report.left_out:
        links = "".join(
            f'<a class="st-link" href="{escape(downloads.link([path]))}" download>{escape(path.name)}</a>'
            for path in report.left_out_in
        )
        lines += [s("left_out", n=f"{report.left_out:,}"), f'<p class="st-files">{links}</p>']
        rows = "".join(_bad_rows(report.errors, report.left_out, language))
        lines += [f"<details><summary>{s('left_out_rows')}</summary>{rows}</details>"]
    return outcome_html("good", s("added", n=f"{report.added:,}"), *lines)


def outcome_html(kind: str, title: str, *lines: str) -> str:
    """How something ended: `good`, `bad` or `quiet`, with a sentence and what belongs to it, all of it HTML."""
    sign = {"good": "✓ ", "bad": "! "}.get(kind, "")
    rest = "".join(line if line.startswith("<") else f"<p>{line}</p>" for line in lines if line)
    return f'<div class="st-outcome st-{kind}" role="status"><p><strong>{sign}{title}</strong></p>{rest}</div>'
