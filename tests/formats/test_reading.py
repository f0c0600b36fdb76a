"""Files of other tools: what is recognised, how rows read, and what is said of bad ones."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio import formats
from studio.errors import ImportRejected, InvalidInput
from studio.formats import Draft, Shape, containers, json_list
from studio.records import Turn
from tests.formats.conftest import TOOLS, example

USER, SAID = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}
HUMAN, GPT = {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}
QA: Any = "prompt-completion"
ALPACA: dict[str, Any] = {"instruction": "Q", "input": "", "output": "A"}


def one(tmp_path: Path, row: object, name: str = "rows.jsonl") -> Draft | str:
    """The only row of a file."""
    path = tmp_path / name
    text = json.dumps(row) if name.endswith("l") else json.dumps([row])
    path.write_text(text, encoding="utf-8")
    [(number, draft)] = formats.read(path)
    assert number == 1
    return draft


def draft(tmp_path: Path, row: object) -> Draft:
    read = one(tmp_path, row)
    assert isinstance(read, Draft), read
    return read


# Shapes


@pytest.mark.parametrize(
    ("row", "shape", "rejected"),
    [
        (ALPACA, "alpaca", None),
        ({"instruction": "Q", "input": "", "chosen": "A", "rejected": "B"}, "alpaca", "B"),
        ({"conversations": [HUMAN, GPT]}, "sharegpt", None),
        ({"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt", "value": "B"}}, "sharegpt", "B"),
        ({"conversations": [USER, SAID]}, "sharegpt", None),
        ({"messages": [USER, SAID]}, "messages", None),
        ({"messages": [USER], "chosen": SAID, "rejected": {**SAID, "content": "B"}}, "messages", "B"),
        ({"messages": [USER, SAID], "rejected_answer": "B"}, "messages", "B"),
        ({"prompt": "Q", "completion": "A"}, "prompt-completion", None),
        ({"prompt": [USER], "completion": [SAID]}, "prompt-completion", None),
        ({"prompt": json.dumps([USER]), "completion": json.dumps([SAID])}, "prompt-completion", None),
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, "dpo", "B"),
        ({"prompt": [USER], "chosen": [SAID], "rejected": [{**SAID, "content": "B"}]}, "dpo", "B"),
        ({"prompt": "Q", "chosen": [USER, SAID], "rejected": [USER, {**SAID, "content": "B"}]}, "dpo", "B"),
        ({"question": "Q", "chosen": "A", "rejected": "B"}, "dpo", "B"),
        ({"chosen": [USER, SAID], "rejected": [USER, {**SAID, "content": "B"}]}, "preference", "B"),
        ({"chosen": "Q A", "rejected": "Q B"}, "preference", " B"),
        (
            {"input": {"messages": [USER]}, "preferred_output": [SAID],
             "non_preferred_output": [{**SAID, "content": "B"}]},
            "openai-preference", "B",
        ),
    ],
)  # fmt: skip
def test_shapes(tmp_path: Path, row: dict[str, Any], shape: str, rejected: str | None) -> None:
    read = draft(tmp_path, {**row, "topic": {"name": "x"}})
    kept = {"topic": {"name": "x"}}
    if shape == "dpo" and isinstance(row["chosen"], list) and len(row["chosen"]) > 1:
        kept["prompt"] = "Q"  # the conversation is whole without it
    assert ([t.role for t in read.messages], read.messages[-1].content) == (["user"], "Q")
    assert (read.answer.strip(), read.rejected, read.extra) == ("A", rejected, kept)
    assert read.learn_answer
    preview = formats.recognise(tmp_path / "rows.jsonl")
    assert preview.shape is not None
    assert (preview.container, preview.shape.name, preview.is_sure, preview.shapes) == (
        "jsonl",
        shape,
        True,
        {shape: 1},
    )
    assert preview.rows == ((1, read),)
    assert [*formats.read(tmp_path / "rows.jsonl", preview.shape)] == [(1, read)]


@pytest.mark.parametrize(
    "row", [{"prompt": "Q", "completion": "A", "label": False}, {"prompt": "Q", "completion": "A", "label": 0},
            {"prompt": "Q", "completion": "A", "kto_tag": False}, {**ALPACA, "kto_tag": False},
            {"conversations": [HUMAN, GPT], "kto_tag": False}],
)  # fmt: skip
def test_a_thumb_down_is_a_rejected_row(tmp_path: Path, row: dict[str, Any]) -> None:
    read = draft(tmp_path, row)
    assert (read.answer, read.status, read.extra) == ("A", "rejected", {})
    tag = "label" if "label" in row else "kto_tag"
    up = draft(tmp_path, {**row, tag: True})
    assert (up.answer, up.status, up.extra) == ("A", None, {})


def test_a_label_that_is_no_thumb_is_kept(tmp_path: Path) -> None:
    read = draft(tmp_path, {"prompt": "Q", "completion": "A", "label": "spam"})
    assert (read.status, read.extra) == (None, {"label": "spam"})


def test_thumbs_of_a_table_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"prompt": ["Q", "R"], "completion": ["A", "B"], "label": [0, 1]}), path)
    assert [d.status for _, d in formats.read(path) if isinstance(d, Draft)] == ["rejected", None]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ({}, "`label` is missing"),
        ({"label": None}, "`label` is missing"),
        ({"label": "spam"}, "`label` is 'spam'; it must be true or false"),
        ({"label": 2}, "`label` is 2; it must be true or false"),
    ],
)
def test_a_row_of_thumbs_needs_one(tmp_path: Path, label: dict[str, Any], reason: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "Q", "completion": "A", **label}), encoding="utf-8")
    assert [said for _, said in formats.read(path, Shape("kto"))] == [reason]


def test_a_thumb_counts_also_where_the_shape_was_chosen(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"conversations": [HUMAN, GPT]}, {"conversations": [HUMAN, GPT], "kto_tag": False}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [d.status for _, d in formats.read(path, Shape("sharegpt")) if isinstance(d, Draft)] == [None, "rejected"]
    assert formats.recognise(path, Shape("sharegpt")).shape == Shape("sharegpt", {"label": "kto_tag"})


def test_alpaca_without_an_instruction_asks_its_input(tmp_path: Path) -> None:
    row = {"instruction": " ", "input": "Q", "output": "A"}
    read = draft(tmp_path, row)
    assert (read.messages, read.extra) == ((Turn("user", "Q"),), {"input": "Q"})
    plain = formats.plain_of(row)
    assert plain is not None
    assert plain.turns == [{"role": "user", "content": "Q"}]
    odd = draft(tmp_path, {"instruction": "\n\nQ", "input": "", "output": "A"})
    examples = [read.as_example("p"), replace(odd, extra={"input": "Q"}).as_example("p")]
    formats.write("alpaca", examples, tmp_path / "out.json", plain=True)
    assert [(d.messages[0].content) for _, d in formats.read(tmp_path / "out.json") if isinstance(d, Draft)] == [
        "Q",
        "\n\nQ",
    ]
    assert json.loads((tmp_path / "out.json").read_text())[0] == {**row, "instruction": ""}


def test_alpaca_with_input_system_and_history(tmp_path: Path) -> None:
    row = {**ALPACA, "input": "I", "system": "S", "history": [["q", "a"]], "tools": "[]"}
    read = draft(tmp_path, row)
    assert read.messages == (
        Turn("system", "S"), Turn("user", "q"), Turn("assistant", "a", True), Turn("user", "Q\n\nI"),
    )  # fmt: skip
    assert (read.answer, read.extra) == ("A", {"input": "I"})


def test_sharegpt_with_system_tools_and_calls(tmp_path: Path) -> None:
    calls = {"from": "function_call", "value": '{"name": "hours", "arguments": {"day": "Mon"}}'}
    row = {
        "system": "S",
        "tools": json.dumps(TOOLS),
        "conversations": [HUMAN, calls, {"from": "observation", "value": "nine"}, GPT],
    }
    read = draft(tmp_path, row)
    function = {"name": "hours", "arguments": '{"day":"Mon"}'}
    assert read.messages == (
        Turn("system", "S"), Turn("user", "Q"),
        Turn("assistant", "", True, {"tool_calls": [{"type": "function", "function": function}]}),
        Turn("tool", "nine"),
    )  # fmt: skip
    assert (read.answer, read.extra) == ("A", {"tools": TOOLS})


def test_openai_with_parts_weights_and_calls(tmp_path: Path) -> None:
    parts = [
        {"type": "text", "text": "When"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "?"},
    ]
    call = {"id": "c", "type": "function", "function": {"name": "hours", "arguments": "{}"}}
    row = {
        "messages": [
            {"role": "developer", "content": "S"},
            {"role": "user", "content": parts, "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0, "refusal": None},
            {"role": "tool", "content": "nine", "tool_call_id": "c"},
            {"role": "assistant", "content": "At nine.", "weight": 1},
            USER,
            {**SAID, "weight": 0},
        ],
        "tools": TOOLS,
    }
    read = draft(tmp_path, row)
    assert read.messages == (
        Turn("system", "S"), Turn("user", "When?", extra={"name": "ann", "content": parts}),
        Turn("assistant", "", False, {"tool_calls": [call]}), Turn("tool", "nine", extra={"tool_call_id": "c"}),
        Turn("assistant", "At nine.", True), Turn("user", "Q"),
    )  # fmt: skip
    assert (read.answer, read.learn_answer, read.extra) == ("A", False, {"tools": TOOLS})


def test_answers_in_a_prompt_are_not_learned_elsewhere_either(tmp_path: Path) -> None:
    read = draft(tmp_path, {"prompt": [USER, SAID, USER], "completion": [SAID]})
    assert [t.learn for t in read.turns] == [False, False, False, True]


def test_columns_under_other_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('question,ANSWER,labels,prompt\n"Q, ""x""",A,"a, b",kept\n')
    preview = formats.recognise(path)
    assert (preview.is_sure, preview.columns) == (False, ("question", "ANSWER", "labels", "prompt"))
    shape = Shape("prompt-completion", {"prompt": "question", "completion": "ANSWER", "tags": "labels"})
    [(number, read)] = formats.read(path, shape)
    assert isinstance(read, Draft)
    assert (number, read.messages[-1].content) == (2, 'Q, "x"')
    assert (read.answer, read.tags, read.extra) == ("A", ("a", "b"), {"prompt": "kept"})
    assert formats.recognise(path, shape).rows == ((2, read),)
    [(_, unread)] = formats.read(path)
    assert unread == "needs `messages`, or `instruction` and `output` (found: question, ANSWER, labels, prompt)"


