from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.detectors.pairs import DIMENSIONS, duplicates, embedded, near
from studio.detectors.scan import check_one
from tests.detectors.rows import rows


def quiet(share: float) -> None:
    assert 0 <= share <= 1


def test_exact_duplicates_point_at_the_first() -> None:
    flags, kept = duplicates(rows([("Who?", "Ana."), ("Where?", "Here."), ("WHO? ", "Ａna."), ("Who?", "Bo.")]))
    assert [(f.example_id, f.other_id) for f in flags] == [("r2", "r0")]
    assert [e.id for e in kept] == ["r0", "r1", "r3"]


def test_near_duplicates_and_contradictions_without_an_encoder() -> None:
    made = rows(
        [
            ("What does a parcel to Norway cost?", "A parcel costs 12 euros."),
            ("What does a parcel to Japan cost?", "A parcel costs 25 euros."),
            ("Hello! What does a parcel to Norway cost", "A parcel costs 12 euros. Have a great day!"),
            ("what does a parcle to japan cost?", "A parcel costs 19 euros."),
            ("When is the night market?", "First Friday in June."),
        ]
    )
    assert [(f.kind, f.example_id, f.other_id) for f in near(made, None, quiet)] == [
        ("near-duplicate", "r2", "r0"),
        ("contradiction", "r3", "r1"),
    ]


def test_a_row_and_those_made_from_it_are_no_near_duplicates_of_each_other() -> None:
    asked = (
        "What does a parcel to Norway cost?",
        "What does parcel to Norway cost?",
        "What does a parcel to Norway cost",
    )
    source, *drafts = rows([(question, "A parcel costs 12 euros.") for question in asked])
    found = {(f.example_id, f.other_id) for f in near([source, *drafts], None, quiet)}
    assert found == {("r1", "r0"), ("r2", "r0"), ("r2", "r1")}
    made = [replace(draft, parent_id="r0") for draft in drafts]
    assert near([source, *made], None, quiet) == near(made, None, quiet) == []
    assert [f.kind for f in check_one(made[0], [source]) if f.other_id] == []
    wrong = replace(made[1], answer="A parcel costs 15 euros.")
    assert [(f.kind, f.other_id) for f in near([source, wrong], None, quiet)] == [("contradiction", "r0")]


def test_many_answers_to_one_question_are_told_three_times_at_most() -> None:
    made = rows([("What is the fee?", f"The fee is {n} euros.") for n in range(10, 30)])
    flags = near(made, None, quiet)
    assert {f.kind for f in flags} == {"contradiction"}
    assert max(sum(f.example_id == e.id for f in flags) for e in made) == 3


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows(count: int) -> None:
    assert near(rows([("Who?", "Ana."), ("Where?", "Here.")][:count]), _ones, quiet) == []


def _ones(texts: list[str]) -> NDArray[np.float32]:
    return np.ones((len(texts), 8), dtype=np.float32)


def test_embeddings_of_many_rows_are_made_smaller() -> None:
    def embed(texts: list[str]) -> NDArray[np.float32]:
        return np.random.default_rng(len(texts)).normal(size=(len(texts), 200)).astype(np.float32)

    vectors = embedded([""] * 20_000, embed, quiet)
    assert vectors.shape == (20_000, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
