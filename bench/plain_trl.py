"""The plain tool: LoRA or QLoRA with TRL's SFTTrainer, as its documentation has it, on the same rows.

`python -m bench.plain_trl MODEL ROWS OUT METHOD NUMBERS PASSES`. NUMBERS is `float32`, or `default`: whatever TRL,
transformers and bitsandbytes choose when nothing is said (weights as they lie in the folder, bfloat16 autocast).
The recipe is ours: rank, rate, schedule, batch and passes. Activations are not recomputed, though TRL would by
default: that saves memory and costs time. Nothing of the studio is used but the rule for equal answers.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.time()

import torch  # noqa: E402
from datasets import load_dataset  # noqa: E402
from peft import LoraConfig, PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

from bench.child import say  # noqa: E402
from studio.records import Recipe, is_same_answer  # noqa: E402

BATCH = 8


class FirstStep(TrainerCallback):
    """Notes when the first step was done."""

    at = 0.0

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.at = self.at or time.time()


def main(model: str, rows: str, out: str, method: str, numbers: str, passes: str) -> None:
    recipe = Recipe()
    load: dict[str, Any] = {"dtype": torch.float32} if numbers == "float32" else {}
    if method == "qlora":
        load["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32 if numbers == "float32" else torch.bfloat16,
        )
    data = load_dataset("json", data_files=rows, split="train")
    train = data.filter(lambda row: row["split"] == "train").remove_columns("split")
    test = data.filter(lambda row: row["split"] == "test")
    arguments = SFTConfig(
        output_dir=out,
        num_train_epochs=int(passes),
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup,
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **({"bf16": False} if numbers == "float32" else {}),
    )
    first = FirstStep()
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, **load),
        args=arguments,
        train_dataset=train,
        processing_class=AutoTokenizer.from_pretrained(model),
        peft_config=LoraConfig(
            r=recipe.r, lora_alpha=recipe.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[first],
    )
    tokens = sum(len(ids) for ids in trainer.train_dataset["input_ids"]) * int(passes)
    begun = time.time()
    trainer.train()
    trained = time.time()
    trainer.save_model(out)
    saved = time.time()
    del trainer

    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model, **load), out).eval()
    loaded = time.time()
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    answer(tuned, tokenizer, [train[0]["prompt"]], 1)
    answered = time.time()
    say(
        {
            "first_step_s": first.at - STARTED,
            "train_s": trained - begun,
            "tokens_per_s": tokens / (trained - begun),
            "live_s": loaded - STARTED,
            "first_token_s": answered - trained,
            "save_s": saved - trained,
            "load_s": loaded - saved,
            "learned": exact(tuned, tokenizer, list(train)),
            "held": exact(tuned, tokenizer, list(test)),
        }
    )


def exact(model: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> int:
    """How many answers come out as expected under greedy decoding."""
    right = 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        expected = [row["completion"][0]["content"] for row in batch]
        limit = max(len(tokenizer(text)["input_ids"]) for text in expected) + 8
        texts = answer(model, tokenizer, [row["prompt"] for row in batch], limit)
        right += sum(map(is_same_answer, expected, texts))
    return right


@torch.inference_mode()
def answer(model: Any, tokenizer: Any, prompts: list[Any], limit: int) -> list[str]:
    inputs = tokenizer.apply_chat_template(
        prompts, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
    ).to(model.device)
    output = model.generate(**inputs, max_new_tokens=limit, do_sample=False)
    return list(tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


if __name__ == "__main__":
    Path(sys.argv[3]).mkdir(parents=True, exist_ok=True)
    main(*sys.argv[1:])