def test_a_guess_for_a_table_of_questions_and_answers(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("質問;回答;点\n何時？;9時。;5\n", encoding="utf-8-sig")
    preview = formats.recognise(path)
    assert preview.shape == Shape("prompt-completion", {"prompt": "質問", "completion": "回答"})
    [(_, read)] = formats.read(path, preview.shape)
    assert isinstance(read, Draft)
    assert (read.messages, read.answer, read.extra) == ((Turn("user", "何時？"),), "9時。", {"点": "5"})


@pytest.mark.parametrize(
    ("row", "shape", "asked"),
    [
        ({"input": "Q", "output": "A"}, Shape(QA, {"prompt": "input", "completion": "output"}), "Q"),
        ({"question": "Q", "output": "A"}, Shape(QA, {"prompt": "question", "completion": "output"}), "Q"),
        ({"instruction": "Q", "input": "I", "response": "A"}, Shape("alpaca", {"output": "response"}), "Q\n\nI"),
    ],
)  # fmt: skip
def test_half_of_alpaca_is_guessed(tmp_path: Path, row: dict[str, str], shape: Shape, asked: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    preview = formats.recognise(path)
    assert (preview.shape, preview.is_sure) == (shape, False)
    [(_, read)] = preview.rows
    assert isinstance(read, Draft)
    assert (read.messages[-1].content, read.answer) == (asked, "A")


@pytest.mark.parametrize(
    ("columns", "name", "fields", "shape", "mapped"),
    [
        ("問題 答え kat", None, "tags=kat", QA, "prompt=問題 completion=答え tags=kat"),
        ("問題 答え", QA, "", QA, "prompt=問題 completion=答え"),
        ("問題 答え gut", None, "label=gut", "kto", "prompt=問題 completion=答え label=gut"),
        ("Frage Antwort", None, "prompt=Frage completion=Antwort", QA, "prompt=Frage completion=Antwort"),
        ("prompt Antwort", None, "completion=Antwort", QA, "completion=Antwort"),
        ("question answer b", None, "prompt=question chosen=answer rejected=b", "dpo",
         "prompt=question chosen=answer rejected=b"),
        ("instruction output x", None, "tags=x", "alpaca", "tags=x"),
        ("question answer x", None, "completion=x", QA, "prompt=question completion=x"),
        ("question answer", None, "tags=answer", QA, "prompt=question tags=answer"),
        ("Frage Antwort", None, "prompt=Frage", None, ""),
    ],
)  # fmt: skip
def test_what_a_person_says_is_laid_over_what_was_found(
    tmp_path: Path, columns: str, name: Any, fields: str, shape: Any, mapped: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(",".join(columns.split()) + "\n" + ",".join("x" for _ in columns.split()), encoding="utf-8")
    preview = formats.recognise(path)
    told = formats.told(preview.shape, preview.columns, name, dict(f.split("=") for f in fields.split()))
    assert told == (Shape(shape, dict(f.split("=") for f in mapped.split())) if shape else None)


def test_a_field_that_is_none() -> None:
    with pytest.raises(InvalidInput, match=r"no field 'promt'\. There are: author, .*prompt"):
        formats.told(None, ("Frage",), None, {"promt": "Frage"})


def test_other_peoples_ids_are_kept_but_not_taken_over(tmp_path: Path) -> None:
    read = draft(tmp_path, {**ALPACA, "id": 7, "status": "done", "tags": ["x"], "studio": "Abbey Road"})
    assert (read.id, read.status, read.tags) == ("", None, ())
    assert read.extra == {"id": 7, "status": "done", "tags": ["x"], "studio": "Abbey Road"}
    theirs = '{"name": "Abbey Road", "version": "stereo"}'
    assert draft(tmp_path, {**ALPACA, "studio": theirs}).extra == {"studio": theirs}


@pytest.mark.parametrize(
    ("marks", "name"),
    [
        ({"learn": 5}, "learn"),
        ({"turns": [1]}, "turns"),
        ({"turns": {"0": {"content": 5}}}, "turns"),
        ({"turns": {"1": {"content": "A", "extra": {"tool_calls": [1]}}}}, "turns"),
        ({"after": []}, "after"),
        ({"after": [{}]}, "after"),
        ({"after": [{"role": "poet", "content": "x"}, SAID]}, "after"),
        ({"version": 1, "group": 5}, "group"),
        ({"part": "rejected"}, "id"),
    ],
)
def test_a_damaged_column_of_ours_is_a_bad_row(tmp_path: Path, marks: dict[str, Any], name: str) -> None:
    said = one(tmp_path, {**ALPACA, "studio": json.dumps(marks)})
    assert said == f"`studio` is damaged: {name} is not as the studio writes it"


# Rows that can't be read


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("text", "not an object"),
        (None, "not an object"),
        ({}, "needs `messages`"),
        ({"question": "Q", "answer": "A"}, "found: question, answer"),
        ({"instruction": "Q"}, "`output` is missing"),
        ({"output": "A"}, "found: output"),
        ({"instruction": " ", "output": "A"}, "`instruction` is empty"),
        ({"instruction": "Q", "output": "\n"}, "`output` is empty"),
        ({"instruction": "Q", "output": 5}, "`output` is not text"),
        ({"instruction": "Q", "output": "A", "input": ["x"]}, "`input` is not text"),
        ({"instruction": "Q", "output": "\ud800"}, "half a character"),
        ({**ALPACA, "history": [["q"]]}, "`history` is not a list of pairs"),
        ({**ALPACA, "history": "no"}, "`history` is not valid JSON"),
        ({"messages": "Hi"}, "not a list"),
        ({"messages": []}, "not a list"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "needs a `role`"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "needs a `role`"),
        ({"messages": ["Hi"]}, "needs a `role`"),
        ({"messages": [USER]}, "last turns must be"),
        ({"messages": [SAID]}, "last turns must be"),
        ({"messages": [USER, {"role": "system", "content": "x"}, USER, SAID]}, "system turn can only come first"),
        ({"messages": [{**USER, "content": None}, SAID]}, "missing"),
        ({"messages": [{**USER, "content": ""}, SAID]}, "question is empty"),
        ({"messages": [USER, {**SAID, "content": " "}]}, "answer is empty"),
        ({"messages": [USER, {**SAID, "tool_calls": [{"name": "f"}]}]}, "a tool call needs a `function`"),
        ({"messages": [{"role": "system", "content": "a"}, USER, SAID], "system": "b"}, "two system texts"),
        ({"conversations": [HUMAN, {"from": "function_call", "value": "f()"}]}, "`function_call` is not valid JSON"),
        ({"conversations": [HUMAN, {"from": "function_call", "value": "[]"}]}, "a function_call needs a `name`"),
        ({"prompt": "Q", "completion": None}, "`completion` is missing"),
        ({"prompt": "Q", "chosen": [SAID], "rejected": [USER, SAID]}, "differ in more than the last answer"),
        ({"chosen": [USER, SAID], "rejected": [SAID, USER]}, "differ in more than the last answer"),
        ({"input": 5, "preferred_output": [], "non_preferred_output": []}, "`input` is not an object"),
    ],
)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_a_bad_row_is_numbered_with_its_reason(tmp_path: Path, row: object, reason: str, name: str) -> None:
    path = tmp_path / name
    rows = [json.dumps(r) for r in (ALPACA, row, ALPACA)]
    path.write_text("\n".join(rows) if name.endswith("l") else f"[{','.join(rows)}]")
    (_, first), (number, said), (_, last) = formats.read(path)
    assert isinstance(first, Draft)
    assert first == last
    assert number == 2
    assert isinstance(said, str)
    assert reason in said


def test_broken_lines_are_numbered_as_in_an_editor(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good, deep = json.dumps(ALPACA), '{"instruction": "Q", "output": "A", "x": ' + "[" * 300 + "]" * 300 + "}"
    lines = [good, "", good[:-5], "[" * 100_000, '{"x": NaN}', '{"x": "a\0"}', deep, "Q\u2028A", good]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    said = [(n, d) for n, d in formats.read(path) if isinstance(d, str)]
    assert said == [
        *((n, "not valid JSON") for n in (3, 4, 5, 6)),
        (7, "holds what can't be saved: recursion limit reached"),
        (8, "not valid JSON"),
    ]


def test_a_line_separator_inside_a_text_is_no_new_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**ALPACA, "output": "9時です。\u2028はい。"}, ensure_ascii=False), encoding="utf-8")
    [(_, read)] = formats.read(path)
    assert isinstance(read, Draft)
    assert read.answer == "9時です。\u2028はい。"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_a_file_in_another_encoding(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = {"rows.jsonl": '{"a": 1}\n"\xff', "rows.json": '[{"a": 1},\n"\xff', "rows.csv": "a,b\n\xff,1"}[name]
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"not UTF-8 text \(line 2\)"):
        list(formats.read(path))


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"", "x.jsonl", "is empty"),
        (b" \n", "x.json", "is empty"),
        (b"\xef\xbb\xbf", "x.csv", "is empty"),
        (b"PK\x03\x04abc", "x.xlsx", "not a JSON, CSV or Parquet file.*spreadsheet as CSV"),
        (b"PAR1 but broken", "x.parquet", "not a Parquet file"),
        (b"a,a\n1,2\n", "x.csv", "two columns named 'a'"),
        (b"a\0,b\n1,2\n", "x.csv", "is not text"),
        (b'"a,b\n1,2\n', "x.csv", "header of x.csv can't be read"),
        (b",".join(b"c%d" % i for i in range(5000)) + b"\n", "x.csv", "5000 columns"),
    ],
)
def test_a_file_that_cant_be_read_at_all(tmp_path: Path, data: bytes, name: str, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=said):
        list(formats.read(path))


