"""Supervised fine-tuning of an adapter, readable from top to bottom.

TRL's `SFTTrainer` with PEFT LoRA on a base in 4 bits (QLoRA, arXiv:2305.14314) or on the same values unpacked (LoRA,
arXiv:2106.09685). The loss is taken on what is marked to be learned only: the answer, and earlier turns. Training goes
on until every row comes out right, or the planned passes are over.
"""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from studio.errors import Cancelled, RunFailed
from studio.jobdir import JobDir
from studio.model.encoding import IGNORED, EncodedExample, Fit, TrainingRow, encode_examples, fit
from studio.records import Recipe
from studio.workspace import write_json

SHORT_ROW = 256
"""Tokens up to which plain attention beats torch's fused kernel on a CPU (in bf16, 0.5 against 0.7 s a step)."""


@dataclass
class Progress:
    """What the trainer knows of each row, and where it stands."""

    job: JobDir
    rows: int
    started: float = field(default_factory=time.time)
    right: set[int] = field(default_factory=set)
    tokens: int = 0
    """Prompt and answer tokens trained on so far."""
    training_started: float = 0.0

    def phase(self, name: str, **more: Any) -> None:
        self.job.append_event({"phase": name, "t": time.time(), "of": self.rows, **more})

    def require_not_cancelled(self) -> None:
        if self.job.is_cancel_asked():
            raise Cancelled("The run was cancelled.")


def run(job: JobDir, spec: dict[str, Any]) -> dict[str, Any]:
    """Train as `spec` says; the adapter is in `job.adapter` when this returns.

    Raises:
        Cancelled: someone asked to stop.
        RunFailed: no row can be trained on, or the loss stopped being a number.
    """
    recipe = Recipe(**spec["recipe"])
    rows = job.rows()
    progress = Progress(job, len(rows))
    progress.phase("loading")
    import torch

    from studio.model.loading import load_base
    from studio.model.template import load_tokenizer, template_hash

    torch.manual_seed(recipe.seed)
    base_path = Path(spec["base_path"])
    tokenizer = load_tokenizer(base_path)
    whole = encode_examples(tokenizer, [TrainingRow.from_dict(row) for row in rows])
    limit = min(recipe.max_length, spec["context_length"])
    fits = [fit(example.marks, limit, recipe.excess_length_strategy) for example in whole]
    kept = [i for i, one in enumerate(fits) if one.left_out is None]
    if not kept:
        raise _none_left(fits)
    encoded = [whole[i].cut(fits[i]) for i in kept]
    longest = max(len(example.ids) for example in encoded)
    progress.rows = len(kept)
    progress.require_not_cancelled()
    model = load_base(
        base_path,
        precision="nf4" if recipe.method == "qlora" else spec["base"]["precision"],
        packed=recipe.method == "qlora",
        device=spec["device"],
        dtype=spec["dtype"],
        attention="eager" if spec["device"] == "cpu" and longest <= SHORT_ROW else "sdpa",
    )
    progress.require_not_cancelled()
    progress.phase("preparing")
    trainer = _trainer(job, recipe, spec, model, tokenizer, encoded, progress)
    progress.training_started = time.time()
    trainer.train()
    train_s = time.time() - progress.training_started
    progress.require_not_cancelled()
    progress.phase("saving", step=trainer.state.global_step)
    sha256 = _save(job, spec, trainer, tokenizer, recipe)
    return {
        "sha256": sha256,
        "template_hash": template_hash(tokenizer),
        "learned": len(progress.right),
        "of": len(kept),
        **_told([row["example"] for row in rows], whole, fits, trainer.train_dataset),
        "passes": round(trainer.state.epoch or 0),
        "steps": trainer.state.global_step,
        "train_s": train_s,
        "train_tokens": progress.tokens,
        "tokens_per_s": progress.tokens / max(train_s, 1e-9),
        "peak_bytes": _peak_bytes(),
        "versions": _versions(),
        "ended": time.time(),
    }


def _none_left(fits: Sequence[Fit]) -> RunFailed:
    if any(one.left_out == "too-long" for one in fits):
        return RunFailed("No example fits into the model's context.", "Shorten the examples or raise max_length.")
    return RunFailed("There is nothing to learn in any of the examples.", "Mark the answers that are to be learned.")


