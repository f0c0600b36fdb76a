from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studio import dataset, projects, samples
from studio.context import Studio
from studio.errors import ImportRejected, InvalidInput, NotFound
from studio.records import Project, Turn, new_id
from tests.conftest import together

ALPACA: list[dict[str, Any]] = [
    {"instruction": "When do you open?", "input": "", "output": "At nine."},
    {"instruction": "Translate.", "input": "Guten Tag", "output": "Good day", "topic": "German"},
    {"instruction": "何時に開きますか。", "output": "9時です。\u2028はい。", "system": "図書館です。"},
]
MESSAGES: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "id": 7},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Uno"},
            {"role": "user", "content": "Two"},
            {"role": "assistant", "content": "Dos"},
        ]
    },
]


def write(tmp_path: Path, rows: list[Any], name: str = "rows.json") -> Path:
    path = tmp_path / name
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows) if name.endswith("l") else json.dumps(rows)
    path.write_text(text, encoding="utf-8")
    return path


# Importing


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_alpaca_rows(studio: Studio, project: Project, tmp_path: Path, name: str) -> None:
    report = dataset.import_file(studio, project.id, write(tmp_path, ALPACA, name), author="ann")
    assert (report.added, report.skipped) == (3, 0)
    plain, with_input, own_system = studio.store.examples.find(project.id)
    assert (plain.messages, plain.answer) == ((Turn("user", "When do you open?"),), "At nine.")
    assert (plain.status, plain.source, plain.author, plain.split) == ("draft", "import", "ann", "train")
    assert with_input.messages == (Turn("user", "Translate.\n\nGuten Tag"),)
    assert with_input.extra == {"topic": "German", "input": "Guten Tag"}
    assert own_system.messages == (Turn("system", "図書館です。"), Turn("user", "何時に開きますか。"))
    assert own_system.answer == "9時です。\u2028はい。"


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_message_rows(studio: Studio, project: Project, tmp_path: Path, name: str) -> None:
    dataset.import_file(studio, project.id, write(tmp_path, MESSAGES, name), approve=True)
    first, second = studio.store.examples.find(project.id)
    assert (first.status, first.extra, first.answer) == ("approved", {"id": 7}, "Hello")
    assert [t.role for t in second.messages] == ["system", "user", "assistant", "user"]
    assert (second.question, second.answer) == ("Two", "Dos")


def test_rows_keep_the_order_of_the_file(studio: Studio, project: Project, tmp_path: Path) -> None:
    rows = [{"instruction": f"Question {n}", "output": "A"} for n in range(300)]
    dataset.import_file(studio, project.id, write(tmp_path, rows))
    assert [e.question for e in studio.store.examples.find(project.id)] == [r["instruction"] for r in rows]


def test_a_file_of_another_system(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + b'{"instruction": "Q", "output": "A"}\r\n\r\n{"instruction": "R", "output": "B"}\r\n'
    )
    assert dataset.import_file(studio, project.id, path).added == 2


def test_rows_that_are_there_already_are_skipped(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = write(tmp_path, [*ALPACA, ALPACA[0]])
    assert dataset.import_file(studio, project.id, path) == dataset.ImportReport(3, 1)
    assert dataset.import_file(studio, project.id, path) == dataset.ImportReport(0, 4)
    assert studio.store.examples.count(project.id) == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("text", "not an object"),
        (None, "not an object"),
        ({}, "needs `messages`"),
        ({"question": "Q", "answer": "A"}, r"found: question, answer"),
        ({"instruction": "Q"}, "`output` is missing"),
        ({"output": "A"}, "`instruction` is missing"),
        ({"instruction": " ", "output": "A"}, "`instruction` is empty"),
        ({"instruction": "Q", "output": "\n"}, "`output` is empty"),
        ({"instruction": "Q", "output": 5}, "`output` is not text"),
        ({"instruction": "Q", "output": "A", "input": ["x"]}, "`input` is not text"),
        ({"instruction": "Q", "output": "\ud800"}, "half a character"),
        ({"messages": "Hi"}, "not a list"),
        ({"messages": []}, "not a list"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "needs a `role`"),
        ({"messages": ["Hi"]}, "needs a `role`"),
        ({"messages": [{"role": "user", "content": "x"}]}, "last turns must be"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "last turns must be"),
        ({"messages": [{"role": "user", "content": None}, {"role": "assistant", "content": "x"}]}, "missing"),
        ({"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "x"}]}, "question is empty"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]}, "answer is empty"),
        (
            {
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "system", "content": "x"},
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "content": "x"},
                ]
            },
            "system turn can only come first",
        ),
    ],
)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_a_bad_row_is_numbered_and_nothing_is_added(
    studio: Studio, project: Project, tmp_path: Path, row: object, reason: str, name: str
) -> None:
    path = tmp_path / name
    rows = [json.dumps(r) for r in (ALPACA[0], ALPACA[1], row, ALPACA[2])]
    path.write_text("\n".join(rows) if name.endswith("l") else f"[{','.join(rows)}]", encoding="utf-8")
    with pytest.raises(ImportRejected, match=f"row 3: .*{reason}") as caught:
        dataset.import_file(studio, project.id, path)
    assert [e.row for e in caught.value.rows] == [3]
    assert studio.store.examples.count(project.id) == 0