def test_no_rows_no_file_and_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[ ]")
    assert list(formats.read(tmp_path / "rows.json")) == []
    with pytest.raises(InvalidInput, match="holds no rows"):
        formats.recognise(tmp_path / "rows.json")
    with pytest.raises(InvalidInput, match="can't be read: No such file"):
        formats.read(tmp_path / "none.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="can't be read: there are no"):
        formats.read(tmp_path / "empty")


def test_ragged_rows_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,completion\nQ,A\nQ\nQ,A,x\n\nQ,"A"x\nQ,"line\r\nbreak, and \'=1"\n', newline="")
    rows = dict(formats.read(path))
    assert rows[3] == "has 1 cells where the header has 2"
    assert rows[4] == "has 3 cells where the header has 2"
    assert str(rows[6]).startswith("not valid CSV"), "a blank row counts"
    assert isinstance(rows[2], Draft)
    assert isinstance(rows[7], Draft)
    assert rows[7].answer == "line\r\nbreak, and '=1"
    path.write_text("\n\nprompt,completion\nQ,A\n", encoding="utf-8")
    assert [number for number, _ in formats.read(path)] == [4]


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,completion\nQ,"A\n' + "x,y\n" * 1000)
    [(number, said)] = formats.read(path)
    assert number == 2
    assert str(said).startswith("not valid CSV")


@pytest.mark.parametrize(
    ("text", "row", "place"),
    [
        ('[{"instruction": "Q", "output": "A"},\n {"instruction": Q}]', 2, "line 2 column 18"),
        ('[{"instruction": "Q", "output": "A"}', 2, "line 1 column 37"),
        ('[{"instruction": "Q", "output": "A"},]', 2, "line 1 column 38"),
        ('[{"instruction": "Q", "output": "A"} {}]', 1, "line 1 column 38"),
        ('[{"instruction": "Q", "output": "A', 1, "line 1 column 33"),
        ('[{"instruction": "Q", "output": "A"}] x', 2, "line 1 column 39"),
        ("[" * 5000, 1, "nested too deeply"),
    ],
)
def test_a_broken_list_names_its_row_and_place(tmp_path: Path, text: str, row: int, place: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(ImportRejected, match=f"broken in row {row}: .*{place}") as caught:
        list(formats.read(path))
    assert [e.row for e in caught.value.rows] == [row]


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_a_list_read_in_pieces_is_the_same_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(json_list, "_CHUNK", chunk)
    rows: list[Any] = [{**ALPACA, "x": '日本\u2028\\"\n語 \u00e9', "n": [1, -2.5e3, None, True, {}]}, 123456, "x", None]
    path = tmp_path / "rows.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(rows, ensure_ascii=False, indent=1).encode())
    assert [row for _, row in containers.raw_rows(path)] == rows
    path.write_text(json.dumps(rows))
    assert [row for _, row in containers.raw_rows(path)] == rows


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_one_giant_row_is_refused_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in (containers, json_list):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 3_000_000)
    path = tmp_path / name
    good, giant = json.dumps(ALPACA), json.dumps({**ALPACA, "output": "x" * 4_000_000})
    if name == "rows.csv":
        path.write_text(f"prompt,completion\nQ,{'x' * 4_000_000}\n")
        with pytest.raises(InvalidInput, match="line 2 longer than"):
            list(formats.read(path))
        return
    path.write_text(f"{good}\n{giant}\n{good}\n" if name == "rows.jsonl" else f"[{good},{giant},{good}]")
    rows = dict(formats.read(path))
    assert [n for n, d in rows.items() if isinstance(d, Draft)] == [1, 3]
    assert "longer than" in str(rows[2])
    if name == "rows.json":
        # Where its end is not in sight, nothing after it can be read either.
        path.write_text(f"[{good},{json.dumps({'output': 'x' * 30_000_000})}]")
        with pytest.raises(ImportRejected, match="row 2: longer than"):
            list(formats.read(path))


# Other containers


def test_parquet_of_any_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "messages": [[{**USER, "tool_calls": None}, {**SAID, "tool_calls": None}]],
            "score": pa.array([0.5], pa.float32()),
            "nan": [float("nan")],
            "when": pa.array([0], pa.timestamp("ms")),
            "raw": [b"\xff"],
            "none": pa.array([None], pa.string()),
            "price": pa.array(["1.50"]).cast(pa.decimal128(5, 2)),
        }
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    preview = formats.recognise(path)
    assert preview.container == "parquet"
    [(_, read)] = preview.rows
    assert isinstance(read, Draft)
    assert (read.messages, read.answer) == ((Turn("user", "Q"),), "A")
    assert read.extra == {"score": 0.5, "nan": None, "when": "1970-01-01T00:00:00", "raw": "/w==", "price": "1.50"}


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "set" / "data").mkdir(parents=True)
    for side in ("train", "test"):
        pq.write_table(
            pa.table({"prompt": [f"Q {side}"], "completion": ["A"]}), tmp_path / f"set/data/{side}-0.parquet"
        )
    (tmp_path / "set" / "README.md").write_text("---\n---\n")
    assert formats.recognise(tmp_path / "set").container == "folder"
    rows = [d for _, d in formats.read(tmp_path / "set")]
    assert [(d.messages[0].content, d.split) for d in rows if isinstance(d, Draft)] == [
        ("Q test", "test"), ("Q train", "train"),
    ]  # fmt: skip


