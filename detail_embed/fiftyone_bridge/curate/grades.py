"""Near duplicates in grades, each with the best of its files kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAME, CLOSE, RELATED = "same", "close", "related"
LIMITS = {SAME: 0.05, CLOSE: 0.15, RELATED: 0.3}  # see docs/results/near-duplicates.md
_ROUNDING = 1e-6  # of cosine distances in float32
_BLOCK = 512  # images that are compared at a time


@dataclass(frozen=True)
class Duplicate:
    """An image that is like a better one.

    Attributes:
        row: of the image
        kept: row of the better one
        distance: of the two, a cosine distance
        grade: how like they are
    """

    row: int
    kept: int
    distance: float
    grade: str


def find_duplicates(
    matrix: np.ndarray, contents: Sequence[str | None], threshold: float
) -> list[Duplicate]:
    """Finds the images that are like a better one, by their vectors and contents.

    What is the same is found first, and of it only the best image goes on to be
    compared for what is close, and so on. So of the same images one is left, and of
    close ones one, however many related ones there are. In each grade an image is
    either kept, or like a kept one that is better: nothing is linked in chains.

    Args:
        matrix: ``(n, d)`` float32, unit length, of the images, the best file first
        contents: of the files; what is equal is the same, None is not known
        threshold: the largest cosine distance

    Returns:
        those that could go, the closest grade first; and in the order of the images
    """
    found, rows, low = [], np.arange(len(matrix)), -np.inf
    for grade, limit in LIMITS.items():
        if threshold <= low:
            break
        twins = _twins(contents) if grade == SAME else {}
        low = limit
        reach = threshold if grade == RELATED else min(limit, threshold)
        kept = _lead(matrix[rows], reach, twins)
        places = np.flatnonzero(kept != np.arange(len(rows)))
        for row, better in zip(rows[places].tolist(), rows[kept[places]].tolist()):
            distance = max(0.0, 1 - float(matrix[row] @ matrix[better]))
            found.append(Duplicate(row, better, distance, grade))
        rows = np.delete(rows, places)
    return found


def _twins(contents: Sequence[str | None]) -> dict[int, int]:
    """The first row with the same content, for each later one."""
    first: dict[str, int] = {}
    rows = enumerate(contents)
    known = {row: first.setdefault(content, row) for row, content in rows if content}
    return {row: one for row, one in known.items() if row != one}


def _lead(matrix: np.ndarray, limit: float, twins: dict[int, int]) -> np.ndarray:
    """For each row the nearest kept row before it, within a distance; else itself."""
    leader, rows, vectors = np.arange(len(matrix)), [], np.empty_like(matrix)
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK]
        known, among = len(rows), block @ block.T
        cosines = np.empty((len(block), known + len(block)), np.float32)
        cosines[:, :known] = block @ vectors[:known].T
        for place, row in enumerate(range(start, start + len(block))):
            to_kept = cosines[place, : len(rows)]
            if row in twins:
                leader[row] = leader[twins[row]]
            elif 1 - to_kept.max(initial=-np.inf) <= limit + _ROUNDING:
                leader[row] = rows[int(to_kept.argmax())]
            else:
                cosines[:, len(rows)] = among[:, place]
                vectors[len(rows)] = matrix[row]
                rows.append(row)
    return leader
