"""A sample of patch features to fit a fuser on."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.engine.box_patches import Boxes
from detail_embed.engine.encode_files import PatchFeatures, iter_patch_features
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.features import FeatureStore
from detail_embed.features.padding import pad

_Item = TypeVar("_Item")


def draw(items: Sequence[_Item], count: int, seed: int = 0) -> list[_Item]:
    """Draws ``count`` items, or all, in random order; always the same."""
    return random.Random(seed).sample(list(items), min(count, len(items)))


def of_files(
    paths: Sequence[str | Path], backbone: Backbone, cover: CompleteCover,
    max_patches: int, options: EncodeOptions = DEFAULT,
) -> tuple[Tensor, Tensor]:
    """Encodes files until their patches, padded to one length, are enough.

    Args:
        paths: files; those that cannot be read are left out
        backbone: the model
        cover: the windows
        max_patches: where the sample ends, for memory's sake
        options (DEFAULT): how they are read and encoded

    Returns:
        ``(b, p, d)`` float32 features, padded with zeros, and ``(b, p)`` bool, True
        where a row is a patch; on the backbone's device

    Raises:
        ValueError: if no file can be read
    """
    items = list(enumerate(paths))
    return of_boxes(items, backbone, cover, max_patches, None, options=options)


def of_boxes(
    items: Sequence[tuple[Hashable, str | Path]], backbone: Backbone,
    cover: CompleteCover, max_patches: int, boxes: Boxes | None,
    store: FeatureStore | None = None, options: EncodeOptions = DEFAULT,
) -> tuple[Tensor, Tensor]:
    """As :func:`of_files`, with known boxes of the images as patches, too.

    Args:
        items: ids and paths
        backbone: the model
        cover: the windows
        max_patches: where the sample ends, for memory's sake
        boxes: of the images, None for none
        store (None): patch features of the cover; what it has is not encoded
        options (DEFAULT): how files are read and encoded

    Raises:
        ValueError: if no file can be read
    """
    held = () if store is None else store
    found = iter_patch_features(
        items, backbone, cover, options, boxes=boxes, uncovered=held
    )
    with closing(found):
        images = (image for image in found if image.features is not None)
        return _take((_features(image, store) for image in images), max_patches)


def _features(image: PatchFeatures, store: FeatureStore | None) -> Tensor:
    """All patches of an image: of its cover, encoded or stored, and of its boxes."""
    own, device = image.features, image.features.device
    if not len(own):
        own = F.normalize(store[image.id].features.to(device), dim=1)
    boxes = image.boxes
    return own if boxes is None else torch.cat([own, boxes.features(device)])


def of_store(
    store: FeatureStore, ids: Sequence[str], max_patches: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Reads stored features, as :func:`of_files` encodes them.

    Raises:
        KeyError: if an image is not in the store
    """
    features = (F.normalize(store[id].features.to(device), dim=1) for id in ids)
    return _take(features, max_patches)


def _take(features: Iterable[Tensor], max_patches: int) -> tuple[Tensor, Tensor]:
    images: list[Tensor] = []
    longest = 0
    for image in features:
        images.append(image)
        longest = max(longest, len(image))
        if len(images) * longest >= max_patches:
            break
    if not images:
        raise ValueError("none of the images could be read: there is nothing to fit on")
    return pad(images, images[0].shape[1])
