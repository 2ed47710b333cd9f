"""Windows of an image that comes row by row: no more of it is kept than they need.

Each window is cut from a copy of the image that is two to four times as large as its
patch needs. The copies, each half of the one before, are made of the rows as they
come, and rows go once no window below needs them. A copy that is small enough is kept
whole: of it are the largest windows, and the whole image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

_KEPT = 2**24  # pixels of the copy that is kept whole
_SPARE = 2  # sides of a patch that a window has on the copy it is cut from, at least


def factors(windows: np.ndarray, size: int) -> np.ndarray:
    """By how much the copy may be smaller that each window is cut from: powers of two.

    Args:
        windows: ``(n, 4)`` ``x0, y0, x1, y1`` in pixels
        size: of a patch in pixels
    """
    sides = (windows[:, 2:] - windows[:, :2]).max(axis=1)
    return 2 ** np.log2(np.maximum(sides / (_SPARE * size), 1)).astype(int)


def crops(
    bands: Iterable[np.ndarray],
    width: int,
    height: int,
    windows: np.ndarray,
    size: int,
    factor: int = 1,
) -> Iterator[tuple[int, np.ndarray]]:
    """Cuts windows from an image as its rows come.

    Args:
        bands: ``(h, w, 3)`` uint8 RGB, from top to bottom
        width: of the image in pixels
        height: as the width
        windows: ``(n, 4)`` ``x0, y0, x1, y1`` in pixels
        size: of a patch in pixels
        factor (1): by how much smaller than the image the bands are

    Yields:
        the row of a window, and its pixels ``(h, w, 3)``, of a smaller copy of the
        image if the window is large; in the order in which they become known
    """
    last = factor
    while (width // last) * (height // last) > _KEPT:
        last *= 2
    own = np.clip(factors(windows, size), factor, last)
    copy: _Copy | None = None
    for each in reversed([2**i for i in range(20) if factor <= 2**i <= last]):
        rows = np.flatnonzero(own == each)
        copy = _Copy(each, rows, windows[rows], each == last, copy)
    for band in bands:
        yield from copy.add(band)
    yield from copy.finish()


class _Copy:
    """A copy of the image, of which the rows that are still needed are kept.

    Args:
        factor: by how much it is smaller
        rows: of the windows that are cut from it
        windows: these, in pixels of the image
        is_kept: whether its windows are cut when all of it is there
        smaller: the next one, None for the last
    """

    def __init__(
        self, factor: int, rows: np.ndarray, windows: np.ndarray, is_kept: bool,
        smaller: _Copy | None,
    ) -> None:
        low = windows[:, :2] // factor
        high = np.maximum(-(-windows[:, 2:] // factor), low + 1)
        order = np.argsort(high[:, 1], kind="stable")
        boxes = np.concatenate([low, high], axis=1)[order]
        needed = np.minimum.accumulate(boxes[::-1, 1])[::-1]  # the first row, from here
        self._todo = deque(zip(rows[order].tolist(), boxes.tolist(), needed.tolist()))
        self._is_kept, self._smaller = is_kept, smaller
        self._bands: deque[tuple[int, np.ndarray]] = deque()
        self._height = 0
        self._odd: np.ndarray | None = None

    def add(self, band: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Takes the next rows; yields the windows that end in them."""
        if self._todo:
            self._bands.append((self._height, band))
        self._height += len(band)
        if self._smaller is not None:
            if self._odd is not None:
                band = np.concatenate([self._odd, band])
            even = len(band) // 2 * 2
            self._odd = band[even:].copy() if even < len(band) else None
            if even:
                yield from self._smaller.add(_halved(band[:even]))
        if not self._is_kept:
            yield from self._cut(self._height)

    def finish(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the windows that are left once all rows were there."""
        yield from self._cut(None)
        if self._smaller is not None:
            if self._odd is not None:
                odd = np.concatenate([self._odd, self._odd])
                yield from self._smaller.add(_halved(odd))
            yield from self._smaller.finish()

    def _cut(self, height: int | None) -> Iterator[tuple[int, np.ndarray]]:
        while self._todo and (height is None or self._todo[0][1][3] <= height):
            row, box, _ = self._todo.popleft()
            yield row, self._pixels(*box)
        needed = self._todo[0][2] if self._todo else self._height
        while self._bands and _below(self._bands[0]) <= needed:
            self._bands.popleft()

    def _pixels(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        parts = [
            band[max(0, y0 - top) : max(0, y1 - top), x0:x1]
            for top, band in self._bands if top < y1 and top + len(band) > y0
        ]
        return np.concatenate(parts)


def _below(band: tuple[int, np.ndarray]) -> int:
    """The row below a band."""
    return band[0] + len(band[1])


def _halved(band: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; of an odd number of columns, the last stands twice."""
    import cv2  # takes long to load, and is seldom needed

    if band.shape[1] % 2:
        band = np.concatenate([band, band[:, -1:]], axis=1)
    size = band.shape[1] // 2, band.shape[0] // 2
    return cv2.resize(band, size, interpolation=cv2.INTER_AREA)
