"""Farthest first: vectors that leave no other one far from all of them.

Each next vector is the one that is farthest from those chosen so far (Gonzalez 1985,
"Clustering to minimize the maximum intercluster distance"): no other choice of as many
can have less than half of its Euclidean radius.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

SAME = 1e-6  # cosine distances of float32 below this are 0
_BLOCK = 4096  # of the farthest vectors, among which the next ones are chosen
_COLUMNS = 256  # of a product with all vectors


class Cover:
    """How near each vector is to the nearest one that was chosen.

    Args:
        matrix: ``(n, d)`` float32, unit length

    Attributes:
        chosen: places of vectors, in the order in which they were chosen
    """

    def __init__(self, matrix: np.ndarray):
        self.chosen: list[int] = []
        self._matrix = matrix
        self._nearest = np.full(len(matrix), -np.inf, np.float32)  # cosines

    @property
    def radius(self) -> float:
        """The largest cosine distance of a vector and the nearest chosen one."""
        return _radius(self._nearest)

    def add(self, vectors: np.ndarray) -> Iterator[int]:
        """Counts vectors as chosen that may be none of these.

        Args:
            vectors: ``(m, d)`` float32, unit length

        Yields:
            how many are counted
        """
        for start in range(0, len(vectors), _COLUMNS):
            some = vectors[start : start + _COLUMNS]
            cosines = (self._matrix @ some.T).max(1)
            np.maximum(self._nearest, cosines, out=self._nearest)
            yield start + len(some)

    def choose(self, places: Sequence[int]) -> None:
        """Chooses vectors."""
        for _ in self.add(self._matrix[places]):
            pass
        self._nearest[places] = np.inf  # never again
        self.chosen += places

    def farthest_first(self, n: int, distance: float) -> Iterator[int]:
        """Chooses until ``n`` are chosen, or all are within a distance of one.

        The first of all is the one in the middle. The next ones are found among the
        farthest few thousand, for as long as none of the others can be farther: so all
        vectors are compared with many new ones at once, and each is exactly the
        farthest.

        Args:
            n: vectors to choose, at most all
            distance: cosine distance; below 0 for never

        Yields:
            how many are chosen
        """
        if np.isneginf(self._nearest).all():
            middle = self._matrix.mean(axis=0)
            self.choose([_lowest(-(self._matrix @ middle))])
        while len(self.chosen) < n and self.radius > distance:
            self.choose(self._next(n - len(self.chosen), distance))
            yield len(self.chosen)

    def _next(self, most: int, distance: float) -> list[int]:
        size = min(_BLOCK, len(self._nearest))
        order = np.argpartition(self._nearest, size - 1)
        outside = self._nearest[order[size:]].min(initial=np.inf)
        block = np.sort(order[:size])
        nearest, rows, found = self._nearest[block], self._matrix[block], []
        while (
            len(found) < most
            and nearest.min() <= outside
            and _radius(nearest) > distance
        ):
            place = _lowest(nearest)
            found.append(int(block[place]))
            nearest = np.maximum(nearest, rows @ rows[place])
            nearest[place] = np.inf
        return found

    def in_turn(self, rankings: Sequence[np.ndarray], n: int, among: int) -> None:
        """Chooses from rankings in turn, each time the farthest of the best ones left.

        Args:
            rankings: places of all vectors, best first, one array for each
            n: vectors to choose, at most all
            among: of how many best ones that are left, the farthest is taken
        """
        tops = [ranking[: n + among] for ranking in rankings]
        places = np.unique(np.concatenate(tops))
        tops = [np.searchsorted(places, top) for top in tops]
        nearest, rows = self._nearest[places], self._matrix[places]
        is_left, found = np.ones(len(places), bool), []
        while len(found) < n:
            top = tops[len(found) % len(tops)]
            best = top[is_left[top]][:among]
            place = best[_lowest(nearest[best])]
            found.append(int(places[place]))
            is_left[place] = False
            nearest = np.maximum(nearest, rows @ rows[place])
        self.choose(found)


def _radius(nearest: np.ndarray) -> float:
    return 1 - min(1.0, float(nearest.min()))


def _lowest(cosines: np.ndarray) -> int:
    """The first place of the lowest one; what rounding sets apart is equal."""
    return int(np.argmax(cosines <= cosines.min() + SAME))
