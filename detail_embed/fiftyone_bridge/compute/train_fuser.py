"""Training of a fuser on the images of a FiftyOne collection."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import torch

from detail_embed import fusers
from detail_embed.features.packing import DTYPES
from detail_embed.fiftyone_bridge.compute.missing_features import store_missing
from detail_embed.fiftyone_bridge.compute.vocabulary import vocabulary as vocabulary_of
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs.run import Progress, Run, encode_words
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.fusers import library
from detail_embed.fusers.library import TrainedFacts
from detail_embed.space import EmbeddingSpace
from detail_embed.space.choose_fuser import enough
from detail_embed.training import Epoch, Stored, Training, TrainingConfig
from detail_embed.training.one_run import one_run

logger = logging.getLogger(__name__)

METHOD = "detail_embed_training"
KINDS = tuple(name for name in fusers.names() if fusers.kind(name).is_trained)
_MIN_IMAGES = 10
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class TrainResult:
    """What a training did.

    Attributes:
        name: of the trained fuser
        kind: of fuser
        patch_slug: backbone, weights and cover that it is for
        images: trained and measured on
        words: trained on
        epochs: passes over the images
        before: how much of the teacher's ranking was kept before the first step, on
            words and images held out, 0 to 1
        held_out: the same for the fuser that is kept, the best one
        seconds: of the training
        history: the epochs, as dicts
    """

    name: str
    kind: str
    patch_slug: str
    images: int
    words: int
    epochs: int
    before: float
    held_out: float
    seconds: float
    history: list[dict[str, Any]]


def train(
    samples: foc.SampleCollection,
    settings: Settings,
    name: str,
    config: TrainingConfig,
    overwrite: bool = False,
) -> Run:
    """Trains a fuser, and keeps it under a name.

    The commonest nouns are added to fewer than 100 words: a fuser that knows no others
    forgets them. Patch features are stored, so that encoding is done once. A training
    that is cut short keeps the best fuser so far; the same call goes on where it was.

    Args:
        samples: a dataset or view of images
        settings: backbone, cover and words; ``fuser`` is the kind to train
        name: of the trained fuser, for ``fuser=`` of an index
        config: objective, time budget and the rest
        overwrite (False): whether to train anew where the name is taken

    Returns:
        a run whose result is a :class:`TrainResult`

    Raises:
        ValueError: if the samples, the settings or the name cannot be used; while
            iterating, also if too few images can be read, or another run trains a
            fuser of that name
        TrainingDiverged: while iterating; the best fuser so far is kept
    """
    samples = images_of(samples)
    check_training(samples, settings, name, overwrite)
    return Run(_train_alone(samples, settings, name, config, overwrite))


def check_training(
    samples: foc.SampleCollection,
    settings: Settings,
    name: str,
    overwrite: bool = False,
) -> None:
    """Checks all that can be checked before a training, quickly; see :func:`train`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    samples = images_of(samples)
    settings.check()
    if settings.fuser not in KINDS or settings.count != 1:
        raise ValueError(
            f"fuser={settings.fuser!r} is not trained: choose one of {KINDS}"
        )
    if not name:
        raise ValueError("type a name for the fuser")
    library.check_name(name)
    if len(samples) < _MIN_IMAGES:
        raise ValueError(
            f"{len(samples)} images are too few to train on: give at least "
            f"{_MIN_IMAGES}, better some thousands"
        )
    dataset = dataset_of(samples)
    runs = dataset.list_runs()
    if name in runs and dataset.get_run_info(name).config.method != METHOD:
        raise ValueError(
            f"{name!r} belongs to another run of this dataset, such as an index or an "
            "evaluation: choose another name"
        )
    is_cut_short = library.checkpoint_directory(name).is_dir()
    if name in library.names() and not (overwrite or is_cut_short):
        raise ValueError(
            f"a fuser called {name!r} was trained on "
            f"{library.describe(name).created}: choose another name, or train "
            "anew (overwrite=True)"
        )


def estimate(
    samples: foc.SampleCollection, settings: Settings, minutes: float
) -> str:
    """Says what a training will take of disk and time, for a person.

    Raises:
        ValueError: if the disk has too little room
    """
    room = feature_stores.describe(samples, settings)
    return (
        f"Patch features: {room}. Images without stored features are encoded first; "
        f"then the training takes at most {minutes:g} minutes"
    )


