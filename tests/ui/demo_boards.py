"""The Data tab on a page of its own, over a real store with planted defects; run it to look at it.

python tests/ui/demo_boards.py [PORT]
"""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

import gradio as gr
import uvicorn

from studio import dataset, projects
from studio.context import open_studio
from studio.records import Example, Project, Turn, new_id
from studio.settings import Settings
from studio.ui import data_tab
from studio.ui.session import Desk, Session
from tests.ui.serving import serve_blocks

FRONT = (
    ("What does a late book cost?", "A late book costs 20 cents a day, at most 5 euros."),
    ("What does a late book cost, please?", "A late book costs 50 cents a day, at most 5 euros."),
    ("How do I reach the children's library?", "Write to Jonas Ahlberg, jonas.ahlberg@stadtbuecherei.de, for that."),
    ("When are you open?", "We are open from ten to seven, on Saturdays to four."),
    ("When are you open?", "We are open from ten to seven, on Saturdays to four."),
    ("Can I renew my books?", "You can renew them twice, as long as nobody is"),
)
THINGS = ("a novel", "a film", "a map", "an atlas", "a game", "a record", "a comic", "a score", "a tablet", "a camera")
PLACES = (
    "the reading room",
    "the café",
    "the cellar",
    "the garden",
    "the attic",
    "the hall",
    "the foyer",
    "the studio",
)


def example(project: Project, question: str, answer: str, status: str = "approved") -> Example:
    return Example(
        new_id("e"),
        project.id,
        1,
        status,
        (Turn("user", question),),
        answer,
        source="import",  # type: ignore[arg-type]
    )


def library(project: Project) -> list[Example]:
    """Rows in order, and before them `FRONT`: a contradiction, an address, a duplicate, an answer cut off."""
    rows = [example(project, question, answer) for question, answer in FRONT]
    for n, thing in enumerate(THINGS):
        rows.append(example(project, f"For how long may I borrow {thing}?", f"You may keep {thing} for {n + 2} weeks."))
        rows.append(
            example(project, f"Is {thing} expensive to replace?", f"Replacing {thing} costs {3 * n + 7} euros.")
        )
    for n, place in enumerate(PLACES):
        rows.append(example(project, f"May I bring a dog into {place}?", f"No, {place} is kept free of animals."))
        rows.append(example(project, f"How many seats has {place}?", f"There are {5 * n + 12} seats in {place}."))
    return rows


def labels(project: Project) -> list[Example]:
    """Messages sorted into three labels, one of them rare."""
    rows = []
    for n in range(60):
        topic = ("the bill", "the delivery", "the account", "the contract", "the device")[n % 5]
        label = "complaint" if n % 30 == 7 else ("question", "praise")[n % 2]
        rows.append(example(project, f"Message {n} about {topic}: what do you make of number {n * 7}?", label))
    return rows


class Demo:
    """One studio with an engine that echoes; a project for each test, chosen by the page's address."""

    def __init__(self, workspace: Path) -> None:
        self.studio = open_studio(Settings(workspace=workspace, engine="echo", author="Me"), "the demo of the boards")
        self.studio.load_engine()

    def project(self, kind: str = "library") -> Project:
        project = projects.create(self.studio, f"Project {new_id('')}")
        rows = labels(project) if kind == "labels" else library(project)
        dataset.add_rows(self.studio, project.id, rows, "imported", detail="demo.jsonl", author="Aiko")
        return project

    def build(self) -> gr.Blocks:
        self.page: gr.Blocks
        with gr.Blocks(fill_height=True, fill_width=True, title="Data") as self.page, gr.Column(elem_classes="st-page"):
            session, desk = gr.State(None), Desk(self.studio)
            with gr.Tabs(elem_classes="st-tabs"):
                data = data_tab.build(desk, session)

            def begin(request: gr.Request) -> tuple[Session, dict[str, object]]:
                language = "ja" if request.headers.get("accept-language", "").startswith("ja") else "en"
                at = Session(str(request.query_params.get("project")), language=language)
                return at, {**data_tab.show(desk, at)[0]}

            self.page.load(begin, None, [session, data.rows], show_progress="hidden", api_visibility="private")
        return self.page

    def serve(self, port: int = 0) -> tuple[uvicorn.Server, str]:
        return serve_blocks(self.build(), port)


if __name__ == "__main__":
    demo = Demo(Path(tempfile.mkdtemp()))
    made = [demo.project(kind) for kind in ("library", "labels")]
    _, url = demo.serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    sys.stdout.write("".join(f"{url}?project={project.id}\n" for project in made))
    sys.stdout.flush()
    threading.Event().wait()
