import pytest

from studio.detectors.endings import Habits, truncated
from tests.detectors.rows import row

CERTAIN = [
    "Here you go:\n\n```python\nprint(1)",
    "We repair tents (the ones with",
    "Two steps follow.\n\n1. Open the box.\n2.",
    "We sell ropes, mats,",
    "You can bring it back to the",
    "The parcel goes to your",
    "修理は京都店で受け付けています。お渡しは",
    "受付でお声がけく",
    "「開館は9時",
    "手数料は15,000",
]
WHOLE = [
    "angry",
    "Tuesday to Saturday, 10 to 19",
    "Maren Alder and Tom Finch",
    "https://shop.example/help/sizes",
    "- a mat\n- a sleeping bag\n- a head torch",
    "```sql\nSELECT 1\n```",
    '{"items": [], "total": 0}',
    "sudo systemctl restart label-printer",
    "1. Java\n2. Python\n3. C++",
    "People bring what they like :)",
    "It starts at nine.",
    "What it is",
    "怒り",
    "もっと遠く、もっと軽く",
    "はい。底は鋼です",
    "平日の9時から17時まで",
    "木の実、干しぶどう、チョコレート",
    "開館は9時です(月曜は休館です)",
    "要らない物を持ち寄ります(笑)",
]


@pytest.mark.parametrize("answer", CERTAIN)
def test_what_is_open_is_flagged(answer: str) -> None:
    flag = truncated(row("How?", answer))
    assert flag is not None
    assert flag.span is not None
    assert answer.rstrip().endswith(answer[slice(*flag.span)].rstrip())


@pytest.mark.parametrize("answer", WHOLE)
def test_what_is_whole_is_not(answer: str) -> None:
    assert truncated(row("How?", answer)) is None
    assert truncated(row("How?", answer), Habits.of(["It is open at nine.", "窓口で受け付けています。"] * 9)) is None


def test_the_projects_own_sentences_tell_where_one_may_end() -> None:
    habits = Habits.of([f"Bring the receipt to shop {n}. We keep the invoice." for n in range(9)])
    cut = "We look at it. Bring the receipt"
    flag = truncated(row("How?", cut), habits)
    assert flag is not None
    assert "“receipt”" in flag.reason
    assert truncated(row("How?", cut)) is None
    assert truncated(row("How?", "We look at it. We keep the invoice"), habits) is None


def test_half_a_word() -> None:
    habits = Habits.of([f"We keep the invoice {n} here." for n in range(9)])
    flag = truncated(row("How?", "Then we send you the invoi"), habits)
    assert flag is not None
    assert "half" in flag.reason
