"""Search in an index of boxes: what is found are labels, not images."""

from __future__ import annotations

import time

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.index import boxes
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import label_attributes
from detail_embed.fiftyone_bridge.samples.private_names import is_patches
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.search.found import DRAWN, EXAMPLE
from detail_embed.fiftyone_bridge.search.found_boxes import FoundBoxes
from detail_embed.fiftyone_bridge.search.methods import (
    AUTO,
    VECTORS,
    check_request,
)
from detail_embed.fiftyone_bridge.search.places import Place
from detail_embed.texts.query import Query
from detail_embed.texts.score_summary import histogram, standardise


def search_boxes(
    index: Index,
    samples: foc.SampleCollection,
    query: str | Query | np.ndarray,
    k: int | None = 25,
    threshold: float | None = None,
    templates: str = "own",
    method: str = AUTO,
) -> FoundBoxes:
    """Finds the boxes that fit a query best.

    z-scores, and so a threshold, are among all boxes of the index.

    Args:
        index: an index of the boxes of a label field, ours or FiftyOne's own
        samples: a dataset or view of images, or of patches of that field: only the
            labels that are in it are searched
        query: as of :func:`.search.search`
        k (25): boxes to return, at most, None for all; with a threshold all at or
            above it are returned, however many
        threshold (None): z-score that a box must reach to be returned
        templates ("own"): sentences around the prompts
        method ("auto"): ``"auto"`` or ``"vectors"``, which are the same here

    Raises:
        TypeError: if the samples or the query are something else
        ValueError: if nothing can be searched so; the message says what to do
    """
    started = time.monotonic()
    field = boxes.check_boxes(index, samples)
    if not is_patches(samples):
        samples = index.images_of(samples)
    check_request(1 if k is None else k, threshold, method)
    if method not in (AUTO, VECTORS):
        raise ValueError(
            f"method={method!r}: of boxes there is one vector each and nothing else; "
            f"give {AUTO!r}"
        )
    vector, hints = query, ()
    if not isinstance(query, np.ndarray):
        vector = query_vectors.encode(index, query, templates)
        hints = query_vectors.hints(index, query, templates)
    vectors = index_vectors.load(index)
    members = boxes.held(vectors, field, samples)
    if not len(members.rows):
        if not members.without:
            raise ValueError(
                f"none of these images has a label in {field!r}, so there is no box to "
                "find: search in others, or in the whole dataset; of groups, in the "
                "slice that has the labels"
            )
        raise ValueError(
            f"none of these {members.without} labels of {field!r} has a vector in the "
            f"index {index.key!r}: update the index, or search in the whole dataset"
        )
    scores = vectors.cosines(vector)
    z_scores = standardise(scores)
    rows = members.rows
    if threshold is not None:
        rows = rows[z_scores[rows] >= threshold]
    order = rows[np.argsort(-scores[rows], kind="stable")]
    best = order if k is None or threshold is not None else order[:k]
    ids = [vectors.labels[row] for row in best]
    images = boxes.images_of_rows(vectors, best)
    shown = boxes.images_of(samples).select(images[:DRAWN])
    found = scores[best].tolist()
    box_of = label_attributes.boxes(shown, field)
    places = {id: (Place(tuple(box_of[id]), score),)
              for id, score in zip(ids, found) if box_of.get(id)}
    return FoundBoxes(
        samples=samples,
        ids=ids,
        scores=found,
        z_scores=z_scores[best].tolist(),
        places=[places.get(id, ()) for id in ids],
        histogram=histogram(z_scores[members.rows]),
        searched=len(members.rows),
        missing=members.without,
        above=len(rows),
        vector=vector,
        method=VECTORS,
        seconds=time.monotonic() - started,
        text=EXAMPLE if isinstance(query, np.ndarray) else str(query),
        hints=hints,
        label_field=field,
        sample_ids=images,
    )
