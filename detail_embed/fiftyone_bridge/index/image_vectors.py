"""One vector for each image, whatever an index holds."""

from __future__ import annotations

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.collection import check_images

_TINY = 1e-12


def check_images_of_index(index: Index, samples: foc.SampleCollection) -> None:
    """Checks that the images can have vectors of an index.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    check_images(samples)
    brain_runs.check_similarity(index)


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
    single = index.single
    has_single = index.owns_single and single.has_brain_run
    vectors = index_vectors.load(single if has_single else index)
    places = {id: place for place, id in enumerate(vectors.ids)}
    ids = samples.values("id")
    held = [id for id in ids if id in places]
    if len(held) < fewest:
        raise ValueError(
            f"{len(held)} of these images have a vector in the index {index.key!r}, "
            f"but {fewest} are needed; take more images, or compute it for "
            "them"
        )
    sums = np.add.reduceat(vectors.matrix, vectors.starts)
    matrix = sums[[places[id] for id in held]]
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), _TINY)
    images = samples.select(held, ordered=True) if len(held) < len(ids) else samples
    return images, matrix, len(ids) - len(held)
