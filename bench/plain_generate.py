"""The plain tool: transformers' `generate`, with PEFT where there is an adapter, on the same folder.

`python -m bench.plain_generate MODEL TOKENS DTYPE [ADAPTER_FOLDER]`
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.streamers import BaseStreamer

from bench.child import say
from bench.material import QUESTIONS
from bench.timing import Answer, summary


class Clock(BaseStreamer):
    """Notes when each token came."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def put(self, _: Any) -> None:
        self.moments.append(time.perf_counter())

    def end(self) -> None:
        pass


def main(path: str, tokens: str, dtype: str, adapter: str = "") -> None:
    tokenizer = AutoTokenizer.from_pretrained(path)
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).eval()
    _answer(model, tokenizer, QUESTIONS[0], 8)
    say(summary([_answer(model, tokenizer, question, int(tokens)) for question in QUESTIONS]))


@torch.inference_mode()
def _answer(model: Any, tokenizer: Any, question: str, tokens: int) -> Answer:
    clock, asked = Clock(), time.perf_counter()
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    model.generate(**inputs, max_new_tokens=tokens, do_sample=False, streamer=clock)
    moments = clock.moments[1:]  # the first call brings the prompt
    return Answer.of(asked, moments, len(moments))


if __name__ == "__main__":
    main(*sys.argv[1:])
