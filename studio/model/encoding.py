"""Rows as the trainer reads them: token ids, which of them get loss, and what becomes of a row that is too long.

The app counts with this too, so that what it says before a run is what the run does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from studio.errors import InvalidInput
from studio.model.template import apply_all, control_ids, render_text
from studio.records import Turn, turns_from

IGNORED = -100
"""The label of a token without loss."""
BATCH = 256

Span = tuple[int, int]
"""Token positions: from, to."""
Reason = Literal["empty", "nothing-to-learn", "too-long", "template"]
"""Why a row is left out: no question or no answer; nothing of it is marked to be learned; it does not fit; the model's
chat template refuses it."""
NoteKind = Literal["turn-not-learned", "tools-ignored", "tool-calls-ignored", "text-changed"]
"""What a template does with a row that its author should know: an earlier turn that was to be learned isn't, since its
tokens can't be told apart; the tools, or a turn's calls of them, are not written; a turn's text is changed or left
out."""


@dataclass(frozen=True)
class Note:
    kind: NoteKind
    turn: int | None = None
    """Place of the turn in the row."""


@dataclass(frozen=True)
class TrainingRow:
    """A row whole, with the system turn it is trained under."""

    messages: tuple[Turn, ...]
    answer: Turn
    """`Turn.learn`: whether it is trained on."""
    tools: Any = None
    """As the row has them: see `template.read_tools`."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        return (*self.messages, self.answer)

    def as_dict(self) -> dict[str, Any]:
        """As in a run's `train.jsonl`; what has its default is left out."""
        value: dict[str, Any] = {"messages": [turn.as_dict() for turn in self.messages], "answer": self.answer.content}
        if not self.answer.learn:
            value["learn_answer"] = False
        if self.answer.extra:
            value["answer_extra"] = dict(self.answer.extra)
        if self.tools:
            value["tools"] = self.tools
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> TrainingRow:
        answer = Turn(
            "assistant", value["answer"], bool(value.get("learn_answer", True)), value.get("answer_extra") or {}
        )
        return cls(turns_from(value["messages"]), answer, value.get("tools"))


@dataclass(frozen=True)
class Marks:
    """What is known of a row's tokens without the tokens."""

    tokens: int
    learned: tuple[Span, ...] = ()
    """Which get loss, in order. Never the first token of a row: nothing predicts it."""
    problem: Reason | None = None
    """Why the row can't be trained on, however much fits."""
    detail: str = ""
    """What the template said."""
    notes: tuple[Note, ...] = ()

    @property
    def loss_tokens(self) -> int:
        return sum(end - start for start, end in self.learned)


@dataclass(frozen=True)
class EncodedExample:
    """Token ids of a whole row, and which of them get loss."""

    ids: tuple[int, ...]
    prompt_tokens: int
    """Where the answer begins."""
    marks: Marks

    @property
    def learns_answer(self) -> bool:
        return any(start >= self.prompt_tokens for start, _ in self.marks.learned)

    def labels(self) -> list[int]:
        """The ids with loss at their places, `IGNORED` everywhere else."""
        labels = [IGNORED] * len(self.ids)
        for start, end in self.marks.learned:
            labels[start:end] = self.ids[start:end]
        return labels

    def cut(self, fit: Fit) -> EncodedExample:
        """The part of it that is trained on."""
        return replace(
            self,
            ids=self.ids[: fit.tokens],
            marks=replace(self.marks, tokens=fit.tokens, learned=fit.learned),
        )


@dataclass(frozen=True)
class Fit:
    """What is trained on of a row under a limit."""

    tokens: int
    learned: tuple[Span, ...] = ()
    cut: int = 0
    """Tokens at the end that are dropped."""
    left_out: Reason | None = None

    @property
    def loss_tokens(self) -> int:
        return sum(end - start for start, end in self.learned)


def fit(marks: Marks, limit: int, strategy: str) -> Fit:
    """Fit a row into `limit` tokens.

    `strategy`: what happens to a longer one. `drop` leaves it out. `truncate` keeps its beginning; an answer cut short
    has no end-of-turn token, so that the model is not taught to stop there; a row of which nothing that is learned
    would be left is left out all the same.
    """
    if marks.problem is not None:
        return Fit(0, left_out=marks.problem)
    if marks.tokens <= limit:
        return Fit(marks.tokens, marks.learned)
    learned = tuple((start, min(end, limit)) for start, end in marks.learned if start < limit)
    if strategy == "drop" or not learned:
        return Fit(0, left_out="too-long")
    return Fit(limit, learned, marks.tokens - limit)


def encode_example(tokenizer: Any, row: TrainingRow) -> EncodedExample:
    """Ids of a row's turns and its answer up to the answer's end-of-turn token, and what of it is learned.

    That is the answer, if it is marked so, and every assistant's turn before it that is. An earlier turn is found by
    rendering the row up to it: if that is not how the whole row begins, its tokens can't be told apart and get no loss.
    """
    [encoded] = encode_examples(tokenizer, [row])
    return encoded


def encode_examples(tokenizer: Any, rows: Sequence[TrainingRow]) -> list[EncodedExample]:
    """Many rows, as `encode_example` encodes each."""
    control = control_ids(tokenizer)
    batches = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    return [encoded for batch in batches for encoded in _encode_batch(tokenizer, batch, control)]


