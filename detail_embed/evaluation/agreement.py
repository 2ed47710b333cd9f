"""How much of a teacher's ranking is kept, without labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from detail_embed.evaluation.metrics import average_precision

_STANDS_OUT = 2.5  # standard deviations above a word's mean over the images
_MOST_HITS = 50
_ROUNDING = 1e-6  # of cosines in float32, whose last bits depend on the CPU


def find_hits(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Finds the images that stand out for each word.

    Args:
        scores: ``(K, n)``, of the teacher

    Returns:
        ``(K, n)`` bool, at most 50 images a word, none where nothing stands out
    """
    spread = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    high = (centred >= _STANDS_OUT * spread) & (spread > np.finfo(np.float32).eps)
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    return high & (rank < _MOST_HITS)


def agreement(student: Tensor, teacher: Tensor) -> float:
    """Mean average precision, with the teacher's hits as the relevant images.

    Words without a hit do not count, see :func:`find_hits`; if none has one, each
    word's best image is its hit.

    Args:
        student: ``(n, K)`` scores
        teacher: ``(n, K)`` scores

    Returns:
        0 to 1
    """
    scores = teacher.T.cpu().double().numpy()
    hits = find_hits(scores)
    counted = hits.any(axis=1)
    if not counted.any():
        hits = scores >= scores.max(axis=1, keepdims=True) - _ROUNDING
        counted[:] = True
    student = student.T.cpu().numpy()
    return float(average_precision(student[counted], hits[counted]).mean())
