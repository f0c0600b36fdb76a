from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import InvalidInput
from studio.records import (
    BaseIdentity,
    CheckResult,
    Example,
    Recipe,
    Sampling,
    Turn,
    content_hash,
    is_same_answer,
    new_id,
    normalise,
)


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("Open at nine.", " Open  at\nnine. "),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("カード", "ｶｰﾄﾞ"),
        ("é", "e\u0301"),
    ],
)
def test_the_same_answer_written_otherwise(expected: str, answer: str) -> None:
    assert is_same_answer(expected, answer)


@pytest.mark.parametrize(("expected", "answer"), [("Nine.", "nine."), ("Nine.", "Nine"), ("9", "90"), ("はい", "ハイ")])
def test_another_answer(expected: str, answer: str) -> None:
    assert not is_same_answer(expected, answer)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_ids_sort_by_the_order_they_were_made_in() -> None:
    ids = [new_id("m") for _ in range(5000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_content_hash_ignores_the_order_of_keys_but_not_of_rows() -> None:
    assert content_hash({"a": 1, "b": "ä"}) == content_hash({"b": "ä", "a": 1})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert len(content_hash("\ud800")) == 64


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("method", "dora"),
        ("r", 0),
        ("r", 257),
        ("lora_alpha", 0),
        ("lora_dropout", 1.0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("batch_size", 0),
        ("max_passes", 0),
        ("max_length", 15),
        ("excess_length_strategy", "raise"),
        ("warmup", 1.0),
        ("weight_decay", -0.1),
    ],
)
def test_a_recipe_refuses_nonsense(field: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        Recipe(**{field: value})


def test_settings_are_read_into_the_fields_own_types() -> None:
    recipe = Recipe().with_settings(
        {"r": "8", "learning_rate": "2e-4", "max_passes": "3", "stop_when_learned": "false", "method": "lora"}
    )
    assert recipe == Recipe(method="lora", r=8, learning_rate=2e-4, max_passes=3, stop_when_learned=False)


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("rank", "8", "no setting 'rank'"),
        ("r", "eight", "r can't be 'eight'"),
        ("r", "8.5", "r can't be '8.5'"),
        ("learning_rate", "fast", "learning_rate can't be 'fast'"),
        ("stop_when_learned", "maybe", "stop_when_learned can't be 'maybe'"),
        ("max_passes", "many", "max_passes can't be 'many'"),
        ("r", "1000", "rank"),
        ("method", "magic", "no method 'magic'"),
    ],
)
def test_a_bad_setting_is_named(key: str, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Recipe().with_settings({key: text})


@pytest.mark.parametrize(
    "fields", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_p": 0.0}, {"max_tokens": 0}]
)
def test_sampling_refuses_nonsense(fields: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Sampling(**fields)  # type: ignore[arg-type]


def test_a_base_with_other_numbers_has_another_key() -> None:
    base = BaseIdentity("m", "r", "0" * 64, "nf4")
    assert BaseIdentity.from_dict(base.as_dict()) == base
    assert base.key != BaseIdentity("m", "r", "0" * 64, "full").key


def test_duplicates_have_one_key_whatever_their_status() -> None:
    row = Example("e1", "p", 1, "draft", (Turn("user", "Q"),), "A")
    assert row.key() == Example("e2", "p", 3, "approved", (Turn("user", "Q"),), "A", author="other").key()
    assert row.key() != Example("e1", "p", 1, "draft", (Turn("user", "Q"),), "B").key()


def test_a_check_is_right_by_normalised_exact_match() -> None:
    check = CheckResult("e", "train", "Q", "At nine.", "At  nine.", "At ten.")
    assert check.is_right
    assert not check.is_base_right
