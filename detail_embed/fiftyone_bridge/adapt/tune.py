"""Fine-tuning of a backbone on the images of a FiftyOne collection."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass

import fiftyone.core.collections as foc

from detail_embed.adapt import models
from detail_embed.adapt.as_file import architecture_of
from detail_embed.adapt.fine_tune import Task, fine_tune
from detail_embed.adapt.models import AdaptedFacts
from detail_embed.adapt.tuning_config import TuningConfig
from detail_embed.backbone import weights
from detail_embed.features.disk_space import free_bytes
from detail_embed.fiftyone_bridge.adapt import tuning_sources
from detail_embed.fiftyone_bridge.adapt.tuning_sources import Lessons
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.storage.whole_files import megabytes
from detail_embed.training.one_run import one_run


@dataclass(frozen=True)
class TuningRequest:
    """What is to be fine-tuned on what.

    Attributes:
        name: of the model that is made
        field: of labels or captions
        settings: backbone, its weights, cover and device
        config: of the training
        use_boxes: whether boxes say what is meant, where labels have some
        overwrite: whether to train anew where the name is taken
    """

    name: str
    field: str
    settings: Settings
    config: TuningConfig
    use_boxes: bool = True
    overwrite: bool = False


def tune(samples: foc.SampleCollection, request: TuningRequest) -> Run:
    """Fine-tunes a backbone on a field of labels or captions.

    A training that is cut short goes on where it was when it is asked for again. The
    model is offered only if held-out images are found better and general nouns lose at
    most 2 points; what was measured is kept in any case.

    Args:
        samples: a dataset or view of images
        request: what is asked for

    Returns:
        a run whose result is a :class:`~detail_embed.adapt.models.AdaptedFacts`

    Raises:
        ValueError: naming what cannot be used and what to do; while iterating, also if
            the weights do not fit the model, or too few images can be read
        RuntimeError: while iterating, if the disk is full
    """
    lessons = check(samples, request)
    return Run(_tune(lessons, request))


def check(samples: foc.SampleCollection, request: TuningRequest) -> Lessons:
    """Checks all that can be checked quickly, and reads the field; see :func:`tune`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    samples = images_of(samples)
    settings = request.settings
    settings.check()
    weights.check_weights(settings.backbone, settings.pretrained)
    architecture_of(settings.backbone, settings.pretrained)
    if not request.name:
        raise ValueError("type a name for the adapted model")
    models.check_name(request.name)
    is_cut_short = models.training_directory(request.name).is_dir()
    if request.name in models.names() and not (request.overwrite or is_cut_short):
        raise ValueError(
            f"an adapted model called {request.name!r} was made on "
            f"{models.describe(request.name).created}: choose another name, or train "
            "anew (overwrite=True)"
        )
    return tuning_sources.read(samples, request.field, request.use_boxes)


def estimate(lessons: Lessons, request: TuningRequest) -> str:
    """Says what will be learned from, and what it takes, for a person."""
    what = f"{lessons.texts:,} texts of {len(lessons.pictures):,} images"
    how = f"{lessons.boxes:,} boxes say where" if lessons.boxes else (
        "no box says where: the windows that fit best are taken"
    )
    minutes = (request.config.time_budget or 0) / 60
    free = free_bytes(models.training_directory(request.name))
    return (
        f"{what}; {how}. A fifth of the images is held out. At most {minutes:g} "
        "minutes of training after the crops are cut, less where no more is gained. "
        "Vectors of this model are no others' vectors: an index is computed anew with "
        f"it. The disk has {megabytes(free)} free"
    )


def _tune(
    lessons: Lessons, request: TuningRequest
) -> Generator[Progress, None, AdaptedFacts]:
    folder = models.training_directory(request.name)
    with one_run(folder, f"a model called {request.name!r}", request.overwrite):
        return (yield from _train(lessons, request))


def _train(
    lessons: Lessons, request: TuningRequest
) -> Generator[Progress, None, AdaptedFacts]:
    settings = request.settings
    task = Task(
        request.name, settings.backbone, settings.pretrained, lessons.source,
        lessons.templates, request.config, settings.cover, settings.device,
    )
    steps = fine_tune(lessons.pictures, task)
    while True:
        try:
            stage = next(steps)
        except StopIteration as end:
            return end.value
        history = [asdict(epoch) for epoch in stage.history]
        yield Progress(stage.text, stage.fraction, history)
