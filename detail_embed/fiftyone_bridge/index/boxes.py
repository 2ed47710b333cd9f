"""Indexes of the boxes of a label field: what they hold, and their close-ups."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone.core.collections as foc
import fiftyone.core.patches as fop
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors, Members
from detail_embed.fiftyone_bridge.samples.app_defaults import SCORE
from detail_embed.fiftyone_bridge.samples.collection import (
    flat_images,
    with_fields,
)
from detail_embed.fiftyone_bridge.samples.frames import home_of, label_path
from detail_embed.fiftyone_bridge.samples.private_names import is_patches


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
    if not index.home.has_field(field):
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
        index.images_of(samples)
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
    return flat_images(home_of(samples)) if is_patches(samples) else samples


def close_ups(
    samples: foc.SampleCollection,
    field: str,
    sample_ids: Sequence[str],
    label_ids: Sequence[str],
) -> fov.DatasetView:
    """Labels as patches, in the order given; FiftyOne writes a dataset for them.

    It makes none of a field of one label an image: then these are the images.

    Args:
        samples: of the dataset
        field: of the labels
        sample_ids: of the image of each label
        label_ids: of the patches
    """
    home = home_of(samples)
    scores = [SCORE] if home.has_field(SCORE) else None
    within = list(dict.fromkeys(sample_ids))
    images = flat_images(home).select(within, ordered=True)
    if label_path(home, field) == field:
        return images
    labels = images.select_labels(ids=list(label_ids), fields=field)
    patches = labels.to_patches(field, other_fields=scores)
    return patches.select(list(label_ids), ordered=True)
