"""How fast a run is of late, and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from detail_embed.fiftyone_bridge.runs.run import Progress

_RECENT = 30.0  # seconds that the rate is of
_USUAL = 300.0  # seconds that it is compared with
_EVERY = 1.0  # seconds between two marks
_DROP = 0.7  # of the usual rate: slower than that is said


class Pace:
    """Progress of images with a rate and a time left that follow the recent speed.

    Args:
        total: number of images
        clock (time.monotonic): seconds
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic):
        self._total = total
        self._clock = clock
        self._marks = deque([(clock(), 0)])

    def report(self, done: int, failed: int = 0) -> Progress:
        """How far it is.

        Args:
            done: images so far, with those that failed
            failed (0): images so far that could not be read
        """
        now = self._clock()
        rate = self._rate(_RECENT, now, done)
        usual = self._rate(_USUAL, now, done)
        self._mark(now, done)
        left = timedelta(seconds=round((self._total - done) / max(rate, 1e-6)))
        unreadable = f", {failed} unreadable" if failed else ""
        was = f" (was {usual:.1f})" if rate < _DROP * usual else ""
        return Progress(
            f"{done} of {self._total} images{unreadable}, {rate:.1f} images/s{was}, "
            f"{left} left",
            done / self._total,
        )

    def _rate(self, span: float, now: float, done: int) -> float:
        """Images per second since the newest mark that is at least so old."""
        since, before = self._marks[0]
        for mark in self._marks:
            if now - mark[0] < span:
                break
            since, before = mark
        return (done - before) / max(now - since, 1e-6)

    def _mark(self, now: float, done: int) -> None:
        if now - self._marks[-1][0] >= _EVERY:
            self._marks.append((now, done))
        while len(self._marks) > 1 and now - self._marks[1][0] >= _USUAL:
            self._marks.popleft()
