"""Rewording by a language model: the prompts, and what is kept of its answers.

A small model copies, answers instead of asking, or wanders off. What it writes is kept only if nothing speaks against
it: `fault` says what does.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection
from typing import Literal

from studio.lexicon import Language
from studio.records import Turn, normalise
from studio.segmentation import Segment, common_english, segments, stem

Fault = Literal["empty", "copy", "language", "length", "answer", "fixed", "meaning"]

LEAST_SIMILAR = 0.2
"""Least share of pairs of neighbouring letters in common (Dice); below it the text is about something else."""
MOST_SIMILAR = 0.95
"""Above it nothing is gained: a letter or a comma was changed."""
KEPT_WORDS = 0.66
"""Least share of the question's topic words that come back, themselves or as synonyms."""
NEW_WORDS = 0.34
"""Most topic words of the rewording that the question doesn't have, as a share."""

_SHOTS: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (
        ("What time does the museum close?", "When does the museum shut its doors?"),
        ("I lost my ticket.", "My ticket is gone."),
        ("Can I pay by card?", "Is it possible to pay by card?"),
        ("How do I change my seat?", "What do I have to do to change my seat?"),
        ("Is there a discount for students?", "Do students get a discount?"),
        ("How much is a coffee?", "What does a coffee cost?"),
        ("Do you sell maps?", "Are maps for sale here?"),
        ("Where is the cloakroom?", "Can you tell me where the cloakroom is?"),
    ),
    "ja": (
        ("受付は何時までですか。", "受付の終了時間を教えてください。"),
        ("席を変えたいです。", "席の変更はできますか。"),
        ("学生割引はありますか。", "学生の割引について教えてください。"),
        ("地図はどこで買えますか。", "地図を買いたいのですが、どこにありますか。"),
        ("切符をなくしました。", "切符が見つかりません。"),
        ("コーヒーはいくらですか。", "コーヒーの値段を知りたいです。"),
    ),
}
_ASK: dict[Language, tuple[str, str]] = {
    "en": ("You rewrite questions in other words. Keep the meaning.", "Say in other words: "),
    "ja": ("質問を別の言い方に書き換えます。意味は変えません。", "言い換え: "),
}
_TRANSLATIONS: tuple[tuple[str, str, str], ...] = (
    ("What time does the museum close?", "À quelle heure ferme le musée ?", "美術館は何時に閉まりますか。"),
    ("I lost my ticket.", "J'ai perdu mon billet.", "切符をなくしました。"),
    ("Can I pay by card?", "Puis-je payer par carte ?", "カードで払えますか。"),
    ("Do you sell maps?", "Vendez-vous des plans ?", "地図は売っていますか。"),
    ("How much is a coffee?", "Combien coûte un café ?", "コーヒーはいくらですか。"),
)
_COLUMN = {"English": 0, "French": 1, "Japanese": 2}
TONGUES: dict[Language, tuple[str, str]] = {"en": ("English", "French"), "ja": ("Japanese", "English")}
"""A question's language, and the one it takes the detour through."""


def paraphrase_prompt(question: str, language: Language, rng: random.Random) -> list[Turn]:
    """Three examples drawn by chance, then the question: other examples give another rewording."""
    system, ask = _ASK[language]
    turns = [Turn("system", system)]
    for before, after in rng.sample(_SHOTS[language], 3):
        turns += [Turn("user", ask + before), Turn("assistant", after)]
    return [*turns, Turn("user", ask + question)]


def translation_prompt(text: str, source: str, target: str, rng: random.Random) -> list[Turn]:
    """Three examples of translations from `source` into `target` (their English names), then the text."""
    turns = [Turn("system", f"You translate {source} into {target}.")]
    for row in rng.sample(_TRANSLATIONS, 3):
        turns += [Turn("user", row[_COLUMN[source]]), Turn("assistant", row[_COLUMN[target]])]
    return [*turns, Turn("user", text)]


