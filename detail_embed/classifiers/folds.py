"""Which examples are taken: parts of a cross-validation, and k of each class."""

from __future__ import annotations

import numpy as np

ALWAYS = -1  # the fold of an example that no training can do without


def folds(targets: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Deals examples out to the parts of a cross-validation, each class evenly.

    An example counts for its rarest class. The only example of a class is in every
    training: left out, nothing would be known of the class.

    Args:
        targets: ``(n, K)`` bool
        count: of parts
        seed: of the order

    Returns:
        ``(n,)`` int64, the part of each example, ``ALWAYS`` for those in no part
    """
    rng = np.random.default_rng(seed)
    found = np.full(len(targets), ALWAYS)
    rarest = _rarest(targets)
    start = 0
    for group in np.unique(rarest):
        members = rng.permutation(np.flatnonzero(rarest == group))
        if len(members) > 1:
            found[members] = (np.arange(len(members)) + start) % count
            start += len(members)
    return found


def draw_shots(targets: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Draws ``shots`` examples of each class, or all that there are.

    Of examples that have several classes, one counts for each of them.

    Args:
        targets: ``(n, K)`` bool
        shots: examples of each class
        seed: of the draw; of more shots of the same seed, fewer are a part

    Returns:
        their places, rising, int64
    """
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(targets), bool)
    orders = [rng.permutation(np.flatnonzero(column)) for column in targets.T]
    for number in np.argsort(targets.sum(axis=0), kind="stable"):
        missing = shots - int(targets[chosen, number].sum())
        others = [place for place in orders[number] if not chosen[place]]
        chosen[others[: max(missing, 0)]] = True
    return np.flatnonzero(chosen)


def _rarest(targets: np.ndarray) -> np.ndarray:
    """The rarest class of each example, K for one that has none."""
    counts = np.where(targets, targets.sum(axis=0), len(targets) + 1)
    return np.where(targets.any(axis=1), counts.argmin(axis=1), targets.shape[1])
