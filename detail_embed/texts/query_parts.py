"""The vectors of a query's prompts, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from detail_embed.texts.templates import encode_queries, template_set

if TYPE_CHECKING:
    from detail_embed.backbone import Backbone
    from detail_embed.texts.query import Query
    from detail_embed.texts.text_adapter import TextAdapter


def encode_parts(
    query: Query,
    backbone: Backbone,
    templates: str | Sequence[str] = "own",
    concept: Callable[[str], Tensor] | None = None,
    words: TextAdapter | None = None,
) -> Tensor:
    """Encodes the prompts of a query; their weights do not count.

    Args:
        query: texts and concepts
        backbone: the model
        templates ("own"): as of :func:`detail_embed.texts.templates.template_set`
        concept (None): gives the vector ``(d,)`` of a concept by its name, on that
            device, too; None where nobody knows any
        words (None): learned words, which move texts that mean them

    Returns:
        ``(n, d)`` float32, on the device of the backbone; those of texts of unit length

    Raises:
        TypeError: if a template is no string
        ValueError: if the templates are wrong, or a concept is not known
    """
    if query.concepts and concept is None:
        raise ValueError(
            f"#{query.concepts[0]} names a concept, which a dataset keeps: search "
            "by an index of that dataset, or put quotes around the text"
        )
    texts = [prompt.text for prompt in query.prompts if not prompt.is_concept]
    sentences = template_set(templates)
    encoded = iter(texts and encode_queries(backbone, texts, sentences, words))
    kinds = [(prompt.is_concept, prompt.text) for prompt in query.prompts]
    rows = [concept(name) if known else next(encoded) for known, name in kinds]
    return torch.stack(rows)
