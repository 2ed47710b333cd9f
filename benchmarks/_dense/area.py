"""How much each cell of a map counts for a window: by the area that they share."""

from __future__ import annotations

import numpy as np


def weights(windows: np.ndarray, frames: np.ndarray, cells: int) -> np.ndarray:
    """The share of a window that lies in each cell of some frames.

    Where frames overlap, or leave a part of the window out, the shares are of what
    they show of it.

    Args:
        windows: ``(p, 4)`` boxes, ``x0, y0, x1, y1``
        frames: ``(f, 4)`` likewise, each cut into ``cells`` x ``cells`` equal cells
        cells: along one side of a frame

    Returns:
        ``(p, f * cells * cells)`` float32, by frame, row and column; each row sums up
        to 1

    Raises:
        ValueError: if a window shares no area with any frame
    """
    windows, frames = np.asarray(windows, float), np.asarray(frames, float)
    across = _shared(windows[:, [0, 2]], frames[:, [0, 2]], cells)
    down = _shared(windows[:, [1, 3]], frames[:, [1, 3]], cells)
    shared = (down[..., :, None] * across[..., None, :]).reshape(len(windows), -1)
    total = shared.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise ValueError(f"window {int((total <= 0).argmax())} is in no frame")
    return (shared / total).astype(np.float32)


def parts(windows: np.ndarray, cells: int) -> np.ndarray:
    """Cuts windows into ``cells`` x ``cells`` equal boxes.

    Args:
        windows: ``(p, 4)``
        cells: along one side

    Returns:
        ``(p * cells * cells, 4)``, by window, row and column
    """
    windows = np.asarray(windows, float)
    start, size = windows[:, None, :2], windows[:, None, 2:] - windows[:, None, :2]
    rows, columns = np.divmod(np.arange(cells * cells), cells)
    place = np.stack([columns, rows], axis=1)
    corners = [start + size * (place + off) / cells for off in (0, 1)]
    return np.concatenate(corners, axis=2).reshape(-1, 4)


def _shared(windows: np.ndarray, frames: np.ndarray, cells: int) -> np.ndarray:
    """Length that ``(p, 2)`` and the cells of ``(f, 2)`` share: ``(p, f, cells)``."""
    start, end = frames[:, :1], frames[:, 1:]
    edges = start + (end - start) * np.arange(cells + 1) / cells
    low = np.maximum(windows[:, None, None, 0], edges[:, :-1])
    high = np.minimum(windows[:, None, None, 1], edges[:, 1:])
    return np.clip(high - low, 0, None)
