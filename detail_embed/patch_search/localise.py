"""Where an image matches a query: a heat map of it, and tight boxes.

A window that matches says little about where: an object may lie anywhere in it. Many
windows overlap it, though. A cell of the heat map takes from each level how far the
windows near it score above the image's median, the nearest to their centres most, and
small windows count more. A box is drawn around what is hot about a peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

_CELLS = 64  # along the longer side
_MANY, _MORE_CELLS = 4096, 256  # windows of a huge image, which find small things
_SPREAD = 0.35  # standard deviation of a window's weight, in sides of the window
_SMALL = 0.5  # a level of half the side counts 2 ** 0.5 times as much
_HOT = 0.75  # of a peak: what belongs to its box
_FURTHER = 0.5  # of the highest peak: what further boxes need
_OVERLAP = 0.3  # IoU of boxes of which only the better one stays
_ALIKE = 5e-3  # cosine: what does not stand out by as much is no match
_PEAKS = 32  # looked at, the hottest


@dataclass(frozen=True)
class Places:
    """Where an image matches a query, best first.

    Attributes:
        boxes: ``(m, 4)`` float32, left, top, width and height as shares of the image
        scores: ``(m,)`` float32 cosines
        heat: ``(h, w)`` float32, 0 to 1, in the image's aspect ratio
    """

    boxes: np.ndarray
    scores: np.ndarray
    heat: np.ndarray


def localise(
    features: Tensor,
    boxes: np.ndarray,
    levels: np.ndarray,
    query: Tensor | np.ndarray,
    max_boxes: int = 3,
) -> Places:
    """Finds the places of one image that match a query.

    The first box is always there, unless all windows score alike: then there is no
    box, and the heat is 0. Whether the thing is shown at all, the scores of several
    images tell, not those of one. A further box needs a peak of heat half as high.

    Args:
        features: ``(p, d)`` float32 patch features, row 0 the whole image
        boxes: ``(p, 4)`` int, the windows in pixels, ``x0, y0, x1, y1``
        levels: ``(p,)`` int, the cover's level of each
        query: ``(d,)``
        max_boxes (3): how many boxes at most

    Returns:
        boxes, for each the cosine of the best window that holds its hottest place, and
        the heat map

    Raises:
        ValueError: if a shape is wrong, ``max_boxes`` is below 1, or the query is 0 or
            not finite
    """
    features, query = torch.as_tensor(features), torch.as_tensor(query)
    _check(features, boxes, levels, query, max_boxes)
    query = F.normalize(query.to(features), dim=0)
    scores = (F.normalize(features, dim=1) @ query).cpu().numpy()
    boxes = np.asarray(boxes, np.float32)
    heat = _heat(scores, boxes, np.asarray(levels))
    found, peaks = _regions(heat)
    best = _best_at(peaks / heat.shape[::-1], scores, boxes)
    kept = _choose(found, best)[:max_boxes]
    return Places(found[kept], best[kept], heat)


def _check(
    features: Tensor, boxes: np.ndarray, levels: np.ndarray, query: Tensor,
    max_boxes: int,
) -> None:
    shapes = [tuple(np.shape(x)) for x in (features, boxes, levels, query)]
    p, d = shapes[0] if features.ndim == 2 else (0, 0)
    if not p or shapes[1:] != [(p, 4), (p,), (d,)]:
        raise ValueError(
            f"features, boxes, levels and query are {shapes}: give (p, d), (p, 4), "
            "(p,) and (d,)"
        )
    if max_boxes < 1:
        raise ValueError(f"max_boxes={max_boxes}: give at least 1")
    if not torch.isfinite(query).all() or not query.any():
        raise ValueError("the query is 0 or not finite, so nothing is near it")


def _heat(scores: np.ndarray, boxes: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """How far the windows about each cell stand out; 0 where none does by enough."""
    size = boxes[0, 2:]
    cells = _CELLS if len(boxes) <= _MANY else _MORE_CELLS
    width, height = np.maximum(1, np.round(cells * size / size.max())).astype(int)
    heat = np.zeros((height, width), np.float32)
    above = np.clip(scores - np.median(scores), 0, None)
    if above.max() < _ALIKE:
        return heat
    across = _weights(boxes[:, [0, 2]], size[0], width)
    down = _weights(boxes[:, [1, 3]], size[1], height)
    for level in np.unique(levels):
        rows = levels == level
        near = (down[rows] * above[rows, None]).T @ across[rows]
        left, top, right, bottom = boxes[rows][-1]
        side = np.sqrt((right - left) * (bottom - top))
        heat += near / (down[rows].T @ across[rows]) / side**_SMALL
    heat = np.clip(heat - np.median(heat), 0, None)
    return heat / max(heat.max(), np.finfo(np.float32).tiny)


def _weights(ends: np.ndarray, length: float, cells: int) -> np.ndarray:
    """How much ``p`` windows count for cells along one side: ``(p, cells)``."""
    centres = (np.arange(cells, dtype=np.float32) + 0.5) * (length / cells)
    start, end = ends[:, :1], ends[:, 1:]
    off = (centres - (start + end) / 2) / (_SPREAD * (end - start))
    return np.exp(np.maximum(-off * off / 2, -40))


def _regions(heat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is hot about the peaks that have no higher one in their region.

    Returns:
        ``(n, 4)`` float32 boxes, and ``(n, 2)`` x and y of their peaks, in cells;
        the highest first
    """
    around = cv2.dilate(heat, np.ones((3, 3), np.uint8))
    peaks = np.argwhere((heat == around) & (heat >= _FURTHER))
    peaks = peaks[np.argsort(-heat[tuple(peaks.T)], kind="stable")][:_PEAKS]
    height, width = heat.shape
    boxes, kept, higher = [], [], np.zeros(heat.shape, bool)
    for row, column in peaks:
        hot = (heat >= _HOT * heat[row, column]).astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(hot)
        part = parts[row, column]
        if not higher[parts == part].any():
            boxes.append(stats[part, :4] / [width, height, width, height])
            kept.append([column + 0.5, row + 0.5])
        higher[row, column] = True
    return np.array(boxes, np.float32).reshape(-1, 4), np.reshape(kept, (-1, 2))


def _best_at(
    points: np.ndarray, scores: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """The best score of a window that holds each point: ``(n,)``.

    Args:
        points: ``(n, 2)``, as shares of the image
        scores: ``(p,)``
        boxes: ``(p, 4)``
    """
    points = points[:, None] * boxes[0, 2:]
    inside = (boxes[:, :2] <= points) & (points <= boxes[:, 2:])
    return np.where(inside.all(axis=2), scores, -np.inf).max(axis=1)


def _choose(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices of the boxes that do not overlap a better one, best first."""
    order = np.argsort(-scores, kind="stable")
    left, top, width, height = torch.from_numpy(boxes[order]).T
    corners = torch.stack([left, top, left + width, top + height], dim=1)
    ranks = -torch.arange(len(order), dtype=torch.float32)
    return order[nms(corners, ranks, _OVERLAP).numpy()]
