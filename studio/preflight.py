"""Will it be learned? What training makes of each row, counted before it starts by the code that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from studio import evaluation, projects
from studio.context import MarksAt, Studio
from studio.errors import Phrase
from studio.model.encoding import EncodedExample, Fit, Marks, Note, NoteKind, Reason, fit
from studio.model.engine import Engine
from studio.records import Example, Project, Recipe

Kind = Literal["prompt", "special", "learned", "cut"]
"""Text the model reads as context; tokens that mark turns, among it; what it learns to write, the end of the turn
included; what is cut off."""

NOTES: Mapping[NoteKind, str] = {
    "turn-not-learned": "This turn is marked to be learned but isn't: it is empty, or the model's chat template writes"
    " it differently once the conversation goes on.",
    "tools-ignored": "The model's chat template has no place for tools: the model never sees them.",
    "tool-calls-ignored": "The model's chat template has no place for calls of tools: this turn's calls are left out.",
    "text-changed": "The model's chat template changes this turn's text or leaves it out.",
}


@dataclass(frozen=True)
class TextRun:
    """A stretch of a rendered row."""

    text: str
    kind: Kind
    tokens: int


@dataclass(frozen=True)
class TokenView:
    """A row exactly as the trainer reads it; the texts of `runs`, joined, are what the chat template writes."""

    example_id: str
    runs: tuple[TextRun, ...]
    """Empty if the template can't render it."""
    tokens: int
    """Of the whole row."""
    loss_tokens: int
    """Tokens that get loss; the runs of kind `learned` hold as many."""
    cut_tokens: int
    """Tokens beyond the limit."""
    limit: int
    """Most tokens of a row: the recipe's, or the model's context."""
    left_out: Reason | None
    sentence: str
    """Why the trainer leaves it out; empty if it doesn't."""
    notes: tuple[Note, ...]
    """What the template does with it; `Note.turn` counts the example's own messages. Sentences are in `NOTES`."""


@dataclass(frozen=True)
class LeftOut:
    """A row that the trainer leaves out."""

    example_id: str
    reason: Reason
    sentence: str


@dataclass(frozen=True)
class Report:
    """What a run would make of a project's training rows."""

    rows: int
    """That are trained on."""
    tokens: int
    """Of prompts and answers together, one pass."""
    loss_tokens: int
    cut_tokens: int
    cut: tuple[str, ...]
    """Ids of rows that lose their end."""
    left_out: tuple[LeftOut, ...]
    noted: tuple[tuple[str, Note], ...]
    """Example id, and what the template does with it."""
    loss_tokens_by_row: Mapping[str, int]
    limit: int

    @property
    def too_long(self) -> tuple[str, ...]:
        return tuple(row.example_id for row in self.left_out if row.reason == "too-long")


def token_view(studio: Studio, example: Example, recipe: Recipe | None = None) -> TokenView:
    """How one row would be trained on, saved or not.

    Raises:
        Busy, ModelUnavailable: there is no model whose template could be rendered.
    """
    recipe = recipe or Recipe()
    project = projects.get(studio, example.project_id)
    row = evaluation.training_row(project, example)
    [encoded] = studio.engine.encode([row])
    limit = _limit(studio.engine, recipe)
    fitted = fit(encoded.marks, limit, recipe.excess_length_strategy)
    added = len(row.messages) - len(example.messages)
    return TokenView(
        example_id=example.id,
        runs=_runs(studio, encoded, fitted, limit),
        tokens=encoded.marks.tokens,
        loss_tokens=fitted.loss_tokens,
        cut_tokens=max(0, encoded.marks.tokens - limit),
        limit=limit,
        left_out=fitted.left_out,
        sentence=_sentence(encoded.marks, fitted, limit),
        notes=_own(encoded.marks.notes, added),
    )


def report(studio: Studio, project_id: str, recipe: Recipe | None = None) -> Report:
    """What a run on the approved rows would train on, cut and leave out.

    Raises:
        Busy, ModelUnavailable: there is no model whose template could be rendered.
    """
    recipe = recipe or Recipe()
    return _report(studio, projects.get(studio, project_id), recipe, _limit(studio.engine, recipe))


def count(studio: Studio, project: Project, recipe: Recipe) -> Report:
    """As `report`; estimated from the lengths of the texts while there is no model."""
    limit = _limit(studio.engine, recipe) if studio.is_ready else recipe.max_length
    return _report(studio, project, recipe, limit)


