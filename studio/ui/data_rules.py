"""Guidelines: what the experts agreed on, in their words and as rules that every answer is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from studio import dataset, projects, quality, rules
from studio.context import Studio
from studio.errors import InvalidInput
from studio.records import Example, Project
from studio.rows import Rule
from studio.ui import data_rows, words_reasons
from studio.ui.board import Asked, Board, Reply, is_same, look, offset_of, wire
from studio.ui.session import QUIET, Desk, Session
from studio.ui.told import error_text
from studio.ui.words import t

SHOWN = 5
"""Rows shown of those that break a rule."""
THOUGHT_OF = "new"
"""The id of a rule that is not added yet."""


class RulesBoard(Board):
    """The guidelines' text, the rules with how many rows break each, and a rule to add with what it would find."""

    scripts = ("board.js", "marked.js", "rules.js")
    css_class = "st-rules"
    word_prefix = "app.rules."
    gestures = ("look", "guide", "add", "remove", "table")


def build(desk: Desk, session: gr.State, table: Sequence[Any]) -> None:
    """`table`: what shows rows in the table, in the order of `data_rows.showing`."""
    with gr.Tab(t("app.data.rules"), id="rules"):
        board = RulesBoard(elem_id="rules")
    gestures = {"look": look, "guide": save_guidelines, "add": add, "remove": remove}
    wire(desk, session, board, gestures, Shown().value)

    def to_table(at: Session, event: gr.EventData) -> tuple[Any, ...]:
        rows = {"flags": ["rule"], "statuses": list(quality.LOOKED_AT.statuses)}
        if event._data.get("id"):
            rows = {"ids": [str(event._data["id"])]}
        return data_rows.showing(desk.studio, at, rows)

    board.listen("table", to_table, [session], list(table), **QUIET)


# What is shown


class Shown:
    """What the board shows. Remembers which rows break the rules until a row or a rule changes: typing asks often."""

    def __init__(self) -> None:
        self._counted: dict[str, tuple[object, quality.Breaking]] = {}

    def value(self, studio: Studio, at: Session, asked: Asked) -> dict[str, Any]:
        project = projects.get(studio, at.project_id)
        found = self._breaking(studio, project)
        thought_of, problem = _thought_of(at, asked) if is_same(at, asked) else (None, "")
        draft: dict[str, Any] = {"asked": _draft_key(asked), "problem": problem, "found": None}
        if thought_of:
            would = quality.breaking(studio, project.id, [thought_of])
            draft["found"] = {
                **_rule_value(studio, at, asked, thought_of, would.by_rule[THOUGHT_OF]),
                "looked_at": would.rows,
            }
        return {
            "guidelines": project.guidelines,
            "most": projects.MAX_TEXT,
            "looked_at": found.rows if project.rules else found.total,
            "total": found.total,
            "flagged": dataset.facets(studio, project.id, quality.LOOKED_AT).flags.get("rule", 0),
            "rules": [_rule_value(studio, at, asked, rule, found.by_rule[rule.id]) for rule in project.rules],
            "draft": draft,
        }

    def _breaking(self, studio: Studio, project: Project) -> quality.Breaking:
        state = (studio.store.examples.stamp(project.id), project.rules)
        before = self._counted.get(project.id)
        if before is None or before[0] != state:
            before = self._counted[project.id] = (state, quality.breaking(studio, project.id, project.rules))
        return before[1]


def _thought_of(at: Session, asked: Asked) -> tuple[Rule | None, str]:
    """The rule that is being written, if it can be used; else why it can't."""
    draft = asked.get("draft")
    if not draft or not str(draft.get("value") or "").strip():
        return None, ""
    rule = Rule(THOUGHT_OF, draft.get("kind"), str(draft["value"]).strip(), str(draft.get("message") or "").strip())
    try:
        return rules.validate(rule), ""
    except InvalidInput as error:
        return None, error_text(at.language, error)


def _draft_key(asked: Asked) -> list[str]:
    draft = asked.get("draft") or {}
    return [str(draft.get(name) or "") for name in ("kind", "value", "message")]


def _rule_value(studio: Studio, at: Session, asked: Asked, rule: Rule, ids: Sequence[str]) -> dict[str, Any]:
    """A rule, how many rows break it, and some of them where they are asked for."""
    made: dict[str, Any] = {
        "id": rule.id,
        "kind": rule.kind,
        "value": rule.value,
        "message": rule.message,
        "blocks": rule.blocks,
        "breaking": len(ids),
    }
    if rule.id == THOUGHT_OF or (asked.get("open") == rule.id and is_same(at, asked)):
        offset = offset_of(asked, len(ids), SHOWN) if rule.id != THOUGHT_OF else 0
        rows = studio.store.examples.get_many(ids[offset : offset + SHOWN])
        made |= {"offset": offset, "rows": [_broken_value(row, rule, at.language) for row in rows]}
    return made


def _broken_value(row: Example, rule: Rule, language: str) -> dict[str, Any]:
    broken = next(iter(rules.broken([rule], row.answer)), None)
    return {
        "id": row.id,
        "question": " ".join(row.question.split())[:200],
        "answer": row.answer[:1500],
        "status": row.status,
        "span": list(broken.span) if broken and broken.span else None,
        "reason": words_reasons.say("rule", broken.message, language) if broken else "",
    }


# What is done


def save_guidelines(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    current = projects.get(studio, at.project_id)
    text = str(asked["text"])
    if str(asked.get("was") or "") != current.guidelines and text != current.guidelines:
        raise InvalidInput("Somebody changed the guidelines meanwhile.", "Copy your text, then load theirs.")
    projects.update(studio, at.project_id, guidelines=text)
    return {"ok": True, "saved": text}


def add(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    rule = asked["rule"]
    quality.add_rule(
        studio,
        at.project_id,
        rule["kind"],
        str(rule["value"]),
        str(rule.get("message") or ""),
        bool(rule.get("blocks")),
    )
    return {"ok": True, "did": "added"}


def remove(studio: Studio, at: Session, asked: Asked, author: str) -> Reply:
    """Take a rule away; the reply carries it, to be added again."""
    gone = next((r for r in projects.get(studio, at.project_id).rules if r.id == asked["id"]), None)
    quality.remove_rule(studio, at.project_id, str(asked["id"]))
    return {"ok": True, "did": "removed", "undo": {"rule": vars(gone) if gone else None}}