def test_every_bad_row_is_told_but_only_the_first_are_shown(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = write(tmp_path, [{"instruction": "Q"}] * 30 + ALPACA, "rows.jsonl")
    with pytest.raises(ImportRejected, match=r"30 rows of rows\.jsonl .* and 10 more") as caught:
        dataset.import_file(studio, project.id, path)
    assert [e.row for e in caught.value.rows] == list(range(1, 31))


def test_broken_lines_are_numbered_as_in_an_editor(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps(ALPACA[0])
    path.write_text(f"{good}\n\n{good[:-5]}\n{'[' * 100_000}\n{good}\n")
    with pytest.raises(ImportRejected) as caught:
        dataset.import_file(studio, project.id, path)
    assert [(e.row, e.reason) for e in caught.value.rows] == [(3, "not valid JSON"), (4, "not valid JSON")]


def test_a_broken_array_names_its_row_and_line(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ALPACA, indent=1).replace('"output": "Good day"', '"output": Good day'))
    with pytest.raises(ImportRejected, match=r"broken in row 2: .*line 10 column") as caught:
        dataset.import_file(studio, project.id, path)
    assert [e.row for e in caught.value.rows] == [2]
    assert studio.store.examples.count(project.id) == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[]", "holds no rows"),
        (b'{"instruction": "Q", "output": "A"}\n\xff\xfe', r"not UTF-8 text \(line 2\)"),
    ],
)
def test_a_file_that_holds_nothing_to_read(
    studio: Studio, project: Project, tmp_path: Path, data: bytes, said: str
) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=said):
        dataset.import_file(studio, project.id, path)


