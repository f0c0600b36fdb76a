"""Model answers as safe HTML: Markdown without raw HTML, images, or links that could run or leak anything."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_core import StateCore

_SAFE_LINK = re.compile(r"^(https?://|mailto:)", re.IGNORECASE)
_INDENT = re.compile("^[ \t\u3000]+")


def render(text: str) -> str:
    """Render one message; the result may be put into a page as it is."""
    return str(_parser().render(text))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]
    parser.core.ruler.after("block", "keep_indent", _keep_indent)
    parser.add_render_rule("image", _image_as_text)
    parser.add_render_rule("link_open", _link_open)
    parser.add_render_rule("table_open", lambda *_: '<div class="st-table"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _is_safe_link(url: str) -> bool:
    return bool(_SAFE_LINK.match(url.strip()))


def _image_as_text(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """An image would fetch from wherever an answer says, and so could carry the conversation out."""
    token = tokens[index]
    return f"![{escapeHtml(token.content)}]({escapeHtml(str(token.attrs.get('src', '')))})"


def _link_open(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    token.attrSet("rel", "noopener nofollow")
    token.attrSet("target", "_blank")
    return str(self.renderToken(tokens, index, options, env))


def _keep_indent(state: StateCore) -> None:
    """Give paragraphs back the indent the parser strips; Japanese opens paragraphs with an ideographic space."""
    lines = state.src.split("\n")
    for before, token in zip(state.tokens, state.tokens[1:], strict=False):
        if token.type != "inline" or before.type != "paragraph_open" or before.level or not token.map:
            continue
        kept = [
            _visible_indent(source) + shown.lstrip(" \t\u3000")
            for source, shown in zip(lines[token.map[0] :], token.content.split("\n"), strict=False)
        ]
        token.content = "\n".join(kept)


def _visible_indent(line: str) -> str:
    found = _INDENT.match(line)
    return found.group().replace("\t", "    ").replace(" ", "\u00a0") if found else ""
