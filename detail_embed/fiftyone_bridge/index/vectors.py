"""The vectors of a similarity index in this process: in memory, or in a mapped file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np

from detail_embed.fiftyone_bridge.index import (
    brain_runs,
    large,
    provenance,
    shared,
    stored_vectors,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors, in_memory
from detail_embed.fiftyone_bridge.index.stored_vectors import Place
from detail_embed.fiftyone_bridge.samples import changes, vector_field
from detail_embed.fiftyone_bridge.samples.frames import documents_of
from detail_embed.fiftyone_bridge.samples.private_names import dataset_id
from detail_embed.patch_search.vector_part import Block

logger = logging.getLogger(__name__)

_INDEXES = 4  # kept in memory
_memory: dict[tuple[str, str], _Known] = {}
_lock = threading.Lock()


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
            only read all together, none, and of those that a file tells it of
        vectors: what was read
    """

    state: _State
    times: shared.Times
    vectors: IndexVectors


def _state(index: Index) -> _State:
    made = index.dataset.get_brain_info(index.key).timestamp
    return _State(made, changes.mark(index.home))


def _read_anew(index: Index, known: _Known | None, state: _State) -> _Known:
    place = stored_vectors.place_of(index)
    if place is None:
        return _Known(state, {}, _read(index))
    if known is not None and (known.state.made != state.made or not known.times):
        known = None
    held = shared.find(index, place, state.made) or known
    digest = changes.digest(index.home)  # before the times, and they before the vectors
    if isinstance(held, shared.Shared) and held.digest == digest:
        return _Known(state, {}, held.vectors)
    samples = shared.Changes(digest, changes.times(index.home))
    if held is None:
        vectors = _read_all(index, place, state, samples)
    else:
        vectors = _patched(index, place, state, samples, held)
    if vectors is None:
        raise _nothing_in(index)
    return _Known(state, samples.times, vectors)


def _read_all(
    index: Index, place: Place, state: _State, samples: shared.Changes
) -> IndexVectors | None:
    """Reads all vectors out of MongoDB; of many, into a file."""
    blocks = stored_vectors.read(index, place)
    first = next(blocks, None)
    if first is None:
        return None
    images = documents_of(index.home).estimated_document_count()
    if first.vectors.nbytes * images / len(first.ids) < shared.LEAST_BYTES:
        return in_memory(chain([first], blocks))
    try:
        blocks = chain([first], blocks)
        return shared.write(index, place, state.made, samples, blocks)
    except OSError as error:
        _warn(index, error)
        return in_memory(stored_vectors.read(index, place))


def _patched(
    index: Index,
    place: Place,
    state: _State,
    samples: shared.Changes,
    known: _Known | shared.Shared,
) -> IndexVectors | None:
    """Puts vectors that changed in their places, new ones behind."""
    before, vectors, times = known.times, known.vectors, samples.times
    again = changes.changed(before, times)
    changed: dict[str, Block | None] = dict.fromkeys(again)
    changed.update(dict.fromkeys(before.keys() - times.keys()))
    changed.update(stored_vectors.read_some(index, place, again))
    dim = vectors.matrix.shape[1]
    for id, block in changed.items():
        if block is not None:
            vector_field.check_dimension(id, block.vectors[0], dim)
    is_many = vectors.matrix.nbytes >= shared.LEAST_BYTES
    try:
        if not vectors.differs(changed):
            if is_many:
                shared.note(index, place, state.made, samples)
            return replace(vectors, _members={})
        if is_many:
            blocks = vectors.blocks(changed)
            return shared.write(index, place, state.made, samples, blocks)
    except OSError as error:
        _warn(index, error)
    return in_memory(vectors.blocks(changed))


def _warn(index: Index, error: OSError) -> None:
    logger.warning(
        "the vectors of the index %r are kept in the memory of this process, and read "
        "anew by others, as they cannot be written to %s: %s",
        index.key, shared.folder(index), error,
    )


def _read(index: Index) -> IndexVectors:
    """Reads an index that FiftyOne alone knows how to read."""
    matrix, ids, labels = open_index(index).get_embeddings()
    ids = np.asarray(ids)
    if not len(ids):
        raise _nothing_in(index)
    order = np.argsort(ids, kind="stable")  # the vectors of an image in one piece
    if labels is None and len(set(ids.tolist())) == len(ids):
        order = np.arange(len(ids))
    matrix, ids = np.asarray(matrix, np.float32)[order], ids[order]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    counts = np.diff(np.r_[starts, len(ids)])
    labels = None if labels is None else np.asarray(labels)[order].tolist()
    block = Block(ids[starts].tolist(), counts, matrix, labels)
    foreign = provenance.foreign_ids(index)
    vectors = in_memory(stored_vectors.usable(index, [block], foreign))
    if vectors is None:
        raise _nothing_in(index)
    return vectors


def _nothing_in(index: Index) -> ValueError:
    return ValueError(f"the index {index.key!r} holds no vectors; compute it again")
