"""A MongoDB that goes away while a run goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import ParamSpec, TypeVar

import fiftyone.core.odm as foodm
from pymongo.errors import ConnectionFailure

logger = logging.getLogger(__name__)

WAIT = 60.0  # seconds
MODIFIED = "last_modified_at"  # FiftyOne's own field, by the database's clock
_PAUSE = 1.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


def patiently(
    action: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Does something in the database; waits up to a minute for one that is away.

    Args:
        action: what may be done twice without harm, as it may have come through
        *args: its arguments
        **kwargs: its arguments

    Raises:
        pymongo.errors.ConnectionFailure: if MongoDB stays away
    """
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return action(*args, **kwargs)
        except ConnectionFailure as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            logger.warning(
                "MongoDB does not answer: waiting for it, %.0f s at most (%.100s)",
                left, error,
            )
            time.sleep(_PAUSE)


def database_time() -> datetime:
    """The time by the database's clock, the same for all hosts: UTC, without a zone."""
    now: datetime = foodm.get_db_conn().command("hello")["localTime"]
    return now.replace(tzinfo=None)


@contextmanager
def explained() -> Iterator[None]:
    """Says what to do where MongoDB stays away.

    Raises:
        RuntimeError: in place of a ``ConnectionFailure`` within
    """
    try:
        yield
    except ConnectionFailure as error:
        raise RuntimeError(
            "MongoDB, where FiftyOne keeps its datasets, does not answer "
            f"({str(error):.200}). What was written before is kept. Start it again "
            "(FiftyOne starts its own with the next Python process or App), then run "
            "this again: it goes on where it stopped. FiftyOne's own MongoDB is shared "
            "by all your processes, and goes with the folder of the one that started "
            "it: a mongod that you name by FIFTYONE_DATABASE_URI does not"
        ) from error
