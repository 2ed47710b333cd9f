"""FiftyOne's brain on the vectors of an index: near duplicates and outliers.

The brain gets copies of the vectors. Its duplicate search shifts the vectors of an
index that it is given, see https://github.com/voxel51/fiftyone-brain/issues/258, and
only one backend can do it; so the index itself is never passed.

Of an index with several vectors per image, the one beside these stands for the image.
Of an index of boxes, what is compared and shown are boxes.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from numbers import Integral, Real

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np
from sklearn.neighbors import NearestNeighbors

from detail_embed.fiftyone_bridge.index import boxes
from detail_embed.fiftyone_bridge.index.image_vectors import (
    Items,
    check_images_of_index,
    read_items,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples import label_attributes
from detail_embed.fiftyone_bridge.samples.collection import with_fields
from detail_embed.fiftyone_bridge.samples.private_names import label_path

THRESHOLD = 0.1
COUNT = 25
_FEWEST = 5  # for FiftyOne's uniqueness
_TINY = 1e-12
_WEIGHTS = (0.6, 0.3, 0.1)  # of the nearest three, as in FiftyOne's uniqueness
_MAKER = "detail_embed.outliers"


@dataclass(frozen=True)
class NearDuplicates:
    """Images, or boxes, that look alike.

    Attributes:
        view: each kept image, followed by its duplicates; the closest group first;
            of boxes, a patches view
        groups: ``{kept id: [(duplicate id, cosine distance), ...]}``, closest first
        images: that were compared; or boxes
        without: images that have no vector; or boxes
        noun: ``"images"`` or ``"boxes"``
    """

    view: fov.DatasetView
    groups: dict[str, list[tuple[str, float]]]
    images: int
    without: int
    noun: str = "images"

    @property
    def duplicates(self) -> int:
        """Images, or boxes, that could go."""
        return sum(map(len, self.groups.values()))


@dataclass(frozen=True)
class Outliers:
    """Images, or boxes, far from all others.

    Attributes:
        view: the farthest first; of boxes, a patches view
        field: of ``view``, how far each is from its neighbours, 1 for the farthest
        images: that were compared; or boxes
        without: images that have no vector; or boxes
        noun: ``"images"`` or ``"boxes"``
    """

    view: fov.DatasetView
    field: str
    images: int
    without: int
    noun: str = "images"


def find_near_duplicates(
    index: Index, samples: foc.SampleCollection, threshold: float = THRESHOLD
) -> Run:
    """Finds images or boxes that are nearly the same, by FiftyOne's brain.

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
    images = check_images_of_index(index, samples)
    return Run(_near_duplicates(index, images, threshold))


def find_outliers(
    index: Index, samples: foc.SampleCollection, count: int = COUNT
) -> Run:
    """Finds the images that are farthest from others, by ``fob.compute_uniqueness``.

    The distances go to the field ``<brain_key>_uniqueness``, in place of those of an
    earlier search. Those of boxes, measured in the same way, go to an attribute of this
    name of the labels.

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
    return Run(_outliers(index, index.images_of(samples), count))


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
    name, field = uniqueness_field(index.key), boxes.field_of(index)
    if field is not None:
        label_attributes.check_free(index.dataset, field, name, _MAKER)
    elif index.home.has_field(name) and name not in index.dataset.list_brain_runs(
        type="uniqueness"
    ):
        raise ValueError(
            f"the field {name!r} exists and is not FiftyOne's uniqueness; rename it"
        )


def _near_duplicates(
    index: Index, samples: foc.SampleCollection, threshold: float
) -> Generator[Progress, None, NearDuplicates]:
    yield Progress("Reading the vectors", 0.0)
    items = read_items(index, samples, 2)
    yield Progress(f"Comparing {len(items.ids)} {items.noun}", 0.3)
    found = fob.compute_similarity(
        items.samples, patches_field=items.field, embeddings=False, backend="sklearn"
    )
    labels = None if items.field is None else np.array(items.ids)
    found.add_to_index(items.matrix.copy(), np.array(items.sample_ids), labels)
    found.find_duplicates(thresh=threshold)
    groups = _measure(found.neighbors_map, items.ids, items.matrix)
    ids = [id for kept, others in groups.items() for id in (kept, *dict(others))]
    view = items.view(ids)
    return NearDuplicates(view, groups, len(items.ids), items.without, items.noun)


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
    items = read_items(index, samples, _FEWEST)
    yield Progress(f"Measuring {len(items.ids)} {items.noun}", 0.3)
    name = uniqueness_field(index.key)
    measure = _outlying_images if items.field is None else _outlying_boxes
    view, path = measure(items, index, name, samples, count)
    return Outliers(view, path, len(items.ids), items.without, items.noun)


def _outlying_images(
    items: Items, index: Index, name: str, samples: foc.SampleCollection, count: int
) -> tuple[fov.DatasetView, str]:
    dataset = index.dataset
    if name in dataset.list_brain_runs():
        dataset.delete_brain_run(name)
    fields = index.home.get_field_schema()
    images = with_fields(items.samples, *fields)  # it reads what it wrote
    fob.compute_uniqueness(images, uniqueness_field=name, embeddings=items.matrix)
    samples = with_fields(samples, name)
    return samples.exists(name).sort_by(name, reverse=True).limit(count), name


def _outlying_boxes(
    items: Items, index: Index, name: str, samples: foc.SampleCollection, count: int
) -> tuple[fov.DatasetView, str]:
    """The same measure, which FiftyOne has for images alone."""
    dataset = index.dataset
    nearest = NearestNeighbors(n_neighbors=len(_WEIGHTS) + 1, metric="cosine")
    distances, _ = nearest.fit(items.matrix).kneighbors(items.matrix)
    outlying = distances[:, 1:] @ _WEIGHTS
    outlying /= max(outlying.max(), _TINY)
    values = dict(zip(items.ids, outlying.tolist()))
    label_attributes.declare(dataset, items.field, name, fo.FloatField, _MAKER)
    label_attributes.write(dataset, items.field, name, values)
    best = sorted(values, key=values.get, reverse=True)[:count]
    view = items.view(best)
    return view, label_path(view, items.field, name)
