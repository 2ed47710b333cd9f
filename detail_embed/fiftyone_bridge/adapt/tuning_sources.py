"""A field of labels or captions as images and what is said of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import fiftyone.core.collections as foc

from detail_embed.adapt.phrases import phrases
from detail_embed.adapt.pictures import Picture, Said, check_pictures
from detail_embed.fiftyone_bridge.adapt.caption_fields import caption_fields
from detail_embed.fiftyone_bridge.classifiers.targets import has_boxes, read_labels
from detail_embed.fiftyone_bridge.evaluate.labels import label_fields
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.texts.templates import TEMPLATES
from detail_embed.texts.wordings import class_wordings

AS_IT_IS = ("{}",)
_OFTEN = 2  # captions that name a thing


@dataclass(frozen=True)
class Lessons:
    """What there is to learn from.

    Attributes:
        pictures: the images of which something is said
        source: where the texts come from, for messages
        templates: sentences for the texts
        boxes: how many texts have a box
        texts: how many different ones there are
    """

    pictures: list[Picture]
    source: str
    templates: tuple[str, ...]
    boxes: int
    texts: int


def fields_of(samples: foc.SampleCollection) -> list[str]:
    """Names of the fields that can be learned from: of labels, then of captions."""
    return [*label_fields(dataset_of(samples)), *caption_fields(samples)]


def read(
    samples: foc.SampleCollection, field: str, use_boxes: bool = True
) -> Lessons:
    """Reads a field of Detections, Classifications, or one of each, or of texts.

    Args:
        samples: a dataset or view of images
        field: the field
        use_boxes (True): whether boxes say what is meant, where labels have some

    Raises:
        ValueError: if the field is of another type, or nothing can be learned from it
    """
    if not isinstance(field, str) or not field:
        raise ValueError(
            f"name the field to learn from; {_choice(fields_of(samples))}"
        )
    if field in label_fields(dataset_of(samples)):
        said = _labels(samples, field, use_boxes)
        source, templates = f"the label field {field!r}", TEMPLATES
    elif field in caption_fields(samples):
        said = _captions(samples, field)
        source, templates = f"the caption field {field!r}", AS_IT_IS
    else:
        raise ValueError(
            f"field={field!r} is no field of labels (Detections, Classifications) or "
            f"of texts; {_choice(fields_of(samples))}"
        )
    paths = dict(zip(*samples.values(["id", "filepath"])))
    pictures = [
        Picture(paths[id], tuple(texts)) for id, texts in said.items() if texts
    ]
    check_pictures(pictures, source)
    every = [one for picture in pictures for one in picture.said]
    return Lessons(
        pictures, source, templates, sum(one.box is not None for one in every),
        len({one.text for one in every}),
    )


def _labels(
    samples: foc.SampleCollection, field: str, use_boxes: bool
) -> dict[str, list[Said]]:
    found = read_labels(samples, field, use_boxes and has_boxes(samples, field))
    words = [class_wordings(name)[0][0] for name in found.classes]
    said = defaultdict(list)
    for item, shown in zip(found.items, found.targets):
        said[item.sample_id] += [Said(words[k], item.box) for k in shown.nonzero()[0]]
    return said


def _captions(samples: foc.SampleCollection, field: str) -> dict[str, list[Said]]:
    """Captions, and the things that two or more of them name."""
    texts: list[tuple[str, str]] = []
    for id, value in zip(*samples.values(["id", field])):
        texts += [(id, text) for text in _clean(value)]
    counts = Counter(text for _, text in texts)
    said: dict[str, list[Said]] = defaultdict(list)
    for id, text in texts:
        said[id].append(Said(text))
    if len(counts) < 2:
        return said
    ids, captions = zip(*texts)
    for thing, numbers in phrases(list(captions)).items():
        there = {ids[number]: None for number in numbers}
        if len(there) >= _OFTEN and thing not in counts:
            for id in there:
                said[id].append(Said(thing))
    return said


def _clean(value: str | Iterable[str] | None) -> list[str]:
    values = [value] if isinstance(value, str) else value or []
    return [text for one in values if (text := " ".join((one or "").split()))]


def _choice(fields: list[str]) -> str:
    return f"choose one of {fields}" if fields else "this dataset has none"
