"""What belongs to one of our indexes in a data set: brain keys and fields."""

from __future__ import annotations

import fiftyone as fo

from . import records
from .records import Record


def require(dataset: fo.Dataset, brain_key: str, to: str) -> Record:
    """Finds the record of one of our detail indexes.

    Args:
        dataset: the data set
        brain_key: of the index
        to: what is to be done to it, for the message

    Raises:
        ValueError: if the index is another's, or the whole-image index beside ours
    """
    record, is_whole = records.find(dataset, brain_key)
    if is_whole:
        raise ValueError(
            f"{brain_key!r} holds the whole-image vectors of "
            f"{records.base_key(brain_key)!r}: {to} that, and both are done"
        )
    if record is None:
        ours = [*records.read_all(dataset)]
        choice = f"choose one of {ours}" if ours else "compute one first"
        raise ValueError(
            f"brain key {brain_key!r} is no index of detail-embed, so there is nothing "
            f"to {to}; {choice}"
        )
    return record


def has_whole(dataset: fo.Dataset, brain_key: str, record: Record) -> bool:
    """Whether an index of whole images is, or was begun, beside one of ours."""
    key = records.global_key(brain_key)
    is_there = key in dataset.list_brain_runs() or dataset.has_field(
        records.vector_field(key)
    )
    return is_there and records.owns_global(dataset, brain_key, record)


def keys(dataset: fo.Dataset, brain_key: str, record: Record) -> list[str]:
    """The brain keys of an index and of the whole-image index beside it."""
    whole = records.global_key(brain_key)
    owned = records.owns_global(dataset, brain_key, record)
    return [brain_key, whole] if owned else [brain_key]


def fields(brain_key: str, record: Record, known: list[str]) -> list[str]:
    """The fields of an index; they need not exist.

    Args:
        brain_key: of the index
        record: of the index
        known: its :func:`keys`
    """
    return [
        records.index_field(brain_key, record),
        records.error_field(brain_key),
        *map(records.vector_field, known[1:]),
    ]
