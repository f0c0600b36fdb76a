"""Both languages say the same things, and no key is left without words."""

from __future__ import annotations

import re

import pytest

from studio.ui import assets, words
from studio.ui.data_learn import LearnBoard
from studio.ui.data_quality import QualityBoard
from studio.ui.data_rules import RulesBoard
from studio.ui.rows_table import RowsTable


def test_both_languages_have_the_same_keys() -> None:
    assert words.WORDS["en"].keys() == words.WORDS["ja"].keys()
    assert all(key.startswith("app.") for key in words.EN)
    assert all(text.strip() for table in words.WORDS.values() for text in table.values())


def test_placeholders_match() -> None:
    for key, text in words.EN.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", words.JA[key])), key


def test_every_word_a_script_names_exists() -> None:
    scripts = {
        "app.thread.": ("editor.js", "message.js", "thread.js", "diff.js"),
        "app.loop.": ("loop_bar.js",),
        "app.results.": ("results.js", "diff.js"),
        "app.diff.": ("diff_view.js", "diff.js"),
        "app.shell.": ("shell.js",),
        "app.rows.": RowsTable.scripts,
        "app.quality.": QualityBoard.scripts,
        "app.learn.": LearnBoard.scripts,
        "app.rules.": RulesBoard.scripts,
    }
    for prefix, names in scripts.items():
        known = words.for_component(prefix)["en"]
        for key in re.findall(r'\bword\("([\w. ]+)"', assets.script(*names)):
            assert key in known, f"{prefix}{key}"


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(KeyError):
        words.t("app.no_such_word")
