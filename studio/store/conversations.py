"""Conversations, their tree of messages, and what the expert did to the answers."""

from __future__ import annotations

import json

from studio.records import Conversation, Correction, Message
from studio.store.database import Database, Row, as_stored, as_utc

_MESSAGE = (
    "id, conversation_id, parent_id, role, text, author, adapter_id, model, prompt, template_hash, sampling, state,"
    " pair, created_at"
)


def _conversation(row: Row) -> Conversation:
    return Conversation(**{**row, "created_at": as_utc(row["created_at"])})


def _message(row: Row) -> Message:
    return Message(**{**row, "sampling": json.loads(row["sampling"]), "created_at": as_utc(row["created_at"])})


def _correction(row: Row) -> Correction:
    return Correction(**{**row, "created_at": as_utc(row["created_at"])})


class Conversations:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, conversation: Conversation) -> None:
        self._db.execute(
            "INSERT INTO conversations (id, project_id, title, leaf_id, created_at) VALUES (?, ?, ?, ?, ?)",
            [
                conversation.id,
                conversation.project_id,
                conversation.title,
                conversation.leaf_id,
                as_stored(conversation.created_at),
            ],
        )

    def get(self, conversation_id: str) -> Conversation | None:
        row = self._db.row("SELECT * FROM conversations WHERE id = ?", [conversation_id])
        return _conversation(row) if row else None

    def set_leaf(self, conversation_id: str, leaf_id: str | None) -> None:
        self._db.execute("UPDATE conversations SET leaf_id = ? WHERE id = ?", [leaf_id, conversation_id])

    def set_title(self, conversation_id: str, title: str) -> None:
        self._db.execute("UPDATE conversations SET title = ? WHERE id = ?", [title, conversation_id])

    def find(self, project_id: str, text: str = "", limit: int = 50) -> list[Conversation]:
        """Conversations with `text` in the title or any message, newest first."""
        rows = self._db.rows(
            "SELECT * FROM conversations c WHERE project_id = ? AND leaf_id IS NOT NULL AND (? = ''"
            " OR contains(lower(title), lower(?)) OR EXISTS (SELECT 1 FROM messages m"
            " WHERE m.conversation_id = c.id AND contains(lower(m.text), lower(?)))) ORDER BY id DESC LIMIT ?",
            [project_id, text, text, text, limit],
        )
        return [_conversation(row) for row in rows]

    def add_message(self, message: Message) -> None:
        self._db.execute(
            f"INSERT INTO messages ({_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                message.id,
                message.conversation_id,
                message.parent_id,
                message.role,
                message.text,
                message.author,
                message.adapter_id,
                message.model,
                message.prompt,
                message.template_hash,
                json.dumps(dict(message.sampling)),
                message.state,
                message.pair,
                as_stored(message.created_at),
            ],
        )

    def message(self, message_id: str) -> Message | None:
        row = self._db.row(f"SELECT {_MESSAGE} FROM messages WHERE id = ?", [message_id])
        return _message(row) if row else None

    def messages(self, conversation_id: str) -> list[Message]:
        """Every message of the tree, oldest first."""
        rows = self._db.rows(
            f"SELECT {_MESSAGE} FROM messages WHERE conversation_id = ? ORDER BY id", [conversation_id]
        )
        return [_message(row) for row in rows]

    def add_correction(self, correction: Correction) -> None:
        self._db.execute(
            "INSERT INTO corrections (id, message_id, project_id, example_id, verdict, original, text, reason, note,"
            " author, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                correction.id,
                correction.message_id,
                correction.project_id,
                correction.example_id,
                correction.verdict,
                correction.original,
                correction.text,
                correction.reason,
                correction.note,
                correction.author,
                as_stored(correction.created_at),
            ],
        )

    def corrections(self, conversation_id: str) -> list[Correction]:
        """Every correction made in a conversation, oldest first."""
        rows = self._db.rows(
            "SELECT c.* FROM corrections c JOIN messages m ON m.id = c.message_id WHERE m.conversation_id = ?"
            " ORDER BY c.id",
            [conversation_id],
        )
        return [_correction(row) for row in rows]

    def correction_of(self, message_id: str) -> Correction | None:
        """The latest correction of a message."""
        row = self._db.row("SELECT * FROM corrections WHERE message_id = ? ORDER BY id DESC LIMIT 1", [message_id])
        return _correction(row) if row else None
