"""Detail vectors of a FiftyOne collection, and the similarity indexes on them."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.compute import estimate, huge, shards
from detail_embed.fiftyone_bridge.compute.calibrate import calibrate
from detail_embed.fiftyone_bridge.compute.embed import embed, embed_whole
from detail_embed.fiftyone_bridge.compute.embeddings_map import keep_map
from detail_embed.fiftyone_bridge.compute.open_space import open_space
from detail_embed.fiftyone_bridge.index import (
    box_checks,
    box_sources,
    brain_runs,
    checks,
    encoder_ways,
    feature_stores,
    large,
    provenance,
)
from detail_embed.fiftyone_bridge.index.columns import columns_of, declare
from detail_embed.fiftyone_bridge.index.delete import delete
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.guard import under_lock
from detail_embed.fiftyone_bridge.runs.run import Progress, Result, Run
from detail_embed.fiftyone_bridge.samples.box_sink import BoxSink
from detail_embed.fiftyone_bridge.samples.collection import (
    ids_with,
    refresh,
    without,
)
from detail_embed.fiftyone_bridge.samples.frames import (
    Frames,
    Home,
    documents_of,
)
from detail_embed.fiftyone_bridge.samples.images import slice_of
from detail_embed.fiftyone_bridge.samples.sink import Sink

logger = logging.getLogger(__name__)

__all__ = ["check_compute", "compute", "delete", "prepare"]

_REASONS = 5  # that are told of images that failed


def compute(
    index: Index,
    samples: foc.SampleCollection,
    settings: Settings,
    backend: str | None = None,
    also_global: bool = True,
    overwrite: bool = False,
    shard: shards.Shard | None = None,
) -> Run:
    """Embeds the images that have no vector yet, and indexes all that have one.

    One vector per image goes to the field ``<brain_key>_embedding`` as it is computed.
    Where an image has k vectors for text, these go to ``<brain_key>_patches``, as
    Detections with the boxes they stand for, which the index is on; the one vector, for
    all that compares images, is then indexed under ``<brain_key>_single``. A PCA of it
    is the map ``<brain_key>_map``. A run that is cut short keeps them, and the next
    run with the same settings does the rest, in the same space: its fuser was fitted
    once and is kept. Images whose patch features are stored are not encoded, unless
    their files have changed since. A vector of a file that has changed, or of another
    space, such as one that was merged into the dataset, is made anew.

    With a label field, the boxes of its labels are patches, too. Their vectors go to
    the attribute ``<brain_key>_boxes_embedding`` of the labels, which are indexed under
    ``<brain_key>_boxes``; ``<brain_key>_boxes_error`` says why a box has none. Boxes
    that are new or were moved are encoded, and the vectors of their images made anew.
    A view of patches asks for the boxes of its label field.

    Of frames of videos, all fields are those of the frames; the record, the lock and
    the brain runs are of the dataset with the videos, which outlasts a view of frames.
    The brain runs are on ``dataset.to_frames()``, which every process can make.

    Args:
        index: the index; it need not exist
        samples: a dataset or view of images, or of what :mod:`.samples.images` says
        settings: the space asked for
        backend (None): a FiftyOne similarity backend, by default FiftyOne's default
        also_global (True): whether to index the plain whole-image vectors too, under
            ``<brain_key>_global``
        overwrite (False): whether to delete what is under the brain key first, and to
            encode every image again
        shard (None): ``(i, n)`` where n processes share the images: those of the i-th
            are embedded, and the shard that ends last makes the index. Call
            :func:`prepare` before

    Returns:
        a :class:`Run`; nothing is computed until it is iterated over

    Raises:
        ValueError: if the samples, the settings or the brain key cannot be used, or
            another run writes under the brain key; while iterating, also if no image
            could be read
        RuntimeError: while iterating, if MongoDB stays away
    """
    check_compute(index, samples, settings, backend, overwrite, also_global, shard)
    settings = box_checks.asked_by(index, samples, settings)
    samples = index.images_of(samples)
    steps = _compute(index, samples, settings, backend, also_global, overwrite, shard)
    return Run(under_lock(index.dataset, index.key, "a computation", steps, shard))


def prepare(
    index: Index,
    samples: foc.SampleCollection,
    settings: Settings,
    overwrite: bool = False,
) -> Run:
    """Makes and records the embedding space of an index, and embeds nothing.

    Shards of :func:`compute` start from it: its fuser is fitted once, for all.

    Args and errors: as of :func:`compute`.

    Returns:
        a :class:`Run`, whose result is an :class:`.shards.Prepared`
    """
    check_compute(index, samples, settings, overwrite=overwrite)
    settings = box_checks.asked_by(index, samples, settings)
    samples = index.images_of(samples)
    steps = _prepare(index, samples, settings, overwrite)
    return Run(under_lock(index.dataset, index.key, "a preparation", steps))


def _prepare(
    index: Index, samples: foc.SampleCollection, settings: Settings, overwrite: bool
) -> Generator[Progress, None, shards.Prepared]:
    started = time.monotonic()
    refresh(index.home)
    _check_key(index, settings, None, overwrite, False)
    items = list(zip(*samples.values(["id", "filepath"])))
    yield from open_space(index, samples, items, settings, overwrite)
    record = index.record
    return shards.Prepared(
        brain_key=index.key,
        space=record.space,
        fuser=record.fuser,
        reason=record.reason,
        seconds=time.monotonic() - started,
    )


def check_compute(
    index: Index,
    samples: foc.SampleCollection,
    settings: Settings,
    backend: str | None = None,
    overwrite: bool = False,
    also_global: bool = True,
    shard: shards.Shard | None = None,
) -> None:
    """Checks all that can be checked before a run, quickly; see :func:`compute`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    settings = box_checks.asked_by(index, samples, settings)
    samples = index.images_of(samples)
    shards.check_shard(index, shard)
    lock.check_free(index.dataset, index.key, shard)
    record = None if overwrite else index.record
    settings.check(fitted=record and record.identity["fuser"])
    encoder_ways.going_on(index.key, record, settings)
    feature_stores.check_disk_space(samples, settings)
    box_checks.check_boxes(index, samples, settings, overwrite)
    _check_key(index, settings, backend, overwrite, also_global)


