"""Vectors like those of a CLIP, in a real dataset without image files."""

from __future__ import annotations

import fiftyone as fo
import numpy as np

from detail_embed.engine.chunk import Chunk
from detail_embed.fiftyone_bridge.index.names import vector_field
from detail_embed.fiftyone_bridge.samples.collection import declare
from detail_embed.fiftyone_bridge.samples.sink import VECTORS, Sink

KEY = "detail"
FIELD = vector_field(KEY)
_CLUSTERS = 3000
_CHUNK = 64  # images, as the engine writes them
_SPECTRUM = 0.5  # a direction of rank r has the deviation r ** -0.5


def vectors(count: int, queries: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws images and texts.

    Both lie in narrow cones around directions of their own, so that a text is nearer
    to other texts than to any image, and in clusters; the variance falls with the rank
    of a direction by a power law.

    Returns:
        ``(count, dim)`` and ``(queries, dim)`` float32, unit length
    """
    random = np.random.default_rng(0)
    scale = np.arange(1, dim + 1, dtype=np.float32) ** -_SPECTRUM
    scale /= np.linalg.norm(scale)
    image_cone, text_cone = _unit(random.normal(size=(2, dim)))
    centres = random.normal(size=(_CLUSTERS, dim)).astype(np.float32) * scale

    def draw(n: int, cone: np.ndarray, spread: float) -> np.ndarray:
        own = random.normal(size=(n, dim)).astype(np.float32) * scale
        shared = centres[random.integers(_CLUSTERS, size=n)]
        return _unit(cone + shared + spread * own)

    return draw(count, image_cone, 0.7), draw(queries, text_cone, 1.0)


def store(rows: np.ndarray) -> fo.Dataset:
    """Makes a dataset and writes a vector to each sample, as a run of ours does."""
    dataset = fo.Dataset()
    dataset.add_samples(
        (fo.Sample(filepath=f"/images/{i}.jpg") for i in range(len(rows))),
        num_samples=len(rows),
        progress=False,
    )
    declare(dataset, [FIELD], fo.VectorField)
    ids, sink = dataset.values("id"), Sink(dataset, {FIELD: VECTORS}, "error")
    for start in range(0, len(rows), _CHUNK):
        some = slice(start, start + _CHUNK)
        sink.write(Chunk(ids[some], rows[some], rows[some], []))
    return dataset


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
