"""A file that is to be imported, and what became of it, as HTML. Every text of the file is escaped."""

from __future__ import annotations

from html import escape
from typing import Any

from studio.errors import Cancelled, ImportRejected, StudioError
from studio.formats import Draft, Preview
from studio.imports import ImportReport
from studio.reading import KEPT_ERRORS
from studio.sources import Source
from studio.ui.words import say

SHOWN_CHARS = 280
"""Characters of a text in the preview."""
OURS = "studio"
"""The column in which the studio's own exports keep ids, statuses and tags."""


def about_html(preview: Preview, source: Source, language: str) -> str:
    """What the file seems to be, in plain words."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    lines = [f"<strong>{escape(source.name or source.first.name)}</strong> · {s('container.' + preview.container)}"]
    if len(source.files) > 1:
        lines[0] += f" · {s('files', n=len(source.files))}"
    if preview.shape is None:
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
    return "".join(f'<p class="st-about">{line}</p>' for line in lines)


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
            said = s("cannot", reason=row)
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


def report_html(report: ImportReport | None, error: StudioError | None, language: str) -> str:
    """How an import ended."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.import." + key, **values))

    if isinstance(error, Cancelled):
        return outcome_html("quiet", s("cancelled"))
    if isinstance(error, ImportRejected):
        more = len(error.rows) >= KEPT_ERRORS
        title = s("rejected_many" if more else "rejected", n=len(error.rows))
        rows = "".join(f"<tr><th>{e.row}</th><td>{escape(e.reason)}</td></tr>" for e in error.rows)
        table = (
            f'<div class="st-sheet st-errors"><table><thead><tr><th>{s("column.row")}</th><th>{s("column.reason")}</th>'
            f"</tr></thead><tbody>{rows}</tbody></table></div>"
        )
        return outcome_html("bad", title, s("rejected_hint"), table)
    if error is not None:
        return outcome_html("bad", escape(error.message), escape(error.hint))
    if report is None:
        return ""
    lines = [s("skipped", n=f"{report.skipped:,}")] if report.skipped else []
    lines += [s("changed", n=f"{report.changed:,}")] if report.changed else []
    lines += [s("held", n=f"{report.held:,}")] if report.held else []
    return outcome_html("good", s("added", n=f"{report.added:,}"), *lines)


def outcome_html(kind: str, title: str, *lines: str) -> str:
    """How something ended: `good`, `bad` or `quiet`, with a sentence and what belongs to it, all of it HTML."""
    sign = {"good": "✓ ", "bad": "! "}.get(kind, "")
    rest = "".join(line if line.startswith("<") else f"<p>{line}</p>" for line in lines if line)
    return f'<div class="st-outcome st-{kind}" role="status"><p><strong>{sign}{title}</strong></p>{rest}</div>'
