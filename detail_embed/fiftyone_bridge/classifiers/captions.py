"""Class names as the texts of an index, encoded."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detail_embed.classifiers.captions import captions
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.search import query_vectors

_BATCH = 256


def encode_classes(
    index: Index, classes: Sequence[str], templates: str
) -> Generator[Progress, None, Tensor]:
    """Encodes the captions of classes by the model of an index.

    Args:
        index: one that can be searched by text
        classes: K names
        templates: see :func:`detail_embed.classifiers.captions.captions`

    Returns:
        ``(K, M, d)`` float32, unit length
    """
    texts = [text for name in classes for text in captions(name, templates)]
    distinct = list(dict.fromkeys(texts))
    model = query_vectors.model_of(index)
    parts = []
    for start in range(0, len(distinct), _BATCH):
        yield Progress(
            f"Encoding class names: {start} of {len(distinct)}", start / len(distinct)
        )
        some = distinct[start : start + _BATCH]
        if hasattr(model, "space"):  # ours
            part = model.space.backbone.encode_texts(some).cpu()
        else:
            with model:
                part = torch.as_tensor(np.asarray(model.embed_prompts(some)))
        parts.append(F.normalize(part.float(), dim=1))
    vectors = torch.cat(parts)
    places = {text: place for place, text in enumerate(distinct)}
    found = vectors[[places[text] for text in texts]]
    return found.unflatten(0, (len(classes), -1))
