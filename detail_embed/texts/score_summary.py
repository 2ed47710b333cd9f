"""The scores of one query over all images: how far each stands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

THRESHOLD = 3.0  # the z-score that counts, where nobody says another
_ROUNDING = 1e-6  # of cosines in float32, whose last bits depend on the CPU


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """The z-scores of the images, in bins.

    Attributes:
        counts: ``(bins,)`` int64, images
        edges: ``(bins + 1,)`` float64, z-scores, rising
        z_scores: ``(n,)`` float64, those that were counted, rising
    """

    counts: np.ndarray
    edges: np.ndarray
    z_scores: np.ndarray

    def above(self, threshold: float) -> int:
        """Counts the images whose z-score is at or above a threshold."""
        below = np.searchsorted(self.z_scores, threshold, side="left")
        return len(self.z_scores) - int(below)


def standardise(scores: ArrayLike) -> np.ndarray:
    """Gives scores as standard deviations from their mean: z-scores.

    Wherever a z-score is shown or asked for, the scores are those of the vectors of all
    images of an index, in whichever view and way it is searched: a threshold means the
    same for a search, for tags, labels and reports.

    Args:
        scores: ``(n,)`` of all images of an index, NaN for one without a vector

    Returns:
        ``(n,)`` float64: NaN stays NaN; scores that are all equal, but for the rounding
        of float32, are 0

    Raises:
        ValueError: if the scores are not one list of numbers, or one is infinite
    """
    scores = _numbers(scores)
    known = ~np.isnan(scores)
    if known.any():
        scores[known] = _z_scores(scores[known])
    return scores


def _z_scores(scores: np.ndarray) -> np.ndarray:
    low, high = scores.min(), scores.max()
    if high - low <= _ROUNDING:
        return np.zeros_like(scores)
    scores = (scores - low) / (high - low)  # so that close scores do not round to one
    return (scores - scores.mean()) / scores.std()


def histogram(z_scores: ArrayLike, bins: int = 30) -> ScoreHistogram:
    """Counts images by their z-score.

    Args:
        z_scores: ``(n,)``, of :func:`standardise`; NaN is not counted
        bins (30): how many, of equal width

    Raises:
        ValueError: if the z-scores are not one list of numbers, or one is infinite, or
            if ``bins`` is below 1
    """
    z_scores = _numbers(z_scores)
    z_scores = np.sort(z_scores[~np.isnan(z_scores)])
    counts, edges = np.histogram(z_scores, bins=bins)
    return ScoreHistogram(counts, edges, z_scores)


def _numbers(scores: ArrayLike) -> np.ndarray:
    scores = np.array(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"scores: shape (n,) expected, got {scores.shape}")
    if np.isinf(scores).any():
        raise ValueError("scores hold infinite values")
    return scores
