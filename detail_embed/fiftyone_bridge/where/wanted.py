"""What is to be shown in images: a vector for each prompt, and the text of its labels.

Every prompt has places of its own; what a query says "but not" of is kept away from
all of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from detail_embed.fiftyone_bridge.concepts import resolve
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.texts import query_parts
from detail_embed.texts.query import Query
from detail_embed.texts.read_query import read_query
from detail_embed.texts.templates import template_set

_NO_TEXT = "query"


def check(index: Index, query: str | np.ndarray, templates: str = "own") -> None:
    """Checks all that can be checked quickly.

    Raises:
        ValueError: if the query says nothing that is in a place, or of a concept that
            the dataset does not have, or the templates are wrong
    """
    template_set(templates)
    if not isinstance(query, np.ndarray):
        resolve.vectors(index, _parse(query).concepts)
        return
    shape = np.shape(query)
    if len(shape) != 1 or not np.isfinite(query).all() or not np.any(query):
        raise ValueError(
            f"the query must be a text or a finite vector that is not 0, not {shape}"
        )


def encode(
    index: Index, query: str | np.ndarray, space: EmbeddingSpace, *,
    label: str | None = None, templates: str = "own",
) -> list[tuple[str, Tensor]]:
    """Texts of labels, and vectors ``(d,)`` on the device of the model.

    Args:
        index: of a dataset that knows the concepts
        query: prompts in a line, or a vector
        space: encodes the prompts
        label (None): of all; by default the texts of the prompts
        templates ("own"): sentences around the prompts

    Raises:
        ValueError: if the vector is of another space, or prompts cancel each other out
    """
    if isinstance(query, np.ndarray):
        if len(query) != space.dim:
            raise ValueError(
                f"the query has {len(query)} dimensions, but the index is of a space "
                f"of {space.dim}: it is of another model"
            )
        vector = torch.from_numpy(np.asarray(query, np.float32))
        return [(label or _NO_TEXT, vector)]
    parsed, device = _parse(query), space.backbone.device
    known = {
        name: torch.tensor(vector, device=device)
        for name, vector in resolve.vectors(index, parsed.concepts).items()
    }
    parts = query_parts.encode_parts(
        parsed.parts, space.backbone, templates, known.__getitem__, space.words
    )
    weights = [prompt.weight for prompt in parsed.prompts]
    wanted = [at for at, weight in enumerate(weights) if weight > 0]
    if len(wanted) == 1:
        return [(label or query, parsed.combine(parts))]
    unwanted = [at for at, weight in enumerate(weights) if weight < 0]
    found = {}
    for at in wanted:
        rows = [at, *unwanted]
        alone = Query(tuple(parsed.prompts[row] for row in rows))
        found[query_parts.label(*parsed.parts[at])] = alone.combine(parts[rows])
    return [(label or text, vector) for text, vector in found.items()]


def _parse(text: str) -> Query:
    query = read_query(text)
    if query.is_only_negative:
        raise ValueError(
            f"{text!r:.80} only says what not to look for, which is in no place: add "
            "what to look for"
        )
    return query
