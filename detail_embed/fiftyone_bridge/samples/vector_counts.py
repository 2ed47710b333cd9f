"""How many images have vectors, by field: one pass over the samples, then memory."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.utils as fou

from detail_embed.fiftyone_bridge.samples import changes
from detail_embed.fiftyone_bridge.samples.frames import Home, documents_of
from detail_embed.fiftyone_bridge.samples.mongo import database_time

logger = logging.getLogger(__name__)

_DATASETS = 4  # whose counts are kept in memory
_SETTLED = datetime.timedelta(seconds=30)
_AGAIN = 2.0  # seconds after which what may be half written is counted again
_memory: dict[Hashable, _Known] = {}
_lock = threading.Lock()
_FEW = 20_000  # images that are counted in no time
_counting: dict[Hashable, _Counting] = {}
_starting = threading.Lock()


@dataclass(frozen=True)
class Count:
    """What a field of vectors holds.

    Attributes:
        images: that have a vector
        vectors: of all images together
        dim: d of a vector; None where there is none
    """

    images: int
    vectors: int
    dim: int | None

    @property
    def num_bytes(self) -> int:
        """What the vectors take as float32."""
        return 4 * self.vectors * (self.dim or 0)


@dataclass(frozen=True)
class _Known:
    """Counts of a dataset, when they were taken, and whether it was at rest."""

    counts: dict[str, Count]
    taken: float
    is_final: bool


def count(home: Home, paths: Sequence[str]) -> dict[str, Count]:
    """Counts the vectors of fields; paths that were counted are taken from memory.

    They are counted anew after every write. A write that goes on may be seen half:
    until the last one is 30 seconds old, counts are kept for 2 seconds only.

    Args:
        home: where the images are
        paths: fields of vectors, ``"field"`` or ``"field.detections.attribute"``
    """
    state, is_settled = _state(home)
    now = time.monotonic()
    with _lock:
        known = _memory.pop(state, None)
        if known is None or not (known.is_final or now - known.taken < _AGAIN):
            known = _Known({}, now, is_settled)
        todo = [path for path in paths if path not in known.counts]
        if todo:
            known.counts.update(_count(home, todo))
        _memory[state] = known
        while len(_memory) > _DATASETS:
            del _memory[next(iter(_memory))]
        return {path: known.counts[path] for path in paths}


def count_in_time(
    home: Home, paths: Sequence[str], seconds: float
) -> dict[str, Count] | dict[str, None]:
    """As :func:`count`, but who asks does not wait for long.

    Of many images the counting goes on in another thread: ask again later.

    Args:
        home: see :func:`count`
        paths: likewise
        seconds: after which None is given for every path
    """
    samples = documents_of(home)
    if samples.estimated_document_count() <= _FEW:
        return count(home, paths)
    key = samples.name, *paths
    with _starting:
        known = _counting.get(key)
        if known is None or not known.is_alive():
            known = _counting[key] = _Counting(home, paths)
            known.start()
    known.join(seconds)
    with _starting:
        if not known.is_alive() and _counting.get(key) is known:
            del _counting[key]
    return known.counts or dict.fromkeys(paths)


class _Counting(threading.Thread):
    """Counts, and has the result when it has ended; None after an error."""

    def __init__(self, home: Home, paths: Sequence[str]):
        super().__init__(daemon=True)
        self.counts: dict[str, Count] | None = None
        self._asked = home, paths

    def run(self) -> None:
        try:
            self.counts = count(*self._asked)
        except Exception:
            logger.warning("the vectors could not be counted", exc_info=True)


def _state(home: Home) -> tuple[Hashable, bool]:
    """What changes when vectors do, and whether the last change is some time ago."""
    state = documents_of(home).name, changes.mark(home)
    latest = changes.latest(home)
    is_settled = latest is None or database_time() - latest > _SETTLED
    return state, is_settled


def _count(home: Home, paths: Sequence[str]) -> dict[str, Count]:
    group: dict[str, Any] = {"_id": None}
    for i, path in enumerate(paths):
        value, some = f"${path}", {"$max": f"${path}"}  # of a list: one that is there
        has = {"$cond": [{"$gt": [some, None]}, 1, 0]}
        size = {"$cond": [{"$isArray": value}, {"$size": value}, has]}
        group |= {
            f"images{i}": {"$sum": has},
            f"vectors{i}": {"$sum": size},
            f"some{i}": {"$max": some},
        }
    found = next(documents_of(home).aggregate([{"$group": group}]), None)
    if found is None:
        return dict.fromkeys(paths, Count(0, 0, None))
    return {
        path: Count(found[f"images{i}"], found[f"vectors{i}"], _dim(found[f"some{i}"]))
        for i, path in enumerate(paths)
    }


def _dim(value: Any) -> int | None:
    is_vector = isinstance(value, bytes)
    return len(fou.deserialize_numpy_array(value)) if is_vector else None
