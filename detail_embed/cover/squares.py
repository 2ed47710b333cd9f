"""Known boxes as windows: squares of pixels around them, inside the image."""

from __future__ import annotations

import math

import numpy as np

MAX_PADDING = 10.0
_NOISE = 1e-6  # of a pixel: what a share of an image loses as a float

NO_NUMBERS = "its box is not four numbers: it is missing, or holds NaN or infinity"
EMPTY = "its box is empty: its width or height is not above 0"
OUTSIDE = "its box lies outside of the image"
ONE_PIXEL = "its box shows one pixel of the image"


def check_padding(padding: float) -> None:
    """Checks a padding.

    Raises:
        ValueError: if it is no number from 0 to :data:`MAX_PADDING`
    """
    is_number = isinstance(padding, (int, float)) and not isinstance(padding, bool)
    if not is_number or not 0 <= padding <= MAX_PADDING:
        raise ValueError(
            f"padding={padding!r}: give a number from 0 to {MAX_PADDING:g}, the share "
            "of a box's longer side that is added around it"
        )


def square_windows(
    boxes: np.ndarray, width: int, height: int, padding: float
) -> tuple[np.ndarray, list[str | None]]:
    """Makes a window of each box: a square around it, with some of what is beside it.

    What of a box lies outside of the image is cut off first. A square that would leave
    the image is moved back into it; one that is too large for it gives up padding.
    Where not even the box itself fits into a square of the image, as a thing that is
    wider than the image is high, the window is what the image has of the square.

    Args:
        boxes: ``(n, 4)`` left, top, width and height as shares of the image; NaN where
            there is no number
        width: of the image in pixels
        height: as the width
        padding: share of the longer side that is added on each side

    Returns:
        ``(n, 4)`` int64 windows, ``x0, y0, x1, y1`` in pixels, ends exclusive; and for
        each box the reason why it cannot be used, in words, None for a good one
    """
    windows = np.zeros((len(boxes), 4), np.int64)
    reasons: list[str | None] = []
    for row, box in enumerate(np.asarray(boxes, np.float64).reshape(-1, 4)):
        with np.errstate(over="ignore"):
            shown, reason = _shown(box, width, height)
        reasons.append(reason)
        if reason is None:
            windows[row] = _square(shown, width, height, padding)
    return windows, reasons


def _shown(
    box: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, str | None]:
    """What an image shows of a box, ``x0, y0, x1, y1`` in pixels; and what is wrong."""
    if not np.isfinite(box).all():
        return box, NO_NUMBERS
    if (box[2:] <= 0).any():
        return box, EMPTY
    size = np.array([width, height], np.float64)
    low, high = box[:2] * size, (box[:2] + box[2:]) * size
    low, high = np.maximum(low, 0), np.minimum(high, size)
    if (high - low <= _NOISE).any():
        is_inside = (box[:2] < 1).all() and (box[:2] + box[2:] > 0).all()
        return box, ONE_PIXEL if is_inside else OUTSIDE
    if (high - low).max() < 1 + _NOISE:
        return box, ONE_PIXEL
    return np.concatenate([low, high]), None


def _square(
    shown: np.ndarray, width: int, height: int, padding: float
) -> tuple[int, int, int, int]:
    """The window of what is shown of a box, see :func:`square_windows`."""
    low = np.floor(shown[:2] + _NOISE).astype(int)
    high = np.ceil(shown[2:] - _NOISE).astype(int)
    longer = int((high - low).max())
    side = math.ceil(longer * (1 + 2 * padding) - _NOISE)
    side = min(side, max(longer, min(width, height)))
    (x0, x1), (y0, y1) = (
        _along(*ends, side, total)
        for *ends, total in zip(low.tolist(), high.tolist(), (width, height))
    )
    return x0, y0, x1, y1


def _along(low: int, high: int, side: int, total: int) -> tuple[int, int]:
    """The interval of a side around another one, inside of what there is."""
    side = min(side, total)
    start = min(max((low + high - side) // 2, 0), total - side)
    return start, start + side
