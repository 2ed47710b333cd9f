"""Which labels a table of scores contradicts, whatever gave the scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

DOUBTFUL = 0.5  # above it, another class fits better than a label's own
_LABELS = 20  # of all classes, that count beside those of a class
_TINY = 1e-12


def mistakenness(
    scores: ArrayLike,
    own: ArrayLike,
    taken: ArrayLike | None = None,
    comparable: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Says of each label how much better another class fits than its own.

    The scores of some classes are higher than those of others whatever is shown: of
    each class a level is taken away first, midway between its mean over all things and
    that over those that are labelled so, which leans on all labels where there are few.
    What is left of the best other class, minus that of the own one, in standard
    deviations of what is left of all, goes through the logistic function.

    Args:
        scores: ``(n, K)`` of ``n`` things and ``K`` classes, higher fits better: such
            as cosines, or the logits of a classifier
        own: ``(n,)`` int, the class of each label
        taken (None): ``(n, K)`` bool, classes that are not suggested for a thing, such
            as those of its other labels; None for none
        comparable (False): whether scores of different classes can be compared as they
            are, as those of a trained classifier

    Returns:
        mistakenness, ``(n,)`` float64 from 0 to 1, above 0.5 where another class fits
        better; and the class that fits best beside the own one, ``(n,)`` int64. Where
        all others are taken these are 0 and the own class

    Raises:
        ValueError: if these are no such tables, or there is one class
    """
    scores, own = np.array(scores, np.float64), np.asarray(own)
    if scores.ndim != 2 or len(scores) == 0 or scores.shape[1] < 2:
        raise ValueError(
            f"scores: shape (n, K) of at least one thing and two classes expected, got "
            f"{scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError("scores hold values that are not finite")
    n, classes = scores.shape
    is_whole = own.shape == (n,) and np.issubdtype(own.dtype, np.integer)
    if not is_whole or own.min() < 0 or own.max() >= classes:
        raise ValueError(f"own: {n} whole numbers from 0 to {classes - 1} expected")
    if not comparable:
        scores -= _levels(scores, own)
    spread = max(scores.std(), _TINY)
    rows = np.arange(n)
    fits = scores[rows, own]
    others = scores if taken is None else np.where(taken, -np.inf, scores)
    others[rows, own] = -np.inf
    suggested = others.argmax(axis=1)
    margin = others[rows, suggested] - fits
    suggested[np.isinf(margin)] = own[np.isinf(margin)]
    return expit(margin / spread), suggested


def _levels(scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Of each class, the score that says neither yes nor no: ``(K,)``."""
    classes = scores.shape[1]
    fits = scores[np.arange(len(scores)), own]
    counts = np.bincount(own, minlength=classes)
    sums = np.bincount(own, fits, minlength=classes)
    labelled = (sums + _LABELS * fits.mean()) / (counts + _LABELS)
    return (labelled + scores.mean(axis=0)) / 2
