"""Search in two steps: the index proposes images, their patches give the order."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np
import torch

from detail_embed.cover.patches import relative
from detail_embed.fiftyone_bridge.index import brain_runs, records
from detail_embed.fiftyone_bridge.index.feature_stores import (
    open_store,
    stored_features,
)
from detail_embed.fiftyone_bridge.samples.collection import check_images
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.patch_search.rerank import rerank

_SHARE = 0.1
_TIMES = 4


@dataclass(frozen=True)
class Found:
    """What a search found, best first.

    Attributes:
        view: the ``n`` images, in this order
        ids: of the samples
        scores: the exact MaxSim of each; None for images without stored features
        boxes: the window that matched, left, top, width and height as shares of the
            image; None likewise
    """

    view: fov.DatasetView
    ids: list[str]
    scores: list[float | None]
    boxes: list[list[float] | None]


def search(
    samples: foc.SampleCollection,
    text: str,
    brain_key: str = "detail",
    k: int = 25,
    candidates: int | float | None = None,
) -> Found:
    """Finds the images whose best patch fits a text.

    The index proposes candidates, as FiftyOne's own search does; the stored features
    of their patches give the exact order. Images without stored features follow, in
    the order of the index.

    What is not among the candidates is not found: 8 or 16 vectors per image propose
    far better ones than a single vector, see ``docs/results.md``.

    Args:
        samples: a data set or view of images to search in
        text: what to look for
        brain_key ("detail"): an index that was computed with ``keep_features``, or the
            whole-image index beside it
        k (25): images to return
        candidates (None): how many images are re-ranked, or a share of all, below 1;
            by default a tenth, and at least 4 k

    Raises:
        ValueError: if nothing can be searched so; the message says what to do
    """
    check(samples, text, brain_key, k, candidates)
    dataset = dataset_of(samples)
    store = open_store(dataset, brain_key)
    own = records.read(dataset, brain_key)
    vectors = 1 if own is None else own.vectors
    query = _encode(dataset, brain_key, text)
    count = _count(len(samples), k, candidates)
    ids = _propose(samples, brain_key, query, count, vectors)
    held = [id for id in ids if id in store]
    found = rerank(torch.from_numpy(query), held, store, top=k)
    best = [held[i] for i in found.order[0]]
    boxes = [
        relative(store[id].boxes, patch[None])[0].tolist()
        for id, patch in zip(best, found.patches[0])
    ]
    rest = [id for id in ids if id not in store][: k - len(best)]
    none = [None] * len(rest)
    return Found(
        view=samples.select([*best, *rest], ordered=True),
        ids=[*best, *rest],
        scores=[*found.scores[0].tolist(), *none],
        boxes=[*boxes, *none],
    )


def check(
    samples: foc.SampleCollection,
    text: str,
    brain_key: str,
    k: int,
    candidates: int | float | None,
) -> None:
    """Checks what can be checked before a search; see :func:`search`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    check_images(samples)
    if not isinstance(text, str) or not text.strip():
        raise ValueError("type what to look for")
    if not _is(Integral, k) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, not {k!r}")
    _count(len(samples), k, candidates)
    dataset = dataset_of(samples)
    brain_runs.check_promptable(dataset, brain_key)
    stored_features(dataset, brain_key)


def _count(total: int, k: int, candidates: int | float | None) -> int:
    """The number of candidates."""
    if candidates is None:
        return min(total, max(round(_SHARE * total), _TIMES * k))
    if not _is(Real, candidates) or not candidates > 0:
        raise ValueError(
            f"candidates={candidates!r}: give a number of images, or a share below 1"
        )
    share = not _is(Integral, candidates)
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


def _is(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _encode(dataset: fo.Dataset, brain_key: str, text: str) -> np.ndarray:
    """``(1, d)`` query, as the index encodes it."""
    index = dataset.load_brain_results(brain_key)
    if index is None or not index.total_index_size:
        raise ValueError(f"the index {brain_key!r} holds no vectors; compute it again")
    model = index.get_model()
    with model:
        return np.asarray(model.embed_prompts([text]))


def _propose(
    samples: foc.SampleCollection,
    brain_key: str,
    query: np.ndarray,
    count: int,
    vectors: int,
) -> list[str]:
    """Ids of the ``count`` images that the index ranks first.

    Of k vectors per image, ``count * k`` belong to at least ``count`` images. Samples
    that were deleted may still take places in FiftyOne's cached index: then all of it
    is asked for.
    """
    index = dataset_of(samples).load_brain_results(brain_key)
    for wanted in (count * vectors, index.total_index_size):
        wanted = min(wanted, index.config.max_k or wanted)
        view = samples.sort_by_similarity(query[0], brain_key=brain_key, k=wanted)
        ids = view.values("id")[:count]
        if len(ids) == count:
            break
    return ids
