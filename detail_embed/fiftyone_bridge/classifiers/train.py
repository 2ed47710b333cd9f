"""Trains a classifier on a label field, writes what it says, and how good that is."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import fiftyone.core.collections as foc
import numpy as np
from torch import Tensor

from detail_embed.classifiers import Kind, create, train_in_steps
from detail_embed.classifiers.captions import TEMPLATES
from detail_embed.classifiers.curve import CurvePoint
from detail_embed.classifiers.folds import draw_shots
from detail_embed.classifiers.kind import Choice
from detail_embed.classifiers.train import (
    STANDS_OUT,
    Trained,
    without_examples,
)
from detail_embed.fiftyone_bridge.classifiers import library, predictions, report
from detail_embed.fiftyone_bridge.classifiers.asked import Asked, check
from detail_embed.fiftyone_bridge.classifiers.captions import encode_classes
from detail_embed.fiftyone_bridge.classifiers.examples import Examples, find_examples
from detail_embed.fiftyone_bridge.classifiers.measured_curve import measure_curve
from detail_embed.fiftyone_bridge.classifiers.report import Confused
from detail_embed.fiftyone_bridge.classifiers.vectors import images_of, space_for
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.texts.some_of import some_of

_SHARE_OF_CURVE = 0.6  # of the time, roughly
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TrainedClassifier:
    """What a training did.

    Attributes:
        name: of the classifier
        kind: of it
        space: of its vectors
        labels_field: what it learned from
        field: where its predictions are
        unit: what has classes, ``"image"`` or ``"box"``
        several: whether an image may have several classes, or none
        examples: of each class that it was trained on
        counts: images or boxes that it gives each class
        without: images or boxes that the index has no vector of
        left_out: labels or images that are no examples, by what they lack
        judged: images or boxes with a label by which it was measured: each is scored
            by a classifier that was not trained on it
        accuracy: share of these that is right; the mean average precision of the
            classes where an image may have several; None where nothing was held out
        eval_key: of FiftyOne's evaluation, None where it has none for such fields
        confused: the classes that are taken for each other most often
        curve: how good it is by the number of examples; empty where not asked for
        choice: how it learned, by the cross-validation: the strength of the pull to
            the start, and whether that is the names of the classes; None of names alone
        notes: what a person should know
        seconds: duration of the run
    """

    name: str
    kind: str
    space: str
    labels_field: str
    field: str
    unit: str
    several: bool
    examples: dict[str, int]
    counts: dict[str, int]
    without: int
    left_out: dict[str, int]
    judged: int
    accuracy: float | None
    eval_key: str | None
    confused: list[Confused]
    curve: list[CurvePoint]
    choice: Choice | None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def train_classifier(
    index: Index,
    labels_field: str,
    kind: str = "linear",
    shots: int | None = None,
    seed: int = 0,
    name: str | None = None,
    samples: foc.SampleCollection | None = None,
    use_boxes: bool = True,
    field: str | None = None,
    templates: str = TEMPLATES,
    curve: bool = False,
    top: int = 10,
    overwrite: bool = False,
) -> Run:
    """Trains a classifier on the labels of images, or of boxes, and applies it.

    All images with vectors get predictions, labelled or not. What was trained on gets
    those of classifiers that did not see it, from a cross-validation, where there was
    one: so predictions can be compared with the labels. The classifier is kept in the
    folder of the dataset.

    Args:
        index: a similarity index; one with patch features for ``"multiple-instance"``
            and for boxes, one that is searched by text for ``"prompts"``
        labels_field: a field of Classifications or Detections, or of one each
        kind ("linear"): see :func:`detail_embed.classifiers.names`
        shots (None): examples of each class, drawn at random, None for all; with 0,
            the names of the classes are all that is known
        seed (0): of whatever is random
        name (None): of the classifier; by default that of the field and the kind
        samples (None): a dataset or view of images; by default the whole dataset
        use_boxes (True): whether Detections are classified each by its box; else they
            are tags of their image, which may have several
        field (None): for the predictions; by default the name
        templates ("own"): sentences around the names of the classes, see
            :func:`~detail_embed.texts.templates.template_set`
        curve (False): whether to measure 0 to 16 examples a class, too, which takes 25
            trainings
        top (10): pairs of confused classes, at most
        overwrite (False): whether to replace a classifier of that name, and the labels
            of the field

    Returns:
        a :class:`.runs.run.Run`, whose result is a :class:`TrainedClassifier`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    samples = images_of(index, samples)
    asked = Asked(
        labels_field, kind, shots, seed, name, use_boxes, field, templates, curve, top,
        overwrite,
    )
    labelled = check(index, samples, asked)
    return Run(_train(index, samples, asked, labelled))


