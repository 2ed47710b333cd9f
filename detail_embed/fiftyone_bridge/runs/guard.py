"""What stands around a run that writes: a lock, SIGTERM, a database that goes away."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from types import FrameType

import fiftyone as fo

from detail_embed.fiftyone_bridge.runs.lock import RunLock
from detail_embed.fiftyone_bridge.runs.run import Progress, Result
from detail_embed.fiftyone_bridge.samples.mongo import explained

logger = logging.getLogger(__name__)


def under_lock(
    dataset: fo.Dataset,
    brain_key: str,
    what: str,
    work: Generator[Progress, None, Result],
    shard: tuple[int, int] | None = None,
) -> Generator[Progress, None, Result]:
    """Does a run that no other run under the brain key shall disturb.

    Args:
        dataset: the dataset
        brain_key: the key that is written under
        what: what is done, for whoever is refused meanwhile
        work: the run; it is closed however this ends
        shard (None): ``(i, n)``, part ``i`` of ``n``

    Raises:
        ValueError: if another run holds the brain key
        RuntimeError: if MongoDB stays away, or the lock was lost
    """
    with explained(), RunLock(dataset, brain_key, what, shard) as lock:
        with stopping_on_sigterm(), closing(work):
            while True:
                lock.check()
                try:
                    step = next(work)
                except StopIteration as end:
                    return end.value
                yield step


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Makes SIGTERM end the main thread as Ctrl+C does: what is open is closed.

    Where a program handles SIGTERM itself, and in other threads, nothing changes.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        if is_ours and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    logger.warning(
        "Stopped by SIGTERM: the vectors that were written are kept. Run this again: "
        "it goes on where it stopped"
    )
    raise SystemExit(128 + number)