@pytest.mark.parametrize("format_", ["trl-kto", "trl-dpo"])
def test_the_copy_beside_an_export_is_not_read_again(tmp_path: Path, format_: formats.FormatName) -> None:
    made = example(1, rejected="No.")
    formats.write(format_, [made], tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.sharegpt.json").exists()
    assert [d for _, d in formats.read(tmp_path)] == [Draft.of(made)]
    (tmp_path / "rows.jsonl").unlink()
    assert containers.files_of(tmp_path) == [tmp_path / "rows.sharegpt.json"]


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    with path.open("w") as file:
        for number in range(40_000):
            row = {"instruction": f"Q {number}", "output": "A" * 1000}
            file.write(("[" if number == 0 else ",") + json.dumps(row))
        file.write("]")
    assert sum(1 for _ in zip(formats.read(path), range(1000), strict=False)) == 1000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in formats.read(path)) == 40_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000


def test_a_column_can_be_left_unread(tmp_path: Path) -> None:
    row = {"instruction": "Translate.", "input": "Guten Tag", "output": "Good day", "system": "Be brief."}
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row]), encoding="utf-8")
    [(_, draft)] = formats.read(path, Shape("alpaca", {"input": "", "system": ""}))
    assert isinstance(draft, Draft)
    assert draft.messages == (Turn("user", "Translate."),)
    assert draft.extra == {"input": "Guten Tag", "system": "Be brief."}
    example = draft.as_example("p", status="approved")
    for format_ in formats.FORMATS:
        if format_ != "trl-dpo":
            written = formats.write(format_, [example], tmp_path / f"out-{format_}{formats.ENDINGS[format_]}")
            assert formats.verify(written, lambda: [example]).differences == (), format_