def register(dataset: fo.Dataset, facts: TrainedFacts) -> None:
    """Writes a training down in the dataset, as a custom run under its name."""
    config = asdict(facts)
    history = config.pop("history")
    run = dataset.init_run(method=METHOD, **config)
    dataset.register_run(facts.name, run, overwrite=True)
    results = dataset.init_run_results(facts.name, history=history)
    dataset.save_run_results(facts.name, results, overwrite=True)


def _train_alone(
    samples: foc.SampleCollection, settings: Settings, name: str,
    config: TrainingConfig, overwrite: bool,
) -> Generator[Progress, None, TrainResult]:
    folder = library.checkpoint_directory(name)
    with one_run(folder, f"a fuser called {name!r}", overwrite):
        return (yield from _train(samples, settings, name, config))


def _train(
    samples: foc.SampleCollection, settings: Settings, name: str, config: TrainingConfig
) -> Generator[Progress, None, TrainResult]:
    yield Progress("Loading the model", 0.0)
    backbone = settings.load_backbone()
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        fuser = fusers.create(settings.fuser, backbone.dim, **settings.fuser_options)
        space = EmbeddingSpace(backbone, settings.make_cover(), fuser)
    items = list(zip(*samples.values(["id", "filepath"])))
    dataset = dataset_of(samples)
    keep = settings.keep_features
    if keep not in DTYPES:
        keep = _held_dtype(dataset, space)
    store = feature_stores.prepare(
        dataset, space, keep, items, read_seconds=settings.read_seconds
    )
    yield from store_missing(space, store, items, settings)
    ids = [id for id, _ in items if id in store]
    if len(ids) < _MIN_IMAGES:
        raise ValueError(
            f"only {len(ids)} of {len(items)} images could be read; that is too few "
            "to train on"
        )
    vocabulary = enough(vocabulary_of(settings, samples))
    words, held_out = vocabulary.split()
    training = Training(
        space.fuser,
        Stored(store, ids),
        (yield from encode_words(space.backbone, words)),
        (yield from encode_words(space.backbone, held_out)),
        config,
        checkpoint=library.checkpoint_directory(name),
        device=space.backbone.device,
    )
    try:
        with closing(iter(training)) as epochs:
            yield Progress("What the patches say of every word", 0.0)
            for epoch in epochs:
                yield _report(epoch, training.history, config)
    finally:
        if training.history:
            facts = TrainedFacts(
                name, space.fuser.name, space.patch_slug, list(words.words),
                vocabulary.source, len(ids), asdict(config),
                [asdict(epoch) for epoch in training.history],
            )
            library.save(space.fuser, facts)
            register(dataset, facts)
    shutil.rmtree(library.checkpoint_directory(name), ignore_errors=True)
    return TrainResult(
        name=name,
        kind=facts.kind,
        patch_slug=facts.patch_slug,
        images=facts.images,
        words=facts.num_words,
        epochs=training.history[-1].number,
        before=training.history[0].held_out,
        held_out=facts.held_out,
        seconds=training.history[-1].seconds,
        history=facts.history,
    )


def _held_dtype(dataset: fo.Dataset, space: EmbeddingSpace) -> str:
    store = feature_stores.find(dataset, space.patch_slug)
    return "float16" if store is None else store.dtype


def _report(epoch: Epoch, history: list[Epoch], config: TrainingConfig) -> Progress:
    best = max(e.held_out for e in history)
    curve = _sparkline([e.held_out for e in history])
    loss = "" if epoch.loss is None else f"loss {epoch.loss:.3f}, "
    done = epoch.number / config.epochs
    if config.time_budget:
        done = max(done, epoch.seconds / config.time_budget)
    return Progress(
        f"Epoch {epoch.number}: {loss}kept for held-out words "
        f"{100 * epoch.held_out:.1f} % {curve} best {100 * best:.1f} %",
        min(done, 1.0),
        [asdict(epoch) for epoch in history],
    )


def _sparkline(values: list[float]) -> str:
    """The last 20 values as bars."""
    values = values[-20:]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(
        _BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values
    )
