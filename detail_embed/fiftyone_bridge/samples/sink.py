"""Writes the vectors and errors of images into fields, in bulk."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import fiftyone as fo
import numpy as np
from bson import Binary, ObjectId
from pymongo import UpdateOne

from detail_embed.engine.chunk import Chunk
from detail_embed.fiftyone_bridge.samples.collection import declare, ids_with
from detail_embed.fiftyone_bridge.samples.mongo import patiently
from detail_embed.fiftyone_bridge.samples.private_names import write_samples

_MODIFIED = "last_modified_at"  # FiftyOne's own field


class Sink:
    """Where the engine's chunks go: into fields of the samples.

    All fields of a sample are written at once, so that a kill leaves none half
    written; all samples of a chunk in one bulk. While MongoDB is away, a write waits
    for it, see :func:`.mongo.patiently`.

    Args:
        dataset: the dataset
        vectors: the field for the detail vectors, None to leave them out
        global_vectors: the field for the whole-image vectors, likewise
        errors: the field for the reasons why an image has no vector; it is added with
            the first one
        values (None): makes the values of the field ``vectors`` of a chunk; None for
            its vectors
    """

    def __init__(
        self,
        dataset: fo.Dataset,
        vectors: str | None,
        global_vectors: str | None,
        errors: str,
        values: Callable[[Chunk], Iterable[Any]] | None = None,
    ):
        self._dataset = dataset
        self._vectors = vectors
        self._global_vectors = global_vectors
        self._errors = errors
        self._values = values or (lambda chunk: chunk.vectors)
        self._had_errors = ids_with(dataset, errors)

    def write(self, chunk: Chunk) -> None:
        """Writes a chunk; an image that has a vector now loses its old error.

        Raises:
            pymongo.errors.ConnectionFailure: if MongoDB stays away
        """
        documents: dict[str, dict[str, Any]] = {id: {} for id in chunk.ids}
        if self._vectors:
            self._fill(documents, self._vectors, chunk.ids, self._values(chunk))
        if self._global_vectors:
            whole = chunk.global_vectors
            self._fill(documents, self._global_vectors, chunk.ids, whole)
        for id in self._had_errors.intersection(chunk.ids):
            documents[id][self._errors] = None
        if chunk.errors:
            patiently(declare, self._dataset, [self._errors], fo.StringField)
        for error in chunk.errors:
            documents[error.id] = {self._errors: error.reason}
        now = datetime.utcnow()
        operations = [
            UpdateOne({"_id": ObjectId(id)}, {"$set": {**values, _MODIFIED: now}})
            for id, values in documents.items()
        ]
        if operations:
            patiently(write_samples, self._dataset, operations, list(documents))

    def _fill(
        self,
        documents: dict[str, dict[str, Any]],
        name: str,
        ids: Iterable[str],
        values: Iterable[Any],
    ) -> None:
        """Puts the values of a field as the database stores them into documents."""
        field = self._dataset.get_field(name)
        for id, value in zip(ids, values):
            documents[id][name] = _stored(field, value)


def _stored(field: fo.Field, value: Any) -> Any:
    """A value as FiftyOne stores it.

    A vector is FiftyOne's zlib stream of ``numpy.save``, at zlib's level 0: floats
    hardly shrink, and compressing them costs five times as much as all the rest.
    """
    if not isinstance(field, fo.VectorField):
        return field.to_mongo(value)
    with io.BytesIO() as file:
        np.save(file, value, allow_pickle=False)
        return Binary(zlib.compress(file.getvalue(), 0))
