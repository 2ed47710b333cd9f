"""The streaming pipeline: files to patch features to fused vectors.

Threads decode ahead, batches for the backbone are filled across images, and
vectors leave in chunks, so memory does not grow with the number of files.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
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

_BATCH = {"cpu": 128, "cuda": 1024}
_FUSE_TOGETHER = 16  # images

Item = tuple[Hashable, str | Path]


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
) -> Iterator[Chunk]:
    """Embeds files.

    Args:
        items: ``(id, path)`` pairs, consumed as needed
        backbone: the model
        cover: the windows
        fuser: a fitted fuser
        batch_size (None): patches per forward pass
        num_workers (None): decoding threads
        chunk_size (256): items per chunk, at most

    Yields:
        a :class:`Chunk` for every ``chunk_size`` items, in their order

    Raises:
        ValueError: if ``chunk_size`` or ``batch_size`` is below 1
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size}: give at least 1")
    fuser = fuser.to(backbone.device)
    done = iter_patch_features(items, backbone, cover, batch_size, num_workers)
    fused = _fuse(done, fuser)
    while part := list(itertools.islice(fused, chunk_size)):
        good = [p for p in part if not isinstance(p, EmbedError)]
        empty = np.zeros((0, backbone.dim), np.float32)
        yield Chunk(
            ids=[id for id, _, _ in good],
            vectors=np.stack([v for _, v, _ in good]) if good else empty,
            global_vectors=np.stack([g for _, _, g in good]) if good else empty,
            errors=[p for p in part if isinstance(p, EmbedError)],
        )


def iter_patch_features(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    batch_size: int | None = None,
    num_workers: int | None = None,
) -> Iterator[tuple[Hashable, str, Tensor | None, str | None]]:
    """Encodes the patches of files; what :func:`stream` is built on.

    Args: as of :func:`stream`.

    Yields:
        ``(id, path, features, reason)`` for every item, in their order:
        features ``(p, d)`` float32 on the backbone's device, unit length, row
        0 the whole image; or None and the reason why the file has none

    Raises:
        ValueError: if ``batch_size`` is below 1
    """
    batch_size = batch_size or _BATCH.get(backbone.device.type, 128)
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: give at least 1")
    waiting: deque[_Waiting] = deque()
    patches, features = _Rows(), _Rows()
    for image, pixels in _cut(items, backbone, cover, num_workers):
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

    def paths():
        for item in items:
            known.append(item)
            yield item[1]

    decoded_files = read_images(paths(), num_workers)
    try:
        for decoded in decoded_files:
            id, path = known.popleft()
            if decoded.error is not None:
                yield _Waiting(id, str(path), reason=decoded.error.reason), None
                continue
            pixels = torch.from_numpy(decoded.pixels).permute(2, 0, 1)
            patches = extract_patches(
                pixels.to(backbone.device), cover, backbone.patch_spec
            )
            yield _Waiting(id, str(path), windows=len(patches)), patches
    finally:
        decoded_files.close()


def _encode(backbone: Backbone, patches: Tensor | None) -> Tensor | None:
    if patches is None:
        return None
    return backbone.encode_patches(patches, batch_size=len(patches))


def _finished(waiting: deque[_Waiting], features: _Rows):
    """Takes the images off the queue whose patches are all encoded."""
    while waiting and waiting[0].windows <= features.count:
        image = waiting.popleft()
        yield image.id, image.path, features.take(image.windows), image.reason


def _fuse(done, fuser: Fuser):
    """Fuses images a few at a time; keeps the order and passes errors on.

    Yields:
        ``(id, vector, global vector)`` or an :class:`EmbedError`
    """
    while group := list(itertools.islice(done, _FUSE_TOGETHER)):
        fused: dict[int, np.ndarray] = {}
        by_count: dict[int, list[int]] = {}
        for i, (_, _, features, _) in enumerate(group):
            if features is not None:
                by_count.setdefault(len(features), []).append(i)
        for members in by_count.values():
            stacked = torch.stack([group[i][2] for i in members])
            fused.update(zip(members, fuser(stacked).cpu().numpy()))
        for i, (id, path, features, reason) in enumerate(group):
            if features is None:
                logger.warning("Skipped %s: %s", path, reason)
                yield EmbedError(id, path, reason)
            else:
                yield id, fused[i], features[0].cpu().numpy()
