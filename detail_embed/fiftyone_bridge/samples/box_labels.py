"""The boxes of a label field, as they lie in the database, and what is beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId

from detail_embed.fiftyone_bridge.samples import vector_field
from detail_embed.fiftyone_bridge.samples.frames import Home, documents_of, label_path

KINDS = (fo.Detections, fo.Polylines)
_NOTHING = [float("nan")] * 4


@dataclass(frozen=True)
class BoxLabel:
    """A label that has a box, or should have one.

    Attributes:
        id: of the label
        box: left, top, width and height as shares of the image; NaN where there is no
            number
        has_vector: whether there is one beside it
        has_error: whether there is a reason why it has none
        vector: ``(d,)``; None where there is none, or it was not asked for
    """

    id: str
    box: list[float]
    has_vector: bool
    has_error: bool
    vector: np.ndarray | None = None


def read(
    home: Home,
    field: str,
    ids: Sequence[str],
    vector: str,
    error: str,
    also_vectors: bool = False,
) -> Iterator[tuple[str, list[BoxLabel]]]:
    """Reads the labels of samples, one sample at a time; those that have any.

    Args:
        home: where the images are
        field: of Detections or Polylines
        ids: of samples
        vector: attribute of labels that holds vectors
        error: attribute of labels that says why there is none
        also_vectors (False): whether these are read, too
    """
    labels = f"${label_path(home, field)}"
    held = {"$gt": [f"$$one.{vector}", None]}
    wanted = {
        "_id": "$$one._id",
        "box": "$$one.bounding_box",
        "points": "$$one.points",
        "has": held,
        "error": {"$gt": [f"$$one.{error}", None]},
    }
    if also_vectors:
        wanted["vector"] = f"$$one.{vector}"
    found = documents_of(home).aggregate(
        [
            {"$match": {"_id": {"$in": [ObjectId(id) for id in ids]}}},
            {"$project": {"labels": {
                "$map": {"input": labels, "as": "one", "in": wanted}
            }}},
        ]
    )
    for document in found:
        if labels := document.get("labels"):
            yield str(document["_id"]), [_label(one) for one in labels]


def _label(found: Mapping[str, Any]) -> BoxLabel:
    vector = found.get("vector")
    return BoxLabel(
        id=str(found["_id"]),
        box=_around(found["points"]) if "points" in found else _numbers(found),
        has_vector=found["has"],
        has_error=found["error"],
        vector=None if vector is None else vector_field.decode(vector),
    )


def _numbers(found: Mapping[str, Any]) -> list[float]:
    """The box of a Detection."""
    try:
        box = [float(value) for value in found.get("box") or ()]
    except (TypeError, ValueError):
        return _NOTHING
    return box if len(box) == 4 else _NOTHING


def _around(shapes: Any) -> list[float]:
    """The box around all points of a Polyline."""
    try:
        points = np.array([xy for shape in shapes or () for xy in shape], np.float64)
    except (TypeError, ValueError):
        return _NOTHING
    if points.ndim != 2 or points.shape[1] != 2:
        return _NOTHING
    low, high = points.min(axis=0), points.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]
