"""One vector for each image or box, whatever an index holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.index import boxes, brain_runs
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.samples.private_names import is_patches
from detail_embed.fiftyone_bridge.samples.tags import tag_images, tag_labels

_TINY = 1e-12


def check_images_of_index(
    index: Index, samples: foc.SampleCollection
) -> foc.SampleCollection:
    """Checks that images, or their boxes, can have vectors of an index.

    Returns:
        the images that the samples mean; of an index of boxes, the samples

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    if boxes.field_of(index) is not None:
        boxes.check_boxes(index, samples)
        images = samples if is_patches(samples) else index.images_of(samples)
    else:
        images = index.images_of(samples)
    brain_runs.check_similarity(index)
    return images


@dataclass(frozen=True, eq=False)
class Items:
    """The images, or boxes, that have a vector.

    Attributes:
        samples: the images, or those that the boxes are in
        ids: of the ``m`` images, or labels
        sample_ids: of the ``m`` images that these are, or are in
        matrix: ``(m, d)`` float32, unit length, a copy
        without: how many have none
        field: of the labels; None where these are images
    """

    samples: foc.SampleCollection
    ids: list[str]
    sample_ids: list[str]
    matrix: np.ndarray
    without: int
    field: str | None = None

    @property
    def noun(self) -> str:
        """What they are, for a person."""
        return "images" if self.field is None else "boxes"

    def view(
        self, samples: foc.SampleCollection, ids: Sequence[str]
    ) -> fov.DatasetView:
        """Some of them in the order given: images of the samples, boxes as patches."""
        if self.field is None:
            return samples.select(ids, ordered=True)
        return boxes.close_ups(self.samples, self.field, self._images_of(ids), ids)

    def tag(self, ids: Sequence[str], tag: str) -> None:
        """Tags some of them: images, or the labels that boxes are."""
        if self.field is None:
            tag_images(self.samples.select(ids), tag)
            return
        tag_labels(self.samples, self.field, self._images_of(ids), ids, tag)

    def _images_of(self, ids: Sequence[str]) -> list[str]:
        """The ids of the images that boxes are in."""
        images = dict(zip(self.ids, self.sample_ids))
        return [images[id] for id in ids]


def read_items(index: Index, samples: foc.SampleCollection, fewest: int) -> Items:
    """Reads one vector for each image, or of an index of boxes for each box.

    Args:
        index: a similarity index
        samples: a dataset or view of images, or of patches of the field of an index of
            boxes
        fewest: with a vector, that are needed

    Raises:
        ValueError: if there are too few
    """
    field = boxes.field_of(index)
    if field is None:
        images, matrix, without = read_vectors(index, samples, fewest)
        ids = images.values("id")
        return Items(images, ids, ids, matrix, without)
    vectors = index_vectors.load(index)
    found = boxes.held(vectors, field, samples)
    _check_enough(index, len(found.rows), fewest, "boxes")
    return Items(
        samples=boxes.images_of(samples),
        ids=[vectors.labels[row] for row in found.rows],
        sample_ids=boxes.images_of_rows(vectors, found.rows),
        matrix=vectors.matrix[found.rows],
        without=found.without,
        field=field,
    )


def read_vectors(
    index: Index, samples: foc.SampleCollection, fewest: int
) -> tuple[foc.SampleCollection, np.ndarray, int]:
    """Reads one vector for each image that has any.

    Of an index with several vectors per image it is that of the index of one vector
    beside it, or where there is none, their mean.

    Args:
        index: a similarity index
        samples: a dataset or view of images
        fewest: images with a vector that are needed

    Returns:
        those images; their vectors, ``(m, d)`` float32 of unit length, a copy; and how
        many images have none

    Raises:
        ValueError: if there are too few
    """
    vectors = _load(index)
    places = {id: place for place, id in enumerate(vectors.ids)}
    ids = samples.values("id")
    held = [id for id in ids if id in places]
    _check_enough(index, len(held), fewest, "images")
    matrix = _one_each(vectors)[[places[id] for id in held]]
    images = samples.select(held, ordered=True) if len(held) < len(ids) else samples
    return images, matrix, len(ids) - len(held)


def mean(index: Index) -> np.ndarray:
    """The mean of one vector for each image, or box, that an index holds: ``(d,)``."""
    if boxes.field_of(index) is not None:
        return index_vectors.load(index).matrix.mean(axis=0)
    return _one_each(_load(index)).mean(axis=0)


def _load(index: Index) -> IndexVectors:
    """The vectors that stand for images: of the index beside it where there is one."""
    single = index.single
    has_single = index.owns_single and single.has_brain_run
    return index_vectors.load(single if has_single else index)


def _one_each(vectors: IndexVectors) -> np.ndarray:
    """One vector of unit length for each image: of several, their mean; a copy."""
    matrix = np.add.reduceat(vectors.matrix, vectors.starts)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), _TINY)
    return matrix


def _check_enough(index: Index, count: int, fewest: int, noun: str) -> None:
    if count < fewest:
        raise ValueError(
            f"{count} of these {noun} have a vector in the index {index.key!r}, but "
            f"{fewest} are needed; take more {noun}, or compute it for them"
        )
