"""Records as the components show them. Formats only; reads nothing but what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from studio.conversation import Shown
from studio.errors import StudioError
from studio.model.engine import EngineState
from studio.records import CheckResult, Score
from studio.rows import Beside, Notice
from studio.training import Loop, Plan, Progress
from studio.ui import markdown
from studio.ui.told import error_text, stored_error, told
from studio.ui.words import say

Names = Callable[[str | None], str]
_rendered = lru_cache(500)(markdown.render)
"""For texts that don't change any more: while an answer is being written, all before it are shown again and again."""


def thread_value(
    shown: Sequence[Shown],
    names: Names,
    language: str,
    *,
    empty: Mapping[str, Any] | None = None,
    refused: Mapping[str, Mapping[str, Any]] | None = None,
    notices: Mapping[str, Notice] | None = None,
) -> dict[str, Any]:
    """A path of messages as the thread component takes it; `refused` says why a verdict could not be saved."""
    messages: list[dict[str, Any]] = []
    for entry in shown:
        if entry.partner is not None:
            left, right = sorted((entry, entry.partner), key=lambda e: e.message.id)
            messages += [
                {**_message(left, names, language, refused, notices), "side": "left"},
                {**_message(right, names, language, refused, notices), "side": "right", "siblings": None},
            ]
        else:
            messages.append(_message(entry, names, language, refused, notices))
    return {"messages": messages, "busy": False, "empty": None if messages else empty}


def notice_value(found: Beside, language: str) -> dict[str, Any]:
    """What a saved row is beside another one: in words, with the rows to open."""

    def s(key: str, **values: Any) -> str:
        return say(language, f"app.chat.notice.{key}", **values)

    other, example = found.other, found.example
    values = {"when": day(other.created_at, language), "question": cut(other.question), "answer": cut(other.answer)}
    text = s(found.kind, **values, side=say(language, f"app.rows.splits.{other.split}"))
    if found.kind == "held-out":
        text += s("aside" if example.aside else "joined" if example.split == other.split else "leaks")
    return {
        "kind": found.kind,
        "text": text,
        "ids": [example.id, other.id],
        "open": s("settle" if found.kind == "contradiction" else "open"),
    }


def cut(text: str, most: int = 80) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def day(moment: datetime, language: str) -> str:
    """A day as people write it."""
    if language == "ja":
        return f"{moment.year}年{moment.month}月{moment.day}日"
    return f"{moment:%B} {moment.day}, {moment.year}"


def _message(
    entry: Shown,
    names: Names,
    language: str,
    refused: Mapping[str, Mapping[str, Any]] | None,
    notices: Mapping[str, Notice] | None,
) -> dict[str, Any]:
    message, correction = entry.message, entry.correction
    value: dict[str, Any] = {
        "id": message.id,
        "role": message.role,
        "text": message.text,
        "html": _rendered(message.text),
        "verdict": correction.verdict if correction else None,
        "reason": correction.reason if correction else None,
        "siblings": {"index": entry.index, "count": entry.count} if entry.count > 1 else None,
        "error": None,
        "correction": None,
        **(refused or {}).get(message.id, {}),
    }
    if message.role == "assistant":
        state = f" · {say(language, 'app.chat.' + message.state)}" if message.state != "complete" else ""
        value["label"] = names(message.adapter_id) + state
    if correction is not None and (notice := (notices or {}).get(correction.example_id or "")) is not None:
        value["notices"] = [notice_value(one, language) for one in notice.found]
    if correction is not None and correction.verdict == "corrected":
        value["correction"] = {
            "text": correction.text,
            "reason": correction.reason,
            "note": correction.note,
            "html": _rendered(correction.text),
        }
    return value


