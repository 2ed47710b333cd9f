"""The windows of the authors' own Complete Cover, for comparison.

As in the code of "Injecting Image Details into CLIP's Feature Space" (arXiv
2208.14649): strides overlap by ``m - 1`` pixels and the last window is pushed
back inside, so that the overlap is piled up at the right and bottom edge.
"""

from collections.abc import Iterator

import numpy as np


def authors_windows(
    c: int, width: int, height: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields each kept level and its windows along x and along y, large to small.

    Args:
        c: the cover's parameter
        width: the image's width in pixels
        height: the image's height in pixels

    Yields:
        ``(m, x, y)``: the level, below ``c``, and ``(n, 2)`` int64 start-end
        intervals along each side, in pixels
    """
    levels = {}
    for m in range(c - 1, 0, -1):
        x, y = (_intervals(c, m, total) for total in (width, height))
        levels[len(x) * len(y)] = (m, x, y)
    yield from sorted(levels.values(), key=lambda level: -level[0])


def _intervals(c: int, m: int, total: int) -> np.ndarray:
    """The authors' windows of level ``m`` along one side of ``total`` pixels."""
    unit = -(-total // c)
    stretched, side, stride = c * unit, m * unit, m * unit - (m - 1)
    last = stretched - side
    starts = np.minimum(np.arange(-(-last // stride) + 1) * stride, last)
    ends = -(-(starts + side) * total // stretched)
    return np.stack([starts * total // stretched, ends], axis=1)
