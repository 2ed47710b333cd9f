"""Labels that a classifier contradicts, worst first."""

from __future__ import annotations

from collections.abc import Generator
from numbers import Integral
from pathlib import Path

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.classifiers import library
from detail_embed.fiftyone_bridge.classifiers.apply import check_appliable, scores
from detail_embed.fiftyone_bridge.classifiers.vectors import images_of
from detail_embed.fiftyone_bridge.curate.judge_labels import (
    COUNT,
    MAKER,
    MISTAKENNESS,
    SUGGESTED,
    MistakenLabels,
    judge,
    keep,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples import label_attributes
from detail_embed.storage.plain_numbers import is_a


def find_mistaken_labels(
    index: Index,
    name: str | Path,
    samples: foc.SampleCollection | None = None,
    count: int = COUNT,
) -> Run:
    """Finds the labels that a classifier contradicts, of the field it learned from.

    A label that it was trained on is judged by a classifier that did not see it, from
    the cross-validation.

    Args:
        index: as of :func:`.apply.apply_classifier`
        name: of a classifier of boxes, or of images with one class each
        samples (None): a dataset or view of images; by default the whole dataset
        count (100): labels to show

    Returns:
        a :class:`.runs.run.Run`, whose result is of
        :class:`~.curate.judge_labels.MistakenLabels`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    if not is_a(Integral, count) or count < 1:
        raise ValueError(f"count must be a whole number of at least 1, not {count!r}")
    samples = images_of(index, samples)
    classifier = library.load(index.dataset, name)
    if classifier.several:
        raise ValueError(
            f"the classifier {str(name)!r} gives an image several classes, so its "
            "labels are not judged: train one of boxes, or of a field of one class each"
        )
    field = check_appliable(index, samples, classifier)
    for attribute in (MISTAKENNESS, SUGGESTED):
        label_attributes.check_free(index.home, field, attribute, MAKER)
    return Run(_find(index, name, samples, field, count))


def _find(
    index: Index, name: str | Path, samples: foc.SampleCollection, field: str,
    count: int,
) -> Generator[Progress, None, MistakenLabels]:
    yield Progress("Reading the vectors", 0.0)
    found = scores(index, name, samples)
    if found.label_ids is None:  # of images: they are judged for their labels
        places = {id: row for row, id in enumerate(found.sample_ids)}
        images = label_attributes.images(samples, field)
        pairs = [(id, places[at]) for id, at in images.items() if at in places]
    else:
        pairs = list(zip(found.label_ids, range(len(found.label_ids))))
    ids, rows = [id for id, _ in pairs], [row for _, row in pairs]
    yield Progress(f"Judging {len(ids)} labels", 0.7)
    mistaken = judge(
        samples, field, ids, found.matrix[rows], found.classes, count, comparable=True
    )
    keep(index, mistaken)
    return mistaken
