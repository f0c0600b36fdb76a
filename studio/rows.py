"""What is said of rows and done to them: filters, actions, flags, rules and snapshots, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from studio.errors import InvalidInput, Phrase
from studio.records import Example, Split, Status, now

Sort = Literal["newest", "oldest", "changed", "longest", "shortest", "rating", "question"]
ActionKind = Literal[
    "created", "imported", "edited", "approved", "rejected", "drafted", "tagged", "rated", "noted", "restored",
    "undone", "split", "augmented", "deleted",
]  # fmt: skip
Method = Literal["paraphrase", "back-translation", "synonyms", "deletion", "insertion"]
"""How more questions are made out of a row's."""

FLAG_KINDS = (
    "duplicate", "near-duplicate", "contradiction", "empty", "too-long", "truncated", "language", "format", "pii",
    "secret", "control-token", "rule", "leak",
)  # fmt: skip
"""Every kind of flag a row can carry."""


@dataclass(frozen=True)
class RowFilter:
    """Which rows are meant. The same value drives the table, the counts, bulk actions and exports.

    Fields of several values are alternatives, except `tags`, all of which a row must have.
    """

    text: str = ""
    """Words looked for in questions, earlier turns, answers and notes; all must occur."""
    statuses: tuple[Status, ...] = ()
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    """Sides of the split; `aside` for rows kept out of all."""
    flags: tuple[str, ...] = ()
    """Kinds of open flags; `any` for rows with any open flag."""
    least_rating: int | None = None
    since: datetime | None = None
    """Changed at this moment or later (UTC)."""
    until: datetime | None = None
    """Changed before this moment (UTC)."""
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Action:
    """One thing somebody did to one row or to many; what it changed are the versions that carry its id."""

    id: str
    project_id: str
    kind: ActionKind
    rows: int
    author: str = ""
    detail: str = ""
    """What was done in words a reader of the history needs: a tag's name, a file's name."""
    undoes: str | None = None
    """The action this one took back."""
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Flag:
    """Something about a row that an expert should look at. Flags never drop or change a row."""

    example_id: str
    kind: str
    """One of `FLAG_KINDS`."""
    reason: str
    """One sentence with the evidence, in English."""
    other_id: str | None = None
    """The other row of a duplicate or contradiction."""
    span: tuple[int, int] | None = None
    """Where in `field` the evidence stands: characters from, to."""
    field: str = "answer"
    """`answer`, or `messages[i]` for a turn of the prompt."""

    def __post_init__(self) -> None:
        if self.kind not in FLAG_KINDS:
            raise InvalidInput(Phrase("There is no flag {kind!r}.", kind=self.kind))

    @property
    def key(self) -> str:
        """The same for the same finding: a flag that was dismissed stays so when the scan is run again."""
        # A row can break several rules in one field; only the reason tells them apart.
        reason = (self.reason,) if self.kind == "rule" else ()
        return "|".join((self.kind, self.example_id, self.other_id or "", self.field, *reason))


@dataclass(frozen=True)
class Beside:
    """A row that is too much like another one."""

    kind: str
    """`duplicate`, `near-duplicate`, `contradiction`, or `held-out`: the other one is kept for validation or test."""
    example: Example
    other: Example
    flag: Flag | None
    """What says so on one of the two; None where nothing is to be settled."""


@dataclass(frozen=True)
class Notice:
    """What a person who just saved a row should know."""

    number: int
    """A later notice of a studio has a larger one."""
    found: tuple[Beside, ...]
    """The most urgent first."""


RuleKind = Literal["must_contain", "must_not_contain", "max_words", "regex", "json_schema"]


@dataclass(frozen=True)
class Rule:
    """What every answer of a project must keep to, written by an expert."""

    id: str
    kind: RuleKind
    value: str
    """The text, the number of words, the regular expression or the JSON schema."""
    message: str = ""
    """What to say where an answer breaks it; empty: made from kind and value."""
    blocks: bool = False
    """Whether a row that breaks it can't be approved."""


@dataclass(frozen=True)
class Shares:
    """How rows are dealt to the sides of the split; what is left of 1 is for training."""

    validation: float = 0.0
    test: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test <= 0.9):
            raise InvalidInput(
                "Validation and test can have at most nine tenths of the rows between them.",
                "Give shares from 0 to 0.9, such as 0.1 and 0.1.",
            )

    def side(self, position: float) -> Split:
        """The side of a group at `position` in [0, 1)."""
        if position < self.test:
            return "test"
        return "validation" if position < self.test + self.validation else "train"


@dataclass(frozen=True)
class Snapshot:
    """A frozen set of example versions under a name."""

    id: str
    project_id: str
    name: str
    sha256: str
    """Of the snapshot's file; the same rows always give the same one."""
    rows: int
    by_split: Mapping[str, int]
    project_name: str = ""
    """As it was then; exports of the snapshot carry it."""
    language: str = ""
    """Of the project, as it was then."""
    author: str = ""
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Facets:
    """How many rows of a project have each value, for the menus of the filter."""

    total: int
    statuses: Mapping[str, int]
    tags: Mapping[str, int]
    authors: Mapping[str, int]
    sources: Mapping[str, int]
    splits: Mapping[str, int]
    flags: Mapping[str, int]
    capped: bool = False
    """Whether only the newest of very many rows were counted."""

    def as_dict(self) -> dict[str, Any]:
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in vars(self).items()}
