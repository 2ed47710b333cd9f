"""Keeps libraries that log to the root logger from giving it a handler."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0


@contextmanager
def untouched_root_log() -> Iterator[None]:
    """Leaves the root logger without a handler where it had none.

    open_clip calls ``logging.info``, which then adds one that stays: all loggers that
    have a handler of their own, as FiftyOne's has, print every line twice from there
    on. Warnings are still printed.
    """
    global _inside
    root, stand_in = logging.getLogger(), logging.lastResort
    with _lock:
        _inside += 1
        if _inside == 1 and not root.handlers and stand_in is not None:
            root.addHandler(stand_in)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and stand_in is not None:
                root.removeHandler(stand_in)
