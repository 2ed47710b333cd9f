"""Writes the vectors of boxes beside their labels, and why a box has none."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

import fiftyone as fo
from bson import ObjectId
from pymongo import UpdateOne

from detail_embed.engine.box_patches import BoxPatches
from detail_embed.engine.chunk import Chunk
from detail_embed.fiftyone_bridge.samples.collection import declare
from detail_embed.fiftyone_bridge.samples.frames import Home, write_images
from detail_embed.fiftyone_bridge.samples.mongo import patiently
from detail_embed.fiftyone_bridge.samples.sink import stored_vector

_AT_ONCE = 64  # labels: the database writes all of a sample with each change


class BoxSink:
    """Where the boxes of the engine's chunks go: into attributes of their labels.

    They are to be written before what is noted of their images: a kill between the two
    leaves boxes whose vectors are made again. A label that was deleted meanwhile is
    left out, others are found wherever they are now.

    Args:
        home: where the images are
        vectors: path of the attribute for vectors, ``"field.detections.attribute"``
        errors: path of that for the reasons why a box has none; it is added with the
            first one
        void (()): the images whose vectors are not to be used any more: boxes of those
            that cannot be read lose theirs

    Attributes:
        written: boxes that got a vector
        failed: boxes that cannot have one
    """

    def __init__(
        self, home: Home, vectors: str, errors: str, void: Container[str] = ()
    ):
        self._home, self._void = home, void
        self._labels, _, self._vector = vectors.rpartition(".")
        self._errors, self._error = errors, errors.rpartition(".")[2]
        self.written = self.failed = 0

    def write(self, chunk: Chunk) -> None:
        """Writes what is new of the boxes of a chunk.

        Raises:
            pymongo.errors.ConnectionFailure: if MongoDB stays away
        """
        operations = [
            one for id, boxes in zip(chunk.ids, chunk.boxes)
            for one in self._of_image(id, boxes)
        ]
        lost = [error.id for error in chunk.errors if error.id in self._void]
        operations += [self._lose(id) for id in lost]
        if operations:
            ids = [*chunk.ids, *lost]
            patiently(write_images, self._home, operations, ids)

    def _of_image(self, id: str, boxes: BoxPatches) -> Iterator[UpdateOne]:
        labels = boxes.asked.ids
        new = () if boxes.encoded is None else boxes.encoded.cpu().numpy()
        values = [
            (labels[row], self._vector, stored_vector(vector))
            for row, vector in zip(boxes.todo, new)
        ]
        self.written += len(values)
        bad = [(labels[row], reason) for row, reason in enumerate(boxes.reasons)
               if reason is not None]
        if bad:
            self._declare_errors()
            self.failed += len(bad)
            values += [(label, self._error, reason) for label, reason in bad]
        for start in range(0, len(values), _AT_ONCE):
            yield self._set(id, values[start : start + _AT_ONCE])

    def _set(self, id: str, values: Sequence[tuple[str, str, Any]]) -> UpdateOne:
        """Gives labels a vector in place of an error, or the other way round."""
        given, gone, filters = {}, {}, []
        for i, (label, name, value) in enumerate(values):
            one = f"{self._labels}.$[one{i}]"
            given[f"{one}.{name}"] = value
            other = self._error if name == self._vector else self._vector
            gone[f"{one}.{other}"] = ""
            filters.append({f"one{i}._id": ObjectId(label)})
        change = {"$set": given, "$unset": gone}
        return UpdateOne(self._if_any(id), change, array_filters=filters)

    def _lose(self, id: str) -> UpdateOne:
        gone = {f"{self._labels}.$[].{self._vector}": ""}
        return UpdateOne(self._if_any(id), {"$unset": gone})

    def _if_any(self, id: str) -> dict[str, Any]:
        """A sample, if it still has labels: others cannot be changed so."""
        return {"_id": ObjectId(id), f"{self._labels}.0": {"$exists": True}}

    def _declare_errors(self) -> None:
        patiently(declare, self._home, [self._errors], fo.StringField)
