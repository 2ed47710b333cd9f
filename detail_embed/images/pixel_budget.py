"""A bound on the pixels that wait in memory, whatever the sizes of the images."""

from __future__ import annotations

import threading


class PixelBudget:
    """Lets threads decode as long as there is room, and the one that is waited for.

    Args:
        limit: pixels of all images together; one more image may be in memory
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._held = 0
        self._next = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def take(self, index: int, pixels: int) -> None:
        """Waits until an image has room; called in the order of the indexes."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or index <= self._next
                or self._held + pixels <= self._limit
            )
            self._held += pixels

    def give(self, pixels: int) -> None:
        """Gives the room of images back."""
        with self._changed:
            self._held -= pixels
            self._changed.notify_all()

    def wait_for(self, index: int) -> None:
        """Says which image is waited for: it gets room in any case."""
        with self._changed:
            self._next = index
            self._changed.notify_all()

    def close(self) -> None:
        """Lets everybody go on, as nothing is waited for any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
