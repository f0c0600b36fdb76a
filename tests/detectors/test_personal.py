import pytest

from studio.detectors.personal import find, personal
from tests.detectors.rows import row


@pytest.mark.parametrize(
    ("text", "language", "what", "evidence"),
    [
        ("Write to jane.doe+x@mailbox.org today", "en", "E-mail address", "jane.doe+x@mailbox.org"),
        ("連絡先はtaro@example.co.jpです。", "ja", "E-mail address", "taro@example.co.jp"),
        ("My mobile is +44 7911 123456.", "en", "Telephone number", "+44 7911 123456"),
        ("Call (212) 555-0123 now", "en", "Telephone number", "(212) 555-0123"),
        ("携帯は090-1234-5678です。", "ja", "Telephone number", "090-1234-5678"),
        ("０３−３２５２−６３９８に電話", "ja", "Telephone number", "０３−３２５２−６３９８"),
        ("電話は09012345678", "ja", "Telephone number", "09012345678"),
        ("The card is 4539 1488 0343 6467.", "en", "Card number", "4539 1488 0343 6467"),
        ("card 378282246310005", "en", "Card number", "378282246310005"),
        ("Refund DE89 3704 0044 0532 0130 00 please", "en", "Bank account (IBAN)", "DE89 3704 0044 0532 0130 00"),
        ("My number is 536-90-4399.", "en", "Social security number", "536-90-4399"),
        ("from 81.107.143.7でした", "ja", "IP address", "81.107.143.7"),
        ("マイナンバーは621498320257です。", "ja", "My Number (個人番号)", "621498320257"),
        (
            "〒101-0061 東京都千代田区神田三崎町2-1-2",
            "ja",
            "Postal address",
            "〒101-0061 東京都千代田区神田三崎町2-1-2",
        ),
        ("大阪府大阪市北区梅田3-1-1に", "ja", "Postal address", "大阪府大阪市北区梅田3-1-1"),
        (
            "I live at 12 Oak Street, Springfield, IL 62704.",
            "en",
            "Postal address",
            "12 Oak Street, Springfield, IL 62704",
        ),
    ],
)
def test_what_it_finds(text: str, language: str, what: str, evidence: str) -> None:
    found = [(kind, text[start:end]) for kind, start, end in find(text, language)]
    assert found == [(what, evidence)]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Order 555-201-8834 was paid on 3 March.", "en"),
        ("My order number is 4471-2290-118, where is it?", "en"),
        ("Serial 4929 1000 2000 3001 was sold in 2019", "en"),  # the check digit is wrong
        ("It updates itself from version 10.4.12.1 to 10.5.0.2.", "en"),
        ("The router is at 192.168.0.1", "en"),
        ("ISBN is 978-3-16-148410-0.", "en"),
        ("Batches 2023-11-0417 to 2023-11-0688 are recalled.", "en"),
        ("DE00 3704 0044 0532 0130 00", "en"),
        ("注文番号は621498320257です。", "ja"),  # the check digit is right, but nothing calls it a My Number
        ("マイナンバーは621498320258です。", "ja"),
        ("2,344メートルで、小屋から611メートル上です", "ja"),
        ("Mail to nobody@example.com", "en"),
        ("355909190063-746 = 355909189317", "en"),
        ("62426244000 + 198472480000 = 260898724000", "en"),
        ("follow @someone on 2020/05/17 at 10:00", "en"),
    ],
)
def test_what_it_passes_over(text: str, language: str) -> None:
    assert find(text, language) == []


def test_one_flag_for_each_kind_and_text() -> None:
    flags = personal(row("I am a@b.org, or c@d.org", "Noted, a@b.org."))
    assert [(f.field, f.span) for f in flags] == [("messages[0]", (5, 12)), ("answer", (7, 14))]
    assert flags[0].kind == "pii"
