"""Indexes of the boxes of a label field: what they hold, and their close-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.patches as fop
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.vectors import IndexVectors, Members
from detail_embed.fiftyone_bridge.samples.app_defaults import SCORE
from detail_embed.fiftyone_bridge.samples.collection import (
    check_images,
    flat_images,
    with_fields,
)
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    is_generated,
    label_path,
)


def field_of(index: Index) -> str | None:
    """The field of labels whose boxes an index holds; None for an index of images.

    The few vectors that an index of ours has of each image are no labels of anybody.
    """
    if not index.has_brain_run:
        return None
    field = getattr(index.config, "patches_field", None)
    return None if field == index.patches_field else field


def require_field(index: Index) -> str:
    """The field of labels whose boxes an index holds.

    Raises:
        ValueError: if it is an index of images, or the field is gone
    """
    field = field_of(index)
    if field is None:
        raise ValueError(
            f"the index {index.key!r} holds images, not the boxes of a label field: "
            "choose an index of boxes, or compute one"
        )
    if not index.dataset.has_field(field):
        raise ValueError(
            f"the index {index.key!r} is of the boxes of the field {field!r}, which is "
            "gone: delete the index, or compute it for another field"
        )
    return field


def check_boxes(index: Index, samples: foc.SampleCollection) -> str:
    """Checks that labels of a collection can have vectors of an index of boxes.

    Args:
        index: an index of boxes
        samples: a dataset or view of images, or of patches of the field

    Returns:
        the field of labels

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    field = require_field(index)
    if isinstance(samples, fop.PatchesView):
        if samples.patches_field != field:
            raise ValueError(
                f"this is a view of the patches of {samples.patches_field!r}, but the "
                f"index {index.key!r} holds the boxes of {field!r}: open the images, "
                "or those patches"
            )
    else:
        check_images(samples)
    return field


def held(
    vectors: IndexVectors, field: str, samples: foc.SampleCollection
) -> Members:
    """Finds the labels of a collection that have a vector.

    Args:
        vectors: of an index of boxes
        field: of the labels
        samples: a dataset or view of images, or of patches of the field

    Returns:
        rows of ``vectors.matrix``, and how many labels have none
    """
    samples = with_fields(samples, field)
    return vectors.members(samples, label_path(samples, field, "id"))


def images_of_rows(vectors: IndexVectors, rows: Sequence[int]) -> list[str]:
    """The ids of the samples that the labels of some rows are in."""
    places = np.searchsorted(vectors.starts, rows, side="right") - 1
    return [vectors.ids[place] for place in places]


def images_of(samples: foc.SampleCollection) -> foc.SampleCollection:
    """The images of a collection; of a view of patches, all images of the dataset."""
    return flat_images(dataset_of(samples)) if is_generated(samples) else samples


def close_ups(
    samples: foc.SampleCollection,
    field: str,
    sample_ids: Sequence[str],
    label_ids: Sequence[str],
) -> fov.DatasetView:
    """Labels as patches, in the order given; FiftyOne writes a dataset for them.

    Args:
        samples: of the dataset
        field: of the labels
        sample_ids: of the images, in any order
        label_ids: of the patches
    """
    dataset = dataset_of(samples)
    scores = [SCORE] if dataset.has_field(SCORE) else None
    images = flat_images(dataset).select(list(dict.fromkeys(sample_ids)))
    labels = images.select_labels(ids=list(label_ids), fields=field)
    patches = labels.to_patches(field, other_fields=scores)
    return patches.select(list(label_ids), ordered=True)


def attributes(
    samples: foc.SampleCollection, field: str, *names: str
) -> dict[str, tuple]:
    """Reads attributes of labels.

    Args:
        samples: a dataset or view of images, or of patches of the field
        field: of the labels
        names: of the attributes, such as ``"label"``

    Returns:
        their values by label id; labels without a box or of a kind that lacks an
        attribute have None there
    """
    samples = with_fields(samples, field)
    root = label_path(samples, field)
    known = [name for name in names if samples.has_field(f"{root}.{name}")]
    is_list = root != field
    columns = samples.values([f"{root}.{name}" for name in ("id", *known)])
    found = {}
    for row in zip(*columns):
        cells = [cell or [] for cell in row] if is_list else [[cell] for cell in row]
        for id, *values in zip(*cells):
            if id is not None:
                values = dict(zip(known, values))
                found[id] = tuple(values.get(name) for name in names)
    return found


def bounding_boxes(
    samples: foc.SampleCollection, field: str
) -> dict[str, list[float] | None]:
    """The boxes of labels by their ids; of polylines, those around their points.

    Args:
        samples: a dataset or view of images
        field: of Detections, Polylines, or one of these
    """
    found = attributes(samples, field, "bounding_box", "points")
    return {id: _box(*values) for id, values in found.items()}


def _box(
    box: Sequence[float] | None, points: Sequence[Sequence[Sequence[float]]] | None
) -> list[float] | None:
    if box:
        return list(box)
    flat = np.array([point for shape in points or [] for point in shape], float)
    if not flat.size:
        return None
    low, high = flat.min(axis=0), flat.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


def write(
    dataset: fo.Dataset, field: str, name: str, values: Mapping[str, object]
) -> None:
    """Writes an attribute of labels.

    Args:
        dataset: the dataset
        field: of the labels
        name: of the attribute, which is declared
        values: by label id
    """
    dataset.set_label_values(f"{label_path(dataset, field)}.{name}", dict(values))
