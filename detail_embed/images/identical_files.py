"""Files with the same content as one shortly before: found, and embedded once."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

_Outcome = TypeVar("_Outcome")


class RecentFiles:
    """Which of the last files had which content; for several threads.

    Args:
        window: how many files back one is remembered
    """

    def __init__(self, window: int):
        self._window = window
        self._indexes: dict[str, int] = {}
        self._lock = threading.Lock()

    def find(self, digest: str | None, index: int) -> int | None:
        """Looks for an earlier file with the same content, and remembers this one.

        Args:
            digest: of the content; None where it is not known
            index: of the file; those of neighbours may come in any order

        Returns:
            the index of the file, at most ``window`` before; None where there is none
        """
        if digest is None:
            return None
        with self._lock:
            found = self._indexes.pop(digest, index)
            self._indexes[digest] = max(found, index)
            if len(self._indexes) > self._window:
                del self._indexes[next(iter(self._indexes))]
        return found if 0 < index - found <= self._window else None


class Outcomes(Generic[_Outcome]):
    """What became of the last images, for those that are the same again.

    Args:
        window: as of :class:`RecentFiles`
    """

    def __init__(self, window: int):
        self._window = window
        self._count = 0
        self._kept: dict[int, _Outcome] = {}

    def complete(
        self, fresh: Iterable[_Outcome], same_as: Iterable[int | None]
    ) -> list[_Outcome]:
        """Adds the outcomes of twins to those of the images that were encoded.

        Args:
            fresh: outcomes of the images that are no twins, in their order
            same_as: of all images, which one they are a twin of, None for none

        Returns:
            the outcomes of all images
        """
        fresh = iter(fresh)
        everything = []
        for twin_of in same_as:
            outcome = next(fresh) if twin_of is None else self._kept[twin_of]
            everything.append(outcome)
            self._kept[self._count] = outcome
            self._kept.pop(self._count - self._window, None)
            self._count += 1
        return everything