def _told(ids: Sequence[str], whole: Sequence[EncodedExample], fits: Sequence[Fit], dataset: Any) -> dict[str, Any]:
    """What became of each row; tokens with loss are counted in what was trained on."""
    left_out = {id_: one.left_out for id_, one in zip(ids, fits, strict=True) if one.left_out is not None}
    kept = [id_ for id_ in ids if id_ not in left_out]
    by_row = {
        kept[row]: sum(label != IGNORED for label in labels[1:])
        for row, labels in zip(dataset["row"], dataset["labels"], strict=True)
    }
    return {
        "rows": len(by_row),
        "row_tokens": sum(map(len, dataset["input_ids"])),
        "loss_tokens": sum(by_row.values()),
        "loss_tokens_by_row": by_row,
        "cut_tokens": sum(one.cut for one in fits),
        "left_out": left_out,
        "too_long": [id_ for id_, reason in left_out.items() if reason == "too-long"],
        "unchecked": sum(not example.learns_answer for example in whole),
    }


def _trainer(
    job: JobDir,
    recipe: Recipe,
    spec: dict[str, Any],
    model: Any,
    tokenizer: Any,
    encoded: Sequence[EncodedExample],
    progress: Progress,
) -> Any:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig

    from studio.worker.completion import CompletionTrainer

    on_gpu = spec["device"] == "cuda"
    dataset = Dataset.from_dict(
        {
            "input_ids": [list(e.ids) for e in encoded],
            "labels": [e.labels() for e in encoded],
            "row": list(range(len(encoded))),
        }
    )
    arguments = SFTConfig(
        output_dir=str(job.path / "trainer"),
        use_cpu=not on_gpu,
        bf16=on_gpu and spec["dtype"] == "bfloat16",
        fp16=on_gpu and spec["dtype"] == "float16",
        per_device_train_batch_size=min(recipe.batch_size, len(encoded)),
        num_train_epochs=spec["passes"],
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, round(recipe.warmup * spec["passes"] * math.ceil(len(encoded) / recipe.batch_size))),
        weight_decay=recipe.weight_decay,
        max_length=None,
        # Recomputing activations halves memory and costs a third of the time; small models have the memory.
        activation_checkpointing=on_gpu and spec["parameters"] > 1_000_000_000,
        optim="adamw_torch_fused",
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=recipe.seed,
    )
    trainer = CompletionTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=recipe.r,
            lora_alpha=recipe.lora_alpha,
            lora_dropout=recipe.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        progress=progress,
        stop_when_learned=recipe.stop_when_learned,
        settle=_settling(recipe, spec, model, progress),
    )
    if not on_gpu:
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                # TRL turns adapter weights on a quantised base into bf16: too coarse for AdamW's small steps, and on
                # a CPU without native bf16 several times slower.
                parameter.data = parameter.data.to(torch.float32)
    return trainer


def _settling(recipe: Recipe, spec: dict[str, Any], model: Any, progress: Progress) -> Callable[[], None] | None:
    """What makes a QLoRA run end on the numbers the chat answers with, if those are others than it trained on.

    An adapter fitted to 4-bit weights is off by the rounding on the full ones; a pass or two there settles it.
    docs/decisions/0002 has the figures.
    """
    if recipe.method != "qlora" or spec["base"]["precision"] != "full":
        return None

    def settle() -> None:
        from studio.model.loading import unpack_

        needed = spec["parameters"] * (4 if spec["dtype"] == "float32" else 2)
        if spec["device"] == "cpu" and psutil.virtual_memory().available < needed:
            progress.phase("training", note="There was not enough memory to settle the adapter on the full weights.")
            return
        unpack_(model, Path(spec["base_path"]), spec["dtype"])

    return settle


def _save(job: JobDir, spec: dict[str, Any], trainer: Any, tokenizer: Any, recipe: Recipe) -> str:
    """Write the adapter under a temporary name, then rename; returns the SHA-256 of its weights."""
    from studio.model.adapter_files import CONFIG, MANIFEST, WEIGHTS, file_sha256
    from studio.model.template import template_hash, template_of

    folder = job.path / "adapter.writing"
    shutil.rmtree(folder, ignore_errors=True)
    trainer.model.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    # PEFT writes the local folder; other tools look for the model's public name.
    config["base_model_name_or_path"] = spec["base"]["model"]
    config["revision"] = spec["base"]["revision"] or None
    write_json(folder / CONFIG, config)
    (folder / "chat_template.jinja").write_text(template_of(tokenizer), encoding="utf-8")
    sha256 = file_sha256(folder / WEIGHTS)
    write_json(
        folder / MANIFEST,
        {
            "run": spec["run"],
            "base": spec["base"],
            "method": recipe.method,
            "snapshot": spec["snapshot"],
            "template_hash": template_hash(tokenizer),
            "sha256": sha256,
        },
    )
    shutil.rmtree(job.adapter, ignore_errors=True)
    os.rename(folder, job.adapter)
    shutil.rmtree(job.path / "trainer", ignore_errors=True)
    return sha256


def _peak_bytes() -> int:
    """Most memory this process held at once, in bytes."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate")}
