"""LLaMA-Factory's `dataset_info.json`: the entry that tells it how to read an export (its data/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput, Phrase

_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
NAME = "dataset_info.json"


def entry(format_: str, file_name: str, columns: set[str]) -> dict[str, Any]:
    """The entry of one file.

    Args:
        format_: alpaca, sharegpt, trl-dpo or trl-kto; of the last two, the copy in the ShareGPT shape.
        columns: those that occur in the file. LLaMA-Factory fails on a column that is named and not there.
    """
    if format_ == "alpaca":
        names = {"prompt": "instruction", "query": "input", "response": "output", "system": "system"}
        names["history"] = "history"
        return {"file_name": file_name, "formatting": "alpaca", "columns": _present(names, columns)}
    names = {"messages": "conversations", "system": "system", "tools": "tools"}
    value: dict[str, Any] = {"file_name": file_name, "formatting": "sharegpt"}
    if format_ == "trl-dpo":
        value["ranking"] = True
        names |= {"chosen": "chosen", "rejected": "rejected"}
    if format_ == "trl-kto":
        names["kto_tag"] = "kto_tag"
    return value | {"columns": _present(names, columns), "tags": _TAGS}


def _present(names: dict[str, str], columns: set[str]) -> dict[str, str]:
    return {ours: theirs for ours, theirs in names.items() if theirs in columns}


def names_file(path: Path, file_name: str) -> bool:
    """Whether an entry of `dataset_info.json` is of that file; raises as `with_entry`."""
    return any(isinstance(e, dict) and e.get("file_name") == file_name for e in _entries(path).values())


def with_entry(path: Path, name: str, value: dict[str, Any]) -> str:
    """The text of `dataset_info.json` with one entry put in; the others stay.

    Raises:
        InvalidInput: there is such a file, but it is broken.
    """
    return json.dumps({**_entries(path), name: value}, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _entries(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise InvalidInput(
            Phrase("{path} can't be read: {reason}.", path=path, reason=str(error)), "Mend it, or move it away."
        ) from error
    if not isinstance(entries, dict):
        raise InvalidInput(Phrase("{path} holds no named entries.", path=path), "Mend it, or move it away.")
    return entries
