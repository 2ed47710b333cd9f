"""Samples of a FiftyOne collection as items to embed, and vectors back to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom

from ..engine import Chunk

_SECONDS = 2.0
_IMAGES = 256


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
    if not len(samples):
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

    Vectors are written every 2 seconds or 256 images: often enough that little is
    lost when a process is killed, seldom enough that the database does not slow a
    GPU down (0.3 ms an image, against 1.7 ms in writes of 8). Close the sink to
    write what is waiting.

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
        self._waiting: dict[str, dict[str, Any]] = {
            field: {} for field in (vectors, global_vectors) if field
        }
        self._written = time.monotonic()

    def write(self, chunk: Chunk) -> None:
        """Takes a chunk; an image that has a vector now loses its old error."""
        if self._vectors:
            self._waiting[self._vectors].update(zip(chunk.ids, self._values(chunk)))
        if self._global_vectors:
            self._waiting[self._global_vectors].update(
                zip(chunk.ids, chunk.global_vectors)
            )
        reasons = {error.id: error.reason for error in chunk.errors}
        if reasons:
            declare(self._dataset, [self._errors], fo.StringField)
        recovered = self._had_errors.intersection(chunk.ids)
        self._set(self._errors, reasons | dict.fromkeys(recovered))
        count = max(map(len, self._waiting.values()))
        if count >= _IMAGES or time.monotonic() - self._written > _SECONDS:
            self.close()

    def close(self) -> None:
        """Writes what is waiting."""
        for field, values in self._waiting.items():
            self._set(field, values)
            values.clear()
        self._written = time.monotonic()

    def _set(self, field: str, values: dict) -> None:
        if values:
            self._dataset.set_values(field, values, key_field="id")


def _image_slices(samples: foc.SampleCollection) -> list[str]:
    media = samples.group_media_types
    return sorted(name for name, kind in media.items() if kind == fom.IMAGE)
