"""`SFTTrainer` that scores only the positions with loss, knows which rows come out right, and stops when all do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from studio.errors import RunFailed
from studio.model.encoding import IGNORED

CHECK_FROM = 0.7
"""Share of rows right when last trained on, from which on a pass ends with a check of all of them."""
SETTLE_FROM, SETTLE_BY = 0.4, 0.4
"""Share of rows right, or of the planned steps done, from which on a QLoRA run goes on with the full weights."""
CHECK_BATCH = 16


class CompletionTrainer(SFTTrainer):
    """TRL's trainer with its loss computed on the logits of what is learned alone: answers, and marked earlier turns.

    TRL scores every position on a CPU; prompts are most of a row here, and the output head is a fifth of a small
    model's work.
    """

    def __init__(
        self, *, progress: Any, stop_when_learned: bool, settle: Callable[[], None] | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.data_collator: Callable[[list[dict[str, Any]]], dict[str, Any]]
        collate = self.data_collator
        self.progress = progress

        def with_rows(examples: list[dict[str, Any]]) -> dict[str, Any]:
            rows = torch.tensor([example["row"] for example in examples])
            return {**collate([{k: e[k] for k in ("input_ids", "labels")} for e in examples]), "row": rows}

        self.data_collator = with_rows
        self.add_callback(_Follow(self, progress, stop_when_learned, settle))

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any | None = None,
    ) -> Any:
        """Cross-entropy of the tokens that are learned; notes which rows of the batch were all right."""
        self.progress.require_not_cancelled()
        rows = inputs.pop("row").tolist()
        self.progress.tokens += int(inputs["attention_mask"].sum())
        logits, labels, places = learned_logits(model, inputs)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
        for row, is_right in zip(rows, rows_right(logits, labels, places, len(rows)), strict=True):
            (self.progress.right.add if is_right else self.progress.right.discard)(row)
        count = num_items_in_batch if num_items_in_batch is not None else len(labels)
        loss = loss / count
        if not torch.isfinite(loss):
            raise RunFailed("The loss stopped being a number.", "Lower the learning rate.")
        return (loss, {"logits": logits}) if return_outputs else loss

    def check_all_rows(self) -> set[int]:
        """Rows whose every learned token is the most likely one after its true predecessors.

        Then, and only then, greedy decoding reproduces the whole answer, and each marked turn after the turns before
        it. Only dropout leaves training mode: in evaluation mode bitsandbytes repacks 4-bit weights for good on some
        CPUs.
        """
        dropouts = [module for module in self.model.modules() if isinstance(module, torch.nn.Dropout)]
        for module in dropouts:
            module.eval()
        try:
            return self._rows_right_now()
        finally:
            for module in dropouts:
                module.train()

    def _rows_right_now(self) -> set[int]:
        dataset = self.train_dataset
        order = sorted(range(len(dataset)), key=lambda i: len(dataset[i]["input_ids"]))
        right: set[int] = set()
        for start in range(0, len(order), CHECK_BATCH):
            self.progress.require_not_cancelled()
            batch = self.data_collator([dataset[i] for i in order[start : start + CHECK_BATCH]])
            batch = {k: v.to(self.model.device) for k, v in batch.items()}
            rows = batch.pop("row").tolist()
            with torch.no_grad(), self.compute_loss_context_manager():
                flags = rows_right(*learned_logits(self.model, batch), len(rows))
            right |= {row for row, is_right in zip(rows, flags, strict=True) if is_right}
        return right


def learned_logits(model: Any, inputs: dict[str, Any]) -> tuple[Any, Any, Any]:
    """What the model says at the positions with loss alone.

    Returns:
        Logits (N, V), the labels (N,) they predict, and the place in the batch (N,) of each one's row; N is the
        number of learned tokens in the batch.
    """
    # Position t predicts token t + 1.
    labels = inputs["labels"][:, 1:]
    is_learned = labels != IGNORED
    head = model.get_output_embeddings()
    # The head is handed these positions only, by a hook, so that whatever a model does to its logits still happens.
    handle = head.register_forward_pre_hook(lambda _, hidden: (hidden[0][:, :-1][is_learned].unsqueeze(0),))
    try:
        output = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
    finally:
        handle.remove()
    return output.logits[0], labels[is_learned], is_learned.nonzero()[:, 0]


def rows_right(logits: Any, labels: Any, places: Any, count: int) -> list[bool]:
    """Whether each row's labelled tokens are all the most likely ones; arguments as `learned_logits` returns them."""
    wrong = set(places[logits.detach().argmax(dim=-1) != labels].tolist())
    return [place not in wrong for place in range(count)]


class _Follow(TrainerCallback):
    """Writes an event per step, and ends training once every row is right."""

    def __init__(
        self, trainer: CompletionTrainer, progress: Any, stop_when_learned: bool, settle: Callable[[], None] | None
    ) -> None:
        self._trainer = trainer
        self._progress = progress
        self._stop = stop_when_learned
        self._settle = settle

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        progress = self._progress
        elapsed = time.time() - progress.training_started
        step, total = state.global_step, state.max_steps
        loss = float(logs["loss"])
        progress.phase(
            "training",
            step=step,
            total=total,
            passes=math.ceil(state.epoch or 0),
            loss=loss,
            learning_rate=float(logs.get("learning_rate", 0)),
            learned=len(progress.right),
            tokens_per_s=progress.tokens / max(elapsed, 1e-9),
            eta_s=elapsed / step * (total - step),
        )

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        progress = self._progress
        is_last = state.global_step >= state.max_steps
        is_near = len(progress.right) >= CHECK_FROM * progress.rows
        is_formed = len(progress.right) >= SETTLE_FROM * progress.rows
        if self._settle is not None and (is_formed or state.global_step >= SETTLE_BY * state.max_steps):
            self._settle()
            self._settle = None
            if not is_last:
                return
        if not is_near and not is_last:
            return
        progress.right = self._trainer.check_all_rows()
        progress.phase(
            "training", step=state.global_step, total=state.max_steps, learned=len(progress.right), checked=True
        )
        if self._stop and len(progress.right) == progress.rows:
            control.should_training_stop = True
