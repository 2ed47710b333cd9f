"""The exact order of a few candidates: MaxSim on stored patch features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.features import FeatureStore


@dataclass(frozen=True)
class Reranked:
    """``m`` candidates for each of ``q`` queries, best first.

    Attributes:
        order: ``(q, m)`` int64, positions in the list of candidates
        scores: ``(q, m)`` float32, the exact MaxSim ``max_p query . v_p``
        patches: ``(q, m)`` int64, the patch that has it
    """

    order: np.ndarray
    scores: np.ndarray
    patches: np.ndarray


@dataclass(frozen=True)
class RerankedParts:
    """``m`` candidates for one query of ``t`` texts, best first.

    Attributes:
        order: ``(m,)`` int64, positions in the list of candidates
        scores: ``(m,)`` float32, weighted means of cosines
        patches: ``(t, m)`` int64, the patch that is nearest to each text
        cosines: ``(t, m)`` float32, of text and patch
    """

    order: np.ndarray
    scores: np.ndarray
    patches: np.ndarray
    cosines: np.ndarray


def rerank(
    queries: Tensor, ids: Sequence[str], store: FeatureStore, top: int | None = None
) -> Reranked:
    """Orders candidates by their best patch; only theirs are read.

    Each image is one product of its own, so that its scores are the same to the last
    bit whatever the others are: copies of an image keep the candidates' order, on any
    processor.

    Args:
        queries: ``(q, d)`` unit vectors of texts
        ids: the candidates, images of the store; those of one score keep their order
        store: patch features
        top (None): how many to return, all where None

    Raises:
        ValueError: if the queries are of another shape or not finite, or ``top`` is
            below 1
        KeyError: if a candidate is not in the store
    """
    _check(queries, store)
    if top is not None and top < 1:
        raise ValueError(f"top={top}: give at least 1")
    queries = queries.float().cpu()
    scores = torch.empty(len(queries), len(ids))
    patches = torch.empty(len(queries), len(ids), dtype=torch.int64)
    for i, id in enumerate(ids):
        near = F.normalize(store.features(id), dim=1) @ queries.T
        scores[:, i], patches[:, i] = near.max(dim=0)
    return _in_order(scores, patches, top)


def rerank_parts(
    parts: Tensor, weights: Sequence[float], ids: Sequence[str], store: FeatureStore
) -> RerankedParts:
    """Orders candidates by several texts that one query names, each at its own place.

    An image has what its best patch for each text has, by weight, and half of it is
    what the best patch for all of them together has: things that are far apart are
    found, and a thing that is both comes before two that are one each. See
    ``docs/results/pooling.md``.

    Args:
        parts: ``(t, d)`` unit vectors of texts
        weights: ``t`` of them, below 0 for what shall not be there
        ids: the candidates, images of the store; those of one score keep their order
        store: patch features

    Raises:
        ValueError: if the texts are of another shape or not finite
        KeyError: if a candidate is not in the store
    """
    _check(parts, store)
    parts = parts.float().cpu()
    shares = torch.tensor(weights, dtype=torch.float32)
    shares = shares / shares.abs().sum()
    scores, cosines = torch.empty(len(ids)), torch.empty(len(parts), len(ids))
    patches = torch.empty(len(parts), len(ids), dtype=torch.int64)
    for i, id in enumerate(ids):
        near = F.normalize(store.features(id), dim=1) @ parts.T
        cosines[:, i], patches[:, i] = near.max(dim=0)
        scores[i] = (cosines[:, i] @ shares + (near @ shares).max()) / 2
    order = scores.argsort(descending=True, stable=True)
    found = order, scores[order], patches[:, order], cosines[:, order]
    return RerankedParts(*(values.numpy() for values in found))


def _check(queries: Tensor, store: FeatureStore) -> None:
    if queries.ndim != 2 or queries.shape[1] != store.dim:
        raise ValueError(
            f"queries: shape (q, {store.dim}) expected, got {tuple(queries.shape)}"
        )
    if not torch.isfinite(queries).all():
        raise ValueError("queries hold NaN or infinite values")


def _in_order(scores: Tensor, patches: Tensor, top: int | None) -> Reranked:
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :top]
    return Reranked(
        order.numpy(),
        scores.gather(1, order).numpy(),
        patches.gather(1, order).numpy(),
    )
