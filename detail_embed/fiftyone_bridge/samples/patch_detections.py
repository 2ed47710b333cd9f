"""A few vectors per image in FiftyOne: Detections with the boxes they stand for."""

from __future__ import annotations

from functools import cache
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from bson import ObjectId

from detail_embed.engine.chunk import Chunk
from detail_embed.fiftyone_bridge.samples.app_defaults import fold, hide
from detail_embed.fiftyone_bridge.samples.collection import declare
from detail_embed.fiftyone_bridge.samples.frames import Home, dataset_with
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.fiftyone_bridge.samples.sink import stored_vector

LABEL = "patch"
VECTOR = "vector"
LEVEL = "level"


def declare_vectors(home: Home, field: str, few: bool) -> None:
    """Adds the field for the vectors of images, if it is not there yet.

    Args:
        home: where the images are
        field: its name
        few: whether an image has a few vectors: Detections with vector and level
    """
    is_new = not home.has_field(field)
    if not few:
        declare(home, [field], fo.VectorField)
    elif is_new:
        home.add_sample_field(
            field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
        )
        home.add_sample_field(f"{field}.detections.{VECTOR}", fo.VectorField)
        home.add_sample_field(f"{field}.detections.{LEVEL}", fo.IntField)
    if is_new:
        fold(home, field)
    if few and (is_new or dataset_with(home).app_config.active_fields is None):
        hide(home, field)


def detections(chunk: Chunk) -> list[dict[str, Any]]:
    """Makes the Detections of the images of a chunk, as the database stores them.

    FiftyOne makes one as a pattern: to make every one of them through its classes
    takes longer than a GPU takes to encode an image.
    """
    labels, label = _patterns()
    return [
        labels | {
            "detections": [
                label | {
                    "_id": ObjectId(),
                    "tags": [],
                    "attributes": {},
                    "bounding_box": box.tolist(),
                    VECTOR: stored_vector(vector),
                    LEVEL: int(level),
                }
                for vector, box, level in zip(image.vectors, image.boxes, image.levels)
            ]
        }
        for image in chunk.patches
    ]


@cache
def _patterns() -> tuple[dict[str, Any], dict[str, Any]]:
    """Detections, and one of them, as FiftyOne writes them."""
    label = fo.Detection(label=LABEL, bounding_box=[0, 0, 1, 1])
    return fo.Detections().to_mongo().to_dict(), label.to_mongo().to_dict()


def read(
    samples: foc.SampleCollection, field: str, attribute: str = VECTOR
) -> tuple[np.ndarray, list[str], list[str]]:
    """Reads the vectors of the labels of images; those that there are.

    Args:
        samples: the images
        field: of labels
        attribute (VECTOR): of the labels, where their vectors are

    Returns:
        ``(n, d)`` vectors, and the ``n`` ids of their samples and of their labels
    """
    paths = [label_path(samples, field, name) for name in ("id", attribute)]
    found = [
        (vector, id, label)
        for id, labels, vectors in zip(*samples.values(["id", *paths]))
        for label, vector in zip(labels or (), vectors or ())
        if vector is not None
    ]
    if not found:
        return np.empty((0, 0), np.float32), [], []
    vectors, ids, labels = zip(*found)
    return np.stack(vectors), list(ids), list(labels)
