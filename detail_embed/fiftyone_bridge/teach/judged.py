"""What a person judged: images and boxes of a dataset, however they are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.patches as fop
import numpy as np
from bson import ObjectId

from detail_embed.fiftyone_bridge.concepts.concept import Mark
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fiftyone_bridge.samples.frames import has_frames, videos_of
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_with,
    is_frames,
    label_path,
    label_type,
)

Judged = Iterable[Any]
_OF_ONE = (fo.Classification, fo.Detection, fo.Polyline)
_GONE = "is not in the dataset"
_LISTS = (fo.Classifications, fo.Detections, fo.Polylines)


def read(
    dataset: fo.Dataset, items: Judged | None, what: str, may_be_gone: bool = False
) -> tuple[list[Mark], dict[str, str]]:
    """Finds what was judged.

    Args:
        dataset: that it is of
        items: ids of samples, or of labels with a box; these objects themselves;
            ``(sample id, box)`` pairs with left, top, width and height as shares of the
            image; or marks. None for nothing
        what: what they are called in messages, such as ``"positives"``
        may_be_gone (False): whether all of them may be deleted, as there is a text

    Returns:
        the marks, each once, and the ids that could not be used, with the reason

    Raises:
        TypeError: if one is no id
        ValueError: if a box is none, or nothing of what was given is in the dataset
    """
    given = list(dict.fromkeys(_given(item, what) for item in _list(items, what)))
    images = flat_images(dataset)
    there = set(images.select([mark.sample_id for mark in given]).values("id"))
    plain = [m.sample_id for m in given if m.box is None and m.sample_id not in there]
    labels = _labels(images, plain)
    marks, left_out = [], {}
    for mark in given:
        if mark.sample_id in there:
            marks.append(mark)
        elif mark.box is None and (found := labels.get(mark.sample_id)):
            marks.append(found)
        elif mark.box is None and mark.sample_id in labels:
            left_out[mark.sample_id] = "is a label without a box in its image"
        else:
            left_out[mark.sample_id] = _lack(dataset, mark.sample_id)
    if given and not marks and not (may_be_gone and _are_gone(left_out)):
        raise _nothing(dataset, left_out, what)
    return list(dict.fromkeys(marks)), left_out


def selected(
    view: foc.SampleCollection,
    ids: Sequence[str] | None,
    labels: Sequence[Mapping[str, str]] | None,
) -> list[Mark]:
    """What is selected in the App: labels where some are, else images or close-ups.

    Args:
        view: the view in the grid
        ids: of its samples that are selected
        labels: as the App names those that are selected

    Raises:
        ValueError: naming a label that has no box, or is gone
    """
    if isinstance(view, fop.PatchesView):
        return _close_ups(view, list(ids or ()))
    if not labels:
        return [Mark(id) for id in ids or ()]
    images = flat_images(view).select([label["sample_id"] for label in labels])
    wanted = [label["label_id"] for label in labels]
    found = _labels(images, wanted)
    for id in wanted:
        if found.get(id) is None:
            raise ValueError(f"the label {id} has no box here: select another")
    return [found[id] for id in wanted]


def _close_ups(view: foc.SampleCollection, ids: list[str]) -> list[Mark]:
    """Places of images, of a view of patches."""
    (field, *_) = view.get_field_schema(embedded_doc_type=fo.Detection)
    image = "frame_id" if is_frames(view) else "sample_id"
    columns = view.select(ids).values([image, f"{field}.bounding_box"])
    return [Mark(id, _inside(box)) for id, box in zip(*columns)]


def check_apart(positives: Sequence[Mark], negatives: Sequence[Mark]) -> None:
    """Checks that nothing was judged both ways.

    Raises:
        ValueError: naming what was
    """
    both = set(positives) & set(negatives)
    if both:
        mark = next(mark for mark in positives if mark in both)
        place = "" if mark.box is None else f", box {[round(x, 3) for x in mark.box]},"
        raise ValueError(
            f"the image {mark.sample_id}{place} is among the positives and the "
            "negatives: take it out of one of them"
        )


def _list(items: Judged | None, what: str) -> list[Any]:
    one = isinstance(items, (str, PathLike, ObjectId, fo.Sample, fo.Label, Mark))
    if items is None or one:
        return [] if items is None else [items]
    if isinstance(items, foc.SampleCollection):
        return items.values("id")
    if not isinstance(items, Iterable):
        raise TypeError(f"{what}={items!r:.80}: give a list of ids")
    return list(items)


def _given(item: Any, what: str) -> Mark:
    if isinstance(item, Mark):
        item = item.sample_id, item.box
    is_pair = isinstance(item, (tuple, list)) and len(item) == 2
    id, box = item if is_pair else (item, None)
    id = str(getattr(id, "id", id))
    if not ObjectId.is_valid(id):
        raise TypeError(
            f"{what}: {item!r:.120} is no id of a sample or label, and no pair of a "
            "sample id and a box: give such as view.values('id')"
        )
    if not is_pair or box is None:
        return Mark(id)
    if (inside := _inside(box)) is None:
        raise ValueError(
            f"{what}: the box {box!r:.120} of {id} is no place in an image: give left, "
            "top, width and height as shares of it, such as [0.2, 0.1, 0.3, 0.3]"
        )
    return Mark(id, inside)


def _inside(box: Any) -> tuple[float, ...] | None:
    """The part of a box that is in the image; None for none."""
    try:
        x, y, w, h = (float(value) for value in box)
    except (TypeError, ValueError):
        return None
    if not np.isfinite([x, y, w, h]).all():
        return None
    (left, right), (top, bottom) = np.clip([[x, x + w], [y, y + h]], 0, 1).tolist()
    if right <= left or bottom <= top:
        return None
    return left, top, right - left, bottom - top


def _labels(
    images: foc.SampleCollection, ids: Sequence[str]
) -> dict[str, Mark | None]:
    """Where the labels of some ids are; None for one that is in no place."""
    found: dict[str, Mark | None] = {}
    fields = images.get_field_schema(embedded_doc_type=(*_OF_ONE, *_LISTS))
    for field in fields:
        missing = [id for id in ids if id not in found]
        if not missing:
            break
        view = images.select_labels(ids=missing, fields=field)
        path = label_path(view, field)
        for sample_id, labels in zip(*view.values(["id", path])):
            is_list = label_type(view, field) in _LISTS
            for label in labels if is_list else [labels]:
                found[label.id] = _mark(sample_id, label)
    return found


def _mark(sample_id: str, label: fo.Label) -> Mark | None:
    """A label with a box as a place of its image, another one as all of it."""
    if isinstance(label, fo.Classification):
        return Mark(sample_id)
    if isinstance(label, fo.Polyline):
        label = label.to_detection()
    box = _inside(label.bounding_box)
    return None if box is None else Mark(sample_id, box)


def _lack(dataset: fo.Dataset, id: str) -> str:
    """Why an id is none of the images of a dataset."""
    if has_frames(dataset) and len(videos_of(dataset).select(id)):
        return "is a whole video: give frames of it"
    return f"{_GONE} {dataset.name!r}"


def _are_gone(left_out: dict[str, str]) -> bool:
    """Whether ids are of nothing any more; those of another dataset are a mistake."""
    is_gone = all(reason.startswith(_GONE) for reason in left_out.values())
    return is_gone and dataset_with(next(iter(left_out))) is None


def _nothing(
    dataset: fo.Dataset, left_out: dict[str, str], what: str
) -> ValueError:
    first, reason = next(iter(left_out.items()))
    other = dataset_with(first)
    if other is not None and other != dataset.name:
        reason = f"is of the dataset {other!r}, not of {dataset.name!r}"
    count = f"none of the {len(left_out)}"
    return ValueError(
        f"{what}: {count} can be used: {first} {reason}. Give ids of images or labels "
        "that are there"
    )
