"""Search in an index of more vectors than are read into memory.

The files of the index propose the best images, by scores that are exact; an image that
was deleted since, or lost its vectors, is left out at once. How far an image stands out
is told by images that are drawn from all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.index import large
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.samples.frames import documents_of
from detail_embed.fiftyone_bridge.samples.private_names import pipeline
from detail_embed.fiftyone_bridge.search.methods import MOST
from detail_embed.patch_search.vector_files import SCANNED, Hits, VectorFiles

_DRAWN = 2048  # images that tell what scores are usual
_LEAST = 200  # images that are proposed


@dataclass(frozen=True, eq=False)
class Proposed:
    """The best ``m`` images of a large index for a query.

    Attributes:
        vectors: theirs, and no others
        scores: ``(m,)`` float32 cosines
        z_scores: ``(m,)`` float64, among all images of the index
        everyone: ``(n,)`` float64, the z-scores of all images that were searched; those
            that were not found as they are spread among images drawn from all
        missing: images without a vector
    """

    vectors: IndexVectors
    scores: np.ndarray
    z_scores: np.ndarray
    everyone: np.ndarray
    missing: int


def propose(
    index: Index,
    samples: foc.SampleCollection,
    query: np.ndarray,
    k: int,
    threshold: float | None = None,
    parts: Sequence[np.ndarray] = (),
) -> Proposed:
    """Finds the best images of a large index, 5,000 at most for each vector.

    Args:
        index: a large index
        samples: the dataset, or a view of it
        query: ``(d,)`` float32
        k: images that are asked for
        threshold (None): z-score that all which are asked for reach
        parts (()): ``(d,)`` float32 vectors that propose images of their own, too

    Raises:
        ValueError: if the files are not there, no image of the samples has a vector,
            or the query is of another model, 0 or not finite
    """
    files = large.open_files(index)
    usual = sample(index)
    spread = usual.scores(query)
    query = np.asarray(query, np.float32) / np.linalg.norm(query)
    middle, unit = float(spread.mean()), float(spread.std()) or 1.0
    within, searched, missing = _within(index, files, samples)
    if threshold is not None:
        k = round(1.5 * searched * float((spread >= middle + threshold * unit).mean()))
    wanted = min(max(2 * k, _LEAST), MOST, searched)
    hits, scores = _search(index, files, query, wanted, within)
    every = np.concatenate([_rest(spread, scores, searched), np.sort(scores)])
    of_parts = (_search(index, files, part, wanted, within)[0] for part in parts)
    hits = Hits.together([hits, *of_parts])
    matrix, starts, labels = files.read(hits)
    vectors = IndexVectors(files.ids(hits), labels, starts, matrix)
    scores = vectors.scores(query) if len(parts) else hits.scores
    return Proposed(
        vectors,
        scores,
        (scores.astype(np.float64) - middle) / unit,
        (every.astype(np.float64) - middle) / unit,
        missing,
    )


def sample(index: Index) -> IndexVectors:
    """Some images of a large index, drawn from all, with their vectors."""
    files = large.open_files(index)
    return _sample(files, files.state)


@lru_cache(maxsize=2)
def _sample(files: VectorFiles, state: int) -> IndexVectors:
    hits = files.sample(_DRAWN)
    matrix, starts, labels = files.read(hits)
    return IndexVectors(files.ids(hits), labels, starts, matrix)


def _within(
    index: Index, files: VectorFiles, samples: foc.SampleCollection
) -> tuple[list[str] | None, int, int]:
    """The images to search in, None for all; how many have vectors, and have none."""
    if not pipeline(samples):
        total = documents_of(index.home).estimated_document_count()
        searched = min(total, len(files))
        return None, searched, total - searched
    within = samples.values("id")
    searched = files.count(within)
    if not searched:
        raise ValueError(
            f"none of these {len(within)} images has a vector in the index: embed "
            "them first, or search in the whole dataset"
        )
    return within, searched, len(within) - searched


def _search(
    index: Index,
    files: VectorFiles,
    query: np.ndarray,
    wanted: int,
    within: list[str] | None,
) -> tuple[Hits, np.ndarray]:
    """The best images that are still there, and the scores of all that were found."""
    asked = wanted
    if within is not None and len(within) * files.per_image <= SCANNED:
        asked = len(within)  # all their vectors are read anyway
    while True:
        hits = files.search(query, asked, within)
        best = hits[: max(2 * wanted, _LEAST)]
        there = large.still_there(index, files.ids(best))
        kept = np.array([id in there for id in files.ids(best)], bool)
        if kept.sum() >= wanted or len(hits) < asked or asked > 8 * MOST:
            found = best[kept][:wanted]
            return found, hits.scores if asked > wanted else found.scores
        asked *= 2


def _rest(spread: np.ndarray, found: np.ndarray, searched: int) -> np.ndarray:
    """Scores of the images that were not found, rising, as those that were drawn."""
    count = max(searched - len(found), 0)
    below = np.sort(spread[spread <= found.min()] if len(found) else spread)
    if not len(below):
        below = found[-1:]
    return below[np.arange(count) * len(below) // max(count, 1)]
