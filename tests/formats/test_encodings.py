"""Text that isn't UTF-8: found out, read letter by letter, and never taken for something else in silence."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from studio import formats
from studio.errors import InvalidInput
from studio.formats import Draft, NotTextError

JAPANESE = [
    ("開館時間を教えてください。", "午前9時から午後6時までです。～①㈱髙"),
    ("ﾊﾝｶｸｶﾅは?", "「はい」、読めます。"),
    ("延滞料はいくらですか。", "1日20円です。\nただし、祝日は除きます。"),
]
GERMAN = [
    ("Was kostet es für Schüler?", "Zwei Euro – größer heißt „teuer“. 5 €"),
    ("Où est la bibliothèque ?", "À côté de l'hôtel, près du théâtre."),
]
FRENCH = GERMAN[1:]
KOREAN = [("도서관은 몇 시에 여나요?", "아홉 시에 엽니다.")]
CHINESE = [("图书馆几点开门？", "早上九点开门。")]
RUSSIAN = [("Во сколько вы открываетесь?", "В девять часов утра.")]


def table(path: Path, rows: list[tuple[str, str]], encoding: str, delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("prompt", "completion"), *rows])
    return path


def read(path: Path, encoding: str | None = None) -> list[tuple[str, str]]:
    drafts = [draft for _, draft in formats.read(path, encoding=encoding)]
    return [(draft.messages[-1].content, draft.answer) for draft in drafts if isinstance(draft, Draft)]


@pytest.mark.parametrize(
    ("rows", "encoding"),
    [
        (JAPANESE, "cp932"),
        (JAPANESE[2:], "euc_jp"),
        (JAPANESE[2:], "iso2022_jp"),
        (GERMAN, "cp1252"),
        (KOREAN, "cp949"),
        (CHINESE, "gb18030"),
        (RUSSIAN, "cp1251"),
        (JAPANESE, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (JAPANESE, "utf-32"),
        (JAPANESE, "utf-8"),
        (JAPANESE, "utf-8-sig"),
    ],
)
def test_a_table_comes_back_letter_by_letter(tmp_path: Path, rows: list[tuple[str, str]], encoding: str) -> None:
    path = table(tmp_path / "rows.csv", rows, encoding)
    found = formats.encoding_of(path)
    assert found.name == encoding.removesuffix("-sig")
    assert read(path, found.name) == rows
    preview = formats.recognise(path)
    assert (preview.encoding, preview.container, preview.columns) == (found, "csv", ("prompt", "completion"))
    assert [row.answer for _, row in preview.rows if isinstance(row, Draft)] == [answer for _, answer in rows]


def test_unicode_text_of_a_spreadsheet(tmp_path: Path) -> None:
    path = table(tmp_path / "rows.txt", JAPANESE, "utf-16", "\t")
    assert read(path) == JAPANESE


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp932", "cp1252"])
def test_json_in_another_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    pairs = GERMAN if encoding == "cp1252" else JAPANESE
    rows = [{"prompt": prompt, "completion": completion} for prompt, completion in pairs]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path = tmp_path / name
    path.write_bytes(("\n".join(lines) if name.endswith("l") else f"[{','.join(lines)}]").encode(encoding))
    assert formats.recognise(path).container == name.removeprefix("rows.")
    assert read(path, formats.encoding_of(path).name) == pairs


def test_two_readings_are_not_taken_for_one(tmp_path: Path) -> None:
    path = table(tmp_path / "rows.csv", FRENCH, "cp1252")
    found = formats.encoding_of(path)
    assert (found.name, found.is_sure, found.others) == ("cp1252", False, ("cp1250",))
    assert read(path, "cp1252") == FRENCH
    assert read(path, "cp1250") != FRENCH


def test_what_comes_late_is_found_where_the_whole_file_is_looked_at(tmp_path: Path) -> None:
    rows = [("Q", "plain " * 20)] * 20_000 + JAPANESE
    path = table(tmp_path / "rows.csv", rows, "cp932")
    assert formats.encoding_of(path).name == "utf-8"
    with pytest.raises(NotTextError, match=r"rows\.csv is not UTF-8 text \(line 20002\)"):
        read(path)
    assert formats.encoding_of(path, whole=True).name == "cp932"
    assert read(path, "cp932") == rows


def test_a_long_line_is_cut_between_letters(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows = [{"prompt": f"{n} {prompt}", "completion": answer} for n in range(20_000) for prompt, answer in JAPANESE]
    path.write_bytes(json.dumps(rows, ensure_ascii=False).encode("cp932"))
    assert formats.encoding_of(path).name == "cp932"


def test_text_in_the_wrong_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = table(tmp_path / "rows.csv", JAPANESE, "cp932")
    with pytest.raises(NotTextError, match=r"is not EUC_JP text \(line 2\)"):
        read(path, "euc_jp")
    late = table(tmp_path / "late.csv", [("Q", "A")] * 5 + GERMAN, "cp1252")
    with pytest.raises(NotTextError, match=r"is not CP932 text \(line 7\)"):
        read(late, "cp932")


def test_an_encoding_that_there_is_not() -> None:
    assert formats.named("Shift_JIS") == "shift_jis"
    for name in ("klingon", "rot13", "base64"):
        with pytest.raises(InvalidInput, match=f"no text encoding '{name}'"):
            formats.named(name)
