"""What each vector of a box was made of, so that a box that was moved is known."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from bson import ObjectId

from detail_embed.engine.box_patches import Boxes, BoxPatches, ImageBoxes
from detail_embed.fiftyone_bridge.index import names
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import box_labels
from detail_embed.fiftyone_bridge.samples.box_labels import BoxLabel
from detail_embed.fiftyone_bridge.samples.frames import documents_of

_BYTES = 12 * 2**20  # of the vectors of an image's boxes: a sample has 16 MB at most
_LACKING = ""  # of a box that has neither a vector nor a reason for that


def note(boxes: BoxPatches) -> dict[str, str]:
    """What is written down of the boxes of an image beside its vector, by label id."""
    asked = boxes.asked
    return {
        id: _digest(box.tolist(), boxes.padding)
        for id, box in zip(asked.ids, asked.boxes)
    }


def now(index: Index, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """What :func:`note` would say of images as they are; of those that have boxes.

    Args:
        index: one of ours
        ids: of samples
    """
    record = index.record
    if record.box_field is None:
        return {}
    padding = record.identity["padding"]
    return {
        id: {
            one.id: _digest(one.box, padding)
            if one.has_vector or one.has_error else _LACKING
            for one in labels
        }
        for id, labels in _read(index, record.box_field, ids)
    }


def boxes(index: Index, field: str, padding: float) -> Boxes:
    """The boxes of a label field; none of their vectors is known."""

    def read(ids: Sequence[Hashable]) -> dict[Hashable, ImageBoxes]:
        return {id: _image(labels) for id, labels in _read(index, field, ids)}

    return Boxes(read, padding)


def known_boxes(index: Index, void: Container[str], dim: int) -> Boxes:
    """The boxes of an index, with the vectors of those that were not changed.

    Args:
        index: one of ours that has boxes
        void: the images whose boxes are made anew: their files have changed, or their
            vectors are of another space
        dim: of a vector
    """
    record = index.record
    field, padding = record.box_field, record.identity["padding"]

    def read(ids: Sequence[Hashable]) -> dict[Hashable, ImageBoxes]:
        noted = _noted(index, [id for id in ids if id not in void])
        return {
            id: _image(labels, noted.get(id, {}), padding)
            for id, labels in _read(index, field, ids, also_vectors=True)
        }

    return Boxes(read, padding, most=_BYTES // (4 * dim))


def _image(
    labels: Sequence[BoxLabel], noted: dict[str, str] | None = None, padding: float = 0
) -> ImageBoxes:
    known = {
        one.id: one.vector for one in labels
        if noted and one.vector is not None
        and noted.get(one.id) == _digest(one.box, padding)
    }
    places = np.array([one.box for one in labels], np.float64)
    return ImageBoxes([one.id for one in labels], places, known)


def _digest(box: Sequence[float], padding: float) -> str:
    """16 hexadecimal digits of a box and its padding."""
    value = repr([float(number) for number in (*box, padding)])
    return hashlib.blake2b(value.encode(), digest_size=8).hexdigest()


def _read(
    index: Index, field: str, ids: Sequence[Hashable], also_vectors: bool = False
) -> Iterator[tuple[str, list[BoxLabel]]]:
    own = names.box_vector(index.key), names.box_error(index.key)
    return box_labels.read(index.home, field, ids, *own, also_vectors)


def _noted(index: Index, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """What is written down of the boxes of images."""
    path = f"{index.source_field}.boxes"
    wanted: dict[str, Any] = {"_id": {"$in": [ObjectId(id) for id in ids]}}
    found = documents_of(index.home).find(wanted, {path: 1})
    return {
        str(one["_id"]): (one.get(index.source_field) or {}).get("boxes") or {}
        for one in found
    }
