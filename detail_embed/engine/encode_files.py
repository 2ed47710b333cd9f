"""Files to patch features: threads decode, others cut and encode what makes a batch."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.flat_windows import without_flat
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.device_memory import (
    cut_fitting,
    encode_fitting,
    released_after,
)
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.engine.workers import compute_threads, run_in_workers
from detail_embed.images.cpus import cpus, decoding_threads
from detail_embed.images.file_source import FileSource
from detail_embed.images.pixel_budget import PixelBudget
from detail_embed.images.reader import read_images

Item = tuple[Hashable, str | Path]

_GROUP_PIXELS = 2**26  # of images that are encoded together
_WAITING_PIXELS = 2**29  # of all images in memory


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
        source: what the file was; None where it could not be read
    """

    id: Hashable
    path: str
    features: Tensor | None = None
    reason: str | None = None
    width: int = 0
    height: int = 0
    same_as: int | None = None
    source: FileSource | None = None


def iter_patch_features(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    options: EncodeOptions = DEFAULT,
    identical_within: int = 0,
) -> Iterator[PatchFeatures]:
    """Encodes the patches of files.

    A batch that does not fit on the device is halved, see
    :func:`.device_memory.encode_fitting`.

    Args:
        items: ``(id, path)`` pairs, consumed as needed
        backbone: the model
        cover: the windows
        options (DEFAULT): batch size, threads and pixel limit
        identical_within (0): how many items back a file of the same content is looked
            for; one that has it is not encoded

    Yields:
        a :class:`PatchFeatures` for every item, in their order

    Raises:
        ValueError: if the batch size or the pixel limit is below 1
        RuntimeError: if not even one patch fits on the device
    """
    batch_size = options.batch_size
    if batch_size is None:
        batch_size = backbone.batch_size
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: give at least 1")
    budget = PixelBudget(_WAITING_PIXELS)
    files = _read(
        items, num_workers=options.num_workers or _decoders(backbone),
        max_pixels=options.max_pixels,
        identical_within=identical_within,
        pin=backbone.device.type == "cuda", budget=budget,
    )

    def work(
        own: Backbone, group: list[_File], is_wanted: Callable[[], bool]
    ) -> list[PatchFeatures]:
        images = _encode_group(
            own, group, is_wanted, cover, batch_size, home=backbone.device
        )
        budget.give(sum(image.width * image.height for image in images))
        return images

    with released_after(backbone), closing(files):
        groups = _groups(files, cover, batch_size)
        with closing(run_in_workers(backbone, work, groups)) as done:
            for group in done:
                yield from group


def _decoders(backbone: Backbone) -> int:
    """Decoding threads; beside a CPU that encodes, no more than torch has there."""
    if backbone.device.type == "cpu":
        return decoding_threads(compute_threads(), gpus=1)
    return decoding_threads(cpus(), len(backbone.devices))


_File = tuple[PatchFeatures, np.ndarray | None]  # without features; (h, w, 3) pixels


def _read(items: Iterable[Item], **options: Any) -> Iterator[_File]:
    """Reads files; what cannot be read, or is the same again, has no pixels."""
    known: deque[Item] = deque()

    def paths() -> Iterator[str | Path]:
        for item in items:
            known.append(item)
            yield item[1]

    with closing(read_images(paths(), **options)) as files:
        for decoded in files:
            id, path = known.popleft()
            image = PatchFeatures(
                id, str(path), same_as=decoded.same_as, source=decoded.source
            )
            if decoded.error is not None:
                image = dataclasses.replace(image, reason=decoded.error.reason)
            elif decoded.pixels is not None:
                height, width = decoded.pixels.shape[:2]
                image = dataclasses.replace(image, width=width, height=height)
            yield image, decoded.pixels


def _groups(
    files: Iterable[_File], cover: CompleteCover, batch_size: int
) -> Iterator[list[_File]]:
    """Collects files until they make a batch, or are many pixels to keep."""
    group, patches, pixels = [], 0, 0
    for image, array in files:
        group.append((image, array))
        if array is not None:
            patches += len(cover.boxes(image.width, image.height))
            pixels += image.width * image.height
        if len(group) >= batch_size or patches >= batch_size or pixels >= _GROUP_PIXELS:
            yield group
            group, patches, pixels = [], 0, 0
    if group:
        yield group


def _encode_group(
    backbone: Backbone, group: list[_File], is_wanted: Callable[[], bool],
    cover: CompleteCover, batch_size: int, home: torch.device,
) -> list[PatchFeatures]:
    """Gives the files of a group their features."""
    images = [image for image, _ in group]
    arrays = {i: pixels for i, (_, pixels) in enumerate(group) if pixels is not None}
    if not arrays:
        return images
    patches, counts, rows = cut_fitting(
        lambda device: _cut(arrays.values(), cover, backbone, device), backbone.device
    )
    features = _encode(backbone, patches, is_wanted, batch_size)
    if features.is_cuda and features.device != home:
        # or the copy, and with it what the caller does there, waits for the batch
        torch.cuda.current_stream(features.device).synchronize()
    own = features.to(home).split(counts)
    for i, found, stands in zip(arrays, own, rows):
        found = found if stands is None else found[stands.to(home)]
        if found.is_cuda:  # made on a worker's stream, used on the caller's
            found.record_stream(torch.cuda.default_stream(home))
        images[i] = dataclasses.replace(images[i], features=found)
    return images


def _cut(
    arrays: Iterable[np.ndarray], cover: CompleteCover, backbone: Backbone,
    device: torch.device,
) -> tuple[Tensor, list[int], list[Tensor | None]]:
    """Cuts the patches of images, on a device.

    Returns:
        the patches to encode; how many are of each image; and for each window of an
        image the patch whose feature it takes, None where each takes its own
    """
    patches, rows = [], []
    for array in arrays:
        height, width = array.shape[:2]
        pixels = torch.from_numpy(array).to(device, non_blocking=True).permute(2, 0, 1)
        own, stands = extract_patches(pixels, cover, backbone.patch_spec), None
        if cover.skip_flat:
            own, stands = without_flat(own, cover, width, height)
        patches.append(own)
        rows.append(stands)
    return torch.cat(patches), [len(own) for own in patches], rows


def _encode(
    backbone: Backbone, patches: Tensor, is_wanted: Callable[[], bool], size: int
) -> Tensor:
    """Encodes patches in equal batches of at most ``size``."""
    parts = []
    for part in patches.tensor_split(-(-len(patches) // size)):
        if not is_wanted():
            raise CancelledError
        parts.append(encode_fitting(backbone, part))
    return torch.cat(parts)
