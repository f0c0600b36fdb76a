import pytest

from studio.detectors.language import other_language, own_languages
from tests.detectors.rows import row, rows

EN, JA = "How long does it take?", "何日かかりますか。"


@pytest.mark.parametrize(
    ("question", "answer", "language", "name"),
    [
        (EN, "Nein, das ist leider nicht möglich.", "en", "German"),
        (EN, "El pedido llegará mañana por la tarde.", "en", "Spanish"),
        (EN, "はい、できます。", "en", "Japanese"),
        (EN, "죄송합니다. 판매하지 않습니다.", "en", "Korean"),
        (JA, "Yes, of course.", "ja", "English"),
        (JA, "Please bring the parcel to the shop.", "ja", "English"),
        (JA, "抱歉,这个课程已经报满了。", "ja", "Chinese"),
    ],
)
def test_another_language(question: str, answer: str, language: str, name: str) -> None:
    flag = other_language(row(question, answer), language)
    assert flag is not None
    assert name in flag.reason


@pytest.mark.parametrize(
    ("question", "answer", "language"),
    [
        (EN, "Three days.", "en"),
        (EN, "angry", "en"),
        (EN, "Ask for Ms Lindqvist at the desk.", "en"),
        (EN, "The Étoile du Nord and the Schneehuhn take a week.", "en"),
        (EN, "sudo systemctl restart label-printer", "en"),
        (EN, "https://shop.example/hilfe/groessen", "en"),
        (EN, 'The label says "Toujours plus haut".', "en"),
        ("How do you say 'see you' in German?", "Bis bald, und gute Reise nach Hause.", "en"),
        ("Translate: the shop is closed", "La tienda está cerrada hoy.", "en"),
        (JA, "PayPayで3日です。", "ja"),
        (JA, "中立", "ja"),
        (JA, "https://shop.example/help/sizes", "ja"),
        (JA, '{"items": [], "total": 0, "currency": "JPY"}', "ja"),
        ("「お元気ですか」を英語で何と言いますか。", "How are you doing today?", "ja"),
    ],
)
def test_what_is_no_mix_up(question: str, answer: str, language: str) -> None:
    assert other_language(row(question, answer), language) is None


def test_a_project_may_have_two_languages() -> None:
    both = rows(
        [(EN, "It takes three days.")] * 15 + [("你好，你是谁？", "您好，我是一个由团队开发的人工智能助手。")] * 5
    )
    own = own_languages(both, "en")
    assert own == {"en", "zh"}
    assert other_language(both[-1], "en", own) is None
    assert other_language(row(EN, both[-1].answer), "en", own) is not None
