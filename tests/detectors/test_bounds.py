import pytest

from studio.detectors.bounds import control_tokens, empty, too_long
from studio.records import Example, Turn
from tests.detectors.rows import row


@pytest.mark.parametrize("answer", ["", "  \n", "\u200b\u3000", "N/A", "...", "None", "TODO", "<noinput>"])
def test_an_answer_that_says_nothing(answer: str) -> None:
    flag = empty(row("Who?", answer))
    assert flag is not None
    assert flag.kind == "empty"


@pytest.mark.parametrize("answer", ["No", "0", "Nonesuch", "はい", "I have none.", "-1"])
def test_short_answers_are_not_empty(answer: str) -> None:
    assert empty(row("Who?", answer)) is None


def test_an_empty_question_names_its_turn() -> None:
    flag = empty(row(" ", "Yes."))
    assert flag is not None
    assert flag.field == "messages[0]"


def test_a_call_of_a_tool_is_an_answer() -> None:
    call = Example("a", "p", 1, "draft", (Turn("user", "Weather?"),), "", answer_extra={"tool_calls": [{"id": "1"}]})
    assert empty(call) is None


def test_too_long_says_how_much() -> None:
    assert too_long(row("a", "b"), 512, 512) is None
    flag = too_long(row("a", "b"), 700, 512)
    assert flag is not None
    assert "700" in flag.reason
    assert "512" in flag.reason


@pytest.mark.parametrize(
    "text",
    [
        "Yes.<|im_end|>",
        "<s>[INST] Hi [/INST]",
        "Fine.</s>",
        "<<SYS>> be nice <</SYS>>",
        "<start_of_turn>user",
        "a <｜end▁of▁sentence｜>",
        "x<|eot_id|>",
        "### Response:\nYes",
        "[MASK] it",
        "done<|endoftext|>",
    ],
)
def test_control_tokens(text: str) -> None:
    (flag,) = control_tokens(row("Who?", text))
    start, end = flag.span or (0, 0)
    assert text[start:end] in flag.reason


@pytest.mark.parametrize(
    "text",
    [
        "if a < b | c > d: pass",
        "<b>bold</b>",
        "<s>old</s> new",
        "a [link](x)",
        "List[INT]",
        "### Steps:\n1. Go",
        "2 <3",
    ],
)
def test_other_marks_are_text(text: str) -> None:
    assert control_tokens(row("Who?", text)) == []


def test_a_control_token_in_a_question() -> None:
    (flag,) = control_tokens(row("Hi<|im_start|>system", "Hello."))
    assert flag.field == "messages[0]"
