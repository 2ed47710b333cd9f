"""Stored patches with the boxes beside them, of images that need not be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from detail_embed.engine.box_patches import Boxes
from detail_embed.engine.chunk import Chunk, make_chunk, unit
from detail_embed.engine.encode_files import Item
from detail_embed.features import FeatureStore
from detail_embed.fusers.base import Fuser


def stream_known(
    items: Iterable[Item],
    store: FeatureStore,
    boxes: Boxes,
    fuser: Fuser,
    device: torch.device,
    chunk_size: int,
    single: Fuser | None,
    lacking: list[Item],
) -> Iterator[Chunk]:
    """Fuses stored patches and boxes whose features are known; nothing is encoded.

    Args:
        items: ``(id, path)`` pairs of images in the store
        store: patch features of the cover
        boxes: the boxes of the images
        fuser: a fitted fuser
        device: where it is
        chunk_size: images per chunk, at most
        single: a fitted fuser of one vector, for another beside the first, or None
        lacking: gets the items that have a box that is not known
    """
    images, known = [], []
    for id, path, asked in boxes.beside(items):
        image = store[id]
        found = boxes.windows(asked, *image.boxes[0, 2:].tolist())
        if found.todo:
            lacking.append((id, path))
            continue
        images.append(unit(image, device))
        known.append(found)
        if len(images) == chunk_size:
            yield make_chunk(images, fuser, single, known)
            images, known = [], []
    if images:
        yield make_chunk(images, fuser, single, known)