def _check_key(
    index: Index,
    settings: Settings,
    backend: str | None,
    overwrite: bool,
    also_global: bool,
) -> None:
    """Checks what is under the brain key; it may change until the lock is held."""
    checks.check_computable(index, settings.identity(), overwrite, also_global)
    brain_runs.check_backend(None if overwrite else index, backend)


def _compute(
    index: Index,
    samples: foc.SampleCollection,
    settings: Settings,
    backend: str | None,
    also_global: bool,
    overwrite: bool,
    shard: shards.Shard | None,
) -> Generator[Progress, None, Result]:
    started = time.monotonic()
    home = index.home_of(samples)
    refresh(home)
    shards.check_shard(index, shard)
    _check_key(index, settings, backend, overwrite, also_global)
    everything = list(zip(*samples.values(["id", "filepath"])))
    items = shards.mine(everything, shard)
    said = huge.line([path for _, path in items], settings)
    if said is not None:
        logger.info(said)
        yield Progress(said, 0.0)
    opened = yield from open_space(index, samples, items, settings, overwrite)
    record, errors = index.record, index.error_field
    stale = yield from provenance.check(index, items, settings.read_seconds)
    boxes = None
    if record.box_field is not None:
        void = stale.ids - stale.boxes
        boxes = box_sources.known_boxes(index, void, opened.space.dim)
    also_global = also_global or (bool(stale.ids) and index.has_whole)
    columns = columns_of(index, also_global, index.owns_single)
    declare(index, [*columns, *index.box_fields[:1]], home)
    if opened.store is not None:
        opened.store.discard(opened.store.unknown(stale.changed))
    done = stale.present - stale.ids
    if opened.single:
        done &= ids_with(home, index.vector_field)
    if settings.must_keep:
        done.intersection_update(opened.store)
    todo = without(items, done)
    stored = opened.store is not None and any(id in opened.store for id, _ in todo)
    began = time.monotonic()
    sinks = [Sink(home, columns, errors, void=stale.ids)]
    if boxes is not None:  # first: what is noted of an image is of boxes that are there
        sinks.insert(0, BoxSink(home, *index.box_fields, void=stale.ids))
    reasons = yield from embed(todo, opened, settings, sinks, boxes)
    failed = reasons.total()
    if not (stored or boxes):
        paths = [path for _, path in todo]
        estimate.note(paths, settings, time.monotonic() - began)
    if also_global:
        yield from embed_whole(index, home, items, opened.space.backbone, settings)
    if shards.is_last(index, shard):
        yield Progress("Indexing", 1.0)
        refresh(home)
        _check_some(home, index.field, errors)
        if record.box_field is not None and isinstance(home, Frames):
            home.renew(record.box_field)
        for one in (index, *index.beside):
            yield from large.complete(one)
        brain_runs.build_all(index, backend, also_global)
        keep_map(index)
        yield from calibrate(index, opened.space.backbone, opened.store)
        shards.forget(index)
    return Result(
        brain_key=index.key,
        space=record.space,
        embedded=len(todo) - failed,
        boxes=sinks[0].written if boxes else 0,
        failed_boxes=sinks[0].failed if boxes else 0,
        present=len(items) - len(todo),
        failed=failed,
        error_field=errors,
        seconds=time.monotonic() - started,
        again=stale.reasons,
        vectors=record.vectors,
        fuser=record.fuser,
        reason=record.reason,
        features=opened.kept,
        group_slice=slice_of(samples),
        encoder=encoder_ways.in_words(opened.space.backbone),
        windows=opened.windows,
        reasons=dict(reasons.most_common(_REASONS)),
        silent=len(stale.silent),
    )


def _check_some(home: Home, field: str, errors: str) -> None:
    """Checks that there is something to index.

    Raises:
        ValueError: if not; the message has one of the reasons
    """
    if ids_with(home, field):
        return
    failed = ids_with(home, errors)
    if not failed:
        raise ValueError("all images were deleted while they were embedded")
    reason = documents_of(home).find_one({errors: {"$ne": None}})[errors]
    raise ValueError(
        f"none of the {len(failed)} images could be read; the field {errors!r} "
        f"says why, for example: {reason}"
    )
