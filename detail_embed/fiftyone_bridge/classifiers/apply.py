"""A trained classifier on other samples: labels in a field, or scores."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.classifiers import Classifier, create
from detail_embed.fiftyone_bridge.classifiers import library, predictions
from detail_embed.fiftyone_bridge.classifiers.targets import (
    BOX,
    Item,
    boxes_of,
    check_labels,
    has_boxes,
)
from detail_embed.fiftyone_bridge.classifiers.vectors import images_of, see, space_for
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run

_ROUNDING = 1e-3  # of scores, of vectors that were kept in half precision


@dataclass(frozen=True)
class Applied:
    """What a classifier wrote.

    Attributes:
        name: of the classifier
        field: where its labels are
        unit: what was classified, ``"image"`` or ``"box"``
        counts: images or boxes of each class
        items: how many were classified
        without: how many the index has no vector of
        left_out: labels that are no boxes, by what they lack
    """

    name: str
    field: str
    unit: str
    counts: dict[str, int]
    items: int
    without: int
    left_out: dict[str, int]


@dataclass(frozen=True, eq=False)
class Scores:
    """How much images or boxes are of each class.

    Attributes:
        sample_ids: of ``n`` images
        label_ids: of the ``n`` boxes in them, None where images were scored
        classes: K names
        matrix: ``(n, K)`` calibrated logits
        several: whether each class is by itself; else exactly one is right
    """

    sample_ids: list[str]
    label_ids: list[str] | None
    classes: list[str]
    matrix: np.ndarray
    several: bool


def apply_classifier(
    index: Index,
    name: str | Path,
    samples: foc.SampleCollection | None = None,
    field: str | None = None,
    boxes_field: str | None = None,
    overwrite: bool = False,
) -> Run:
    """Labels samples by a classifier that was trained before.

    Args:
        index: with the vectors of these samples, in the space of the classifier
        name: of a classifier of the dataset; or the path of a folder of one
        samples (None): a dataset or view of images; by default the whole dataset
        field (None): a new field, or one of its predictions; by default its name
        boxes_field (None): of a classifier of boxes, the field of Detections that are
            classified; by default the one that it was trained on
        overwrite (False): whether to replace the labels that the images have

    Returns:
        a :class:`.runs.run.Run`, whose result is an :class:`Applied`

    Raises:
        ValueError: if an argument cannot be used, or the classifier is of another space
    """
    samples = images_of(index, samples)
    classifier = library.load(index.dataset, name)
    field = Path(name).name if field is None else field
    boxes_field = check_appliable(index, samples, classifier, boxes_field)
    kind = predictions.kind_of(unit_of(classifier), classifier.several)
    predictions.check_target(samples, field, kind, overwrite)
    return Run(_apply(index, samples, name, classifier, field, boxes_field))


def scores(
    index: Index,
    name: str | Path,
    samples: foc.SampleCollection | None = None,
    boxes_field: str | None = None,
) -> Scores:
    """Scores samples, or their boxes; those that were trained on, by others.

    An image or box that the classifier was trained on is scored as by one that did not
    see it, where there was a cross-validation, so that a wrong label can be found.

    Args:
        index: as of :func:`apply_classifier`
        name: likewise
        samples (None): likewise
        boxes_field (None): likewise

    Raises:
        ValueError: likewise
    """
    samples = images_of(index, samples)
    classifier = library.load(index.dataset, name)
    boxes_field = check_appliable(index, samples, classifier, boxes_field)
    scored = _score(index, samples, name, classifier, boxes_field)
    is_box = unit_of(classifier) == BOX
    return Scores(
        [item.sample_id for item in scored.items],
        [item.label_id for item in scored.items] if is_box else None,
        list(classifier.classes), scored.matrix, classifier.several,
    )


def fair(
    found: np.ndarray, items: list[Item], held_out: library.HeldOut
) -> np.ndarray:
    """Scores, of what was trained on those of classifiers that did not see it.

    What has another picture than then is new, and keeps its own scores.
    """
    places = {id: place for place, id in enumerate(held_out.ids)}
    for row, item in enumerate(items):
        place = places.get(item.label_id or item.sample_id)
        if place is not None and _is_same(found[row], held_out.own[place]):
            found[row] = held_out.scores[place]
    return found


def _is_same(scores: np.ndarray, before: np.ndarray) -> bool:
    """Whether scores by one classifier are of one picture; rounding sets them apart."""
    if np.isnan(before).any():
        return True
    return bool(np.allclose(scores, before, rtol=_ROUNDING, atol=_ROUNDING))


def unit_of(classifier: Classifier) -> str:
    """What a classifier was trained on, images or boxes."""
    return classifier.facts["unit"]


def items_of(
    samples: foc.SampleCollection, classifier: Classifier, boxes_field: str
) -> tuple[list[Item], dict[str, int]]:
    """What of samples can be classified; and how many labels are no boxes."""
    if unit_of(classifier) == BOX:
        items, left_out, _ = boxes_of(samples, boxes_field)
        return items, dict(left_out)
    return [Item(id) for id in samples.values("id")], {}


class _Scored(NamedTuple):
    items: list[Item]
    matrix: np.ndarray
    without: int
    left_out: dict[str, int]


def _score(
    index: Index, samples: foc.SampleCollection, name: str | Path,
    classifier: Classifier, boxes_field: str,
) -> _Scored:
    items, left_out = items_of(samples, classifier, boxes_field)
    if not items:
        raise ValueError(
            f"the field {boxes_field!r} has no box in these images, so there is "
            "nothing to classify: choose another field or more images"
        )
    patches = create(classifier.kind).needs_patches
    seen = see(index, samples, items, unit_of(classifier), boxes_field, patches)
    kept = [items[row] for row in seen.rows]
    held_out = library.held_out(index.dataset, name)
    matrix = fair(classifier.scores(seen.bags), kept, held_out)
    return _Scored(kept, matrix, len(items) - len(kept), left_out)


def check_appliable(
    index: Index, samples: foc.SampleCollection, classifier: Classifier,
    boxes_field: str | None = None,
) -> str:
    """Checks that a classifier knows what the vectors of an index mean.

    Returns:
        the field of the boxes that it classifies, or of the labels it learned from

    Raises:
        ValueError: if it is of another space, or there are no boxes
    """
    field = classifier.facts["labels_field"] if boxes_field is None else boxes_field
    if unit_of(classifier) == BOX:
        check_labels(samples, field)
        if not has_boxes(samples, field):
            raise ValueError(
                f"boxes_field={field!r} has no boxes, which this classifier is of: "
                "choose a field of Detections"
            )
    patches = create(classifier.kind).needs_patches
    space = space_for(index, unit_of(classifier), field, patches)
    if space != classifier.space:
        raise ValueError(
            f"this classifier was trained in the space {classifier.space}, but the "
            f"index {index.key!r} has vectors of {space}, which cannot be compared: "
            "choose an index of its space, or train another classifier"
        )
    return field


def _apply(
    index: Index, samples: foc.SampleCollection, name: str | Path,
    classifier: Classifier, field: str, boxes_field: str,
) -> Generator[Progress, None, Applied]:
    yield Progress("Reading the vectors", 0.0)
    scored = _score(index, samples, name, classifier, boxes_field)
    unit = unit_of(classifier)
    counts = yield from predictions.write(
        samples, field, classifier.classes, scored.items, scored.matrix, unit,
        classifier.several,
    )
    return Applied(
        str(name), field, unit, counts, len(scored.items), scored.without,
        {lack: count for lack, count in scored.left_out.items() if count},
    )