def _train(
    index: Index, samples: foc.SampleCollection, asked: Asked, labelled: Any
) -> Generator[Progress, None, TrainedClassifier]:
    started = time.monotonic()
    yield Progress("Reading the vectors", 0.0)
    kind = create(asked.kind)
    known = find_examples(index, samples, labelled, kind.needs_patches)
    captions = None
    if kind.uses_captions or asked.shots == 0 or _can_start_at_none(index, asked):
        captions = yield from encode_classes(index, known.classes, asked.templates)
    patches = kind.needs_patches
    space = space_for(index, labelled.unit, labelled.field, patches)
    drawn, notes = _draw(known, asked)
    trained = yield from _fit(kind, known, drawn, captions, space, asked)
    scores, places = trained.classifier.look(known.bags)
    is_fair = ~np.isnan(trained.held_out).any(axis=1)
    held = known.rows[drawn[is_fair]]
    own = scores[held]
    scores[held] = trained.held_out[is_fair]
    counts = yield from predictions.write(
        samples, asked.target, known.classes, known.items, scores, labelled.unit,
        labelled.several,
    )
    yield Progress("Comparing with the labels", 0.4)
    counted = _judged(known, drawn, is_fair, asked.shots)
    rows, targets = known.rows[counted], known.targets[counted]
    judged = [known.items[row] for row in rows]
    seen = [known.items[row] for row in np.setdiff1d(known.rows, rows)]
    confused = report.confused(
        judged, targets, scores[rows], known.classes, labelled.several,
        [known.places(row, places[row]) for row in rows], asked.top,
    )
    eval_key = report.evaluate(
        samples, asked.target, labelled.field, labelled.unit, judged, seen,
        f"eval_{asked.title}",
    )
    curve, of_curve = [], []
    if asked.curve:
        steps = measure_curve(kind, known, captions, asked.seed)
        curve, of_curve = yield from _told(
            steps, "Measuring fewer examples", 0.4, _SHARE_OF_CURVE
        )
    result = TrainedClassifier(
        name=asked.title, kind=asked.kind, space=space, labels_field=labelled.field,
        field=asked.target, unit=labelled.unit, several=labelled.several,
        examples=dict(
            zip(known.classes, known.targets[drawn].sum(axis=0).tolist())
        ),
        counts=counts, without=known.without, left_out=known.left_out,
        judged=len(judged),
        accuracy=report.accuracy(scores[rows], targets, labelled.several),
        eval_key=eval_key, confused=confused, curve=curve, choice=trained.choice,
        notes=[*known.notes, *notes, *trained.notes, *of_curve],
        seconds=time.monotonic() - started,
    )
    ids = [known.items[row].label_id or known.items[row].sample_id for row in held]
    library.save(
        index.dataset, asked.title, trained.classifier,
        library.HeldOut(ids, trained.held_out[is_fair], own),
        {**asdict(result), "brain_key": index.key},
    )
    return result


def _can_start_at_none(index: Index, asked: Asked) -> bool:
    """Whether the curve has a point without any example."""
    return asked.curve and index.key in brain_runs.promptable(index.dataset)


def _draw(known: Examples, asked: Asked) -> tuple[np.ndarray, list[str]]:
    """The examples to train on, and of which classes there are too few."""
    if asked.shots is None:
        return np.arange(len(known.targets)), []
    drawn = draw_shots(known.targets, asked.shots, asked.seed)
    counts = known.targets.sum(axis=0)
    few = [
        f"{name} ({count})" for name, count in zip(known.classes, counts)
        if count < asked.shots
    ]
    if not few:
        return drawn, []
    return drawn, [
        f"There are less than {asked.shots} examples of some classes, so all of these "
        f"were taken: {some_of(few)}."
    ]


def _fit(
    kind: Kind, known: Examples, drawn: np.ndarray, captions: Tensor | None,
    space: str, asked: Asked,
) -> Generator[Progress, None, Trained]:
    facts = {
        "unit": known.unit, "labels_field": asked.labels_field, "shots": asked.shots,
        "seed": asked.seed, "examples": len(drawn),
    }
    if asked.shots == 0:
        found = without_examples(
            known.bags, known.classes, space, known.several, captions, kind.name, facts
        )
        nothing = np.zeros((0, len(known.classes)))
        note = (
            "Nothing was trained: the names of the classes are all that it knows, and "
            "its probabilities are not calibrated."
        )
        if known.several:
            note += (
                f" A class is given where it stands out by {STANDS_OUT:g} standard "
                "deviations, so most images get none."
            )
        return Trained(found, nothing, None, (note,))
    steps = train_in_steps(
        kind, known.examples(drawn), known.targets[drawn], known.classes, space,
        known.several, captions, asked.seed, facts,
    )
    return (yield from _told(steps, f"Training on {len(drawn)} examples", 0.1, 0.2))


def _judged(
    known: Examples, drawn: np.ndarray, is_fair: np.ndarray, shots: int | None
) -> np.ndarray:
    """The examples that say how good the classifier is, as places among them."""
    if shots is None:
        return drawn[is_fair]
    return np.setdiff1d(np.arange(len(known.targets)), drawn)


def _told(
    steps: Generator[float, None, _Result], text: str, start: float, share: float
) -> Generator[Progress, None, _Result]:
    """Shares of some work as progress of a run, from ``start`` on."""
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            return end.value
        yield Progress(text, start + share * done)
