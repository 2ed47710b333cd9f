"""Windows without detail: they need not be encoded, a larger one stands for them.

A window is flat if, in every colour channel of its patch as the backbone sees it,
the brightest and the darkest pixel are less than ``FLAT_RANGE`` grey levels apart. A
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

FLAT_RANGE = 16


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
    flat = (spread(patches) < FLAT_RANGE).cpu().numpy()
    if not flat[1:].any():
        return patches, torch.arange(len(patches), device=patches.device)
    stands = stand_ins(flat, parents(cover, width, height))
    kept, rows = np.unique(stands, return_inverse=True)
    kept, rows = (torch.from_numpy(i).to(patches.device) for i in (kept, rows))
    return patches[kept], rows


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
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    found = np.zeros(len(boxes), np.int64)
    for row, (x0, y0, x1, y1) in enumerate(boxes):
        around = (boxes[:, :2] <= (x0, y0)).all(axis=1)
        around &= (boxes[:, 2:] >= (x1, y1)).all(axis=1) & (area > area[row])
        if around.any():
            rows = np.flatnonzero(around)
            found[row] = rows[area[rows].argmin()]
    return found


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
