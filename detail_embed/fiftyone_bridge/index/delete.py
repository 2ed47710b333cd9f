"""Deleting what detail-embed made under a brain key, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import fiftyone as fo

from detail_embed.fiftyone_bridge.index import (
    brain_runs,
    feature_stores,
    names,
    records,
)
from detail_embed.fiftyone_bridge.index import (
    records as index_parts,
)
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.lock import RunLock
from detail_embed.fiftyone_bridge.samples.collection import refresh


def delete(dataset: fo.Dataset, brain_key: str) -> None:
    """Deletes the indexes under a brain key, their vectors and their record.

    Only what detail-embed made; without a record nothing is touched. Patch features
    that no other brain key of the data set uses are deleted, too. The zoo keeps the
    spaces: other data sets may use them.

    Raises:
        ValueError: if a run writes under the brain key; the message names it
    """
    with RunLock(dataset, brain_key, "a deletion"):
        _delete(dataset, brain_key)


def delete_any(dataset: fo.Dataset, brain_key: str) -> None:
    """Deletes the similarity index that somebody named, whoever made it.

    One of ours as :func:`delete` does; the whole-image index beside one of ours with
    its vectors, and nothing else; another's as FiftyOne does: its run, and not the
    field that its vectors may be in.

    Raises:
        ValueError: if there is no such index, or a run writes to it
    """
    with RunLock(dataset, _written_key(dataset, brain_key), "a deletion"):
        refresh(dataset)
        record, is_whole = records.find(dataset, brain_key)
        if record is None:
            brain_runs.check_similarity(dataset, brain_key)
            dataset.delete_brain_run(brain_key)
        elif is_whole:
            _delete_parts(dataset, [brain_key], [names.vector_field(brain_key)])
            alone = replace(record, has_global=False)
            records.write(dataset, names.base_key(brain_key), alone)
        else:
            _delete(dataset, brain_key)


def check(dataset: fo.Dataset, brain_key: str) -> None:
    """Checks that no run writes to an index that shall be deleted.

    Raises:
        ValueError: if one does; the message names it
    """
    lock.check_free(dataset, _written_key(dataset, brain_key))


def _written_key(dataset: fo.Dataset, brain_key: str) -> str:
    """The brain key that runs lock which write to an index."""
    _, is_whole = records.find(dataset, brain_key)
    return names.base_key(brain_key) if is_whole else brain_key


def _delete(dataset: fo.Dataset, brain_key: str) -> None:
    refresh(dataset)
    folder = unshared_features(dataset, brain_key)
    clear(dataset, brain_key)
    feature_stores.delete(dataset, folder)


def unshared_features(dataset: fo.Dataset, brain_key: str) -> str | None:
    """Folder of the patch features that are deleted with an index; None for none."""
    known = records.read_all(dataset)
    record = known.pop(brain_key, None)
    if record is None or record.features in {r.features for r in known.values()}:
        return None
    folder = record.features
    is_deletable = feature_stores.is_there(folder)
    return folder if is_deletable and feature_stores.is_own(dataset, folder) else None


def clear(dataset: fo.Dataset, brain_key: str) -> None:
    """Deletes all but the patch features; see :func:`delete`."""
    record = records.read(dataset, brain_key)
    if record is None:
        return
    keys = index_parts.keys(dataset, brain_key, record)
    _delete_parts(dataset, keys, index_parts.fields(brain_key, record, keys))
    dataset.delete_run(brain_key)


def _delete_parts(
    dataset: fo.Dataset, keys: Iterable[str], fields: Iterable[str]
) -> None:
    for key in keys:
        if key in dataset.list_brain_runs():
            dataset.delete_brain_run(key)
    for field in fields:
        if dataset.has_field(field):
            dataset.delete_sample_field(field)
