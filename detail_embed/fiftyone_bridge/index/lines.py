"""Where "probably not" begins in an index: a line for each way to search it.

The lines are in the record of the index, together with a fingerprint of the vectors
that they were measured on: they are not those of any others.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from weakref import WeakKeyDictionary

import numpy as np
from torch.nn import functional as F

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.texts.nothing_line import VERSION, NothingLine, Places

VECTORS, PATCHES = "vectors", "patches"  # the ways that have a line of their own

_NUMBERS = 8  # of a fingerprint
_ROUNDING = 1e-2  # of these; one other vector changes them by tenths
_fingerprints: WeakKeyDictionary[IndexVectors, list[float]] = WeakKeyDictionary()
_known: WeakKeyDictionary[IndexVectors, dict[str, NothingLine]] = WeakKeyDictionary()


def read(index: Index, vectors: IndexVectors) -> dict[str, NothingLine]:
    """Reads the lines of an index, by way to search; those that there are.

    Once found they stay in memory as long as the vectors do, which they are of.

    Args:
        index: the index
        vectors: those that it has now
    """
    if vectors not in _known and (found := _read(index, vectors)):
        _known[vectors] = found
    return _known.get(vectors, {})


def _read(index: Index, vectors: IndexVectors) -> dict[str, NothingLine]:
    record = index.record
    if record is None or not record.lines:
        return {}
    if record.lines.get("version") != VERSION:
        return {}
    known, now = record.lines["fingerprint"], fingerprint(vectors)
    if len(known) != len(now) or not np.allclose(known, now, rtol=0, atol=_ROUNDING):
        return {}
    return {way: NothingLine(**line) for way, line in record.lines["ways"].items()}


def write(
    index: Index, vectors: IndexVectors, lines: Mapping[str, NothingLine]
) -> None:
    """Writes the lines of an index into its record.

    Args:
        index: one of ours
        vectors: those that the lines were measured on
        lines: by way to search
    """
    ways = {way: asdict(line) for way, line in lines.items()}
    found = {"version": VERSION, "fingerprint": fingerprint(vectors), "ways": ways}
    index.write(replace(index.record, lines=found))
    _known.pop(vectors, None)


def fingerprint(vectors: IndexVectors) -> list[float]:
    """A few numbers that other vectors, or other images, would not have.

    They do not depend on the order of the images, nor, but for rounding, on the
    processor.
    """
    if vectors not in _fingerprints:
        steps = np.arange(1, vectors.matrix.shape[1] + 1)[:, None]
        waves = np.cos(steps * np.sqrt(np.arange(2, 2 + _NUMBERS)))
        sums = np.add.reduceat(
            vectors.matrix @ waves.astype(np.float32), vectors.starts, dtype=np.float64
        )
        hashes = np.array([zlib.crc32(id.encode()) for id in vectors.ids])
        weights = 0.5 + hashes / 2**32
        _fingerprints[vectors] = [len(weights), *(weights @ sums).tolist()]
    return _fingerprints[vectors]


def best_vectors(vectors: IndexVectors, query: np.ndarray, rows: np.ndarray) -> Places:
    """The best vectors of images for a query.

    Args:
        vectors: a few of each image
        query: ``(d,)`` unit vector
        rows: ``(m,)`` places of the images among those of the index
    """
    best = []
    for row in rows.tolist():
        own = vectors.matrix[vectors.rows(row)]
        best.append(own[(own @ query).argmax()])
    places = np.array(best, np.float32).reshape(-1, len(query))
    return Places(places @ query, places)


def best_patches(store: FeatureStore, query: np.ndarray, ids: list[str]) -> Places:
    """The best stored patches of images for a query.

    Args:
        store: patch features of these images, at least
        query: ``(d,)`` unit vector
        ids: ``m`` sample ids
    """
    best, beside = [], []
    for id in ids:
        patches = F.normalize(store.features(id), dim=1).numpy()
        near = patches @ query
        best.append(patches[near.argmax()])
        beside.append(np.sort(near)[-2:].min())
    places = np.array(best, np.float32).reshape(-1, len(query))
    return Places(places @ query, places, np.array(beside))
