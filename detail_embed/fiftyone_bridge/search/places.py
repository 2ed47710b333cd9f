"""Where in an image a search found what was looked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detail_embed.cover.patches import relative
from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors


@dataclass(frozen=True)
class Place:
    """A place that matched.

    Attributes:
        box: left, top, width and height as shares of the image
        score: cosine of the text and what is there; None where it is not known
        text: which of several prompts it is of; None for the query as a whole
    """

    box: tuple[float, ...]
    score: float | None
    text: str | None = None


Places = tuple[Place, ...]


def of_patches(
    store: FeatureStore, id: str, patches: Sequence[int], scores: Sequence[float],
    texts: Sequence[str | None],
) -> Places:
    """The places of one image.

    Args:
        store: patch features, of the image too
        id: of the sample
        patches: the best one for each of ``t`` texts
        scores: ``t`` cosines of these
        texts: of the prompts; None for the query as a whole
    """
    boxes = relative(store[id].boxes, np.asarray(patches))
    return _apart(zip(map(tuple, boxes.tolist()), scores, texts))


def of_few(
    index: Index, vectors: IndexVectors, wanted: Mapping[str | None, np.ndarray],
    rows: Sequence[int],
) -> dict[str, Places]:
    """What the best of a few vectors of each image stand for.

    Args:
        index: the index
        vectors: those of the index
        wanted: vectors ``(d,)`` of the prompts, by their texts; of the query as a
            whole by None
        rows: places of images among those of the index

    Returns:
        places by sample id; none of an index of one vector, or of another's
    """
    if vectors.labels is None or index.record is None:
        return {}
    queries, best = np.stack(list(wanted.values())), {}
    for row in rows:
        own = vectors.rows(row)
        near = queries @ vectors.matrix[own].T
        labels = [vectors.labels[own.start + at] for at in near.argmax(axis=1)]
        best[vectors.ids[row]] = labels, near.max(axis=1).tolist()
    field = f"{index.field}.detections"
    images = index.images().select(list(best))
    found = {}
    for id, labels, boxes in zip(
        *images.values(["id", f"{field}.id", f"{field}.bounding_box"])
    ):
        box_of = dict(zip(labels or (), boxes or ()))
        rows_of = zip(*best[id], wanted)
        found[id] = _apart(
            (tuple(box_of[label]), score, text)
            for label, score, text in rows_of
            if label in box_of
        )
    return {id: places for id, places in found.items() if places}


def _apart(found: Iterable[tuple[tuple[float, ...], float, str | None]]) -> Places:
    """Places in this order; texts that are found at one place have it together."""
    places: dict[tuple[float, ...], Place] = {}
    for box, score, text in found:
        known = places.get(box)
        if known is not None:
            score, text = max(known.score, score), f"{known.text}, {text}"
        places[box] = Place(box, score, text)
    return tuple(places.values())
