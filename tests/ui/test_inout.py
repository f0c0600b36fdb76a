"""Import and export in a real browser, on the app itself: set right on screen, cancelled, downloaded, pushed."""

from __future__ import annotations

import io
import json
import shlex
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Route, expect

from studio import dataset, imports, projects
from studio.context import Studio, open_studio
from studio.records import Example, Project
from studio.settings import Settings
from studio.ui.serving import application
from tests.conftest import until
from tests.standin_datasets import DatasetRepo, StandInDatasets
from tests.standins import serving

TOKEN = "hf_writerSECRETwriterSECRETwriter"
MANY = 150_000
"""Rows whose import takes long enough to be cancelled in the middle."""


@dataclass
class Site:
    studio: Studio
    url: str
    hub: StandInDatasets

    @property
    def project(self) -> Project:
        return projects.default(self.studio)

    def rows(self) -> list[Example]:
        return self.studio.store.examples.find(self.project.id)

    def exports(self) -> list[str]:
        return sorted(path.name for path in self.studio.workspace.exports.iterdir())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The whole app over an empty workspace, with a Hub on which the token of this machine may write."""
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nonexistent/token")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving(StandInDatasets()) as hub:
        hub.writers[TOKEN] = "owner"
        studio = open_studio(Settings(workspace=tmp_path / "workspace", engine="echo", hub_url=hub.url), "tests")
        projects.default(studio)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = uvicorn.Config(
            application(studio), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        until(lambda: server.started)
        yield Site(studio, f"http://127.0.0.1:{port}", hub)
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


Open = Callable[..., Page]


@pytest.fixture
def open_part(browser: Browser, site: Site) -> Iterator[Open]:
    """Open a part of the Data tab in a fresh browser context; a script error fails the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_(part: str, data: str = "Data", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **options})
        context.set_default_timeout(20_000)
        expect.set_options(timeout=20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(site.url)
        page.locator("#composer textarea").wait_for()
        page.locator("#loop-bar .st-headline").wait_for()
        go_to(page, data)
        go_to(page, part)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not errors


def go_to(page: Page, tab: str) -> None:
    shown = page.get_by_role("tab", name=tab, exact=True)
    if not shown.is_visible():
        # On a small screen the last tabs are behind a button.
        page.locator("#data-parts .overflow-menu > button").click()
        shown = page.locator("#data-parts .overflow-dropdown").get_by_text(tab, exact=True)
    shown.click()


def drop(page: Page, path: Path) -> None:
    """Choose a file, and wait until its first rows are shown."""
    page.locator("#import-file input[type=file]").set_input_files(path)
    expect(page.locator("#import-about")).to_contain_text(path.name)


def pick(page: Page, field: str, option: str) -> None:
    page.locator(f"#import-{field} input").click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_role("option")).to_have_count(0)


def choose(page: Page, radio: str, words: str) -> None:
    page.locator(f"#{radio} label").filter(has_text=words).click()


def lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def fill(site: Site, tmp_path: Path, count: int) -> None:
    rows = [{"instruction": f"Question {n}", "output": "A long answer. " * 20} for n in range(count)]
    imports.import_file(site.studio, site.project.id, lines(tmp_path / "filled.jsonl", rows), approve=True)


# Import


