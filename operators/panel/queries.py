"""What the form of the panel asks for, as a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone.operators as foo

if TYPE_CHECKING:
    import numpy as np

    from .state.search_state import Asked


def ask(ctx: foo.ExecutionContext, asked: Asked) -> str | np.ndarray:
    """The prompts in one line; with examples, a vector of both.

    Raises:
        ValueError: if nothing is asked for
    """
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search import examples

    if asked.example:
        return examples.mix(
            Index(ctx.dataset, asked.brain_key), asked.text or None,
            vector=asked.example["vector"], weight=asked.example["weight"],
            templates=asked.templates,
        )
    if not asked.prompts:
        raise ValueError("type what you are looking for, and press Enter")
    return asked.text


def encode(ctx: foo.ExecutionContext, asked: Asked) -> np.ndarray:
    """The query as a vector; errors as of :func:`ask`."""
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search import query_vectors

    query = ask(ctx, asked)
    if not isinstance(query, str):
        return query
    index = Index(ctx.dataset, asked.brain_key)
    return query_vectors.encode(index, query, asked.templates)
