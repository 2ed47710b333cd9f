"""How well words find held-out images: average precision by the best patch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detail_embed.evaluation.metrics import average_precision

_AT_ONCE = 256  # queries
TOP = 25  # images of a ranking that are compared


def scores(images: Sequence[np.ndarray], queries: np.ndarray) -> np.ndarray:
    """``(q, n)`` float32: of each image the best of its patches.

    Args:
        images: ``(p, d)`` float of each of ``n`` images
        queries: ``(q, d)`` float
    """
    starts = np.cumsum([0, *(len(image) for image in images[:-1])])
    rows = np.concatenate(images).astype(np.float32)
    parts = [
        np.maximum.reduceat(rows @ queries[start : start + _AT_ONCE].T, starts, axis=0)
        for start in range(0, len(queries), _AT_ONCE)
    ]
    return np.concatenate(parts, axis=1).T


def precision(found: np.ndarray, shows: np.ndarray) -> np.ndarray:
    """Average precision of each query in percent; NaN where no image shows it.

    Args:
        found: ``(q, n)`` scores
        shows: ``(q, n)`` bool
    """
    return 100 * average_precision(found, shows)


def overlap(before: np.ndarray, after: np.ndarray) -> float:
    """Mean percentage of the first images that two rankings ``(q, n)`` share."""
    top = min(TOP, before.shape[1])
    firsts = (
        np.argsort(-found, axis=1, kind="stable")[:, :top] for found in (before, after)
    )
    shared = [len(np.intersect1d(one, other)) / top for one, other in zip(*firsts)]
    return 100 * float(np.mean(shared))
