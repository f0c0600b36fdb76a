"""Rows with planted defects, the ground truth of the quality benchmark. The same seed always gives the same rows.

500 rows of a support desk: 380 in order, many of them traps (questions that differ in one word and rightly have other
answers, order numbers that look like telephone numbers, answers without a full stop, translations that were asked
for), and 20 each of six defects. The detectors are not consulted and their thresholds not known here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from studio.records import Example, Turn
from studio.rows import Flag

EACH = 20
ROWS = 500
CONTEXT_TOKENS = 512
KINDS = ("near-duplicate", "contradiction", "pii", "truncated", "too-long", "language")
STOPS = ".!?。！？"
NO_STOP = 0.06
"""Share of rows in order whose last full stop was forgotten."""

Edit = Callable[[str, random.Random], str]


@dataclass(frozen=True)
class Topic:
    """One kind of question, asked of many things. `|` parts wordings; `{x}` is the thing, `{v}` the fact."""

    questions: str
    answers: str
    things: tuple[str, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """The words of one language."""

    language: str
    topics: tuple[Topic, ...]
    singles: tuple[tuple[str, str], ...]
    personal: tuple[str, ...]
    foreign: tuple[str, ...]
    edits: tuple[Edit, ...]
    tails: tuple[str, ...]
    openers: tuple[str, ...]
    space: str
    """What stands between two sentences."""


@dataclass(frozen=True)
class Case:
    """One thing of one topic with its true fact."""

    topic: Topic
    thing: str
    fact: str

    def question(self, wording: int) -> str:
        return self.topic.questions.split("|")[wording % 3].format(x=self.thing)

    def answer(self, wording: int, fact: str = "") -> str:
        return self.topic.answers.split("|")[wording % 2].format(x=self.thing, v=fact or self.fact)


@dataclass
class Planted:
    """The rows, and which of them have which defect; for pairs, the row each was made from."""

    language: str
    rows: list[Example] = field(default_factory=list)
    defects: dict[str, dict[str, str | None]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    cases: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each row made from a topic, what is asked of which thing."""

    def is_right(self, flag: Flag, kind: str) -> bool:
        """Whether a flag of this kind points at a planted row; one of a pair must lead to a row of the same case."""
        planted = self.defects[kind]
        if kind not in ("near-duplicate", "contradiction"):
            return flag.example_id in planted
        if flag.other_id is None or not {flag.example_id, flag.other_id} & planted.keys():
            return False
        if kind == "near-duplicate":
            return flag.other_id == planted.get(flag.example_id) or flag.example_id == planted.get(flag.other_id)
        return self.cases[flag.example_id] == self.cases[flag.other_id]

    def about(self, case: Case, question: str, answer: str, kind: str = "", other: str | None = None) -> str:
        """Add a row made from a topic."""
        name = self.add(question, answer, kind, other)
        self.cases[name] = (case.topic.questions, case.thing)
        return name

    def add(self, question: str, answer: str, kind: str = "", other: str | None = None) -> str:
        name = f"row{len(self.rows):04d}"
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        turn = Turn("user", question)
        self.rows.append(Example(name, "planted", 1, "approved", (turn,), answer, source="import", created_at=moment))
        if kind:
            self.defects[kind][name] = other
        return name


