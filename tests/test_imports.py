from __future__ import annotations

import csv
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio import dataset, exports, imports, projects
from studio.context import Studio
from studio.errors import Cancelled, ImportRejected, InvalidInput
from studio.formats import Shape
from studio.imports import ImportReport
from studio.records import Project, Turn
from studio.rows import RowFilter

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


def test_what_was_imported_is_in_the_file_and_holds_no_save_up(
    studio: Studio, project: Project, tmp_path: Path
) -> None:
    rows = [{"instruction": f"Question {n}?", "output": f"Answer {n}. " * 50} for n in range(3000)]
    imports.import_file(studio, project.id, write(tmp_path, rows, "rows.jsonl"))
    log = studio.workspace.database.with_name("studio.duckdb.wal")
    assert not log.exists() or log.stat().st_size < 10_000


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


@pytest.mark.parametrize("rejected", [("r1", "r2", "r2"), ("r1", None, "r2", "r1"), (None, "r1", None, "r2")])
def test_another_rejected_answer_makes_another_pair(
    studio: Studio, project: Project, tmp_path: Path, rejected: tuple[str | None, ...]
) -> None:
    """But a row without one says nothing that isn't in a pair."""
    asked = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
    path = write(tmp_path, [{**asked, "rejected_answer": worse} for worse in rejected], "rows.jsonl")
    kept = [worse for i, worse in enumerate(rejected) if worse not in rejected[:i] and (worse or i == 0)]
    assert imports.import_file(studio, project.id, path) == ImportReport(len(kept), len(rejected) - len(kept))
    assert [e.rejected for e in studio.store.examples.find(project.id)] == kept
    assert imports.import_file(studio, project.id, path) == ImportReport(0, len(rejected))
    exports.export(studio, project.id, tmp_path / "out.jsonl", "trl-dpo", RowFilter())
    fresh = projects.create(studio, "fresh")
    pairs = [worse for worse in kept if worse]
    assert imports.import_file(studio, fresh.id, tmp_path / "out.jsonl").added == len(pairs)
    assert [e.rejected for e in studio.store.examples.find(fresh.id)] == pairs


@pytest.mark.parametrize("way", ["deleted", "undone"])
def test_a_backup_brings_back_what_is_in_the_bin(studio: Studio, project: Project, tmp_path: Path, way: str) -> None:
    imports.import_file(studio, project.id, write(tmp_path, ALPACA), approve=True)
    backup = tmp_path / "backup.jsonl"
    exports.export(studio, project.id, backup, "openai", RowFilter())
    first, *_ = studio.store.examples.find(project.id)
    if way == "deleted":
        dataset.set_status(studio, first.id, "deleted")
    else:
        dataset.undo(studio, project.id)
    gone = 1 if way == "deleted" else 3
    assert imports.import_file(studio, project.id, backup) == ImportReport(0, 3 - gone, gone)
    back = dataset.get(studio, first.id)
    assert (back.status, back.version, back.answer) == ("approved", 3, first.answer)
    assert imports.import_file(studio, project.id, backup) == ImportReport(0, 3)
    dataset.undo(studio, project.id)
    assert dataset.get(studio, first.id).status == "deleted"


def test_what_was_edited_and_put_into_the_bin_is_not_overwritten_by_another_edit(
    studio: Studio, project: Project, tmp_path: Path
) -> None:
    row = dataset.add(studio, project.id, "Q", "A")
    backup = tmp_path / "backup.jsonl"
    exports.export(studio, project.id, backup, "openai", RowFilter())
    backup.write_text(backup.read_text().replace('"A"', '"There"'))
    dataset.set_status(studio, row.id, "deleted")
    assert imports.import_file(studio, project.id, backup) == ImportReport(0, 0, 1)
    assert dataset.get(studio, row.id).answer == "There"
    dataset.undo(studio, project.id)
    dataset.restore(studio, row.id, 1)
    dataset.edit(studio, row.id, answer="Here")
    dataset.set_status(studio, row.id, "deleted")
    with pytest.raises(ImportRejected, match="was changed here too"):
        imports.import_file(studio, project.id, backup)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("text", "not an object"),
        (None, "not an object"),
        ({}, "needs `messages`"),
        ({"question": "Q", "answer": "A"}, r"found: question, answer"),
        ({"instruction": "Q"}, "`output` is missing"),
        ({"output": "A"}, "found: output"),
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
        (b'{"instruction": "Q", "output": "A"}\n\xff\xfe', "not UTF-8 text; it may be one of these: cp1252"),
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


