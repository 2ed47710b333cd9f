"""The vectors of a similarity index in memory: every image's score for a query.

FiftyOne's own search returns the nearest images; a threshold, a histogram or "but
not" need the score of every image.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import bson
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.index import brain_runs, large
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.usable import unusable, usable
from detail_embed.fiftyone_bridge.samples import (
    changes,
    patch_detections,
    vector_field,
)
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_id,
    has_results,
    is_generated,
    pipeline,
)

_INDEXES = 4  # kept in memory
_VIEWS = 8  # of each, likewise
_memory: dict[tuple[str, str], _Known] = {}
_lock = threading.Lock()


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
        matrix: ``(v, d)`` float32, unit length
    """

    ids: list[str]
    labels: list[str] | None
    starts: np.ndarray
    matrix: np.ndarray
    _members: dict[bytes, Members] = field(default_factory=dict, repr=False)

    def members(self, samples: foc.SampleCollection, path: str = "id") -> Members:
        """Finds the images, or labels, of a collection; those of the last few are kept.

        They are known by their MongoDB pipeline: vectors that are in memory are of
        samples that have not changed since, see :func:`load`.

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


def load(index: Index) -> IndexVectors:
    """Reads the vectors of an index, or takes them from memory.

    Where samples have changed since, theirs are read anew; of an index of patches, or
    of another backend than FiftyOne's own, all are.

    Args:
        index: a similarity index of any backend, of images or of patches

    Raises:
        ValueError: if there is no such index, it holds nothing, or more than is read
            into memory, see :mod:`.large`
    """
    brain_runs.check_similarity(index)
    large.check_fits(index)
    place, state = (str(dataset_id(index.dataset)), index.key), _state(index)
    with _lock:
        known = _memory.pop(place, None)
        if known is None or known.state != state:
            known = _read_anew(index, known, state)
        _memory[place] = known
        while len(_memory) > _INDEXES:
            del _memory[next(iter(_memory))]
        return known.vectors


def open_index(index: Index) -> Any:
    """Opens an index afresh, as it is stored.

    Not the cached results: a search for duplicates may have shifted their vectors,
    see https://github.com/voxel51/fiftyone-brain/issues/258.

    Raises:
        ValueError: if it was never finished, or holds nothing
    """
    load = index.dataset.load_brain_results
    results = load(index.key, cache=False, load_view=index.is_of_frames)
    if results is None or not results.total_index_size:
        raise _nothing_in(index)
    return results


@dataclass(frozen=True)
class _State:
    """What changes when vectors do.

    Attributes:
        made: when the index was
        samples: the mark of the dataset, see :func:`.changes.mark`
    """

    made: datetime
    samples: Hashable


@dataclass(frozen=True, eq=False)
class _Known:
    """Vectors in memory.

    Attributes:
        state: of the index when they were read
        times: when every sample was changed, as they were read; of vectors that are
            only read all together, none
        vectors: what was read
    """

    state: _State
    times: dict[str, datetime | None]
    vectors: IndexVectors


def _state(index: Index) -> _State:
    made = index.dataset.get_brain_info(index.key).timestamp
    return _State(made, changes.mark(index.home))


def _read_anew(index: Index, known: _Known | None, state: _State) -> _Known:
    home, field = index.home, _field(index)
    if field is None:
        return _Known(state, {}, _read(index))
    times = changes.times(home)  # before the vectors: what is newer is read again
    if known is None or known.state.made != state.made or not known.times:
        ids, matrix = vector_field.read(home, field)
        ids, matrix, _ = usable(index, ids, _unit(matrix))
    else:
        again = changes.changed(known.times, times)
        found = vector_field.read_some(home, field, again)
        found.update(dict.fromkeys(unusable(index, found)))
        found.update(dict.fromkeys(known.times.keys() - times.keys()))
        ids, matrix = _patched(known.vectors, found)
    if not ids:
        raise _nothing_in(index)
    return _Known(state, times, _of_images(ids, matrix))


def _field(index: Index) -> str | None:
    """The field that holds the vectors of images of a finished index, None for none.

    Those of ours are there whatever backend has them, too.
    """
    config = index.config
    field = getattr(config, "embeddings_field", None)
    is_there = field and (config.method == "sklearn" or index.find()[0] is not None)
    if not is_there or config.patches_field:
        return None
    if not vector_field.can_read(index.home, field):
        return None
    return field if has_results(index.dataset, index.key) else None


def _patched(
    vectors: IndexVectors, changed: Mapping[str, np.ndarray | None]
) -> tuple[list[str], np.ndarray]:
    """Puts changed vectors in their places, new ones behind; None takes one out."""
    places = {id: row for row, id in enumerate(vectors.ids)}
    found = {id: vector for id, vector in changed.items() if vector is not None}
    dim = vectors.matrix.shape[1]
    for id, vector in found.items():
        vector_field.check_dimension(id, vector, dim)
    again = [id for id in found if id in places]
    new = [id for id in found if id not in places]
    gone = [places[id] for id in changed if id in places and id not in found]
    rows = [places[id] for id in again]
    values = _unit(np.array([found[id] for id in again], np.float32).reshape(-1, dim))
    if not new and not gone and np.array_equal(vectors.matrix[rows], values):
        return vectors.ids, vectors.matrix
    matrix = vectors.matrix.copy()  # a search may be reading it
    matrix[rows] = values
    added = _unit(np.array([found[id] for id in new], np.float32).reshape(-1, dim))
    ids = np.delete(np.array(vectors.ids), gone).tolist()
    return ids + new, np.concatenate([np.delete(matrix, gone, axis=0), added])


def _of_images(ids: list[str], matrix: np.ndarray) -> IndexVectors:
    return IndexVectors(ids, None, np.arange(len(ids)), matrix)


def _read(index: Index) -> IndexVectors:
    if index.record is not None and index.field == index.config.patches_field:
        images = index.images().exists(index.field)
        matrix, ids, labels = patch_detections.read(images, index.field)
    else:
        matrix, ids, labels = open_index(index).get_embeddings()
    ids, matrix, labels = usable(index, ids, np.asarray(matrix, np.float32), labels)
    if not len(ids):
        raise _nothing_in(index)
    ids = np.asarray(ids)
    order = np.argsort(ids, kind="stable")  # the vectors of an image in one piece
    if labels is None and len(set(ids.tolist())) == len(ids):
        order = np.arange(len(ids))
    matrix, ids = matrix[order], ids[order]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    return IndexVectors(
        ids=ids[starts].tolist(),
        labels=None if labels is None else np.asarray(labels)[order].tolist(),
        starts=starts,
        matrix=_unit(matrix),
    )


def _unit(matrix: np.ndarray) -> np.ndarray:
    """Gives vectors unit length, in place; those of length 0 stay."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix /= np.where(lengths > 0, lengths, 1)
    return matrix


def _nothing_in(index: Index) -> ValueError:
    return ValueError(f"the index {index.key!r} holds no vectors; compute it again")
