"""A page that shows every component with invented data; run it to look at them, or let the browser tests drive it.

python tests/ui/demo_components.py [PORT]
"""

from __future__ import annotations

import copy
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
import uvicorn

from studio.ui import markdown, words
from studio.ui.loop_bar import LoopBar
from studio.ui.results import DiffView, ResultList
from studio.ui.shell import PanelToggles
from studio.ui.thread import Thread
from tests.ui.serving import serve_blocks

CANARY = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
EMPTY = {
    "title": "Teach it your answers",
    "body": "Ask what your colleagues ask. Correct what comes back. Then train on your corrections.",
    "suggestions": ["What do I pay for a late book?", "カードをなくしました。", CANARY],
}
LATE = "Late books cost 50 cents a day."
JA = "カードの再発行は五百円です。身分証は要りません。"
_ids = itertools.count(100)


def message(id: str, role: str, text: str, **extra: Any) -> dict[str, Any]:
    """One message of the thread, with its text rendered."""
    return {"id": id, "role": role, "text": text, "html": markdown.render(text), "verdict": None, **extra}


def conversation() -> dict[str, Any]:
    """A short talk with every kind of message."""
    messages = [
        message("u1", "user", "I lost my library card. What now?"),
        message(
            "a1",
            "assistant",
            "A new card costs 3 euros at the desk. Bring an ID; the old one is blocked at once.",
            label="v3 · learned",
            verdict="accepted",
        ),
        message("u2", "user", "What do I pay for a late book?"),
        message("a2", "assistant", LATE, label="v3", siblings={"index": 2, "count": 3}),
    ]
    return {"messages": messages, "busy": False, "empty": EMPTY}


def find(value: dict[str, Any], id: str) -> dict[str, Any]:
    """The message with this id."""
    return next(m for m in value["messages"] if m["id"] == id)


class Fake:
    """Answers in place of the studio; `log` keeps what the browser sent."""

    def __init__(self) -> None:
        self.value = conversation()
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.refuse = False

    def shown(self) -> dict[str, Any]:
        return copy.deepcopy(self.value)

    def accept(self, evt: gr.EventData) -> dict[str, Any]:
        self.log.append(("accept", evt._data))
        find(self.value, evt._data["id"])["verdict"] = "accepted"
        return self.shown()

    def reject(self, evt: gr.EventData) -> dict[str, Any]:
        self.log.append(("reject", evt._data))
        find(self.value, evt._data["id"]).update(verdict="rejected", reason=evt._data["reason"])
        return self.shown()

    def correct(self, evt: gr.EventData) -> dict[str, Any]:
        data = evt._data
        self.log.append(("correct", data))
        m = find(self.value, data["id"])
        if "REFUSE" in data["text"]:
            m.update(error="The studio is read-only just now. Try again in a minute.", attempt=next(_ids))
            return self.shown()
        m.update(error=None, verdict="corrected")
        m["correction"] = {
            "text": data["text"],
            "reason": data["reason"],
            "note": data["note"],
            "html": markdown.render(data["text"]),
        }
        return self.shown()

    def page(self, evt: gr.EventData) -> dict[str, Any]:
        self.log.append(("page", evt._data))
        find(self.value, evt._data["id"])["siblings"]["index"] += evt._data["delta"]
        return self.shown()

    def note(self, name: str) -> Any:
        def handler(evt: gr.EventData) -> dict[str, Any]:
            self.log.append((name, evt._data))
            return self.shown()

        return handler

    def edit(self, evt: gr.EventData) -> dict[str, Any]:
        self.log.append(("edit", evt._data))
        at = next(i for i, m in enumerate(self.value["messages"]) if m["id"] == evt._data["id"])
        del self.value["messages"][at:]
        self.value["messages"].append(message(f"u{next(_ids)}", "user", evt._data["text"]))
        return self.shown()

    def ask(self, text: str) -> Iterator[tuple[dict[str, Any], str]]:
        """Stream an answer of sixty words at fifteen updates a second."""
        if not text.strip():
            return
        number = next(_ids)
        self.value["messages"].append(message(f"u{number}", "user", text))
        answer = message(f"a{number}", "assistant", "", label="v3", streaming=True)
        self.value["messages"].append(answer)
        self.value["busy"] = True
        yield self.shown(), ""
        for word in (
            "The desk is **open** from ten to seven.\n\n* Bring an ID\n* or a letter\n\n" + "word " * 50
        ).split(" "):
            time.sleep(1 / 15)
            answer["text"] += word + " "
            answer["html"] = markdown.render(answer["text"])
            yield self.shown(), ""
        answer["streaming"] = False
        self.value["busy"] = False
        yield self.shown(), ""

    def suggest(self, evt: gr.EventData) -> Iterator[tuple[dict[str, Any], str]]:
        self.log.append(("suggest", evt._data))
        yield from self.ask(evt._data["text"])

    def load(self, name: str) -> dict[str, Any]:
        """Named scenes for the tests and the screenshots."""
        self.value = conversation()
        messages = self.value["messages"]
        if name == "empty":
            messages.clear()
        if name == "xss":
            messages.append(message("u3", "user", CANARY))
            messages.append(message("a3", "assistant", CANARY, label=CANARY, verdict="corrected"))
            messages[-1]["correction"] = {"text": CANARY + " fixed", "reason": CANARY, "note": CANARY}
            messages.append(message("a4", "assistant", "", error=CANARY))
        if name == "ja":
            messages[:] = [
                message("u1", "user", "カードをなくしました。どうすればいいですか。"),
                message("a1", "assistant", JA, label="v3", siblings={"index": 1, "count": 2}),
            ]
        if name == "both":
            messages.append(message("u5", "user", "When are you open?"))
            messages.append(message("a5", "assistant", "We are open from 10 to 19.", label="v3", side="left"))
            messages.append(message("a6", "assistant", "Opening hours vary. Please call.", label="base", side="right"))
        if name == "rich":
            text = (
                "# Fees\nA **late** book:\n\n| days | fee |\n|---|---|\n| 1 | 20 ct |\n| 10 | 2 € |\n\n"
                "1. Pay at the desk\n2. or [online](https://example.org)\n\n```\nfee = min(days * 0.2, 5)\n```"
            )
            messages.append(message("u7", "user", "And as a table?\nWith code."))
            messages.append(message("a7", "assistant", text, label="v3", verdict="rejected", reason="tone"))
            messages.append(message("u8", "user", "Thanks"))
            messages.append(
                message("a8", "assistant", "", error="The model ran out of memory. Try a shorter question.")
            )
        if name == "long":
            for i in range(30):
                messages.append(message(f"lu{i}", "user", f"Question {i}"))
                messages.append(message(f"la{i}", "assistant", f"Answer {i}. " * 12, label="v3"))
        return self.shown()


