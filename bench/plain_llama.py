"""The plain tool: llama.cpp, through `xllamacpp`, on the GGUF that the default model was made from.

`python -m bench.plain_llama GGUF TOKENS`. Q4_1 weights, while ours computes with unpacked ones: what a CPU can reach.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import xllamacpp

from bench.child import say
from bench.material import QUESTIONS
from bench.timing import Answer, summary
from studio.model.probe import usable_cores


def main(path: str, tokens: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = 2048
    params.n_parallel = 1
    params.verbosity = -1
    params.cpuparams.n_threads = usable_cores()
    params.cpuparams_batch.n_threads = usable_cores()
    server = xllamacpp.Server(params)
    _answer(server, QUESTIONS[0], 8)
    say(summary([_answer(server, question, int(tokens)) for question in QUESTIONS]))


def _answer(server: Any, question: str, tokens: int) -> Answer:
    moments: list[float] = []

    def note(chunk: Any) -> bool:
        for part in chunk if isinstance(chunk, list) else [chunk]:
            value = json.loads(part) if isinstance(part, str | bytes) else part
            choices = value.get("choices") or [{}]
            if choices[0].get("delta", {}).get("content"):
                moments.append(time.perf_counter())
        return False

    asked = time.perf_counter()
    server.handle_chat_completions(
        {
            "messages": [{"role": "user", "content": question}],
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "cache_prompt": False,
        },
        note,
    )
    return Answer.of(asked, moments, len(moments))


if __name__ == "__main__":
    main(*sys.argv[1:])