def test_a_wrong_mapping_is_mended_on_screen(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("Add and import")
    table = tmp_path / "desk.csv"
    table.write_text(
        "Frage,topic,reply\nWas kostet es?,fees,Zwei <b>Euro</b>.\nWann?,hours,Um neun.\n", encoding="utf-8"
    )
    drop(page, table)
    expect(page.locator("#import-about")).to_contain_text("The columns say nothing about what they hold")
    expect(page.locator("#import-go")).to_be_disabled()
    pick(page, "shape", "Question and answer in columns (prompt-completion)")
    expect(page.locator("#import-table")).to_contain_text("Can't be read")
    pick(page, "column-prompt", "Frage")
    pick(page, "column-completion", "topic")
    cells = page.locator("#import-table td")
    expect(cells).to_have_text(["Was kostet es?", "fees", "Wann?", "hours"])
    pick(page, "column-completion", "reply")
    expect(cells).to_have_text(["Was kostet es?", "Zwei <b>Euro</b>.", "Wann?", "Um neun."])
    page.get_by_role("button", name="Tags, status and more from columns").click()
    pick(page, "column-tags", "topic")
    expect(cells.nth(1)).to_contain_text("#fees")
    page.locator("#import-go").click()
    expect(page.locator("#import-report")).to_contain_text("2 examples added.")
    expect(page.locator("#import-preview")).to_be_hidden()
    assert [(e.question, e.answer, e.tags, e.status) for e in site.rows()] == [
        ("Was kostet es?", "Zwei <b>Euro</b>.", ("fees",), "draft"),
        ("Wann?", "Um neun.", ("hours",), "draft"),
    ]
    go_to(page, "Examples")
    expect(page.locator("#rows")).to_contain_text("Um neun.")


def test_errors_are_told_by_row_and_nothing_is_lost(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("Add and import")
    rows = [{"instruction": f"Q{n}", "output": "" if n % 2 else "bad", "better": f"Answer {n}"} for n in range(10)]
    drop(page, lines(tmp_path / "rows.jsonl", rows))
    expect(page.locator("#import-about")).to_contain_text("Recognised as questions and answers in columns (Alpaca)")
    report = page.locator("#import-report")
    expect(report).to_contain_text("5 of 10 rows can't be imported.")
    expect(report.locator("tbody th")).to_have_text(["2", "4", "6", "8", "10"])
    expect(report.locator("tbody td").first).to_have_text("`output` is empty")
    expect(page.locator("#import-go")).to_be_hidden()
    expect(page.locator("#import-go-rest")).to_have_text("Import the 5 good rows, leave out the 5 bad ones")
    pick(page, "column-output", "better")
    expect(page.locator("#import-table td").nth(1)).to_have_text("Answer 0")
    expect(report).to_contain_text("10 rows, and all can be imported.")
    expect(page.locator("#import-go-rest")).to_be_hidden()
    page.locator("#import-go").click()
    expect(report).to_contain_text("10 examples added.")
    assert [e.answer for e in site.rows()] == [f"Answer {n}" for n in range(10)]
    assert site.rows()[0].extra["output"] == "bad"


def test_the_good_rows_come_in_and_the_others_are_mended(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("Add and import")
    table = tmp_path / "desk.csv"
    rows = [f"Frage {n},{'' if n in (7, 20, 33) else 'Antwort'}" for n in range(50)]
    table.write_text("\n".join(["Titel,Reaktion", *rows]), encoding="utf-8")
    drop(page, table)
    pick(page, "shape", "Question and answer in columns (prompt-completion)")
    pick(page, "column-prompt", "Titel")
    pick(page, "column-completion", "Reaktion")
    report = page.locator("#import-report")
    expect(report).to_contain_text("3 of 50 rows can't be imported.")
    expect(report.locator("tbody td")).to_have_text(["`Reaktion` is empty"] * 3)
    page.locator("#import-go-rest").click()
    expect(report).to_contain_text("47 examples added.")
    expect(report).to_contain_text("3 rows were left out.")
    [action] = dataset.history(site.studio, site.project.id)
    assert (action.rows, action.detail) == (47, "desk.csv; 3 left out")
    with page.expect_download() as caught:
        report.locator("a").click()
    assert site.exports() == [caught.value.suggested_filename]
    kept = Path(caught.value.path()).read_text(encoding="utf-8-sig")
    assert kept.splitlines()[:2] == ["studio_left_out,Titel,Reaktion", "row 9: `Reaktion` is empty,Frage 7,"]
    mended = tmp_path / "mended.csv"
    mended.write_text("".join(f"{line}ja\n" if line[-1] == "," else f"{line}\n" for line in kept.splitlines()))
    drop(page, mended)
    expect(page.locator("#import-about")).to_contain_text(
        "Read with the columns you chose for the last file like this."
    )
    expect(report).to_contain_text("3 rows, and all can be imported.")
    expect(report).not_to_contain_text("47 examples added.")
    page.locator("#import-go").click()
    expect(report).to_contain_text("3 examples added.")
    assert sorted(e.answer for e in site.rows()) == ["Antwort"] * 47 + ["ja"] * 3
    go_to(page, "Examples")
    page.locator("#rows tbody tr").last.click()
    expect(page.locator("#rows")).to_contain_text("desk.csv · 3 left out")


def test_a_file_that_cant_be_read_takes_the_last_report_away(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("追加と読み込み", locale="ja-JP", data="データ")
    drop(page, lines(tmp_path / "rows.jsonl", [{"instruction": "Q", "output": "A"}]))
    page.locator("#import-approved input").check()
    page.locator("#import-go").click()
    report = page.locator("#import-report")
    expect(report).to_contain_text("1件を追加しました。")
    expect(page.locator("#import-file")).not_to_contain_text("rows.jsonl")
    assert [e.status for e in site.rows()] == ["approved"]
    broken = tmp_path / "broken.json"
    broken.write_text('[{"instruction": "Q" "output": "A"}]')
    page.locator("#import-file input[type=file]").set_input_files(broken)
    expect(report).to_contain_text("broken.jsonは1件目で壊れています")
    expect(report).to_contain_text("「,」がありません")
    expect(report).not_to_contain_text("1件を追加しました。")
    expect(page.locator("#import-preview")).to_be_hidden()
    half = tmp_path / "half.json"
    half.write_text('[{"instruction": "Q", "output": "A"},\n{"instruction": "R" "output": "A"}]')
    page.locator("#import-file button[aria-label]").first.click()
    drop(page, half)
    expect(report).to_contain_text("half.jsonは2件目で壊れています")
    expect(page.locator("#import-go")).to_be_disabled()


def test_the_encoding_is_said_and_can_be_chosen(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("Add and import")
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion\n延滞料はいくらですか。,1日20円です。\n", encoding="cp932")
    drop(page, path)
    about, cells = page.locator("#import-about"), page.locator("#import-table td")
    expect(about).to_contain_text("Read as Japanese (Shift_JIS, cp932).")
    expect(cells).to_have_text(["延滞料はいくらですか。", "1日20円です。"])
    pick(page, "encoding", "Simplified Chinese (GB18030)")
    expect(about).to_contain_text("Read as Simplified Chinese (GB18030).")
    expect(cells.first).not_to_have_text("延滞料はいくらですか。")
    pick(page, "encoding", "Unicode (UTF-8)")
    report = page.locator("#import-report")
    expect(report).to_contain_text("rows.csv is not UTF-8 text (line 2).")
    expect(page.locator("#import-go")).to_be_disabled()
    pick(page, "encoding", "Japanese (Shift_JIS, cp932)")
    expect(report).to_contain_text("One row, and it can be imported.")
    page.locator("#import-go").click()
    expect(report).to_contain_text("1 example added.")
    assert [e.answer for e in site.rows()] == ["1日20円です。"]
    path = tmp_path / "french.csv"
    plain = "".join(f"Question {n},{'plain ' * 20}\n" for n in range(10_000))
    path.write_text(f"prompt,completion\n{plain}Où est la bibliothèque ?,À côté.\n", encoding="cp1252")
    drop(page, path)
    expect(about).to_contain_text("Read as Western European (Windows-1252). Is that right? It could also be Central")
    page.locator("#import-go").click()
    expect(report).to_contain_text("10,001 examples added.")


def test_of_choices_in_a_row_all_count_and_what_is_chosen_is_imported(
    site: Site, open_part: Open, tmp_path: Path
) -> None:
    page = open_part("Add and import")
    table = tmp_path / "desk.csv"
    table.write_text("prompt,completion,better\n" + "延滞料は？,いいえ,1日20円です。\n" * 50_000, encoding="gb18030")
    drop(page, table)
    about, cells = page.locator("#import-about"), page.locator("#import-table td")
    pick(page, "encoding", "Western European (Windows-1252)")
    expect(about).to_contain_text("Read as Western European (Windows-1252).")
    # So many rows take a moment, in which the next choice is made.
    with page.expect_request(lambda request: '"better"' in (request.post_data or "")) as sent:
        pick(page, "encoding", "Simplified Chinese (GB18030)")
        pick(page, "column-completion", "better")
    expect(cells.nth(1)).to_have_text("1日20円です。")
    expect(about).to_contain_text("Read as Simplified Chinese (GB18030).")
    expect(page.locator("#import-column-completion input")).to_have_value("better")

    arranging, held = sent.value.post_data_json["fn_index"], []

    def hold(route: Route) -> None:
        if route.request.post_data_json["fn_index"] == arranging:
            held.append(route)
        else:
            route.continue_()

    table = tmp_path / "next.csv"
    table.write_text("prompt,completion,better\nIs it free?,No.,Yes.\n")
    page.locator("#import-file button[aria-label]").first.click()
    drop(page, table)
    expect(cells).to_have_text(["Is it free?", "Yes."])
    page.route("**/queue/join*", hold)
    pick(page, "column-completion", "completion")
    page.locator("#import-go").click()
    expect(page.locator("#import-report")).to_contain_text("1 example added.")
    assert [row.answer for row in site.rows()] == ["No."]
    with page.expect_response("**/queue/join*"):
        for route in held:
            route.continue_()
    expect(page.locator("#import-preview")).to_be_hidden()


def test_larger_files_have_the_command_line(site: Site, open_part: Open) -> None:
    page = open_part("Add and import")
    page.locator("#import-limit summary").click()
    command = shlex.split(page.locator("#import-limit code").inner_text())
    assert command[:3] == ["studio", "import", "FILE"]
    assert command[3:] == ["--workspace", str(site.studio.settings.workspace), "--project", site.project.name]


def test_a_long_import_is_cancelled_and_leaves_nothing(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("Add and import")
    drop(
        page,
        lines(tmp_path / "many.jsonl", [{"instruction": f"Q{n}", "output": "A" * 100, "n": n} for n in range(MANY)]),
    )
    # Nobody has to wait for the look through all rows.
    expect(page.locator("#import-progress")).to_contain_text("Looking through all rows…")
    page.locator("#import-go").click()
    expect(page.locator("#import-progress")).to_contain_text("Reading the rows…")
    expect(page.locator("#import-go")).to_be_disabled()
    page.locator("#import-cancel").click()
    expect(page.locator("#import-report")).to_contain_text("Cancelled. Nothing was added.")
    expect(page.locator("#import-cancel")).to_be_hidden()
    assert site.rows() == []
    assert dataset.history(site.studio, site.project.id) == []
    expect(page.locator("#import-about")).to_contain_text("many.jsonl")
    expect(page.locator("#import-go")).to_be_enabled()


def test_an_import_ends_without_the_browser(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("Add and import")
    drop(page, lines(tmp_path / "rows.jsonl", [{"instruction": f"Q{n}", "output": "A"} for n in range(30_000)]))
    page.locator("#import-go").click()
    expect(page.locator("#import-progress [role=progressbar]")).to_be_visible()
    page.close()
    until(lambda: site.studio.store.examples.count(site.project.id) == 30_000)
    again = open_part("Add and import")
    expect(again.locator("#import-report")).to_contain_text("30,000 examples added.")


def test_a_dataset_of_the_hub_is_looked_at_and_imported(site: Site, open_part: Open) -> None:
    row = '{{"instruction": "{0}?", "output": "{0}."}}\n'
    site.hub.datasets["owner/letters"] = DatasetRepo.of(
        {"train.jsonl": (row.format("One") + row.format("Two")).encode(), "test.jsonl": row.format("Three").encode()}
    )
    page = open_part("Add and import")
    page.locator("#import-hub textarea, #import-hub input").fill("owner/nothing")
    page.locator("#import-fetch").click()
    expect(page.locator("#import-report")).to_contain_text("owner/nothing")
    page.locator("#import-hub textarea, #import-hub input").fill("hf:owner/letters")
    page.locator("#import-fetch").click()
    expect(page.locator("#import-about")).to_contain_text("2 files, imported together")
    page.locator("#import-go").click()
    expect(page.locator("#import-report")).to_contain_text("3 examples added.")
    assert {e.question: e.split for e in site.rows()} == {"One?": "train", "Two?": "train", "Three?": "test"}
    [action] = dataset.history(site.studio, site.project.id)
    assert action.detail.startswith("hf:owner/letters@")


# Export


def test_the_export_obeys_the_filter_and_the_download_is_the_file(site: Site, open_part: Open, tmp_path: Path) -> None:
    dataset.add(site.studio, site.project.id, "What does a late book cost?", "20 cents a day.")
    dataset.add(site.studio, site.project.id, "延滞料はいくらですか。", "1日20円です。")
    other = dataset.add(site.studio, site.project.id, "How late are you open?", "Until six.")
    dataset.set_status(site.studio, other.id, "rejected")
    page = open_part("Examples")
    page.locator("#rows .st-rows-search").fill("late")
    expect(page.locator("#rows tbody tr")).to_have_count(2)
    go_to(page, "Export")
    expect(page.locator("#export-count")).to_have_text("2 examples")
    choose(page, "export-scope", "what the table shows")
    expect(page.locator("#export-count")).to_contain_text("2 examples · 1 approved · 1 rejected")
    choose(page, "export-format", "OpenAI and services")
    page.locator("#export-go").click()
    expect(page.locator("#export-result")).to_contain_text("Verified: 2 examples read back equal.")
    with page.expect_download() as caught:
        page.locator("#export-result a").first.click()
    [name] = site.exports()
    written = (site.studio.workspace.exports / name).read_bytes()
    assert caught.value.suggested_filename == name
    assert Path(caught.value.path()).read_bytes() == written
    asked = [json.loads(line)["messages"][0]["content"] for line in written.splitlines()]
    assert asked == ["What does a late book cost?", "How late are you open?"]


def test_what_is_left_out_is_said(site: Site, open_part: Open) -> None:
    dataset.add(site.studio, site.project.id, "What does it cost?", "Two euros.")
    page = open_part("Export")
    choose(page, "export-format", "TRL's DPOTrainer")
    expect(page.locator("#export-count")).to_contain_text("Only those with a rejected answer make a pair")
    page.locator("#export-go").click()
    expect(page.locator("#export-result")).to_contain_text("1 left out: they have no rejected answer.")


def test_a_long_export_is_cancelled_and_leaves_nothing(site: Site, open_part: Open, tmp_path: Path) -> None:
    fill(site, tmp_path, 60_000)
    page = open_part("Export")
    expect(page.locator("#export-count")).to_have_text("60,000 examples")
    page.locator("#export-go").click()
    expect(page.locator("#export-progress [role=progressbar]")).to_be_visible()
    page.locator("#export-cancel").click()
    expect(page.locator("#export-result")).to_contain_text("Cancelled. Nothing was written.")
    assert site.exports() == []
    expect(page.locator("#export-go")).to_be_enabled()


def test_a_dataset_folder_is_downloaded_and_pushed(site: Site, open_part: Open) -> None:
    dataset.add(site.studio, site.project.id, "What does it cost?", "Two euros.")
    page = open_part("Export")
    choose(page, "export-format", "The Hugging Face Hub")
    page.locator("#export-licence input").fill("cc-by-4.0")
    page.locator("#export-licence input").press("Enter")
    page.locator("#export-go").click()
    expect(page.locator("#export-result")).to_contain_text("Verified: 1 example reads")
    folder = site.studio.workspace.exports / site.exports()[0]
    assert "license: cc-by-4.0" in (folder / "README.md").read_text(encoding="utf-8")
    with page.expect_download() as caught:
        page.locator("#export-result a").first.click()
    with zipfile.ZipFile(io.BytesIO(Path(caught.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        got = {name: archive.read(name) for name in archive.namelist()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert got == {f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}
    page.locator("#export-push-id input, #export-push-id textarea").fill("owner/desk")
    page.locator("#export-push-go").click()
    link = page.locator("#export-pushed a")
    expect(link).to_have_attribute("href", f"{site.hub.url}/datasets/owner/desk")
    assert site.hub.datasets["owner/desk"].is_private
    assert "data/sft/train-00000-of-00001.parquet" in site.hub.datasets["owner/desk"].files


def test_nothing_is_clipped_on_a_small_screen_in_japanese(site: Site, open_part: Open, tmp_path: Path) -> None:
    page = open_part("追加と読み込み", locale="ja-JP", viewport={"width": 390, "height": 844}, data="データ")
    rows = [{"instruction": "開館時間を教えてください。", "output": "9時です。" * 40}]
    drop(page, lines(tmp_path / "行.jsonl", rows))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#import-approved input").check()
    page.locator("#import-go").click()
    expect(page.locator("#import-report")).to_contain_text("1件を追加しました。")
    go_to(page, "書き出し")
    page.locator("#export-go").click()
    expect(page.locator("#export-result")).to_contain_text("確認済み：1件")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