LOOP: dict[str, dict[str, Any]] = {
    "idle": {
        "state": "idle",
        "headline": "Nothing to train on yet.",
        "detail": "Correct an answer, or try a sample.",
        "actions": [{"event": "sample", "label": "Try a sample", "primary": False}],
    },
    "ready": {
        "state": "ready",
        "badge": "v3 live",
        "headline": "12 new corrections",
        "detail": "since the last lesson",
        "hint": "about 2 min on this machine",
        "actions": [{"event": "train", "label": "Train on 44 examples", "primary": True}],
    },
    "training": {
        "state": "training",
        "badge": "v3 live",
        "headline": "Training: 8 of 32 learned",
        "detail": "1:10 left",
        "progress": 0.4,
        "actions": [
            {"event": "details", "label": "Details", "primary": False},
            {"event": "cancel", "label": "Cancel", "primary": False, "confirm": "Stop training? v3 stays live."},
        ],
    },
    "live": {
        "state": "live",
        "badge": "v4 live",
        "headline": "v4 is live: learned 29 of 32, broke 0.",
        "detail": "",
        "actions": [
            {"event": "details", "label": "See what was learned", "primary": False},
            {"event": "undo", "label": "Undo", "primary": False, "confirm": "Go back to v3?"},
        ],
    },
    "failed": {
        "state": "failed",
        "badge": "v3 live",
        "headline": "Training stopped: the machine ran out of memory.",
        "detail": "v3 still answers.",
        "actions": [{"event": "retry", "label": "Try again", "primary": True}],
    },
    "loading": {
        "state": "loading",
        "headline": "Getting the model ready…",
        "detail": "",
        "progress": None,
        "actions": [],
    },
}
LOOP_JA = {
    **LOOP["ready"],
    "badge": "v3 稼働中",
    "headline": "新しい修正が12件あります",
    "detail": "（前回の学習より後）",
    "hint": "この機械で約2分",
    "actions": [{"event": "train", "label": "44件で学習する", "primary": True}],
}
RESULTS = {
    "label": "v4",
    "rows": [
        {
            "prompt": "What do I pay for a late book?",
            "expected": "Late books cost 20 cents a day.",
            "answer": "Late books cost 20 cents a day.",
            "right": True,
            "base_answer": "It depends on the library.",
            "base_right": False,
        },
        {
            "prompt": "Can I eat in the reading room?",
            "expected": "Only drinks with a lid, please.",
            "answer": "Only drinks, please.",
            "right": False,
            "base_answer": "No.",
            "base_right": False,
        },
        {
            "prompt": "開館時間を教えてください。",
            "expected": "開館は火曜から日曜の9時半から18時です。",
            "answer": "開館は火曜から土曜の9時から18時です。",
            "right": False,
            "base_answer": "開館は火曜から日曜の9時半から18時です。",
            "base_right": True,
        },
    ],
}


