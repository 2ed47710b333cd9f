"""What a training is asked for, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import fiftyone.core.collections as foc

from detail_embed.classifiers import create
from detail_embed.classifiers.curve import SHOTS, are_enough, halves
from detail_embed.fiftyone_bridge.classifiers import library, predictions
from detail_embed.fiftyone_bridge.classifiers.targets import (
    BOX,
    IMAGE,
    Labelled,
    check_labels,
    has_boxes,
    read_labels,
)
from detail_embed.fiftyone_bridge.classifiers.vectors import space_for
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts.templates import template_set

_MOST_SEED = 2**31


@dataclass(frozen=True)
class Asked:
    """The arguments of :func:`.train.train_classifier`."""

    labels_field: str
    kind: str
    shots: int | None
    seed: int
    name: str | None
    use_boxes: bool
    field: str | None
    templates: str
    curve: bool
    top: int
    overwrite: bool

    @property
    def title(self) -> str:
        """The name of the classifier."""
        if self.name is not None:
            return self.name
        return f"{self.labels_field}_{self.kind}".replace("-", "_").replace(".", "_")

    @property
    def target(self) -> str:
        """The field of the predictions."""
        return self.title if self.field is None else self.field


def check(index: Index, samples: foc.SampleCollection, asked: Asked) -> Labelled:
    """Checks all that can be checked quickly, and reads the labels.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    kind = create(asked.kind)
    _check_numbers(asked)
    template_set(asked.templates)
    check_labels(samples, asked.labels_field)
    is_box = asked.use_boxes and has_boxes(samples, asked.labels_field)
    unit = BOX if is_box else IMAGE
    space_for(index, unit, asked.labels_field, kind.needs_patches)
    if kind.uses_captions or asked.shots == 0:
        brain_runs.check_promptable(index)
    labelled = read_labels(samples, asked.labels_field, asked.use_boxes)
    check_classes(labelled, asked)
    library.check_name(asked.title)
    if asked.title in library.names(index.dataset) and not asked.overwrite:
        raise ValueError(
            f"name={asked.title!r}: this dataset has a classifier of that name; choose "
            "another, or overwrite=True"
        )
    if asked.target == asked.labels_field:
        raise ValueError(
            f"field={asked.target!r} holds the labels: choose another one for the "
            "predictions"
        )
    kind_of_field = predictions.kind_of(labelled.unit, labelled.several)
    predictions.check_target(samples, asked.target, kind_of_field, asked.overwrite)
    return labelled


def check_classes(labelled: Labelled, asked: Asked) -> None:
    """Checks that there is something to tell apart.

    Raises:
        ValueError: if not
    """
    if asked.curve:
        shown, _, _ = halves(labelled.targets, labelled.several, asked.seed)
        if not are_enough(shown, labelled.several):
            raise ValueError(
                f"curve=True: a curve needs classes with two examples, and "
                f"labels_field={labelled.field!r} has too few of them: label more, or "
                "do without the curve"
            )
    if labelled.several:
        if labelled.targets.all():
            raise ValueError(
                f"labels_field={labelled.field!r}: every image has every class, so "
                "nothing tells them apart; add images without them"
            )
        return
    if len(labelled.classes) < 2:
        raise ValueError(
            f"labels_field={labelled.field!r} has one class only, "
            f"{labelled.classes[0]!r}, so nothing is to be told apart: label a second "
            "one"
        )


def _check_numbers(asked: Asked) -> None:
    if asked.shots is not None and not _is_whole(asked.shots):
        raise ValueError(
            f"shots={asked.shots!r}: give the number of examples of each class, such "
            f"as {', '.join(map(str, SHOTS))}, or none for all"
        )
    if not _is_whole(asked.seed) or asked.seed >= _MOST_SEED:
        raise ValueError(f"seed={asked.seed!r}: give a whole number of at least 0")
    if not _is_whole(asked.top) or asked.top < 1:
        raise ValueError(
            f"top={asked.top!r}: give a whole number of pairs, at least 1"
        )
    for name in ("use_boxes", "curve", "overwrite"):
        predictions.check_flag(name, getattr(asked, name))


def _is_whole(value: object) -> bool:
    return is_a(Integral, value) and value >= 0
