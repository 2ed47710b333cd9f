"""Detail vectors of a FiftyOne collection, and the similarity indexes on them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.collections as foc
from tqdm import tqdm

from ..engine import stream
from ..space import DetailEmbedder
from . import brain_runs, records, zoo
from .samples import Sink, check_images, declare, flat_images, ids_with, without
from .settings import Settings, make_global_space

_FIT_IMAGES = 200
_CHUNK = 16


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        text: what is being done, with images per second and the time left
        fraction: of the whole, 0 to 1
    """

    text: str
    fraction: float


@dataclass(frozen=True)
class Result:
    """What a run did.

    Attributes:
        brain_key: the key of the index
        space: name of the embedding space, also of the zoo model
        embedded: images that got a vector
        present: images that had one
        failed: images that could not be read; the reason is in ``error_field``
        error_field: field of the reasons; only there if some image failed
        seconds: duration of the run
    """

    brain_key: str
    space: str
    embedded: int
    present: int
    failed: int
    error_field: str
    seconds: float


class Run:
    """A run in steps: iterate over it to do the work and to see how far it is.

    Attributes:
        result: the :class:`Result`, None until the iteration has ended
    """

    def __init__(self, steps: Generator[Progress, None, Result]):
        self._steps = steps
        self.result: Result | None = None

    def __iter__(self) -> Iterator[Progress]:
        self.result = yield from self._steps

    def finish(self, progress: bool = False) -> Result:
        """Does all the work.

        Args:
            progress (False): whether to show a progress bar
        """
        bar_format = "{percentage:3.0f}% |{bar}| {desc}"
        with tqdm(total=1.0, bar_format=bar_format, disable=not progress) as bar:
            for step in self:
                bar.n = step.fraction
                bar.set_description_str(step.text)
        return self.result


def compute(
    samples: foc.SampleCollection,
    settings: Settings,
    brain_key: str = "detail",
    backend: str | None = None,
    also_global: bool = False,
    overwrite: bool = False,
) -> Run:
    """Embeds the images that have no vector yet, and indexes all that have one.

    The vectors go to the field ``<brain_key>_embedding`` as they are computed. A run
    that is cut short keeps them, and the next run with the same settings does the
    rest, in the same space: its fuser was fitted once and is kept.

    Args:
        samples: a data set or view of images
        settings: the space asked for
        brain_key ("detail"): the key of the index
        backend (None): a FiftyOne similarity backend, by default FiftyOne's default
        also_global (False): whether to index the plain whole-image vectors too, under
            ``<brain_key>_global``
        overwrite (False): whether to delete what is under the brain key first

    Returns:
        a :class:`Run`; nothing is computed until it is iterated over

    Raises:
        ValueError: if the samples, the settings or the brain key cannot be used; while
            iterating, also if no image could be read
    """
    check(samples, settings, brain_key, backend, overwrite)
    return Run(_compute(samples, settings, brain_key, backend, also_global, overwrite))


