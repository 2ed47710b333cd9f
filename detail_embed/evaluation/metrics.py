"""Ranking metrics over a matrix of scores, vectorised."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

METRICS = ("map", "map_50", "recall_10", "r_precision")
_NAME = re.compile(r"(map|recall|ndcg)_([1-9][0-9]*)|map|r_precision")


def rank(
    scores: ArrayLike, relevance: ArrayLike, ignore: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Sorts each query's documents by score, best first.

    Equal scores count against us: irrelevant documents come first among them, so that a
    constant score is worth nothing. (trec_eval breaks ties by document name instead.)

    Args:
        scores: ``(q, n)``, higher is better, any sign
        relevance: ``(q, n)`` bool
        ignore (None): ``(q, n)`` bool, documents left out of that query's ranking

    Returns:
        ``(q, n)`` bool, relevance by rank; ignored documents come last, as irrelevant

    Raises:
        ValueError: on shapes that differ, a dtype that is not bool, or NaN scores of
            documents that are not ignored
    """
    scores = np.asarray(scores, dtype=np.float64)
    relevance = _matrix(relevance, scores, "relevance")
    if ignore is None:
        ignore = np.zeros_like(relevance)
    ignore = _matrix(ignore, scores, "ignore")
    if np.isnan(scores[~ignore]).any():
        raise ValueError("scores: NaN; ignore documents that could not be scored")
    order = np.lexsort((relevance, np.where(ignore, 0, -scores), ignore), axis=1)
    return np.take_along_axis(relevance & ~ignore, order, axis=1)


def average_precision(
    scores: ArrayLike,
    relevance: ArrayLike,
    ignore: ArrayLike | None = None,
    k: int | None = None,
) -> NDArray[np.float64]:
    """Average precision of each query, over the whole ranking or its first ``k``.

    ``AP@k = 1 / min(R, k) * sum of the precision at each relevant rank <= k`` with
    ``R`` relevant documents: a perfect ranking scores 1 at any depth. (trec_eval's
    ``map_cut`` divides by ``R`` instead.)

    Args:
        scores: ``(q, n)``; see :func:`rank`, also for ties
        relevance: ``(q, n)`` bool
        ignore (None): ``(q, n)`` bool
        k (None): depth

    Returns:
        ``(q,)`` in 0..1, NaN for a query without relevant documents
    """
    return _average_precision(rank(scores, relevance, ignore), k)


def recall(
    scores: ArrayLike,
    relevance: ArrayLike,
    ignore: ArrayLike | None = None,
    k: int = 10,
) -> NDArray[np.float64]:
    """Share of each query's relevant documents among the first ``k``.

    Arguments and result as for :func:`average_precision`; with more than ``k`` relevant
    documents it stays below 1, as in trec_eval.
    """
    return _recall(rank(scores, relevance, ignore), k)


def r_precision(
    scores: ArrayLike, relevance: ArrayLike, ignore: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Precision of each query at rank R, the number of its relevant documents.

    Arguments and result as for :func:`average_precision`.
    """
    return _r_precision(rank(scores, relevance, ignore))


def ndcg(
    scores: ArrayLike,
    relevance: ArrayLike,
    ignore: ArrayLike | None = None,
    k: int = 10,
) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of each query's first ``k`` documents.

    ``DCG@k = sum of 1 / log2(1 + rank) over the relevant ranks <= k``, divided by that
    of a perfect ranking. Arguments and result as for :func:`average_precision`.
    """
    return _ndcg(rank(scores, relevance, ignore), k)


def measure(
    scores: ArrayLike,
    relevance: NDArray[np.bool_],
    ignore: NDArray[np.bool_],
    metrics: Sequence[str] = METRICS,
) -> NDArray[np.float64]:
    """Several metrics of each query.

    Args:
        scores: ``(q, n)``; see :func:`rank`
        relevance: ``(q, n)`` bool
        ignore: ``(q, n)`` bool
        metrics (METRICS): names of ``m`` metrics: ``"map"`` and ``"r_precision"``, and
            with a depth ``"map_50"``, ``"recall_10"`` and ``"ndcg_10"``

    Returns:
        ``(q, m)``; NaN without relevant documents

    Raises:
        ValueError: on an unknown metric, and as :func:`rank`
    """
    hits = rank(scores, relevance, ignore)
    return np.stack([_measure(hits, name) for name in metrics], axis=1)


def _measure(hits: NDArray[np.bool_], name: str) -> NDArray[np.float64]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"unknown metric {name!r}; choose 'map', 'r_precision', or 'map', 'recall' "
            "or 'ndcg' with a depth, as in 'recall_10'"
        )
    if name == "map":
        return _average_precision(hits)
    if name == "r_precision":
        return _r_precision(hits)
    kind, k = match.groups()
    cut = {"map": _average_precision, "recall": _recall, "ndcg": _ndcg}[kind]
    return cut(hits, int(k))


def _average_precision(
    hits: NDArray[np.bool_], k: int | None = None
) -> NDArray[np.float64]:
    first = hits[:, :k]
    precision = first.cumsum(axis=1) / np.arange(1, first.shape[1] + 1)
    best = np.minimum(hits.sum(axis=1), hits.shape[1] if k is None else k)
    return _divide((precision * first).sum(axis=1), best)


def _recall(hits: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    return _divide(hits[:, :k].sum(axis=1), hits.sum(axis=1))


def _r_precision(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    total = hits.sum(axis=1)
    first = np.arange(hits.shape[1]) < total[:, None]
    return _divide((hits & first).sum(axis=1), total)


def _ndcg(hits: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    first = hits[:, :k]
    gains = 1 / np.log2(np.arange(first.shape[1]) + 2)
    best = np.concatenate(([0.0], gains.cumsum()))
    return _divide(first @ gains, best[np.minimum(hits.sum(axis=1), len(gains))])


def _divide(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    """``part / whole``, NaN where there is no whole."""
    return part / np.where(whole == 0, np.nan, whole)


def _matrix(
    values: ArrayLike, scores: NDArray[np.float64], what: str
) -> NDArray[np.bool_]:
    values = np.asarray(values)
    if scores.ndim != 2 or values.shape != scores.shape or values.dtype != bool:
        raise ValueError(
            f"{what}: bool of the scores' shape (q, n) expected, got {values.dtype} of "
            f"shape {values.shape} for scores of shape {scores.shape}"
        )
    return values
