import pytest

from studio.detectors.forms import balance, form, uneven
from tests.detectors.rows import rows


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ('{"a": 1}', "json"),
        ("[1, 2]", "json"),
        ("{this is no json at all}", "sentence"),
        ("```py\nx\n```", "code"),
        ("- a\n- b", "list"),
        ("| a | b |\n|---|---|", "table"),
        ("angry", "label"),
        ("怒り", "label"),
        ("It is open.", "sentence"),
        ("One.\nTwo.", "text"),
    ],
)
def test_forms(answer: str, kind: str) -> None:
    assert form(answer) == kind


def test_the_odd_one_out_is_flagged() -> None:
    flags = uneven(rows([("q", f'{{"a": {n}}}') for n in range(30)] + [("q", "The value is nine, I think.")]))
    assert [f.example_id for f in flags] == ["r30"]
    assert "JSON" in flags[0].reason
    assert "97%" in flags[0].reason


def test_a_missing_stop_and_a_small_letter() -> None:
    usual = [("q", f"The shop in town {n} opens at nine o'clock.") for n in range(40)]
    flags = uneven(rows([*usual, ("q", "The shop in Graz opens at nine o'clock"), ("q", "the shop opens at nine.")]))
    assert {f.example_id: f.reason.split(";")[0] for f in flags} == {
        "r40": "The answer ends with no full stop",
        "r41": "The answer begins with a small letter",
    }


def test_a_mixed_project_has_no_odd_one() -> None:
    mixed = [("q", "- a\n- b")] * 10 + [("q", "It is so.")] * 10 + [("q", '{"a": 1}')] * 10
    assert uneven(rows(mixed)) == []
    assert uneven(rows([("q", "It is so.")] * 10 + [("q", "- a\n- b")])) == []


def test_two_spellings_of_a_label() -> None:
    (flag,) = uneven(rows([("q", "angry")] * 9 + [("q", "happy")] * 9 + [("q", "Angry")]))
    assert flag.example_id == "r18"
    assert "“angry”" in flag.reason


def test_balance() -> None:
    found = balance(rows([("q", "spam")] * 90 + [("q", "ham")] * 9 + [("q", "other")] * 3))
    assert found is not None
    assert found.labels == (("spam", 90), ("ham", 9), ("other", 3))
    assert found.ratio == 30
    assert found.rare == ("other",)
    assert balance(rows([("q", f"Answer number {n} is a sentence.") for n in range(50)])) is None
    assert balance(rows([("q", f"Name{n}") for n in range(50)])) is None
    assert balance([]) is None
