"""Text cut into words, and what may be done to each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio import lexicon
from studio.lexicon import Language
from studio.segmentation import Segment, joined, language_of, segments


def word(text: str, language: Language, wanted: str) -> Segment:
    return next(s for s in segments(text, language) if s.text == wanted)


@given(st.text(max_size=80), st.sampled_from(["en", "ja"]))
def test_nothing_of_a_text_is_lost(text: str, language: Language) -> None:
    assert joined(segments(text, language)) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Is it 35 euros?", "35"),
        ("Is it thirty euros?", "thirty"),
        ("Do they not open?", "not"),
        ("Why can't I pay?", "can't"),
        ("Does the Finch Club work?", "Finch"),
        ("Wi-Fi is down", "Wi-Fi"),
        ("Run `rm buy` now", "`rm buy`"),
        ("See https://example.org/buy?x=1 now", "https://example.org/buy?x=1"),
        ("Write to help@example.org please", "help@example.org"),
        ("Only before noon", "before"),
        ("When do you open?", "When"),
        ("Dear {name}, hello", "{name}"),
    ],
)
def test_english_words_that_decide_the_answer_are_protected(text: str, wanted: str) -> None:
    found = word(text, "en", wanted)
    assert found.is_protected
    assert not found.may_go
    assert not found.synonyms


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3回まで借りられますか。", "3"),
        ("三回まで借りられますか。", "三"),
        ("京都で借りられますか。", "京都"),
        ("本は借りられないですか。", "ない"),
        ("「会議」は何ですか。", "「会議」"),
        ("Wi-Fiは使えますか。", "Wi-Fi"),
    ],
)
def test_japanese_words_that_decide_the_answer_are_protected(text: str, wanted: str) -> None:
    found = word(text, "ja", wanted)
    assert found.is_protected
    assert not found.may_go
    assert not found.synonyms


def test_synonyms_take_the_form_and_the_place_of_the_word() -> None:
    assert lexicon.english("buy", "can") == ("purchase",)
    assert lexicon.english("Parcels", "") == ("Packages",)
    assert lexicon.english("needed", "we") == ("required",)
    assert word("How much is a tent repair?", "en", "repair").synonyms == ()
    assert "mend" in word("Can you repair it?", "en", "repair").synonyms
    assert word("Do I need to come?", "en", "need").synonyms == ()


def test_a_japanese_noun_is_looked_up_as_a_whole() -> None:
    assert "パーキング" in word("駐車場はありますか。", "ja", "駐車場").synonyms
    assert not any(s.synonyms for s in segments("会議室を借りたいです。", "ja"))
    assert "打ち合わせ" in word("会議はいつですか。", "ja", "会議").synonyms


def test_the_language_is_seen_by_the_script() -> None:
    assert language_of("開館は9時です") == "ja"
    assert language_of("営業時間", "ja") == "ja"
    assert language_of("When?", "ja") == "en"
    assert language_of("Wann?", "de") == "de"
    assert language_of("When?") == "en"