def _encode_batch(tokenizer: Any, rows: Sequence[TrainingRow], control: frozenset[int]) -> Iterator[EncodedExample]:
    prompts = apply_all(tokenizer, [(row.messages, row.tools) for row in rows], add_generation_prompt=True)
    wholes = apply_all(tokenizer, [(row.turns, row.tools) for row in rows], add_generation_prompt=False)
    for row, prompt, whole in zip(rows, prompts, wholes, strict=True):
        if all(turn.role == "system" for turn in row.messages):
            yield EncodedExample((), 0, Marks(0, problem="empty"))
        elif isinstance(prompt, InvalidInput) or isinstance(whole, InvalidInput):
            refusal = prompt if isinstance(prompt, InvalidInput) else whole
            yield _refused(str(refusal))
        elif row.answer.extra.get("tool_calls") and whole[: len(prompt)] != prompt:
            yield _refused("The model's chat template opens a call of a tool in another way than it asks for one.")
        else:
            yield _encode(tokenizer, row, prompt, whole, control)


def _refused(why: str) -> EncodedExample:
    return EncodedExample((), 0, Marks(0, problem="template", detail=why))


def _encode(
    tokenizer: Any, row: TrainingRow, prompt: list[int], whole: list[int], control: frozenset[int]
) -> EncodedExample:
    ids = prompt + _completion(tokenizer, row.answer, prompt, whole)
    notes = _notes(tokenizer, row, whole)
    blank = _blank(row, notes)
    spans: list[Span] = []
    for place, turn in enumerate(row.messages):
        if turn.role == "assistant" and turn.learn:
            span = None if place in blank else _turn_span(tokenizer, row, place, ids, control)
            if span is None:
                notes.append(Note("turn-not-learned", place))
            else:
                spans.append(span)
    if row.answer.learn and len(row.messages) not in blank:
        spans.append((max(1, len(prompt)), len(ids)))
    problem: Reason | None = None
    if not spans:
        problem = "empty" if row.answer.learn else "nothing-to-learn"
    return EncodedExample(tuple(ids), len(prompt), Marks(len(ids), tuple(spans), problem, notes=tuple(notes)))


def _blank(row: TrainingRow, notes: Sequence[Note]) -> set[int]:
    """Turns of which nothing is written but their end: to learn them would be to learn to say nothing."""
    unwritten = {note.turn for note in notes if note.kind == "tool-calls-ignored"}
    return {
        place
        for place, turn in enumerate(row.turns)
        if not turn.content.strip() and (place in unwritten or not turn.extra.get("tool_calls"))
    }


def _completion(tokenizer: Any, answer: Turn, prompt: list[int], whole: list[int]) -> list[int]:
    """The answer's tokens up to its end-of-turn token."""
    eos = tokenizer.eos_token_id
    if whole[: len(prompt)] == prompt:
        completion = whole[len(prompt) :]
        if eos in completion:
            # What the template writes after the end of the turn is never generated.
            completion = completion[: len(completion) - completion[::-1].index(eos)]
    else:
        # Templates that open the answer differently from how they close it (thinking models).
        text = answer.content
        text = text if text[:1].isspace() or tokenizer.chat_template else " " + text
        completion = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    if not completion or completion[-1] != eos:
        completion = [*completion, eos]
    return completion


def _turn_span(tokenizer: Any, row: TrainingRow, place: int, ids: list[int], control: frozenset[int]) -> Span | None:
    """Where an earlier assistant's turn lies in a row, its end-of-turn token included; None if that can't be told."""
    if place == 0:
        return None
    [opened] = apply_all(tokenizer, [(row.messages[:place], row.tools)], add_generation_prompt=True)
    [closed] = apply_all(tokenizer, [(row.messages[: place + 1], row.tools)], add_generation_prompt=False)
    if isinstance(opened, InvalidInput) or isinstance(closed, InvalidInput):
        return None
    start = len(opened)
    # What the template writes after the end of the turn is never generated.
    end = next((i + 1 for i in range(len(closed) - 1, start - 1, -1) if closed[i] in control), len(closed))
    if closed[:start] != opened or ids[:end] != closed[:end] or not 0 < start < end:
        return None
    return start, end


def _notes(tokenizer: Any, row: TrainingRow, whole: list[int]) -> list[Note]:
    notes = []
    turns = row.turns
    if row.tools and _ids(tokenizer, turns, None) == whole:
        notes.append(Note("tools-ignored"))
    for place, turn in enumerate(turns):
        if turn.extra.get("tool_calls"):
            without = replace(turn, extra={k: v for k, v in turn.extra.items() if k != "tool_calls"})
            if _ids(tokenizer, (*turns[:place], without, *turns[place + 1 :]), row.tools) == whole:
                notes.append(Note("tool-calls-ignored", place))
    text = render_text(tokenizer, turns)
    if text:
        notes += [Note("text-changed", place) for place, turn in enumerate(turns) if turn.content.strip() not in text]
    return notes


def _ids(tokenizer: Any, turns: Sequence[Turn], tools: Any) -> list[int] | InvalidInput:
    [ids] = apply_all(tokenizer, [(turns, tools)], add_generation_prompt=False)
    return ids