def streaming_messages(texts: Sequence[str], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Answers as far as they are written."""
    sides = ("left", "right") if len(labels) > 1 else (None,)
    return [
        {
            "id": f"writing-{side or 'one'}",
            "role": "assistant",
            "text": text,
            "html": markdown.render(text),
            "label": label,
            "verdict": None,
            "streaming": True,
            "side": side,
        }
        for text, label, side in zip(texts, labels, sides, strict=True)
    ]


def error_message(error: StudioError, label: str, language: str) -> dict[str, Any]:
    """An answer that could not be given, in its place."""
    return {
        "id": "failed",
        "role": "assistant",
        "text": "",
        "html": "",
        "label": label,
        "error": error_text(language, error),
    }


def duration(seconds: float, language: str) -> str:
    """A rough duration in words."""
    if seconds < 50:
        return say(language, "app.time.seconds", n=max(5, 5 * round(seconds / 5)))
    if seconds < 5400:
        return say(language, "app.time.minutes", n=max(1, round(seconds / 60)))
    return say(language, "app.time.hours", n=round(seconds / 3600, 1))


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def loop_value(loop: Loop, engine: EngineState, is_ready: bool, language: str) -> dict[str, Any]:
    """What the bar above the tabs says now: the first of these that is true."""

    def s(key: str, **values: Any) -> str:
        return say(language, "app.bar." + key, **values)

    badge = s("live_badge", name=loop.live.name) if loop.live else None
    if not is_ready:
        return _model_bar(engine, s, language)
    if loop.active is not None:
        return {"badge": badge, **_training_bar(loop.active, loop, s)}
    if loop.checking is not None and loop.live is not None:
        done, total = loop.checking
        return {
            "state": "checking",
            "badge": badge,
            "headline": s("checking", name=loop.live.name),
            "detail": s("checking_detail"),
            "progress": done / max(total, 1),
            "actions": [{"event": "undo", "label": s("undo"), "primary": False}],
        }
    if loop.failed is not None:
        stays = s("stays", name=loop.live.name if loop.live else s("base"))
        return {
            "state": "failed",
            "badge": badge,
            "headline": s("failed"),
            "detail": f"{stored_error(language, loop.failed.error)} {stays}",
            "actions": [{"event": "retry", "label": s("retry"), "primary": True}],
        }
    if loop.new:
        return {
            "state": "ready",
            "badge": badge,
            "headline": s("new", n=loop.new),
            "detail": s("since"),
            "hint": s("about", time=duration(loop.plan.seconds, language)) if loop.plan else "",
            "actions": [
                {
                    "event": "train",
                    "label": s("train", n=loop.approved),
                    "primary": True,
                }
            ],
        }
    if loop.live is not None:
        return {
            "state": "live",
            "badge": badge,
            "headline": lesson(loop.live.name, loop.score, language),
            "detail": held_out(loop.score, language),
            "actions": [
                {"event": "details", "label": s("details"), "primary": False},
                {"event": "undo", "label": s("undo"), "primary": False},
            ],
        }
    if loop.approved:
        return {
            "state": "idle",
            "badge": None,
            "headline": s("aside"),
            "detail": s("aside_detail", n=loop.approved),
            "actions": [
                {"event": "details", "label": s("details"), "primary": False},
                {"event": "train", "label": s("train", n=loop.approved), "primary": False},
            ],
        }
    return {
        "state": "idle",
        "badge": None,
        "headline": s("idle"),
        "detail": s("idle_detail"),
        "actions": [{"event": "sample", "label": s("sample"), "primary": False}],
    }


def _model_bar(engine: EngineState, s: Callable[..., str], language: str) -> dict[str, Any]:
    if engine.name == "failed":
        return {
            "state": "failed",
            "headline": s("no_model"),
            "detail": error_text(language, engine.error) if isinstance(engine.error, StudioError) else engine.detail,
            "actions": [{"event": "retry", "label": s("retry"), "primary": True}],
        }
    return {
        "state": "loading",
        "headline": s("loading"),
        "detail": told(language, engine.detail),
        "progress": engine.done / engine.total if engine.total else None,
        "actions": [],
    }


def _training_bar(active: Progress, loop: Loop, s: Callable[..., str]) -> dict[str, Any]:
    left = s("left", time=clock(active.eta_s)) if active.eta_s is not None else ""
    is_training = active.phase == "training"
    return {
        "state": "training",
        "headline": s("training", learned=active.learned, of=active.of) if is_training else s("preparing"),
        "detail": left if is_training else s("phase." + active.phase),
        "progress": active.step / active.total if active.total else None,
        "actions": [
            {"event": "details", "label": s("details_run"), "primary": False},
            {
                "event": "cancel",
                "label": s("cancel"),
                "primary": False,
                "confirm": s("cancel_confirm", name=loop.live.name if loop.live else s("base")),
            },
        ],
    }


def lesson(name: str, score: Score | None, language: str) -> str:
    """ "v3 is live: learned 29 of 32, broke 0"."""
    if score is None:
        return say(language, "app.bar.live_unchecked", name=name)
    return say(language, "app.bar.live", name=name, learned=score.learned, total=score.total, broke=score.broke)


def held_out(score: Score | None, language: str) -> str:
    """What the base knew before, and how many rewordings come out right."""
    if score is None:
        return ""
    text = say(language, "app.bar.base_before", n=score.base_learned)
    if score.held_total:
        text += " · " + say(
            language, "app.bar.held", n=score.held_learned, total=score.held_total, base=score.base_held
        )
    return text


def plan_text(plan: Plan | None, language: str) -> str:
    if plan is None or not (plan.rows or plan.left_out):
        return say(language, "app.train.nothing")
    left_out = left_out_text(plan, language)
    if not plan.rows:
        return left_out
    per_pass = plan.steps // max(plan.passes, 1)
    sums = say(
        language,
        "app.train.sums",
        tokens=f"{plan.tokens:,}",
        per_pass=per_pass,
        passes=plan.passes,
        steps=plan.steps,
    )
    said = say(language, "app.train.ready", n=plan.rows, time=duration(plan.seconds, language))
    return "\n\n".join(filter(None, (said, sums, left_out)))


def left_out_text(plan: Plan, language: str) -> str:
    """How many rows a run would leave out, by reason; empty if none."""
    if not plan.left_out:
        return ""
    counts = Counter(row.reason for row in plan.left_out)
    mark = "、" if language == "ja" else ", "
    why = mark.join(say(language, f"app.train.why.{reason}", n=n) for reason, n in counts.most_common())
    return say(language, "app.train.left_out", n=len(plan.left_out), why=why)


def progress_text(progress: Progress, language: str) -> str:
    """One run in a few lines of Markdown."""

    def s(key: str, **values: Any) -> str:
        return say(language, "app.train." + key, **values)

    lines = [f"**{s('run', n=progress.run.number)}** · {s('phase.' + progress.phase)}"]
    if progress.total:
        lines.append(s("step", step=progress.step, total=progress.total))
        lines.append(s("learned", learned=progress.learned, of=progress.of))
    if progress.run.status == "running":
        if progress.tokens_per_s:
            lines.append(s("speed", n=round(progress.tokens_per_s)))
        if progress.eta_s is not None and progress.phase == "training":
            lines.append(s("left", time=clock(progress.eta_s)))
    else:
        lines.append(s("took", time=clock(progress.run.seconds or progress.elapsed_s)))
    if progress.run.snapshot_name:
        name = progress.run.snapshot_name.replace("<", "&lt;")
        lines.append(s("snapshot", name=name, sha256=progress.run.snapshot[:12]))
    if progress.run.error:
        lines.append(stored_error(language, progress.run.error).replace("<", "&lt;"))
    return "  \n".join(lines)


def results_value(results: Sequence[CheckResult], name: str, base_label: str) -> dict[str, Any]:
    return {
        "label": name,
        "base_label": base_label,
        "rows": [
            {
                "prompt": r.prompt,
                "expected": r.expected,
                "answer": r.answer,
                "right": r.is_right,
                "base_answer": r.base_answer,
                "base_right": r.is_base_right,
            }
            for r in results
        ],
    }
