"""The streaming pipeline: files, or stored patch features, to fused vectors.

Vectors leave in chunks, so memory does not grow with the number of files.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .backbone import Backbone
from .cover import CompleteCover
from .encoding import Item, PatchFeatures, iter_patch_features, patch_slug
from .features import FeatureStore, StoredImage
from .fusers.base import Fuser
from .patches import relative_boxes

logger = logging.getLogger(__name__)

_CHUNK_PATCHES = 65_536  # bounds a chunk of images with thousands of windows
_FUSE_PATCHES = 4096

_Image = TypeVar("_Image", PatchFeatures, StoredImage)


@dataclass(frozen=True)
class EmbedError:
    """A file that could not be embedded.

    Attributes:
        id: of the item
        path: of the file
        reason: why, in words
    """

    id: Hashable
    path: str
    reason: str


@dataclass
class Chunk:
    """What the engine has finished since the chunk before.

    Attributes:
        ids: the ``n`` items that have vectors
        vectors: ``(n, d)`` float32 detail embeddings, unit length
        global_vectors: ``(n, d)`` float32 features of the whole images alone,
            unit length
        errors: the items that have none
    """

    ids: list[Hashable]
    vectors: np.ndarray
    global_vectors: np.ndarray
    errors: list[EmbedError]


def stream(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    fuser: Fuser,
    batch_size: int | None = None,
    num_workers: int | None = None,
    chunk_size: int = 256,
    chunk_seconds: float = 10.0,
    store: FeatureStore | None = None,
) -> Iterator[Chunk]:
    """Embeds files.

    Args:
        items: ``(id, path)`` pairs, consumed as needed
        backbone: the model
        cover: the windows
        fuser: a fitted fuser
        batch_size (None): patches per forward pass; None: the backbone's own
        num_workers (None): decoding threads; None: as ``read_images()`` says
        chunk_size (256): items per chunk, at most
        chunk_seconds (10.0): a chunk that took so long leaves before it is full,
            so that little is lost where a run is killed
        store (None): where the patch features of a chunk are kept before it
            leaves, by the items' ids: these have to be strings then

    Yields:
        a :class:`Chunk` for at most ``chunk_size`` items, in their order

    Raises:
        ValueError: if ``chunk_size`` or ``batch_size`` is below 1, or the store
            is of another backbone or cover
        RuntimeError: if the disk of the store is full
    """
    _check_size(chunk_size)
    if store is not None:
        store.require(patch_slug(backbone, cover))
    fuser = fuser.to(backbone.device)
    images = iter_patch_features(items, backbone, cover, batch_size, num_workers)
    with closing(images):
        for part in _parts(images, chunk_size, chunk_seconds):
            errors = _errors(part)
            good = [image for image in part if image.features is not None]
            if store is not None:
                _store(store, good, cover)
            yield _chunk(good, fuser, errors, cover)


def stream_stored(
    ids: Iterable[str], store: FeatureStore, fuser: Fuser, chunk_size: int = 256
) -> Iterator[Chunk]:
    """Fuses stored patch features; nothing is encoded.

    Args:
        ids: images of the store, consumed as needed
        store: patch features
        fuser: a fitted fuser, on any device
        chunk_size (256): images per chunk, at most

    Yields:
        the same chunks as :func:`stream`, up to the rounding of the store

    Raises:
        ValueError: if ``chunk_size`` is below 1
        KeyError: if an image is not in the store
    """
    _check_size(chunk_size)
    buffer = next(fuser.buffers(), None)
    device = None if buffer is None else buffer.device
    images = (_unit(store[id], device) for id in ids)
    for part in _parts(images, chunk_size, math.inf):
        yield _chunk(part, fuser)


def _check_size(chunk_size: int) -> None:
    if chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size}: give at least 1")


def _unit(image: StoredImage, device: torch.device | None) -> StoredImage:
    """Undoes what rounding did to the lengths of features."""
    features = F.normalize(image.features.to(device), dim=1)
    return dataclasses.replace(image, features=features)


def _store(
    store: FeatureStore, images: list[PatchFeatures], cover: CompleteCover
) -> None:
    sizes = [(image.width, image.height) for image in images]
    store.add(
        [image.id for image in images], [image.features for image in images],
        [cover.boxes(*size) for size in sizes],
        [cover.levels(*size) for size in sizes],
    )


def _parts(
    images: Iterable[_Image], size: int, seconds: float
) -> Iterator[list[_Image]]:
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


def _errors(part: list[PatchFeatures]) -> list[EmbedError]:
    errors = [
        EmbedError(image.id, image.path, image.reason)
        for image in part
        if image.features is None
    ]
    for error in errors:
        logger.warning("Skipped %s: %s", error.path, error.reason)
    return errors


def _chunk(
    images: list[PatchFeatures] | list[StoredImage],
    fuser: Fuser,
    errors: Sequence[EmbedError] = (),
    cover: CompleteCover | None = None,
) -> Chunk:
    features = [image.features for image in images]
    boxes = [_boxes(image, cover) for image in images] if fuser.uses_boxes else None
    whole = np.zeros((0, fuser.dim), np.float32)
    if features:
        whole = torch.stack([rows[0] for rows in features]).cpu().numpy()
    ids = [image.id for image in images]
    return Chunk(ids, _fuse(features, boxes, fuser), whole, list(errors))


def _boxes(image: PatchFeatures | StoredImage, cover: CompleteCover | None) -> Tensor:
    """Where the patches of an image lie, as fractions; ``(p, 4)``."""
    if isinstance(image, StoredImage):
        return relative_boxes(image.boxes)
    return relative_boxes(cover.boxes(image.width, image.height))


def _fuse(
    images: list[Tensor], boxes: list[Tensor] | None, fuser: Fuser
) -> np.ndarray:
    """Fuses ``n`` images of ``(p, d)`` features, those of equal ``p`` together."""
    vectors = np.empty((len(images), fuser.dim), np.float32)
    by_windows: dict[int, list[int]] = {}
    for index, features in enumerate(images):
        by_windows.setdefault(len(features), []).append(index)
    for windows, members in by_windows.items():
        step = max(1, _FUSE_PATCHES // windows)
        for start in range(0, len(members), step):
            some = members[start : start + step]
            stacked = torch.stack([images[i] for i in some])
            places = None
            if boxes is not None:
                places = torch.stack([boxes[i] for i in some]).to(stacked.device)
            with torch.inference_mode():
                fused = fuser(stacked, boxes=places)
            vectors[some] = fused.cpu().numpy()
    return vectors
