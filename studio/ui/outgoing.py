"""What an export would hold, what it wrote, and where it went, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import Cancelled, StudioError
from studio.exports import Exported, Unverified
from studio.formats import FormatName, Written
from studio.rows import Facets
from studio.ui.downloads import Downloads
from studio.ui.incoming import outcome_html
from studio.ui.told import told
from studio.ui.words import say

if TYPE_CHECKING:
    from studio.hub.push import Pushed

_REASONS = {
    "there is no question": "no_question",
    "the answer is empty": "no_answer",
    "nothing in it is to be learned": "unlearned",
    "it has tool calls, which Alpaca can't hold": "tools",
    "its turns don't alternate between user and assistant": "turns",
    "its turns don't alternate, which LLaMA-Factory would drop": "turns",
    "it has no rejected answer": "no_rejected",
    "its answer was rejected, so there is none to choose": "is_rejected",
    "it is kept out of every side of the split": "aside",
    "it holds half a character (an unpaired surrogate)": "half",
    "turns that are not to be learned can't be told apart in this format": "unlearned_turns",
    "text beside a tool call has no place in this format": "beside_calls",
}
"""What the formats say of rows that they can't hold → our word for it."""


def count_html(facets: Facets, format_: FormatName, *, is_all: bool, language: str) -> str:
    """How many rows would leave, and of which status."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.export." + key, **values))

    if not facets.total:
        return f'<p class="st-about st-warned">{s("none")}</p>'
    said = f"<strong>{s('count', n=f'{facets.total:,}')}</strong>"
    statuses = {name: n for name, n in facets.statuses.items() if n}
    if set(statuses) != {"approved"}:
        words = (f"{n:,} {escape(say(language, f'app.rows.statuses.{name}'))}" for name, n in statuses.items())
        said += f" · {' · '.join(words)}"
    lines = [said]
    if is_all:
        lines.append(f'<span class="st-warned">{s("everything")}</span>')
    if format_ == "trl-dpo":
        lines.append(s("needs_rejected"))
    return "".join(f'<p class="st-about">{line}</p>' for line in lines)


def exported_html(made: Exported, downloads: Downloads, root: Path, language: str) -> str:
    """What was written: verified or not, the links, and what was left out and why."""

    def s(key: str, **values: Any) -> str:
        return escape(say(language, "app.export." + key, **values))

    written = made.written
    lines = [_links(written, downloads, language)]
    lines += _counted(written.skipped, "left_out", language) + _counted(written.notes, "noted", language)
    shown = written.path.relative_to(root).as_posix() if written.path.is_relative_to(root) else written.path.name
    lines.append(f'<p class="st-caption">{escape(shown)} · SHA-256 {written.sha256[:16]}…</p>')
    if made.is_verified:
        return outcome_html("good", s("verified", n=f"{written.examples:,}"), *lines)
    differences = "".join(f"<li>{escape(difference)}</li>" for difference in made.differences)
    return outcome_html("bad", s("differs"), f"<ul>{differences}</ul>", *lines)


def _links(written: Written, downloads: Downloads, language: str) -> str:
    """The file, or the folder as a ZIP; and what was written beside it."""

    def link(paths: Sequence[Path], text: str, css: str = "st-link") -> str:
        return f'<a class="{css}" href="{escape(downloads.link(paths))}" download>{escape(text)}</a>'

    is_folder = written.path.is_dir()
    sizes = {path: path.stat().st_size for path in written.files if path.exists()}
    name = f"{written.path.name}.zip" if is_folder else written.path.name
    size = sum(sizes.values()) if is_folder else sizes.get(written.path, 0)
    words = say(language, "app.export.download", name=name, size=size_word(size))
    found = f'<p class="st-files">{link([written.path], words, "st-button st-primary")}</p>'
    beside = [] if is_folder else [path for path in sizes if path != written.path]
    if beside:
        links = [link([path], path.name) for path in beside]
        links.append(link(list(sizes), say(language, "app.export.download_all")))
        found += f'<p class="st-files">{escape(say(language, "app.export.beside"))} {"".join(links)}</p>'
    return found


def _counted(counts: Mapping[str, int], key: str, language: str) -> list[str]:
    """`32 left out: they have no rejected answer`, one a line."""
    lines = []
    for reason, n in counts.items():
        word = say(language, f"app.export.reason.{_REASONS[reason]}") if reason in _REASONS else reason
        lines.append(escape(say(language, f"app.export.{key}", n=n, reason=word)))
    return lines


def failed_html(error: StudioError | None, language: str) -> str:
    if error is None:
        return ""
    if isinstance(error, Unverified):
        return outcome_html("quiet", escape(say(language, "app.export.unverified", name=error.out.name)))
    if isinstance(error, Cancelled):
        return outcome_html("quiet", escape(say(language, "app.export.cancelled")))
    return outcome_html("bad", escape(told(language, error.message)), escape(told(language, error.hint)))


def pushed_html(pushed: Pushed, language: str) -> str:
    url = escape(pushed.url)
    link = f'<p><a class="st-link" href="{url}" target="_blank" rel="noopener">{url}</a></p>'
    who = say(language, "app.export.is_private" if pushed.is_private else "app.export.is_public")
    caption = f'<p class="st-caption">{escape(who)} · {pushed.revision[:12]}</p>'
    return outcome_html("good", escape(say(language, "app.export.pushed", n=len(pushed.files))), link, caption)


def size_word(size: int) -> str:
    """A size as a person reads it."""
    for unit, of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= of:
            return f"{size / of:.1f} {unit}"
    return f"{size} B"
