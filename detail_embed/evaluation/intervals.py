"""How sure a mean over queries is, by resampling the queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def bootstrap(
    values: ArrayLike, confidence: float = 0.95, samples: int = 1000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of the mean over queries.

    For two methods on the same queries, pass the differences of their values: that is
    the paired interval, and zero outside of it means that the methods differ.

    Args:
        values: ``(q, ...)``, a number or several for each query
        confidence (0.95): share of the resampled means inside the interval
        samples (1000): number of resamplings
        seed (0): of the resampling; the same queries are drawn for all columns

    Returns:
        lower and upper ends, each of shape ``(...)`` float64; NaN for fewer than two
        queries, which say nothing about others

    Raises:
        ValueError: if confidence is not between 0 and 1, samples is less than 1, or a
            value is NaN
    """
    values = np.asarray(values, dtype=np.float64)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence!r}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples!r}")
    if np.isnan(values).any():
        raise ValueError("values: NaN; leave out queries that could not be measured")
    count = len(values)
    if count < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, count, count)].mean(0) for _ in range(samples)]
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2), axis=0)
    return low, high