def test_a_file_that_isnt_there(studio: Studio, project: Project, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be read: No such file"):
        dataset.import_file(studio, project.id, tmp_path / "none.json")
    with pytest.raises(InvalidInput, match="can't be read"):
        dataset.import_file(studio, project.id, tmp_path)


def test_an_instruction_project_takes_single_questions_only(studio: Studio, project: Project, tmp_path: Path) -> None:
    projects.set_format(studio, project.id, "instruction")
    with pytest.raises(ImportRejected, match="row 2: has several turns"):
        dataset.import_file(studio, project.id, write(tmp_path, MESSAGES))


# Converting


def test_alpaca_to_messages_and_back(studio: Studio, project: Project, tmp_path: Path) -> None:
    dataset.import_file(studio, project.id, write(tmp_path, ALPACA))
    rows = studio.store.examples.find(project.id)
    back = [dataset.as_row(e, "instruction") for e in rows]
    for row, original in zip(back, ALPACA, strict=True):
        assert row == {k: original.get(k, "") for k in row}
    as_chat = [dataset.as_row(e, "chat") for e in rows]
    assert as_chat[1] == {
        "messages": [
            {"role": "user", "content": "Translate.\n\nGuten Tag"},
            {"role": "assistant", "content": "Good day"},
        ]
    }
    other = projects.create(studio, "Other")
    dataset.import_file(studio, other.id, write(tmp_path, as_chat, "chat.jsonl"))
    assert [(e.messages, e.answer) for e in studio.store.examples.find(other.id)] == [
        (e.messages, e.answer) for e in rows
    ]


def test_messages_to_instruction_and_back(studio: Studio, project: Project, tmp_path: Path) -> None:
    dataset.import_file(studio, project.id, write(tmp_path, MESSAGES))
    single, several = studio.store.examples.find(project.id)
    assert dataset.as_instruction(single) == {"instruction": "Hi", "input": "", "output": "Hello"}
    assert dataset.as_messages(several) == MESSAGES[1]
    with pytest.raises(InvalidInput, match="several turns"):
        dataset.as_instruction(several)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(instruction=TEXT, input_=st.text(st.characters(exclude_categories=["Cs"])), output=TEXT)
def test_whatever_is_imported_is_exported_unchanged(
    studio: Studio, tmp_path: Path, instruction: str, input_: str, output: str
) -> None:
    project = projects.create(studio, new_id("p"))
    row = {"instruction": instruction, "input": input_, "output": output}
    dataset.import_file(studio, project.id, write(tmp_path, [row], "rows.jsonl"))
    assert [dataset.as_instruction(e) for e in studio.store.examples.find(project.id)] == [row]


# Reviewing


def test_every_change_of_a_row_is_a_version(studio: Studio, project: Project) -> None:
    row = dataset.add(studio, project.id, "Q", "A", author="ann")
    assert (row.status, row.source, row.version) == ("approved", "typed", 1)
    dataset.set_status(studio, row.id, "rejected", author="bob")
    edited = dataset.edit(studio, row.id, prompt="Q2", answer="A2")
    assert (edited.version, edited.status, edited.question, edited.answer) == (3, "rejected", "Q2", "A2")
    assert [v.author for v in studio.store.examples.versions(row.id)] == ["ann", "bob", "expert"]
    assert studio.store.examples.count(project.id) == 1


def test_an_edit_keeps_the_earlier_turns(studio: Studio, project: Project, tmp_path: Path) -> None:
    dataset.import_file(studio, project.id, write(tmp_path, MESSAGES))
    several = studio.store.examples.find(project.id)[1]
    edited = dataset.edit(studio, several.id, prompt="Three", answer="Tres")
    assert edited.messages == (*several.messages[:-1], Turn("user", "Three"))


def test_an_edit_needs_both_texts_and_a_difference(studio: Studio, project: Project) -> None:
    row = dataset.add(studio, project.id, "Q", "A")
    for prompt, answer, said in (
        ("", "A", "needs a question"),
        ("Q", " ", "needs a question"),
        ("Q", "A", "unchanged"),
    ):
        with pytest.raises(InvalidInput, match=said):
            dataset.edit(studio, row.id, prompt=prompt, answer=answer)
    with pytest.raises(InvalidInput):
        dataset.add(studio, project.id, " ", "A")
    with pytest.raises(NotFound, match="no example e_none"):
        dataset.set_status(studio, "e_none", "approved")
    assert len(studio.store.examples.versions(row.id)) == 1


def test_changes_at_the_same_moment_all_count(studio: Studio, project: Project) -> None:
    row = dataset.add(studio, project.id, "Q", "A")
    together(6, lambda n: dataset.edit(studio, row.id, prompt="Q", answer=f"Answer {n}"))
    assert [v.version for v in studio.store.examples.versions(row.id)] == [1, 2, 3, 4, 5, 6, 7]


# Samples


@pytest.mark.parametrize("key", ["support_en", "library_ja"])
def test_a_sample_becomes_a_project_once(studio: Studio, key: str) -> None:
    sample = next(s for s in samples.samples() if s.key == key)
    project = samples.try_sample(studio, key)
    assert samples.try_sample(studio, key) == project
    assert project.name == sample.name
    assert project.system_prompt
    count = studio.store.examples.count
    assert count(project.id, status="approved", split="train") == sample.rows == 32
    assert count(project.id, status="approved", split="test") == sample.held_out == 16
    train = {e.question for e in studio.store.examples.find(project.id, split="train")}
    assert not train & {e.question for e in studio.store.examples.find(project.id, split="test")}


def test_an_unknown_sample(studio: Studio) -> None:
    with pytest.raises(NotFound, match="no sample 'nope'"):
        samples.try_sample(studio, "nope")
