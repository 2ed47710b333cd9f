"""The vectors of an index as MongoDB holds them, in blocks: those that can be used."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detail_embed.fiftyone_bridge.index import provenance
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import patch_detections, vector_field
from detail_embed.fiftyone_bridge.samples.private_names import has_results
from detail_embed.patch_search.vector_part import Block

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where the vectors of an index are.

    Attributes:
        field: of the images
        attribute: of the labels in the field; None where it holds a vector
    """

    field: str
    attribute: str | None = None


def place_of(index: Index) -> Place | None:
    """Where the vectors of a finished index can be read; None for nowhere.

    Those of ours are in their field whatever backend has them, too.
    """
    config, home = index.config, index.home
    if not has_results(index.dataset, index.key):
        return None
    if index.record is not None and index.field == config.patches_field:
        return Place(index.field, patch_detections.VECTOR)
    field = getattr(config, "embeddings_field", None)
    is_there = field and (config.method == "sklearn" or index.find()[0] is not None)
    if not is_there or config.patches_field or not vector_field.can_read(home, field):
        return None
    return Place(field)


def read(index: Index, place: Place) -> Iterator[Block]:
    """Reads all vectors: finite ones of the space of the index, of unit length."""
    found = vector_field.read(index.home, place.field, place.attribute)
    return usable(index, found, provenance.foreign_ids(index))


def read_some(index: Index, place: Place, ids: Sequence[str]) -> dict[str, Block]:
    """Reads the vectors of some images, by id; those that have none are left out."""
    found = vector_field.read_some(index.home, place.field, ids, place.attribute)
    blocks = usable(index, found, provenance.foreign_ids(index, ids) if ids else ())
    return {one.ids[0]: one for block in blocks for one in _each(block)}


def unit(matrix: np.ndarray) -> np.ndarray:
    """Gives vectors unit length, in place; those of length 0 stay."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix /= np.where(lengths > 0, lengths, 1)
    return matrix


def usable(
    index: Index, blocks: Iterable[Block], foreign: Iterable[str]
) -> Iterator[Block]:
    """Leaves out images with vectors that are not finite; gives others unit length.

    Args:
        index: what the vectors are of
        blocks: of them
        foreign: images to be left out, too
    """
    out, bad = set(foreign), set()
    for block in blocks:
        finite = np.isfinite(block.vectors).all(axis=1)
        if not finite.all():
            owners = np.repeat(np.arange(len(block.ids)), block.counts)
            bad.update(block.ids[image] for image in owners[~finite])
        kept = np.array([not (id in out or id in bad) for id in block.ids], bool)
        block = some(block, kept)
        if block.ids:
            unit(block.vectors)
            yield block
    if bad:
        logger.warning(
            "the vectors of %d images of the index %r hold NaN or infinite values and "
            "are left out, such as those of the sample %s",
            len(bad), index.key, min(bad),
        )


def some(block: Block, kept: np.ndarray) -> Block:
    """Some of the images of a block: those where ``kept`` is true, ``(n,)``."""
    if kept.all():
        return block
    rows = np.repeat(kept, block.counts)
    labels = block.labels
    if labels is not None:
        labels = [labels[row] for row in np.flatnonzero(rows)]
    ids = [block.ids[image] for image in np.flatnonzero(kept)]
    return Block(ids, block.counts[kept], block.vectors[rows], labels)


def _each(block: Block) -> Iterator[Block]:
    ends = np.cumsum(block.counts)
    for id, count, end in zip(block.ids, block.counts, ends.tolist()):
        rows = slice(end - int(count), end)
        labels = None if block.labels is None else block.labels[rows]
        yield Block([id], np.array([count]), block.vectors[rows], labels)
