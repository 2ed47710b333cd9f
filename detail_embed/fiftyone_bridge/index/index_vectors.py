"""The vectors of a similarity index: every image's score for a query.

FiftyOne's own search returns the nearest images; a threshold, a histogram or "but
not" need the score of every image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import bson
import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.samples.private_names import (
    is_generated,
    own_dataset,
    pipeline,
    sample_documents,
)
from detail_embed.patch_search.vector_part import Block

_VIEWS = 8  # of each index, kept in memory
_BLOCK = 10_000  # images


@dataclass(frozen=True, eq=False)
class Members:
    """Which images of an index are in a collection.

    Attributes:
        rows: ``(m,)`` int64, their places among the ``n`` images of the index, rising
        without: how many samples of the collection have no vector
    """

    rows: np.ndarray
    without: int


@dataclass(frozen=True, eq=False)
class IndexVectors:
    """The ``v`` vectors of ``n`` images; those of an image are in one piece.

    Attributes:
        ids: ``n`` sample ids
        labels: ``v`` label ids where the index is of patches, else None
        starts: ``(n,)`` int64, the first row of each image
        matrix: ``(v, d)`` float32, unit length; never written to, and a mapped file
            where there are many, see :mod:`.shared`
    """

    ids: list[str]
    labels: list[str] | None
    starts: np.ndarray
    matrix: np.ndarray
    _members: dict[bytes, Members] = field(default_factory=dict, repr=False)

    def members(self, samples: foc.SampleCollection, path: str = "id") -> Members:
        """Finds the images, or labels, of a collection; those of the last few are kept.

        They are known by their MongoDB pipeline: vectors that are in memory are of
        samples that have not changed since, see :func:`.vectors.load`.

        Args:
            samples: the dataset of the index, or a view of it
            path ("id"): of sample ids; or of label ids, for rows of ``matrix``
        """
        if is_generated(samples):  # its pipeline does not say what it was made of
            return self._find(samples, path)
        asked = bson.encode({path: pipeline(samples)})
        known = self._members.pop(asked, None) or self._find(samples, path)
        self._members[asked] = known
        for oldest in list(self._members)[:-_VIEWS]:
            self._members.pop(oldest, None)
        return known

    def _find(self, samples: foc.SampleCollection, path: str) -> Members:
        is_all = path == "id" and not pipeline(samples)
        if is_all:
            wanted = set(_all_ids(own_dataset(samples)))
        else:
            wanted = set(samples.values(path, unwind=True)) - {None}
        ids = self.ids if path == "id" else self.labels
        rows = [row for row, id in enumerate(ids) if id in wanted]
        return Members(np.array(rows, np.int64), len(wanted) - len(rows))

    def scores(self, query: np.ndarray) -> np.ndarray:
        """Cosine of the query and the best vector of each image, ``(n,)`` float32.

        Args:
            query: ``(d,)``

        Raises:
            ValueError: as of :meth:`cosines`
        """
        return np.maximum.reduceat(self.cosines(query), self.starts)

    def cosines(self, query: np.ndarray) -> np.ndarray:
        """Cosine of the query and each vector, ``(v,)`` float32, -1 to 1.

        Args:
            query: ``(d,)``

        Raises:
            ValueError: if the query has another dimension, is 0 or not finite
        """
        query = np.asarray(query, np.float32)
        if query.shape != self.matrix.shape[1:]:
            raise ValueError(
                f"the query has shape {query.shape}, but the vectors of the index "
                f"have {self.matrix.shape[1]} dimensions: it is of another model"
            )
        length = np.linalg.norm(query)
        if not np.isfinite(length) or length == 0:
            raise ValueError("the query is 0 or not finite, so nothing is near it")
        return self.matrix @ (query / length)

    def rows(self, image: int) -> slice:
        """The rows of an image."""
        ends = [*self.starts[image + 1 : image + 2], len(self.matrix)]
        return slice(int(self.starts[image]), int(ends[0]))

    def blocks(self, changed: Mapping[str, Block | None]) -> Iterator[Block]:
        """All vectors with those of some images replaced; new images come last.

        Args:
            changed: by id, what an image has now; None for one that has none
        """
        counts = np.diff([*self.starts, len(self.matrix)])
        known = set()
        for start in range(0, len(self.ids), _BLOCK):
            some = slice(start, start + _BLOCK)
            ids = self.ids[some]
            again = [at for at, id in enumerate(ids) if id in changed]
            known.update(ids[at] for at in again)
            end = 0
            for at in [*again, len(ids)]:
                if at > end:
                    yield self._block(slice(start + end, start + at), counts)
                if at < len(ids) and (new := changed[ids[at]]) is not None:
                    yield new
                end = at + 1
        yield from (b for id, b in changed.items() if id not in known and b is not None)

    def differs(self, changed: Mapping[str, Block | None]) -> bool:
        """Whether an image has other vectors now than here, see :meth:`blocks`."""
        places = {id: place for place, id in enumerate(self.ids)}
        for id, block in changed.items():
            if (block is None) != (id not in places):
                return True
            if block is not None:
                rows = self.rows(places[id])
                labels = None if self.labels is None else self.labels[rows]
                if labels != block.labels or not np.array_equal(
                    self.matrix[rows], block.vectors
                ):
                    return True
        return False

    def _block(self, images: slice, counts: np.ndarray) -> Block:
        ids, own = self.ids[images], counts[images]
        first = int(self.starts[images.start])
        rows = slice(first, first + int(own.sum()))
        labels = None if self.labels is None else self.labels[rows]
        return Block(ids, own, self.matrix[rows], labels)


def _all_ids(dataset: fo.Dataset) -> list[str]:
    """Reads the ids of a dataset from MongoDB's index of them, not from the samples."""
    found = sample_documents(dataset).find({}, {"_id": 1}).hint([("_id", 1)])
    return [str(document["_id"]) for document in found]


def in_memory(blocks: Iterable[Block]) -> IndexVectors | None:
    """Puts blocks together; None where there are none."""
    blocks = list(blocks)
    if not blocks:
        return None
    labels = None
    if blocks[0].labels is not None:
        labels = [label for block in blocks for label in block.labels]
    ends = np.cumsum(np.concatenate([block.counts for block in blocks]))
    return IndexVectors(
        ids=[id for block in blocks for id in block.ids],
        labels=labels,
        starts=np.r_[0, ends[:-1]],
        matrix=np.concatenate([block.vectors for block in blocks]),
    )
