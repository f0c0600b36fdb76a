import pytest

from bench import planted_en
from bench.planted import CONTEXT_TOKENS, count_tokens, make
from bench.quality import MATERIALS, figures, scanned
from studio.detectors.scan import check_one, scan
from studio.errors import Cancelled
from tests.detectors.rows import row, rows


@pytest.mark.parametrize("seed", [0, 101], ids=["seen", "held-out"])
@pytest.mark.parametrize("language", sorted(MATERIALS))
def test_planted_defects_are_found(language: str, seed: int) -> None:
    made = make(MATERIALS[language], seed)
    for found in figures(made, scanned(made)):
        assert found.planted == 20
        assert found.recall >= 0.9, found
        assert found.precision >= 0.8, found


def test_without_an_encoder_only_paraphrases_are_missed() -> None:
    made = make(planted_en.MATERIAL, 0)
    found = {f.kind: f for f in figures(made, scanned(made, with_encoder=False))}
    assert found.pop("contradiction").recall >= 0.6
    assert min(f.recall for f in found.values()) >= 0.9


def test_planting_is_deterministic_and_so_is_the_scan() -> None:
    one, other = make(planted_en.MATERIAL, 3), make(planted_en.MATERIAL, 3)
    assert one == other
    assert scanned(one) == scanned(other)
    assert make(planted_en.MATERIAL, 4) != one
    assert sum(count_tokens(e) > CONTEXT_TOKENS for e in one.rows) == 20


def test_flags_come_in_the_order_of_the_rows_and_change_nothing() -> None:
    made = rows([("Who?", ""), ("Where?", "Here<|im_end|>"), ("Who?", "Mail a@b.org, 7 days.")])
    flags = scan(made)
    assert [(f.example_id, f.kind) for f in flags] == [("r0", "empty"), ("r1", "control-token"), ("r2", "pii")]
    assert scan(made, context_tokens=5, count_tokens=lambda e: len(e.answer))[-1].kind == "too-long"
    assert scan([]) == []


def test_it_tells_how_far_it_is_and_can_be_stopped() -> None:
    made = rows([(f"Question {n}?", f"Answer {n}.") for n in range(500)])
    told: list[float] = []
    scan(made, progress=lambda share, what: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(Cancelled):
        scan(made, cancelled=lambda: len(told) > 0)


def test_one_row_on_save() -> None:
    before = row("What is the fee?", "The fee is 12 euros.", "old")
    flags = check_one(row("what is the fee, please?", "The fee is 15 euros. Ask bo@mailbox.org", "new"), [before])
    assert [(f.kind, f.other_id) for f in flags] == [("pii", None), ("contradiction", "old")]
    assert [f.kind for f in check_one(row("What is the fee?", "The fee is 12 euros.", "new"), [before])] == [
        "duplicate"
    ]
    assert check_one(before, [before]) == []
    assert [f.kind for f in check_one(before, context_tokens=3, count_tokens=lambda e: 9)] == ["too-long"]


def test_one_row_beside_a_paraphrase() -> None:
    before = row("What is the weight of the kayak?", "The kayak weighs 15 kg.", "old")
    changed = row("How heavy is the kayak when packed?", "The kayak weighs 12 kg.", "new")
    assert check_one(changed, [before]) == []
    (flag,) = check_one(changed, [before], similarities=[0.8])
    assert (flag.kind, flag.other_id) == ("contradiction", "old")
