"""Teach a language model by correcting it."""

__version__ = "0.1.0"
