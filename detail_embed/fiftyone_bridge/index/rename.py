"""Giving one of our indexes another brain key."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import fiftyone as fo
import fiftyone.brain as fob
from fiftyone.core.brain import BrainMethod

from detail_embed.fiftyone_bridge.index import checks, large, names
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.lock import RunLock
from detail_embed.fiftyone_bridge.samples.collection import refresh
from detail_embed.fiftyone_bridge.samples.frames import Home
from detail_embed.fiftyone_bridge.samples.private_names import forget_results


def rename(index: Index, new_key: str) -> None:
    """Renames an index: runs, record, fields, its map and the indexes beside it.

    If a step fails, those before it are taken back. Text search and updates go on under
    the new key. Views that were saved with a search by the old key are not changed.

    Args:
        index: one of ours
        new_key: the brain key it shall have

    Raises:
        ValueError: if the index is not ours, the new key cannot be used or is taken, or
            a run writes under one of them
    """
    check_rename(index, new_key)
    dataset = index.dataset
    with (
        RunLock(dataset, index.key, "a renaming"),
        RunLock(dataset, new_key, "a renaming"),
    ):
        refresh(index.home)
        _check(index, new_key)
        _rename(index, Index(dataset, new_key, index.is_of_frames))


def _rename(index: Index, new: Index) -> None:
    dataset = index.dataset
    keys = {key: _renamed(index, key, new) for key in index.keys}
    renamed = {
        field: _renamed(index, field, new)
        for field in index.fields if index.home.has_field(field)
    }
    maps = names.map_key(index.key), names.map_key(new.key)
    with ExitStack() as undo:
        _rename_fields(index.home, renamed, undo)
        for old, key in keys.items():
            if old in dataset.list_brain_runs():
                _rename_brain_run(dataset, old, key, renamed, undo)
        if maps[0] in dataset.list_brain_runs(type=fob.Visualization):
            dataset.rename_brain_run(*maps)
            undo.callback(dataset.rename_brain_run, *reversed(maps))
        for old, key in keys.items():
            large.rename(Index(dataset, old), Index(dataset, key))
        dataset.rename_run(index.key, new.key)
        undo.pop_all()
    for key in keys.values():  # in memory they know the old fields
        forget_results(dataset, key)


def _renamed(index: Index, name: str, new: Index) -> str:
    """A field, an attribute of labels or a brain key: all begin with the key."""
    labels, dot, own = name.rpartition(".")
    return labels + dot + new.key + own.removeprefix(index.key)


def check_rename(index: Index, new_key: str) -> None:
    """Checks that an index can be renamed; see :func:`rename`.

    Raises:
        ValueError: if it cannot
    """
    _check(index, new_key)
    for key in (index.key, new_key):
        lock.check_free(index.dataset, key)


def _check(index: Index, new_key: str) -> None:
    index.require("rename")
    names.check_brain_key(new_key)
    checks.check_free(Index(index.dataset, new_key, index.is_of_frames))


def _rename_fields(
    home: Home, renamed: Mapping[str, str], undo: ExitStack
) -> None:
    if not renamed:
        return
    home.rename_sample_fields(renamed)
    back = {new: old for old, new in renamed.items()}
    undo.callback(home.rename_sample_fields, back)


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
    renamed = {_last(old): _last(new) for old, new in renamed.items()}
    for name in ("embeddings_field", "patches_field"):
        field = getattr(config, name)
        setattr(config, name, renamed.get(field, field))
    BrainMethod.update_run_config(dataset, key, config)


def _last(path: str) -> str:
    """The name of a field, or of an attribute of labels."""
    return path.rpartition(".")[2]
