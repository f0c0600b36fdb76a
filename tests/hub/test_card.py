from __future__ import annotations

import pytest

from studio.errors import InvalidInput
from studio.hub.card import NOTES_END, NOTES_START, merge, metadata, pushed_files

FRESH = """---
language: ja
configs:
- config_name: default
  data_files: train.jsonl
---

# Opening hours

12 rows.
"""
FILES = ["train.jsonl"]


def with_notes(text: str, notes: str) -> str:
    start, end = text.index(NOTES_START) + len(NOTES_START), text.index(NOTES_END)
    return text[:start] + notes + text[end:]


def test_a_first_card_gets_room_for_notes_and_the_list_of_its_files() -> None:
    card = merge(FRESH, "", FILES)
    assert card.startswith(FRESH.rstrip())
    assert NOTES_START in card
    assert pushed_files(card) == {"train.jsonl"}
    assert metadata(card) == metadata(FRESH)


def test_merging_again_changes_nothing() -> None:
    card = merge(FRESH, "", FILES)
    assert merge(FRESH, card, FILES) == card
    assert merge(card, card, FILES) == card


def test_everything_but_the_notes_is_refreshed() -> None:
    remote = with_notes(merge(FRESH, "", ["old.jsonl"]), "\n\nAsk Hanako.\n手書き\n\n").replace("12 rows", "I was here")
    card = merge(FRESH.replace("12 rows", "13 rows"), remote, FILES)
    assert "13 rows" in card
    assert "Ask Hanako.\n手書き" in card
    assert "I was here" not in card
    assert pushed_files(card) == {"train.jsonl"}


def test_notes_go_where_the_fresh_card_has_room_for_them() -> None:
    fresh = f"{FRESH}\n## Notes\n\n{NOTES_START}\n(nothing yet)\n{NOTES_END}\n\n## Figures\n"
    remote = with_notes(merge(FRESH, "", FILES), "\nAsk Hanako.\n")
    card = merge(fresh, remote, FILES)
    assert card.count(NOTES_START) == 1
    assert f"{NOTES_START}\nAsk Hanako.\n{NOTES_END}\n\n## Figures" in card
    assert "nothing yet" in merge(fresh, "", FILES)


def test_a_card_that_was_written_by_hand_is_kept_as_notes() -> None:
    card = merge(FRESH, "---\nlicense: mit\n---\n# Mine\n\nText.\n", FILES)
    assert f"{NOTES_START}\n\n# Mine\n\nText.\n\n{NOTES_END}" in card
    assert merge(FRESH, card, FILES) == card
    assert metadata(card)["license"] == "mit"


def test_metadata_that_the_fresh_card_does_not_know_stays_and_what_describes_the_data_does_not() -> None:
    remote = "---\nlicense: cc-by-4.0\nlanguage: en\nextra_gated_prompt: Say why.\nsize_categories: [n<1K]\n---\n"
    found = metadata(merge(FRESH, remote, FILES))
    assert found["license"] == "cc-by-4.0"
    assert found["extra_gated_prompt"] == "Say why."
    assert found["language"] == "ja"
    assert "size_categories" not in found
    assert metadata(merge("# Only text\n", remote, FILES))["license"] == "cc-by-4.0"


@pytest.mark.parametrize("broken", [NOTES_START, NOTES_END, f"{NOTES_END} {NOTES_START}", NOTES_START * 2 + NOTES_END])
def test_broken_marks_are_not_guessed_at(broken: str) -> None:
    with pytest.raises(InvalidInput, match="marks around the notes") as caught:
        merge(FRESH, f"text {broken} text", FILES)
    assert NOTES_START in caught.value.hint


def test_names_of_files_cannot_end_the_list_early() -> None:
    names = ["a --> b.csv", "c]-->.csv", "日本.csv", '"q".csv', "sp ace.csv"]
    card = merge(FRESH, "", names)
    assert pushed_files(card) == set(names)
    assert card.count("-->") == 3
    assert merge(FRESH, card, names) == card


@pytest.mark.parametrize("text", ["", "# Text", "---\n[1, 2\n---\n", "---\n- 1\n---\n", "---\nno end"])
def test_a_card_without_readable_metadata_has_none(text: str) -> None:
    assert metadata(text) == {}


def test_a_list_of_files_that_is_no_list_counts_as_none() -> None:
    assert pushed_files("<!-- pushed [1, -->") == set()
    assert pushed_files('<!-- pushed [1, "a.csv"] -->') == {"a.csv"}
    assert pushed_files("<!-- pushed [x] -->") == set()
