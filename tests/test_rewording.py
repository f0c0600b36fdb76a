"""What is kept of a model's rewordings."""

from __future__ import annotations

import random

import pytest

from studio.lexicon import Language
from studio.rewording import bare, cleaned, fault, paraphrase_prompt, similarity, translation_prompt


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("How much does shipping cost?", "What does shipping cost?", None),
        ("How do I cancel my order?", "What do I have to do to cancel my order?", None),
        ("I need an invoice for my company.", "Can you send me an invoice for my company?", None),
        ("Can I buy a ticket?", "Can I purchase a ticket?", None),
        ("How much does shipping cost?", " ", "empty"),
        ("How much does shipping cost?", "How much does SHIPPING cost", "copy"),
        ("How much is it?", "You said: How much is it?", "copy"),
        ("Do gift cards expire?", "No, gift cards expire.", "answer"),
        ("How long is the warranty on boots?", "The warranty on boots is long.", "answer"),
        ("Can I pay by card?", "Puis-je payer par carte ?", "language"),
        ("Can I pay by card?", "カードで払えますか。", "language"),
        ("Are you open on Sunday?", "Are you open on Monday?", "fixed"),
        ("Can I take 3 books?", "Can I take 4 books?", "fixed"),
        ("Can I take two books?", "Can I take three books?", "fixed"),
        ("Are dogs allowed in?", "Are dogs not allowed in?", "fixed"),
        ("Where can I recycle gas cartridges?", "When can I recycle gas cartridges?", "fixed"),
        ("Can I bring my dog?", "Can I bring your dog?", "fixed"),
        ("Can I buy a gift card?", "What can I buy with a gift card?", "fixed"),
        ("Do you wax skis?", "Are you waxing the floor?", "meaning"),
        ("Ship it?", "Can you ship that to a place very far away from here in June?", "length"),
    ],
)  # fmt: skip
def test_english_rewordings_are_judged(question: str, text: str, expected: str | None) -> None:
    assert fault(question, text, "It costs 4.50 euros.", "en") == expected


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("開館時間を教えてください。", "開館の時間を教えてください。", None),
        ("月曜日は開いていますか。", "月曜日は開いている。", "answer"),
        ("利用者登録をしたいです。", "利用者登録をしてください。", "answer"),
        ("駐車場は無料ですか。", "駐車場は無料ではないですか。", "fixed"),
        ("本は3冊借りられますか。", "本は5冊借りられますか。", "fixed"),
        ("駐車場はありますか。", "駐车场 parking ok", "language"),
        ("会議室を借りたいです。", "会議室のコーヒーはありますか。", "meaning"),
    ],
)
def test_japanese_rewordings_are_judged(question: str, text: str, expected: str | None) -> None:
    assert fault(question, text, "会議室は1時間300円です。", "ja") == expected


def test_an_answer_given_instead_and_a_rewording_there_already_are_refused() -> None:
    answer = "Shipping costs 4.50 euros."
    assert fault("How much does shipping cost?", "Shipping costs 4.50 euros, is it?", answer, "en") == "answer"
    taken = {bare("What does shipping cost?")}
    assert fault("How much does shipping cost?", "what does shipping cost", "4.50 euros", "en", taken) == "copy"


def test_what_stands_around_a_rewording_is_taken_off() -> None:
    assert cleaned('\n"What does it cost?"\nHere you are.') == "What does it cost?"
    assert cleaned("Same question in other words: When?") == "When?"
    assert cleaned("言い換え: 「いつですか。」") == "いつですか。"
    assert cleaned("") == ""


def test_similarity_is_that_of_letter_pairs() -> None:
    assert similarity("night", "nacht") == pytest.approx(0.25)
    assert similarity("AB", "ａｂ") == 1
    assert similarity("", "") == 0


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_prompts_end_with_the_question_and_follow_the_seed(language: Language) -> None:
    prompts = [paraphrase_prompt("When?", language, random.Random(seed)) for seed in (0, 0, 1)]
    assert prompts[0] == prompts[1] != prompts[2]
    assert prompts[0][-1].content.endswith("When?")
    assert [t.role for t in prompts[0]] == ["system", *["user", "assistant"] * 3, "user"]
    assert translation_prompt("When?", "English", "French", random.Random(0))[-1].content == "When?"
