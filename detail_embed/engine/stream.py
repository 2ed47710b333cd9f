"""The streaming pipeline: files, or stored patch features, to fused vectors.

Vectors leave in chunks, so memory does not grow with the number of files.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TypeVar

import numpy as np
import torch

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.engine.box_patches import Boxes
from detail_embed.engine.chunk import (
    Chunk,
    EmbedError,
    ImagePatches,
    SkipLog,
    make_chunk,
    unit,
)
from detail_embed.engine.device_memory import released_after
from detail_embed.engine.encode_files import Item, PatchFeatures, iter_patch_features
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.engine.stream_known import stream_known
from detail_embed.features import FeatureStore
from detail_embed.features.label import patch_slug
from detail_embed.features.packing import StoredImage
from detail_embed.fusers.base import Fuser
from detail_embed.images.identical_files import Outcomes

_CHUNK_PATCHES = 65_536  # bounds a chunk of images with thousands of windows
_NOT_FINITE = (
    "the backbone makes values of it that are not finite (NaN or infinite): try "
    "precision='fp32'"
)
_TWIN_BYTES = 2**27  # of the vectors that are kept for files of the same content

_AnyImage = TypeVar("_AnyImage", PatchFeatures, StoredImage)
_Row = tuple[  # of a chunk
    np.ndarray, np.ndarray, ImagePatches | None, np.ndarray | None
]


def stream(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    fuser: Fuser,
    options: EncodeOptions = DEFAULT,
    chunk_size: int = 256,
    chunk_seconds: float = 10.0,
    store: FeatureStore | None = None,
    single: Fuser | None = None,
    log: SkipLog | None = None,
    boxes: Boxes | None = None,
) -> Iterator[Chunk]:
    """Embeds files.

    Args:
        items: ``(id, path)`` pairs, consumed as needed
        backbone: the model
        cover: the windows
        fuser: a fitted fuser
        options (DEFAULT): how files are read and encoded; the backbone has its device
        chunk_size (256): items per chunk, at most
        chunk_seconds (10.0): a chunk that took so long leaves before it is full,
            so that little is lost where a run is killed
        store (None): where the patch features of a chunk are kept before it
            leaves, by the items' ids: these have to be strings then. The vectors
            are made of what was kept, as those of :func:`stream_stored`
        single (None): a fitted fuser of one vector, for another beside the first
        log (None): takes the files that cannot be embedded, by default one of its own
        boxes (None): known boxes of the images; the vectors are made of these and of
            the cover's patches. Then no file takes the vectors of an identical one,
            and of images that are in the store the boxes alone are encoded

    Yields:
        a :class:`Chunk` for at most ``chunk_size`` items, in their order

    Raises:
        ValueError: if ``chunk_size``, the batch size or the pixel limit is below 1,
            or the store is of another backbone or cover
        RuntimeError: if the disk of the store is full, or not even one patch fits
            on the device
    """
    _check_size(chunk_size)
    if store is not None:
        store.require(patch_slug(backbone, cover))
    fuser = fuser.to(backbone.device)
    single = single and single.to(backbone.device)
    alone = store is None and boxes is None
    window = _window(fuser) if options.skip_identical and alone else 0
    images = iter_patch_features(
        items, backbone, cover, options, window, boxes,
        uncovered=store if store is not None and boxes else (),
    )
    log, outcomes = log or SkipLog(), Outcomes(window)
    with released_after(backbone), closing(images):
        for part in map(_finite, _parts(images, chunk_size, chunk_seconds)):
            good = [image for image in part if image.features is not None]
            if store is None:
                cut = [_of_cover(image, cover) for image in good]
            else:
                new = [i for i in good if len(i.features)]
                _store(store, new, cover, backbone.precision)
                cut = [unit(store[i.id], backbone.device) for i in good]
            own = [image.boxes for image in good] if boxes else ()
            chunk = _complete(part, make_chunk(cut, fuser, single, own), outcomes)
            log.add(chunk.errors)
            yield chunk


def stream_stored(
    ids: Iterable[str],
    store: FeatureStore,
    fuser: Fuser,
    chunk_size: int = 256,
    single: Fuser | None = None,
) -> Iterator[Chunk]:
    """Fuses stored patch features; nothing is encoded.

    Args:
        ids: images of the store, consumed as needed
        store: patch features
        fuser: a fitted fuser, on any device
        chunk_size (256): images per chunk, at most
        single (None): as of :func:`stream`

    Yields:
        the same chunks as :func:`stream`, up to the rounding of the store

    Raises:
        ValueError: if ``chunk_size`` is below 1
        KeyError: if an image is not in the store
    """
    _check_size(chunk_size)
    buffer = next(fuser.buffers(), None)
    device = None if buffer is None else buffer.device
    images = (unit(store[id], device) for id in ids)
    for part in _parts(images, chunk_size, math.inf):
        yield make_chunk(part, fuser, single)


def stream_reusing(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    fuser: Fuser,
    store: FeatureStore | None,
    options: EncodeOptions = DEFAULT,
    keep: bool = True,
    chunk_size: int = 256,
    chunk_seconds: float = 10.0,
    single: Fuser | None = None,
    boxes: Boxes | None = None,
) -> Iterator[Chunk]:
    """Fuses what is stored, then encodes the rest.

    Args:
        items: ``(id, path)`` pairs
        backbone: the model
        cover: the windows
        fuser: a fitted fuser
        store: patch features of that backbone and cover, None for none
        options (DEFAULT): as of :func:`stream`
        keep (True): whether the store gets what is encoded
        chunk_size (256): items per chunk, at most
        chunk_seconds (10.0): as of :func:`stream`
        single (None): likewise
        boxes (None): likewise

    Yields:
        the chunks of :func:`stream_stored`, then those of :func:`stream`

    Raises:
        ValueError: as :func:`stream`
        RuntimeError: likewise
    """
    items = list(items)
    chunks = functools.partial(
        stream, backbone=backbone, cover=cover, fuser=fuser, options=options,
        chunk_size=chunk_size, chunk_seconds=chunk_seconds, single=single, boxes=boxes,
    )
    if store is not None:
        store.require(patch_slug(backbone, cover))
        held = [item for item in items if item[0] in store]
        items = [item for item in items if item[0] not in store]
        device = backbone.device
        fuser, single = fuser.to(device), single and single.to(device)
        if boxes is None:
            ids = (id for id, _ in held)
            yield from stream_stored(ids, store, fuser, chunk_size, single)
        else:
            lacking: list[Item] = []
            yield from stream_known(
                held, store, boxes, fuser, device, chunk_size, single, lacking
            )
            yield from chunks(lacking, store=store)
    yield from chunks(items, store=store if keep else None)


def _check_size(chunk_size: int) -> None:
    if chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size}: give at least 1")


def _finite(part: list[PatchFeatures]) -> list[PatchFeatures]:
    """Gives a reason to images whose features are not finite, in place of these."""
    sums = [image.encoded_sum for image in part if image.features is not None]
    if not sums or torch.stack(sums).isfinite().all():
        return part
    return [
        image if image.features is None or image.encoded_sum.isfinite()
        else dataclasses.replace(image, features=None, reason=_NOT_FINITE)
        for image in part
    ]


def _store(
    store: FeatureStore, images: list[PatchFeatures], cover: CompleteCover,
    precision: str,
) -> None:
    cut = [_of_cover(image, cover) for image in images]
    store.add(
        [image.id for image in cut], [image.features for image in cut],
        [image.boxes for image in cut], [image.levels for image in cut],
        [image.source for image in cut], precision,
    )


def _of_cover(image: PatchFeatures, cover: CompleteCover) -> StoredImage:
    size = image.width, image.height
    return StoredImage(
        image.id, image.features, cover.boxes(*size), cover.levels(*size), image.source
    )


def _parts(
    images: Iterable[_AnyImage], size: int, seconds: float
) -> Iterator[list[_AnyImage]]:
    """Collects images until they are many, or large, or took long."""
    part, patches, started = [], 0, time.monotonic()
    for image in images:
        part.append(image)
        patches += 0 if image.features is None else len(image.features)
        late = time.monotonic() - started >= seconds
        if late or len(part) == size or patches >= _CHUNK_PATCHES:
            yield part
            part, patches, started = [], 0, time.monotonic()
    if part:
        yield part


def _window(fuser: Fuser) -> int:
    """Of how many images there is room for the vectors."""
    values = math.prod(fuser.shape) + fuser.dim
    return max(1, _TWIN_BYTES // (4 * values))


def _complete(
    part: list[PatchFeatures], chunk: Chunk, outcomes: Outcomes[_Row | str]
) -> Chunk:
    """Adds the images that could not be read, and those that are the same again."""
    patches = chunk.patches or itertools.repeat(None)
    single = itertools.repeat(None)
    if chunk.single_vectors is not None:
        single = chunk.single_vectors
    rows = zip(chunk.vectors, chunk.global_vectors, patches, single)
    fresh = [i.reason or next(rows) for i in part if i.same_as is None]
    found = list(zip(part, outcomes.complete(fresh, [i.same_as for i in part])))
    good = [(image, row) for image, row in found if not isinstance(row, str)]
    chunk.errors = [
        EmbedError(image.id, image.path, reason)
        for image, reason in found
        if isinstance(reason, str)
    ]
    if len(good) > len(chunk.ids):
        images, rows = zip(*good)
        vectors, whole, patches, single = zip(*rows)
        chunk.ids = [image.id for image in images]
        chunk.sources = [image.source for image in images]
        chunk.patches = [p for p in patches if p is not None]
        chunk.vectors, chunk.global_vectors = np.stack(vectors), np.stack(whole)
        if chunk.single_vectors is not None:
            chunk.single_vectors = np.stack(single)
    return chunk
