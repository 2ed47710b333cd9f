"""Rows of a file that may hang while they are read."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator
from queue import Empty, SimpleQueue

import numpy as np

from detail_embed.images.in_time import OPTION, hung

_LOOK = 0.1  # seconds
_BUSY = 0.2  # of the time, which a process computes that decodes or encodes


def in_time(
    rows: Generator[np.ndarray, None, None], path: str, seconds: float
) -> Iterator[np.ndarray]:
    """Reads rows in a thread, each array when it is asked for.

    Args:
        rows: a generator of arrays
        path: of the file
        seconds: that one is waited for while this process computes nothing: GDAL
            decodes in threads of its own, which is no time of waiting

    Yields:
        the arrays

    Raises:
        UnreadableImage: if none came in time
        Exception: what reading them raises
    """
    asked, found = SimpleQueue[bool](), SimpleQueue[np.ndarray | BaseException | None]()

    def read() -> None:
        with contextlib.closing(rows):
            while asked.get():
                try:
                    found.put(next(rows, None))
                except BaseException as error:
                    found.put(error)

    threading.Thread(target=read, name="detail-rows", daemon=True).start()
    try:
        while True:
            asked.put(True)
            array = _wait(found, path, seconds)
            if array is None:
                return
            yield array
            del array
    finally:
        asked.put(False)


def _wait(
    found: SimpleQueue[np.ndarray | BaseException | None], path: str, seconds: float
) -> np.ndarray | None:
    waited, computed = 0.0, time.process_time()
    while waited < seconds:
        try:
            one = found.get(timeout=_LOOK)
        except Empty:
            now = time.process_time()
            waited += _LOOK if now - computed < _BUSY * _LOOK else 0.0
            computed = now
        else:
            if isinstance(one, BaseException):
                raise one
            return one
    raise hung(path, seconds, OPTION)
