"""The ways in which an index can be searched, and which of them is taken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.patch_search.rerank import rerank
from detail_embed.storage.plain_numbers import is_a

AUTO, VECTORS, RERANKED, PATCHES = METHODS = ("auto", "vectors", "reranked", "patches")
MOST = 5_000  # images whose every patch is read for a search
_SHARE, _TIMES = 0.1, 4  # of the images, and of k: candidates that are re-ranked
_SECONDS = 0.3  # that reading patches may take where nobody asked for it
_PROBE = 64  # images by which that is measured
_cost: dict[str, float] = {}  # seconds an image, by folder of features


def methods(index: Index) -> list[str]:
    """The ways in which an index can be searched."""
    has_patches = index.key in feature_stores.searchable(index.dataset)
    return list(METHODS) if has_patches else [AUTO, VECTORS]


def for_examples(method: str) -> str:
    """The way to search by pictures: what an image is like is not in its patches."""
    return VECTORS if method == AUTO else method


def choose(
    store: FeatureStore | None,
    query: np.ndarray,
    ids: Sequence[str],
    total: int,
    k: int,
) -> str:
    """Chooses the most exact way to search that takes no time.

    All patches, where those of all images are stored and are read in 0.3 seconds, by
    what reading some of them takes on this machine; else re-ranked, where those of the
    candidates are stored; else by the vectors. An index that is beside another, such as
    that of whole images, is searched by its own vectors.

    Args:
        store: the patch features of the index that is searched, None where there are
            none
        query: ``(d,)``
        ids: the images that may be found, best by their vectors first
        total: images that are searched
        k: images to return
    """
    if store is None or not ids:
        return VECTORS
    seconds = len(ids) * _seconds_an_image(store, query, ids)
    if len(ids) <= MOST and seconds <= _SECONDS and all(id in store for id in ids):
        return PATCHES
    proposed = ids[: count_candidates(total, k, None)]
    return RERANKED if all(id in store for id in proposed) else VECTORS


def own_store(index: Index) -> FeatureStore | None:
    """Opens the patch features of an index, None where it has none of its own."""
    record = index.record
    if record is None or not feature_stores.is_there(record.features):
        return None
    return feature_stores.open_store(index)


def _seconds_an_image(
    store: FeatureStore, query: np.ndarray, ids: Sequence[str]
) -> float:
    """What it takes to read and compare the patches of an image, in the long run."""
    folder = str(store.directory)
    if folder not in _cost:
        some = [id for id in ids[:_PROBE] if id in store]
        vector = torch.from_numpy(np.asarray(query, np.float32))[None]
        for _ in range(2):  # the first time maps the files
            started = time.perf_counter()
            rerank(vector, some, store)
            taken = time.perf_counter() - started
        if not some:
            return float("inf")
        _cost[folder] = taken / len(some)
    return _cost[folder]


def count_candidates(total: int, k: int, candidates: int | float | None) -> int:
    """The number of images that are re-ranked; see :func:`.search.search`.

    Raises:
        ValueError: if it cannot be used
    """
    if candidates is None:
        return min(total, MOST, max(round(_SHARE * total), _TIMES * k))
    if not is_a(Real, candidates) or not candidates > 0:
        raise ValueError(
            f"candidates={candidates!r}: give a number of images, or a share below 1"
        )
    share = not is_a(Integral, candidates)
    if share and candidates > 1:
        raise ValueError(
            f"candidates={candidates!r}: a share is at most 1.0; give whole numbers "
            "as such"
        )
    count = round(candidates * total) if share else int(candidates)
    if count < min(k, total):
        raise ValueError(
            f"candidates={candidates!r} are {count} images, fewer than k={k}: give "
            "more candidates, or a smaller k"
        )
    return min(count, total)


def check_request(k: int, threshold: float | None, method: str = AUTO) -> None:
    """Checks how many images are asked for, and in which way.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    if not is_a(Integral, k) or k < 1:
        raise ValueError(f"k={k!r}: give a whole number of images, at least 1")
    is_number = is_a(Real, threshold) and np.isfinite(threshold)
    if threshold is not None and not is_number:
        raise ValueError(f"threshold={threshold!r}: give a z-score, such as 2.5")
    if method not in METHODS:
        raise ValueError(f"method={method!r}: give one of {', '.join(METHODS)}")
