"""Which classes are taken for each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Pair:
    """Two classes that are confused.

    Attributes:
        first: a class
        second: another one, after the first in the order of the classes
        iou: ``(m_ab + m_ba) / (n_a + n_b)``, 0 to 1
        first_as_second: ``m_ab``, of the first class and called the second
        second_as_first: ``m_ba``
        first_count: ``n_a``, of the first class
        second_count: ``n_b``
    """

    first: str
    second: str
    iou: float
    first_as_second: int
    second_as_first: int
    first_count: int
    second_count: int


def confusions(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Counts how often something of one class is called another.

    Where a thing has several classes, it counts for ``(a, b)`` if it has ``a`` and not
    ``b``, and ``b`` is predicted.

    Args:
        truth: ``(n, K)`` bool, the classes of each thing
        predicted: ``(n, K)`` bool, what they are called

    Returns:
        ``(K, K)`` int64: ``m[a, b]``, 0 on the diagonal

    Raises:
        ValueError: if these are no tables of one shape
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    if truth.ndim != 2 or truth.shape != predicted.shape:
        raise ValueError(
            f"truth and predictions: one shape (n, K) expected, got {truth.shape} and "
            f"{predicted.shape}"
        )
    return truth.T.astype(np.int64) @ (predicted & ~truth).astype(np.int64)


def most_confused(
    truth: ArrayLike, predicted: ArrayLike, classes: Sequence[str], top: int = 10
) -> list[Pair]:
    """The pairs of classes that are taken for each other most often.

    The measure is ``IoU(a, b) = (m_ab + m_ba) / (n_a + n_b)``; pairs that are never
    confused are left out.

    Args:
        truth: as of :func:`confusions`
        predicted: likewise
        classes: K names
        top (10): pairs, at most

    Returns:
        the pairs, most confused first; of equal ones those of more things

    Raises:
        ValueError: as of :func:`confusions`, and if there are not K names
    """
    counts = confusions(truth, predicted)
    if len(classes) != len(counts):
        raise ValueError(f"{len(classes)} names for {len(counts)} classes")
    sizes = np.asarray(truth, bool).sum(axis=0)
    firsts, seconds = np.nonzero(np.triu(counts + counts.T, 1))
    pairs = [
        Pair(
            str(classes[a]), str(classes[b]),
            float((counts[a, b] + counts[b, a]) / (sizes[a] + sizes[b])),
            int(counts[a, b]), int(counts[b, a]), int(sizes[a]), int(sizes[b]),
        )
        for a, b in zip(firsts, seconds)
    ]
    pairs.sort(key=lambda pair: (-pair.iou, -pair.first_count - pair.second_count))
    return pairs[:top]
