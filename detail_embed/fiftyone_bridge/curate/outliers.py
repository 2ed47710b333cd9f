"""Outliers: what is farthest from all else, by FiftyOne's brain.

The brain gets copies of the vectors. Of an index with several vectors per image, the
one beside these stands for the image. Of an index of boxes, what is compared and shown
are boxes.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from numbers import Integral

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
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
from detail_embed.storage.plain_numbers import is_a

COUNT = 25
_FEWEST = 5  # for FiftyOne's uniqueness
_TINY = 1e-12
_WEIGHTS = (0.6, 0.3, 0.1)  # of the nearest three, as in FiftyOne's uniqueness
_MAKER = "detail_embed.outliers"


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
    field: str | None
    images: int
    without: int
    noun: str = "images"


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
    images = check_outliers(index, samples, count)
    return Run(_outliers(index, images, count))


def uniqueness_field(brain_key: str) -> str:
    """Name of the field that says how far an image is from others."""
    return f"{brain_key}_uniqueness"


def check_outliers(
    index: Index, samples: foc.SampleCollection, count: int
) -> foc.SampleCollection:
    """Checks what can be checked; returns what the samples mean."""
    images = check_images_of_index(index, samples)
    if not is_a(Integral, count) or count < 1:
        raise ValueError(f"count must be a whole number of at least 1, not {count!r}")
    name, field = uniqueness_field(index.key), boxes.field_of(index)
    if field is not None:
        label_attributes.check_free(index.home, field, name, _MAKER)
    elif index.home.has_field(name) and name not in index.dataset.list_brain_runs(
        type="uniqueness"
    ):
        raise ValueError(
            f"the field {name!r} exists and is not FiftyOne's uniqueness; rename it"
        )
    return images


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
    home = index.home
    nearest = NearestNeighbors(n_neighbors=len(_WEIGHTS) + 1, metric="cosine")
    distances, _ = nearest.fit(items.matrix).kneighbors(items.matrix)
    outlying = distances[:, 1:] @ _WEIGHTS
    outlying /= max(outlying.max(), _TINY)
    values = dict(zip(items.ids, outlying.tolist()))
    label_attributes.declare(home, items.field, name, fo.FloatField, _MAKER)
    label_attributes.write(home, items.field, name, values)
    best = sorted(values, key=values.get, reverse=True)[:count]
    view = items.view(samples, best)
    return view, label_path(view, items.field, name)
