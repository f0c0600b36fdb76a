"""Whatever an import can say of a file is said in Japanese too."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

import studio
from studio.errors import InvalidInput, Phrase
from studio.ui import words, words_errors
from studio.ui.session import Session, guarded

ROOT = Path(studio.__file__).parent
SAYING = {"InvalidInput", "ImportRejected", "Cancelled", "HubUnavailable", "DiskFull", "Busy", "WorkError"}
SAYING |= {"NotTextError", "Broken", "Phrase", "_refuse", "RowError"}
"""Calls whose texts reach a person."""
IMPORTING = (
    "imports",
    "reading",
    "formats/reading",
    "formats/containers",
    "formats/encodings",
    "formats/left_out",
    "formats/json_list",
    "formats/marks",
    "formats/shapes",
    "formats/shape_readers",
    "formats/turns",
    "transfer",
    "hub/dataset",
    "hub/download",
    "hub/layout",
    "hub/reference",
    "hub/repo",
    "ui/work",
)


def said(module: str) -> Iterator[tuple[str, int, ast.expr]]:
    """Every text that is handed to a call of `SAYING`: the module, the line, and what it is."""
    path = ROOT / f"{module}.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in SAYING:
                if name == "Phrase" and isinstance(node.args[0], ast.Name):
                    yield module, node.lineno, node.args[0]
                for argument in node.args:
                    yield from ((module, node.lineno, part) for part in parts(argument))


def parts(argument: ast.expr) -> Iterator[ast.expr]:
    if isinstance(argument, ast.IfExp):
        yield from parts(argument.body)
        yield from parts(argument.orelse)
    elif isinstance(argument, ast.JoinedStr) or (
        isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ):
        yield argument


@pytest.mark.parametrize("module", IMPORTING)
def test_every_text_an_import_can_say_is_said_in_japanese(module: str) -> None:
    for name, line, text in said(module):
        if isinstance(text, ast.Name):
            pytest.fail(f"{name}:{line}: the template of a Phrase has to stand in its call")
        assert isinstance(text, ast.Constant), (
            f"{name}:{line}: a Phrase keeps what it is filled in with; an f-string doesn't"
        )
        assert text.value in words_errors.JA, f"{name}:{line}: {text.value}"


def test_the_scan_finds_what_it_is_to_find() -> None:
    found = {part.value for module in IMPORTING for _, _, part in said(module) if isinstance(part, ast.Constant)}
    assert {"`{column}` is empty", "the answer is empty", "not valid JSON", "Split it."} <= found


def test_placeholders_match() -> None:
    for english, japanese in words_errors.JA.items():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", japanese)), english


def test_phrases_are_told_with_what_they_are_filled_in_with() -> None:
    inner = Phrase("`{column}` is empty", column="回答 {x}")
    said = Phrase("{reason} ({file})", reason=inner, file="a.csv")
    assert said == "`回答 {x}` is empty (a.csv)"
    assert words.told("en", said) == said
    assert words.told("ja", said) == "「回答 {x}」が空です（a.csv）"
    assert words.told("ja", "never translated") == "never translated"
    assert words.error_text("ja", InvalidInput(inner, "Split it.")) == "「回答 {x}」が空です 分けてください。"


def test_a_copy_of_a_phrase_is_the_same_phrase() -> None:
    said = Phrase("`{column}` is empty", column="{x}")
    for again in (copy.deepcopy(said), pickle.loads(pickle.dumps(said))):
        assert (again, again.template, again.values) == (said, said.template, said.values)


def test_an_error_is_in_the_language_of_the_session() -> None:
    @guarded
    def fail(at: Session) -> None:
        raise InvalidInput("There is no file to import.")

    with pytest.raises(gr.Error, match="読み込むファイルがありません。"):
        fail(Session("p", None, "ja"))
    with pytest.raises(gr.Error, match="There is no file to import"):
        fail(Session("p", None, "en"))
