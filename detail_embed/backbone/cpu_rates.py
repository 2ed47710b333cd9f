"""How fast each way to run a tower was on this machine, kept for the next process."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from detail_embed.storage.whole_files import write_whole

logger = logging.getLogger(__name__)

_known: dict[str, Mapping[str, float]] = {}  # of this process


def recall(key: str, ways: Sequence[str]) -> Mapping[str, float] | None:
    """The rates of ways, if they were measured.

    Args:
        key: names the model, the ways and the machine
        ways: all of which are wanted
    """
    if key not in _known:
        try:
            kept = json.loads(path().read_text("utf-8"))[key]
            _known[key] = {way: float(kept[way]) for way in ways}
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return _known[key]


def remember(key: str, rates: Mapping[str, float], for_others: bool) -> None:
    """Keeps rates, so that the next model, too, takes the same way at once.

    Args:
        key: see :func:`recall`
        rates: of the ways
        for_others: whether other processes, too, shall take them from now on
    """
    _known[key] = rates
    if not for_others:
        logger.info("measured on a busy machine, so not kept: %s", dict(rates))
        return
    try:
        held = json.loads(path().read_text("utf-8")) if path().exists() else {}
        path().parent.mkdir(parents=True, exist_ok=True)
        write_whole(path(), json.dumps({**held, key: dict(rates)}, indent=1))
    except (OSError, ValueError, TypeError) as error:  # it only saves time
        logger.info("the fastest way of this CPU cannot be kept: %s", error)


def path() -> Path:
    """The file of rates; it need not exist."""
    from detail_embed.storage.user_folders import cache_directory

    return cache_directory() / "cpu-ways.json"
