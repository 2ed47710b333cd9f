"""Windows without detail: they need not be encoded, a larger one stands for them.

A window is flat if, in every colour channel of its patch as the backbone sees it,
the brightest and the darkest pixel are fewer grey levels apart than the cover says. A
thing of a few pixels keeps its window from being flat, as it would not with a mean
deviation. A flat window takes the feature of the smallest window of a coarser level
that contains it, or of that one's, if it is flat too; in the end the whole image.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from detail_embed.cover import CompleteCover

FLAT_RANGE = 16  # where the cover does not say another
_AT_ONCE = 256  # windows that are compared with all others, for memory's sake


def without_flat(
    patches: Tensor, cover: CompleteCover, width: int, height: int
) -> tuple[Tensor, Tensor]:
    """Leaves flat patches out.

    Args:
        patches: ``(p, 3, h, w)`` uint8, of all windows of an image
        cover: the windows
        width: of the image in pixels
        height: as the width

    Returns:
        the patches that are left, ``(q, 3, h, w)``, and for each window the row of
        that which stands for it, ``(p,)`` int64, on the device of the patches
    """
    flat = (spread(patches) < flat_range(cover)).cpu().numpy()
    if not flat[1:].any():
        return patches, torch.arange(len(patches), device=patches.device)
    stands = stand_ins(flat, parents(cover, width, height))
    kept, rows = np.unique(stands, return_inverse=True)
    kept, rows = (torch.from_numpy(i).to(patches.device) for i in (kept, rows))
    return patches[kept], rows


def flat_range(cover: CompleteCover) -> int:
    """Grey levels below which a window is flat; 0 where none is left out."""
    return FLAT_RANGE if cover.skip_flat is True else int(cover.skip_flat)


def spread(patches: Tensor) -> Tensor:
    """Measures detail: ``(p,)`` uint8, the widest range of a colour in grey levels."""
    pixels = patches.flatten(2)
    return (pixels.amax(2) - pixels.amin(2)).amax(1)


@functools.lru_cache(maxsize=64)
def parents(cover: CompleteCover, width: int, height: int) -> np.ndarray:
    """Finds, for each window, the smallest of a coarser level that contains it.

    Returns:
        ``(p,)`` int64 rows of ``cover.boxes(width, height)``; 0, the whole image,
        for those that are in no other, and for itself
    """
    boxes = cover.boxes(width, height)
    parts = np.array_split(boxes, -(-len(boxes) // _AT_ONCE))
    return np.concatenate([_smallest_around(part, boxes) for part in parts])


def _smallest_around(some: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """``(n,)`` rows of the smallest boxes around some; 0 for none."""
    areas = _areas(boxes)
    around = areas > _areas(some)[:, None]
    for side in (0, 1):
        around &= boxes[:, side] <= some[:, None, side]
        around &= boxes[:, side + 2] >= some[:, None, side + 2]
    rows = np.where(around, areas, np.iinfo(np.int64).max).argmin(axis=1)
    return np.where(around.any(axis=1), rows, 0)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def stand_ins(flat: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Follows flat windows up to one that is not; the whole image never is.

    Args:
        flat: ``(p,)`` bool
        parents: ``(p,)`` rows, each before its children

    Returns:
        ``(p,)`` int64, for each window the row of that which stands for it
    """
    stands = np.arange(len(flat))
    for row in range(1, len(flat)):
        if flat[row]:
            stands[row] = stands[parents[row]]
    return stands
