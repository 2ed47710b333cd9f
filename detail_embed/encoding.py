"""Files to patch features: threads decode ahead, batches are filled across images."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .backbone import Backbone
from .cover import CompleteCover
from .fitting_batch import encode_fitting, extract_fitting
from .flat import without_flat
from .reader import MAX_PIXELS, read_images

Item = tuple[Hashable, str | Path]


@dataclass(frozen=True)
class PatchFeatures:
    """The patch features of a file, or the reason why it has none.

    Attributes:
        id: of the item
        path: of the file
        features: ``(p, d)`` float32 on the backbone's device, unit length, row 0
            the whole image; None where the file could not be read
        reason: why, in words, or None
        width: of the upright image in pixels; 0 where it could not be read
        height: as the width
        same_as: position, among all items, of an earlier file with the same content,
            which has the features; None for none
    """

    id: Hashable
    path: str
    features: Tensor | None = None
    reason: str | None = None
    width: int = 0
    height: int = 0
    same_as: int | None = None


def patch_slug(backbone: Backbone, cover: CompleteCover) -> str:
    """Names what patch features depend on: backbone, weights and cover."""
    return f"{backbone.slug}-{cover.slug}"


def iter_patch_features(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    batch_size: int | None = None,
    num_workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
    twins: int = 0,
) -> Iterator[PatchFeatures]:
    """Encodes the patches of files.

    A batch that does not fit on the device is halved, see
    :func:`.fitting_batch.encode_fitting`.

    Args:
        items: ``(id, path)`` pairs, consumed as needed
        backbone: the model
        cover: the windows
        batch_size (None): patches per forward pass; None: the backbone's own
        num_workers (None): decoding threads; None: as ``read_images()`` says
        max_pixels (MAX_PIXELS): images with more are not read
        twins (0): how many items back a file of the same content is looked for;
            one that has it is not encoded

    Yields:
        a :class:`PatchFeatures` for every item, in their order

    Raises:
        ValueError: if ``batch_size`` or ``max_pixels`` is below 1
        RuntimeError: if not even one patch fits on the device
    """
    if batch_size is None:
        batch_size = backbone.batch_size
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: give at least 1")
    waiting: deque[_Waiting] = deque()
    patches, features = _Rows(), _Rows()
    cut = _cut(items, backbone, cover, num_workers, max_pixels, twins)
    with closing(cut) as images:
        for image, pixels, rows in images:
            windows = 0 if pixels is None else len(pixels)
            waiting.append((image, windows, rows))
            patches.push(pixels)
            while patches.count >= batch_size:
                features.push(_encode(backbone, patches.take(batch_size)))
                yield from _finished(waiting, features)
            if not windows:
                yield from _finished(waiting, features)
    features.push(_encode(backbone, patches.take(patches.count)))
    yield from _finished(waiting, features)


# an image, how many patches are encoded for it, and which one each window takes
_Waiting = tuple[PatchFeatures, int, Tensor | None]


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
    num_workers: int | None, max_pixels: int, twins: int,
) -> Iterator[tuple[PatchFeatures, Tensor | None, Tensor | None]]:
    """Reads files and cuts their patches, on the backbone's device.

    Yields:
        the image without features, the patches to encode, and for each window the
        patch whose feature it takes; None where each takes its own
    """
    known: deque[Item] = deque()

    def paths() -> Iterator[str | Path]:
        for item in items:
            known.append(item)
            yield item[1]

    reading = read_images(
        paths(), num_workers, max_pixels=max_pixels, twins=twins
    )
    with closing(reading) as files:
        for decoded in files:
            id, path = known.popleft()
            if decoded.error is not None:
                reason = decoded.error.reason
                yield PatchFeatures(id, str(path), reason=reason), None, None
                continue
            if decoded.same_as is not None:
                yield PatchFeatures(id, str(path), same_as=decoded.same_as), None, None
                continue
            height, width = decoded.pixels.shape[:2]
            pixels = torch.from_numpy(decoded.pixels).permute(2, 0, 1)
            patches = extract_fitting(pixels, cover, backbone)
            rows = None
            if cover.skip_flat:
                patches, rows = without_flat(patches, cover, width, height)
            image = PatchFeatures(id, str(path), width=width, height=height)
            yield image, patches, rows


def _encode(backbone: Backbone, patches: Tensor | None) -> Tensor | None:
    if patches is None:
        return None
    return encode_fitting(backbone, patches)


def _finished(waiting: deque[_Waiting], features: _Rows) -> Iterator[PatchFeatures]:
    """Takes the images off the queue whose patches are all encoded."""
    while waiting and waiting[0][1] <= features.count:
        image, windows, rows = waiting.popleft()
        taken = features.take(windows)
        if rows is not None:
            taken = taken[rows.to(taken.device)]
        yield dataclasses.replace(image, features=taken)