def cleaned(text: str) -> str:
    """The rewording itself: the first line, without quotation marks and labels around it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(
        r"^(?:[\w ]{0,30}in other words|reworded|rewritten|question|言い換え|質問)\s*[:：]\s*",
        "",
        line,
        flags=re.IGNORECASE,
    )
    if len(line) > 2 and (line[0], line[-1]) in (('"', '"'), ("“", "”"), ("「", "」"), ("'", "'")):
        line = line[1:-1].strip()
    return line


def fault(question: str, text: str, answer: str, language: Language, taken: Collection[str] = ()) -> Fault | None:
    """What speaks against `text` as a rewording of `question`; None if nothing does.

    `answer`: the row's, to tell when it was given instead. `taken`: rewordings there are already, as `bare` makes them.
    """
    if not text.strip() or "\ufffd" in text:
        return "empty"
    likeness = similarity(question, text)
    if bare(question) in bare(text) or bare(text) in taken or likeness > MOST_SIMILAR:
        return "copy"
    if not 0.4 * len(question) <= len(text) <= 2.0 * len(question) + 15:
        return "length"
    before, after = segments(question, language), segments(text, language)
    if not _same_language(before, after, text, language):
        return "language"
    if _is_answer(question, text, language) or similarity(answer, text) > likeness:
        return "answer"
    if not _same_facts(before, after):
        return "fixed"
    return "meaning" if likeness < LEAST_SIMILAR or not _same_topic(before, after) else None


def bare(text: str) -> str:
    """Letters and digits only, in one case: two texts alike in these are copies."""
    return "".join(c for c in normalise(text).casefold() if c.isalnum())


def similarity(one: str, other: str) -> float:
    """Dice coefficient over pairs of neighbouring letters: 0 nothing in common, 1 the same."""
    pairs = [Counter(t[i : i + 2] for i in range(len(t) - 1)) for t in (bare(one), bare(other))]
    total = sum(pairs[0].values()) + sum(pairs[1].values())
    return 2 * (pairs[0] & pairs[1]).total() / total if total else 0.0


def _same_language(before: list[Segment], after: list[Segment], text: str, language: Language) -> bool:
    words = [s.key for s in after if s.is_word and not any(c.isdigit() for c in s.key)]
    known = {s.key for s in before if s.is_word}
    if language == "ja":
        return bool(re.search(r"[ぁ-ゖァ-ヺ]", text)) and all(w in known for w in words if re.search(r"[A-Za-zÀ-ɏ]", w))
    if re.search(r"[^\W\d_]", re.sub(r"[A-Za-z]", "", text)) and any(not w.isascii() and w not in known for w in words):
        return False
    stems = {stem(w) for w in known}
    return sum(w in known or stem(w) in stems or common_english(w) for w in words) >= 0.6 * len(words)


def _is_answer(question: str, text: str, language: Language) -> bool:
    if language == "ja":
        asks = re.compile(r"(?:か|か?[?？]|ください|下さい|たい(?:です)?|たいのですが|教えて)[。.]?\s*$")
        if "たい" in question and re.search(r"(?<!教え)て(?:ください|下さい)", text):
            return True  # what the asker wants to do became what the other one is told to do
        return bool(re.match(r"はい|いいえ", text)) or (bool(asks.search(question)) and not asks.search(text))
    if re.match(r"(?:yes|no|sure|sorry|of course|i'm sorry)\b", text, re.IGNORECASE):
        return True
    if question.rstrip().endswith("?"):
        return not text.rstrip().endswith("?")
    # "I need an invoice." may become "Can you send me an invoice?", but not "How can I help you?".
    return text.rstrip().endswith("?") and not re.search(r"\b(?:my|me|i)\b", text, re.IGNORECASE)


def _same_facts(before: list[Segment], after: list[Segment]) -> bool:
    """Whether no number, name or the like was lost or brought in, nothing negated, and the same kind of thing is asked
    for."""
    old, new = [s for s in before if s.is_word], [s for s in after if s.is_word]
    old_keys, new_keys = {s.key for s in old}, {s.key for s in new}
    # The first word has a capital whatever it is.
    lost = {s.key for s in old if s.is_name} - new_keys
    brought = {s.key for s in new[1:] if s.is_name} - old_keys
    asked = [{_ASKED[key] for key in keys if key in _ASKED} for keys in (old_keys, new_keys)]
    is_negated = [any(s.is_negation for s in words) for words in (old, new)]
    # "Can I bring your dog?" is said by someone else; "What can I buy with a card?" is not answered by yes or no.
    is_turned = bool(old_keys & {"my", "mine"}) and bool((new_keys - old_keys) & {"your", "yours"})
    is_opened = old[:1] != [] and old[0].key in _YES_NO and new[:1] != [] and new[0].key.split("'")[0] in _OPEN
    same_claims = asked[0] == asked[1] and is_negated[0] == is_negated[1]
    return same_claims and not (lost or brought or is_turned or is_opened)


_YES_NO = frozenset("do does did is are am was were can could will would may must should have has".split())
_OPEN = frozenset("what which who why whose".split())
_ASKED = {
    **dict.fromkeys(("when", "time", "いつ", "何時"), "time"),
    **dict.fromkeys(("where", "どこ", "何処"), "place"),
    **dict.fromkeys(("who", "誰"), "person"),
    **dict.fromkeys(("why", "なぜ", "何故"), "reason"),
    **dict.fromkeys(("いくら", "幾ら", "料金", "値段"), "price"),
}


def _same_topic(before: list[Segment], after: list[Segment]) -> bool:
    wanted, new = _topic(before), _topic(after)
    if not wanted:
        return True
    there = {stem(s.key) for s in after if s.is_word}
    kept = sum(1 for word, others in wanted.items() if there & {word, *others})
    known = {stem(s.key) for s in before if s.is_word} | {o for others in wanted.values() for o in others}
    fresh = sum(1 for word in new if word not in known)
    return kept >= KEPT_WORDS * len(wanted) and fresh <= NEW_WORDS * max(1, len(new))


def _topic(parts: list[Segment]) -> dict[str, set[str]]:
    """The words a question is about, each with its synonyms, as stems."""
    return {stem(s.key): {stem(o.casefold()) for o in s.synonyms} for s in parts if s.is_word and not s.is_small}
