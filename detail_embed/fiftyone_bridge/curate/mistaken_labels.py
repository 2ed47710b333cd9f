"""Labels whose class fits what they show far worse than another one does."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from numbers import Integral

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.curate.judge_labels import (
    COUNT,
    MAKER,
    MISTAKENNESS,
    OF_IMAGES,
    SUGGESTED,
    MistakenLabels,
    judge,
    keep,
    key_of,
)
from detail_embed.fiftyone_bridge.index import boxes, brain_runs
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.image_vectors import (
    check_images_of_index,
    read_items,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.label_fields import label_fields
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples import label_attributes
from detail_embed.fiftyone_bridge.samples.collection import with_fields
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.fiftyone_bridge.search import prompt_scores
from detail_embed.fiftyone_bridge.search.query_vectors import hints_of
from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts import zero_shot
from detail_embed.texts.some_of import some_of


def find_mistaken_labels(
    index: Index,
    samples: foc.SampleCollection,
    label_field: str | None = None,
    classes: str | Sequence[str] | None = None,
    count: int = COUNT,
) -> Run:
    """Finds the labels whose class fits far worse than another one, by texts alone.

    The vector of each box, or image, is compared with the texts of all classes, see
    :func:`~detail_embed.evaluation.mistakenness.mistakenness`. The labels get the
    attributes ``mistakenness`` and ``suggested_label``, in place of those of an earlier
    search.

    Args:
        index: an index of boxes that can be searched by text; or one of images, for a
            field of Classifications
        samples: a dataset or view of images, or of patches of the field
        label_field (None): of the labels; by default those of the boxes
        classes (None): as of :func:`detail_embed.texts.zero_shot.parse`, such as
            ``["car", "person: a pedestrian, a cyclist"]``; by default those of the
            labels
        count (100): labels to show

    Returns:
        a :class:`.runs.run.Run`, whose result is of
        :class:`.judge_labels.MistakenLabels`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
        TypeError: if a class is no string
    """
    field, prompts = check_mistaken_labels(index, samples, label_field, classes, count)
    samples = check_images_of_index(index, samples)
    return Run(_find(index, samples, field, prompts, count))


def check_mistaken_labels(
    index: Index,
    samples: foc.SampleCollection,
    label_field: str | None = None,
    classes: str | Sequence[str] | None = None,
    count: int = COUNT,
) -> tuple[str, dict[str, list[str]]]:
    """Checks what can be checked; see :func:`find_mistaken_labels`.

    Returns:
        the field of the labels, and the prompts of each class
    """
    if not is_a(Integral, count) or count < 1:
        raise ValueError(f"count must be a whole number of at least 1, not {count!r}")
    prompts = None if classes is None else zero_shot.parse(classes)
    field = _check_field(index, samples, label_field)
    for name in (MISTAKENNESS, SUGGESTED):
        label_attributes.check_free(index.home, field, name, MAKER)
    samples = with_fields(check_images_of_index(index, samples), field)
    known = samples.distinct(label_path(samples, field, "label"))
    named = sorted({key for name in known if (key := key_of(name))})
    if not named:
        raise ValueError(
            f"no label of {field!r} has a class here, so none can be mistaken: choose "
            "another field or view"
        )
    if prompts is None:
        prompts = {name: [zero_shot.prompt_of(name)] for name in named}
    if len(prompts) < 2:
        raise ValueError(
            f"{next(iter(prompts))!r} is the only class, so nothing else can be meant: "
            "give classes, at least two"
        )
    if prompts.keys().isdisjoint(named):
        raise ValueError(
            f"classes: no label of {field!r} has one of these classes; its classes are "
            f"{some_of(named)}"
        )
    return field, prompts


def _check_field(
    index: Index, samples: foc.SampleCollection, label_field: str | None
) -> str:
    """Checks index, samples and field; returns the field."""
    if not index.has_brain_run:
        keys = brain_runs.promptable(index.dataset)
        every = (Index(index.dataset, key) for key in keys)
        known = [one.key for one in every if boxes.field_of(one) is not None]
        choice = f"choose one of {known}, or " if known else ""
        raise ValueError(
            f"there is no index {index.key!r}: {choice}compute one of the boxes of a "
            "label field, or give the brain key of one of images"
        )
    brain_runs.check_promptable(index)
    if boxes.field_of(index) is not None:
        field = boxes.check_boxes(index, samples)
        if label_field not in (None, field):
            raise ValueError(
                f"label_field={label_field!r}: the index {index.key!r} holds the boxes "
                f"of {field!r}; leave it out, or choose another index"
            )
        return field
    index.images_of(samples)
    fields = label_fields(index.home, OF_IMAGES)
    if label_field not in fields:
        whole = "frames" if index.is_of_frames else "images"
        given = "label_field must be given"
        if label_field is not None:
            given = f"label_field={label_field!r}"
        choice = f"give one of {fields}, or" if fields else "they have none: choose"
        raise ValueError(
            f"{given}: the index {index.key!r} holds whole {whole}, which say "
            f"something of a field of Classification or Classifications of {whole}; "
            f"{choice} an index of boxes"
        )
    return label_field


def _find(
    index: Index,
    samples: foc.SampleCollection,
    field: str,
    prompts: Mapping[str, list[str]],
    count: int,
) -> Generator[Progress, None, MistakenLabels]:
    yield Progress("Reading the vectors", 0.0)
    texts = (yield from prompt_scores.encode_labels(index, prompts)).numpy()
    if boxes.field_of(index) is not None:
        items = read_items(index, samples, 1)
        ids, scores, without = items.ids, items.matrix @ texts.T, items.without
    else:
        ids, scores, without = _score_images(index, samples, field, texts)
    yield Progress(f"Judging {len(ids)} labels", 0.7)
    found = judge(samples, field, ids, scores, list(prompts), count)
    hints = hints_of(index, [text for some in prompts.values() for text in some])
    found = replace(found, without=without, hints=hints)
    keep(index, found)
    return found


def _score_images(
    index: Index, samples: foc.SampleCollection, field: str, texts: np.ndarray
) -> tuple[list[str], np.ndarray, int]:
    """The scores of the best vector of the image of each label."""
    vectors = index_vectors.load(index)
    places = {id: place for place, id in enumerate(vectors.ids)}
    images = label_attributes.images(samples, field)
    ids = [id for id, image in images.items() if image in places]
    if not ids:
        raise ValueError(
            f"none of the {len(images)} labels of {field!r} is of an image that has a "
            f"vector in the index {index.key!r}: compute it for them"
        )
    scores = np.stack([vectors.scores(text) for text in texts], axis=1)
    return ids, scores[[places[images[id]] for id in ids]], len(images) - len(ids)
