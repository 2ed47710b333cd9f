"""Maps of patches, such as of a model's attention, laid over the image they are of."""

from __future__ import annotations

import numpy as np

from detail_embed.cover.patches import PatchSpec

_CELLS = 64  # along the longer side


def seen_box(width: int, height: int, spec: PatchSpec) -> np.ndarray:
    """The part of an image that patch 0, the whole image, shows.

    Args:
        width: of the image in pixels
        height: as the width
        spec: how a whole image becomes a square

    Returns:
        ``(4,)`` float64 ``x0, y0, x1, y1`` in pixels: less than the image for
        "shortest", which crops the centre; more for "longest", which adds margins
    """
    if spec.resize_mode == "squash":
        return np.array([0, 0, width, height], float)
    side = (min if spec.resize_mode == "shortest" else max)(width, height)
    centre = np.array([width, height]) / 2
    return np.concatenate([centre - side / 2, centre + side / 2])


def lay_over(
    maps: np.ndarray, boxes: np.ndarray, levels: np.ndarray, spec: PatchSpec
) -> np.ndarray:
    """Lays the maps of an image's patches over the image, as the patches lie on it.

    A cell takes from each level the mean of the windows that hold it, and of these the
    mean, so that large windows count as much as the many small ones.

    Args:
        maps: ``(p, h, w)``, of each patch, row 0 the whole image
        boxes: ``(p, 4)`` int, the windows in pixels, ``x0, y0, x1, y1``
        levels: ``(p,)`` int, the cover's level of each
        spec: how the whole image became a square

    Returns:
        ``(H, W)`` float32 in the image's aspect ratio, 64 cells along its longer side;
        0 where no patch shows the image
    """
    size = boxes[0, 2:].astype(float)
    width, height = np.maximum(1, np.round(_CELLS * size / size.max())).astype(int)
    boxes = boxes.astype(float)
    boxes[0] = seen_box(*size, spec)
    levels = np.concatenate([[0], levels[1:]])  # the whole image is one of its own
    rows, holds_row = _along(boxes[:, [1, 3]], maps.shape[1], size[1], height)
    columns, holds_column = _along(boxes[:, [0, 2]], maps.shape[2], size[0], width)
    found = rows @ maps @ columns.transpose(0, 2, 1)
    holds = holds_row[:, :, None] & holds_column[:, None]
    total, seen = np.zeros((2, height, width))
    for level in np.unique(levels):
        own = levels == level
        count = holds[own].sum(0)
        total += np.where(holds[own], found[own], 0).sum(0) / np.maximum(count, 1)
        seen += count > 0
    return (total / np.maximum(seen, 1)).astype(np.float32)


def _along(
    ends: np.ndarray, places: int, length: float, cells: int
) -> tuple[np.ndarray, np.ndarray]:
    """What cells along one side of the image take of patches.

    Returns:
        ``(p, cells, places)``, how much of each place, linearly between their centres;
        and ``(p, cells)``, whether the patch holds the cell's centre
    """
    centres = (np.arange(cells) + 0.5) * (length / cells)
    start, end = ends[:, :1], ends[:, 1:]
    share = (centres - start) / (end - start)
    at = np.clip(share * places - 0.5, 0, places - 1)[:, :, None]
    taken = np.clip(1 - np.abs(at - np.arange(places)), 0, 1)
    return taken, (share >= 0) & (share <= 1)