def build(fake: Fake) -> gr.Blocks:
    """The page, laid out as the studio's is."""
    t = words.t
    with gr.Blocks(fill_height=True, fill_width=True, title="Studio") as demo, gr.Column(elem_classes="st-page"):
        loop = LoopBar(LOOP["ready"])
        with gr.Tabs(elem_classes="st-tabs"):
            with gr.Tab("Chat"), gr.Row(elem_classes="st-shell"):
                with gr.Column(elem_classes="st-side st-side-left", min_width=0):
                    gr.Markdown("Project", elem_classes="st-heading")
                    gr.Dropdown(["Library help desk", "Support"], show_label=False, container=False)
                    gr.Markdown("Conversations", elem_classes="st-heading")
                    gr.Radio(
                        ["Lost card", "Late fees", "予約の取り消し"],
                        value="Lost card",
                        show_label=False,
                        container=False,
                        elem_classes="st-conversations",
                    )
                    gr.Button("New conversation", size="sm")
                with gr.Column(elem_classes="st-centre", min_width=0):
                    PanelToggles({"title": "Lost card"})
                    thread = Thread(fake.shown())
                    with gr.Row(elem_classes="st-composer"):
                        box = gr.Textbox(
                            placeholder="Ask something the model should know…",
                            show_label=False,
                            container=False,
                            lines=1,
                            max_lines=8,
                            submit_btn=True,
                            elem_id="composer",
                        )
                with gr.Column(elem_classes="st-side st-side-right", min_width=0):
                    gr.Markdown("Prompt", elem_classes="st-heading")
                    gr.Textbox("You answer questions at the desk of the town library.", label="System", lines=3)
                    gr.Dropdown(["v3 (live)", "base", "both"], label="Answer with")
                    with gr.Accordion("Sampling", open=False):
                        gr.Slider(0, 2, 0.7, label="Temperature")
            with gr.Tab("Examples 44"), gr.Column(elem_classes="st-tabpage"):
                DiffView(
                    {"before": LATE, "after": "Late books cost 20 cents a day, at most 5 euros. Children pay nothing."}
                )
                DiffView({"before": JA, "after": "カードの再発行は200円です。身分証をお持ちください。"})
                DiffView(None)
            with gr.Tab("Train"), gr.Column(elem_classes="st-tabpage"):
                gr.Textbox(label="Name", value="v4")
                gr.Slider(1, 32, 16, label="Rank")
                gr.Button("Train", variant="primary")
            with gr.Tab("Compare"), gr.Column(elem_classes="st-tabpage"):
                ResultList(RESULTS)
                ResultList()
            with gr.Tab("Adapters"), gr.Column(elem_classes="st-tabpage"):
                gr.Dataframe([["v3", "29 of 32", "live"], ["v2", "20 of 32", ""]], headers=["name", "learned", "state"])
        with gr.Row(elem_id="scenes"):
            scene = gr.Textbox(elem_id="scene", label=t("app.thread.label"))
            scene_go = gr.Button("scene", elem_id="scene-go")
            bar = gr.Textbox(elem_id="bar")
            bar_go = gr.Button("bar", elem_id="bar-go")
        thread.listen("accept", fake.accept, None, thread)
        thread.listen("correct", fake.correct, None, thread)
        thread.listen("reject", fake.reject, None, thread)
        thread.listen("page", fake.page, None, thread)
        thread.listen("edit", fake.edit, None, thread)
        thread.listen("retry", fake.note("retry"), None, thread)
        thread.listen("undo", fake.note("undo"), None, thread)
        thread.listen("suggest", fake.suggest, None, [thread, box])
        box.submit(fake.ask, box, [thread, box], show_progress="hidden", api_visibility="private")
        scene_go.click(fake.load, scene, thread, api_visibility="private")
        bar_go.click(lambda name: LOOP_JA if name == "ja" else LOOP[name], bar, loop, api_visibility="private")

        def pressed(name: str) -> Any:
            return lambda: fake.log.append((name, {}))

        demo.load(fake.shown, None, thread, api_visibility="private", show_progress="hidden")
        for event in loop.gestures:
            loop.listen(event, pressed(event))
    return demo


def serve(fake: Fake, port: int = 0) -> tuple[uvicorn.Server, str]:
    """Serve the page in a thread; port 0 means any free one."""
    return serve_blocks(build(fake), port)


if __name__ == "__main__":
    _, url = serve(Fake(), int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(url, flush=True)
    threading.Event().wait()