def check(
    samples: foc.SampleCollection,
    settings: Settings,
    brain_key: str,
    backend: str | None = None,
    overwrite: bool = False,
) -> None:
    """Checks all that can be checked before a run, quickly; see :func:`compute`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    check_images(samples)
    settings.check()
    dataset = samples._root_dataset
    records.check(dataset, brain_key, None if overwrite else settings.identity())
    brain_runs.check_backend(dataset, None if overwrite else brain_key, backend)


def _compute(
    samples: foc.SampleCollection,
    settings: Settings,
    brain_key: str,
    backend: str | None,
    also_global: bool,
    overwrite: bool,
) -> Generator[Progress, None, Result]:
    started = time.monotonic()
    dataset = samples._root_dataset
    space = yield from _open_space(samples, settings, brain_key, overwrite)
    field = records.vector_field(brain_key)
    global_field = records.vector_field(records.global_key(brain_key))
    errors = records.error_field(brain_key)
    declare(dataset, [field, *([global_field] if also_global else [])], fo.VectorField)

    items = list(zip(*samples.values(["id", "filepath"])))
    todo = without(items, ids_with(dataset, field))
    sink = Sink(dataset, field, global_field if also_global else None, errors)
    failed = yield from _embed(todo, space, settings, sink)
    indexed = ids_with(dataset, field)
    if not indexed:
        reason = flat_images(dataset).exists(errors).first()[errors]
        raise ValueError(
            f"none of the {len(todo)} images could be read; the field {errors!r} says "
            f"why, for example: {reason}"
        )
    if also_global:
        rest = without(items, ids_with(dataset, global_field))
        rest = [item for item in rest if item[0] in indexed]
        sink = Sink(dataset, None, global_field, errors)
        yield from _embed(rest, make_global_space(space.backbone), settings, sink)

    yield Progress("Indexing", 1.0)
    record = records.read(dataset, brain_key)
    brain_runs.build(dataset, brain_key, field, record.space, backend)
    if also_global:
        key = records.global_key(brain_key)
        brain_runs.build(dataset, key, global_field, record.global_space, backend)
    return Result(
        brain_key=brain_key,
        space=record.space,
        embedded=len(todo) - failed,
        present=len(items) - len(todo),
        failed=failed,
        error_field=errors,
        seconds=time.monotonic() - started,
    )


def delete(dataset: fo.Dataset, brain_key: str) -> None:
    """Deletes the indexes under a brain key, their vectors and their record.

    Only what detail-embed made; without a record nothing is touched. The zoo keeps
    the spaces: other data sets may use them.
    """
    if records.read(dataset, brain_key) is None:
        return
    for key in (brain_key, records.global_key(brain_key)):
        if key in dataset.list_brain_runs():
            dataset.delete_brain_run(key)
        if dataset.has_field(records.vector_field(key)):
            dataset.delete_sample_field(records.vector_field(key))
    if dataset.has_field(records.error_field(brain_key)):
        dataset.delete_sample_field(records.error_field(brain_key))
    dataset.delete_run(brain_key)


def _open_space(
    samples: foc.SampleCollection, settings: Settings, brain_key: str, overwrite: bool
) -> Generator[Progress, None, DetailEmbedder]:
    """Loads the space of the brain key, or makes, fits and records a new one."""
    yield Progress("Loading the backbone", 0.0)
    backbone = settings.load_backbone()
    dataset = samples._root_dataset
    record = records.read(dataset, brain_key)
    if record is not None and not overwrite:
        return zoo.load(record.space, backbone)
    space = settings.make_space(backbone)
    if space.fuser.needs_fit:
        count = min(_FIT_IMAGES, len(samples))
        yield Progress(f"Fitting the {settings.fuser!r} fuser on {count} images", 0.0)
        vocabulary = settings.vocabulary(samples) or None
        try:
            space.fit(samples.values("filepath"), vocabulary, max_images=count)
        except ValueError as error:
            raise ValueError(
                f"the {settings.fuser!r} fuser cannot be fitted on {count} images: "
                f"{error}. Pass other images, or choose fuser='mean'"
            ) from error
    record = records.Record(
        space=zoo.publish(space),
        global_space=zoo.publish(make_global_space(backbone)),
        identity=settings.identity(),
    )
    delete(dataset, brain_key)
    records.write(dataset, brain_key, record)
    return space


def _embed(
    items: list[tuple[str, str]], space: DetailEmbedder, settings: Settings, sink: Sink
) -> Generator[Progress, None, int]:
    """Embeds images into fields; returns how many failed."""
    chunks = stream(
        items,
        space.backbone,
        space.cover,
        space.fuser,
        batch_size=settings.batch_size,
        num_workers=settings.num_workers,
        chunk_size=_CHUNK,
    )
    started = time.monotonic()
    done = failed = 0
    with closing(chunks), closing(sink):
        for chunk in chunks:
            sink.write(chunk)
            done += len(chunk.ids) + len(chunk.errors)
            failed += len(chunk.errors)
            yield _report(done, len(items), failed, time.monotonic() - started)
    return failed


def _report(done: int, total: int, failed: int, seconds: float) -> Progress:
    rate = done / max(seconds, 1e-6)
    left = time.strftime("%H:%M:%S", time.gmtime((total - done) / rate))
    unreadable = f", {failed} unreadable" if failed else ""
    return Progress(
        f"{done} of {total} images{unreadable}, {rate:.1f} images/s, {left} left",
        done / total,
    )
