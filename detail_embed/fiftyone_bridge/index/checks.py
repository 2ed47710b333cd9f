"""Whether an index can be computed under a brain key."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from detail_embed.backbone import checkpoint_names
from detail_embed.fiftyone_bridge.index.names import (
    base_key,
    check_brain_key,
    error_field,
    global_key,
    patches_field,
    vector_field,
)
from detail_embed.fiftyone_bridge.index.records import (
    Record,
    find,
    index_field,
    owns_global,
    read,
)


def check_computable(
    dataset: fo.Dataset,
    brain_key: str,
    identity: dict[str, Any],
    overwrite: bool = False,
    also_global: bool = False,
) -> None:
    """Checks that an index can be computed, or continued, under a brain key.

    Args:
        dataset: the data set
        brain_key: the key asked for
        identity: the choices asked for, see :meth:`.settings.Settings.identity`
        overwrite (False): whether what is ours under the key will be deleted
        also_global (False): whether whole-image vectors are asked for, too

    Raises:
        ValueError: if the key cannot be used, belongs to something else, or holds
            an index in another space
    """
    check_brain_key(brain_key)
    record = read(dataset, brain_key)
    if record is None:
        check_free(dataset, brain_key)
        return
    if also_global:
        _check_global(dataset, brain_key, record)
    if not overwrite:
        _check_same_space(brain_key, record, identity)
        return
    ours = index_field(brain_key, record)
    for field in (vector_field(brain_key), patches_field(brain_key)):
        if field != ours:
            _check_free_field(dataset, brain_key, field)


def check_free(dataset: fo.Dataset, brain_key: str) -> None:
    """Checks that everything under a brain key, and beside it, is free.

    Raises:
        ValueError: if a run or a field has it
    """
    is_there = brain_key in dataset.list_brain_runs() or dataset.has_field(
        vector_field(brain_key)
    )
    _, is_global = find(dataset, brain_key)
    if is_there and is_global:
        base = base_key(brain_key)
        raise ValueError(
            f"brain key {brain_key!r} holds the vectors of whole images that belong to "
            f"{base!r}; choose another brain key"
        )
    for key in (brain_key, global_key(brain_key)):
        if key in dataset.list_brain_runs() or key in dataset.list_runs():
            raise ValueError(
                f"brain key {key!r} belongs to another run of this data set; choose "
                "another brain key"
            )
    for name in (vector_field, patches_field, error_field):
        _check_free_field(dataset, brain_key, name(brain_key))
    whole = global_key(brain_key)
    _check_free_field(dataset, whole, vector_field(whole))


def _check_global(dataset: fo.Dataset, brain_key: str, record: Record) -> None:
    """Checks that whole-image vectors can be put beside an index that exists."""
    key = global_key(brain_key)
    if owns_global(dataset, brain_key, record):
        return
    if key in dataset.list_runs() or key in dataset.list_brain_runs():
        raise ValueError(
            f"the whole-image vectors of {brain_key!r} would go to {key!r}, which is "
            "an index of its own; leave also_global out, or choose another brain key"
        )
    _check_free_field(dataset, key, vector_field(key))


def _check_free_field(dataset: fo.Dataset, key: str, field: str) -> None:
    if dataset.has_field(field):
        raise ValueError(
            f"field {field!r} exists and no detail index is known under {key!r}; "
            "choose another brain key or delete the field"
        )


def _check_same_space(brain_key: str, record: Record, identity: dict[str, Any]) -> None:
    had = {"skip_flat": False} | record.identity  # older records do not have it
    changed = [name for name, value in identity.items() if had.get(name) != value]
    if checkpoint_names.may_be_same(had.get("pretrained"), identity["pretrained"]):
        changed = [name for name in changed if name != "pretrained"]
    if changed:
        wanted = ", ".join(f"{name}={_short(identity[name])}" for name in changed)
        others = ", ".join(f"{name}={_short(had.get(name))}" for name in changed)
        raise ValueError(
            f"brain key {brain_key!r} holds vectors of the space {record.space} "
            f"({others}); {_name(identity)} ({wanted}) is another space, and their "
            "vectors cannot be compared. Choose another brain key, or start over "
            "with overwrite=True"
        )


def _name(identity: dict[str, Any]) -> str:
    parts = (
        identity["backbone"],
        checkpoint_names.short(identity["pretrained"]),
        f"cc{identity['cover']}",
        identity["spacing"],
        identity["fuser"],
    )
    return "-".join(str(part) for part in parts if part)


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"[{', '.join(value[:3])}, ... {len(value)} words]"
    return repr(checkpoint_names.short(value) if isinstance(value, str) else value)
