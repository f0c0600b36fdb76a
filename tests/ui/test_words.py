"""Both languages say the same things, and no key is left without words."""

from __future__ import annotations

import re

import pytest

from studio.ui import assets, words
from studio.ui.data_augment import AugmentBoard
from studio.ui.data_learn import LearnBoard
from studio.ui.data_quality import QualityBoard
from studio.ui.data_rules import RulesBoard
from studio.ui.data_snapshots import SnapshotBoard
from studio.ui.data_split import SplitBoard
from studio.ui.rows_table import RowsTable


def test_both_languages_have_the_same_keys() -> None:
    # Japanese has no singular of its own.
    singular = {key for key in words.EN if key.endswith("_one") and key.removesuffix("_one") in words.EN}
    assert words.EN.keys() - singular == words.JA.keys() - singular
    assert words.JA.keys() <= words.EN.keys()
    assert all(key.startswith("app.") for key in words.EN)
    assert all(text.strip() for table in words.WORDS.values() for text in table.values())


def test_placeholders_match() -> None:
    for key, text in words.JA.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", words.EN[key])), key
    for key, text in words.EN.items():
        if "{n}" not in text and key.endswith("_one") and (many := words.EN.get(key.removesuffix("_one"))):
            assert set(re.findall(r"{\w+}", text)) <= set(re.findall(r"{\w+}", many)), key


def test_one_is_said_in_the_singular() -> None:
    assert words.say("en", "app.import.go_all", n="1") == "Import 1 row"
    assert words.say("en", "app.import.go_all", n=2) == "Import 2 rows"
    assert words.say("ja", "app.import.go_all", n=1) == words.JA["app.import.go_all"].format(n=1)
    rest = words.say("en", "app.import.leave_out", n="1")
    assert words.say("en", "app.import.go_rest", n="1", rest=rest) == "Import the 1 good row, leave out the bad one"


def test_every_word_a_script_names_exists() -> None:
    scripts = {
        "app.thread.": ("editor.js", "message.js", "thread.js", "diff.js"),
        "app.loop.": ("loop_bar.js",),
        "app.results.": ("results.js", "diff.js"),
        "app.diff.": ("diff_view.js", "diff.js"),
        "app.shell.": ("shell.js",),
        "app.rows.": RowsTable.scripts,
        "app.split.": SplitBoard.scripts,
        "app.snapshots.": SnapshotBoard.scripts,
        "app.augment.": AugmentBoard.scripts,
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
