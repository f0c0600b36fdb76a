"""Easy data augmentation by chance and by seed."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from studio.eda import METHODS, delete_words, insert_synonyms, replace_synonyms
from studio.segmentation import segments

WORDS = "the parcel do not buy 35 only Finch a doctor please is my when need repair no".split()


def rng(seed: int = 0) -> random.Random:
    return random.Random(seed)


def test_a_word_is_replaced_by_a_synonym_with_the_right_article() -> None:
    assert replace_synonyms("Can I buy the gift?", "en", rng()) == "Can I purchase the gift?"
    assert replace_synonyms("Is it a mistake?", "en", rng()) in ("Is it an error?", "Is it a fault?")
    assert replace_synonyms("Are you open?", "en", rng()) is None
    assert replace_synonyms("飲み物を持ち込めますか。", "ja", rng()) in (
        "飲料を持ち込めますか。",
        "ドリンクを持ち込めますか。",
    )


def test_a_small_word_is_dropped_and_a_sentence_still_begins_with_a_capital() -> None:
    assert delete_words("Do gift cards expire?", "en", rng()) == "Gift cards expire?"
    assert delete_words("Boots? Do gift cards expire?", "en", rng()) == "Boots? Gift cards expire?"
    assert delete_words("貸出を延長できますか。", "ja", rng()) == "貸出延長できますか。"
    assert delete_words("No refunds, never!", "en", rng()) is None


def test_a_synonym_is_put_in_and_all_words_stay() -> None:
    before = "When will my parcel arrive with standard shipping?"
    after = insert_synonyms(before, "en", rng())
    assert after is not None
    assert sorted(after.split()) == sorted([*before.split(), "package"])
    assert insert_synonyms("駐車場は無料ですか。", "ja", rng()) in (
        "駐車場はパーキング無料ですか。",
        "駐車場はモータープール無料ですか。",
    )


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=15), st.integers(0, 9), st.sampled_from(sorted(METHODS)))
def test_protected_words_stay_and_a_seed_repeats(words: list[str], seed: int, method: str) -> None:
    text = " ".join(words)
    first, again = (METHODS[method](text, "en", rng(seed)) for _ in range(2))
    assert first == again
    fixed = {s.key for s in segments(text, "en") if s.is_protected and s.is_name | s.is_negation}
    if first is not None:
        before, after = (Counter(t.casefold().split()) for t in (text, first))
        assert all(after[key] == before[key] for key in fixed)
