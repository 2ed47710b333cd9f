"""Giving one of our indexes another brain key."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import fiftyone as fo
from fiftyone.core.brain import BrainMethod

from detail_embed.fiftyone_bridge.index import (
    checks,
    names,
    records,
)
from detail_embed.fiftyone_bridge.index import (
    records as index_parts,
)
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.lock import RunLock
from detail_embed.fiftyone_bridge.samples.collection import refresh
from detail_embed.fiftyone_bridge.samples.private_names import forget_results


def rename(dataset: fo.Dataset, brain_key: str, new_key: str) -> None:
    """Renames an index: runs, record, fields, and the whole-image index beside it.

    If a step fails, those before it are taken back. Text search and updates go on under
    the new key. Views that were saved with a search by the old key are not changed.

    Args:
        dataset: the data set
        brain_key: an index of ours
        new_key: the brain key it shall have

    Raises:
        ValueError: if the index is not ours, the new key cannot be used or is taken, or
            a run writes under one of them
    """
    check(dataset, brain_key, new_key)
    with (
        RunLock(dataset, brain_key, "a renaming"),
        RunLock(dataset, new_key, "a renaming"),
    ):
        refresh(dataset)
        _check(dataset, brain_key, new_key)
        _rename(dataset, brain_key, new_key)


def _rename(dataset: fo.Dataset, brain_key: str, new_key: str) -> None:
    record = records.read(dataset, brain_key)
    keys = index_parts.keys(dataset, brain_key, record)
    new_keys = [new_key, names.global_key(new_key)][: len(keys)]
    fields = index_parts.fields(brain_key, record, keys)
    new_fields = index_parts.fields(new_key, record, new_keys)
    renamed = {
        old: new for old, new in zip(fields, new_fields) if dataset.has_field(old)
    }
    with ExitStack() as undo:
        _rename_fields(dataset, renamed, undo)
        for old, new in zip(keys, new_keys):
            if old in dataset.list_brain_runs():
                _rename_brain_run(dataset, old, new, renamed, undo)
        dataset.rename_run(brain_key, new_key)
        undo.pop_all()
    for key in new_keys:  # in memory they know the old fields
        forget_results(dataset, key)


def check(dataset: fo.Dataset, brain_key: str, new_key: str) -> None:
    """Checks that an index can be renamed; see :func:`rename`.

    Raises:
        ValueError: if it cannot
    """
    _check(dataset, brain_key, new_key)
    for key in (brain_key, new_key):
        lock.check_free(dataset, key)


def _check(dataset: fo.Dataset, brain_key: str, new_key: str) -> None:
    index_parts.require(dataset, brain_key, "rename")
    names.check_brain_key(new_key)
    checks.check_free(dataset, new_key)


def _rename_fields(
    dataset: fo.Dataset, renamed: Mapping[str, str], undo: ExitStack
) -> None:
    if not renamed:
        return
    dataset.rename_sample_fields(renamed)
    back = {new: old for old, new in renamed.items()}
    undo.callback(dataset.rename_sample_fields, back)


def _rename_brain_run(
    dataset: fo.Dataset,
    old: str,
    new: str,
    renamed: Mapping[str, str],
    undo: ExitStack,
) -> None:
    _set_fields(dataset, old, renamed)
    back = {new: old for old, new in renamed.items()}
    undo.callback(_set_fields, dataset, old, back)
    dataset.rename_brain_run(old, new)
    undo.callback(dataset.rename_brain_run, new, old)


def _set_fields(dataset: fo.Dataset, key: str, renamed: Mapping[str, str]) -> None:
    """Tells a similarity index where its vectors are now."""
    config = dataset.get_brain_info(key).config
    for name in ("embeddings_field", "patches_field"):
        field = getattr(config, name)
        setattr(config, name, renamed.get(field, field))
    BrainMethod.update_run_config(dataset, key, config)
