"""Pixels to patches: what is cut from the images of a group, and how much at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.flat_windows import without_flat
from detail_embed.cover.patches import extract_patches, extract_windows
from detail_embed.engine.box_patches import BoxPatches

_MOST_BOXES = 1024  # that are cut at once, about


@dataclass(frozen=True)
class Part:
    """What is cut from an image at once.

    Attributes:
        image: its place among others
        pixels: ``(h, w, 3)`` uint8
        windows: ``(n, 4)`` of boxes; None for those of the cover
    """

    image: int
    pixels: np.ndarray
    windows: np.ndarray | None = None


def parts_of(
    i: int, pixels: np.ndarray, is_covered: bool, boxes: BoxPatches | None
) -> Iterator[Part]:
    """What is cut from an image.

    Args:
        i: its place among others
        pixels: ``(h, w, 3)`` uint8
        is_covered: whether the windows of the cover are
        boxes: of the image; those whose feature is not known are
    """
    if is_covered:
        yield Part(i, pixels)
    windows = () if boxes is None else boxes.windows[boxes.todo]
    for start in range(0, len(windows), _MOST_BOXES):
        yield Part(i, pixels, windows[start : start + _MOST_BOXES])


def batches(parts: list[Part]) -> Iterator[list[Part]]:
    """Parts that are cut together: all, but for images that have very many boxes."""
    batch, boxes = [], 0
    for part in parts:
        batch.append(part)
        boxes += 0 if part.windows is None else len(part.windows)
        if boxes >= _MOST_BOXES:
            yield batch
            batch, boxes = [], 0
    if batch:
        yield batch


def cut(
    parts: Iterable[Part], cover: CompleteCover, backbone: Backbone,
    device: torch.device,
) -> tuple[Tensor, list[int], list[Tensor | None]]:
    """Cuts the patches of parts, on a device.

    Returns:
        the patches to encode; how many are of each part; and for each window of a
        part the patch whose feature it takes, None where each takes its own
    """
    patches, rows, spec = [], [], backbone.patch_spec
    for part in parts:
        height, width = part.pixels.shape[:2]
        pixels = torch.from_numpy(part.pixels).to(device, non_blocking=True)
        pixels, stands = pixels.permute(2, 0, 1), None
        if part.windows is not None:
            own = extract_windows(pixels, part.windows, spec)
        else:
            own = extract_patches(pixels, cover, spec)
            if cover.skip_flat:
                own, stands = without_flat(own, cover, width, height)
        patches.append(own)
        rows.append(stands)
    return torch.cat(patches), [len(own) for own in patches], rows
