"""Whatever an error can say on the page is said in Japanese too."""

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
from studio import errors
from studio.errors import Blocked, InvalidInput, NotFound, Phrase, StudioError
from studio.ui import told, words_errors
from studio.ui.session import Session, guarded

ROOT = Path(studio.__file__).parent
OTHERS = {"cli", "commands", "data_commands", "set_commands", "console", "ui/told"}
"""The command line, which speaks English, and what reads the templates of stored errors back."""
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, StudioError)}
SAYING = ERRORS | {"Phrase", "RowError", "NotTextError", "Broken", "_refuse", "_require"}
"""Calls whose texts reach a person."""
MODULES = sorted(
    name for path in ROOT.rglob("*.py") if (name := str(path.relative_to(ROOT).with_suffix(""))) not in OTHERS
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
                for argument in (*node.args, *(word.value for word in node.keywords if word.arg == "hint")):
                    yield from ((module, node.lineno, part) for part in parts(argument))


def parts(argument: ast.expr) -> Iterator[ast.expr]:
    if isinstance(argument, ast.IfExp):
        yield from parts(argument.body)
        yield from parts(argument.orelse)
    elif isinstance(argument, ast.JoinedStr) or (
        isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ):
        yield argument


@pytest.mark.parametrize("module", MODULES)
def test_every_text_an_error_can_say_is_said_in_japanese(module: str) -> None:
    for name, line, text in said(module):
        if isinstance(text, ast.Name):
            pytest.fail(f"{name}:{line}: the template of a Phrase has to stand in its call")
        assert isinstance(text, ast.Constant), (
            f"{name}:{line}: a Phrase keeps what it is filled in with; an f-string doesn't"
        )
        assert not text.value or text.value in words_errors.JA, f"{name}:{line}: {text.value}"


def test_the_scan_finds_what_it_is_to_find() -> None:
    found = {part.value for module in MODULES for _, _, part in said(module) if isinstance(part, ast.Constant)}
    assert {
        "`{column}` is empty",
        "the answer is empty",
        "not valid JSON",
        "Split it.",
        "A project needs a name.",
    } <= found


def test_placeholders_match() -> None:
    for english, japanese in words_errors.JA.items():
        assert placeholders(english) == placeholders(japanese), english


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)(?:![rs])?(?::[^{}\"]*)?}", text))


def test_phrases_are_told_with_what_they_are_filled_in_with() -> None:
    inner = Phrase("`{column}` is empty", column="回答 {x}")
    said = Phrase("{reason} ({file})", reason=inner, file="a.csv")
    assert said == "`回答 {x}` is empty (a.csv)"
    assert told.told("en", said) == said
    assert told.told("ja", said) == "「回答 {x}」が空です（a.csv）"
    assert told.told("ja", "never translated") == "never translated"
    assert told.error_text("ja", InvalidInput(inner, "Split it.")) == "「回答 {x}」が空です 分けてください。"


def test_what_somebody_named_themselves_is_never_translated() -> None:
    assert (
        told.told("ja", Phrase("There is no project {name!r}.", name="test"))
        == "「test」というプロジェクトはありません。"
    )
    held = Phrase(
        "“{question}” {kept}: shown to the model with its answer, it would test nothing any more.",
        question="model",
        kept=Phrase("is kept for {side}", side="test"),
    )
    assert told.told("ja", held).startswith("「model」はテスト用に取ってあります。")


def test_a_rule_that_blocks_is_told_with_its_own_sentence() -> None:
    blocked = Blocked("The answer must contain “refund”.")
    assert told.error_text("en", blocked) == str(blocked)
    assert told.error_text("ja", blocked).startswith("承認できません：回答に「refund」を")


def test_a_stored_error_is_told_as_far_as_it_is_known() -> None:
    text = (
        "The training process ended without a word, while training at step 3 of 10. "
        "It may have run out of memory or been stopped from outside. Try again."
    )
    assert told.stored_error("en", text) == text
    assert told.stored_error("ja", text).startswith(
        "学習が何も告げずに終わりました（学習中のとき、10ステップ中3）。 メモリー"
    )
    assert told.stored_error("ja", "The loss stopped being a number. Lower the learning rate.").endswith(
        "学習率を下げてください。"
    )
    assert told.stored_error("ja", "KeyError: 'x' The log has the details.") == "KeyError: 'x' The log has the details."
    assert told.stored_error("ja", "") == ""


def test_names_in_quotation_marks_are_told_too() -> None:
    missing = NotFound(
        Phrase("There is no adapter {name!r} in this project.", name="v9"), "List them with: studio adapters list"
    )
    assert str(missing) == "There is no adapter 'v9' in this project. List them with: studio adapters list"
    assert told.error_text("ja", missing).startswith("このプロジェクトに「v9」というアダプターはありません。")


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
