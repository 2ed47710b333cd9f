"""Texts against the images of a collection: cosines and z-scores by an index."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from numbers import Real

import fiftyone.core.collections as foc
import numpy as np
import torch
from torch.nn import functional as F

from detail_embed.fiftyone_bridge.concepts import resolve
from detail_embed.fiftyone_bridge.index import brain_runs, vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts.query import Prompt
from detail_embed.texts.read_query import read_prompt

_BATCH = 64


class PromptScores:
    """Scores texts on all images of an index.

    Args:
        index: an index that can be searched by text
        samples: a dataset or view of images

    Attributes:
        ids: of the ``m`` samples that have a vector
        rows: ``(m,)`` int64, their places among the ``n`` images of the index
        without: how many samples have no vector

    Raises:
        ValueError: if no image of the samples has a vector
    """

    def __init__(self, index: Index, samples: foc.SampleCollection):
        self._index = index
        self._vectors = vectors.load(index)
        places = {id: place for place, id in enumerate(self._vectors.ids)}
        ids = samples.values("id")
        self.ids = [id for id in ids if id in places]
        self.rows = np.array([places[id] for id in self.ids], np.int64)
        self.without = len(ids) - len(self.ids)
        if not self.ids:
            raise ValueError(
                f"none of the {len(ids)} images has a vector in the index "
                f"{index.key!r}; compute it for them"
            )

    def encode(self, texts: Sequence[str]) -> Generator[Progress, None, torch.Tensor]:
        """Encodes texts as the index does; see :func:`encode_prompts`."""
        return encode_prompts(self._index, texts)

    def scores(self, vector: torch.Tensor) -> np.ndarray:
        """Cosines of a query and the ``n`` images of the index, float32."""
        return self._vectors.scores(vector.numpy())


def encode_prompts(
    index: Index, texts: Sequence[str]
) -> Generator[Progress, None, torch.Tensor]:
    """Encodes texts as an index does, and ``#names`` as the concepts they are.

    Args:
        index: an index that can be searched by text
        texts: ``q`` prompts, see :func:`detail_embed.texts.read_query.read_prompt`

    Returns:
        ``(q, d)`` float32, unit length
    """
    parts = []
    for start in range(0, len(texts), _BATCH):
        yield Progress(
            f"Encoding prompts: {start} of {len(texts)}", start / len(texts)
        )
        prompts = [read_prompt(text) for text in texts[start : start + _BATCH]]
        part = query_vectors.encode_prompts(index, prompts)
        parts.append(torch.from_numpy(part))
    return F.normalize(torch.cat(parts), dim=1)


def encode_labels(
    index: Index, labels: Mapping[str, Sequence[str]]
) -> Generator[Progress, None, torch.Tensor]:
    """Encodes labels, each as the mean of its prompts.

    Args:
        index: an index that can be searched by text
        labels: the prompts of each, see :func:`detail_embed.texts.zero_shot.parse`

    Returns:
        ``(K, d)`` float32, unit length
    """
    texts = [prompt for prompts in labels.values() for prompt in prompts]
    features = yield from encode_prompts(index, texts)
    groups = features.split([len(prompts) for prompts in labels.values()])
    return F.normalize(torch.stack([group.mean(0) for group in groups]), dim=1)


def check_scorable(index: Index, samples: foc.SampleCollection) -> foc.SampleCollection:
    """Checks that images can be scored by an index.

    Returns:
        the images that the samples mean

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    images = index.images_of(samples)
    brain_runs.check_promptable(index)
    return images


def check_prompts(index: Index, prompts: Iterable[Prompt]) -> None:
    """Checks that an index knows the concepts among prompts.

    Raises:
        ValueError: naming one that it does not
    """
    resolve.vectors(index, (prompt.text for prompt in prompts if prompt.is_concept))


def check_threshold(threshold: float) -> None:
    """Checks that a threshold is a number.

    Raises:
        ValueError: if not
    """
    is_number = is_a(Real, threshold)
    if not is_number or not math.isfinite(threshold):
        raise ValueError(f"threshold must be a z-score, not {threshold!r}")
