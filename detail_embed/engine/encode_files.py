"""Files to patch features: threads decode, others cut and encode what makes a batch."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
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
from detail_embed.engine.box_patches import Boxes, BoxPatches
from detail_embed.engine.cut import batches, cut, parts_of
from detail_embed.engine.device_memory import (
    cut_fitting,
    encode_fitting,
    released_after,
)
from detail_embed.engine.encode_huge import encode_huge
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.engine.one_pass import encode_image
from detail_embed.engine.workers import compute_threads, run_in_workers
from detail_embed.images.cpus import cpus, decoding_threads
from detail_embed.images.file_source import FileSource
from detail_embed.images.huge_image import HugeImage
from detail_embed.images.image_file import UnreadableImage
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
        boxes: its known boxes, with their features; None where none were asked for
    """

    id: Hashable
    path: str
    features: Tensor | None = None
    reason: str | None = None
    width: int = 0
    height: int = 0
    same_as: int | None = None
    source: FileSource | None = None
    boxes: BoxPatches | None = None

    @property
    def encoded_sum(self) -> Tensor:
        """Of all features of a file that could be read; not finite if one is not."""
        own = [] if self.boxes is None else [self.boxes.encoded.sum()]
        return sum(own, self.features.sum())


def iter_patch_features(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    options: EncodeOptions = DEFAULT,
    identical_within: int = 0,
    boxes: Boxes | None = None,
    uncovered: Container[Hashable] = (),
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
        boxes (None): known boxes, which are patches beside those of the cover
        uncovered (()): the items of whose files the boxes alone are encoded; they have
            ``(0, d)`` features

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
        max_pixels=options.max_pixels, read_seconds=options.read_seconds,
        identical_within=identical_within,
        pin=backbone.device.type == "cuda", budget=budget,
        boxes=boxes,
    )

    def work(
        own: Backbone, group: list[_File], is_wanted: Callable[[], bool]
    ) -> list[PatchFeatures]:
        images = _encode_group(
            own, group, is_wanted, cover, batch_size, backbone.device, uncovered
        )
        budget.give(sum(image.width * image.height for image in images))
        return images

    with released_after(backbone), closing(files):
        groups = _groups(files, cover, batch_size, uncovered)
        with closing(run_in_workers(backbone, work, groups)) as done:
            for group in done:
                yield from group


def _decoders(backbone: Backbone) -> int:
    """Decoding threads; beside a CPU that encodes, no more than torch has there."""
    if backbone.device.type == "cpu":
        return decoding_threads(compute_threads(), gpus=1)
    return decoding_threads(cpus(), len(backbone.devices))


# without features; (h, w, 3) pixels
_File = tuple[PatchFeatures, np.ndarray | HugeImage | None]


def _read(
    items: Iterable[Item], boxes: Boxes | None, **options: Any
) -> Iterator[_File]:
    """Reads files; what cannot be read, or is the same again, has no pixels."""
    known: deque[tuple[Any, ...]] = deque()

    def paths() -> Iterator[str | Path]:
        for item in items if boxes is None else boxes.beside(items):
            known.append(item)
            yield item[1]

    with closing(read_images(paths(), **options)) as files:
        for decoded in files:
            id, path, *asked = known.popleft()
            image = PatchFeatures(
                id, str(path), same_as=decoded.same_as, source=decoded.source
            )
            if decoded.error is not None:
                image = dataclasses.replace(image, reason=decoded.error.reason)
            elif decoded.pixels is not None:
                height, width = decoded.pixels.shape[:2]
                own = boxes.windows(*asked, width, height) if boxes else None
                image = dataclasses.replace(
                    image, width=width, height=height, boxes=own
                )
            yield image, decoded.pixels


def _groups(
    files: Iterable[_File], cover: CompleteCover, batch_size: int,
    uncovered: Container[Hashable],
) -> Iterator[list[_File]]:
    """Collects files until they make a batch, or are many pixels to keep."""
    group, patches, pixels = [], 0, 0
    for image, array in files:
        group.append((image, array))
        if array is not None:
            patches += len(image.boxes.todo) if image.boxes else 0
            if image.id not in uncovered:
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
    uncovered: Container[Hashable],
) -> list[PatchFeatures]:
    """Gives the files of a group their features."""
    images = [image for image, _ in group]
    for i, (_, pixels) in enumerate(group):
        if isinstance(pixels, HugeImage):
            encode = functools.partial(
                _encode, backbone, is_wanted=is_wanted, size=batch_size
            )
            images[i] = _encode_huge(
                images[i], pixels, backbone, encode, home,
                None if images[i].id in uncovered else cover,
            )
    some = {
        i: pixels for i, (_, pixels) in enumerate(group)
        if isinstance(pixels, np.ndarray)
    }
    covered = [i for i in some if images[i].id not in uncovered]
    parts = [
        part for i, pixels in some.items()
        for part in parts_of(
            i, pixels, i in covered and not cover.is_dense, images[i].boxes
        )
    ]
    found: dict[tuple[int, bool], list[Tensor]] = {}
    for i in covered if cover.is_dense else ():
        if not is_wanted():
            raise CancelledError
        found[i, True] = [encode_image(backbone, some[i], cover, home)]
    for batch in batches(parts):
        patches, counts, rows = cut_fitting(
            functools.partial(cut, batch, cover, backbone), backbone.device
        )
        features = _encode(backbone, patches, is_wanted, batch_size)
        if features.is_cuda and features.device != home:
            # or the copy, and with it what the caller does there, waits for the batch
            torch.cuda.current_stream(features.device).synchronize()
        for part, own, stands in zip(batch, features.to(home).split(counts), rows):
            own = own if stands is None else own[stands.to(home)]
            found.setdefault((part.image, part.windows is None), []).append(own)
    nothing = [torch.empty((0, backbone.dim), device=home)]
    for i in some:
        features = torch.cat(found.get((i, True), nothing))
        boxed = torch.cat(found.get((i, False), nothing))
        for made in (features, boxed):
            if made.is_cuda:  # on a worker's stream, used on the caller's
                made.record_stream(torch.cuda.default_stream(home))
        boxes = images[i].boxes and images[i].boxes.with_encoded(boxed)
        images[i] = dataclasses.replace(images[i], features=features, boxes=boxes)
    return images


def _encode_huge(
    image: PatchFeatures, file: HugeImage, backbone: Backbone,
    encode: Callable[[Tensor], Tensor], home: torch.device, cover: CompleteCover | None,
) -> PatchFeatures:
    """Gives a file that is read by parts its features, or the reason for none."""
    try:
        features, boxed = encode_huge(file, backbone, cover, image.boxes, encode, home)
    except UnreadableImage as error:
        return dataclasses.replace(image, boxes=None, reason=error.reason)
    boxes = image.boxes and image.boxes.with_encoded(boxed)
    return dataclasses.replace(image, features=features, boxes=boxes)


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
