"""What has changed in the samples of a dataset, by whatever clock its writer goes.

FiftyOne sets ``last_modified_at`` by the clock of the host that writes, so the latest
of these times does not move when a host whose clock is behind has written.
"""

from __future__ import annotations

import sys
from calendar import timegm
from collections.abc import Hashable, Mapping
from datetime import datetime

from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from detail_embed.fiftyone_bridge.samples.frames import Home, documents_of
from detail_embed.fiftyone_bridge.samples.mongo import MODIFIED

_WRITES = ("insert calls", "modify calls", "remove calls", "update calls")
_PRIME = 1_000_003


def mark(home: Home) -> Hashable:
    """What is another after every write to the samples, whoever has written.

    MongoDB counts the calls that write; where it does not tell their number, the sum
    of all times of changes takes its place, which is read from an index.
    """
    samples = documents_of(home)
    return samples.estimated_document_count(), latest(home), _writes(samples)


def latest(home: Home) -> datetime | None:
    """When the last sample was changed, None where there are none."""
    found = documents_of(home).find_one(
        {}, {MODIFIED: 1}, sort=[(MODIFIED, -1)]
    )
    return (found or {}).get(MODIFIED)


def times(home: Home) -> dict[str, int | None]:
    """When every sample was changed, by id, in ms since 1970."""
    found = documents_of(home).find({}, {MODIFIED: 1})
    return {
        sys.intern(str(one["_id"])): milliseconds(one.get(MODIFIED)) for one in found
    }


def digest(home: Home) -> list[int]:
    """Numbers that are others when a sample was changed, added or deleted since.

    They are made of the times of :func:`times`, but read from FiftyOne's index of
    these, not from the samples: 100,000 take a fraction of a second.
    """
    time = {"$toLong": f"${MODIFIED}"}
    rest = {"$mod": [time, _PRIME]}
    found = documents_of(home).aggregate([
        {"$sort": {MODIFIED: 1}},
        {"$project": {"_id": 0, MODIFIED: 1}},
        {"$group": {
            "_id": None,
            "count": {"$sum": 1},
            "total": {"$sum": time},
            "squares": {"$sum": {"$multiply": [rest, rest]}},
        }},
    ])
    values = next(found, {})
    return [int(values.get(name, 0)) for name in ("count", "total", "squares")]


def milliseconds(time: datetime | None) -> int | None:
    """A time as MongoDB holds it: in ms since 1970; None stays."""
    if time is None:
        return None
    return 1000 * timegm(time.utctimetuple()) + time.microsecond // 1000


def changed(
    before: Mapping[str, int | None], now: Mapping[str, int | None]
) -> list[str]:
    """The ids of samples that are new or were changed between two :func:`times`."""
    nothing = object()
    return [id for id, time in now.items() if before.get(id, nothing) != time]


def _writes(samples: Collection) -> Hashable:
    try:
        return _calls(samples)
    except (OperationFailure, KeyError):  # no right to, or another kind of server
        total = {"_id": None, "total": {"$sum": {"$toLong": f"${MODIFIED}"}}}
        found = next(samples.aggregate([{"$group": total}]), {})
        return found.get("total")


def _calls(samples: Collection) -> Hashable:
    """How often each server was written to, since it was started."""
    hello = samples.database.command("hello")
    servers = samples.aggregate([
        {"$collStats": {"storageStats": {}}},
        {"$project": {"host": 1, "calls": "$storageStats.wiredTiger.cursor"}},
    ])
    counts = [(one["host"], *map(one["calls"].get, _WRITES)) for one in servers]
    return str(hello.get("topologyVersion", {}).get("processId")), *sorted(counts)