# Bad rows


def left_out(studio: Studio, path: Path, project: Project, **options: Any) -> tuple[ImportReport, Path]:
    report = imports.import_file(studio, project.id, path, skip_bad=True, **options)
    [kept] = report.left_out_in
    assert kept.parent == studio.workspace.exports
    return report, kept


def test_the_good_rows_come_in_and_the_others_are_kept_to_be_mended(
    studio: Studio, project: Project, tmp_path: Path
) -> None:
    good = [json.dumps({"instruction": f"Q{n}", "output": "A"}) for n in range(20)]
    bad = [
        '{"instruction": "empty", "output": " ", "topic": "x"}',
        '{"instruction": "cut", "outp',
        "5",
        '{"x": "\\ud83d"}',
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*good[:10], *bad, *good[10:]]), encoding="utf-8")
    with pytest.raises(ImportRejected) as caught:
        imports.import_file(studio, project.id, path)
    assert (caught.value.good, caught.value.bad) == (20, 4)
    report, kept = left_out(studio, path, project)
    assert (report.added, report.left_out, [e.row for e in report.errors]) == (20, 4, [11, 12, 13, 14])
    [action] = dataset.history(studio, project.id)
    assert (action.rows, action.detail) == (20, "rows.jsonl; 4 left out")
    assert kept.read_text(encoding="utf-8").splitlines() == [
        '{"studio_left_out": "row 11: `output` is empty", "instruction": "empty", "output": " ", "topic": "x"}',
        '{"studio_left_out": "row 12: not valid JSON"}',
        '{"instruction": "cut", "outp',
        '{"studio_left_out": "row 13: not an object with named fields"}',
        "5",
        '{"studio_left_out": "row 14: `x` holds half a character (an unpaired surrogate)", "x": "\\ud83d"}',
    ]
    mended = kept.read_text(encoding="utf-8")
    for was, becomes in (
        ('"output": " "', '"output": "B"'),
        ('cut", "outp\n', 'cut", "output": "C"}\n'),
        ("\n5\n", '\n{"instruction": "five", "output": "D"}\n'),
        ('"x": "\\ud83d"', '"instruction": "half", "output": "E"'),
    ):
        assert was in mended
        mended = mended.replace(was, becomes)
    kept.write_text(mended, encoding="utf-8")
    assert imports.import_file(studio, project.id, kept) == ImportReport(4, 0)
    rows = {e.question: e for e in studio.store.examples.find(project.id)}
    assert [rows[name].answer for name in ("empty", "cut", "five", "half")] == ["B", "C", "D", "E"]
    assert (rows["empty"].extra, rows["half"].extra) == ({"topic": "x"}, {})


