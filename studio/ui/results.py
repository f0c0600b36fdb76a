"""Lists of what an adapter learned, and the comparison of an answer with its correction."""

from __future__ import annotations

from typing import Any, TypedDict

from studio.ui.component import ScriptedHTML


class Result(TypedDict, total=False):
    """One check asked again; `broken` defaults to "the base was right and the adapter isn't"."""

    prompt: str
    expected: str
    answer: str
    right: bool
    base_answer: str | None
    base_right: bool | None
    broken: bool


class ResultsValue(TypedDict, total=False):
    """`label` and `base_label` name the two models that answered."""

    rows: list[Result]
    label: str
    base_label: str


class ResultList(ScriptedHTML):
    """Checks with a learned or not-learned badge, filtered by chips."""

    scripts = ("diff.js", "results.js")
    css_class = "st-results"
    word_prefix = "app.results."

    def __init__(self, value: ResultsValue | None = None, **kwargs: Any) -> None:
        super().__init__(value or {"rows": []}, **kwargs)


class DiffValue(TypedDict, total=False):
    """Two texts to compare; labels are optional."""

    before: str
    after: str
    before_label: str
    after_label: str


class DiffView(ScriptedHTML):
    """The words that changed between an answer and its correction."""

    scripts = ("diff.js", "diff_view.js")
    css_class = "st-diffview"
    word_prefix = "app.diff."

    def __init__(self, value: DiffValue | None = None, **kwargs: Any) -> None:
        super().__init__(value, **kwargs)
