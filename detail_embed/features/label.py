"""The label of a feature store: what the shards in a folder belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from detail_embed.storage.whole_files import write_whole

LABEL = "store.json"
_FORMAT = 1


class Named(Protocol):
    """A backbone, or a cover."""

    slug: str


def patch_slug(backbone: Named, cover: Named) -> str:
    """Names what patch features depend on: backbone, weights and cover."""
    return f"{backbone.slug}-{cover.slug}"


def check_label(directory: Path, wanted: dict[str, Any]) -> None:
    """Writes the label of a new folder, or compares with the one it has.

    Args:
        directory: of the store
        wanted: its ``slug``, ``dim`` and ``dtype``

    Raises:
        ValueError: if the folder holds a store with other values, or a damaged one
    """
    held = read_label(directory)
    if held is None:
        write_whole(directory / LABEL, json.dumps({"format": _FORMAT, **wanted}))
        return
    for key, value in wanted.items():
        if held[key] != value:
            raise other_store(directory, key, held[key], value)


def other_store(directory: Path, key: str, held: Any, wanted: Any) -> ValueError:
    """The error for a store that belongs to something else."""
    return ValueError(
        f"{directory} holds patch features of {key} {held}, not of {key} {wanted}: "
        "give another folder"
    )


def read_label(directory: Path) -> dict[str, Any] | None:
    """Reads the label of a folder.

    Returns:
        its ``slug``, ``dim`` and ``dtype``; None where there is no store

    Raises:
        ValueError: if the label is damaged, of another format, or missing beside
            shards
    """
    path = directory / LABEL
    try:
        label = json.loads(path.read_text("utf-8"))
        found = label["format"]
        if found == _FORMAT:
            return {key: label[key] for key in ("slug", "dim", "dtype")}
    except FileNotFoundError:
        if any(directory.glob("shard_*.safetensors")):
            raise ValueError(
                f"{path} is missing, nobody knows what the shards beside it belong "
                "to: give another folder"
            ) from None
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error
    raise ValueError(
        f"{path} is of format {found}, this version reads {_FORMAT}: update "
        "detail-embed, or give another folder"
    )
