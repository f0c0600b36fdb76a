import pytest

from studio.detectors.text import content, gist, is_negated, is_one_edit, numbers, sentences, unlike


def test_courtesies_say_nothing() -> None:
    assert gist("Hi there, how LONG is it? Many thanks in advance.").split() == [",", "how", "long", "is", "it?", "."]
    assert content(gist("すみません、送料はいくらですか。よろしくお願いします。")) == ("送料", "いくら")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it costs 19.50 euros", {("19.50", "euro")}),
        ("€1,200 a year", {("1200", "euro")}),
        ("2 weeks", {("14", "day")}),
        ("two weeks", {("14", "day")}),
        ("2週間", {("14", "day")}),
        ("開店は9時半です", {("9半", "時")}),
        ("at 10:30", {("10:30", "time")}),
        ("error e13", set()),
        ("火曜日", {("tuesday", "weekday")}),
        ("closed on mondays", {("monday", "weekday")}),
        ("one of them", set()),
    ],
)
def test_numbers(text: str, found: set[tuple[str, str]]) -> None:
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("text", "denies"),
    [
        ("it can't be washed", True),
        ("it cannot be", True),
        ("never by air", True),
        ("no, sorry", True),
        ("利用できません", True),
        ("できない", True),
        ("a cat and a dot", False),
        ("it can be washed", False),
        ("利用できます", False),
        ("できませんか", False),
        ("すみません、できます", False),
    ],
)
def test_negation(text: str, denies: bool) -> None:
    assert is_negated(text) is denies


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ("manager", "manger", True),
        ("manager", "mangaer", True),
        ("kayak", "kayaks", True),
        ("kayak", "canoe", False),
        ("same", "same", True),
        ("", "ab", False),
    ],
)
def test_one_edit(one: str, other: str, is_one: bool) -> None:
    assert is_one_edit(one, other) is is_one
    assert is_one_edit(other, one) is is_one


def test_unlike_forgives_slips_but_not_numbers() -> None:
    assert unlike(["manager", "hte", "graz"], ["mangaer", "graz"]) == ([], [])
    assert unlike(["alder", "2"], ["alder", "3"]) == (["2"], ["3"])
    assert unlike(["e12"], ["e21"]) == (["e12"], ["e21"])


def test_sentences_of_both_languages() -> None:
    assert sentences("One. Two!\nThree") == ["One.", "Two!", "Three"]
    assert sentences("一つ。二つです。") == ["一つ。", "二つです。"]
