"""The vectors of a field, read straight from MongoDB.

FiftyOne's ``values()`` takes several times as long, and cannot read only what has
changed.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

import fiftyone as fo
import numpy as np
from bson import ObjectId

from detail_embed.fiftyone_bridge.samples.frames import Home, documents_of

_CHUNK = 10_000  # samples that are asked for at once


def can_read(home: Home, field: str) -> bool:
    """Whether a field of samples holds vectors as FiftyOne stores NumPy arrays."""
    found = home.get_field(field)
    return "." not in field and isinstance(found, (fo.VectorField, fo.ArrayField))


def read(home: Home, field: str) -> tuple[list[str], np.ndarray]:
    """Reads all vectors.

    Args:
        home: where the images are
        field: one that :func:`can_read` accepts

    Returns:
        the ids of the ``n`` samples that have one, and ``(n, d)`` float32

    Raises:
        ValueError: if vectors have different dimensions
    """
    ids: list[str] = []
    matrix = np.empty((0, 0), np.float32)
    for id, vector in _documents(home, field, {field: {"$ne": None}}):
        if not ids:
            most = documents_of(home).estimated_document_count()
            matrix = np.empty((most + 1, len(vector)), np.float32)
        check_dimension(id, vector, matrix.shape[1])
        if len(ids) == len(matrix):  # samples were added meanwhile
            matrix = np.concatenate([matrix, np.empty_like(matrix)])
        matrix[len(ids)] = vector
        ids.append(id)
    return ids, matrix[: len(ids)]


def read_some(
    home: Home, field: str, ids: Sequence[str]
) -> dict[str, np.ndarray | None]:
    """Reads the vectors of some samples, by id; None for one that has none.

    Args:
        home: where the images are
        field: as of :func:`read`
        ids: of the samples; one that is gone is left out
    """
    found: dict[str, np.ndarray | None] = {}
    for start in range(0, len(ids), _CHUNK):
        part = [ObjectId(id) for id in ids[start : start + _CHUNK]]
        found.update(_documents(home, field, {"_id": {"$in": part}}))
    return found


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
    home: Home, field: str, query: dict
) -> Iterator[tuple[str, np.ndarray | None]]:
    for document in documents_of(home).find(query, {field: 1}):
        id, value = sys.intern(str(document["_id"])), document.get(field)
        yield id, None if value is None else decode(value)


def decode(stored: bytes) -> np.ndarray:
    """Undoes FiftyOne's ``serialize_numpy_array()``, as of a stored vector."""
    raw = zlib.decompress(stored)
    start = 10 + int.from_bytes(raw[8:10], "little")  # of format 1.0
    dtype, shape = _header(raw[:start])  # most are the same
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


@lru_cache(maxsize=64)
def _header(raw: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    file = io.BytesIO(raw)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return dtype, shape
