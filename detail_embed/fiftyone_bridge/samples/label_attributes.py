"""Attributes of labels, of whatever kind: read, declared and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.samples.app_defaults import is_made_by
from detail_embed.fiftyone_bridge.samples.collection import flat_images, with_fields
from detail_embed.fiftyone_bridge.samples.frames import Home, label_path
from detail_embed.fiftyone_bridge.samples.private_names import is_frames, is_patches


def read(samples: foc.SampleCollection, field: str, *names: str) -> dict[str, tuple]:
    """Reads attributes of labels.

    Args:
        samples: a dataset or view of images, or of patches of the field
        field: of labels, in lists or not
        names: of the attributes, such as ``"label"``

    Returns:
        their values by label id; None for an attribute that this kind of label lacks
    """
    samples = with_fields(samples, field)
    root = label_path(samples, field)
    known = [name for name in names if samples.has_field(f"{root}.{name}")]
    columns = samples.values([f"{root}.{name}" for name in ("id", *known)])
    found = {}
    for row in zip(*columns):
        cells = [[cell] if root == field else cell or [] for cell in row]
        for id, *values in zip(*cells):
            of_name = dict(zip(known, values))
            found[id] = tuple(of_name.get(name) for name in names)
    found.pop(None, None)  # of samples without a label
    return found


def images(samples: foc.SampleCollection, field: str) -> dict[str, str]:
    """The ids of the images that labels are in, by the ids of the labels.

    Args:
        samples: a dataset or view of images, or of patches of the field
        field: of labels, in lists or not
    """
    samples = with_fields(samples, field)
    own = "id"
    if is_patches(samples):
        own = "frame_id" if is_frames(samples) else "sample_id"
    columns = samples.values([own, label_path(samples, field, "id")])
    found = {}
    for image, some in zip(*columns):
        labels = some if isinstance(some, list) else [some]
        found.update(dict.fromkeys(labels, image))
    found.pop(None, None)  # of samples without a label
    return found


def boxes(
    samples: foc.SampleCollection, field: str
) -> dict[str, list[float] | None]:
    """The boxes of labels by their ids; of polylines, those around their points.

    Returns:
        left, top, width and height as shares of the image; None for a label without
    """
    found = read(samples, field, "bounding_box", "points")
    return {id: _box(*values) for id, values in found.items()}


def declare(
    home: Home, field: str, name: str, kind: type[fo.Field], maker: str
) -> str:
    """Adds an attribute to the labels of a field, if it is not there yet.

    Args:
        home: where the images are
        field: of labels
        name: of the attribute
        kind: of its values
        maker: what is written down of who made it

    Returns:
        its path, such as ``"ground_truth.detections.mistakenness"``

    Raises:
        ValueError: if there is one that somebody else made
    """
    check_free(home, field, name, maker)
    path = label_path(home, field, name)
    if not home.has_field(path):
        home.add_sample_field(path, kind, info={"made_by": maker})
    return path


def check_free(home: Home, field: str, name: str, maker: str) -> None:
    """Checks that an attribute is not there, or made by ``maker``; see declare."""
    found = home.get_field(label_path(home, field, name))
    if found is not None and not is_made_by(found, maker):
        raise ValueError(
            f"the labels of {field!r} have an attribute {name!r} that something else "
            "made: rename it, or choose another name"
        )


def write(
    home: Home, field: str, name: str, values: Mapping[str, object]
) -> None:
    """Writes an attribute of labels, in place of all values that there are.

    Args:
        home: where the images are
        field: of labels
        name: of the attribute, see :func:`declare`
        values: by label id
    """
    known = read(flat_images(home), field, name)
    old = [id for id, (value,) in known.items() if value is not None]
    path = label_path(home, field, name)
    home.set_label_values(path, dict.fromkeys(old) | dict(values))


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
