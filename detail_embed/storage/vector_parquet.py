"""Parquet files of vectors: their columns, and what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

_METADATA = b"detail_embed"
SPACE = "space"
FEATURES = "features"

VECTOR, WHOLE = "vector", "global_vector"
PLACE = ("box", "level")  # of what a vector stands for, where it is not the image
SOURCE = ("state", "content")  # of the file when it was read, see FileSource
_TYPES = {
    "id": pa.string(),
    "filepath": pa.string(),
    "error": pa.string(),
    "label_id": pa.string(),
    "box": pa.list_(pa.float64(), 4),  # left, top, width, height: shares of the image
    "level": pa.int32(),
    **dict.fromkeys(SOURCE, pa.string()),
}


def schema(columns: Sequence[str], dim: int, facts: Mapping[str, Any]) -> pa.Schema:
    """The schema of a file of vectors, a row each.

    Args:
        columns: names among ``id``, ``filepath``, ``vector``, ``global_vector``,
            ``error``, ``label_id``, ``box``, ``level``, ``state`` and ``content``
        dim: d, the dimension of the vectors, which are float32
        facts: what the metadata says under ``detail_embed``, as JSON
    """
    types = _TYPES | dict.fromkeys((VECTOR, WHOLE), pa.list_(pa.float32(), dim))
    return pa.schema(
        [(name, types[name]) for name in columns],
        metadata={_METADATA: json.dumps(facts).encode()},
    )


def read_facts(
    file: Path | BinaryIO, name: str | Path | None = None
) -> dict[str, Any]:
    """What the metadata of a Parquet file of vectors says.

    Args:
        file: its path, or the open file
        name (None): of the file, for messages, where it is open

    Raises:
        ValueError: if it is no Parquet file, or not one of ours
    """
    path = name or file
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is no Parquet file: {error}") from error
    if _METADATA not in metadata:
        raise ValueError(f"{path} was not written by detail-embed: it names no space")
    return json.loads(metadata[_METADATA])


def part_files(path: str | Path) -> list[Path]:
    """The Parquet files of vectors that a path stands for, in order.

    Args:
        path: a file, or a folder of parts

    Raises:
        ValueError: if there are none
    """
    path = Path(path).expanduser()
    if path.is_file():
        return [path]
    found = sorted(path.glob("part-*.parquet"))
    if not found:
        raise ValueError(f"{path} is neither a Parquet file nor a folder of parts")
    return found
