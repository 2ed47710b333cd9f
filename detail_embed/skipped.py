"""Files that could not be embedded: what is known of them, and how much is logged."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_LOGGED = 20


@dataclass(frozen=True)
class EmbedError:
    """A file that could not be embedded.

    Attributes:
        id: of the item
        path: of the file
        reason: why, in words
    """

    id: Hashable
    path: str
    reason: str


class SkipLog:
    """Logs the first 20 files of a run as warnings, the others as debug messages."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, errors: Iterable[EmbedError]) -> None:
        """Logs files."""
        for error in errors:
            self._count += 1
            level = logging.WARNING if self._count <= _LOGGED else logging.DEBUG
            logger.log(level, "Skipped %r: %s", error.path, error.reason)
            if self._count == _LOGGED:
                logger.warning("Further files that cannot be read are not logged")
