"""One index, embedded by several processes: what is whose, and what comes last."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import fiftyone as fo

from . import records
from .samples import ids_with
from .steps import Progress

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


def check(dataset: fo.Dataset, brain_key: str, shard: Shard | None) -> None:
    """Checks that a shard can be embedded.

    Raises:
        ValueError: if it is no shard, or the space of the index is not there yet
    """
    if shard is None:
        return
    i, n = shard
    if not 0 <= i < n:
        raise ValueError(f"shard={shard}: give (i, n), i from 0 to n - 1")
    if records.read(dataset, brain_key) is None:
        raise ValueError(
            f"{brain_key!r} has no embedding space yet, and shards that each fit one "
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


def is_last(
    dataset: fo.Dataset,
    items: Sequence[tuple[str, str]],
    fields: Sequence[str],
) -> bool:
    """Whether every image has a value in one of the fields: a vector, or an error."""
    done = set().union(*(ids_with(dataset, field) for field in fields))
    return all(id in done for id, _ in items)


def prepared(
    dataset: fo.Dataset, brain_key: str, opening: Generator[Progress, None, object]
) -> Generator[Progress, None, Prepared]:
    """Opens the space of an index, which fits its fuser where it is new."""
    started = time.monotonic()
    yield from opening
    record = records.read(dataset, brain_key)
    return Prepared(
        brain_key=brain_key,
        space=record.space,
        fuser=record.fuser,
        reason=record.reason,
        seconds=time.monotonic() - started,
    )
