"""The vectors of a field, read straight from MongoDB.

FiftyOne's ``values()`` takes several times as long, and cannot read only what has
changed.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from pymongo.cursor import Cursor

from detail_embed.fiftyone_bridge.samples.frames import Home, documents_of
from detail_embed.patch_search.vector_part import Block

_CHUNK = 10_000  # samples that are asked for at once
_BLOCK = 2000  # in memory at once


def can_read(home: Home, field: str) -> bool:
    """Whether a field of samples holds vectors as FiftyOne stores NumPy arrays."""
    found = home.get_field(field)
    return "." not in field and isinstance(found, (fo.VectorField, fo.ArrayField))


def read(home: Home, field: str, attribute: str | None = None) -> Iterator[Block]:
    """Reads all vectors, block by block.

    Args:
        home: where the images are
        field: one that :func:`can_read` accepts, or Detections
        attribute (None): of the Detections, where their vectors are

    Yields:
        the images that have any, with their vectors in float32 as they are

    Raises:
        ValueError: if vectors have different dimensions
    """
    yield from blocks(home, field, {field: {"$ne": None}}, attribute)


def read_some(
    home: Home, field: str, ids: Sequence[str], attribute: str | None = None
) -> Iterator[Block]:
    """Reads the vectors of some samples, as :func:`read` does."""
    for start in range(0, len(ids), _CHUNK):
        part = [ObjectId(id) for id in ids[start : start + _CHUNK]]
        wanted = {"_id": {"$in": part}, field: {"$ne": None}}
        yield from blocks(home, field, wanted, attribute)


def blocks(
    home: Home, field: str, query: dict[str, Any], attribute: str | None = None
) -> Iterator[Block]:
    """Reads the vectors of the samples that a query finds, as :func:`read` does.

    Args:
        home: where the images are
        field: as of :func:`read`
        query: of MongoDB; samples that it finds have the field
        attribute (None): as of :func:`read`
    """
    kept = {field: 1}
    if attribute is not None:
        kept = {f"{field}.detections.{name}": 1 for name in ("_id", attribute)}
    found, dim = documents_of(home).find(query, kept), None
    with ThreadPoolExecutor(1) as ahead:  # MongoDB reads while this process decodes
        waiting = ahead.submit(_some, found)
        while documents := waiting.result():
            waiting = ahead.submit(_some, found)
            block = _block(documents, field, attribute, dim)
            if block is not None:
                dim = block.vectors.shape[1]
                yield block


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


def _some(found: Cursor) -> list[dict[str, Any]]:
    return list(islice(found, _BLOCK))


def _block(
    documents: list[dict[str, Any]], field: str, attribute: str | None, dim: int | None
) -> Block | None:
    ids, counts, stored, labels = [], [], [], []
    for document in documents:
        id, value = sys.intern(str(document["_id"])), document[field]
        if attribute is None:
            counts.append(1)
            stored.append(value)
        else:
            own = [
                label for label in value.get("detections") or ()
                if label.get(attribute) is not None
            ]
            if not own:
                continue
            counts.append(len(own))
            stored += [label[attribute] for label in own]
            labels += [str(label["_id"]) for label in own]
        ids.append(id)
    if not ids:
        return None
    owners = np.repeat(np.arange(len(ids)), counts)
    matrix = _decode_all(stored, lambda row: ids[owners[row]], dim)
    return Block(ids, np.array(counts), matrix, None if attribute is None else labels)


def _decode_all(
    stored: list[bytes], id_of: Callable[[int], str], dim: int | None
) -> np.ndarray:
    """Undoes FiftyOne's ``serialize_numpy_array()`` for many vectors: ``(v, d)``."""
    raws = [zlib.decompress(one) for one in stored]
    first, start = raws[0], _start(raws[0])
    dtype, shape = _header(first[:start])
    if len(shape) == 1 and all(
        len(raw) == len(first) and raw.startswith(first[:start]) for raw in raws
    ):
        rows = np.frombuffer(b"".join(raws), np.uint8).reshape(len(raws), -1)
        matrix = rows[:, start:].copy().view(dtype).astype(np.float32, copy=False)
        check_dimension(id_of(0), matrix[0], dim or len(matrix[0]))
        return matrix
    vectors = [decode(one) for one in stored]
    dim = dim or len(vectors[0])
    for row, vector in enumerate(vectors):
        check_dimension(id_of(row), vector, dim)
    return np.stack(vectors).astype(np.float32)


def decode(stored: bytes) -> np.ndarray:
    """Undoes FiftyOne's ``serialize_numpy_array()``, as of a stored vector."""
    raw = zlib.decompress(stored)
    start = _start(raw)
    dtype, shape = _header(raw[:start])  # most are the same
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


def _start(raw: bytes) -> int:
    """Where the numbers begin in a file of NumPy's format 1.0."""
    return 10 + int.from_bytes(raw[8:10], "little")


@lru_cache(maxsize=64)
def _header(raw: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    file = io.BytesIO(raw)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return dtype, shape
