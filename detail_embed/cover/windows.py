"""Evenly spaced square windows, level by level."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

MAX_WINDOWS = 4096
HUGE_WINDOWS = 8192  # of an image that is too large to be decoded at once


def windows_per_side(c: int, m: int) -> int:
    """The authors' number of windows of side ``m/c`` along one side."""
    if m == c:
        return 1
    return c if m == 1 else c // m + 1


def kept_levels(c: int) -> list[int]:
    """Levels from large to small; of equal window counts, only the smallest."""
    return list({windows_per_side(c, m): m for m in range(c, 0, -1)}.values())


def exact_gap(c: int, m: int, short: int) -> Fraction:
    """Exact distance in pixels of neighbours at level ``m``, even spacing."""
    if c == 1:
        return Fraction(short, 2)
    if m == c:
        m = kept_levels(c)[1]
    return Fraction(short - _side(c, m, short), windows_per_side(c, m) - 1)


def _side(c: int, m: int, short: int) -> int:
    return -(-m * short // c)


def even_windows(
    c: int, width: int, height: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields level and ``(n, 2)`` start-end intervals along x and along y.

    Neighbours are never less than a pixel apart, hence all distinct. Of levels
    whose windows have the same number of pixels the finest remains; windows as
    large as the image are left out.
    """
    short = min(width, height)
    for side, m in {_side(c, m, short): m for m in kept_levels(c)}.items():
        if side < max(width, height):
            gap = max(exact_gap(c, m, short), Fraction(1))
            if side == short:
                gap = max(gap, _gap_of_most(max(width, height), side))
            yield m, _spread(width, side, gap), _spread(height, side, gap)


def _gap_of_most(total: int, side: int) -> Fraction:
    """Distance of as many neighbours as may be, or edge to edge: the smaller."""
    return min(Fraction(total - side, MAX_WINDOWS - 2), Fraction(side))


def _spread(total: int, side: int, gap: Fraction) -> np.ndarray:
    """Intervals of length ``side``, evenly from 0 to ``total``: ``(n, 2)``.

    As many as keep neighbours at most ``gap`` apart, before rounding to pixels.
    """
    last = total - side
    steps = math.ceil(last / gap)
    i = np.arange(steps + 1, dtype=np.int64)
    starts = (2 * i * last + steps) // max(2 * steps, 1)
    return np.stack([starts, starts + side], axis=1)


def finest(least: int, most: int, width: int, height: int) -> int:
    """The largest c whose even windows are no more than ``HUGE_WINDOWS``.

    Args:
        least: of c, which is not checked
        most: of c
        width: of the image in pixels
        height: as the width
    """
    short = min(width, height)
    most = min(most, math.isqrt(HUGE_WINDOWS * short // max(width, height)) + 1)
    for c in range(most, least, -1):
        levels = even_windows(c, width, height)
        if sum(len(x) * len(y) for _, x, y in levels) < HUGE_WINDOWS:
            return c
    return least


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


def grid(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """All pairs of intervals, row by row: ``(len(y) * len(x), 4)`` boxes."""
    rows, columns = np.repeat(y, len(x), axis=0), np.tile(x, (len(y), 1))
    return np.stack([columns[:, 0], rows[:, 0], columns[:, 1], rows[:, 1]], axis=1)
