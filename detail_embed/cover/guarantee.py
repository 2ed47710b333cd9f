"""What the windows of a cover are certain to find."""

import dataclasses
from collections.abc import Iterable
from fractions import Fraction

import numpy as np


@dataclasses.dataclass(frozen=True)
class Guarantee:
    """What one level of a cover is certain to find.

    Every object whose side is in ``(larger_than, object_side]``, wherever it
    is, lies wholly inside a window of side ``window`` and fills more than
    ``fill`` of the window's side. All but ``fill`` are fractions of the image's
    short side; an object's side is the longer side of its bounding box.

    Attributes:
        level: the level's ``m``
        larger_than: a smaller level takes care of objects up to this side
        object_side: largest side of which the statement holds
        window: side of the window: ``level / c``, or of whole pixels where the
            guarantee is that of one image
        fill: ``larger_than / window``
    """

    level: int
    larger_than: float
    object_side: float
    window: float
    fill: float


def chain(
    levels: Iterable[tuple[int, Fraction, Fraction]],
) -> tuple[Guarantee, ...]:
    """Makes rows of levels, leaving out those that hold nothing more.

    Args:
        levels: from small to large windows: ``m``, the largest object held
            wherever it is, and the window's side
    """
    rows, larger_than = [], Fraction(0)
    for m, held, window in levels:
        if held > larger_than:
            sides = larger_than, held, window, larger_than / window
            rows.append(Guarantee(m, *map(float, sides)))
            larger_than = held
    return tuple(rows)


def in_pixels(
    m: int, boxes: np.ndarray, full: tuple[int, int]
) -> tuple[int, Fraction, Fraction]:
    """Measures a level by its boxes: what ``chain()`` takes.

    Args:
        m: the level
        boxes: ``(n, 4)``, all pairs of its intervals along x and along y
        full: what counts as 1 along x and along y, in pixels
    """
    held, windows = [], []
    for axis, total in enumerate(full):
        start, end = np.unique(boxes[:, [axis, axis + 2]], axis=0).T
        # of whole pixels: neighbours that only touch still hold one pixel
        inside = min([*(end - start), *(end[:-1] - start[1:] + 1)])
        held.append(Fraction(int(inside), total))
        windows.append(Fraction(int((end - start).max()), total))
    return m, min(held), max(windows)
