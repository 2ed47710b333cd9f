"""The vectors of a query's prompts, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from detail_embed.texts.templates import encode_queries, template_set

if TYPE_CHECKING:
    from detail_embed.backbone import Backbone
    from detail_embed.texts.text_adapter import TextAdapter


def encode_parts(
    parts: Sequence[tuple[str, bool]],
    backbone: Backbone,
    templates: str | Sequence[str] = "own",
    concept: Callable[[str], Tensor] | None = None,
    words: TextAdapter | None = None,
) -> Tensor:
    """Encodes the prompts of a query; their weights do not count.

    Args:
        parts: ``n`` texts, and whether each is the name of a concept
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
    named = [text for text, is_concept in parts if is_concept]
    if named and concept is None:
        raise ValueError(
            f"#{named[0]} names a concept, which a dataset keeps: search by an index "
            "of that dataset, or put quotes around the text"
        )
    texts = [text for text, is_concept in parts if not is_concept]
    sentences = template_set(templates)
    encoded = iter(texts and encode_queries(backbone, texts, sentences, words))
    return torch.stack([
        concept(text) if is_concept else next(encoded) for text, is_concept in parts
    ])


def label(text: str, is_concept: bool) -> str:
    """A part of a query as the label of what is found; of a concept with its sign."""
    return f"#{text}" if is_concept else text
