"""One index, embedded by several processes: what is whose, and what comes last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs import lock as run_lock
from detail_embed.fiftyone_bridge.samples.mongo import patiently

Shard = tuple[int, int]  # i, and n: the i-th of n


@dataclass(frozen=True)
class Prepared:
    """What all shards of a run start from.

    Attributes:
        brain_key: of the index
        space: name of the embedding space, whose fuser is fitted
        fuser: name of the fuser
        reason: why ``fuser="auto"`` chose it; empty for other fusers
        seconds: duration of the run
    """

    brain_key: str
    space: str
    fuser: str
    reason: str
    seconds: float


def check_shard(index: Index, shard: Shard | None) -> None:
    """Checks that a shard can be embedded.

    Raises:
        ValueError: if it is no shard, or the space of the index is not there yet
    """
    if shard is None:
        return
    i, n = shard
    if not 0 <= i < n:
        raise ValueError(f"shard={shard}: give (i, n), i from 0 to n - 1")
    if index.record is None:
        raise ValueError(
            f"{index.key!r} has no embedding space yet, and shards that each fit one "
            "of their own could not be compared: call index.prepare() first"
        )


def mine(
    items: Sequence[tuple[str, str]], shard: Shard | None
) -> list[tuple[str, str]]:
    """The ``(id, path)`` pairs of a shard; which one an id is of never changes."""
    if shard is None:
        return list(items)
    i, n = shard
    return [item for item in items if int(item[0], 16) % n == i]


def is_last(index: Index, shard: Shard | None) -> bool:
    """Notes that a shard, which holds the lock, came to its end.

    Of the shards of a run exactly one is the last, also where several end at the same
    moment, and from then on it holds the lock alone. If it is killed before it has
    called :func:`forget`, it is the last again when it is run again.

    Returns:
        whether all shards have ended, and none has begun again; True for no shard
    """
    if shard is None:
        return True
    i, n = shard
    locks, lock = run_lock.open_locks(), run_lock.id_of(index.dataset, index.key)
    ended = {"ended": run_lock.shard_name(shard)}
    patiently(locks.update_one, {"_id": lock}, {"$addToSet": ended})
    nobody_was_last = {
        "_id": lock,
        "ended": {"$all": [run_lock.shard_name((index, n)) for index in range(n)]},
        "holders": {"$not": {"$elemMatch": {"count": None}}},
    }
    alone = {"holders.$[mine].index": None, "holders.$[mine].count": None}
    mine = [{"mine.index": i, "mine.count": n}]
    claimed = locks.update_one(nobody_was_last, {"$set": alone}, array_filters=mine)
    return claimed.modified_count > 0


def forget(index: Index) -> None:
    """Forgets which shards have ended: all is done, what follows is a new run."""
    lock = {"_id": run_lock.id_of(index.dataset, index.key)}
    patiently(run_lock.open_locks().update_one, lock, {"$unset": {"ended": ""}})
