"""Search by prompts: the score of every image, and the best as a view.

Unlike ``sort_by_similarity`` it knows "but not", weights, template sets, thresholds
and what the scores of all images look like; for one plain prompt it finds the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np
import torch
from fiftyone import ViewExpression

from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.feature_stores import open_store, searchable
from detail_embed.fiftyone_bridge.index.vectors import IndexVectors
from detail_embed.fiftyone_bridge.samples.collection import check_images, declare
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.patch_search.rerank import rerank
from detail_embed.texts.query import Query
from detail_embed.texts.score_summary import ScoreHistogram, histogram, standardise

SCORE = "detail_score"
VECTORS, RERANKED, PATCHES = METHODS = ("vectors", "reranked", "patches")
MOST = 5_000  # images whose every patch is read for a search
_SHARE, _TIMES = 0.1, 4  # of the images, and of k: candidates that are re-ranked


@dataclass(frozen=True, eq=False)
class Answer:
    """What a search found, best first.

    Attributes:
        ids: of the ``k`` samples, or fewer
        scores: cosine of the query and the best vector, or the best patch, of each
        z_scores: the same in standard deviations from the mean of all that were scored
        histogram: of all that were scored
        searched: images that were scored
        missing: images without a vector, or without stored patches: they are not found
        above: images at or above the threshold
        vector: ``(d,)`` float32, the query
        method: one of ``METHODS``
        seconds: that it took
    """

    ids: list[str]
    scores: list[float]
    z_scores: list[float]
    histogram: ScoreHistogram
    searched: int
    missing: int
    above: int
    vector: np.ndarray
    method: str
    seconds: float

    def view(self, samples: foc.SampleCollection) -> fov.DatasetView:
        """The images in this order, with their scores in the field ``detail_score``.

        The scores belong to the view: nothing is written to the samples.
        """
        declare(dataset_of(samples), [SCORE], fo.FloatField)
        place = {"$indexOfArray": [self.ids, {"$toString": "$_id"}]}
        scores = ViewExpression({"$arrayElemAt": [self.scores, place]})
        return samples.select(self.ids, ordered=True).set_field(SCORE, scores)


def search(
    samples: foc.SampleCollection,
    query: str | Query | np.ndarray,
    brain_key: str = "detail",
    k: int = 25,
    threshold: float | None = None,
    templates: str = "own",
    method: str = VECTORS,
) -> Answer:
    """Finds the images that fit a query best.

    Args:
        samples: a data set or view of images to search in
        query: prompts in one line, such as ``"a red helmet, -a bicycle, 0.5 * at
            night"``, see :mod:`detail_embed.texts.query`; or a vector ``(d,)`` in
            the space of the index
        brain_key ("detail"): an index that can be searched by text
        k (25): images to return, at most
        threshold (None): z-score that an image must reach to be returned
        templates ("own"): sentences around the prompts, see
            :mod:`detail_embed.texts.templates`
        method ("vectors"): ``"vectors"``, by the vectors of the index; ``"reranked"``,
            these propose a tenth, at least 4 k and at most 5,000, and the best stored
            patch of each decides; ``"patches"``, the best stored patch of every image,
            of at most 5,000: for more see :class:`detail_embed.patch_search.PatchIndex`

    Raises:
        ValueError: if nothing can be searched so; the message says what to do
    """
    started = time.monotonic()
    check_images(samples)
    _check(k, threshold, method)
    dataset = dataset_of(samples)
    if isinstance(query, np.ndarray):
        vector = query
    else:
        vector = query_vectors.encode(dataset, brain_key, query, templates)
    vectors = index_vectors.load(dataset, brain_key)
    ids, scores, missing = _within(samples, vectors, vectors.scores(vector))
    if method == PATCHES and len(ids) > MOST:
        raise ValueError(
            f"method={PATCHES!r} reads every patch of {len(ids):,} images, of {MOST:,} "
            f"at most: search by {RERANKED!r}, or in a smaller view"
        )
    if method != VECTORS:
        count = len(ids) if method == PATCHES else _candidates(len(ids), k)
        order = np.argsort(-scores, kind="stable")[:count]
        candidates = [ids[i] for i in order]
        ids, scores = _by_patches(dataset, brain_key, vector, candidates)
        missing += count - len(ids)
    return _answer(ids, scores, missing, k, threshold, vector, method, started)


def methods(dataset: fo.Dataset, brain_key: str) -> list[str]:
    """The ways in which an index can be searched."""
    has_patches = brain_key in searchable(dataset)
    return list(METHODS) if has_patches else [VECTORS]


def _answer(
    ids: list[str], scores: np.ndarray, missing: int, k: int, threshold: float | None,
    vector: np.ndarray, method: str, started: float,
) -> Answer:
    z_scores = standardise(scores)
    order = np.argsort(-scores, kind="stable")
    above = len(ids) if threshold is None else int((z_scores >= threshold).sum())
    best = order[: min(k, above)]
    return Answer(
        ids=[ids[i] for i in best],
        scores=[round(float(scores[i]), 4) for i in best],
        z_scores=z_scores[best].tolist(),
        histogram=histogram(scores),
        searched=len(ids),
        missing=missing,
        above=above,
        vector=vector,
        method=method,
        seconds=time.monotonic() - started,
    )


def _check(k: int, threshold: float | None, method: str) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k={k!r}: give a whole number of images, at least 1")
    if threshold is not None and not np.isfinite(threshold):
        raise ValueError(f"threshold={threshold!r}: give a z-score, such as 2.5")
    if method not in METHODS:
        raise ValueError(f"method={method!r}: give one of {', '.join(METHODS)}")


def _within(
    samples: foc.SampleCollection, vectors: IndexVectors, scores: np.ndarray
) -> tuple[list[str], np.ndarray, int]:
    """Keeps the images that are among the samples; counts samples without vectors."""
    members = vectors.members(samples)
    if not len(members.rows):
        raise ValueError(
            f"none of these {members.without} images has a vector in the index: embed "
            "them first, or search in the whole data set"
        )
    if len(members.rows) == len(vectors.ids):
        return vectors.ids, scores, members.without
    kept = members.rows.tolist()
    return [vectors.ids[i] for i in kept], scores[kept], members.without


def _candidates(total: int, k: int) -> int:
    return min(total, MOST, max(round(_SHARE * total), _TIMES * k))


def _by_patches(
    dataset: fo.Dataset, brain_key: str, vector: np.ndarray, ids: list[str]
) -> tuple[list[str], np.ndarray]:
    """The images with stored patches, scored by the best of these."""
    store = open_store(dataset, brain_key)
    held = [id for id in ids if id in store]
    if not held:
        raise ValueError(
            f"no patch features are stored for these {len(ids)} images: update the "
            "index, or search by its vectors"
        )
    found = rerank(torch.from_numpy(vector)[None], held, store)
    return [held[i] for i in found.order[0]], found.scores[0]
