"""Parquet files of vectors: their columns, and what they say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

METADATA = b"detail_embed"
SPACE = "space"
FEATURES = "features"


def schema(dim: int, few: bool, facts: dict[str, Any]) -> pa.Schema:
    """The schema of a part.

    Args:
        dim: d, the dimension of the vectors
        few: whether an image has several vectors, a row each
        facts: what the metadata says under ``detail_embed``, as JSON
    """
    vector = pa.list_(pa.float32(), dim)
    columns = [
        ("id", pa.string()),
        ("filepath", pa.string()),
        ("vector", vector),
        ("global_vector", vector),
        ("error", pa.string()),
    ]
    if few:
        columns += [("box", pa.list_(pa.float64(), 4)), ("level", pa.int32())]
    return pa.schema(columns, metadata={METADATA: json.dumps(facts).encode()})


def read_facts(path: Path) -> dict[str, Any]:
    """What the metadata of a Parquet file of vectors says.

    Raises:
        ValueError: if it is no Parquet file, or not one of ours
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is no Parquet file: {error}") from error
    if METADATA not in metadata:
        raise ValueError(f"{path} was not written by detail-embed: it names no space")
    return json.loads(metadata[METADATA])


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
