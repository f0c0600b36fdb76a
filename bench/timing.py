"""Tokens per second and time to the first token, from the moments at which tokens came."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One timed answer."""

    first_token_s: float
    """From the request to the first token."""
    decode_s: float
    """From the first token to the last."""
    tokens: int

    @classmethod
    def of(cls, asked: float, moments: list[float], tokens: int) -> Answer:
        return cls(moments[0] - asked, moments[-1] - moments[0], tokens)


def summary(answers: list[Answer]) -> dict[str, float | int]:
    """Median time to the first token; decoding speed over all answers, the first token of each left out."""
    seconds = sum(a.decode_s for a in answers)
    return {
        "first_token_s": statistics.median(a.first_token_s for a in answers),
        "tokens_per_s": sum(a.tokens - 1 for a in answers) / seconds if seconds else 0.0,
        "tokens": sum(a.tokens for a in answers),
    }
