"""Search with prompts: by vectors, by vectors and then patches, or by all patches.

FiftyOne's cached index is never asked: a search for duplicates may have shifted its
vectors, see :func:`detail_embed.fiftyone_bridge.index.vectors.open_index`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import fiftyone.core.collections as foc
import numpy as np
import torch

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index import boxes
from detail_embed.fiftyone_bridge.index import large as large_index
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.feature_stores import open_store
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.samples.private_names import is_clips
from detail_embed.fiftyone_bridge.search import examples, query_vectors
from detail_embed.fiftyone_bridge.search.box_search import search_boxes
from detail_embed.fiftyone_bridge.search.found import DRAWN, EXAMPLE, Found
from detail_embed.fiftyone_bridge.search.large import propose
from detail_embed.fiftyone_bridge.search.likely import find_likely
from detail_embed.fiftyone_bridge.search.methods import (
    AUTO,
    MOST,
    PATCHES,
    RERANKED,
    VECTORS,
    check_request,
    choose,
    count_candidates,
    for_examples,
    own_store,
)
from detail_embed.fiftyone_bridge.search.places import Places, of_few, of_patches
from detail_embed.fiftyone_bridge.search.several_prompts import SeveralPrompts
from detail_embed.patch_search.rerank import rerank
from detail_embed.texts.query import Query
from detail_embed.texts.score_summary import histogram, standardise

_Patches = tuple[list[int], list[float]]  # of an image, with their cosines
_LOOKED_AT = 25  # images that may probably show it, even where fewer are asked for


def search(
    index: Index,
    samples: foc.SampleCollection,
    query: str | Query | np.ndarray | None,
    k: int | None = 25,
    threshold: float | None = None,
    templates: str = "own",
    method: str = AUTO,
    candidates: int | float | None = None,
    like: Sequence[str] = (),
) -> Found:
    """Finds the images that fit a query best; in an index of boxes, the boxes.

    ``"reranked"``: the vectors of the index propose candidates, and the best stored
    patch of each gives the exact order. Candidates without stored patches follow, in
    the order of the index. What is not among the candidates is not found: 8 or 16
    vectors per image propose far better ones than one, see ``docs/results.md``.
    ``"patches"``: the same with all images as candidates. ``"auto"``: the most exact
    of these that the index has features for and that takes no time, see
    :func:`.methods.choose`; the answer says which.

    Several prompts are each compared by themselves with an image's patches, or with its
    vectors where it has several, see :func:`.rerank.rerank_parts`: one thing may be in
    one place, and another in another. z-scores are of the sum of their vectors.

    A z-score, and so a threshold, means the same whatever is searched within and in
    whatever way, and the same for tags, labels and reports: how far the vectors of an
    image stand out among all of the index. The order is that of the patches where these
    are searched, so z-scores need not fall in it.

    An index of more vectors than are read into memory, see :mod:`.index.large`, gives
    the best 5,000 images at most, of each prompt; z-scores are told by some of all.

    Images that probably show what was asked come first, see
    :mod:`detail_embed.texts.nothing_line`; these and all others are in the order of
    their scores.

    Args:
        index: an index that can be searched by text
        samples: a dataset or view of images to search in
        query: prompts in one line, such as ``"a red helmet, -a bicycle, 0.5 * at
            night"``, see :mod:`detail_embed.texts.query`; or a vector ``(d,)`` in
            the space of the index; or None, for ``like`` alone
        k (25): images to return, at most, None for all; with a threshold all at or
            above it are returned, however many
        threshold (None): z-score that an image must reach to be returned
        templates ("own"): sentences around the prompts, see
            :mod:`detail_embed.texts.templates`
        method ("auto"): ``"auto"``; ``"vectors"``, by the vectors of the index;
            ``"reranked"``; or ``"patches"``, of at most 5,000 images: for more see
            :class:`detail_embed.patch_search.PatchIndex`
        candidates (None): how many images are re-ranked, or a share of all, below 1;
            by default a tenth, at least 4 k and at most 5,000
        like (()): ids of samples, or of the labels of an index of boxes, that are
            examples, mixed with the prompts; see :func:`.examples.mix`

    Raises:
        TypeError: if the samples or the query are something else
        ValueError: if nothing can be searched so; the message says what to do
    """
    if examples.ids_of(like):
        query = examples.mix(index, query, like, templates=templates)
        method = for_examples(method)
    if boxes.field_of(index) is not None:
        return search_boxes(index, samples, query, k, threshold, templates, method)
    started = time.monotonic()
    clips = samples if is_clips(samples) else None
    samples = index.images_of(samples)
    k = len(samples) if k is None else k
    check_request(k, threshold, method)
    count_candidates(len(samples), k, candidates)
    vector, hints = query, ()
    if not isinstance(query, np.ndarray):
        vector = query_vectors.encode(index, query, templates)
        hints = query_vectors.hints(index, query, templates)
    several = SeveralPrompts.of(index, query, templates)
    wanted = several.shown_parts if several else {None: vector}
    is_large = large_index.is_large(index)
    if is_large:
        parts = list(wanted.values()) if several else ()
        found = propose(index, samples, vector, k, threshold, parts)
        vectors, everyone, missing = found.vectors, found.everyone, found.missing
        rows = np.arange(len(vectors.ids))
        scored = _Scored(rows, vectors.ids, found.scores, found.z_scores)
    else:
        vectors = index_vectors.load(index)
        scored, missing = _score(samples, vectors, vector)
        everyone = scored.z_scores
    if several is not None and len(vectors.matrix) > len(vectors.ids):
        scored = replace(scored, scores=several.scores(vectors)[scored.rows])
    order = scored.best_first(threshold)
    patches: dict[str, _Patches] = {}
    store = None
    if method == AUTO:
        own, best_first = own_store(index), [scored.ids[i] for i in order]
        method = choose(own, vector, best_first, len(everyone), k)
        if is_large and method == PATCHES:  # of those that the vectors proposed
            method = RERANKED
        store = None if method == VECTORS else own
    elif method != VECTORS:
        store = open_store(index)
    if store is not None:
        proposed = _propose(order, len(everyone), k, candidates, method)
        order, patches = _by_patches(store, vector, several, scored, proposed)
    shown = len(order) if threshold is not None else k
    order = order[: max(shown, _LOOKED_AT)]
    likely = find_likely(
        index, vectors, store, query, vector, templates, scored.rows[order]
    )
    if likely is not None:
        order = np.concatenate([order[likely], order[~likely]])
    best = order[:shown]
    ids = [scored.ids[i] for i in best]
    drawn = dict(zip(ids[:DRAWN], scored.rows[best[:DRAWN]].tolist()))
    places = _places(index, vectors, store, wanted, patches, drawn)
    return Found(
        samples=samples,
        ids=ids,
        scores=[_number(scored.scores[i]) for i in best],
        z_scores=scored.z_scores[best].tolist(),
        places=[places.get(id, ()) for id in ids],
        histogram=histogram(everyone),
        searched=len(everyone),
        missing=missing,
        above=_above(everyone, threshold),
        vector=vector,
        method=method,
        seconds=time.monotonic() - started,
        text=EXAMPLE if isinstance(query, np.ndarray) else str(query),
        likely=None if likely is None else min(int(likely.sum()), len(best)),
        hints=hints,
        clips=clips,
    )


@dataclass(frozen=True, eq=False)
class _Scored:
    """The ``n`` images that are searched.

    Attributes:
        rows: ``(n,)`` int64, their places among the images of the index
        ids: of the samples
        scores: ``(n,)`` float32, NaN for what is unknown
        z_scores: ``(n,)`` float64, of the vectors, among all images of the index
    """

    rows: np.ndarray
    ids: list[str]
    scores: np.ndarray
    z_scores: np.ndarray

    def above(self, threshold: float | None) -> np.ndarray:
        """Places of the images at or above a z-score, all where it is None."""
        if threshold is None:
            return np.arange(len(self.ids))
        return np.flatnonzero(self.z_scores >= threshold)

    def best_first(self, threshold: float | None) -> np.ndarray:
        """Places of the images at or above a z-score, equal ones as they are."""
        above = self.above(threshold)
        return above[np.argsort(-self.scores[above], kind="stable")]


def _score(
    samples: foc.SampleCollection, vectors: IndexVectors, vector: np.ndarray
) -> tuple[_Scored, int]:
    """Scores the images that are among the samples; counts samples without vectors."""
    members = vectors.members(samples)
    if not len(members.rows):
        raise ValueError(
            f"none of these {members.without} images has a vector in the index: embed "
            "them first, or search in the whole dataset"
        )
    scores = vectors.scores(vector)
    z_scores = standardise(scores)
    kept = members.rows
    if len(kept) == len(vectors.ids):
        return _Scored(kept, vectors.ids, scores, z_scores), members.without
    ids = [vectors.ids[i] for i in kept.tolist()]
    return _Scored(kept, ids, scores[kept], z_scores[kept]), members.without


def _above(z_scores: np.ndarray, threshold: float | None) -> int:
    if threshold is None:
        return len(z_scores)
    return int((z_scores >= threshold).sum())


def _propose(
    order: np.ndarray, total: int, k: int, candidates: int | float | None, method: str
) -> np.ndarray:
    """The first of the order, whose patches are read."""
    if method == RERANKED:
        return order[: count_candidates(total, k, candidates)]
    if total > MOST:
        raise ValueError(
            f"method={PATCHES!r} reads every patch of {total:,} images, of {MOST:,} "
            f"at most: search by {RERANKED!r}, or in a smaller view"
        )
    return order


def _by_patches(
    store: FeatureStore, vector: np.ndarray, several: SeveralPrompts | None,
    scored: _Scored, proposed: np.ndarray,
) -> tuple[np.ndarray, dict[str, _Patches]]:
    """Puts images in the order of their best patches; writes their scores anew.

    Returns:
        the places, those without stored patches last, and of the others the best patch
        for each prompt that is shown, with its cosine
    """
    held = np.array([i for i in proposed if scored.ids[i] in store], np.int64)
    rest = np.array([i for i in proposed if scored.ids[i] not in store], np.int64)
    if len(proposed) and not len(held):
        raise ValueError(
            f"no patch features are stored for these {len(rest)} images: update the "
            "index, or search by its vectors"
        )
    ids = [scored.ids[i] for i in held]
    if several is None:
        query = torch.from_numpy(np.asarray(vector, np.float32))[None]
        found = rerank(query, ids, store)
        best, scores = held[found.order[0]], found.scores[0]
        patches, cosines = found.patches, found.scores
    else:
        found, shown = several.rank(ids, store), [*several.shown.values()]
        best, scores = held[found.order], found.scores
        patches, cosines = found.patches[shown], found.cosines[shown]
    scored.scores[best], scored.scores[rest] = scores, np.nan
    of_each = zip(patches.T.tolist(), cosines.T.tolist())
    by_id = dict(zip((scored.ids[i] for i in best), of_each))
    return np.concatenate([best, rest]), by_id


def _places(
    index: Index, vectors: IndexVectors, store: FeatureStore | None,
    wanted: dict[str | None, np.ndarray], patches: dict[str, _Patches],
    drawn: dict[str, int],
) -> dict[str, Places]:
    """Where the images that are drawn match: of patches, else of a few vectors."""
    places = {id: of_patches(store, id, *patches[id], list(wanted))
              for id in drawn if id in patches}
    rest = [row for id, row in drawn.items() if id not in places]
    return places | of_few(index, vectors, wanted, rest)


def _number(score: np.floating) -> float | None:
    return None if np.isnan(score) else float(score)
