"""Images that lie on their side, as EXIF says: places in them as they are stored."""

from __future__ import annotations

import numpy as np
from PIL import Image

from detail_embed.images.decode import UPRIGHT

_ACROSS = 5  # this orientation and the next: width and height change places


def turned(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """The size of an image that is turned."""
    return size[::-1] if turn >= _ACROSS else size


def as_stored(boxes: np.ndarray, size: tuple[int, int], turn: int) -> np.ndarray:
    """Where boxes of the upright image are in the stored one.

    Args:
        boxes: ``(n, 4)`` ``x0, y0, x1, y1`` in pixels
        size: width and height of the upright image
        turn: orientation, 1 to 8, as in EXIF

    Returns:
        ``(n, 4)``
    """
    x0, y0, x1, y1 = np.moveaxis(np.asarray(boxes), -1, 0)
    width, height = size
    if turn in (2, 3, 6, 7):
        x0, x1 = width - x1, width - x0
    if turn in (3, 4, 7, 8):
        y0, y1 = height - y1, height - y0
    sides = (y0, x0, y1, x1) if turn >= _ACROSS else (x0, y0, x1, y1)
    return np.stack(sides, axis=-1)


def upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Turns ``(h, w, 3)`` uint8 pixels of a stored image."""
    way = UPRIGHT.get(turn)
    if way is None:
        return pixels
    return np.array(Image.fromarray(np.ascontiguousarray(pixels)).transpose(way))
