import numpy as np

from studio.detectors.encoder import DIMENSIONS, embed


def test_meaning_counts_in_both_languages() -> None:
    vectors = embed(
        [
            "How heavy is the tent?",
            "What does the tent weigh?",
            "Can I pay in cash?",
            "テントの重さは?",
            "現金で払えますか",
        ]
    )
    assert vectors.shape == (5, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    like = vectors @ vectors.T
    assert like[0, 1] > like[0, 2] + 0.2
    assert like[0, 3] > like[0, 4]


def test_it_is_deterministic_and_takes_nothing() -> None:
    np.testing.assert_array_equal(embed(["a", ""]), embed(["a", ""]))
    assert embed([]).shape == (0, DIMENSIONS)
