"""The vectors of a field, read straight from MongoDB.

FiftyOne's ``values()`` takes several times as long, and cannot read only what has
changed.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

import fiftyone as fo
import numpy as np

from detail_embed.fiftyone_bridge.samples.private_names import sample_documents


def can_read(dataset: fo.Dataset, field: str) -> bool:
    """Whether a field of samples holds vectors as FiftyOne stores NumPy arrays."""
    found = dataset.get_field(field)
    return "." not in field and isinstance(found, (fo.VectorField, fo.ArrayField))


def read(dataset: fo.Dataset, field: str) -> tuple[list[str], np.ndarray]:
    """Reads all vectors.

    Args:
        dataset: the dataset
        field: one that :func:`can_read` accepts

    Returns:
        the ids of the ``n`` samples that have one, and ``(n, d)`` float32

    Raises:
        ValueError: if vectors have different dimensions
    """
    ids: list[str] = []
    matrix = np.empty((0, 0), np.float32)
    for id, vector in _documents(dataset, field, {field: {"$ne": None}}):
        if not ids:
            most = sample_documents(dataset).estimated_document_count()
            matrix = np.empty((most + 1, len(vector)), np.float32)
        check_dimension(id, vector, matrix.shape[1])
        if len(ids) == len(matrix):  # samples were added meanwhile
            matrix = np.concatenate([matrix, np.empty_like(matrix)])
        matrix[len(ids)] = vector
        ids.append(id)
    return ids, matrix[: len(ids)]


def read_changed(
    dataset: fo.Dataset, field: str, since: datetime
) -> dict[str, np.ndarray | None]:
    """Reads the vectors of the samples that were changed since; None for none.

    Args:
        dataset: the dataset
        field: as of :func:`read`
        since: changes at this moment count
    """
    return dict(_documents(dataset, field, {"last_modified_at": {"$gte": since}}))


def all_ids(dataset: fo.Dataset) -> set[str]:
    """The ids of all samples."""
    found = sample_documents(dataset).find({}, {"_id": 1}).hint([("_id", 1)])
    return {str(document["_id"]) for document in found}


def check_dimension(id: str, vector: np.ndarray, dim: int) -> None:
    """Checks that a vector fits the others.

    Raises:
        ValueError: naming the sample
    """
    if vector.shape != (dim,):
        raise ValueError(
            f"the vector of sample {id} has shape {vector.shape}, others have {dim} "
            "dimensions: compute the index again, from the start"
        )


def _documents(
    dataset: fo.Dataset, field: str, query: dict
) -> Iterator[tuple[str, np.ndarray | None]]:
    for document in sample_documents(dataset).find(query, {field: 1}):
        value = document.get(field)
        yield str(document["_id"]), None if value is None else _decode(value)


def _decode(stored: bytes) -> np.ndarray:
    """Undoes FiftyOne's ``serialize_numpy_array()``; most headers are the same."""
    raw = zlib.decompress(stored)
    start = 10 + int.from_bytes(raw[8:10], "little")  # of format 1.0
    dtype, shape = _header(raw[:start])
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


@lru_cache(maxsize=64)
def _header(raw: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    file = io.BytesIO(raw)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return dtype, shape
