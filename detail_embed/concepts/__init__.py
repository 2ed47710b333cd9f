"""Concepts: one vector learned from examples, which is then a prompt like any other."""

from detail_embed.concepts.background import Background
from detail_embed.concepts.example import Example
from detail_embed.concepts.learn import learn

__all__ = ["Background", "Example", "learn"]
