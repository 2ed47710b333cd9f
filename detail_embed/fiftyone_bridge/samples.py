"""Samples of a FiftyOne collection as items to embed, and vectors back to them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom
import numpy as np
from bson import Binary, ObjectId
from pymongo import UpdateOne

from ..chunk import Chunk
from .mongo import patiently

_MODIFIED = "last_modified_at"  # FiftyOne's own field


def check_images(samples: foc.SampleCollection) -> None:
    """Checks that a collection holds images to embed.

    Raises:
        ValueError: if it is empty, or of another medium
    """
    if samples._is_generated:
        raise ValueError(
            "detail-embed embeds whole images; this is a view of patches, clips or "
            "frames. Pass the data set, or a view of its samples"
        )
    if samples.media_type == fom.GROUP:
        raise ValueError(
            f"{samples.name!r} is grouped; choose one of its image slices "
            f"{_image_slices(samples)}, for example "
            "dataset.select_group_slices('<slice>')"
        )
    if not len(samples.limit(1)):  # a view counts all that it holds
        raise ValueError(
            f"{samples.name!r} has no samples, so there is nothing to embed: add "
            "images first"
        )
    if samples.media_type != fom.IMAGE:
        raise ValueError(
            f"{samples.name!r} holds media of type {samples.media_type!r}; only image "
            "data sets are supported, open one of these"
        )


def flat_images(dataset: fo.Dataset) -> foc.SampleCollection:
    """All images of a data set, whatever slice they are in."""
    if dataset.media_type == fom.GROUP:
        return dataset.select_group_slices(media_type=fom.IMAGE)
    return dataset


def refresh(dataset: fo.Dataset) -> None:
    """Reads fields and runs of a data set again: other processes may add some.

    Samples in memory are only read again where the fields are others.
    """
    dataset._reload()
    stored = {field.name for field in dataset._doc.sample_fields}
    if stored != set(dataset.get_field_schema(include_private=True)):
        dataset.reload()


def declare(dataset: fo.Dataset, fields: Iterable[str], kind: type[fo.Field]) -> None:
    """Adds fields that are not there yet."""
    for field in fields:
        if not dataset.has_field(field):
            dataset.add_sample_field(field, kind)


def ids_with(dataset: fo.Dataset, field: str) -> set[str]:
    """The ids of the samples that have a value in a field; none where it is missing."""
    if not dataset.has_field(field):
        return set()
    return set(flat_images(dataset).exists(field).values("id"))


def without(items: list[tuple[str, str]], ids: set[str]) -> list[tuple[str, str]]:
    """The ``(id, path)`` pairs whose ids are not among those given."""
    return [item for item in items if item[0] not in ids]


class Sink:
    """Where the engine's chunks go: into fields of the samples.

    All fields of a sample are written at once, so that a kill leaves none half
    written; all samples of a chunk in one bulk. While MongoDB is away, a write waits
    for it, see :func:`.mongo.patiently`.

    Args:
        dataset: the data set
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
            patiently(self._dataset._bulk_write, operations, ids=list(documents))

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


def _image_slices(samples: foc.SampleCollection) -> list[str]:
    media = samples.group_media_types
    return sorted(name for name, kind in media.items() if kind == fom.IMAGE)