def test_bad_rows_of_a_table_stay_a_table(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "表.csv"
    path.write_text('質問;回答;点\nいつ？;9時。;5\n何？;;=1+1\n短い\n"x"y;z;1\n', encoding="cp932")
    shape = Shape("prompt-completion", {"prompt": "質問", "completion": "回答"})
    report, kept = left_out(studio, path, project, shape=shape, encoding="cp932")
    assert (report.added, report.left_out, report.encoding) == (1, 3, "cp932")
    assert kept.read_bytes().startswith(b"\xef\xbb\xbfstudio_left_out,")
    assert list(csv.reader(kept.read_text(encoding="utf-8-sig").splitlines())) == [
        ["studio_left_out", "質問", "回答", "点"],
        ["row 3: `回答` is empty", "何？", "", "'=1+1"],
        ["row 4: has 1 cells where the header has 3", "短い"],
        ["row 5: not valid CSV (';' expected after '\"')", '"x"y;z;1'],
    ]
    assert imports.preview(studio, kept, shape).columns == ("質問", "回答", "点")
    mended = kept.read_text(encoding="utf-8-sig").splitlines()[:2]
    kept.write_text("\n".join(mended).replace("何？,,", "何？,箱。,"), encoding="utf-8-sig")
    assert imports.import_file(studio, project.id, kept, shape=shape) == ImportReport(1, 0)
    assert [(e.answer, e.extra) for e in studio.store.examples.find(project.id)] == [
        ("9時。", {"点": "5"}),
        ("箱。", {"点": "=1+1"}),
    ]


def test_a_table_is_mended_in_two_rounds(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion\nQ,\nR,\nS,\nT\nU,A\n", encoding="utf-8")
    _, kept = left_out(studio, path, project)
    text = kept.read_text(encoding="utf-8-sig")
    kept.write_text(text.replace("Q,", "Q,A"), encoding="utf-8-sig")
    report, still = left_out(studio, kept, project)
    assert (report.added, report.left_out) == (1, 3)
    assert list(csv.reader(still.read_text(encoding="utf-8-sig").splitlines())) == [
        ["studio_left_out", "prompt", "completion"],
        ["row 3: `completion` is empty", "R", ""],
        ["row 4: `completion` is empty", "S", ""],
        ["row 5: has 2 cells where the header has 3", "T"],
    ]
    still.write_text(
        still.read_text(encoding="utf-8-sig").replace("R,", "R,A").replace("S,", "S,A").replace(",T", ",T,A")
    )
    assert imports.import_file(studio, project.id, still) == ImportReport(3, 0)


def test_bad_rows_of_several_files_are_kept_file_by_file(studio: Studio, project: Project, tmp_path: Path) -> None:
    files = [
        (side, write(tmp_path, [ALPACA[n], {"instruction": side}], f"{side}.jsonl"))
        for n, side in enumerate(("train", "test"))
    ]
    report = imports.import_files(studio, project.id, files, source="hf:owner/name", skip_bad=True)
    assert (report.added, report.left_out) == (2, 2)
    assert [json.loads(path.read_text())["instruction"] for path in report.left_out_in] == ["train", "test"]
    [action] = dataset.history(studio, project.id)
    assert action.detail == "hf:owner/name; 2 left out"


def test_a_conflict_is_left_out_with_both_its_rows(studio: Studio, project: Project, tmp_path: Path) -> None:
    row = dataset.add(studio, project.id, "Q", "A")
    dataset.edit(studio, row.id, 1, answer="B")
    out = tmp_path / "rows.jsonl"
    exports.export(studio, project.id, out, "trl-kto", exports.default_filter("trl-kto"))
    dataset.edit(studio, row.id, 2, answer="Here", author="ben")
    out.write_text(out.read_text().replace('"B"', '"There"') + json.dumps({"prompt": "New", "completion": "C"}) + "\n")
    report, kept = left_out(studio, out, project)
    assert (report.added, report.left_out) == (1, 1)
    assert report.errors[0].reason == "was changed here too by ben since the file was written"
    assert len(kept.read_text().splitlines()) == len(out.read_text().splitlines()) - 1


def test_when_every_row_is_bad_nothing_is_written(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = write(tmp_path, [{"instruction": "Q"}] * 3, "rows.jsonl")
    with pytest.raises(ImportRejected) as caught:
        imports.import_file(studio, project.id, path, skip_bad=True)
    assert (caught.value.good, caught.value.bad) == (0, 3)
    assert list(studio.workspace.exports.iterdir()) == []


def test_a_cancelled_import_leaves_no_file_of_bad_rows(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = write(
        tmp_path, [{"instruction": "Q"}, *({"instruction": f"{n}", "output": "A"} for n in range(3000))], "r.jsonl"
    )
    stop = threading.Event()
    with pytest.raises(Cancelled):
        imports.import_file(
            studio, project.id, path, skip_bad=True, progress=lambda done, total: stop.set(), cancelled=stop
        )
    assert list(studio.workspace.exports.iterdir()) == []


def test_a_reason_names_the_column_of_the_file(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Frage,Antwort,Stand\nQ,A,gut\n", encoding="utf-8")
    shape = Shape("alpaca", {"instruction": "Frage", "output": "Antwort", "status": "Stand"})
    [(_, said)] = imports.preview(studio, path, shape).rows
    assert said == "`Stand` is 'gut'; it must be one of draft, approved, rejected, deleted"
    path.write_text("Frage,Antwort\nQ,\n", encoding="utf-8")
    [(_, said)] = imports.preview(
        studio, path, replace(shape, columns={"instruction": "Frage", "output": "Antwort"})
    ).rows
    assert said == "`Antwort` is empty"


# Looking through


def test_a_look_through_the_whole_file(studio: Studio, project: Project, tmp_path: Path) -> None:
    rows = [{"instruction": f"Q{n}", "output": "" if n % 100 == 7 else "A"} for n in range(1000)]
    path = write(tmp_path, rows, "rows.jsonl")
    seen = []
    found = imports.check_files(
        studio, project.id, [(None, path)], progress=lambda done, total: seen.append((done, total))
    )
    assert (found.good, found.bad, found.is_whole) == (990, 10, True)
    assert [(e.row, e.reason) for e in found.errors][:2] == [(8, "`output` is empty"), (108, "`output` is empty")]
    assert seen[-1] == (path.stat().st_size,) * 2
    assert studio.store.examples.count(project.id) == 0
    projects.set_format(studio, project.id, "instruction")
    assert imports.check_files(studio, project.id, [(None, write(tmp_path, MESSAGES))]).bad == 1
    stop = threading.Event()
    stop.set()
    found = imports.check_files(studio, project.id, [(None, path)], cancelled=stop)
    assert (found.good, found.is_whole) == (0, False)


# Encodings


@pytest.mark.parametrize("encoding", ["cp932", "utf-16", "utf-8"])
def test_text_in_another_encoding_is_found_out(studio: Studio, project: Project, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion\n延滞料はいくらですか。,1日20円です。\n", encoding=encoding)
    report = imports.import_file(studio, project.id, path)
    assert (report.added, report.encoding) == (1, "" if encoding == "utf-8" else encoding)
    assert [e.answer for e in studio.store.examples.find(project.id)] == ["1日20円です。"]


def test_other_letters_far_down_start_the_import_again(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    plain = "".join(f"Question {n},{'plain ' * 20}\n" for n in range(10_000))
    path.write_text(f"prompt,completion\n{plain}延滞料はいくらですか。,1日20円です。\n", encoding="cp932")
    report = imports.import_file(studio, project.id, path)
    assert (report.added, report.encoding) == (10_001, "cp932")
    assert imports.check_files(studio, project.id, [(None, path)]).good == 10_001


def test_an_encoding_that_could_be_another_is_asked_for(studio: Studio, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion\nOù est la bibliothèque ?,À côté.\n", encoding="cp1252")
    with pytest.raises(InvalidInput, match="may be one of these: cp1252, cp1250") as caught:
        imports.import_file(studio, project.id, path)
    assert "--encoding" in caught.value.hint
    assert imports.import_file(studio, project.id, path, encoding="cp1252").added == 1
    assert [e.answer for e in studio.store.examples.find(project.id)] == ["À côté."]
    with pytest.raises(InvalidInput, match="no text encoding"):
        imports.import_file(studio, project.id, path, encoding="klingon")
