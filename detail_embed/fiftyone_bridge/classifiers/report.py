"""What a classifier confuses, and FiftyOne's own evaluation of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.classifiers.calibration import probabilities
from detail_embed.classifiers.curve import goodness
from detail_embed.evaluation.confusion import Pair, most_confused
from detail_embed.fiftyone_bridge.classifiers.targets import BOX, Item
from detail_embed.fiftyone_bridge.samples.collection import flat_images, with_fields
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    label_path,
    label_type,
)

EXAMPLES = 6  # of a pair
_LIKELY = 0.5
_SAME_BOX = 0.9  # IoU of a box and the copy that has the prediction


@dataclass(frozen=True)
class Example:
    """Something that was called what it is not.

    Attributes:
        sample_id: of the image
        label_id: of the box, None where the image was classified
        truth: its class
        predicted: what it was called
        probability: of that
        box: what it was judged by, as left, top, width and height in shares of the
            image; None for the whole
    """

    sample_id: str
    label_id: str | None
    truth: str
    predicted: str
    probability: float
    box: list[float] | None


@dataclass(frozen=True)
class Confused:
    """Two classes that are taken for each other, with examples.

    Attributes:
        pair: how often
        examples: the surest mistakes first
        sample_ids: of all images with such a mistake
    """

    pair: Pair
    examples: list[Example]
    sample_ids: list[str]


def predicted(scores: np.ndarray, several: bool) -> np.ndarray:
    """Which classes things are said to have, ``(n, K)`` bool.

    Args:
        scores: ``(n, K)`` calibrated logits
        several: whether one thing may have several classes, or none
    """
    if several:
        return probabilities(scores, several) >= _LIKELY
    return np.eye(scores.shape[1], dtype=bool)[scores.argmax(axis=1)]


def confused(
    items: Sequence[Item],
    targets: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    several: bool,
    boxes: Sequence[Sequence[list[float] | None]],
    top: int,
) -> list[Confused]:
    """The pairs of classes that are confused most, with examples.

    Args:
        items: ``n`` images or boxes
        targets: ``(n, K)`` bool
        scores: ``(n, K)`` calibrated logits
        classes: K names
        several: whether an image may have several classes
        boxes: ``boxes[row][class]``, by what a thing was judged
        top: pairs, at most
    """
    called, shares = predicted(scores, several), probabilities(scores, several)
    numbers = {name: number for number, name in enumerate(classes)}
    found = []
    for pair in most_confused(targets, called, classes, top):
        a, b = numbers[pair.first], numbers[pair.second]
        wrong = [
            (row, one, other)
            for one, other in ((a, b), (b, a))
            for row in np.flatnonzero(
                targets[:, one] & ~targets[:, other] & called[:, other]
            )
        ]
        wrong.sort(key=lambda case: -shares[case[0], case[2]])
        examples = [
            Example(
                items[row].sample_id, items[row].label_id, classes[one],
                classes[other], float(shares[row, other]), boxes[row][other],
            )
            for row, one, other in wrong[:EXAMPLES]
        ]
        ids = list(dict.fromkeys(items[row].sample_id for row, _, _ in wrong))
        found.append(Confused(pair, examples, ids))
    return found


def accuracy(scores: np.ndarray, targets: np.ndarray, several: bool) -> float | None:
    """Share that is right, see :func:`.curve.goodness`; None of nothing."""
    return goodness(scores, targets, several) if len(scores) else None


def evaluate(
    samples: foc.SampleCollection,
    field: str,
    truth_field: str,
    unit: str,
    judged: Sequence[Item],
    seen: Sequence[Item],
    eval_key: str,
) -> str | None:
    """Lets FiftyOne evaluate predictions, so that its panels work on them.

    Args:
        samples: the images
        field: of the predictions
        truth_field: of the labels
        unit: what was classified
        judged: what counts: nothing that the classifier saw
        seen: what does not
        eval_key: of the evaluation; replaced if there is one

    Returns:
        the key; None where FiftyOne has no evaluation for such fields, or nothing
        counts
    """
    dataset = dataset_of(samples)
    kind = label_type(dataset, truth_field)
    is_box = unit == BOX and kind is fo.Detections
    if not judged or not (is_box or kind is fo.Classification):
        return None
    if eval_key in dataset.list_evaluations():
        dataset.delete_evaluation(eval_key)
    ids = list(dict.fromkeys(item.sample_id for item in judged))
    view = flat_images(dataset).select(ids)
    if not is_box:
        view.evaluate_classifications(
            field, gt_field=truth_field, eval_key=eval_key, progress=False
        )
        return eval_key
    if seen:
        view = _without_boxes(view, field, truth_field, seen)
    view.evaluate_detections(
        field, gt_field=truth_field, eval_key=eval_key, iou=_SAME_BOX, classwise=False,
        compute_mAP=False, progress=False,
    )
    return eval_key


def _without_boxes(
    view: foc.SampleCollection, field: str, truth_field: str, items: Sequence[Item]
) -> foc.SampleCollection:
    """The images without boxes that the classifier saw, nor what it says of them."""
    boxes = {(item.sample_id, item.box) for item in items}
    view = with_fields(view, field)
    paths = [label_path(view, field, name) for name in ("id", "bounding_box")]
    rows = zip(*view.values(["id", *paths]))
    copies = [
        label
        for id, labels, places in rows
        for label, place in zip(labels or [], places or [])
        if (id, tuple(place)) in boxes
    ]
    view = view.exclude_labels(
        ids=[item.label_id for item in items], fields=truth_field
    )
    return view.exclude_labels(ids=copies, fields=field) if copies else view
