"""The streaming pipeline: files to patch features to fused vectors.

Threads decode ahead, batches for the backbone are filled across images, and
vectors leave in chunks, so memory does not grow with the number of files.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .backbone import Backbone
from .cover import CompleteCover
from .fusers.base import Fuser
from .patches import extract_patches
from .reader import read_images

logger = logging.getLogger(__name__)

_CHUNK_PATCHES = 65_536  # bounds a chunk of images with thousands of windows
_FUSE_PATCHES = 4096

Item = tuple[Hashable, str | Path]
Features = tuple[Hashable, str, Tensor | None, str | None]


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

    Yields:
        a :class:`Chunk` for at most ``chunk_size`` items, in their order

    Raises:
        ValueError: if ``chunk_size`` or ``batch_size`` is below 1
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size}: give at least 1")
    fuser = fuser.to(backbone.device)
    images = iter_patch_features(items, backbone, cover, batch_size, num_workers)
    with closing(images):
        for part in _parts(images, chunk_size, chunk_seconds):
            yield _chunk(part, fuser)


def iter_patch_features(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    batch_size: int | None = None,
    num_workers: int | None = None,
) -> Iterator[Features]:
    """Encodes the patches of files; what :func:`stream` is built on.

    Args: as of :func:`stream`.

    Yields:
        ``(id, path, features, reason)`` for every item, in their order:
        features ``(p, d)`` float32 on the backbone's device, unit length, row
        0 the whole image; or None and the reason why the file has none

    Raises:
        ValueError: if ``batch_size`` is below 1
    """
    if batch_size is None:
        batch_size = backbone.batch_size
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: give at least 1")
    waiting: deque[_Waiting] = deque()
    patches, features = _Rows(), _Rows()
    with closing(_cut(items, backbone, cover, num_workers)) as images:
        for image, pixels in images:
            waiting.append(image)
            patches.push(pixels)
            while patches.count >= batch_size:
                features.push(_encode(backbone, patches.take(batch_size)))
                yield from _finished(waiting, features)
            if not image.windows:
                yield from _finished(waiting, features)
    features.push(_encode(backbone, patches.take(patches.count)))
    yield from _finished(waiting, features)


@dataclass
class _Waiting:
    """An image some of whose patches may not be encoded yet."""

    id: Hashable
    path: str
    windows: int = 0
    reason: str | None = None


@dataclass
class _Rows:
    """A queue of tensor rows: in and out in blocks of any size."""

    blocks: deque[Tensor] = field(default_factory=deque)
    count: int = 0

    def push(self, block: Tensor | None) -> None:
        if block is not None and len(block):
            self.blocks.append(block)
            self.count += len(block)

    def take(self, count: int) -> Tensor | None:
        """Removes the first ``count`` rows; None for none."""
        parts, missing = [], count
        while missing:
            block = self.blocks.popleft()
            parts.append(block[:missing])
            if len(block) > missing:
                self.blocks.appendleft(block[missing:])
            missing -= len(parts[-1])
        self.count -= count
        return (parts[0] if len(parts) == 1 else torch.cat(parts)) if parts else None


def _cut(
    items: Iterable[Item], backbone: Backbone, cover: CompleteCover,
    num_workers: int | None,
) -> Iterator[tuple[_Waiting, Tensor | None]]:
    """Reads files and cuts their patches, on the backbone's device."""
    known: deque[Item] = deque()

    def paths() -> Iterator[str | Path]:
        for item in items:
            known.append(item)
            yield item[1]

    with closing(read_images(paths(), num_workers)) as files:
        for decoded in files:
            id, path = known.popleft()
            if decoded.error is not None:
                yield _Waiting(id, str(path), reason=decoded.error.reason), None
                continue
            pixels = torch.from_numpy(decoded.pixels).to(backbone.device)
            patches = extract_patches(
                pixels.permute(2, 0, 1), cover, backbone.patch_spec
            )
            yield _Waiting(id, str(path), windows=len(patches)), patches


def _encode(backbone: Backbone, patches: Tensor | None) -> Tensor | None:
    if patches is None:
        return None
    return backbone.encode_patches(patches, batch_size=len(patches))


def _finished(waiting: deque[_Waiting], features: _Rows) -> Iterator[Features]:
    """Takes the images off the queue whose patches are all encoded."""
    while waiting and waiting[0].windows <= features.count:
        image = waiting.popleft()
        yield image.id, image.path, features.take(image.windows), image.reason


def _parts(
    images: Iterable[Features], size: int, seconds: float
) -> Iterator[list[Features]]:
    """Collects images until they are many, or large, or took long."""
    part, patches, started = [], 0, time.monotonic()
    for image in images:
        part.append(image)
        patches += 0 if image[2] is None else len(image[2])
        late = time.monotonic() - started >= seconds
        if late or len(part) == size or patches >= _CHUNK_PATCHES:
            yield part
            part, patches, started = [], 0, time.monotonic()
    if part:
        yield part


def _chunk(part: list[Features], fuser: Fuser) -> Chunk:
    errors = [
        EmbedError(id, path, reason)
        for id, path, features, reason in part
        if features is None
    ]
    for error in errors:
        logger.warning("Skipped %s: %s", error.path, error.reason)
    good = [(id, features) for id, _, features, _ in part if features is not None]
    images = [features for _, features in good]
    whole = np.zeros((0, fuser.dim), np.float32)
    if images:
        whole = torch.stack([features[0] for features in images]).cpu().numpy()
    return Chunk([id for id, _ in good], _fuse(images, fuser), whole, errors)


def _fuse(images: list[Tensor], fuser: Fuser) -> np.ndarray:
    """Fuses ``n`` images of ``(p, d)`` features, those of equal ``p`` together."""
    vectors = np.empty((len(images), fuser.dim), np.float32)
    by_windows: dict[int, list[int]] = {}
    for index, features in enumerate(images):
        by_windows.setdefault(len(features), []).append(index)
    for windows, members in by_windows.items():
        step = max(1, _FUSE_PATCHES // windows)
        for start in range(0, len(members), step):
            some = members[start : start + step]
            with torch.inference_mode():
                fused = fuser(torch.stack([images[i] for i in some]))
            vectors[some] = fused.cpu().numpy()
    return vectors
