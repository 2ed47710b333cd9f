"""Who writes under a brain key: one run, or the shards of one run, at a time.

A lock is an entry in FiftyOne's database. A thread renews it, so that a step may
take as long as it needs.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from pymongo.errors import ConnectionFailure, DuplicateKeyError

from detail_embed.fiftyone_bridge.runs import processes
from detail_embed.fiftyone_bridge.samples.mongo import database_time
from detail_embed.fiftyone_bridge.samples.private_names import dataset_id

logger = logging.getLogger(__name__)

COLLECTION = "detail_embed.locks"
SILENT_AFTER = timedelta(minutes=5)  # a holder on another host is taken for dead
_BEAT = 2.0  # seconds between two renewals
_MISSED = 3  # renewals that did not come, before a holder here is taken for dead
_LEAVE = 2.0  # seconds that the end of a run waits for MongoDB
_held: set[str] = set()  # tokens of the locks that runs of this process hold


class RunLock:
    """The right to write under a brain key of a dataset, as a context manager.

    A run without a shard excludes all others. Runs with different shards of the same
    number hold it together; which of them came to their end is kept with it, see
    :func:`.shards.is_last`. The lock of a process that is gone is taken over, once it
    has not been renewed for 6 seconds: whoever renews it lives.

    Args:
        dataset: the dataset
        brain_key: the key that is written under
        what ("a run"): what is done, for whoever is refused
        shard (None): ``(i, n)``, part ``i`` of ``n``
    """

    def __init__(
        self,
        dataset: fo.Dataset,
        brain_key: str,
        what: str = "a run",
        shard: tuple[int, int] | None = None,
    ):
        self._name = f"{dataset.name!r}, brain key {brain_key!r}"
        self._id = id_of(dataset, brain_key)
        self._shard = shard
        self._what = what
        self._token = uuid.uuid4().hex
        self._ended = threading.Event()
        self._is_lost = False
        self._thread = threading.Thread(
            target=self._keep, args=(open_locks(),), daemon=True
        )

    def __enter__(self) -> RunLock:
        """Takes the lock.

        Raises:
            ValueError: if another run holds it; the message names it
        """
        _held.add(self._token)
        try:
            self._take(open_locks())
        except BaseException:
            _held.discard(self._token)
            raise
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Gives the lock back; where MongoDB is away, as soon as it is there again."""
        _held.discard(self._token)  # the run has ended, whenever the entry goes
        self._ended.set()
        self._thread.join(timeout=_LEAVE)

    def check(self) -> None:
        """Checks that the lock is still held.

        Raises:
            RuntimeError: if another run has taken it over meanwhile
        """
        if self._is_lost:
            raise RuntimeError(
                f"another run took over the lock of {self._name}, because nothing was "
                f"heard of this one for {_minutes(SILENT_AFTER)}: run again when that "
                "one has ended"
            )

    def _take(self, locks: Any) -> None:
        is_free = {"_id": self._id, "holders": {"$not": {"$elemMatch": self._rivals()}}}
        while True:
            _refuse(locks, self._id, self._shard, self._name)
            try:
                locks.update_one(is_free, self._taking(), upsert=True)
                return
            except DuplicateKeyError:  # another was quicker: it is refused by name
                continue

    def _rivals(self) -> dict[str, Any]:
        if self._shard is None:
            return {}
        index, count = self._shard
        return {"$or": [{"count": {"$ne": count}}, {"index": index}]}

    def _taking(self) -> dict[str, Any]:
        """The update that takes the lock: what has begun again has not ended."""
        began = (
            {"$unset": {"ended": ""}} if self._shard is None
            else {"$pull": {"ended": shard_name(self._shard)}}
        )
        return {"$push": {"holders": self._entry()}, **began}

    def _entry(self) -> dict[str, Any]:
        now = database_time()
        index, count = self._shard or (None, None)
        return processes.this_process() | {
            "token": self._token, "what": self._what, "since": now, "beat": now,
            "index": index, "count": count,
        }

    def _keep(self, locks: Any) -> None:
        """Renews the lock until the run has ended, then gives it back."""
        while not self._ended.wait(_BEAT):
            self._try(self._beat, locks)
        while not self._try(self._release, locks):
            time.sleep(1.0)

    def _try(self, action: Callable[[Any], None], locks: Any) -> bool:
        try:
            action(locks)
            return True
        except ConnectionFailure as error:
            logger.debug("the lock of %s was not renewed: %s", self._name, error)
            return False

    def _beat(self, locks: Any) -> None:
        found = locks.update_one(
            {"_id": self._id, "holders.token": self._token},
            {"$currentDate": {"holders.$.beat": True}},
        )
        self._is_lost = not found.matched_count

    def _release(self, locks: Any) -> None:
        _remove(locks, self._id, self._token)


