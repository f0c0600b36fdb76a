"""Models: catalogue, files, chat template, and the engine that answers. May import torch, but only inside functions
and in `hf_engine`, so that commands which don't need a model start fast."""
