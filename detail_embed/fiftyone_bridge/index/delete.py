"""Deleting what detail-embed made under a brain key, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import fiftyone.brain as fob

from detail_embed.cover.complete_cover import NO_COVER
from detail_embed.fiftyone_bridge.index import (
    brain_runs,
    feature_stores,
    large,
    names,
    records,
)
from detail_embed.fiftyone_bridge.index.index import BOXES, WHOLE, Index
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.lock import RunLock
from detail_embed.fiftyone_bridge.samples.collection import refresh


def delete(index: Index) -> None:
    """Deletes the indexes under a brain key, their vectors and their record.

    Only what detail-embed made; without a record nothing is touched. Patch features
    that no other brain key of the dataset uses are deleted, too. The zoo keeps the
    spaces: other datasets may use them.

    Raises:
        ValueError: if a run writes under the brain key; the message names it
    """
    with RunLock(index.dataset, index.key, "a deletion"):
        _delete(index)


def delete_any(index: Index) -> None:
    """Deletes the similarity index that somebody named, whoever made it.

    One of ours as :func:`delete` does; one beside one of ours with its vectors, and
    nothing else; another's as FiftyOne does: its run, and not the
    field that its vectors may be in. Without its boxes, an index makes the vectors of
    images anew with the next update.

    Raises:
        ValueError: if there is no such index, or a run writes to it; or if it is of
            boxes and the vectors of images are made of nothing else
    """
    dataset = index.dataset
    with RunLock(dataset, _written_key(index), "a deletion"):
        refresh(index.home)
        _check_left(index)
        record, part = index.find()
        if record is None:
            brain_runs.check_similarity(index)
            dataset.delete_brain_run(index.key)
        elif part:
            fields = index.base.box_fields if part == BOXES else [index.field]
            _delete_parts(index, [index.key], fields)
            index.base.write(_without(record, part))
        else:
            _delete(index)


def _without(record: Record, part: str) -> Record:
    """A record of an index that has lost one of those beside it."""
    if part == WHOLE:
        return replace(record, has_global=False)
    if part == BOXES:
        return record.without_boxes()
    return replace(record, single_space=None)


def check_delete(index: Index) -> None:
    """Checks that an index can be deleted, see :func:`delete_any`.

    Raises:
        ValueError: if a run writes to it, which the message names; or if it is of
            boxes and the vectors of images are made of nothing else
    """
    lock.check_free(index.dataset, _written_key(index))
    _check_left(index)


def _check_left(index: Index) -> None:
    record, part = index.find()
    if part == BOXES and record.identity["cover"] == NO_COVER:
        raise ValueError(
            f"the vectors of {index.base.key!r} are made of the boxes in "
            f"{index.key!r}: delete {index.base.key!r}, and both are deleted"
        )


def _written_key(index: Index) -> str:
    """The brain key that runs lock which write to an index."""
    _, part = index.find()
    return (index.base if part else index).key


def _delete(index: Index) -> None:
    refresh(index.home)
    folder = unshared_features(index)
    clear(index)
    feature_stores.delete(index.dataset, folder)


def unshared_features(index: Index) -> str | None:
    """Folder of the patch features that are deleted with an index; None for none."""
    dataset = index.dataset
    known = records.read_all(dataset)
    record = known.pop(index.key, None)
    if record is None or record.features in {r.features for r in known.values()}:
        return None
    folder = record.features
    is_deletable = feature_stores.is_there(folder)
    return folder if is_deletable and feature_stores.is_own(dataset, folder) else None


def clear(index: Index) -> None:
    """Deletes all but the patch features, its map too; see :func:`delete`."""
    if index.record is None:
        return
    dataset, map_key = index.dataset, names.map_key(index.key)
    is_map = map_key in dataset.list_brain_runs(type=fob.Visualization)
    keys = [*index.keys, map_key] if is_map else index.keys
    beside = index.beside
    _delete_parts(index, keys, index.fields)
    for one in (index, *beside):
        large.forget(one)
    dataset.delete_run(index.key)


def _delete_parts(
    index: Index, keys: Iterable[str], fields: Iterable[str]
) -> None:
    dataset, home = index.dataset, index.home
    for key in keys:
        if key in dataset.list_brain_runs():
            dataset.delete_brain_run(key)
    for field in fields:
        if home.has_field(field):
            home.delete_sample_field(field)