def check_free(
    dataset: fo.Dataset, brain_key: str, shard: tuple[int, int] | None = None
) -> None:
    """Checks that no other run writes under a brain key; takes nothing.

    Raises:
        ValueError: if one does; the message names it
    """
    name = f"{dataset.name!r}, brain key {brain_key!r}"
    _refuse(open_locks(), id_of(dataset, brain_key), shard, name)


def _refuse(
    locks: Any, lock_id: str, shard: tuple[int, int] | None, name: str
) -> None:
    """Raises if a living run is in the way; removes the entries of dead ones."""
    lock = locks.find_one({"_id": lock_id}) or {"holders": []}
    for holder in lock["holders"]:
        if shard is not None and _is_other_part(holder, shard):
            continue
        death = _death(holder, locks)
        if death is None:
            raise ValueError(_message(holder, name))
        logger.warning(
            "Took over the lock of %s from %s: %s", name, _describe(holder), death
        )
        _remove(locks, lock_id, holder["token"])


def _is_other_part(holder: dict[str, Any], shard: tuple[int, int]) -> bool:
    index, count = shard
    return holder["count"] == count and holder["index"] != index


def _death(holder: dict[str, Any], locks: Any) -> str | None:
    """Why a holder is dead, None while it lives."""
    own = processes.this_process()
    if holder["place"] != own["place"]:
        silence = database_time() - holder["beat"]
        heard = f"nothing was heard of it for {_minutes(silence)}"
        return heard if silence > SILENT_AFTER else None
    if {key: holder[key] for key in own} == own:
        return None if holder["token"] in _held else "its run has ended"
    is_dead = processes.is_gone(holder["pid"], holder["born"]) and not _is_renewed(
        holder, locks
    )
    return "that process is gone" if is_dead else None


def _is_renewed(holder: dict[str, Any], locks: Any) -> bool:
    """Whether a holder renews its entry; waits until three renewals are missed."""
    patience = _MISSED * timedelta(seconds=_BEAT)
    mine = {"holders": {"$elemMatch": {"token": holder["token"]}}}
    while (left := patience - (database_time() - holder["beat"])) > timedelta(0):
        time.sleep(min(left.total_seconds(), _BEAT / 2))
        found = locks.find_one(mine, {"holders.$": True})
        if found and found["holders"][0]["beat"] > holder["beat"]:
            return True
    return False


def _message(holder: dict[str, Any], name: str) -> str:
    here = holder["place"] == processes.place()
    wait = "" if here else (
        f". If it was killed there, wait {_minutes(SILENT_AFTER)} after its end"
    )
    return (
        f"{name} is being written by {_describe(holder)}. Wait until that has ended, "
        f"or end that process, then run again: what it has done is kept{wait}"
    )


def _describe(holder: dict[str, Any]) -> str:
    since = holder["since"].strftime("%Y-%m-%d %H:%M:%S UTC")
    part = "" if holder["count"] is None else (
        f" (shard {holder['index']} of {holder['count']})"
    )
    return (
        f"{holder['what']}{part} of process {holder['pid']} on {holder['place'][0]} "
        f"since {since}"
    )


def open_locks() -> Any:
    """The locks in the database: ``_id``, ``holders``, and ``ended`` shards."""
    return foo.get_db_conn()[COLLECTION]


def id_of(dataset: fo.Dataset, brain_key: str) -> str:
    """Names the lock of a brain key; a dataset may be renamed meanwhile."""
    return f"{dataset_id(dataset)}/{brain_key}"


def shard_name(shard: tuple[int, int]) -> str:
    """Names a shard among those that ended."""
    return "{}/{}".format(*shard)


def _remove(locks: Any, lock_id: str, token: str) -> None:
    locks.update_one({"_id": lock_id}, {"$pull": {"holders": {"token": token}}})
    locks.delete_one({"_id": lock_id, "holders": [], "ended.0": {"$exists": False}})


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} minutes"
