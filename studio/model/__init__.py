"""Models: catalogue, files, chat template, and the engine that answers. May import torch, but only inside functions
and in `hf_engine`, so that commands which don't need a model start fast."""

import logging


def _is_news(record: logging.LogRecord) -> bool:
    # bitsandbytes wants compiled code from the network, which we leave alone, and says so to whoever starts the app.
    return not str(record.msg).startswith("Failed to load CPU gemm_4bit_forward from kernels-community")


# Here, since peft and trl load bitsandbytes, and whoever loads those comes by here first.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(_is_news)
