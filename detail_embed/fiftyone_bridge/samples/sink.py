"""Writes the vectors and errors of images into fields, in bulk."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Container, Iterable, Mapping
from operator import attrgetter
from typing import Any

import fiftyone as fo
import numpy as np
from bson import Binary, ObjectId
from pymongo import UpdateOne

from detail_embed.engine.chunk import Chunk
from detail_embed.fiftyone_bridge.samples.collection import declare, ids_with
from detail_embed.fiftyone_bridge.samples.frames import Home, write_images
from detail_embed.fiftyone_bridge.samples.mongo import MODIFIED, patiently

Column = Callable[[Chunk], Iterable[Any]]
VECTORS: Column = attrgetter("vectors")
SINGLE: Column = attrgetter("single_vectors")
WHOLE: Column = attrgetter("global_vectors")


class Sink:
    """Where the engine's chunks go: into fields of the samples.

    All fields of a sample are written at once, so that a kill leaves none half
    written; all samples of a chunk in one bulk. While MongoDB is away, a write waits
    for it, see :func:`.mongo.patiently`.

    Args:
        home: where the images are
        columns: what is written, by field: makes the ``n`` values of a chunk, such as
            :data:`VECTORS`
        errors: the field for the reasons why an image has no vector; it is added with
            the first one
        void (()): the images whose vectors are not to be used any more: those that
            cannot be read lose them
    """

    def __init__(
        self,
        home: Home,
        columns: Mapping[str, Column],
        errors: str,
        void: Container[str] = (),
    ):
        self._home = home
        self._void = void
        self._columns = columns
        self._errors = errors
        self._had_errors = ids_with(home, errors)

    def write(self, chunk: Chunk) -> None:
        """Writes a chunk; an image that has a vector now loses its old error.

        Raises:
            pymongo.errors.ConnectionFailure: if MongoDB stays away
        """
        documents: dict[str, dict[str, Any]] = {id: {} for id in chunk.ids}
        for name, column in self._columns.items():
            self._fill(documents, name, chunk.ids, column(chunk))
        for id in self._had_errors.intersection(chunk.ids):
            documents[id][self._errors] = None
        if chunk.errors:
            patiently(declare, self._home, [self._errors], fo.StringField)
        for error in chunk.errors:
            lost = dict.fromkeys(self._columns) if error.id in self._void else {}
            documents[error.id] = {**lost, self._errors: error.reason}
        operations = [
            UpdateOne(
                {"_id": ObjectId(id)},
                {"$set": values, "$currentDate": {MODIFIED: True}},
            )
            for id, values in documents.items()
        ]
        if operations:
            patiently(write_images, self._home, operations, list(documents))

    def _fill(
        self,
        documents: dict[str, dict[str, Any]],
        name: str,
        ids: Iterable[str],
        values: Iterable[Any],
    ) -> None:
        """Puts the values of a field as the database stores them into documents."""
        field = self._home.get_field(name)
        for id, value in zip(ids, values):
            documents[id][name] = _stored(field, value)


def _stored(field: fo.Field, value: Any) -> Any:
    """A value as FiftyOne stores it; labels are made so already."""
    if isinstance(field, fo.VectorField):
        return stored_vector(value)
    are_labels = isinstance(field, fo.EmbeddedDocumentField)
    return value if are_labels else field.to_mongo(value)


def stored_vector(vector: np.ndarray) -> Binary:
    """A vector as FiftyOne stores it: a zlib stream of ``numpy.save``.

    It is of zlib's level 0: floats hardly shrink, and compressing them costs five times
    as much as all the rest.
    """
    with io.BytesIO() as file:
        np.save(file, vector, allow_pickle=False)
        return Binary(zlib.compress(file.getvalue(), 0))
