"""The settings that no other one beats, and where more begins to pay less."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks._frontier.points import Point


def undominated(points: Sequence[Point]) -> list[Point]:
    """Those for which no other finds as much with as few patches and bytes."""
    return [p for p in points if not any(_beats(q, p) for q in points)]


def frontier(points: Sequence[Point], cost: Callable[[Point], float]) -> list[Point]:
    """From cheap to dear, each one that finds more than all that cost no more."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (cost(p), -p.quality)):
        if not found or point.quality > found[-1].quality:
            found.append(point)
    return found


def knee(line: Sequence[Point], cost: Callable[[Point], float]) -> Point:
    """The point that lies farthest above the line from the first to the last.

    Cost and quality are scaled to 0..1 between the two ("Kneedle", Satopaa and others
    2011).
    """
    x = np.array([cost(p) for p in line], dtype=float)
    y = np.array([p.quality for p in line])
    if len(line) < 3:
        return line[-1]
    above = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
    return line[int(above.argmax())]


def _beats(one: Point, other: Point) -> bool:
    first, second = (
        (p.patches, p.bytes, -p.quality) for p in (one, other)
    )
    return first != second and all(a <= b for a, b in zip(first, second))
