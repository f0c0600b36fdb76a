"""The language model: catalogue, weights, machine, engine. May import torch."""
