"""Whether an index can be computed under a brain key."""

from __future__ import annotations

from typing import Any

from detail_embed.backbone import checkpoint_names
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.names import check_brain_key
from detail_embed.fiftyone_bridge.index.records import Record


def check_computable(
    index: Index,
    identity: dict[str, Any],
    overwrite: bool = False,
    also_global: bool = False,
) -> None:
    """Checks that an index can be computed, or continued, under a brain key.

    Args:
        index: the one asked for
        identity: the choices asked for, see :meth:`.settings.Settings.identity`
        overwrite (False): whether what is ours under the key will be deleted
        also_global (False): whether whole-image vectors are asked for, too

    Raises:
        ValueError: if the key cannot be used, belongs to something else, or holds
            an index in another space
    """
    check_brain_key(index.key)
    record = index.record
    if record is None:
        check_free(index)
        return
    if also_global:
        _check_whole(index)
    if not overwrite:
        _check_same_space(index.key, record, identity)
        return
    for field in (index.vector_field, index.patches_field):
        if field not in index.fields:
            _check_free_field(index, field)


def check_free(index: Index) -> None:
    """Checks that everything under a brain key, and beside it, is free.

    Raises:
        ValueError: if a run or a field has it
    """
    dataset, whole = index.dataset, index.whole
    is_there = index.has_brain_run or index.home.has_field(index.vector_field)
    _, part = index.find()
    if is_there and part:
        raise ValueError(
            f"brain key {index.key!r} holds the {part} vectors that belong to "
            f"{index.base.key!r}; choose another brain key"
        )
    for one in (index, whole, index.single, index.boxes):
        if one.has_brain_run or one.key in dataset.list_runs():
            raise ValueError(
                f"brain key {one.key!r} belongs to another run of this dataset; "
                "choose another brain key"
            )
    for field in (
        index.vector_field, index.patches_field, index.error_field, index.source_field
    ):
        _check_free_field(index, field)
    _check_free_field(whole, whole.vector_field)


def _check_whole(index: Index) -> None:
    """Checks that whole-image vectors can be put beside an index that exists."""
    whole = index.whole
    if index.owns_whole:
        return
    if whole.key in index.dataset.list_runs() or whole.has_brain_run:
        raise ValueError(
            f"the whole-image vectors of {index.key!r} would go to {whole.key!r}, "
            "which is an index of its own; pass also_global=False, or choose another "
            "brain key"
        )
    _check_free_field(whole, whole.vector_field)


def _check_free_field(index: Index, field: str) -> None:
    if index.home.has_field(field):
        raise ValueError(
            f"field {field!r} exists and no detail index is known under {index.key!r}; "
            "choose another brain key or delete the field"
        )


def differences(record: Record, identity: dict[str, Any]) -> list[str]:
    """The choices in which an index differs from what is asked for.

    Args:
        record: of the index
        identity: as of :func:`check_computable`
    """
    had = record.identity
    changed = [name for name, value in identity.items() if had.get(name) != value]
    if checkpoint_names.may_be_same(had.get("pretrained"), identity["pretrained"]):
        changed = [name for name in changed if name != "pretrained"]
    return changed


def _check_same_space(brain_key: str, record: Record, identity: dict[str, Any]) -> None:
    had, changed = record.identity, differences(record, identity)
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
        identity["fuser"] if identity["vectors"] == 1 else f"{identity['vectors']}",
    )
    return "-".join(str(part) for part in parts if part)


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"[{', '.join(value[:3])}, ... {len(value)} words]"
    return repr(checkpoint_names.short(value) if isinstance(value, str) else value)
