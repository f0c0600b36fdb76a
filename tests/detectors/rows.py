"""Rows made short, for the tests of the detectors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from studio.records import Example, Turn


def row(question: str, answer: str, name: str = "a") -> Example:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return Example(name, "p", 1, "approved", (Turn("user", question),), answer, created_at=moment)


def rows(pairs: Sequence[tuple[str, str]]) -> list[Example]:
    """Rows r0, r1, …"""
    return [row(question, answer, f"r{number}") for number, (question, answer) in enumerate(pairs)]
