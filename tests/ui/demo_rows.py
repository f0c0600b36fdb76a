"""The table of rows on a page of its own, over a real store with invented rows; run it to look at it.

python tests/ui/demo_rows.py [PORT]
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import uvicorn

from studio import dataset, projects
from studio.context import Studio, open_studio
from studio.records import Example, Project, Turn, new_id
from studio.rows import FLAG_KINDS, Flag
from studio.settings import Settings
from studio.ui import data_rows
from studio.ui.rows_table import RowsTable
from studio.ui.session import Desk, Session, language_of
from tests.ui.serving import serve_blocks

CANARY = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
ASKED = (
    ("What do I pay for a late book?", "Late books cost 20 cents a day, at most 5 euros. Children pay nothing."),
    ("Can I eat in the reading room?", "Only drinks with a lid, please."),
    ("カードをなくしました。どうすればいいですか。", "カードの再発行は200円です。身分証をお持ちください。"),
    ("When are you open?", "We are open from ten to seven, on Saturdays to four. Closed on Mondays."),
    ("開館時間を教えてください。", "開館は火曜から日曜の9時半から18時です。月曜は休館です。"),
    ("How many books can I borrow?", "Twelve at a time, for four weeks. You can renew them twice."),
    ("Where do I return films?", "In the box beside the entrance, at any hour."),
)


def fill(studio: Studio, project: Project, count: int = 60) -> list[str]:
    """Rows of every kind; returns their ids, oldest first."""
    rows = []
    for n in range(count):
        question, answer = ASKED[n % len(ASKED)]
        if n >= len(ASKED):
            question, answer = f"{question} ({n})", f"{answer} [{n}]"
        rows.append(
            Example(
                new_id("e"),
                project.id,
                1,
                "draft" if n % 3 else "approved",
                (Turn("user", question),),
                answer,
                rejected="It depends on the library." if n % 4 == 0 else None,
                source=("import", "chat", "typed")[n % 3],
                author=("Aiko", "Ben", "")[n % 3],
                tags=(("fees",), ("opening hours", "desk"), ())[n % 3],
            )
        )
    long = (
        Turn("system", "You answer at the desk of the town library."),
        Turn("user", "I lost my library card. What now?"),
        Turn("assistant", "A new card costs 3 euros at the desk."),
        Turn("user", "And if I am from out of town, Mr Brown at brown@example.org?"),
    )
    rows[-1] = replace(rows[-1], messages=long, answer="Then bring an ID. Call me at 030 1234567 for more.")
    rows[-2] = replace(rows[-2], messages=(Turn("user", "Do late books cost anything?"),), answer="No, never.")
    dataset.add_rows(studio, project.id, rows, "imported", detail="library.jsonl", author="Aiko")
    answer = rows[-1].answer
    at = answer.index("030")
    flags = [
        Flag(rows[-1].id, "pii", "Looks like a telephone number: 030 1234567.", span=(at, at + 11)),
        Flag(rows[-1].id, "pii", "Looks like an address: brown@example.org.", span=(42, 59), field="messages[3]"),
        Flag(rows[-2].id, "contradiction", "Nearly the same question has another answer.", other_id=rows[0].id),
        Flag(rows[0].id, "contradiction", "Nearly the same question has another answer.", other_id=rows[-2].id),
    ]
    studio.store.flags.replace(project.id, flags, kinds=FLAG_KINDS, example_ids=None)
    return [row.id for row in rows]


class Demo:
    """One studio; a project for each test, chosen by the page's address."""

    def __init__(self, workspace: Path) -> None:
        self.studio = open_studio(Settings(workspace=workspace, engine="echo", author="Me"), "the demo of the rows")
        self.pause_s = 0.0
        """How long every answer waits, for tests of what is shown meanwhile."""

    def project(self, rows: int = 60) -> tuple[Project, list[str]]:
        project = projects.create(self.studio, f"Library {new_id('')}")
        return project, fill(self.studio, project, rows) if rows else []

    def build(self) -> gr.Blocks:
        page: gr.Blocks
        with gr.Blocks(fill_height=True, fill_width=True, title="Rows") as page, gr.Column(elem_classes="st-page"):
            session = gr.State(None)
            with gr.Tabs(elem_classes="st-tabs"):
                with gr.Tab("Data"), gr.Column(elem_classes="st-datapage"):
                    table = RowsTable(elem_id="rows")
                with gr.Tab("Chat"):
                    chosen = gr.Textbox(label="Project")

            def begin(request: gr.Request) -> tuple[Session, dict[str, object]]:
                project_id = str(request.query_params.get("project"))
                at = Session(project_id, None, language_of(request))
                return at, {**data_rows.page_value(self.studio, at)}

            page.load(begin, None, [session, table], show_progress="hidden", api_visibility="private")
            chosen.submit(
                lambda at, id_: (replace(at, project_id=id_), ""),
                [session, chosen],
                [session, chosen],
                show_progress="hidden",
            )
            data_rows.wire(_Slow(self), session, table, gr.State(None))
        return page

    def serve(self, port: int = 0) -> tuple[uvicorn.Server, str]:
        return serve_blocks(self.build(), port)


class _Slow(Desk):
    """A desk whose studio is reached after a pause."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo

    @property
    def studio(self) -> Studio:  # type: ignore[override]
        time.sleep(self._demo.pause_s)
        return self._demo.studio


if __name__ == "__main__":
    demo = Demo(Path(tempfile.mkdtemp()))
    project, _ = demo.project()
    _, url = demo.serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    sys.stdout.write(f"{url}?project={project.id}\n")
    sys.stdout.flush()
    threading.Event().wait()
