"""Vectors that were computed elsewhere, as an index of a FiftyOne collection."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fiftyone.core.collections as foc
import numpy as np
from bson import ObjectId

from detail_embed.engine.chunk import Chunk, EmbedError
from detail_embed.fiftyone_bridge.exchange.check_space import check_space
from detail_embed.fiftyone_bridge.exchange.vector_files import ImageVectors, VectorFiles
from detail_embed.fiftyone_bridge.index import brain_runs, checks, large, vectors
from detail_embed.fiftyone_bridge.index.columns import columns_of, declare
from detail_embed.fiftyone_bridge.index.delete import clear
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.guard import under_lock
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.collection import (
    flat_images,
    ids_with,
    refresh,
)
from detail_embed.fiftyone_bridge.samples.frames import home_of
from detail_embed.fiftyone_bridge.samples.sink import Sink
from detail_embed.images.file_source import FileSource, content_of, state_of
from detail_embed.images.in_time import quick
from detail_embed.space.embedding_space import EmbeddingSpace, make_global_space


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        brain_key: of the index
        space: name of the embedding space, also of the zoo model
        images: of the collection that got their vectors
        failed: images that have none; the reason is in ``error_field``
        unmatched: images of the files that the collection does not have
        error_field: field of the reasons; only there if some image failed
        seconds: duration of the run
    """

    brain_key: str
    space: str
    images: int
    failed: int
    unmatched: int
    error_field: str
    seconds: float


def import_vectors(
    index: Index,
    samples: foc.SampleCollection,
    path: str | Path,
    space: str | Path | None = None,
    backend: str | None = None,
    also_global: bool = False,
    device: str = "auto",
) -> Run:
    """Makes an index of vectors in Parquet files, or adds them to one.

    The files are those of :func:`detail_embed.distributed.run.embed`, or one that
    :func:`.export_vectors.export_vectors` wrote. Their rows find their samples by
    ``id``, or, where no sample has that id, by ``filepath``. What follows is as if
    :func:`.compute_index.compute` had made the vectors: text search works, and
    :func:`.update.update` embeds what is missing. About 10,000 vectors are in memory
    at a time. A vector that is there already is replaced.

    Args:
        index: the index; one that exists gets the vectors too
        samples: a dataset or view of images; rows of other images are left out
        path: a file, or a folder of parts
        space (None): the folder of the embedding space, as ``DetailEmbedder.save()``
            wrote it; None where it lies beside the parts, or this machine has it
        backend (None): a FiftyOne similarity backend, by default FiftyOne's default
        also_global (False): whether to index the plain whole-image vectors too, under
            ``<brain_key>_global``
        device ("auto"): where the backbone runs, which is loaded to check the space

    Returns:
        a :class:`Run`, whose result is an :class:`Imported`

    Raises:
        ValueError: if the samples, the files or the brain key cannot be used, the
            index holds vectors of another space, or a run writes to it; while
            iterating, also if the backbone is not that of the space, the vectors are
            not of the space that the files name, or no row finds a sample
    """
    samples = index.images_of(samples)
    files = check_import(index, samples, path, space, backend, also_global)
    folder = files.space_folder(space)
    steps = _import(index, samples, files, folder, backend, also_global, device)
    return Run(under_lock(index.dataset, index.key, "an import", steps))


