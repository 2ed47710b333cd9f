"""The best place of each image that a search found, as a label of the view alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np
from bson import ObjectId
from fiftyone import ViewExpression

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.samples.app_defaults import (
    MATCH,
    MATCH_MAKER,
    is_made_by,
)
from detail_embed.fiftyone_bridge.samples.private_names import (
    is_frames,
    serialized,
)


def is_known(samples: foc.SampleCollection) -> bool:
    """Whether the field for the best place is there, and is not somebody else's."""
    field = samples.get_field(MATCH)
    return field is not None and is_ours(field)


def is_ours(field: fo.Field) -> bool:
    """Whether a field is for the best places of searches."""
    return is_made_by(field, MATCH_MAKER)


def draw(
    view: fov.DatasetView,
    ids: Sequence[str],
    boxes: Sequence[Sequence[float] | None],
    scores: Sequence[float | None],
    text: str,
) -> fov.DatasetView:
    """Adds the best places to a view; nothing is written to the samples.

    Args:
        view: of the samples
        ids: of the ``k`` samples
        boxes: left, top, width and height as shares of the image; None for none
        scores: cosines
        text: of the labels
    """
    label = {
        "label": {"$literal": text},
        "_id": {"$toObjectId": item([str(ObjectId()) for _ in ids])},
        "_cls": "Detection",
        "bounding_box": item(list(boxes)),
        "confidence": item([_confidence(score) for score in scores]),
        "tags": [],
    }
    known = {"$ne": [item(list(boxes)), None]}
    labels = {"$cond": [known, [label], []]}
    value = {"_cls": "Detections", "detections": labels}
    return view.set_field(MATCH, of_each(ids, value))


def of_each(ids: Sequence[str], value: Any) -> ViewExpression:
    """A value for each of some samples, by their place ``$$at`` among them.

    The lists that are looked up are constants: MongoDB parses them once, and finds the
    place by a hash.

    Args:
        ids: of the samples; others have none
        value: an expression of MongoDB
    """
    place = {"$indexOfArray": [list(ids), {"$toString": "$_id"}]}
    known = {"$cond": [{"$gte": ["$$at", 0]}, value, None]}
    return ViewExpression({"$let": {"vars": {"at": place}, "in": known}})


def item(values: list[Any]) -> dict[str, Any]:
    """That of some constants which stands at ``$$at``."""
    return {"$arrayElemAt": [{"$literal": values}, "$$at"]}


def close_ups(view: fov.DatasetView, ids: Sequence[str]) -> fov.DatasetView:
    """The best places of a view as patches; FiftyOne writes a dataset for them.

    Args:
        view: of :func:`draw`
        ids: of its samples, in the order of the patches
    """
    owner = "frame_id" if is_frames(view) else "sample_id"
    return view.to_patches(MATCH).select_by(owner, ids, ordered=True)


def text_of(view: foc.SampleCollection) -> str | None:
    """What the search that a view shows looked for; None for a view of another kind."""
    if not isinstance(view, fov.DatasetView):
        return None
    for stage in serialized(view):
        names = dict(kwarg for kwarg in stage["kwargs"])
        if names.get("field") == MATCH and "expr" in names:
            return _first_text(names["expr"])
    return None


def _first_text(value: Any) -> str | None:
    """The first literal text of an expression."""
    if isinstance(value, dict):
        if isinstance(value.get("$literal"), str):
            return value["$literal"]
        value = list(value.values())
    parts = map(_first_text, value) if isinstance(value, list) else ()
    return next((part for part in parts if part is not None), None)


def few_boxes(
    index: Index, vectors: IndexVectors, query: np.ndarray, rows: Sequence[int]
) -> dict[str, list[float]]:
    """What the best of a few vectors of each image stands for.

    Args:
        index: the index
        vectors: those of the index
        query: ``(d,)``
        rows: places of images among those of the index

    Returns:
        boxes by sample id; none of an index of one vector, or of another's
    """
    if vectors.labels is None or index.record is None:
        return {}
    best = {}
    for row in rows:
        own = vectors.rows(row)
        nearest = own.start + int((vectors.matrix[own] @ query).argmax())
        best[vectors.ids[row]] = vectors.labels[nearest]
    field = f"{index.field}.detections"
    images = index.images().select(list(best))
    columns = images.values(["id", f"{field}.id", f"{field}.bounding_box"])
    return {
        id: dict(zip(labels, boxes))[best[id]]
        for id, labels, boxes in zip(*columns)
        if labels and best[id] in labels
    }


def _confidence(score: float | None) -> float | None:
    return None if score is None else round(min(max(score, 0.0), 1.0), 4)
