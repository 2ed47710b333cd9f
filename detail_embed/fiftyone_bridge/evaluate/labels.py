"""The classes of a label field as queries, and which images show them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.backbone.bundled_model import NAME
from detail_embed.clver_ds import concepts
from detail_embed.evaluation import ALL
from detail_embed.fiftyone_bridge.index import label_fields as index_fields
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.index.index import BOXES, SINGLE, WHOLE, Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.private_names import (
    label_path,
    label_type,
)
from detail_embed.fusers import library
from detail_embed.space.choose_fuser import default_vocabulary, enough
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.texts.wordings import base_form

_LISTS = {fo.Detections: fo.Detection, fo.Classifications: fo.Classification}
_KINDS = (*_LISTS, *_LISTS.values())
_SMALLEST = 1e-6  # a box without an area is still a label


@dataclass(frozen=True)
class Labels:
    """Which images show which class.

    Attributes:
        classes: the classes, sorted
        ids: of the ``n`` images
        sides: for each class, ``{image: side}``: the side of its largest box in that
            image (square root of the area, as a fraction of the image); 1 without boxes
        has_boxes: whether the labels have boxes
        left_out: how many labels are not counted, by what they lack
    """

    classes: list[str]
    ids: list[str]
    sides: list[dict[int, float]]
    has_boxes: bool
    left_out: dict[str, int]

    def scale(self, number: int) -> np.ndarray:
        """The sides of a class as ``(n,)`` float64, 0 where it is not shown."""
        scale = np.zeros(len(self.ids))
        scale[list(self.sides[number])] = list(self.sides[number].values())
        return scale


def label_fields(samples: foc.SampleCollection) -> list[str]:
    """Names of the fields whose classes can be queries; what we made is none."""
    return index_fields.label_fields(samples, _KINDS)


def check_field(samples: foc.SampleCollection, field: str) -> None:
    """Checks that a field holds labels whose classes can be queries.

    Raises:
        ValueError: if not
    """
    fields = label_fields(samples)
    if field not in fields:
        choice = f"choose one of {fields}" if fields else "this dataset has none"
        raise ValueError(
            f"{field!r} is no field of Detections or Classifications; {choice}"
        )
    if not samples.count(label_path(samples, field, "label")):
        raise ValueError(
            f"label field {field!r} holds no labels here, so there is nothing to "
            "look for"
        )


def read(samples: foc.SampleCollection, field: str) -> Labels:
    """Reads the classes of a field and where they are shown.

    Labels without a class, or without a box in a field of boxes, are left out.

    Raises:
        ValueError: as :func:`check_field`; also if all labels are left out, or every
            image shows every class, so that any order of the images is right
    """
    check_field(samples, field)
    kind, path = label_type(samples, field), label_path(samples, field, "label")
    has_boxes = kind in (fo.Detections, fo.Detection)
    box_path = label_path(samples, field, "bounding_box")
    ids, names, boxes = samples.values(["id", path, box_path if has_boxes else path])
    sides: dict[str, dict[int, float]] = defaultdict(dict)
    left_out: Counter[str] = Counter()
    for image, (shown, where) in enumerate(zip(names, boxes)):
        if kind not in _LISTS:
            shown, where = [shown], [where]
        for name, box in zip(shown or [], where or []):
            side = _side(box) if has_boxes else 1.0
            if name is None and kind not in _LISTS:
                continue  # no label at all
            if not (name or "").strip():
                left_out["without a class"] += 1
            elif side is None:
                left_out["without a box"] += 1
            else:
                sides[name][image] = max(sides[name].get(image, 0.0), side)
    classes = sorted(sides)
    if not classes:
        counts = ", ".join(f"{count} {lack}" for lack, count in left_out.items())
        raise ValueError(
            f"label field {field!r} has no label that can be looked for: {counts}"
        )
    if all(len(sides[name]) == len(ids) for name in classes):
        raise ValueError(
            f"every image shows every class of {field!r} ({_some(classes)}): any order "
            "of them is right, so there is nothing to measure"
        )
    return Labels(
        classes, ids, [sides[name] for name in classes], has_boxes, dict(left_out)
    )


def prompt(label: str) -> str:
    """What a person would type for a class: underscores become spaces."""
    return " ".join(label.replace("_", " ").split()) or label


def word_groups(indexes: Iterable[Index], classes: Sequence[str]) -> list[str]:
    """Says which classes the indexes were made for.

    Args:
        indexes: of one dataset
        classes: the classes

    Returns:
        for each class ``"proxy"`` if a fuser of these indexes was fitted on it and
        ``"held-out"`` if not; in the demo's world also ``"unseen"``, for what its
        backbone does not know. ``"all"`` where nothing is known, as of a trained fuser
        that was deleted
    """
    proxies: set[str] = set()
    world = {}
    for index in indexes:
        record, part = index.find()
        if record is None:
            continue
        if record.identity["backbone"] == NAME:
            world = {concept.name: concept for concept in concepts()}
        if part in (WHOLE, BOXES):
            continue
        settings = _made_with(record, part)
        if not settings.is_trained:
            proxies.update(_fitted_on(index.dataset, record, settings))
        elif settings.fuser in library.names():
            proxies.update(library.describe(settings.fuser).words)
        else:
            return [ALL] * len(classes)
    known = {base_form(proxy) for proxy in proxies}
    return [_group(name, known, world.get(prompt(name))) for name in classes]


def _made_with(record: records.Record, part: str) -> Settings:
    """The settings of an index, or of that of one vector beside it, as chosen."""
    vectors = 1 if part == SINGLE else record.vectors
    settings = Settings.from_identity(record.identity)
    fuser = record.single_fuser if vectors == 1 else "mean"  # beside a few, not of them
    return replace(settings, vectors=vectors, fuser=fuser)


def _fitted_on(
    dataset: fo.Dataset, record: records.Record, settings: Settings
) -> set[str]:
    """The words that an index's own fuser was fitted on."""
    words, field = settings.proxies, settings.proxy_field
    if not settings.needs_vocabulary:
        return set()
    if not (words or field):
        words = default_vocabulary().words
    elif words and record.card is not None:
        words = enough(Vocabulary.from_words(words)).words
    found = set(words)
    if field and dataset.has_field(field):
        path = label_path(dataset, field, "label")
        found.update(dataset.distinct(path))
    return found


def _group(name: str, proxies: set[str], concept) -> str:
    if base_form(prompt(name)) in proxies:
        return "proxy"
    if concept is not None and concept.unseen:
        return "unseen"
    if proxies:
        return "held-out"
    if concept is not None:
        return "proxy" if concept.is_proxy else "held-out"
    return ALL


def _side(box: Sequence[float] | None) -> float | None:
    """The side of a box; None for none."""
    if not box or len(box) != 4 or not np.isfinite(box).all():
        return None
    side = np.sqrt(max(box[2], 0) * max(box[3], 0))
    return float(np.clip(side, _SMALLEST, 1))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
