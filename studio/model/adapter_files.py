"""The files of an adapter: written by the worker, and checked before anything of them is loaded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.errors import AdapterRejected, Phrase
from studio.records import BaseIdentity

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "studio-adapter.json"
MAX_CONFIG_BYTES = 1_000_000
MAX_RANK = 256
MAX_ALPHA = 1024
PLAIN = frozenset(
    "base_model_name_or_path bias exclude_modules inference_mode init_lora_weights lora_alpha lora_dropout"
    " megatron_core peft_type peft_version qalora_group_size r revision target_modules task_type use_rslora".split()
)
"""Settings of an adapter that neither change the base nor add parts to it; any other one that is set is refused."""
_NAME = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, sha256: str, base: BaseIdentity, shapes: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Check an adapter's files against the base it is to sit beside.

    Args:
        sha256: the weight file's hash as registered.
        base: the identity of the loaded base.
        shapes: (out, in) of every linear module of the base, by module path.

    Returns:
        The parsed adapter configuration.

    Raises:
        AdapterRejected: the first check that fails, in words.
    """
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise AdapterRejected(
            Phrase("The adapter {name} has no {file}.", name=folder.name, file=WEIGHTS),
            "Only safetensors are read; train again or restore it.",
        )
    config = _json(folder / CONFIG)
    manifest = _json(folder / MANIFEST)
    trained_on = BaseIdentity.from_dict(manifest.get("base") or {})
    if trained_on != base:
        raise AdapterRejected(
            Phrase(
                "The adapter {name} belongs to another base: {trained_on}; loaded is {base}.",
                name=folder.name,
                trained_on=_name(trained_on),
                base=_name(base),
            ),
            "Start the studio with that base, or train again on this one.",
        )
    if file_sha256(weights) != sha256:
        raise AdapterRejected(
            Phrase("The weights of adapter {name} were changed after training (SHA-256 differs).", name=folder.name),
            "Train again, or restore the file.",
        )
    rank = config.get("r")
    if config.get("peft_type") != "LORA" or not isinstance(rank, int) or not 1 <= rank <= MAX_RANK:
        raise AdapterRejected(
            Phrase("The adapter {name} is not a LoRA adapter of rank 1 to {most}.", name=folder.name, most=MAX_RANK)
        )
    if config.get("auto_mapping"):
        raise AdapterRejected(
            Phrase("The adapter {name} asks to import code.", name=folder.name), "Such adapters are never loaded."
        )
    _verify_plain(config, folder.name)
    seen = _verify_tensors(weights, rank, shapes)
    targets = tuple(f".{target}" for target in config["target_modules"])  # as PEFT matches them
    if seen != {module for module in shapes if f".{module}".endswith(targets)}:
        raise AdapterRejected("The adapter's weights are not complete.", "Train again.")
    return config


def _verify_plain(config: Mapping[str, Any], name: str) -> None:
    """Refuse settings under which PEFT would change the base (PiSSA, tied or saved modules) or build other layers."""
    odd = sorted(key for key, value in config.items() if key not in PLAIN and value)
    if config.get("init_lora_weights") not in (True, False, None):
        odd.append("init_lora_weights")
    if config.get("bias", "none") != "none":
        odd.append("bias")
    if odd:
        raise AdapterRejected(
            Phrase("The adapter {name} is more than plain LoRA: it sets {names}.", name=name, names=", ".join(odd)),
            "Train again.",
        )
    targets, alpha = config.get("target_modules"), config.get("lora_alpha")
    if not isinstance(targets, list) or not targets or not all(isinstance(target, str) for target in targets):
        raise AdapterRejected(
            Phrase("The adapter {name} doesn't say which layers it changes.", name=name), "Train again."
        )
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha <= MAX_ALPHA:
        raise AdapterRejected(Phrase("The adapter {name} has no usable lora_alpha.", name=name), "Train again.")


def _verify_tensors(weights: Path, rank: int, shapes: Mapping[str, tuple[int, int]]) -> set[str]:
    """Check names, shapes and numbers; returns the modules that have both of their matrices."""
    import torch
    from safetensors import SafetensorError, safe_open

    seen: set[tuple[str, str]] = set()
    try:
        with safe_open(weights, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                match = _NAME.match(name)
                if match is None or match["module"] not in shapes:
                    raise AdapterRejected(
                        Phrase("The adapter has weights for {name}, which the base doesn't have.", name=name)
                    )
                module, side = match["module"], match["side"]
                out_features, in_features = shapes[module]
                expected = [rank, in_features] if side == "A" else [out_features, rank]
                tensor = file.get_tensor(name)
                if list(tensor.shape) != expected:
                    raise AdapterRejected(
                        Phrase(
                            "{name} has shape {shape}, the base needs {expected}.",
                            name=name,
                            shape=list(tensor.shape),
                            expected=expected,
                        )
                    )
                if not torch.isfinite(tensor).all():
                    raise AdapterRejected(
                        Phrase("{name} holds numbers that are not finite.", name=name), "Train again."
                    )
                seen.add((module, side))
    except SafetensorError as error:
        raise AdapterRejected(
            Phrase("The adapter's weights can't be read: {reason}.", reason=str(error)), "Train again."
        ) from error
    return {module for module, _ in seen if {(module, "A"), (module, "B")} <= seen}


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise AdapterRejected(Phrase("{file} is far too large.", file=path.name))
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterRejected(
            Phrase("{folder}/{file} can't be read.", folder=path.parent.name, file=path.name),
            "Train again or restore it.",
        ) from error
    if not isinstance(value, dict):
        raise AdapterRejected(Phrase("{file} is not a JSON object.", file=path.name))
    return value


def _name(base: BaseIdentity) -> str:
    return f"{base.model or 'unknown'} ({base.precision or '?'}, {base.sha256[:8] or '?'})"
