"""Vector databases beside FiftyOne's own: they hold what the fields hold, no more."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import fiftyone.brain as fob
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.samples import patch_detections
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.fusers.few_vectors import MAX_VECTORS

logger = logging.getLogger(__name__)

_CHUNK = 10_000  # vectors in memory
_SAME = 0.01  # of the length of a vector: what a database may round

_Block = tuple[np.ndarray, list[str], list[str] | None]  # vectors, samples, labels


def fill(
    store: fob.SimilarityIndex,
    images: foc.SampleCollection,
    field: str,
    attribute: str | None,
) -> None:
    """Makes a store hold the vectors of images as they are in a field.

    No backend says which ids it holds, and some add what they have a second time. So
    what is there is read and compared; where more is there than there should be, such
    as vectors of images that were deleted, the store is filled anew.

    Args:
        store: an index whose backend has a store of its own
        images: those that have a value in the field
        field: of vectors, or of labels
        attribute: of the labels, where their vectors are; None for a field of vectors
    """
    wanted = _count(images, field, attribute)
    if 0 < store.total_index_size <= wanted:
        for block in _blocks(images, field, attribute):
            _complete(store, block)
    if store.total_index_size != wanted:
        if store.total_index_size:
            logger.info(
                "The vector database holds %d vectors instead of %d: filling it anew",
                store.total_index_size, wanted,
            )
            store.cleanup()
        for vectors, ids, labels in _blocks(images, field, attribute):
            store.add_to_index(vectors, ids, label_ids=labels)
    _cover_all(store)
    store.save()


def _complete(store: fob.SimilarityIndex, block: _Block) -> None:
    """Adds the vectors of a block that are not there, or are others there."""
    vectors, ids, labels = block
    names = ids if labels is None else labels
    there = _read(store, ids, labels)
    lacking = [row for row, name in enumerate(names) if name not in there]
    other = [
        row for row, name in enumerate(names)
        if name in there and not _is_same(vectors[row], there[name])
    ]
    if other:
        gone = [names[row] for row in other]
        which = {"sample_ids": gone} if labels is None else {"label_ids": gone}
        store.remove_from_index(**which)
    rows = sorted(lacking + other)
    if rows:
        store.add_to_index(
            vectors[rows],
            [ids[row] for row in rows],
            label_ids=None if labels is None else [labels[row] for row in rows],
        )


def _read(
    store: fob.SimilarityIndex, ids: list[str], labels: list[str] | None
) -> dict[str, np.ndarray]:
    """The vectors that are there, by sample or by label."""
    if labels is None:
        vectors, found, _ = store.get_embeddings(sample_ids=ids)
    else:
        vectors, _, found = store.get_embeddings(label_ids=labels)
    return dict(zip(np.asarray(found).tolist(), np.asarray(vectors, np.float32)))


def _is_same(vector: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.linalg.norm(vector - other) <= _SAME * np.linalg.norm(vector))


def _cover_all(store: fob.SimilarityIndex) -> None:
    """Puts all rows into the approximate index of a LanceDB table, where it has one.

    It is built once there are rows enough, and what comes later is scanned row by row.
    """
    table = store.table if store.config.method == "lancedb" else None
    if table is not None and any("vector" in i.columns for i in table.list_indices()):
        table.optimize()


def _count(images: foc.SampleCollection, field: str, attribute: str | None) -> int:
    if attribute is None:
        return images.count()
    return images.count(label_path(images, field, attribute))


def _blocks(
    images: foc.SampleCollection, field: str, attribute: str | None
) -> Iterator[_Block]:
    """The vectors of images, a bounded number at a time."""
    ids = images.values("id")
    step = _CHUNK // MAX_VECTORS if attribute else _CHUNK
    for start in range(0, len(ids), step):
        part = images.select(ids[start : start + step], ordered=True)
        if attribute:
            block = patch_detections.read(part, field, attribute)
            if len(block[0]):
                yield block
        else:
            yield np.stack(part.values(field)), part.values("id"), None
