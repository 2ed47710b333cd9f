"""From images and texts to an adapted model: cut, train, mix, judge, keep."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace

from detail_embed.adapt import blend, crops, models
from detail_embed.adapt.as_file import architecture_of
from detail_embed.adapt.crops import Cut
from detail_embed.adapt.known_things import Things, other_nouns
from detail_embed.adapt.models import AdaptedFacts
from detail_embed.adapt.pictures import Picture, check_pictures, split, texts_of
from detail_embed.adapt.towers import Towers
from detail_embed.adapt.tuning import TunedEpoch, Tuning
from detail_embed.adapt.tuning_config import TuningConfig, usual_rate
from detail_embed.adapt.tuning_judge import Judge
from detail_embed.cover import CompleteCover

COARSE = 5  # cover that is judged by, and that texts without a box are trained on
_FEWEST_READ = 8
_SMALLEST_BATCH = 16
_STEPS = 16  # of a pass, at least, unless batches would be too small


@dataclass(frozen=True)
class Stage:
    """How far it is.

    Attributes:
        text: what is being done
        fraction: of the whole, 0 to 1
        history: what every pass so far reached
    """

    text: str
    fraction: float
    history: Sequence[TunedEpoch] = ()


@dataclass(frozen=True)
class Task:
    """What is to be adapted to what.

    Attributes:
        name: of the model that is made
        backbone: open_clip architecture
        pretrained: its weights
        source: where the texts come from, for messages and records
        templates: sentences for the texts; ``("{}",)`` for captions
        config: of the training
        cover: c of the cover that crops of boxes are windows of
        device: where it is trained
    """

    name: str
    backbone: str
    pretrained: str | None
    source: str
    templates: tuple[str, ...]
    config: TuningConfig = field(default_factory=TuningConfig)
    cover: int | str = 10
    device: str = "auto"


def fine_tune(
    pictures: Sequence[Picture], task: Task
) -> Generator[Stage, None, AdaptedFacts]:
    """Fine-tunes a backbone, and keeps what comes of it under its name.

    A run that was killed goes on when it is called again with the same.

    Args:
        pictures: the images and what is said of them
        task: what is asked for

    Yields:
        how far it is

    Returns:
        what is known of the model

    Raises:
        ValueError: if the images, texts or weights cannot be used
        RuntimeError: if the disk is full
    """
    check_pictures(pictures, task.source)
    name = architecture_of(task.backbone, task.pretrained)
    folder = models.training_directory(task.name)
    yield Stage("Loading the model", 0.0)
    towers = Towers(task.backbone, task.pretrained, task.device)
    train, held_out = split(pictures, task.config.seed)
    is_aimed = not any(said.box for picture in pictures for said in picture.said)
    folder.mkdir(parents=True, exist_ok=True)
    seen = []
    for what, some in (("to train on", train), ("to judge by", held_out)):
        every = is_aimed or some is held_out
        cover = CompleteCover(COARSE if every else task.cover)
        file = folder / f"{what.replace(' ', '-')}.u8"
        steps = crops.cut(some, cover, towers.spec, file, every)
        with closing(steps):
            for done in steps:
                text = f"Cutting crops {what}: {done:,} of {len(some):,} images"
                yield Stage(text, 0.0)
        seen.append(crops.load(file))
    cut, judged = seen
    _check_read(cut, judged, task)
    texts = list(dict.fromkeys(text for shown in cut.texts for text in shown))
    said = texts_of(pictures)
    things, kept = Things(judged, said), other_nouns(said)
    judge = Judge(judged, held_out, task.templates, things)
    config = _completed(task.config, len(cut), towers)
    tuning = Tuning(
        towers, cut, texts, task.templates, kept, judge, config, folder, is_aimed
    )
    yield Stage("Measuring the model as it is", 0.0)
    for epoch in tuning:
        yield _report(tuning.history, epoch, config)
    measured = []
    plain = Towers(task.backbone, task.pretrained, task.device)
    if tuning.history[-1].number:
        mixed = blend.blends(plain, judge, tuning.start, tuning.best, tuning.before)
        for one in mixed:
            measured.append(one)
            text = f"Mixing old and new weights: {100 * one[0].alpha:.0f} % new"
            yield Stage(text, 1.0, tuning.history)
    verdict = blend.decide(measured, tuning.before, tuning.stopped)
    facts = AdaptedFacts(
        name=task.name, backbone=name, pretrained=task.pretrained,
        source=task.source, images=len(pictures), held_out=len(held_out),
        crops=len(cut), texts=len(texts), skipped=len(cut.skipped + judged.skipped),
        config=asdict(config), history=[asdict(e) for e in tuning.history],
        blends=[asdict(one) for one, _ in measured], verdict=asdict(verdict),
        stopped=tuning.stopped,
    )
    models.save(facts, blend.mix(tuning.start, tuning.best, verdict.alpha))
    shutil.rmtree(folder, ignore_errors=True)
    return models.describe(task.name)


def _completed(config: TuningConfig, crops: int, towers: Towers) -> TuningConfig:
    """The choices with what depends on the crops and the model.

    A batch is so small that a pass has some steps, however few crops there are.
    """
    size = min(config.batch_size, max(_SMALLEST_BATCH, crops // _STEPS))
    weights = sum(parameter.numel() for parameter in towers.model.parameters())
    rate = config.learning_rate or usual_rate(config.method, weights)
    return replace(config, batch_size=size, learning_rate=rate)


def _check_read(cut: Cut, judged: Cut, task: Task) -> None:
    """Checks that enough images could be read."""
    skipped = cut.skipped + judged.skipped
    for one, what in ((cut, "to train on"), (judged, "to judge by")):
        count = len(set(one.images.tolist()))
        if count < (_FEWEST_READ if one is cut else 4):
            path, reason = skipped[0]
            raise ValueError(
                f"only {count} of the images {what} could be read; {path}: {reason}"
            )


def _report(
    history: Sequence[TunedEpoch], epoch: TunedEpoch, config: TuningConfig
) -> Stage:
    loss = "" if epoch.loss is None else f"loss {epoch.loss:.3f}, "
    done = epoch.number / config.epochs
    if config.time_budget:
        done = max(done, epoch.seconds / config.time_budget)
    best = max(history, key=lambda one: one.score)
    return Stage(
        f"Pass {epoch.number}: {loss}held-out images {100 * epoch.held_out:.1f} % "
        f"(best {100 * best.held_out:.1f} %), nouns {100 * epoch.nouns:.1f} %",
        min(done, 1.0),
        history,
    )
