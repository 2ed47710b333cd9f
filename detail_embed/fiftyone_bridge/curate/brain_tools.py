"""FiftyOne's brain on the vectors of an index: near duplicates and outliers.

The brain gets copies of the vectors. Its duplicate search shifts the vectors of an
index that it is given, see https://github.com/voxel51/fiftyone-brain/issues/258, and
only one backend can do it; so the index itself is never passed.

Of an index with several vectors per image, the one beside these stands for the image.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from numbers import Integral, Real

import fiftyone.brain as fob
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.index.image_vectors import (
    check_images_of_index,
    read_vectors,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.collection import with_fields

THRESHOLD = 0.1
COUNT = 25
_FEWEST = 5  # for FiftyOne's uniqueness
_TINY = 1e-12


@dataclass(frozen=True)
class NearDuplicates:
    """Images that look alike.

    Attributes:
        view: each kept image, followed by its duplicates; the closest group first
        groups: ``{kept id: [(duplicate id, cosine distance), ...]}``, closest first
        images: that were compared
        without: images that have no vector
    """

    view: fov.DatasetView
    groups: dict[str, list[tuple[str, float]]]
    images: int
    without: int

    @property
    def duplicates(self) -> int:
        """Images that could go."""
        return sum(map(len, self.groups.values()))


@dataclass(frozen=True)
class Outliers:
    """Images far from all others.

    Attributes:
        view: the farthest first
        field: how far each image is from its neighbours, 1 for the farthest
        images: that were compared
        without: images that have no vector
    """

    view: fov.DatasetView
    field: str
    images: int
    without: int


def find_near_duplicates(
    index: Index, samples: foc.SampleCollection, threshold: float = THRESHOLD
) -> Run:
    """Finds images that are nearly the same, by ``fob.compute_near_duplicates``.

    Args:
        index: a similarity index
        samples: a dataset or view of images
        threshold (0.1): the largest cosine distance of duplicates, 0 to 2, after the
            mean of the vectors was taken away

    Returns:
        a :class:`.runs.run.Run`, whose result is a :class:`NearDuplicates`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    check_threshold(threshold)
    check_images_of_index(index, samples)
    return Run(_near_duplicates(index, samples, threshold))


def find_outliers(
    index: Index, samples: foc.SampleCollection, count: int = COUNT
) -> Run:
    """Finds the images that are farthest from others, by ``fob.compute_uniqueness``.

    The distances go to the field ``<brain_key>_uniqueness``, in place of those of an
    earlier search.

    Args:
        index: a similarity index
        samples: a dataset or view of images
        count (25): images to show

    Returns:
        a :class:`.runs.run.Run`, whose result is :class:`Outliers`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    check_outliers(index, samples, count)
    return Run(_outliers(index, samples, count))


def uniqueness_field(brain_key: str) -> str:
    """Name of the field that says how far an image is from others."""
    return f"{brain_key}_uniqueness"


def check_threshold(threshold: float) -> None:
    """Checks the largest distance of duplicates.

    Raises:
        ValueError: if it is no number from 0 to 2
    """
    is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if not is_number or not 0 <= threshold <= 2:
        raise ValueError(
            f"threshold must be a cosine distance from 0 to 2, not {threshold!r}"
        )


def check_outliers(index: Index, samples: foc.SampleCollection, count: int) -> None:
    """Checks what can be checked; see :func:`find_outliers`."""
    check_images_of_index(index, samples)
    if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
        raise ValueError(f"count must be a whole number of at least 1, not {count!r}")
    dataset, field = index.dataset, uniqueness_field(index.key)
    if dataset.has_field(field) and field not in dataset.list_brain_runs(
        type="uniqueness"
    ):
        raise ValueError(
            f"the field {field!r} exists and is not FiftyOne's uniqueness; rename it"
        )


def _near_duplicates(
    index: Index, samples: foc.SampleCollection, threshold: float
) -> Generator[Progress, None, NearDuplicates]:
    yield Progress("Reading the vectors", 0.0)
    images, matrix, without = read_vectors(index, samples, 2)
    yield Progress(f"Comparing {len(matrix)} images", 0.3)
    found = fob.compute_near_duplicates(images, threshold=threshold, embeddings=matrix)
    groups = _measure(found.neighbors_map, images.values("id"), matrix)
    ids = [id for kept, others in groups.items() for id in (kept, *dict(others))]
    view = samples.select(ids, ordered=True)
    return NearDuplicates(view, groups, len(matrix), without)


def _measure(
    neighbors: dict[str, list[tuple[str, float]]], ids: list[str], matrix: np.ndarray
) -> dict[str, list[tuple[str, float]]]:
    """The groups of the brain with their cosine distances, closest first.

    The brain's own distances are Euclidean ones of unit vectors here, while its
    threshold is a cosine distance.
    """
    centred = matrix - matrix.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.maximum(lengths, _TINY)
    row = {id: place for place, id in enumerate(ids)}
    groups = {}
    for kept, others in neighbors.items():
        cosines = centred[[row[id] for id, _ in others]] @ centred[row[kept]]
        distances = np.maximum(1 - cosines, 0).tolist()
        pairs = zip([str(id) for id, _ in others], distances)
        groups[str(kept)] = sorted(pairs, key=lambda pair: pair[1])
    return dict(sorted(groups.items(), key=lambda group: group[1][0][1]))


def _outliers(
    index: Index, samples: foc.SampleCollection, count: int
) -> Generator[Progress, None, Outliers]:
    yield Progress("Reading the vectors", 0.0)
    images, matrix, without = read_vectors(index, samples, _FEWEST)
    yield Progress(f"Measuring {len(matrix)} images", 0.3)
    dataset, field = index.dataset, uniqueness_field(index.key)
    if field in dataset.list_brain_runs():
        dataset.delete_brain_run(field)
    images = with_fields(images, *dataset.get_field_schema())  # it reads what it wrote
    fob.compute_uniqueness(images, uniqueness_field=field, embeddings=matrix)
    samples = with_fields(samples, field)
    view = samples.exists(field).sort_by(field, reverse=True).limit(count)
    return Outliers(view, field, len(matrix), without)
