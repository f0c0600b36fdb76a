"""Where the real files are, and examples of every kind."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from studio.records import Example, Turn
from tests.conftest import REPO

TOOLS = [{"type": "function", "function": {"name": "hours", "parameters": {"type": "object", "properties": {}}}}]


def real_file(name: str) -> Path:
    """A file that people train on, from the folder `shared` beside the clone. A run without it says so."""
    path = next((p for folder in REPO.parents if (p := folder / "shared" / "data" / name).exists()), None)
    if path is None:
        pytest.skip(f"shared/data/{name} is not beside the clone: NOT TESTED on a real file")
    return path


def call(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {**more, "type": "function", "function": {"name": name, "arguments": arguments}}


def example(number: int = 0, **fields: Any) -> Example:
    """A plain approved row, with `fields` changed."""
    values: dict[str, Any] = {
        "id": f"e_{number:04}",
        "project_id": "p",
        "version": 1,
        "status": "approved",
        "messages": (Turn("user", f"Question {number}?"),),
        "answer": f"Answer {number}.",
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return Example(**{**values, **fields})


TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(
        [
            "=1+1",
            "'=1",
            "''-x",
            "＝SUM(A1)",
            "\t-x",
            "\r",
            "a\r\nb",
            ' "q", x',
            "[1]",
            '[{"role":"user","content":"x"}]',
            "\u2028",
            "\0",
            " lead",
            "日本語の文。\n\n二",
            "👩🏽‍💻",
            "<|im_end|>",
            "{}",
            "[]",
            "null",
            "\ufeff",
            "\ufeff=1",
        ]
    ),
)
SAID = TEXT.filter(str.strip)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
_EXTRA_NAMES = st.sampled_from(
    ["topic", "input", "label", "id", "system", "history", "text", "日付", "prompt", "score"]
)


@st.composite
def _pair(draw: st.DrawFn, *, tools: bool) -> list[Turn]:
    turns = [Turn("user", draw(TEXT))]
    if tools and draw(st.booleans()):
        extra = {"tool_calls": [call(draw(SAID), '{"day": "Mon", "n": [1, null]}', id="call_1")]}
        turns += [
            Turn("assistant", draw(st.sampled_from(["", "Let me look."])), draw(st.booleans()), extra),
            Turn("tool", draw(TEXT), extra={"tool_call_id": "call_1", "name": "hours"}),
        ]
    return [*turns, Turn("assistant", draw(TEXT), draw(st.booleans()))]


@st.composite
def examples(draw: st.DrawFn, *, tools: bool = True) -> list[Example]:
    """A few rows of every kind, with distinct ids."""
    rows = []
    for number in range(draw(st.integers(0, 4))):
        turns = [Turn("system", draw(SAID))] if draw(st.booleans()) else []
        for _ in range(draw(st.integers(0, 2))):
            turns += draw(_pair(tools=tools))
        last = draw(SAID)
        parts = {"content": [{"type": "text", "text": last}], "name": "ann"}
        extra = draw(st.dictionaries(_EXTRA_NAMES, _JSON, max_size=3))
        if draw(st.booleans()):
            given_input = draw(SAID)
            last, extra["input"] = f"{draw(TEXT)}\n\n{given_input}", given_input
        if tools and draw(st.booleans()):
            extra["tools"] = TOOLS
        turns.append(Turn("user", last, extra=parts if tools and draw(st.booleans()) else {}))
        answer, answer_extra = draw(SAID), {}
        if tools and draw(st.integers(0, 4)) == 0:
            answer, answer_extra = "", {"tool_calls": [call("hours", "{}")]}
        rows.append(
            example(
                number,
                messages=tuple(turns),
                answer=answer,
                answer_extra=answer_extra,
                rejected=draw(st.none() | SAID),
                extra=extra,
                learn_answer=draw(st.integers(0, 4)) > 0,
                version=draw(st.integers(1, 9)),
                status=draw(st.sampled_from(["draft", "approved", "rejected"])),
                split=draw(st.sampled_from(["train", "validation", "test"])),
                tags=tuple(draw(st.lists(TEXT, max_size=3))),
                rating=draw(st.none() | st.integers(1, 5)),
                note=draw(TEXT),
                source=draw(st.sampled_from(["chat", "typed", "import", "augmented"])),
                author=draw(TEXT),
                group=draw(st.sampled_from(["", "g1"])),
                aside=draw(st.integers(0, 5)) == 0,
                parent_id=draw(st.sampled_from([None, "e_9"])),
            )
        )
    return rows