def check_import(
    index: Index,
    samples: foc.SampleCollection,
    path: str | Path,
    space: str | Path | None = None,
    backend: str | None = None,
    also_global: bool = False,
) -> VectorFiles:
    """Checks what can be checked before a run; see :func:`import_vectors`.

    Returns:
        the files

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    index.images_of(samples)
    files = VectorFiles(path)
    files.space_folder(space)
    if also_global and not files.has_whole:
        raise ValueError(
            f"{path} has no vectors of whole images: leave also_global out"
        )
    lock.check_free(index.dataset, index.key)
    _check_index(index, files, backend, also_global)
    return files


def _check_index(
    index: Index,
    files: VectorFiles,
    backend: str | None,
    also_global: bool,
) -> None:
    """Checks what another run may have changed before this one got the lock."""
    record = index.record
    if record is not None and record.space != files.slug:
        raise ValueError(
            f"brain key {index.key!r} holds vectors of the space {record.space}, those "
            f"of the files are of {files.slug}, and they cannot be compared. Choose "
            "another brain key, or delete the index first"
        )
    identity = record.identity if record else {}
    checks.check_computable(index, identity, also_global=also_global)
    brain_runs.check_backend(index, backend)


def _import(
    index: Index,
    samples: foc.SampleCollection,
    files: VectorFiles,
    folder: Path,
    backend: str | None,
    also_global: bool,
    device: str,
) -> Generator[Progress, None, Imported]:
    started = time.monotonic()
    home, errors = index.home_of(samples), index.error_field
    refresh(home)
    _check_index(index, files, backend, also_global)
    yield Progress("Loading the model", 0.0)
    space = yield from check_space(files, folder, device)
    record = _open_record(index, space)
    columns = columns_of(index, also_global, single=False)
    declare(index, columns, home)
    sink = Sink(home, columns, errors)
    images = failed = unmatched = 0
    for found, rows in files.batches():
        chunk, missing = _chunk(samples, found, files.dim)
        sink.write(chunk)
        images, failed = images + len(chunk.ids), failed + len(chunk.errors)
        unmatched += missing
        text = f"{rows:,} of {files.num_rows:,} vectors"
        yield Progress(text, rows / files.num_rows)
    if not ids_with(home, index.field):
        raise ValueError(
            f"none of the {files.num_rows:,} rows has a vector for one of the "
            f"{len(samples):,} samples: they go by sample id, or by filepath"
        )
    yield Progress("Indexing", 1.0)
    for one in (index, *index.beside):
        yield from large.complete(one)
    brain_runs.build_all(index, backend, also_global)
    if not large.is_large(index):
        vectors.load(index)  # many are written to a file: no search has to
    return Imported(
        brain_key=index.key,
        space=record.space,
        images=images,
        failed=failed,
        unmatched=unmatched,
        error_field=errors,
        seconds=time.monotonic() - started,
    )


def _open_record(index: Index, space: EmbeddingSpace) -> Record:
    """Puts the space into the zoo; makes the record of a new index."""
    record = index.record
    if record is not None and zoo.is_published(space.slug):
        return record
    names = zoo.publish(space), zoo.publish(make_global_space(space.backbone))
    if record is None:
        identity = Settings.of_space(space).identity()
        of_frames = index.is_of_frames or None
        record = Record(*names, identity=identity, sources=True, frames=of_frames)
        clear(index)
        index.write(record)
    return record


def _chunk(
    samples: foc.SampleCollection, images: Sequence[ImageVectors], dim: int
) -> tuple[Chunk, int]:
    """What is known of samples, as the engine would have said it.

    Returns:
        the chunk, and how many of the images no sample has
    """
    owners = _match(samples, images)
    pairs = [(id, image) for ids, image in zip(owners, images) for id in ids]
    good = [(id, image) for id, image in pairs if image.vectors is not None]
    vectors, wholes = np.empty((0, dim), np.float32), np.empty((0, dim), np.float32)
    patches = [image.patches for _, image in good if image.patches is not None]
    if good and not patches:
        vectors = np.concatenate([image.vectors for _, image in good])
    if good and good[0][1].whole is not None:
        wholes = np.stack([image.whole for _, image in good])
    errors = [
        EmbedError(id, image.path, image.error)
        for id, image in pairs if image.vectors is None and image.error is not None
    ]
    ids = [id for id, _ in good]
    paths = zip((image for _, image in good), _paths(samples, ids))
    sources = [
        source or FileSource("")
        for source in quick(lambda one: _source(*one), paths, lambda one: one[1])
    ]
    chunk = Chunk(ids, vectors, wholes, errors, patches, sources=sources)
    return chunk, sum(not ids for ids in owners)


def _paths(samples: foc.SampleCollection, ids: Sequence[str]) -> list[str]:
    if not ids:
        return []
    view = flat_images(home_of(samples)).select(list(set(ids)))
    known = dict(zip(*view.values(["id", "filepath"])))
    return [known[id] for id in ids]


def _source(image: ImageVectors, path: str) -> FileSource:
    """The file that a vector was made of, as it is; that of the sample if it is gone.

    What is noted beside the vectors is taken as it is. Where both are there under two
    names, their content tells whether they are one.
    """
    if image.source is not None:
        return image.source
    embedded = image.path
    if embedded == path or not os.path.isfile(embedded):
        return FileSource(state_of(path))
    return FileSource(state_of(embedded), content_of(embedded))


def _match(
    samples: foc.SampleCollection, images: Sequence[ImageVectors]
) -> list[list[str]]:
    """The ids of the samples of each image: by its id, else by its path.

    An id of the dataset decides, even where its sample is not in the view.
    """
    ids = [image.id for image in images if ObjectId.is_valid(image.id)]
    whole = flat_images(home_of(samples))
    known, there = (
        set(some.select(ids).values("id")) if ids else set()
        for some in (whole, samples)
    )
    paths = {image.path for image in images if image.id not in known}
    by_path = defaultdict(list)
    if paths:
        view = samples.select_by("filepath", list(paths))
        for id, path in zip(*view.values(["id", "filepath"])):
            by_path[path].append(id)
    return [
        by_path.get(image.path, []) if image.id not in known
        else [image.id] if image.id in there
        else []
        for image in images
    ]