def count_tokens(example: Example) -> int:
    """A stand-in for a tokenizer: a token every four bytes, about what such vocabularies give."""
    return sum(len(turn.content.encode()) // 4 + 4 for turn in example.turns)


def make(material: Material, seed: int) -> Planted:
    """500 rows, shuffled; ids tell nothing."""
    rng = random.Random(seed)
    made = Planted(material.language)
    cases = [Case(t, x, rng.choice(t.facts)) for t in material.topics for x in t.things]
    rng.shuffle(cases)
    spare = iter(cases)
    defective = [next(spare) for _ in range(4 * EACH)]
    in_order = _in_order(made, material, list(spare), rng)
    copied = rng.sample(in_order, 2 * EACH)
    _near_duplicates(made, material, copied[:EACH], rng)
    _contradictions(made, material, copied[EACH:], rng)
    _personal(made, material, defective[:EACH], rng)
    _truncated(made, material, defective[EACH : 2 * EACH], rng)
    _too_long(made, material, defective[2 * EACH : 3 * EACH], cases, rng)
    for case, foreign in zip(defective[3 * EACH :], rng.sample(material.foreign, EACH), strict=True):
        made.about(case, case.question(rng.randrange(3)), foreign, "language")
    return _shuffled(made, rng)


def _in_order(made: Planted, material: Material, cases: list[Case], rng: random.Random) -> list[tuple[Case, int, str]]:
    """The rows without a defect; returns case, wording and id of those that can be copied."""
    for question, answer in material.singles:
        made.add(question, answer)
    for number in range(10):
        log = "".join(_pasted(material, cases, rng, 0.75))
        made.add(f"{material.openers[number % len(material.openers)]}{log}", cases[number].answer(0))
    wanted = ROWS - len(KINDS) * EACH
    found = []
    for case in cases[:wanted]:
        if len(made.rows) >= wanted:
            break
        wording = rng.randrange(3)
        name = made.about(case, case.question(wording), _stop(case.answer(rng.randrange(2)), rng))
        found.append((case, wording, name))
    # The same question in other words with the same fact in other words: neither duplicate nor contradiction.
    again = [(case, wording + step) for step in (1, 2) for case, wording, _ in found]
    for case, wording in again[: wanted - len(made.rows)]:
        made.about(case, case.question(wording), _stop(case.answer(rng.randrange(2)), rng))
    return found


def _stop(answer: str, rng: random.Random) -> str:
    return answer.rstrip(".。") if rng.random() < NO_STOP else answer


def _by_id(made: Planted, name: str) -> Example:
    return next(row for row in made.rows if row.id == name)


def _edited(text: str, edits: tuple[Edit, ...], rng: random.Random) -> str:
    """The text as somebody else would have typed it: one to three small edits, sometimes a slip of the finger."""
    before = text
    while text == before:
        for edit in rng.sample(edits, rng.randint(1, 3)):
            text = edit(text, rng)
        if rng.random() < 0.4:
            at = rng.choice([i for i in range(len(text) - 1) if text[i : i + 2].isalpha()])
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text


def _near_duplicates(made: Planted, material: Material, of: list[tuple[Case, int, str]], rng: random.Random) -> None:
    for case, _, name in of:
        row = _by_id(made, name)
        answer = row.answer
        if rng.random() < 0.4:
            answer += material.space + rng.choice(material.tails)
        elif rng.random() < 0.4:
            at = rng.randrange(3, len(answer) - 3)
            answer = answer[:at] + answer[at + 1 :] if answer[at].isalpha() else answer
        made.about(case, _edited(row.question, material.edits, rng), answer, "near-duplicate", name)


def _contradictions(made: Planted, material: Material, of: list[tuple[Case, int, str]], rng: random.Random) -> None:
    """Another fact to the same question: 14 asked in nearly the same words, 6 in other words."""
    for number, (case, wording, name) in enumerate(of):
        fact = rng.choice([f for f in case.topic.facts if f != case.fact])
        if number < EACH * 7 // 10:
            question = _edited(case.question(wording), material.edits, rng)
        else:
            question = case.question(wording + 2)
        made.about(case, question, case.answer(rng.randrange(2), fact), "contradiction", name)


def _personal(made: Planted, material: Material, cases: list[Case], rng: random.Random) -> None:
    for number, case in enumerate(cases):
        sentence = material.personal[number % len(material.personal)].format_map(_Identity(material.language, rng))
        question, answer = case.question(rng.randrange(3)), case.answer(rng.randrange(2))
        if rng.random() < 0.5:
            question += material.space + sentence
        else:
            answer += material.space + sentence
        made.about(case, question, answer, "pii")


def _truncated(made: Planted, material: Material, cases: list[Case], rng: random.Random) -> None:
    """14 answers cut within a sentence, at a word's end or in a word; 2 each cut in a list, in brackets, in code."""
    for number, case in enumerate(cases):
        answer = case.answer(0)
        if number >= 18:
            answer += f'\n\n```json\n{{\n  "item": "{case.thing}",\n  "state": '
        elif number >= 16:
            answer += f"{material.space}({case.question(0)[: rng.randint(8, 14)]}"
        elif number >= 14:
            answer += "\n\n1. " + case.question(0).rstrip("?") + ".\n2. " + case.thing + ".\n3."
        else:
            answer = _cut(answer, rng)
        made.about(case, case.question(rng.randrange(3)), answer, "truncated")


def _cut(answer: str, rng: random.Random) -> str:
    while True:
        cut = answer[: int(len(answer) * rng.uniform(0.4, 0.92))]
        if " " in cut and rng.random() < 0.5:
            cut = cut.rsplit(" ", 1)[0]
        cut = cut.rstrip()
        if cut[-1] not in STOPS and answer[len(cut)] not in STOPS:
            return cut


def _pasted(material: Material, cases: list[Case], rng: random.Random, fill: float) -> Iterator[str]:
    """Text of about `fill` times the context: lines of a log, or sentences of an agreement."""
    size, is_log = 0, rng.random() < 0.5
    while size < fill * CONTEXT_TOKENS * 4:
        case = rng.choice(cases)
        line = case.answer(rng.randrange(2), rng.choice(case.topic.facts)) + material.space
        if is_log:
            line = f"\n[{rng.randrange(24):02d}:{rng.randrange(60):02d}] {case.thing}: {rng.randrange(16**6):06x}"
        size += len(line.encode())
        yield line


def _too_long(made: Planted, material: Material, cases: list[Case], every: list[Case], rng: random.Random) -> None:
    for number, case in enumerate(cases):
        long = rng.choice(material.openers) + "".join(_pasted(material, every, rng, rng.uniform(1.05, 3)))
        if number % 2:
            made.about(case, f"{case.question(0)}{material.space}{long}", case.answer(0), "too-long")
        else:
            made.about(case, case.question(0), f"{case.answer(0)}{material.space}{long.rstrip()}".rstrip(), "too-long")


def _shuffled(made: Planted, rng: random.Random) -> Planted:
    rng.shuffle(made.rows)
    return made


class _Identity(dict[str, str]):
    """Invented identities, formed as real ones are, check digits included."""

    def __init__(self, language: str, rng: random.Random) -> None:
        super().__init__()
        self.language, self.rng = language, rng

    def __missing__(self, key: str) -> str:
        return str(getattr(self, key)())

    def digits(self, count: int) -> str:
        return "".join(str(self.rng.randrange(10)) for _ in range(count))

    def email(self) -> str:
        name = self.rng.choice(("jane.doe", "t.okafor", "m_lindqvist", "suzuki.ichiro", "k.tanaka88", "bo+shop"))
        return f"{name}@{self.rng.choice(('mailbox.org', 'gmail.com', 'example.co.jp', 'web.de'))}"

    def phone(self) -> str:
        d = self.digits
        if self.language == "ja":
            shapes = (f"090-{d(4)}-{d(4)}", f"080{d(8)}", f"03-3{d(3)}-{d(4)}", f"+81 90 {d(4)} {d(4)}")
        else:
            shapes = (f"+44 7911 1{d(5)}", f"(212) 555-01{d(2)}", f"+49 30 9{d(7)}", "020 7946 0" + d(3))
        return self.rng.choice(shapes)

    def card(self) -> str:
        body = self.rng.choice(("4539", "5212", "4716")) + self.digits(11)
        doubled = [int(c) * (2 - i % 2) for i, c in enumerate(body)]
        number = body + str(-sum(n - 9 if n > 9 else n for n in doubled) % 10)
        return self.rng.choice((number, " ".join(number[i : i + 4] for i in range(0, 16, 4))))

    def iban(self) -> str:
        account = self.digits(18)
        check = 98 - int(account + "131400") % 97
        return f"DE{check:02d} " + " ".join(account[i : i + 4] for i in range(0, 18, 4))

    def ssn(self) -> str:
        return f"{self.rng.randint(101, 665)}-{self.rng.randint(10, 99)}-{self.rng.randint(1000, 9999)}"

    def ip(self) -> str:
        return f"{self.rng.choice((81, 93, 185))}.{self.rng.randint(1, 250)}.{self.rng.randint(1, 250)}.7"

    def my_number(self) -> str:
        body = self.digits(11)
        weights = [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]
        rest = sum(int(c) * w for c, w in zip(body, weights, strict=True)) % 11
        return body + str(0 if rest <= 1 else 11 - rest)

    def address(self) -> str:
        place = self.rng.choice(("東京都千代田区神田三崎町", "大阪府大阪市北区梅田", "北海道札幌市中央区大通西"))
        return f"〒{self.digits(3)}-{self.digits(4)} {place}{self.rng.randint(1, 9)}-{self.rng.randint(1, 30)}-2"