def _report(studio: Studio, project: Project, recipe: Recipe, limit: int) -> Report:
    marks = {id_: one for (id_, _), one in _marks(studio, project).items()}
    fits = {id_: fit(one, limit, recipe.excess_length_strategy) for id_, one in marks.items()}
    kept = {id_: one for id_, one in fits.items() if one.left_out is None}
    return Report(
        rows=len(kept),
        tokens=sum(one.tokens for one in kept.values()),
        loss_tokens=sum(one.loss_tokens for one in kept.values()),
        cut_tokens=sum(one.cut for one in kept.values()),
        cut=tuple(id_ for id_, one in kept.items() if one.cut),
        left_out=tuple(
            LeftOut(id_, one.left_out, _sentence(marks[id_], one, limit)) for id_, one in fits.items() if one.left_out
        ),
        noted=tuple((id_, note) for id_, one in marks.items() for note in one.notes),
        loss_tokens_by_row={id_: one.loss_tokens for id_, one in kept.items()},
        limit=limit,
    )


def training_examples(studio: Studio, project_id: str) -> list[Example]:
    """The rows a run would be handed."""
    return studio.store.examples.find(project_id, status="approved", split="train")


def _limit(engine: Engine, recipe: Recipe) -> int:
    return min(recipe.max_length, engine.context_length)


def _marks(studio: Studio, project: Project) -> Mapping[tuple[str, int], Marks]:
    """Of each training row, by id and version.

    Counted once for every version of a row: the bar asks all the time.
    """
    stamp = studio.store.examples.stamp(project.id)
    under = (project.system_prompt, studio.engine.identity.key if studio.is_ready else "")
    before = studio.marks.get(project.id)
    if before is not None and (before.stamp, before.under) == (stamp, under):
        return before.of
    known = before.of if before is not None and before.under == under else {}
    examples = training_examples(studio, project.id)
    new = [e for e in examples if (e.id, e.version) not in known]
    fresh = dict(zip(((e.id, e.version) for e in new), _count_marks(studio, project, new), strict=True))
    marks = {(e.id, e.version): known.get((e.id, e.version)) or fresh[e.id, e.version] for e in examples}
    studio.marks[project.id] = MarksAt(stamp, under, marks)
    return marks


def _count_marks(studio: Studio, project: Project, examples: list[Example]) -> list[Marks]:
    rows = [evaluation.training_row(project, example) for example in examples]
    if studio.is_ready:
        return [encoded.marks for encoded in studio.engine.encode(rows)]
    lengths = [sum(len(turn.content) for turn in row.turns) // 3 for row in rows]
    return [Marks(length, ((0, length),)) for length in lengths]


def _sentence(marks: Marks, fitted: Fit, limit: int) -> str:
    match fitted.left_out:
        case None:
            return ""
        case "too-long" if any(start < limit for start, _ in marks.learned):
            return Phrase("It has {n:,} tokens, and at most {most:,} fit.", n=marks.tokens, most=limit)
        case "too-long":
            return Phrase(
                "It has {n:,} tokens, and what is to be learned lies beyond the {most:,} that fit.",
                n=marks.tokens,
                most=limit,
            )
        case "empty":
            return "Its question or its answer is empty."
        case "nothing-to-learn":
            return "Nothing of it is marked to be learned, or what is marked can't be told apart."
        case "template":
            return marks.detail


def _own(notes: tuple[Note, ...], added: int) -> tuple[Note, ...]:
    """Notes counted from the example's own first message, which the project's system turn may stand before."""
    return tuple(Note(n.kind, n.turn - added if n.turn is not None and n.turn >= added else None) for n in notes)


def _runs(studio: Studio, encoded: EncodedExample, fitted: Fit, limit: int) -> tuple[TextRun, ...]:
    kinds = _kinds(encoded, fitted, limit, studio.engine.control_ids)
    bounds = [0, *(i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]), len(kinds)]
    texts = studio.engine.split_text(encoded.ids, bounds[1:-1]) if kinds else []
    return tuple(
        TextRun(text, kinds[start], end - start) for text, (start, end) in zip(texts, pairwise(bounds), strict=False)
    )


def _kinds(encoded: EncodedExample, fitted: Fit, limit: int, control: frozenset[int]) -> list[Kind]:
    """The kind of each token. Of a row that is left out nothing is learned: what would be counts as cut."""
    kinds: list[Kind] = ["special" if id_ in control else "prompt" for id_ in encoded.ids]
    for start, end in encoded.marks.learned:
        kinds[start:end] = ["learned" if fitted.left_out is None else "cut"] * (end - start)
    kinds[limit:] = ["cut"] * len(kinds[limit:])
    return kinds
