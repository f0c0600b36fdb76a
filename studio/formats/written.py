"""What an export wrote, and what it left out and why."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studio.formats.draft import Draft
from studio.formats.render import FormatName, Row, Unfit, losses, rows_of
from studio.formats.sinks import encode
from studio.records import Example

_HALF = "it holds half a character (an unpaired surrogate)"


@dataclass(frozen=True)
class Written:
    """What an export wrote and what it left out."""

    format: FormatName
    path: Path
    """The file, or the folder of `hf`."""
    rows: int
    """Rows of the file; KTO and prompt-completion make several of one example. For `hf` those of `sft`."""
    examples: int
    skipped: Mapping[str, int]
    """Reason → how many examples were left out for it."""
    notes: Mapping[str, int]
    """What the format can't say → of how many examples that were written all the same."""
    sha256: str
    """Of the file; of a folder, that of its files' names and hashes."""
    files: tuple[Path, ...]
    """Everything that was written: the file first, then LLaMA-Factory's files beside it."""
    plain: bool
    expected: Mapping[Path, Sequence[int]] = field(default_factory=dict, repr=False, compare=False)
    """File → the digests of the drafts an import must find in it, in order; none of a plain export."""


@dataclass
class Tally:
    rows: int = 0
    examples: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    columns: set[str] = field(default_factory=set)
    expected: dict[Path, array[int]] = field(default_factory=dict)

    def expect(self, path: Path, example: Example) -> None:
        """An import of the file shall find this example next."""
        self.expected.setdefault(path, array("Q")).append(Draft.of(example).digest())


def fitting(
    format_: FormatName, examples: Iterable[Example], plain: bool, tally: Tally
) -> Iterator[tuple[Example, list[Row]]]:
    """Examples that have a place in the format, with their rows; the others are counted by reason."""
    for example in examples:
        try:
            rows = fit(format_, example, plain=plain)
        except Unfit as error:
            tally.skipped[str(error)] += 1
            continue
        tally.notes.update(losses(format_, example))
        tally.rows += len(rows)
        tally.examples += 1
        yield example, rows


def fit(format_: FormatName, example: Example, *, plain: bool) -> list[Row]:
    """The rows of `example`, as they can be written.

    Raises:
        Unfit: the format can't hold it, or nothing can: it holds half a character.
    """
    rows = rows_of(format_, example, plain=plain)
    for row in rows:
        try:
            encode(row)
        except UnicodeEncodeError as error:
            raise Unfit(_HALF) from error
    return rows


def written_of(
    format_: FormatName, out: Path, tally: Tally, sha256: str, files: tuple[Path, ...], plain: bool
) -> Written:
    skipped, notes = dict(tally.skipped), dict(tally.notes)
    return Written(format_, out, tally.rows, tally.examples, skipped, notes, sha256, files, plain, tally.expected)
