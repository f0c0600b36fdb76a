import pytest

from studio.detectors.same import Lexicon, Side, conflict, is_same_question, judge, substitution

NONE = Lexicon()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How heavy is the Alder 2?", "hi, how heavy is the alder 2 please"),
        ("What is the name of the manager in Graz?", "what is the name of the mangaer in graz??"),
        ("What is your daily rate for a kayak?", "what is your dail yrate for a kayak"),
        ("Can I keep a satellite phone?", "Can I keep as atellite phone?"),
        ("送料はいくらですか。", "すみません、送料って いくらでしょうか？"),
        ("色を教えてください。", "色を教えて下さい"),
        ("商品を返品できますか。", "商品を返品出来ますか。よろしくお願いします。"),
    ],
)
def test_one_question_in_two_hands(one: str, other: str) -> None:
    assert is_same_question(one, other)
    assert is_same_question(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How heavy is the Alder 2?", "How heavy is the Alder 3?"),
        ("What does error E12 mean?", "What does error E21 mean?"),
        ("When does the shop open?", "Where does the shop open?"),
        ("Can I wash the jacket?", "Can I wash the trousers?"),
        ("Which of these is a fish?", "Which of these is not a fish?"),
        ("何時から開いていますか。", "何時まで開いていますか。"),
        ("札幌店の定休日はいつですか。", "仙台店の定休日はいつですか。"),
        ("寝袋は何色ですか。", "寝袋は何グラムですか。"),
    ],
)
def test_two_questions_that_look_alike(one: str, other: str) -> None:
    assert not is_same_question(one, other)
    assert not is_same_question(other, one)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("How long is the warranty?", "The warranty is two years.", "The warranty is five years."),
        ("Can it be washed?", "It can be washed in a machine.", "It can't be machine washed."),
        ("What is the tone?", "angry", "happy"),
        ("Which colour is it?", "It comes in blue.", "It comes in white."),
        ("When is it closed?", "It is closed on Mondays.", "It is closed on Tuesdays."),
        ("送料はいくらですか。", "送料は550円です。", "送料は800円かかります。"),
        ("返品できますか。", "店頭で返品できます。", "店頭で返品できません。"),
        ("定休日はいつですか。", "定休日は火曜日です。", "毎週水曜日をお休みしています。"),
    ],
)
def test_answers_that_differ(question: str, one: str, other: str) -> None:
    assert conflict(Side("a", question, one), Side("b", question, other), NONE)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("How long is the warranty?", "The warranty is two years.", "You have 2 years. Keep the receipt."),
        ("How long does it take?", "It takes 2 weeks.", "It takes 14 days."),
        ("When do you open?", "We open at 10:00.", "We open at 10:00. Have a nice day!"),
        ("Who is in charge?", "Ms Vane runs it.", "Ms Vane rnus it."),
        ("送料はいくらですか。", "送料は550円です。", "550円かかります。お気軽にお問い合わせください。"),
    ],
)
def test_answers_that_say_the_same(question: str, one: str, other: str) -> None:
    assert conflict(Side("a", question, one), Side("b", question, other), NONE) is None


def test_paraphrases_need_an_encoders_word() -> None:
    one = Side("a", "How heavy is the kayak when packed?", "The kayak weighs 12 kg.")
    other = Side("b", "What is the weight of the kayak?", "The kayak weighs 15 kg.")
    assert judge(one, other, NONE) is None
    verdict = judge(one, other, NONE, 0.8)
    assert verdict is not None
    assert verdict.kind == "contradiction"
    assert verdict.reason.endswith("two answers: “12 kg” and “15 kg”.")


def test_the_same_row_again_is_a_near_duplicate() -> None:
    verdict = judge(
        Side("a", "When do you open?", "We open at ten."), Side("b", "hi, when do you open", "We open at ten!"), NONE
    )
    assert verdict is not None
    assert verdict.kind == "near-duplicate"


def test_a_thing_in_anothers_place() -> None:
    assert substitution("wash the jacket now", "wash the trousers now") == ("jacket", "trousers")
    assert substitution("札幌店の定休日はいつですか", "仙台店の定休日はいつですか") == ("札幌", "仙台")
    assert substitution("how heavy is it", "what does it cost") is None
    known = NONE.with_alternatives([("Wash the jacket now", "Wash the trousers now")])
    assert known.are_alternatives("is the jacket washable", "can trousers be washed")
    assert not known.are_alternatives("is the jacket washable", "can a jacket be washed")
