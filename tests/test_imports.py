from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio import dataset, imports, projects
from studio.context import Studio
from studio.errors import ImportRejected, InvalidInput
from studio.imports import ImportReport
from studio.records import Project, Turn

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
    report = imports.import_file(studio, project.id, write(tmp_path, ALPACA, name), author="ann")
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
    imports.import_file(studio, project.id, write(tmp_path, MESSAGES, name), approve=True)
    first, second = studio.store.examples.find(project.id)
    assert (first.status, first.extra, first.answer) == ("approved", {"id": 7}, "Hello")
    assert [t.role for t in second.messages] == ["system", "user", "assistant", "user"]
    assert (second.question, second.answer) == ("Two", "Dos")


def test_rows_keep_the_order_of_the_file(studio: Studio, project: Project, tmp_path: Path) -> None:
    rows = [{"instruction": f"Question {n}", "output": "A"} for n in range(300)]
    imports.import_file(studio, project.id, write(tmp_path, rows))
    assert [e.question for e in studio.store.examples.find(project.id)] == [r["instruction"] for r in rows]


def test_a_file_of_another_system(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + b'{"instruction": "Q", "output": "A"}\r\n\r\n{"instruction": "R", "output": "B"}\r\n'
    )
    assert imports.import_file(studio, project.id, path).added == 2


def test_rows_that_are_there_already_are_skipped(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = write(tmp_path, [*ALPACA, ALPACA[0]])
    assert imports.import_file(studio, project.id, path) == ImportReport(3, 1)
    assert imports.import_file(studio, project.id, path) == ImportReport(0, 4)
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
        imports.import_file(studio, project.id, path)
    assert [e.row for e in caught.value.rows] == [3]
    assert studio.store.examples.count(project.id) == 0


def test_every_bad_row_is_told_but_only_the_first_are_shown(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = write(tmp_path, [{"instruction": "Q"}] * 30 + ALPACA, "rows.jsonl")
    with pytest.raises(ImportRejected, match=r"30 rows of rows\.jsonl .* and 10 more") as caught:
        imports.import_file(studio, project.id, path)
    assert [e.row for e in caught.value.rows] == list(range(1, 31))


def test_broken_lines_are_numbered_as_in_an_editor(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps(ALPACA[0])
    path.write_text(f"{good}\n\n{good[:-5]}\n{'[' * 100_000}\n{good}\n")
    with pytest.raises(ImportRejected) as caught:
        imports.import_file(studio, project.id, path)
    assert [(e.row, e.reason) for e in caught.value.rows] == [(3, "not valid JSON"), (4, "not valid JSON")]


def test_a_broken_array_names_its_row_and_line(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ALPACA, indent=1).replace('"output": "Good day"', '"output": Good day'))
    with pytest.raises(ImportRejected, match=r"broken in row 2: .*line 10 column") as caught:
        imports.import_file(studio, project.id, path)
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
        imports.import_file(studio, project.id, path)


def test_a_file_that_isnt_there(studio: Studio, project: Project, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be read: No such file"):
        imports.import_file(studio, project.id, tmp_path / "none.json")
    with pytest.raises(InvalidInput, match="can't be read"):
        imports.import_file(studio, project.id, tmp_path)


def test_an_instruction_project_takes_single_questions_only(studio: Studio, project: Project, tmp_path: Path) -> None:
    projects.set_format(studio, project.id, "instruction")
    with pytest.raises(ImportRejected, match="row 2: has several turns"):
        imports.import_file(studio, project.id, write(tmp_path, MESSAGES))


# Several files


def test_files_that_belong_together_are_one_action(studio: Studio, project: Project, tmp_path: Path) -> None:
    train = write(tmp_path, ALPACA, "train.json")
    test = write(tmp_path, [{"instruction": "And on Sundays?", "output": "Closed."}, ALPACA[0]], "test.jsonl")
    report = imports.import_files(studio, project.id, [("train", train), ("test", test)], source="hf:owner/name")
    assert report == ImportReport(4, 1)
    rows = studio.store.examples.find(project.id)
    assert [row.split for row in rows] == ["train", "train", "train", "test"]
    [action] = dataset.history(studio, project.id)
    assert (action.kind, action.rows, action.detail) == ("imported", 4, "hf:owner/name")
    dataset.undo(studio, project.id)
    assert studio.store.examples.count(project.id) == 0


def test_one_bad_row_in_the_second_file_refuses_both(studio: Studio, project: Project, tmp_path: Path) -> None:
    good = write(tmp_path, [{"instruction": f"Question {n}", "output": "A"} for n in range(6000)], "train.jsonl")
    bad = write(tmp_path, [ALPACA[0], {"instruction": "Q"}], "test.jsonl")
    with pytest.raises(ImportRejected, match=r"1 rows of hf:owner/name .*row 2: .* \(test\.jsonl\)") as caught:
        imports.import_files(studio, project.id, [("train", good), ("test", bad)], source="hf:owner/name")
    assert [e.row for e in caught.value.rows] == [2]
    assert studio.store.examples.count(project.id) == 0
    assert dataset.history(studio, project.id) == []


def test_progress_counts_the_bytes_of_all_files(studio: Studio, project: Project, tmp_path: Path) -> None:
    files = [write(tmp_path, [{"instruction": f"{name} {n}", "output": "A"} for n in range(1200)], name)
             for name in ("one.jsonl", "two.jsonl")]  # fmt: skip
    seen: list[tuple[int, int]] = []
    imports.import_files(
        studio, project.id, [(None, path) for path in files], progress=lambda done, total: seen.append((done, total))
    )
    total = sum(path.stat().st_size for path in files)
    assert {t for _, t in seen} == {total}
    assert seen == sorted(seen)
    assert seen[-1][0] == total
