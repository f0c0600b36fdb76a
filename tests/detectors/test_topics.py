import numpy as np
import pytest

from studio.detectors.encoder import embed
from studio.detectors.topics import diversity
from studio.errors import Cancelled
from tests.detectors.rows import rows

HOLES = "two three four five six many big small new old long wide".split()
COINS = "cash cards cheques vouchers credit euros points coins gold notes stamps bonds".split()
TENTS = [f"How do I repair a torn tent with {word} holes?" for word in HOLES]
MONEY = [f"Can I pay my invoice with {word}?" for word in COINS]
CITIES = [f"What is the capital of {word}?" for word in ("Peru", "Chile")]
MADE = rows([(question, "Yes.") for question in TENTS + MONEY + CITIES])


@pytest.mark.parametrize("encoder", [embed, None], ids=["encoder", "letters"])
def test_topics_have_titles_sizes_and_places(encoder: object) -> None:
    found = diversity(MADE, encoder, topics=3)  # type: ignore[arg-type]
    assert [t.size for t in found.topics] == [12, 12, 2]
    assert {"tent", "invoice"} <= {word for t in found.topics for word in t.title.split(", ")}
    assert [t.title for t in found.thin] == [found.topics[2].title]
    assert len({p.topic for p in found.points[:12]}) == 1
    assert len({(round(t.x, 3), round(t.y, 3)) for t in found.topics}) == 3


def test_neighbours_are_nearest_first() -> None:
    found = diversity(MADE, embed, topics=3)
    nearest = found.neighbours("r0", 4)
    assert {name for name, _ in nearest} <= {f"r{n}" for n in range(1, 12)}
    assert [s for _, s in nearest] == sorted((s for _, s in nearest), reverse=True)
    assert found.neighbours("nobody") == []


def test_the_same_rows_give_the_same_map() -> None:
    one, other = diversity(MADE, embed), diversity(MADE, embed)
    assert one.topics == other.topics
    assert one.points == other.points
    np.testing.assert_array_equal(one.vectors, other.vectors)


def test_none_one_and_equal_rows() -> None:
    assert diversity([], embed).topics == ()
    assert diversity(MADE[:1], embed).topics[0].size == 1
    assert [t.size for t in diversity(rows([("Who?", "Ana.")] * 9), embed, topics=4).topics] == [9]


def test_it_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        diversity(MADE, embed, cancelled=lambda: True)
