"""What the form of the panel asks for, as a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone.operators as foo

from .state import judgements

if TYPE_CHECKING:
    import numpy as np

    from .state.search_state import Asked


def ask(ctx: foo.ExecutionContext, asked: Asked) -> str | np.ndarray:
    """The prompts in one line; with examples or judgements, a vector of all.

    Raises:
        ValueError: if nothing is asked for, or nothing of what was judged is there
    """
    judged = judgements.of(ctx, asked)
    if not judged:
        return unjudged(ctx, asked)
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.teach.teach import learn_concept

    text = _encode(ctx, asked, unjudged(ctx, asked))
    index = Index(ctx.dataset, asked.brain_key)
    concept = learn_concept(index, judged.up, judged.down, text)
    if not (concept.positives or concept.negatives):  # by the text alone
        why = "; ".join(f"{id} {reason}" for id, reason in concept.left_out.items())
        raise ValueError(f"{why}: judge others, or search anew")
    return concept.vector


def encode(ctx: foo.ExecutionContext, asked: Asked) -> np.ndarray:
    """The query as a vector; errors as of :func:`ask`."""
    return _encode(ctx, asked, ask(ctx, asked))


def unjudged(ctx: foo.ExecutionContext, asked: Asked) -> str | np.ndarray:
    """The prompts in one line; with examples, a vector of both; errors as of ask."""
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


def _encode(
    ctx: foo.ExecutionContext, asked: Asked, query: str | np.ndarray
) -> np.ndarray:
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search import query_vectors

    if not isinstance(query, str):
        return query
    index = Index(ctx.dataset, asked.brain_key)
    return query_vectors.encode(index, query, asked.templates)
