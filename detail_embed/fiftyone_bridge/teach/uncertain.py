"""Which images to judge next: those about which a concept is least sure."""

from __future__ import annotations

from dataclasses import replace

import fiftyone.core.collections as foc
import numpy as np
import torch

from detail_embed.fiftyone_bridge.concepts import kept
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.search.found import Found
from detail_embed.fiftyone_bridge.search.methods import PATCHES, choose, own_store
from detail_embed.fiftyone_bridge.search.search import check_request, search
from detail_embed.fiftyone_bridge.teach import judged
from detail_embed.fiftyone_bridge.teach.judged import Judged
from detail_embed.patch_search.rerank import rerank
from detail_embed.texts.query import Query
from detail_embed.texts.read_query import read_query
from detail_embed.texts.score_summary import THRESHOLD, standardise

COUNT = 12
_FEWEST, _MOST = 2, 4  # times as many are near the boundary, of which some are taken
_NEAR = 4  # and no more than one of so many images
_SAME = 1e-6  # distance of vectors of one picture


def most_uncertain(
    index: Index,
    samples: foc.SampleCollection,
    query: str | Query | np.ndarray,
    positives: Judged | None = None,
    negatives: Judged | None = None,
    k: int = COUNT,
) -> Found:
    """Finds images to judge next.

    Nearest to the boundary: halfway between the scores of what shows it and of what
    does not, or where only one is known, at a z-score of 3. None that was judged, and
    among these the ones that differ most from each other.

    Args:
        index: an index that can be searched by text
        samples: a dataset or view of images
        query: prompts, such as ``"#helmet"``, or a vector ``(d,)``
        positives (None): what was judged to show it, see :func:`.teach.teach`; of a
            concept alone, those it was taught by
        negatives (None): what was judged not to, likewise
        k (12): images, at most

    Returns:
        them, those of the highest scores first

    Raises:
        ValueError: if an argument cannot be used, or all images are judged
    """
    samples = index.images_of(samples)
    check_request(k, None)
    is_vector = isinstance(query, np.ndarray)
    asked = query if is_vector else read_query(query)
    if not is_vector and positives is None and negatives is None:
        positives, negatives = _taught_by(index, asked)
    up, down = (
        {mark.sample_id for mark in judged.read(index.dataset, items, what)[0]}
        for items, what in ((positives, "positives"), (negatives, "negatives"))
    )
    vector = asked if is_vector else query_vectors.encode(index, asked)
    vectors = index_vectors.load(index)
    ids, scores = _scores(index, samples, vectors, vector, k)
    z_scores = standardise(scores)
    open_ = np.array([id not in up | down for id in ids], bool)
    if not open_.any():
        raise ValueError(
            f"all {len(ids)} images that can be searched here are judged: take more "
            "images"
        )
    off = np.abs(z_scores - _boundary(ids, z_scores, up, down))
    near = [i for i in np.argsort(off, kind="stable") if open_[i]]
    near = near[: min(_MOST * k, max(_FEWEST * k, len(near) // _NEAR))]
    chosen = _spread(vectors, [ids[i] for i in near], k)
    found = search(index, samples.select(chosen), vector, k)
    return found if is_vector else replace(found, text=str(asked))


def _taught_by(index: Index, query: Query) -> tuple[list, list]:
    """What a concept was taught by, of which some may be gone."""
    if len(query.prompts) != 1 or not query.concepts:
        return [], []
    concept = kept.read(index.dataset, query.concepts[0])
    marks = [*concept.positives, *concept.negatives]
    held = index.images().select([mark.sample_id for mark in marks])
    there = set(held.values("id"))
    return tuple(
        [mark for mark in some if mark.sample_id in there]
        for some in (concept.positives, concept.negatives)
    )


def _scores(
    index: Index, samples: foc.SampleCollection, vectors: IndexVectors,
    vector: np.ndarray, k: int,
) -> tuple[list[str], np.ndarray]:
    """Scores of the images that have any, as a search would see them."""
    rows = vectors.members(samples).rows
    if not len(rows):
        raise ValueError(
            "none of these images has a vector in the index: embed them first, or take "
            "the whole dataset"
        )
    ids, scores = [vectors.ids[row] for row in rows], vectors.scores(vector)[rows]
    store = own_store(index)
    if choose(store, vector, ids, len(ids), k) == PATCHES:
        found = rerank(torch.from_numpy(vector)[None], ids, store)
        scores[found.order[0]] = found.scores[0]
    return ids, scores


def _boundary(
    ids: list[str], z_scores: np.ndarray, up: set[str], down: set[str]
) -> float:
    means = [
        z_scores[places].mean()
        for some in (up, down)
        if (places := [i for i, id in enumerate(ids) if id in some])
    ]
    return float(np.mean(means)) if len(means) == 2 else THRESHOLD


def _spread(vectors: IndexVectors, ids: list[str], k: int) -> list[str]:
    """The first, and then always what is farthest from those that are taken."""
    places = {id: place for place, id in enumerate(vectors.ids)}
    means = np.stack(
        [vectors.matrix[vectors.rows(places[id])].mean(axis=0) for id in ids]
    )
    chosen, nearest = [0], np.linalg.norm(means - means[0], axis=1)
    while len(chosen) < min(k, len(ids)) and nearest.max() > _SAME:
        chosen.append(int(nearest.argmax()))
        away = np.linalg.norm(means - means[chosen[-1]], axis=1)
        nearest = np.minimum(nearest, away)
    return [ids[i] for i in chosen]
