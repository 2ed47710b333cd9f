"""A label field as examples: which image or box is of which class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.evaluate.labels import label_fields
from detail_embed.fiftyone_bridge.samples.collection import with_fields
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    label_path,
    label_type,
)

IMAGE, BOX = "image", "box"
_LISTS = (fo.Detections, fo.Classifications)
_BOXED = (fo.Detections, fo.Detection)


class Item(NamedTuple):
    """What is classified: an image, or a box of it.

    Attributes:
        sample_id: of the image
        label_id: of the box, None for the image
        box: left, top, width and height as shares of the image; None for the image
    """

    sample_id: str
    label_id: str | None = None
    box: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """The examples of a label field.

    Attributes:
        field: the field
        unit: what has classes, ``IMAGE`` or ``BOX``
        several: whether an image may have several classes, or none
        classes: K names, sorted
        items: n examples
        targets: ``(n, K)`` bool
        left_out: how many images or boxes are no examples, by what they lack
    """

    field: str
    unit: str
    several: bool
    classes: list[str]
    items: list[Item]
    targets: np.ndarray
    left_out: dict[str, int]


def check_labels(samples: foc.SampleCollection, field: str) -> None:
    """Checks that a field can be learned from.

    Raises:
        ValueError: if it holds no Classifications or Detections
    """
    fields = label_fields(dataset_of(samples))
    if field not in fields:
        choice = f"choose one of {fields}" if fields else "this dataset has none"
        raise ValueError(
            f"labels_field={field!r} is no field of Classifications or Detections, "
            f"which a classifier could learn from; {choice}"
        )


def has_boxes(samples: foc.SampleCollection, field: str) -> bool:
    """Whether the labels of a field have boxes."""
    return label_type(dataset_of(samples), field) in _BOXED


def read_labels(
    samples: foc.SampleCollection, field: str, use_boxes: bool = True
) -> Labelled:
    """Reads examples.

    A field of Detections gives boxes; without their use, images of which each may have
    several classes. So does a field of Classifications where an image has several.

    Args:
        samples: a dataset or view of images
        field: of Classifications or Detections, or of one each
        use_boxes (True): whether boxes are classified, where there are some

    Raises:
        ValueError: if the field cannot be learned from
    """
    check_labels(samples, field)
    if has_boxes(samples, field) and use_boxes:
        return _read_boxes(samples, field)
    return _read_images(samples, field)


def boxes_of(
    samples: foc.SampleCollection, field: str
) -> tuple[list[Item], Counter[str], list[Any]]:
    """All boxes of a field that an image can be cut by.

    Returns:
        the boxes; how many labels have none; and the names of their classes, None for
        those without
    """
    samples = with_fields(samples, field)
    paths = [label_path(samples, field, name) for name in _ATTRIBUTES]
    rows = zip(*samples.values(["id", *paths]))
    is_list = label_type(samples, field) in _LISTS
    items, left_out, names = [], Counter(), []
    for sample_id, *found in rows:
        for label_id, box, name in _each(found, is_list):
            if not is_box(box):
                left_out["without a box"] += 1
                continue
            items.append(Item(sample_id, label_id, tuple(map(float, box))))
            names.append(name)
    return items, left_out, names


_ATTRIBUTES = ("id", "bounding_box", "label")


def _each(found: Sequence[Any], is_list: bool) -> Iterator[tuple]:
    if is_list:
        yield from zip(*(values or [] for values in found))
    elif found[0] is not None:
        yield tuple(found)


def is_box(box: Sequence[float] | None) -> bool:
    """Whether a box has an area within the image."""
    if not box or len(box) != 4 or not np.isfinite(box).all():
        return False
    left, top, width, height = box
    inside = (
        min(left + width, 1) - max(left, 0), min(top + height, 1) - max(top, 0)
    )
    return width > 0 and height > 0 and min(inside) > 0


def _read_boxes(samples: foc.SampleCollection, field: str) -> Labelled:
    items, left_out, names = boxes_of(samples, field)
    with_class = [bool((name or "").strip()) for name in names]
    left_out["without a class"] += with_class.count(False)
    kept = [item for item, is_kept in zip(items, with_class) if is_kept]
    shown = [{name} for name, is_kept in zip(names, with_class) if is_kept]
    return _labelled(field, BOX, False, kept, shown, left_out)


def _read_images(samples: foc.SampleCollection, field: str) -> Labelled:
    samples = with_fields(samples, field)
    kind = label_type(samples, field)
    paths = [label_path(samples, field, name) for name in ("id", "label")]
    left_out: Counter[str] = Counter()
    items, shown = [], []
    for sample_id, label_ids, names in zip(*samples.values(["id", *paths])):
        names = names if kind in _LISTS else [names]
        if label_ids is None:
            left_out["unlabelled"] += 1
            continue
        items.append(Item(sample_id))
        shown.append({name for name in names if (name or "").strip()})
        if names and not shown[-1]:
            left_out["without a class"] += 1
            items.pop(), shown.pop()
    several = kind in _BOXED or max(map(len, shown), default=0) > 1
    if not several:  # an image of no class says nothing
        left_out["unlabelled"] += shown.count(set())
        items = [item for item, classes in zip(items, shown) if classes]
        shown = [classes for classes in shown if classes]
    return _labelled(field, IMAGE, several, items, shown, left_out)


def _labelled(
    field: str, unit: str, several: bool, items: list[Item], shown: list[set[str]],
    left_out: Counter[str],
) -> Labelled:
    classes = sorted(set().union(*shown))
    counts = {lack: count for lack, count in left_out.items() if count > 0}
    if not classes:
        why = ", ".join(f"{count} {lack}" for lack, count in counts.items())
        raise ValueError(
            f"labels_field={field!r} holds no label to learn from"
            f"{f' ({why})' if why else ''}: label some {unit}s first"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    targets = np.zeros((len(items), len(classes)), bool)
    for row, names in enumerate(shown):
        targets[row, [numbers[name] for name in names]] = True
    return Labelled(field, unit, several, classes, items, targets, counts)
