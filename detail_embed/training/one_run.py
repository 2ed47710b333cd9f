"""One training at a time in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def one_run(folder: Path, what: str, anew: bool = False) -> Iterator[None]:
    """Keeps others from the same training, in any process; a kill ends it, too.

    Args:
        folder: of the training; a file beside it is the lock
        what: is trained, for the message, such as ``"a fuser called 'mine'"``
        anew (False): whether to forget what an earlier run would go on from

    Raises:
        ValueError: if another run trains it now
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{what} is being trained by another run: wait for it, or choose another "
            "name"
        ) from None
    try:
        if anew:
            shutil.rmtree(folder, ignore_errors=True)
        yield
    finally:
        lock.release()
